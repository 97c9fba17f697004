package workflows

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/activities"
)

// Errors of starting and controlling workflows.
var (
	ErrNotFound      = errors.New("no such workflow")
	ErrFinished      = errors.New("the workflow has ended")
	ErrUnknownAction = errors.New("no such action: use pause, resume or cancel")
	ErrInlineTooLong = fmt.Errorf("more than %d bytes inline: put them into the bucket and give the object's key", MaxInline)
	ErrUnavailable   = errors.New("temporal does not answer")
)

// MaxInline is how many bytes of lines may go inline: encoded in JSON they must stay under 64 KiB.
const MaxInline = 45 << 10

// taskTimeout is how long a worker that died in a workflow task goes unnoticed.
const taskTimeout = 5 * time.Second

// ProcessID returns the Workflow ID of mining the content with this SHA-256 into a library: the same content has the
// same id, and so is counted once.
func ProcessID(workspace uuid.UUID, library, sha256 string) string {
	return "process/" + workspace.String() + "/" + library + "/" + sha256
}

// WorkspaceOf returns the workspace that a Workflow ID belongs to, and false for an id that is not of Tartan's form.
func WorkspaceOf(workflowID string) (uuid.UUID, bool) {
	parts := strings.SplitN(workflowID, "/", 3)
	if len(parts) != 3 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(parts[1])
	return id, err == nil
}

// StartProcess starts ProcessPatterns, or finds the run of the same source: existed is true when it goes on or is
// complete. One that failed or was cancelled is started again, and does what is missing. The error is ErrInlineTooLong
// or ErrUnavailable where these say more.
func StartProcess(ctx context.Context, c client.Client, in ProcessPatternsInput) (id, runID string, existed bool, err error) {
	if len(in.Source.Inline) > MaxInline {
		return "", "", false, fmt.Errorf("start mining %s: %w", in.Source.Name, ErrInlineTooLong)
	}
	id = ProcessID(in.Caller.WorkspaceID, in.Library, digest(in.Source))
	runID, existed, err = begin(ctx, c, ProcessPatterns, in, client.StartWorkflowOptions{ID: id, StaticSummary: fmt.Sprintf("mine %s into %s", in.Source.Name, in.Library)})
	return id, runID, existed, err
}

// begin starts a workflow under the Workflow ID in o, or finds the run that has it: existed is true when that goes on or, unless o allows
// another, is complete.
func begin(ctx context.Context, c client.Client, workflow, in any, o client.StartWorkflowOptions) (runID string, existed bool, err error) {
	o.TaskQueue, o.WorkflowTaskTimeout = TaskQueue, taskTimeout
	if o.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED {
		o.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
	}
	o.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL // the error tells that it existed
	o.WorkflowExecutionErrorWhenAlreadyStarted = true
	run, err := c.ExecuteWorkflow(ctx, o, workflow, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return started.RunId, true, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("start workflow %s: %w", o.ID, known(err))
	}
	return run.GetRunID(), false, nil
}

// SequencesID returns the Workflow ID of analysing the sequences of a library, or of one of its sources, by a session key.
func SequencesID(workspace uuid.UUID, library, sha256, sessionKey string) string {
	if sha256 == "" {
		sha256 = "all"
	}
	if sessionKey == "" {
		sessionKey = "auto"
	}
	return "sequences/" + workspace.String() + "/" + library + "/" + sha256 + "/" + sessionKey
}

// StartSequences starts AnalyzeSequences, or finds the run that goes on: existed is true then. One that has ended is started again,
// because the library may have learnt since. The error is ErrUnavailable where that says more.
func StartSequences(ctx context.Context, c client.Client, in AnalyzeSequencesInput) (id, runID string, existed bool, err error) {
	id = SequencesID(in.Caller.WorkspaceID, in.Library, in.SHA256, in.SessionKey)
	runID, existed, err = begin(ctx, c, AnalyzeSequences, in, client.StartWorkflowOptions{
		ID: id, StaticSummary: "sequences of " + in.Library, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	})
	return id, runID, existed, err
}

// digest returns the SHA-256 of the source's bytes as received.
func digest(s SourceRef) string {
	switch {
	case s.SHA256 != "":
		return s.SHA256
	case s.ObjectKey != "":
		return s.ObjectKey[strings.LastIndexByte(s.ObjectKey, '/')+1:]
	}
	sum := sha256.Sum256(s.Inline)
	return hex.EncodeToString(sum[:])
}

// The actions of Control.
const (
	ActionPause  = "pause"
	ActionResume = "resume"
	ActionCancel = "cancel"
)

// Control pauses, resumes or cancels a workflow; it returns when Temporal has noted it. The error is ErrNotFound,
// ErrFinished, ErrUnknownAction or ErrUnavailable where these say more.
func Control(ctx context.Context, c client.Client, workflowID, action string) error {
	if err := control(ctx, c, workflowID, action); err != nil {
		return fmt.Errorf("%s workflow %s: %w", action, workflowID, err)
	}
	return nil
}

func control(ctx context.Context, c client.Client, workflowID, action string) (err error) {
	if action != ActionPause && action != ActionResume && action != ActionCancel {
		return ErrUnknownAction
	}
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "") // cancelling what has ended is no error for Temporal
	if err != nil {
		return known(err)
	}
	if d.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return ErrFinished
	}
	if action == ActionCancel {
		err = c.CancelWorkflow(ctx, workflowID, "")
	} else {
		err = c.SignalWorkflow(ctx, workflowID, "", action, nil)
	}
	if err = known(err); errors.Is(err, ErrNotFound) {
		return ErrFinished // just now
	}
	return err
}

// Status is what there is to know of a workflow.
type Status struct {
	WorkflowID string                 `json:"workflow_id"`
	RunID      string                 `json:"run_id"`
	State      string                 `json:"state"` // one of the states in activities
	Progress   *Progress              `json:"progress,omitempty"`
	Result     *ProcessPatternsResult `json:"result,omitempty"`   // when ProcessPatterns completed
	Trained    *TrainSeriesResult     `json:"trained,omitempty"`  // when TrainSeries completed
	Edited     *EditLibraryResult     `json:"edited,omitempty"`   // when EditLibrary completed
	Change     *PublishChangeResult   `json:"change,omitempty"`   // when PublishChange or RestoreKnowledge ended
	Imported   *ImportKnowledgeResult `json:"imported,omitempty"` // when ImportKnowledge completed
	Excised    *ExciseResult          `json:"excised,omitempty"`  // when Excise ended
	Kept       *HousekeepingResult    `json:"kept,omitempty"`     // when Housekeeping completed
	Migrated   *MigrateResult         `json:"migrated,omitempty"` // when Migrate ended
	Answered   *CompleteResult        `json:"answered,omitempty"` // when Complete completed
	Analyzed   *activities.Analyzed   `json:"analyzed,omitempty"` // when AnalyzeObservations completed
	Failure    *Failure               `json:"failure,omitempty"`  // when failed
	StartedAt  time.Time              `json:"started_at"`
	ClosedAt   *time.Time             `json:"closed_at,omitempty"`
}

// Failure says why a workflow failed and what to do.
type Failure struct {
	Type    string `json:"type"` // one of the error types in activities
	Message string `json:"message"`
}

// Finished reports whether the workflow has ended.
func (s Status) Finished() bool { return s.ClosedAt != nil }

// queryTimeout bounds the wait for a worker that answers a progress query.
const queryTimeout = 2 * time.Second

// Describe returns the status of a workflow. Progress is absent when no worker answers in time. The error is
// ErrNotFound or ErrUnavailable where these say more.
func Describe(ctx context.Context, c client.Client, workflowID string) (Status, error) {
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return Status{}, fmt.Errorf("describe workflow %s: %w", workflowID, known(err))
	}
	info := d.GetWorkflowExecutionInfo()
	s := Status{WorkflowID: workflowID, RunID: info.GetExecution().GetRunId(), StartedAt: info.GetStartTime().AsTime()}
	if info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		s.State = activities.StateRunning
		if s.Progress = query(ctx, c, s); s.Progress != nil {
			s.State = s.Progress.State
		}
		return s, nil
	}
	closed := info.GetCloseTime().AsTime()
	s.ClosedAt = &closed
	result := s.resultOf(info.GetType().GetName())
	err = c.GetWorkflow(ctx, workflowID, s.RunID).GetWithOptions(ctx, result, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	if err != nil {
		s.Result, s.Trained, s.Edited, s.Change, s.Imported, s.Excised, s.Kept, s.Migrated, s.Answered, s.Analyzed = nil, nil, nil, nil, nil, nil, nil, nil, nil, nil
	}
	switch {
	case err == nil:
		s.State = activities.StateCompleted
	case info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED || info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		s.State = activities.StateCancelled
	default:
		var app *temporal.ApplicationError
		s.State, s.Failure = activities.StateFailed, &Failure{Type: activities.Unavailable, Message: err.Error()}
		if errors.As(err, &app) {
			s.Failure = &Failure{Type: app.Type(), Message: app.Message()}
		}
	}
	return s, nil
}

// resultOf makes room for the result of a workflow of a type.
func (s *Status) resultOf(kind string) any {
	switch kind {
	case trainSeries:
		s.Trained = &TrainSeriesResult{}
		return s.Trained
	case publishChange, restoreKnowledge:
		s.Change = &PublishChangeResult{}
		return s.Change
	case importKnowledge:
		s.Imported = &ImportKnowledgeResult{}
		return s.Imported
	case excise:
		s.Excised = &ExciseResult{}
		return s.Excised
	case housekeeping:
		s.Kept = &HousekeepingResult{}
		return s.Kept
	case migrateWorkflow:
		s.Migrated = &MigrateResult{}
		return s.Migrated
	case analyzeObservations:
		s.Analyzed = &activities.Analyzed{}
		return s.Analyzed
	case editLibrary:
		s.Edited = &EditLibraryResult{}
		return s.Edited
	case complete:
		s.Answered = &CompleteResult{}
		return s.Answered
	}
	s.Result = &ProcessPatternsResult{}
	return s.Result
}

func query(ctx context.Context, c client.Client, s Status) *Progress {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var p Progress
	answer, err := c.QueryWorkflow(ctx, s.WorkflowID, s.RunID, QueryProgress)
	if err != nil || answer.Get(&p) != nil {
		return nil
	}
	return &p
}

// Wait returns the status of a workflow once it has ended. Meanwhile it calls report, which may be nil, with each status
// it learns of, at the given interval. When ctx ends first, the last status comes with its error.
func Wait(ctx context.Context, c client.Client, workflowID string, every time.Duration, report func(Status)) (Status, error) {
	ended := make(chan struct{})
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(ended)
		// The answer tells only when to look. It can be late although the workflow has ended, hence the ticker.
		c.GetWorkflow(inner, workflowID, "").Get(inner, nil) //nolint:errcheck // Describe tells
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	over := ended
	var last Status
	for {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-over:
			over = nil
		case <-tick.C:
		}
		s, err := Describe(ctx, c, workflowID)
		switch {
		case errors.Is(err, ErrUnavailable):
			continue
		case err != nil:
			return last, err
		case s.Finished():
			return s, nil
		}
		if last = s; report != nil {
			report(s)
		}
	}
}

// known maps what Temporal says to the errors that callers decide by.
func known(err error) error {
	var missing *serviceerror.NotFound
	var unavailable *serviceerror.Unavailable
	var deadline *serviceerror.DeadlineExceeded
	var canceled *serviceerror.Canceled // by the server: its own caller's end is no such error
	var busy *serviceerror.ResourceExhausted
	var unmet *serviceerror.FailedPrecondition
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.As(err, &unavailable), errors.As(err, &deadline), errors.As(err, &canceled), errors.As(err, &busy),
		errors.As(err, &unmet) && strings.Contains(unmet.Message, "no poller"): // of a query while all workers are away
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
