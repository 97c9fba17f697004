package workers_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

var (
	bigLines = flag.Int("lines", 0, "lines of the big source; 0 leaves it out")
	windowN  = flag.Int("window", 0, "chunks at once; 0 is the default")
	chunkMiB = flag.Int64("chunk-mib", 0, "size of a chunk; 0 is the default")
)

// evalDataVar names a folder with *.content files, one message a line, to make sources from real messages.
const evalDataVar = "TARTAN_EVAL_DATA"

// messages returns the messages that sources are made of.
func messages(t testing.TB) [][]byte {
	var out [][]byte
	if dir := os.Getenv(evalDataVar); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*.content"))
		require.NoError(t, err)
		require.NotEmpty(t, files, "no *.content in "+dir)
		for _, file := range files {
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			out = append(out, bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))...)
		}
		return out
	}
	verbs := []string{"opened", "closed", "refused", "timed out", "reset", "accepted", "dropped", "queued", "retried", "expired"}
	things := []string{"connection", "session", "request", "job", "lease", "stream", "block", "replica", "token", "volume"}
	for i := range 16_000 {
		out = append(out, fmt.Appendf(nil, "%s %d %s by 10.0.%d.%d:%d after %d ms, path=/var/lib/%s/%d size %d bytes",
			things[i%10], i*7919%100_000, verbs[i/10%10], i%250, i%199, 1024+i, i%900, things[i/100%10], i%50, i*31))
	}
	return out
}

// generated is a stream of n lines: messages with rising times in front, eight lines a millisecond.
type generated struct {
	messages [][]byte
	at       time.Time
	i, n     int
	left     []byte
	buf      []byte
}

func generate(messages [][]byte, from, n int) *generated {
	return &generated{messages: messages, at: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), i: from, n: from + n}
}

func (g *generated) Read(p []byte) (int, error) {
	if len(g.left) == 0 {
		g.buf = g.buf[:0]
		for ; g.i < g.n && len(g.buf) < 128<<10; g.i++ {
			g.buf = g.at.Add(time.Duration(g.i/8)*time.Millisecond).AppendFormat(g.buf, "2006-01-02T15:04:05.000Z")
			g.buf = append(append(append(g.buf, " INFO "...), g.messages[g.i%len(g.messages)]...), '\n')
		}
		if g.left = g.buf; len(g.left) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, g.left)
	g.left = g.left[n:]
	return n, nil
}

func (s *stack) input(library string, o bucket.Object) workflows.ProcessPatternsInput {
	return workflows.ProcessPatternsInput{
		Caller: s.caller, Library: library, ChunkBytes: *chunkMiB << 20, Window: *windowN,
		Source: workflows.SourceRef{Name: "generated", ObjectKey: o.Key, SHA256: o.SHA256, Bytes: o.Size},
	}
}

// mine starts a workflow and waits for its result.
func (s *stack) mine(in workflows.ProcessPatternsInput) (workflows.Status, time.Duration) {
	s.t.Helper()
	began := time.Now()
	id, _, _, err := workflows.StartProcess(context.Background(), s.client, in)
	require.NoError(s.t, err)
	status, err := workflows.Wait(context.Background(), s.client, id, time.Second, nil)
	require.NoError(s.t, err)
	require.Equal(s.t, activities.StateCompleted, status.State, "%+v", status.Failure)
	return status, time.Since(began)
}

// activityTimes returns how many milliseconds the activities of the agents took from start to close, as Temporal saw
// them, by name.
func (s *stack) activityTimes(id string) map[string][]float64 {
	out, scheduled, started := map[string][]float64{}, map[int64]string{}, map[int64]time.Time{}
	events := s.client.GetWorkflowHistory(context.Background(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(s.t, err)
		at := e.GetEventTime().AsTime()
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			scheduled[e.GetEventId()] = a.GetActivityType().GetName()
		}
		if a := e.GetActivityTaskStartedEventAttributes(); a != nil {
			started[e.GetEventId()] = at
		}
		if a := e.GetActivityTaskCompletedEventAttributes(); a != nil {
			name := scheduled[a.GetScheduledEventId()]
			out[name] = append(out[name], float64(at.Sub(started[a.GetStartedEventId()]).Microseconds())/1000)
		}
	}
	return out
}

// reportActivities reports the median and the 95th percentile of each activity.
func reportActivities(b *testing.B, times map[string][]float64) {
	for unit, name := range map[string]string{"extract": "ExtractFeatures", "commit": "CommitChunk"} {
		b.ReportMetric(percentile(times[name], .5), unit+"-p50-ms")
		b.ReportMetric(percentile(times[name], .95), unit+"-p95-ms")
	}
}

func percentile(values []float64, p float64) float64 {
	slices.Sort(values)
	return values[min(len(values)-1, int(p*float64(len(values))))]
}

// BenchmarkThousandLines measures a workflow over 1,000 new lines, from the call that starts it to its result in hand.
//
//	go test ./workers -run XXX -bench ThousandLines -benchtime 300x
func BenchmarkThousandLines(b *testing.B) {
	s, all := newStack(b), messages(b)
	worker := s.worker()
	var took []float64
	agents := map[string][]float64{}
	round := 0
	next := func() {
		round++
		o, err := s.bucket.Put(context.Background(), generate(all, round*1000, 1000))
		require.NoError(b, err)
		status, d := s.mine(s.input("bench", o))
		require.EqualValues(b, 1000, status.Result.Lines)
		took = append(took, float64(d.Microseconds())/1000)
		for name, times := range s.activityTimes(status.WorkflowID) {
			agents[name] = append(agents[name], times...)
		}
	}
	for range 20 {
		next()
	}
	took = nil
	clear(agents)
	before := worker.cpu()
	for b.Loop() {
		next()
	}
	b.ReportMetric((worker.cpu()-before)*1000/float64(len(took)), "worker-cpu-ms/op")
	b.ReportMetric(percentile(took, .5), "p50-ms")
	b.ReportMetric(percentile(took, .99), "p99-ms")
	reportActivities(b, agents)
}

// BenchmarkBigSource mines one large source and checks every count against a single thread.
//
//	go test ./workers -run XXX -bench BigSource -benchtime 1x -lines 10000000
func BenchmarkBigSource(b *testing.B) {
	if *bigLines == 0 {
		b.Skip("give -lines, 10000000 makes 1 GB")
	}
	s, all := newStack(b), messages(b)
	worker := s.worker()
	s.mine(s.input("warm", s.put(generate(all, 0, 1000))))
	for i := 0; b.Loop(); i++ {
		o := s.put(generate(all, i, *bigLines))
		before := worker.cpu()
		status, d := s.mine(s.input("big", o))
		require.EqualValues(b, *bigLines, status.Result.Lines)
		reportActivities(b, s.activityTimes(status.WorkflowID))
		b.ReportMetric(float64(*bigLines)/d.Seconds(), "lines/s")
		b.ReportMetric(worker.peak(), "worker-peak-MB")
		b.ReportMetric((worker.cpu()-before)*1e9/float64(*bigLines), "worker-cpu-ns/line")
		b.Logf("%+v", *status.Result)
		if i == 0 {
			require.Equal(b, s.oracle(o), s.counts("big"))
		}
	}
}

func (s *stack) put(r io.Reader) bucket.Object {
	o, err := s.bucket.Put(context.Background(), r)
	require.NoError(s.t, err)
	return o
}

// oracle counts the lines of each pattern of an object in one thread.
func (s *stack) oracle(objects ...bucket.Object) map[pattern.ID]int64 {
	s.t.Helper()
	tally, p := template.NewTally(template.TallyOptions{}), header.NewParser(time.Now())
	for _, o := range objects {
		body, err := s.bucket.Range(context.Background(), o.Key, 0, -1)
		require.NoError(s.t, err)
		defer body.Close()
		r := lines.NewReader(body, 0)
		for line, ok := r.Next(); ok; line, ok = r.Next() {
			h := p.Parse(line)
			tally.Add(h.Message, line, 1)
		}
	}
	lib, out := template.NewLibrary(template.Options{}), map[pattern.ID]int64{}
	counted := tally.Counted()
	var shapes []template.Shape
	for _, c := range counted {
		shapes = append(shapes, c.Shape)
	}
	assigned := lib.Learn(shapes).Assigned
	for i, a := range assigned {
		id, _ := lib.PatternOf(a.Shape)
		out[id] += counted[i].Lines
	}
	return out
}

// counts returns the lines of each pattern of a library, after checking that all its numbers agree.
func (s *stack) counts(library string) map[pattern.ID]int64 {
	s.t.Helper()
	ctx, out := context.Background(), map[pattern.ID]int64{}
	require.NoError(s.t, postgres.InWorkspace(ctx, s.db.Pool, s.caller, func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, s.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		if err := postgres.CheckLibrary(ctx, tx, lib.ID); err != nil {
			return err
		}
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
	}))
	return out
}
