package workflows

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
)

// ImportKnowledgeInput asks for entries to be brought into a space. The source is an object in the bucket: JSON lines as
// the package vault writes them.
type ImportKnowledgeInput struct {
	Caller access.Caller `json:"caller"`
	Space  string        `json:"space"`
	Source SourceRef     `json:"source"`
	Reason string        `json:"reason,omitempty"`
	Files  string        `json:"files,omitempty"`  // key of the object that lists the files that are no entries; "" is none
	Window int           `json:"window,omitempty"` // batches at once; 0 is DefaultWindow
	State  *importState  `json:"state,omitempty"`  // carried by continue-as-new
}

// ImportKnowledgeResult sums up an import. Review holds the change sets that wait for a person, at most 50.
type ImportKnowledgeResult struct {
	activities.ImportReport
	Review []uuid.UUID `json:"review"`
}

// importKnowledge is the name of the workflow type.
const importKnowledge = "ImportKnowledge"

// The phases of an import: all is stored before anything is published, so that entries may link to each other in any order.
const (
	phaseStage   = "stage"
	phasePublish = "publish"
)

// importState is what a run hands to the one that continues it.
type importState struct {
	Source    *activities.OpenedImport `json:"source,omitempty"`
	Import    string                   `json:"import"`
	Phase     string                   `json:"phase"`
	Next      int                      `json:"next"` // first batch of the phase not started
	Done      int                      `json:"done"` // batches of the phase
	Staged    int                      `json:"staged"`
	Report    activities.ImportReport  `json:"report"`
	Review    []uuid.UUID              `json:"review,omitempty"`
	Reviews   int                      `json:"reviews,omitempty"`
	Paused    bool                     `json:"paused,omitempty"`
	StartedAt time.Time                `json:"started_at"`
}

// maxListed bounds the lists in a result.
const maxListed = 50

// ImportKnowledge brings entries into a space in batches, each validated and published in one transaction, once, however
// often it is interrupted. What the checks forbid is left out and reported; what a person must see is proposed as change
// sets of their own.
func ImportKnowledge(ctx workflow.Context, in ImportKnowledgeInput) (*ImportKnowledgeResult, error) {
	i := newImport(ctx, in)
	if err := listen(ctx, func() Progress { return i.progress(ctx) }, &i.state.Paused); err != nil {
		return nil, err
	}
	if err := i.open(ctx); err != nil {
		return nil, failure(err)
	}
	for {
		if err := i.batches(ctx); err != nil {
			i.report(ctx, activities.StateFailed)
			return nil, failure(err)
		}
		switch {
		case i.state.Next < i.state.Source.Batches:
			return nil, i.continueAsNew(ctx)
		case i.state.Phase == phaseStage:
			i.state.Phase, i.state.Next, i.state.Done = phasePublish, 0, 0
		default:
			return i.finish(ctx)
		}
	}
}

// bringIn is one run of ImportKnowledge. Its methods are the steps.
type bringIn struct {
	in        ImportKnowledgeInput
	state     importState
	knowledge *activities.Knowledge

	running int
	ran     int
	err     error
}

func newImport(ctx workflow.Context, in ImportKnowledgeInput) *bringIn {
	i := &bringIn{in: in, state: importState{
		Import: workflow.GetInfo(ctx).FirstRunID + "/" + digest(in.Source), Phase: phaseStage, StartedAt: workflow.Now(ctx),
		Report: activities.ImportReport{Space: in.Space, Source: in.Source.Name, State: activities.StateRunning, Faults: []activities.ImportFault{}},
	}}
	if in.State != nil {
		i.state = *in.State
	}
	if i.in.Window <= 0 {
		i.in.Window = DefaultWindow
	}
	return i
}

func (i *bringIn) open(ctx workflow.Context) error {
	if i.state.Source != nil {
		return nil
	}
	in := activities.OpenImportInput{Caller: i.in.Caller, Space: i.in.Space, Source: i.in.Source}
	return workflow.ExecuteActivity(on(ctx, activities.QueueKnowledge, "look at the object", time.Minute), i.knowledge.OpenImport, in).Get(ctx, &i.state.Source)
}

// batches starts the batches of the phase and returns when none is on its way any more: all are done, or the history is
// long, or one failed, or the workflow was cancelled.
func (i *bringIn) batches(ctx workflow.Context) error {
	inner, stop := workflow.WithCancel(ctx)
	defer stop()
	err := i.fanOut(inner, stop)
	calm, _ := workflow.NewDisconnectedContext(ctx)
	if e := workflow.Await(calm, func() bool { return i.running == 0 }); e != nil {
		return e
	}
	switch {
	case i.err != nil:
		return i.err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

func (i *bringIn) fanOut(ctx workflow.Context, stop workflow.CancelFunc) error {
	for i.state.Next < i.state.Source.Batches {
		err := workflow.Await(ctx, func() bool { return i.err != nil || !i.state.Paused && i.running < i.in.Window })
		if err != nil {
			return err
		}
		if i.err != nil || i.ran > 0 && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return nil
		}
		n := i.state.Next
		i.state.Next++
		i.ran++
		i.running++
		workflow.GoNamed(ctx, fmt.Sprintf("%s %d", i.state.Phase, n), func(ctx workflow.Context) {
			if err := i.batch(ctx, n); err != nil {
				if i.err == nil && !temporal.IsCanceledError(err) {
					i.err = err
				}
				stop()
			}
			i.running--
		})
	}
	return nil
}

// batch does the step of the phase for one batch.
func (i *bringIn) batch(ctx workflow.Context, n int) error {
	in := activities.ImportBatchInput{
		Caller: i.in.Caller, SpaceID: i.state.Source.SpaceID, Key: i.state.Source.Key, Import: i.state.Import, Batch: n,
		WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, Reason: i.in.Reason,
	}
	options := on(ctx, activities.QueueKnowledge, fmt.Sprintf("%s batch %d of %d", i.state.Phase, n+1, i.state.Source.Batches), 5*time.Minute)
	if i.state.Phase == phaseStage {
		var out activities.StagedBatch
		err := workflow.ExecuteActivity(options, i.knowledge.StageImport, in).Get(ctx, &out)
		if err == nil {
			i.state.Staged += out.Entries
			i.state.Done++
		}
		return err
	}
	var out activities.ImportedBatch
	if err := workflow.ExecuteActivity(options, i.knowledge.PublishImport, in).Get(ctx, &out); err != nil {
		return err
	}
	if out.Review != uuid.Nil {
		if err := i.review(ctx, out.Review); err != nil {
			return err
		}
	}
	i.add(out)
	return nil
}

func (i *bringIn) add(b activities.ImportedBatch) {
	r := &i.state.Report
	r.Entries, r.Published, r.Unchanged = r.Entries+b.Entries, r.Published+b.Published, r.Unchanged+b.Unchanged
	r.Refused, r.Waiting, r.Warnings = r.Refused+b.Refused, r.Waiting+b.Waiting, r.Warnings+b.Warnings
	r.Revision = max(r.Revision, b.Revision)
	r.Faults = append(r.Faults, b.Faults...)
	r.Faults = r.Faults[:min(len(r.Faults), maxListed)]
	i.state.Done++
}

// review starts the workflow of a change set that waits for a person. It goes on when the import is over.
func (i *bringIn) review(ctx workflow.Context, change uuid.UUID) error {
	i.state.Reviews++
	if len(i.state.Review) < maxListed {
		i.state.Review = append(i.state.Review, change)
	}
	if workflow.GetVersion(ctx, "reviews-outlive-imports", workflow.DefaultVersion, 1) >= 1 {
		ctx, _ = workflow.NewDisconnectedContext(ctx) // the context of the batches ends with them, and would cancel the review
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: ChangeWorkflowID(i.in.Caller.WorkspaceID, change), TaskQueue: TaskQueue, WorkflowTaskTimeout: taskTimeout,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		StaticSummary:         "review of what was imported into " + i.in.Space,
	})
	child := workflow.ExecuteChildWorkflow(ctx, PublishChange, PublishChangeInput{Caller: i.in.Caller, ChangeID: change})
	err := child.GetChildWorkflowExecution().Get(ctx, nil)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return err
}

func (i *bringIn) progress(ctx workflow.Context) Progress {
	s := i.state
	out := Progress{
		State: activities.StateRunning, Library: i.in.Space, SourceName: i.in.Source.Name, Lines: int64(s.Report.Entries), Patterns: int64(s.Staged),
		NewPatterns: int64(s.Report.Published), ChunksDone: s.Done, ChunksRunning: i.running, StartedAt: s.StartedAt, UpdatedAt: workflow.Now(ctx),
	}
	if s.Paused {
		out.State = activities.StatePaused
	}
	if s.Source != nil {
		out.TotalBytes, out.ChunksTotal = s.Source.Bytes, 2*s.Source.Batches
		if s.Phase == phasePublish {
			out.ChunksDone += s.Source.Batches
		}
		if out.ChunksTotal > 0 {
			out.Bytes = s.Source.Bytes * int64(out.ChunksDone) / int64(out.ChunksTotal)
		}
	}
	if seconds := out.UpdatedAt.Sub(s.StartedAt).Seconds(); seconds > 0 {
		out.LinesPerSec = float64(s.Report.Entries) / seconds
	}
	return out
}

func (i *bringIn) continueAsNew(ctx workflow.Context) error {
	for _, c := range []struct {
		signal string
		paused bool
	}{{SignalPause, true}, {SignalResume, false}} {
		for workflow.GetSignalChannel(ctx, c.signal).ReceiveAsync(nil) { // not yet heard, and lost if left
			i.state.Paused = c.paused
		}
	}
	in := i.in
	in.State = &i.state
	return workflow.NewContinueAsNewError(ctx, ImportKnowledge, in)
}

// report stores how far the import got; that it could not be stored does not end the import otherwise.
func (i *bringIn) report(ctx workflow.Context, state string) (out activities.ImportReport, err error) {
	i.state.Report.State = state
	calm, _ := workflow.NewDisconnectedContext(ctx)
	in := activities.FinishImportInput{Caller: i.in.Caller, SpaceID: i.state.Source.SpaceID, Import: i.state.Import, Report: i.state.Report}
	err = workflow.ExecuteActivity(on(calm, activities.QueueKnowledge, "store the report", time.Minute), i.knowledge.FinishImport, in).Get(calm, &out)
	if err != nil {
		workflow.GetLogger(ctx).Warn("report of the import not stored", "error", err)
	}
	return out, err
}

// attach keeps the files that are no entries.
func (i *bringIn) attach(ctx workflow.Context) error {
	if i.in.Files == "" { // as in all histories from before there were any
		return nil
	}
	in := activities.AttachInput{Caller: i.in.Caller, SpaceID: i.state.Source.SpaceID, List: i.in.Files}
	return workflow.ExecuteActivity(on(ctx, activities.QueueKnowledge, "keep attachments", 30*time.Minute), i.knowledge.Attach, in).Get(ctx, &i.state.Report.Attached)
}

func (i *bringIn) finish(ctx workflow.Context) (*ImportKnowledgeResult, error) {
	if err := i.attach(ctx); err != nil {
		i.report(ctx, activities.StateFailed)
		return nil, failure(err)
	}
	report, err := i.report(ctx, activities.StateCompleted)
	if err != nil {
		return nil, failure(err)
	}
	return &ImportKnowledgeResult{ImportReport: report, Review: append([]uuid.UUID{}, i.state.Review...)}, nil
}

// ImportID returns the Workflow ID of importing the content with this SHA-256 into a space.
func ImportID(workspace uuid.UUID, space, sha256 string) string {
	return "import/" + workspace.String() + "/" + space + "/" + sha256
}

// StartImport starts ImportKnowledge, or finds the run that goes on: existed is true then. One that has ended is started
// again; what is as it says already stays. The error is ErrUnavailable where that says more.
func StartImport(ctx context.Context, c client.Client, in ImportKnowledgeInput) (id, runID string, existed bool, err error) {
	id = ImportID(in.Caller.WorkspaceID, in.Space, digest(in.Source))
	runID, existed, err = begin(ctx, c, ImportKnowledge, in, client.StartWorkflowOptions{
		ID: id, StaticSummary: fmt.Sprintf("import %s into %s", in.Source.Name, in.Space), WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	})
	return id, runID, existed, err
}
