package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/activities"
)

// StartMigration starts Migrate, or finds the migration of the target that goes on: existed is true then, and another plan has
// to wait. The error is ErrUnavailable where that says more.
func StartMigration(ctx context.Context, c client.Client, in MigrateInput) (id, runID string, existed bool, err error) {
	id = MigrationWorkflowID(in.Caller.WorkspaceID, in.Target)
	runID, existed, err = begin(ctx, c, Migrate, in, client.StartWorkflowOptions{
		ID: id, StaticSummary: fmt.Sprintf("migrate %s by %s", in.Target, in.Plan.Name), WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	})
	return id, runID, existed, err
}

// DirectMigration sends an update, one of approve, reject, rollback, pause and resume, to the migration of a target, and returns
// how it stands then. A Failure says why it was refused. The error is ErrNotFound or ErrUnavailable where these say more.
func DirectMigration(ctx context.Context, c client.Client, workflowID, update string, in ReviewMigrationInput) (out MigrationStatus, refused *Failure, err error) {
	h, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: uuid.NewString(), WorkflowID: workflowID, UpdateName: update, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = h.Get(ctx, &out)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return out, &Failure{Type: app.Type(), Message: app.Message()}, nil
	}
	if err != nil {
		return out, nil, fmt.Errorf("%s migration %s: %w", update, workflowID, known(err))
	}
	return out, nil, nil
}

// MigrationStands asks a migration how it stands, and the step under way how far it is; live is nil where none is, or it has
// said nothing yet. A workflow that has ended answers too. The error is ErrNotFound or ErrUnavailable where these say more.
func MigrationStands(ctx context.Context, c client.Client, workflowID string) (out MigrationStatus, live *activities.StepProgress, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := c.QueryWorkflow(ctx, workflowID, "", QueryMigration)
	if err == nil {
		err = answer.Get(&out)
	}
	if err != nil {
		return out, nil, fmt.Errorf("look at migration %s: %w", workflowID, known(err))
	}
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return out, nil, fmt.Errorf("look at migration %s: %w", workflowID, known(err))
	}
	for _, a := range d.GetPendingActivities() {
		var p activities.StepProgress
		if a.GetHeartbeatDetails() != nil && converter.GetDefaultDataConverter().FromPayloads(a.GetHeartbeatDetails(), &p) == nil {
			live = &p
		}
	}
	return out, live, nil
}

// MigrationResult waits for the end of a migration. It returns nil without an error where it goes on after the time given. A
// Failure says that it could not begin.
func MigrationResult(ctx context.Context, c client.Client, workflowID string, patience time.Duration) (*MigrateResult, *Failure, error) {
	return resultOf[MigrateResult](ctx, c, workflowID, patience)
}
