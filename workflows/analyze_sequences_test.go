package workflows_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/pattern/sequence"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// requestLog makes requests that overlap, each with an id: opened, read once or more, closed; one is refused and one never closed.
func requestLog(rnd *rand.Rand, n int) []byte {
	type request struct {
		id    string
		steps []string
	}
	var (
		b    bytes.Buffer
		live []request
		at   = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	)
	for i := 0; i < n || len(live) > 0; {
		if i < n && len(live) < 6 {
			steps := []string{"request opened", "row read"}
			for range rnd.IntN(3) {
				steps = append(steps, "row read")
			}
			steps = append(steps, "request closed")
			switch i {
			case n / 3:
				steps = []string{"request opened", "permission refused", "request closed"}
			case n / 2:
				steps = []string{"request opened", "row read"}
			}
			live = append(live, request{fmt.Sprintf("%08x%08x", rnd.Uint32(), i), steps})
			i++
		}
		k := rnd.IntN(len(live))
		at = at.Add(time.Duration(1+rnd.IntN(500)) * time.Millisecond)
		fmt.Fprintf(&b, "%s %s trace_id=%s in %dms\n", at.Format(time.RFC3339Nano), live[k].steps[0], live[k].id, rnd.IntN(90))
		if live[k].steps = live[k].steps[1:]; len(live[k].steps) == 0 {
			live = append(live[:k], live[k+1:]...)
		}
	}
	return b.Bytes()
}

// analyze runs AnalyzeSequences to its end.
func (w *world) analyze(a *agents, in workflows.AnalyzeSequencesInput, prepare func(*run)) *workflows.AnalyzeSequencesResult {
	w.t.Helper()
	r := w.run(a, workflows.SequencesID(in.Caller.WorkspaceID, in.Library, in.SHA256, in.SessionKey))
	if prepare != nil {
		prepare(r)
	}
	r.ExecuteWorkflow(workflows.AnalyzeSequences, in)
	require.True(w.t, r.IsWorkflowCompleted())
	require.NoError(w.t, r.GetWorkflowError())
	var out workflows.AnalyzeSequencesResult
	require.NoError(w.t, r.GetWorkflowResult(&out))
	return &out
}

func TestAnalyzeSequences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agents()
	body := requestLog(rand.New(rand.NewPCG(3, 1)), 300)
	mined := w.mine(a, w.input("app", body, 1<<20))
	in := workflows.AnalyzeSequencesInput{Caller: w.caller, Library: "app", ChunkBytes: 8_000}
	out := w.analyze(a, in, nil)
	require.Equal(t, "trace_id", out.SessionKey, "found by itself")
	require.EqualValues(t, mined.Lines, out.Lines)
	require.EqualValues(t, mined.Lines, out.Events)
	require.EqualValues(t, len(body), out.Bytes)
	require.EqualValues(t, 300, out.Report.Sessions)
	require.Len(t, out.Report.Breaks, 2, "%+v", out.Report.Breaks)

	// The whole is in the database, and the run is told to be complete.
	id := workflows.SequencesID(w.caller.WorkspaceID, "app", "", "")
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(context.Background(), tx, w.caller.WorkspaceID, "app")
		require.NoError(t, err)
		stored, err := postgres.SequenceReportOf(context.Background(), tx, lib.ID, id)
		require.NoError(t, err)
		require.Equal(t, out.Report.Breaks, stored.Report.Breaks)
		require.Equal(t, "trace_id", stored.SessionKey)
		require.Equal(t, lib.Revision, stored.Revision)
		return nil
	})
	row := w.projection(id)
	require.Equal(t, postgres.RunCompleted, row.State)
	require.Equal(t, out.Lines, row.Lines)
	require.Equal(t, (len(body)+7_999)/8_000, row.ChunksDone)

	// In other chunks, with a key that is given, and with an activity that fails on the way: the same.
	in.ChunkBytes, in.SessionKey = 1<<20, "trace_id"
	again := w.analyze(a, in, nil)
	require.Equal(t, out.Report, again.Report)
	in.ChunkBytes = 8_000
	calls := 0
	again = w.analyze(a, in, func(r *run) {
		r.OnActivity(a.sequences.LearnSequences, mock.Anything, mock.Anything).Return(
			func(ctx context.Context, in activities.LearnSequencesInput) (*activities.LearnedSequences, error) {
				if calls++; calls == 2 {
					_, _ = a.sequences.LearnSequences(ctx, in) // done, and its word lost
					return nil, errors.New("the worker died")
				}
				return a.sequences.LearnSequences(ctx, in)
			})
	})
	require.Equal(t, out.Report, again.Report)
	require.Equal(t, out.Lines, w.projection(workflows.SequencesID(w.caller.WorkspaceID, "app", "", "trace_id")).Lines)
}

func TestAnalyzeSequencesOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agents()
	r := w.run(a, "sequences/"+w.caller.WorkspaceID.String()+"/none/all/auto")
	r.ExecuteWorkflow(workflows.AnalyzeSequences, workflows.AnalyzeSequencesInput{Caller: w.caller, Library: "none"})
	var app *temporal.ApplicationError
	require.ErrorAs(t, r.GetWorkflowError(), &app)
	require.Equal(t, activities.WrongLibrary, app.Type())

	// Lines without sessions have no sequences, and that is no failure.
	w.mine(a, w.input("plain", []byte("a b c\nd e f\n"), 1<<20))
	out := w.analyze(a, workflows.AnalyzeSequencesInput{Caller: w.caller, Library: "plain"}, nil)
	require.Equal(t, "", out.SessionKey)
	require.Zero(t, out.Events)
	require.Equal(t, sequence.Report{Habits: []sequence.Habit{}, Breaks: []sequence.Break{}}, out.Report)
}

func TestAnalyzeSequencesCanBePausedAndCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agents()
	w.mine(a, w.input("app", requestLog(rand.New(rand.NewPCG(3, 1)), 50), 1<<20))
	r := w.run(a, workflows.SequencesID(w.caller.WorkspaceID, "app", "", ""))
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(workflows.SignalPause, nil) }, 0)
	r.RegisterDelayedCallback(func() {
		require.Equal(t, activities.StatePaused, r.progress().State)
		r.CancelWorkflow()
	}, time.Hour)
	r.ExecuteWorkflow(workflows.AnalyzeSequences, workflows.AnalyzeSequencesInput{Caller: w.caller, Library: "app", ChunkBytes: 1000})
	require.True(t, temporal.IsCanceledError(r.GetWorkflowError()))
	require.Equal(t, postgres.RunCancelled, w.projection(workflows.SequencesID(w.caller.WorkspaceID, "app", "", "")).State)
}
