package workflows_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/multiline"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/workflows"
)

// world is what a workflow meets: a database, a bucket and a caller who may edit.
type world struct {
	t      *testing.T
	db     *testdb.DB
	bucket *bucket.Bucket
	caller access.Caller
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := bucket.Open(context.Background(), "file://"+t.TempDir())
	require.NoError(t, err)
	db := testdb.New(t)
	return &world{t: t, db: db, bucket: store, caller: db.Workspace(t, "acme")}
}

// agents are the activities of one worker, with its own view of the libraries.
type agents struct {
	sequences *activities.Sequences
	runs      *activities.Runs
	features  *activities.Features
	patterns  *activities.Patterns
}

func (w *world) agents() *agents {
	libraries := feed.NewLibraries(w.db.Pool, zap.NewNop())
	return &agents{
		&activities.Sequences{Pool: w.db.Pool, Bucket: w.bucket, Libraries: libraries},
		&activities.Runs{Pool: w.db.Pool, Bucket: w.bucket},
		&activities.Features{Bucket: w.bucket, Libraries: libraries},
		&activities.Patterns{Pool: w.db.Pool, Bucket: w.bucket, Libraries: libraries},
	}
}

// run is one run of ProcessPatterns with real activities.
type run struct {
	*testsuite.TestWorkflowEnvironment
	*agents
	w *world
}

func (w *world) run(a *agents, id string) *run {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue})
	workflows.Register(env)
	env.RegisterActivity(a.sequences)
	env.RegisterActivity(a.runs)
	env.RegisterActivity(a.features)
	env.RegisterActivity(a.patterns)
	return &run{env, a, w}
}

// input puts a body into the bucket and asks for it to be mined in small chunks.
func (w *world) input(library string, body []byte, chunkBytes int64) workflows.ProcessPatternsInput {
	o, err := w.bucket.PutBytes(context.Background(), body)
	require.NoError(w.t, err)
	return workflows.ProcessPatternsInput{
		Caller: w.caller, Library: library, ChunkBytes: chunkBytes,
		Source: workflows.SourceRef{Name: "test.log", ObjectKey: o.Key, SHA256: o.SHA256, Bytes: o.Size},
	}
}

func id(in workflows.ProcessPatternsInput) string {
	return workflows.ProcessID(in.Caller.WorkspaceID, in.Library, in.Source.SHA256)
}

// mine runs a workflow to its end, through as many continue-as-new as it takes.
func (w *world) mine(a *agents, in workflows.ProcessPatternsInput) *workflows.ProcessPatternsResult {
	w.t.Helper()
	for {
		r := w.run(a, id(in))
		r.ExecuteWorkflow(workflows.ProcessPatterns, in)
		if next, ok := r.continued(); ok {
			in = next
			continue
		}
		return r.result()
	}
}

func (r *run) result() *workflows.ProcessPatternsResult {
	r.w.t.Helper()
	require.True(r.w.t, r.IsWorkflowCompleted())
	require.NoError(r.w.t, r.GetWorkflowError())
	var out workflows.ProcessPatternsResult
	require.NoError(r.w.t, r.GetWorkflowResult(&out))
	return &out
}

// continued returns the input of the next run if this one continued as new.
func (r *run) continued() (in workflows.ProcessPatternsInput, ok bool) {
	var next *workflow.ContinueAsNewError
	if err := r.GetWorkflowError(); err == nil || !errorAs(err, &next) {
		return in, false
	}
	require.NoError(r.w.t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	return in, true
}

func (r *run) progress() workflows.Progress {
	r.w.t.Helper()
	answer, err := r.QueryWorkflow(workflows.QueryProgress)
	require.NoError(r.w.t, err)
	var p workflows.Progress
	require.NoError(r.w.t, answer.Get(&p))
	return p
}

// projection returns the run as the database has it.
func (w *world) projection(id string) (out postgres.Run) {
	w.t.Helper()
	w.as(func(tx pgx.Tx) (err error) {
		out, err = postgres.RunByID(context.Background(), tx, w.caller.WorkspaceID, id)
		return err
	})
	return out
}

func (w *world) as(fn func(tx pgx.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, postgres.InWorkspace(context.Background(), w.db.Pool, w.caller, fn))
}

// counts returns the lines of each pattern of a library, after checking that all its numbers agree.
func (w *world) counts(library string) map[pattern.ID]int64 {
	w.t.Helper()
	ctx, out := context.Background(), map[pattern.ID]int64{}
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, w.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		if err := postgres.CheckLibrary(ctx, tx, lib.ID); err != nil {
			return err
		}
		var held int64
		if err := tx.QueryRow(ctx, `select coalesce(sum(lines), 0)::bigint from tartan.slot_values where library_id = $1`, lib.ID).Scan(&held); err != nil {
			return err
		}
		if lib.Kind == "text" {
			held = lib.Lines - lib.OtherLines // texts have no slots
		}
		require.Equal(w.t, lib.Lines-lib.OtherLines, held, "the values of each line are summed up once, like its counts")
		for after := ""; ; {
			rows, next, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: lib.ID, Limit: 200, Sort: "name", After: after})
			if err != nil {
				return err
			}
			for _, row := range rows {
				out[row.ID] += row.Lines
			}
			if after = next; after == "" {
				return nil
			}
		}
	})
	return out
}

// oracle counts the records of each pattern in one thread, without chunks, workflow or database.
func oracle(t *testing.T, bodies ...[]byte) map[pattern.ID]int64 {
	t.Helper()
	tally := template.NewTally(template.TallyOptions{})
	for _, body := range bodies {
		r, p := lines.NewReader(bytes.NewReader(body), 0), header.NewParser(time.Now())
		var folder multiline.Folder
		var record multiline.Record
		flush := func() {
			if record.Lines > 0 {
				tally.Add(record.Message, record.Text, 1)
			}
		}
		for line, ok := r.Next(); ok; line, ok = r.Next() {
			h := p.Parse(line)
			if text, head := multiline.LineOf(line, h); folder.Continues(text, r.Offset(), head) {
				record.Add(line, folder.Exception(), r.Offset())
				continue
			}
			flush()
			record.Start(h.Message, line, r.Offset())
		}
		flush()
	}
	lib, out := template.NewLibrary(template.Options{}), map[pattern.ID]int64{}
	var all []template.Shape
	for _, c := range tally.Counted() {
		all = append(all, c.Shape)
	}
	lib.Learn(all)
	for _, c := range tally.Counted() {
		id, ok := lib.PatternOf(c.ID)
		require.True(t, ok)
		out[id] += c.Lines
	}
	return out
}

// someLog makes n lines of a few dozen patterns, most with a time.
func someLog(rnd *rand.Rand, n int) []byte {
	verbs := []string{"opened", "closed", "refused", "timed out", "reset", "accepted", "dropped", "queued"}
	things := []string{"connection", "session", "request", "job", "lease", "stream"}
	var b bytes.Buffer
	at := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	for range n {
		at = at.Add(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		thing, verb := things[rnd.IntN(len(things))], verbs[rnd.IntN(len(verbs))]
		switch rnd.IntN(10) {
		case 0:
			fmt.Fprintf(&b, "%s %s at line %d\n", thing, verb, rnd.IntN(500))
		case 1:
			fmt.Fprintf(&b, "%s %s %s in %dms path=/var/lib/%d\r\n", at.Format(time.RFC3339), thing, verb, rnd.IntN(900), rnd.IntN(50))
		default:
			fmt.Fprintf(&b, "%s %s %d %s by 10.0.%d.%d\n", at.Format(time.RFC3339), thing, rnd.IntN(10_000), verb, rnd.IntN(255), rnd.IntN(255))
		}
	}
	return b.Bytes()
}

func gzipped(t *testing.T, body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zstandard(t *testing.T, body []byte) []byte {
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(body, nil)
}
