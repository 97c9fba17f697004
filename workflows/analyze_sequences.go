package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern/sequence"
)

// AnalyzeSequencesInput asks which pattern follows which in the sources of a library.
type AnalyzeSequencesInput struct {
	Caller     access.Caller  `json:"caller"`
	Library    string         `json:"library"`
	SHA256     string         `json:"sha256,omitempty"`      // of one source; "" is all that the library has
	SessionKey string         `json:"session_key,omitempty"` // "" is to be found
	ChunkBytes int64          `json:"chunk_bytes,omitempty"` // 0 is activities.DefaultChunkBytes
	State      *analysisState `json:"state,omitempty"`       // carried by continue-as-new
}

// AnalyzeSequencesResult sums up an analysis. The whole report is in the database.
type AnalyzeSequencesResult struct {
	Library    string          `json:"library"`
	LibraryID  string          `json:"library_id"`
	SessionKey string          `json:"session_key"` // "" if no slot's values recur across patterns
	Sources    int             `json:"sources"`
	Lines      int64           `json:"lines"`
	Bytes      int64           `json:"bytes"`
	Events     int64           `json:"events"` // lines with a pattern and a session
	Revision   int64           `json:"revision"`
	Report     sequence.Report `json:"report"` // the head of it
}

// AnalyzeSequences reads sources again, one chunk after the other, because what follows what is known only in order. What was learnt
// so far is in the bucket, and so a worker that dies costs one chunk.
func AnalyzeSequences(ctx workflow.Context, in AnalyzeSequencesInput) (*AnalyzeSequencesResult, error) {
	a := newAnalysis(ctx, in)
	if err := a.listen(ctx); err != nil {
		return nil, err
	}
	if err := a.plan(ctx); err != nil {
		return nil, a.end(ctx, err)
	}
	for a.state.Source < len(a.state.Plan.Sources) {
		if err := a.chunk(ctx); err != nil {
			return nil, a.end(ctx, err)
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.State = &a.state
			return nil, workflow.NewContinueAsNewError(ctx, AnalyzeSequences, in)
		}
	}
	return a.report(ctx)
}

// analysis is one run of AnalyzeSequences. Its methods are the steps.
type analysis struct {
	in        AnalyzeSequencesInput
	state     analysisState
	name      string
	sequences *activities.Sequences
	runs      *activities.Runs
}

// analysisState is what a run hands to the one that continues it.
type analysisState struct {
	Plan      *activities.SequencePlan    `json:"plan,omitempty"`
	Source    int                         `json:"source"` // being read
	Offset    int64                       `json:"offset"` // in it
	Learned   activities.LearnedSequences `json:"learned"`
	Paused    bool                        `json:"paused"`
	StartedAt time.Time                   `json:"started_at"`
}

func newAnalysis(ctx workflow.Context, in AnalyzeSequencesInput) *analysis {
	a := &analysis{in: in, name: activities.StateRunning, state: analysisState{StartedAt: workflow.Now(ctx)}}
	a.state.Learned.SessionKey = in.SessionKey
	if in.State != nil {
		a.state = *in.State
	}
	if a.in.ChunkBytes <= 0 {
		a.in.ChunkBytes = activities.DefaultChunkBytes
	}
	return a
}

// listen sets up the query and follows the signals. A pause takes effect between two chunks.
func (a *analysis) listen(ctx workflow.Context) error {
	return listen(ctx, func() Progress { return a.progress(ctx) }, &a.state.Paused)
}

func (a *analysis) progress(ctx workflow.Context) Progress {
	c := a.state.Learned.Counts
	out := Progress{
		State: a.name, Library: a.in.Library, Lines: c.Lines, Bytes: c.Bytes, ChunksDone: c.Chunks, StartedAt: a.state.StartedAt, UpdatedAt: workflow.Now(ctx),
	}
	if a.state.Paused && out.State == activities.StateRunning {
		out.State = activities.StatePaused
	}
	if a.state.Plan != nil {
		for _, s := range a.state.Plan.Sources {
			out.TotalBytes += s.Bytes
			out.ChunksTotal += int((s.Bytes + a.in.ChunkBytes - 1) / a.in.ChunkBytes)
		}
	}
	return out
}

func (a *analysis) plan(ctx workflow.Context) error {
	if a.state.Plan != nil {
		return nil
	}
	var plan activities.SequencePlan
	err := workflow.ExecuteActivity(on(ctx, activities.QueueFeatures, "find the sources", time.Minute), a.sequences.PlanSequences, activities.PlanSequencesInput{
		Caller: a.in.Caller, Library: a.in.Library, SHA256: a.in.SHA256, StartedAt: a.state.StartedAt,
	}).Get(ctx, &plan)
	if err == nil {
		a.state.Plan = &plan
	}
	return err
}

// chunk learns from the next range of the source that is being read.
func (a *analysis) chunk(ctx workflow.Context) error {
	if err := workflow.Await(ctx, func() bool { return !a.state.Paused }); err != nil {
		return err
	}
	src := a.state.Plan.Sources[a.state.Source]
	end := min(a.state.Offset+a.in.ChunkBytes, src.Bytes)
	if end > a.state.Offset {
		var learned activities.LearnedSequences
		summary := fmt.Sprintf("source %d of %d, from byte %d", a.state.Source+1, len(a.state.Plan.Sources), a.state.Offset)
		err := workflow.ExecuteActivity(on(ctx, activities.QueueFeatures, summary, 10*time.Minute), a.sequences.LearnSequences, activities.LearnSequencesInput{
			Caller: a.in.Caller, LibraryID: a.state.Plan.LibraryID, Kind: a.state.Plan.Kind, Source: src, Start: a.state.Offset, End: end,
			SessionKey: a.state.Learned.SessionKey, Learner: a.state.Learned.Learner, Before: a.state.Learned.Counts,
		}).Get(ctx, &learned)
		if err != nil {
			return err
		}
		a.state.Learned = learned
	}
	if a.state.Offset = end; end >= src.Bytes {
		a.state.Source, a.state.Offset = a.state.Source+1, 0
	}
	return nil
}

// report stores what was found and sums up.
func (a *analysis) report(ctx workflow.Context) (*AnalyzeSequencesResult, error) {
	plan, learned := a.state.Plan, a.state.Learned
	out := &AnalyzeSequencesResult{
		Library: a.in.Library, LibraryID: plan.LibraryID.String(), SessionKey: learned.SessionKey, Sources: len(plan.Sources),
		Lines: learned.Counts.Lines, Bytes: learned.Counts.Bytes, Events: learned.Counts.Events, Revision: plan.Revision,
	}
	err := workflow.ExecuteActivity(on(ctx, activities.QueueFeatures, "judge what was learnt", time.Minute), a.sequences.ReportSequences, activities.ReportSequencesInput{
		Mark: a.markAs(activities.StateCompleted, ""), LibraryID: plan.LibraryID, Revision: plan.Revision, Sources: len(plan.Sources), Learned: learned,
	}).Get(ctx, &out.Report)
	if err != nil {
		return nil, a.end(ctx, err)
	}
	a.name = activities.StateCompleted
	return out, nil
}

func (a *analysis) markAs(state, reason string) activities.MarkInput {
	return activities.MarkInput{Caller: a.in.Caller, Library: a.in.Library, State: state, Error: reason, StartedAt: a.state.StartedAt}
}

// end records a failure or a cancellation and returns what the workflow ends with.
func (a *analysis) end(ctx workflow.Context, err error) error {
	err = failure(err)
	state, reason := activities.StateCancelled, ""
	if !temporal.IsCanceledError(err) {
		state, reason = activities.StateFailed, words(err)
	}
	calm, _ := workflow.NewDisconnectedContext(ctx)
	if e := quickly(calm, a.runs.MarkRun, a.markAs(state, reason), nil); e != nil {
		workflow.GetLogger(ctx).Warn("state of the run not recorded", "state", state, "error", e)
	}
	a.name = state
	return err
}
