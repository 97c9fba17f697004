package workflows

import (
	"context"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
)

// RestoreKnowledgeInput asks for what was there before. ChangeID is that of the change set to make.
type RestoreKnowledgeInput = activities.RestoreInput

// restoreKnowledge is the name of the workflow type.
const restoreKnowledge = "RestoreKnowledge"

// RestoreKnowledge brings entries back to what they were. That is a change set like any other, whose revisions say what
// they revert: it is validated, reviewed and merged as PublishChange does, and takes the same updates.
func RestoreKnowledge(ctx workflow.Context, in RestoreKnowledgeInput) (*PublishChangeResult, error) {
	c := newChange(PublishChangeInput{Caller: in.Caller, ChangeID: in.ChangeID})
	if err := c.do(ctx, "find what was there", c.knowledge.StageRestore, in, nil); err != nil {
		return nil, failure(err)
	}
	return c.run(ctx)
}

// RestoreWorkflowID returns the Workflow ID of a change set that restores.
func RestoreWorkflowID(workspace, change uuid.UUID) string {
	return "restore/" + workspace.String() + "/" + change.String()
}

// StartRestore starts RestoreKnowledge, or finds the one that makes the change set. ChangeResult and the other functions
// for change sets work with its Workflow ID. The error is ErrUnavailable where that says more.
func StartRestore(ctx context.Context, c client.Client, in RestoreKnowledgeInput) (id string, existed bool, err error) {
	id = RestoreWorkflowID(in.Caller.WorkspaceID, in.ChangeID)
	_, existed, err = begin(ctx, c, RestoreKnowledge, in, client.StartWorkflowOptions{ID: id, StaticSummary: "restore in " + in.Space})
	return id, existed, err
}
