package workflows_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

func errorAs[T error](err error, target *T) bool { return errors.As(err, target) }

// extracting calls before with the number of the call, from 1, and then the real activity unless before failed.
func (r *run) extracting(before func(call int) error) {
	var mu sync.Mutex
	calls := 0
	r.OnActivity(r.features.ExtractFeatures, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.ExtractInput) (*activities.Extracted, error) {
			mu.Lock()
			calls++
			err := before(calls)
			mu.Unlock()
			if err != nil {
				return nil, err
			}
			return r.features.ExtractFeatures(ctx, in)
		})
}

// committing calls after with the number of the call, from 1, once the real activity is through.
func (r *run) committing(after func(call int) error) {
	var mu sync.Mutex
	calls := 0
	r.OnActivity(r.patterns.CommitChunk, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.CommitInput) (*activities.Committed, error) {
			out, err := r.patterns.CommitChunk(ctx, in)
			mu.Lock()
			defer mu.Unlock()
			calls++
			if e := after(calls); e != nil {
				return nil, e
			}
			return out, err
		})
}

func TestCountsEqualTheOracle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(1, 1)), 3000)
	in := w.input("web", body, 20_000)
	r := w.run(w.agents(), id(in))
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	got := r.result()

	want := oracle(t, body)
	require.Equal(t, want, w.counts("web"))
	require.EqualValues(t, 3000, got.Lines)
	require.EqualValues(t, len(body), got.Bytes)
	require.EqualValues(t, len(want), got.Patterns)
	require.Equal(t, (len(body)+19_999)/20_000, got.Chunks)
	require.Positive(t, got.Untimed)
	require.Positive(t, got.Revision)
	require.False(t, got.Already)

	p := r.progress()
	require.Equal(t, activities.StateCompleted, p.State)
	require.Equal(t, got.Lines, p.Lines)
	require.Equal(t, got.Chunks, p.ChunksDone)
	require.Zero(t, p.ChunksRunning)
	stored := w.projection(id(in))
	require.Equal(t, postgres.RunCompleted, stored.State)
	require.Equal(t, got.Lines, stored.Lines)
	require.Equal(t, got.Chunks, stored.ChunksDone)
	require.NotNil(t, stored.FinishedAt)

	again := w.mine(w.agents(), in)
	require.True(t, again.Already)
	require.Equal(t, got.Lines, again.Lines)
	require.Equal(t, want, w.counts("web"), "the same source twice counts once")
}

func TestSourcesOfEveryKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(2, 2)), 400)
	want := oracle(t, body)
	for name, stored := range map[string][]byte{"plain": body, "gzip": gzipped(t, body), "zstd": zstandard(t, body)} {
		got := w.mine(w.agents(), w.input(name, stored, 7000))
		require.EqualValues(t, 400, got.Lines, name)
		require.EqualValues(t, len(body), got.Bytes, name)
		require.Equal(t, want, w.counts(name), name)
	}

	in := workflows.ProcessPatternsInput{Caller: w.caller, Library: "inline", Source: workflows.SourceRef{Name: "paste", Inline: body}}
	require.EqualValues(t, 400, w.mine(w.agents(), in).Lines)
	require.Equal(t, want, w.counts("inline"))

	in = workflows.ProcessPatternsInput{Caller: w.caller, Library: "empty", Source: workflows.SourceRef{Name: "empty"}}
	got := w.mine(w.agents(), in)
	require.Zero(t, got.Lines)
	require.Zero(t, got.Chunks)
}

func TestFailedActivitiesAreRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(3, 3)), 1000)
	in := w.input("web", body, 10_000)
	r := w.run(w.agents(), id(in))
	passing := temporal.NewApplicationError("connection reset", activities.Unavailable)
	r.extracting(func(call int) error {
		switch call {
		case 2:
			return passing
		case 4:
			return temporal.NewHeartbeatTimeoutError()
		}
		return nil
	})
	r.committing(func(call int) error { // committed, but the answer is lost
		if call%3 == 0 {
			return passing
		}
		return nil
	})
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	require.EqualValues(t, 1000, r.result().Lines)
	require.Equal(t, oracle(t, body), w.counts("web"))
}

func TestQuickStepFallsBackToARetriedOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(4, 4)), 50)
	in := w.input("web", body, 0)
	r := w.run(w.agents(), id(in))
	calls := 0
	r.OnActivity(r.runs.InspectSource, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.InspectInput) (*activities.Inspected, error) {
			if calls++; calls < 4 {
				return nil, temporal.NewApplicationError("the database is starting", activities.Unavailable)
			}
			return r.runs.InspectSource(ctx, in)
		})
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	require.EqualValues(t, 50, r.result().Lines)
	require.Equal(t, 4, calls)
}

func TestPanicIsNotRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.input("web", someLog(rand.New(rand.NewPCG(5, 5)), 50), 0)
	r := w.run(w.agents(), id(in))
	calls := 0
	r.extracting(func(call int) error { calls = call; panic("a fault of the program") })
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	require.ErrorContains(t, r.GetWorkflowError(), "a fault of the program")
	require.Equal(t, 1, calls)
	require.Equal(t, postgres.RunFailed, w.projection(id(in)).State)
}

func TestLostTallyIsExtractedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(6, 6)), 300)
	in := w.input("web", body, 5000)
	r := w.run(w.agents(), id(in))
	lost := false
	r.OnActivity(r.patterns.CommitChunk, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.CommitInput) (*activities.Committed, error) {
			if in.Seq == 1 && !lost {
				lost = true
				in.Extracted.Tally = bucket.Key(strings.Repeat("0", 64))
			}
			return r.patterns.CommitChunk(ctx, in)
		})
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	require.EqualValues(t, 300, r.result().Lines)
	require.True(t, lost)
	require.Equal(t, oracle(t, body), w.counts("web"))
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(7, 7)), 1500)
	in := w.input("web", body, 10_000)
	in.Window = 2
	r := w.run(w.agents(), id(in))
	r.extracting(func(call int) error {
		if call == 3 {
			r.SignalWorkflow(workflows.SignalPause, nil)
		}
		return nil
	})
	var paused workflows.Progress
	r.RegisterDelayedCallback(func() { // time is skipped to here once nothing runs any more
		paused = r.progress()
		require.Equal(t, postgres.RunPaused, w.projection(id(in)).State)
		r.SignalWorkflow(workflows.SignalResume, nil)
	}, time.Hour)
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	require.EqualValues(t, 1500, r.result().Lines)

	require.Equal(t, activities.StatePaused, paused.State)
	require.Zero(t, paused.ChunksRunning, "running chunks finish")
	require.GreaterOrEqual(t, paused.ChunksDone, 3)
	require.Less(t, paused.ChunksDone, paused.ChunksTotal)
	require.Equal(t, postgres.RunCompleted, w.projection(id(in)).State)
	require.Equal(t, oracle(t, body), w.counts("web"))
}

func TestCancelledRunContinuesWithWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(8, 8)), 1500)
	in := w.input("web", body, 10_000)
	in.Window = 2
	r := w.run(w.agents(), id(in))
	r.committing(func(call int) error {
		if call == 3 {
			r.CancelWorkflow()
		}
		return nil
	})
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	require.True(t, temporal.IsCanceledError(r.GetWorkflowError()), "%v", r.GetWorkflowError())
	require.Equal(t, activities.StateCancelled, r.progress().State)
	require.Zero(t, r.progress().ChunksRunning)
	stored := w.projection(id(in))
	require.Equal(t, postgres.RunCancelled, stored.State)
	require.GreaterOrEqual(t, stored.ChunksDone, 3)
	require.Less(t, stored.ChunksDone, stored.ChunksTotal)

	in.ChunkBytes = 999 // the plan of the ledger stays
	second := w.run(w.agents(), id(in))
	extracted := 0
	second.extracting(func(call int) error { extracted = call; return nil })
	second.ExecuteWorkflow(workflows.ProcessPatterns, in)
	got := second.result()
	require.EqualValues(t, 1500, got.Lines)
	require.Equal(t, got.Chunks-stored.ChunksDone, extracted)
	require.False(t, got.Already)
	require.Equal(t, postgres.RunCompleted, w.projection(id(in)).State)
	require.Equal(t, oracle(t, body), w.counts("web"))
}

func TestFailedChunkStopsTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(9, 9)), 1500)
	in := w.input("web", body, 10_000)
	r := w.run(w.agents(), id(in))
	r.extracting(func(call int) error {
		if call == 4 {
			return temporal.NewNonRetryableApplicationError("the object is gone", activities.SourceMissing, nil)
		}
		return nil
	})
	r.ExecuteWorkflow(workflows.ProcessPatterns, in)
	requireFailure(t, r, activities.SourceMissing, "the object is gone")
	stored := w.projection(id(in))
	require.Equal(t, postgres.RunFailed, stored.State)
	require.Equal(t, "the object is gone", stored.Error)

	require.EqualValues(t, 1500, w.mine(w.agents(), in).Lines)
	require.Equal(t, oracle(t, body), w.counts("web"))
}

func requireFailure(t *testing.T, r *run, kind, message string) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, r.GetWorkflowError(), &app)
	require.Equal(t, kind, app.Type())
	require.Contains(t, app.Message(), message)
}

func TestBadSourcesFailAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(10, 10)), 500)
	good := w.input("web", body, 0)
	zipped := gzipped(t, body)
	missing := good
	missing.Source.SHA256 = strings.Repeat("ab", 32)
	missing.Source.ObjectKey = bucket.Key(missing.Source.SHA256)
	mixed := good
	mixed.Source.SHA256 = missing.Source.SHA256
	badName := good
	badName.Library = "no/such name"
	stranger := good
	stranger.Caller.UserID = uuid.New()
	nobody := good
	nobody.Caller = access.Caller{}
	otherKind := good
	otherKind.Library = "numbers"
	w.as(func(tx pgx.Tx) error {
		_, err := postgres.EnsureLibrary(context.Background(), tx, w.caller.WorkspaceID, "numbers", "series")
		return err
	})
	for name, c := range map[string]struct {
		in            workflows.ProcessPatternsInput
		kind, message string
	}{
		"missing":      {missing, activities.SourceMissing, "upload the source again"},
		"mixed up":     {mixed, activities.SourceUnreadable, "upload it again"},
		"cut gzip":     {w.input("web", zipped[:len(zipped)/2], 0), activities.SourceUnreadable, "gzip -t"},
		"broken gzip":  {w.input("web", append(bytes.Clone(zipped[:8]), "not deflate at all"...), 0), activities.SourceUnreadable, "gzip -t"},
		"broken zstd":  {w.input("web", append([]byte{0x28, 0xb5, 0x2f, 0xfd}, "nonsense"...), 0), activities.SourceUnreadable, "zstd -t"},
		"library name": {badName, activities.WrongLibrary, "letters, digits"},
		"kind":         {otherKind, activities.WrongLibrary, "kind lines"},
		"not a member": {stranger, activities.Denied, "role editor"},
		"not a caller": {nobody, activities.Denied, "role editor"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.run(w.agents(), id(c.in)+name)
			r.ExecuteWorkflow(workflows.ProcessPatterns, c.in)
			requireFailure(t, r, c.kind, c.message)
			require.Less(t, time.Until(r.Now()), time.Minute, "no retries")
		})
	}
}

func TestContinueAsNewKeepsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := someLog(rand.New(rand.NewPCG(11, 11)), 2000)
	in := w.input("web", body, 8000)
	a := w.agents()
	workflowID, started, runs := id(in), time.Time{}, 0
	for {
		r := w.run(a, workflowID)
		paused := false
		r.committing(func(call int) error {
			if call == 3 {
				r.SetContinueAsNewSuggested(true)
			}
			if call == 4 && runs == 1 { // the pause comes along
				paused = true
				r.SignalWorkflow(workflows.SignalPause, nil)
			}
			return nil
		})
		if in.State != nil {
			r.RegisterDelayedCallback(func() { r.SignalWorkflow(workflows.SignalResume, nil) }, time.Hour)
		}
		r.ExecuteWorkflow(workflows.ProcessPatterns, in)
		runs++
		p := r.progress()
		if started.IsZero() {
			started = p.StartedAt
		}
		require.Equal(t, started, p.StartedAt)
		next, ok := r.continued()
		if !ok {
			require.EqualValues(t, 2000, r.result().Lines)
			break
		}
		require.NotNil(t, next.State)
		require.Zero(t, p.ChunksRunning)
		_ = paused
		in = next
	}
	require.Greater(t, runs, 2)
	require.Equal(t, oracle(t, body), w.counts("web"))
	require.Equal(t, postgres.RunCompleted, w.projection(workflowID).State)
}

// Two workers mine several sources into one library at once, in chunks of any size: each line is counted once, under
// the pattern that a single thread finds for it.
func TestManyWorkflowsOneLibrary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	workers := []*agents{w.agents(), w.agents()}
	var bodies [][]byte
	var wg sync.WaitGroup
	for i := range 5 {
		body := someLog(rnd, 300+rnd.IntN(1500))
		bodies = append(bodies, body)
		if i%3 == 1 {
			body = gzipped(t, body)
		} else if i%3 == 2 {
			body = zstandard(t, body)
		}
		in := w.input("web", body, 3000+rnd.Int64N(30_000))
		in.Window = 1 + rnd.IntN(4)
		wg.Go(func() { w.mine(workers[i%2], in) })
	}
	wg.Wait()
	require.Equal(t, oracle(t, bodies...), w.counts("web"), "seed %d", seed)
}
