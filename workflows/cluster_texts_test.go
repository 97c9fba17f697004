package workflows_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// tickets are what people write to a help desk: subjects, each in several words.
var tickets = [][]string{
	{"I forgot my password and cannot log in", "forgot password, can't log in", "Cannot log in because I forgot the password"},
	{"The printer on the second floor is out of paper", "printer out of paper on second floor", "second floor printer has no paper"},
	{"My invoice shows the wrong amount", "wrong amount on invoice", "The amount on my invoice is wrong"},
	{"the server is out of disk space", "no disk space left on server", "server disk space is full"},
}

// clusterRun is one run of ClusterTexts with real activities.
func (w *world) clusterRun(texts *activities.Texts, id string) *run {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue})
	workflows.Register(env)
	a := w.agents()
	env.RegisterActivity(a.runs)
	env.RegisterActivity(texts)
	return &run{env, a, w}
}

func (w *world) texts() *activities.Texts {
	return &activities.Texts{Pool: w.db.Pool, Bucket: w.bucket}
}

func (w *world) clusterInput(library string, body []byte, chunkBytes int64) workflows.ClusterTextsInput {
	in := w.input(library, body, chunkBytes)
	return workflows.ClusterTextsInput{Caller: in.Caller, Library: in.Library, Source: in.Source, ChunkBytes: chunkBytes}
}

func (w *world) cluster(in workflows.ClusterTextsInput) *workflows.ProcessPatternsResult {
	w.t.Helper()
	r := w.clusterRun(w.texts(), workflows.ClusterID(in.Caller.WorkspaceID, in.Library, in.Source.SHA256))
	r.ExecuteWorkflow(workflows.ClusterTexts, in)
	return r.result()
}

// clusters returns the library's clusters, by text.
func (w *world) clusters(library, embedder string) map[string]cluster.Cluster {
	w.t.Helper()
	out := map[string]cluster.Cluster{}
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(context.Background(), tx, w.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		all, err := postgres.TextClusters(context.Background(), tx, lib.ID, embedder)
		for _, c := range all {
			out[c.Text] = c
		}
		return err
	})
	return out
}

func TestTextsAreClustered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rnd := rand.New(rand.NewPCG(3, 3))
	var lines []string
	for _, subject := range tickets {
		for range 40 {
			lines = append(lines, subject[rnd.IntN(len(subject))])
		}
	}
	rnd.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	var body bytes.Buffer
	for _, line := range lines {
		fmt.Fprintf(&body, "  %s\r\n\n", line)
	}
	body.WriteString("!?\n" + string(bytes.Repeat([]byte("é"), 3000))) // nothing said, and too long

	in := w.clusterInput("desk", body.Bytes(), 2_000)
	got := w.cluster(in)
	require.EqualValues(t, 162, got.Lines)
	require.Greater(t, got.Chunks, 3)
	require.EqualValues(t, 1, got.Truncated)
	counts := w.counts("desk")
	perSubject := map[int]int64{}
	for text, c := range w.clusters("desk", embed.NewStatic().Name()) {
		require.Equal(t, pattern.Fingerprint(text), c.ID)
		for i, subject := range tickets {
			for _, s := range subject {
				if s == text {
					perSubject[i] += counts[c.ID]
				}
			}
		}
	}
	require.Equal(t, map[int]int64{0: 40, 1: 40, 2: 40, 3: 40}, perSubject)

	again := w.cluster(in)
	require.True(t, again.Already)
	require.Equal(t, counts, w.counts("desk"), "the same source is counted once")
}

// TestOneChunkAnyOrder clusters the same texts in several orders: the same clusters.
func TestOneChunkAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rnd := rand.New(rand.NewPCG(4, 4))
	lines := []string{"hello there", "the weather is nice", "good morning everyone"}
	for _, subject := range tickets {
		lines = append(lines, subject...)
	}
	var want map[pattern.ID]int64
	for i := range 3 {
		rnd.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		var body bytes.Buffer
		for _, line := range lines {
			fmt.Fprintln(&body, line)
		}
		library := fmt.Sprint("order", i)
		w.cluster(w.clusterInput(library, body.Bytes(), 0))
		if got := w.counts(library); want == nil {
			want = got
		} else {
			require.Equal(t, want, got)
		}
	}
}

// fussy is an embedder of another name whose first calls fail.
type fussy struct {
	embed.Embedder
	fail int
}

func (f *fussy) Name() string { return "fussy" }

func (f *fussy) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	if f.fail--; f.fail >= 0 {
		return nil, fmt.Errorf("the endpoint is busy")
	}
	return f.Embedder.Embed(ctx, texts)
}

// TestAnotherEmbedder goes on with a library that another embedder made, after failures and a lost answer.
func TestAnotherEmbedder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster(w.clusterInput("desk", []byte(tickets[0][0]+"\n"+tickets[1][0]+"\n"), 0))
	texts := w.texts()
	texts.Embedder = &fussy{embed.NewStatic(), 2}
	in := w.clusterInput("desk", []byte(tickets[0][1]+"\n"+tickets[2][0]+"\n"), 0)
	r := w.clusterRun(texts, "cluster/again")
	lost := 0
	r.OnActivity(texts.CommitTexts, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.CommitTextsInput) (*activities.Committed, error) {
		out, err := texts.CommitTexts(ctx, in)
		if lost++; lost == 1 && err == nil {
			return nil, fmt.Errorf("the answer is lost")
		}
		return out, err
	})
	r.ExecuteWorkflow(workflows.ClusterTexts, in)
	require.EqualValues(t, 2, r.result().Lines)
	require.Equal(t, 2, lost)
	counts := w.counts("desk")
	require.Equal(t, map[pattern.ID]int64{
		pattern.Fingerprint(tickets[0][0]): 2, pattern.Fingerprint(tickets[1][0]): 1, pattern.Fingerprint(tickets[2][0]): 1,
	}, counts, "the password is known, the invoice is new")
	got := w.clusters("desk", "fussy")
	require.Len(t, got, 3)
	require.NotNil(t, got[tickets[0][0]].Centre)
	require.Nil(t, got[tickets[1][0]].Centre, "it had no text yet")
}

func TestTextsGoIntoLibrariesOfText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mine(w.agents(), w.input("logs", []byte("a line 1\n"), 0))
	r := w.clusterRun(w.texts(), "cluster/wrong")
	r.ExecuteWorkflow(workflows.ClusterTexts, w.clusterInput("logs", []byte("hello\n"), 0))
	require.ErrorContains(t, r.GetWorkflowError(), "is of kind lines: use a library of kind text")
	w.cluster(w.clusterInput("desk", []byte("hello\n"), 0))
	in := w.input("desk", []byte("b line 1\n"), 0)
	m := w.run(w.agents(), id(in))
	m.ExecuteWorkflow(workflows.ProcessPatterns, in)
	require.ErrorContains(t, m.GetWorkflowError(), "is of kind text")
}
