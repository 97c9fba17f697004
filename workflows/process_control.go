package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
)

// The query and the signals of ProcessPatterns.
const (
	QueryProgress = "progress"
	SignalPause   = "pause"
	SignalResume  = "resume"
)

// Progress is how far a run is.
type Progress struct {
	State         string    `json:"state"` // one of the states in activities
	Library       string    `json:"library"`
	SourceName    string    `json:"source_name"`
	Lines         int64     `json:"lines"`
	Bytes         int64     `json:"bytes"`
	TotalBytes    int64     `json:"total_bytes"` // 0 until known
	Patterns      int64     `json:"patterns"`    // of the library, as of the latest commit
	NewPatterns   int64     `json:"new_patterns"`
	OtherLines    int64     `json:"other_lines"`
	Untimed       int64     `json:"untimed"`
	Continued     int64     `json:"continued"`
	Truncated     int64     `json:"truncated"`
	ChunksDone    int       `json:"chunks_done"`
	ChunksRunning int       `json:"chunks_running"`
	ChunksTotal   int       `json:"chunks_total"` // 0 until known
	LinesPerSec   float64   `json:"lines_per_second"`
	StartedAt     time.Time `json:"started_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// listen sets up the query and follows the signals. A pause keeps new chunks from starting; those on their way finish.
func (p *process) listen(ctx workflow.Context) error {
	return listen(ctx, func() Progress { return p.progress(ctx) }, &p.state.Paused)
}

// listen answers the query for progress and notes in paused what the signals say.
func listen(ctx workflow.Context, progress func() Progress, paused *bool) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryProgress, func() (Progress, error) { return progress(), nil },
		workflow.QueryHandlerOptions{Description: "How far the run is."})
	if err != nil {
		return err
	}
	pause, resume := workflow.GetSignalChannel(ctx, SignalPause), workflow.GetSignalChannel(ctx, SignalResume)
	workflow.GoNamed(ctx, "signals", func(ctx workflow.Context) {
		heard := workflow.NewSelector(ctx)
		heard.AddReceive(pause, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil); *paused = true })
		heard.AddReceive(resume, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil); *paused = false })
		for ctx.Err() == nil {
			heard.Select(ctx)
		}
	})
	return nil
}

func (p *process) progress(ctx workflow.Context) Progress {
	s := p.state
	out := Progress{
		State: p.name, Library: p.in.Library, SourceName: p.in.Source.Name,
		Lines: s.Totals.Lines, Bytes: s.Totals.Bytes, Patterns: s.Patterns, NewPatterns: s.Totals.NewPatterns,
		OtherLines: s.Totals.OtherLines, Untimed: s.Totals.Untimed, Continued: s.Totals.Continued, Truncated: s.Truncated,
		ChunksDone: s.Totals.Chunks, ChunksRunning: p.running, StartedAt: s.StartedAt, UpdatedAt: workflow.Now(ctx),
	}
	if s.Paused && out.State == activities.StateRunning {
		out.State = activities.StatePaused
	}
	if s.Source != nil {
		out.TotalBytes, out.ChunksTotal = s.Source.Bytes, s.Source.Chunks
		if seconds := out.UpdatedAt.Sub(s.StartedAt).Seconds(); seconds > 0 {
			out.LinesPerSec = float64(s.Totals.Lines-s.Source.Totals.Lines) / seconds
		}
	}
	return out
}

// mark brings the projection to whether the run is paused.
func (p *process) mark(ctx workflow.Context) error {
	paused, state := p.state.Paused, activities.StateRunning
	if paused {
		state = activities.StatePaused
	}
	if err := quickly(ctx, p.runs.MarkRun, p.markAs(state, ""), nil); err != nil {
		return err
	}
	p.state.Marked = paused
	return nil
}

func (p *process) markAs(state, reason string) activities.MarkInput {
	return activities.MarkInput{
		Caller: p.in.Caller, Library: p.in.Library, SourceName: p.in.Source.Name, State: state, Error: reason, StartedAt: p.state.StartedAt,
	}
}

// end records a failure or a cancellation and returns what the workflow ends with. What is committed stays counted, and
// the same workflow can be started again for the rest.
func (p *process) end(ctx workflow.Context, err error) error {
	err = failure(err)
	state, reason := activities.StateCancelled, ""
	if !temporal.IsCanceledError(err) {
		state, reason = activities.StateFailed, words(err)
	}
	calm, _ := workflow.NewDisconnectedContext(ctx)
	if e := quickly(calm, p.runs.MarkRun, p.markAs(state, reason), nil); e != nil {
		workflow.GetLogger(ctx).Warn("state of the run not recorded", "state", state, "error", e)
	}
	p.name = state
	return err
}

// continueAsNew starts a run with an empty history that goes on where this one is.
func (p *process) continueAsNew(ctx workflow.Context) error {
	for _, c := range []struct {
		signal string
		paused bool
	}{{SignalPause, true}, {SignalResume, false}} {
		for workflow.GetSignalChannel(ctx, c.signal).ReceiveAsync(nil) { // not yet heard, and lost if left
			p.state.Paused = c.paused
		}
	}
	in := p.in
	in.State = &p.state
	if p.texts != nil {
		return p.texts.continueAsNew(ctx, in)
	}
	return workflow.NewContinueAsNewError(ctx, ProcessPatterns, in)
}

// finish records the end and sums up.
func (p *process) finish(ctx workflow.Context) (*ProcessPatternsResult, error) {
	calm, _ := workflow.NewDisconnectedContext(ctx) // all is counted: too late to cancel
	src := p.state.Source
	var done activities.Finished
	if err := quickly(calm, p.runs.FinishRun, activities.FinishInput{Mark: p.markAs(activities.StateCompleted, ""), LibraryID: src.LibraryID}, &done); err != nil {
		return nil, failure(err)
	}
	p.name, p.state.Patterns = activities.StateCompleted, done.Patterns
	return &ProcessPatternsResult{
		Library: p.in.Library, LibraryID: src.LibraryID.String(), SourceID: src.SourceID.String(),
		Lines: done.Totals.Lines, Bytes: done.Totals.Bytes, Patterns: done.Patterns, NewPatterns: done.Totals.NewPatterns,
		OtherLines: done.Totals.OtherLines, Untimed: done.Totals.Untimed, Continued: done.Totals.Continued, Truncated: p.state.Truncated,
		Chunks: src.Chunks, Revision: done.Revision, Already: src.Chunks > 0 && src.Totals.Chunks == src.Chunks,
	}, nil
}
