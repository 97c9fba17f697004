package workflows

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
)

// ExciseInput asks for texts of an entry to be destroyed, for legal reasons. ChangeID is that of the change set that
// deletes what is current.
type ExciseInput struct {
	activities.ExciseInput
	ChangeID uuid.UUID `json:"change_id"`
}

// ExciseResult says how an excision ended.
type ExciseResult struct {
	State   string   `json:"state"` // excised, rejected or expired
	Why     string   `json:"why,omitempty"`
	Hashes  int      `json:"hashes"`  // documents that were destroyed
	Deleted []string `json:"deleted"` // entries that were current with these texts, at most 64
}

// StateExcised is the end of an excision that was done.
const StateExcised = "excised"

// excise is the name of the workflow type.
const excise = "Excise"

// Excise destroys the texts of revisions once another person than who asked approves it. Their hashes and the reason stay, as
// do the revisions. It takes the updates approve and reject with a ReviewChangeInput.
func Excise(ctx workflow.Context, in ExciseInput) (*ExciseResult, error) {
	e := &excision{in: in}
	return e.run(ctx)
}

// excision is one run of Excise.
type excision struct {
	in        ExciseInput
	knowledge *activities.Knowledge
	handlers  workflow.Mutex
	waiting   bool
	result    *ExciseResult
}

func (e *excision) run(ctx workflow.Context) (*ExciseResult, error) {
	e.handlers = workflow.NewMutex(ctx)
	if err := e.listen(ctx); err != nil {
		return nil, err
	}
	var plan activities.ExcisionPlan
	if err := e.do(ctx, "look at what would be destroyed", e.knowledge.PlanExcision, e.in.ExciseInput, &plan); err != nil {
		return nil, failure(err)
	}
	e.waiting = true
	decided, err := workflow.AwaitWithTimeout(ctx, plan.ExpireAfter, func() bool { return e.result != nil })
	if err != nil {
		return nil, err
	}
	if !decided {
		e.waiting = false
		if err := e.handlers.Lock(ctx); err != nil { // an approval under way goes on
			return nil, err
		}
		if e.result == nil {
			e.result = &ExciseResult{State: ChangeExpired, Why: "nobody decided in time", Deleted: []string{}}
		}
		e.handlers.Unlock()
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return nil, err
	}
	return e.result, nil
}

func (e *excision) do(ctx workflow.Context, summary string, activity any, in, out any) error {
	return workflow.ExecuteActivity(on(ctx, activities.QueueKnowledge, summary, time.Minute), activity, in).Get(ctx, out)
}

func (e *excision) listen(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryProgress, func() (Progress, error) {
		return Progress{State: activities.StateRunning, Library: e.in.Space, StartedAt: workflow.GetInfo(ctx).WorkflowStartTime, UpdatedAt: workflow.Now(ctx)}, nil
	}, workflow.QueryHandlerOptions{Description: "That the excision waits for approval."})
	if err != nil {
		return err
	}
	if err := e.handle(ctx, UpdateApprove, "Approve the excision as another reviewer.", e.approve); err != nil {
		return err
	}
	return e.handle(ctx, UpdateReject, "Reject the excision as a reviewer.", e.reject)
}

func (e *excision) handle(ctx workflow.Context, name, description string, do func(workflow.Context, activities.ExciseApproved, string) (*ExciseResult, error)) error {
	accept := func() error {
		if !e.waiting || e.result != nil {
			return temporal.NewNonRetryableApplicationError("the excision does not wait for a decision", activities.KnowledgeRefused, nil)
		}
		return nil
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, name, func(ctx workflow.Context, in ReviewChangeInput) (*ExciseResult, error) {
		if err := e.handlers.Lock(ctx); err != nil {
			return nil, err
		}
		defer e.handlers.Unlock()
		if err := accept(); err != nil {
			return nil, err
		}
		out, err := do(ctx, activities.ExciseApproved{ExciseInput: e.in.ExciseInput, Approver: in.Caller, ChangeID: e.in.ChangeID}, in.Note)
		if err != nil {
			return nil, failure(err)
		}
		e.result = out
		return out, nil
	}, workflow.UpdateHandlerOptions{Description: description, Validator: func(ReviewChangeInput) error { return accept() }})
}

func (e *excision) approve(ctx workflow.Context, in activities.ExciseApproved, _ string) (*ExciseResult, error) {
	var out activities.Excised
	if err := e.do(ctx, "destroy texts", e.knowledge.ExciseTexts, in, &out); err != nil {
		return nil, err
	}
	return &ExciseResult{State: StateExcised, Hashes: out.Hashes, Deleted: out.Deleted}, nil
}

func (e *excision) reject(ctx workflow.Context, in activities.ExciseApproved, note string) (*ExciseResult, error) {
	if err := e.do(ctx, "reject", e.knowledge.RejectExcision, in, nil); err != nil {
		return nil, err
	}
	return &ExciseResult{State: ChangeRejected, Why: note, Deleted: []string{}}, nil
}

// ExciseID returns the Workflow ID of an excision.
func ExciseID(workspace, change uuid.UUID) string {
	return "excise/" + workspace.String() + "/" + change.String()
}

// StartExcise starts Excise, or finds the one with the change set. The error is ErrUnavailable where that says more.
func StartExcise(ctx context.Context, c client.Client, in ExciseInput) (id string, existed bool, err error) {
	id = ExciseID(in.Caller.WorkspaceID, in.ChangeID)
	_, existed, err = begin(ctx, c, Excise, in, client.StartWorkflowOptions{ID: id, StaticSummary: fmt.Sprintf("excise %s/%s", in.Space, in.Slug)})
	return id, existed, err
}

// DecideExcise approves or rejects an excision and returns how it ended. A Failure says why it was refused. The error is
// ErrFinished or ErrUnavailable where these say more.
func DecideExcise(ctx context.Context, c client.Client, workflowID, update string, in ReviewChangeInput) (*ExciseResult, *Failure, error) {
	out, failed, err := updateWorkflow[ExciseResult](ctx, c, workflowID, update, in)
	if err != nil || failed != nil {
		return nil, failed, err
	}
	return &out, nil, nil
}
