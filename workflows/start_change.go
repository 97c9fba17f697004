package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// ChangeWorkflowID returns the Workflow ID of a change set: it is brought to its end once.
func ChangeWorkflowID(workspace, change uuid.UUID) string {
	return "change/" + workspace.String() + "/" + change.String()
}

// StartChange starts PublishChange for a change set that was stored with postgres.StageChange, or finds the one that has
// it: existed is true when it goes on or is complete. The error is ErrUnavailable where that says more.
func StartChange(ctx context.Context, c client.Client, in PublishChangeInput, summary string) (id string, existed bool, err error) {
	id = ChangeWorkflowID(in.Caller.WorkspaceID, in.ChangeID)
	_, existed, err = begin(ctx, c, PublishChange, in, client.StartWorkflowOptions{ID: id, StaticSummary: summary})
	return id, existed, err
}

// resultOf waits for the result of a workflow, or for a while.
func resultOf[T any](ctx context.Context, c client.Client, workflowID string, patience time.Duration) (*T, *Failure, error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out T
	err := c.GetWorkflow(within, workflowID, "").Get(within, &out)
	var app *temporal.ApplicationError
	var late *serviceerror.DeadlineExceeded // a little before the context says so
	switch {
	case err == nil:
		return &out, nil, nil
	case errors.As(err, &app):
		return nil, &Failure{Type: app.Type(), Message: app.Message()}, nil
	case ctx.Err() == nil && (within.Err() != nil || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)):
		return nil, nil, nil
	}
	return nil, nil, fmt.Errorf("wait for workflow %s: %w", workflowID, known(err))
}

// ChangeResult waits for the end of a change set. It returns nil without an error where it goes on after the time given,
// because it waits for a person for example: ChangeStands tells. A Failure says that it could not be handled at all; that
// it was rejected is a result. The error is ErrNotFound or ErrUnavailable where these say more.
func ChangeResult(ctx context.Context, c client.Client, workflowID string, patience time.Duration) (*PublishChangeResult, *Failure, error) {
	return resultOf[PublishChangeResult](ctx, c, workflowID, patience)
}

// ChangeStands asks the workflow of a change set how it stands. The error is ErrNotFound or ErrUnavailable where these say more.
func ChangeStands(ctx context.Context, c client.Client, workflowID string) (ChangeStatus, error) {
	within, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var out ChangeStatus
	answer, err := c.QueryWorkflow(within, workflowID, "", QueryChange)
	if err == nil {
		err = answer.Get(&out)
	}
	if err != nil {
		return out, fmt.Errorf("ask change set %s: %w", workflowID, known(err))
	}
	return out, nil
}

// WaitForChange waits until a change set has ended or waits for a person, or for a while, and tells how it stands.
func WaitForChange(ctx context.Context, c client.Client, workflowID string, patience time.Duration) (ChangeStatus, *PublishChangeResult, *Failure, error) {
	const every = 100 * time.Millisecond
	for deadline := time.Now().Add(patience); ; {
		out, failed, err := ChangeResult(ctx, c, workflowID, every)
		if err != nil || failed != nil || out != nil {
			if out != nil {
				return out.ChangeStatus, out, nil, nil
			}
			return ChangeStatus{}, nil, failed, err
		}
		status, err := ChangeStands(ctx, c, workflowID)
		waits := status.State == ChangeConflicted || status.State == ChangeInReview && status.Approvals < status.Needed
		if err == nil && waits || time.Now().After(deadline) {
			return status, nil, nil, err
		}
	}
}

// updateTimeout bounds the wait for a worker that handles an update.
const updateTimeout = 20 * time.Second

// UpdateChange sends an update to the workflow of a change set and returns how that stands then: UpdateApprove, UpdateReject and
// UpdateWithdraw take a ReviewChangeInput, UpdateAmend an AmendChangeInput, UpdateResolve a ResolveChangeInput. A Failure
// says why it was refused. The error is ErrFinished or ErrUnavailable where these say more.
func UpdateChange(ctx context.Context, c client.Client, workflowID, update string, in any) (ChangeStatus, *Failure, error) {
	return updateWorkflow[ChangeStatus](ctx, c, workflowID, update, in)
}

func updateWorkflow[T any](ctx context.Context, c client.Client, workflowID, update string, in any) (out T, failed *Failure, err error) {
	within, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	handle, err := c.UpdateWorkflow(within, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: update, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(within, &out)
	}
	var app *temporal.ApplicationError
	switch err = known(err); {
	case err == nil:
		return out, nil, nil
	case errors.As(err, &app):
		return out, &Failure{Type: app.Type(), Message: app.Message()}, nil
	case errors.Is(err, ErrNotFound):
		err = ErrFinished
	case within.Err() != nil && ctx.Err() == nil:
		err = fmt.Errorf("%w: no worker took the update in time", ErrUnavailable)
	}
	return out, nil, fmt.Errorf("%s of %s: %w", update, workflowID, err)
}
