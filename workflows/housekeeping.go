package workflows

import (
	"context"
	"errors"
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

// HousekeepingInput asks for the spaces in which the caller is a reviewer to be kept in order.
type HousekeepingInput struct {
	Caller access.Caller `json:"caller"`
	Space  string        `json:"space,omitempty"` // one of them; "" is all
	DryRun bool          `json:"dry_run,omitempty"`
}

// HousekeepingResult is what was done, or would be. The reports of all spaces are in the database.
type HousekeepingResult struct {
	Spaces  int                    `json:"spaces"`
	Reports []activities.Housekept `json:"reports"` // at most 20
}

// housekeeping is the name of the workflow type.
const housekeeping = "Housekeeping"

// What a run does at most, so that its history and result stay small.
const (
	maxReports = 20
	maxSteps   = 200 // of one space
)

// Housekeeping marks entries that are due for review, expires drafts, lets go of texts past their retention unless a legal
// hold is on the space, and removes what nothing needs.
func Housekeeping(ctx workflow.Context, in HousekeepingInput) (*HousekeepingResult, error) {
	var knowledge *activities.Knowledge
	var spaces []activities.KeptSpace
	list := on(ctx, activities.QueueKnowledge, "list spaces", time.Minute)
	if err := workflow.ExecuteActivity(list, knowledge.ListSpaces, activities.SpacesInput{Caller: in.Caller, Space: in.Space}).Get(ctx, &spaces); err != nil {
		return nil, failure(err)
	}
	out := &HousekeepingResult{Spaces: len(spaces), Reports: []activities.Housekept{}}
	for _, s := range spaces {
		var kept *activities.Housekept
		step := on(ctx, activities.QueueKnowledge, s.Name, 5*time.Minute)
		for range maxSteps {
			ask := activities.HousekeepInput{Caller: in.Caller, SpaceID: s.ID, Now: workflow.Now(ctx), DryRun: in.DryRun, Before: kept}
			var done activities.Housekept
			if err := workflow.ExecuteActivity(step, knowledge.Housekeep, ask).Get(ctx, &done); err != nil {
				return nil, failure(err)
			}
			if kept = &done; !done.More || in.DryRun {
				break
			}
		}
		if len(out.Reports) < maxReports {
			out.Reports = append(out.Reports, *kept)
		}
	}
	return out, nil
}

// HousekeepingID returns the id of the schedule of a workspace, and the beginning of the ids of the workflows it starts.
func HousekeepingID(workspace uuid.UUID) string {
	return "housekeeping/" + workspace.String()
}

// StartHousekeeping starts Housekeeping once, now. The error is ErrUnavailable where that says more.
func StartHousekeeping(ctx context.Context, c client.Client, in HousekeepingInput) (id string, existed bool, err error) {
	id = HousekeepingID(in.Caller.WorkspaceID) + "/now"
	_, existed, err = begin(ctx, c, Housekeeping, in, client.StartWorkflowOptions{
		ID: id, StaticSummary: "housekeeping", WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	})
	return id, existed, err
}

// ScheduleHousekeeping has Housekeeping start by itself every so often, as the caller, in place of what was scheduled for the
// workspace before. The error is ErrUnavailable where that says more.
func ScheduleHousekeeping(ctx context.Context, c client.Client, in HousekeepingInput, every time.Duration) error {
	return schedule(ctx, c, HousekeepingID(in.Caller.WorkspaceID), every, time.Hour, &client.ScheduleWorkflowAction{Workflow: Housekeeping, Args: []any{in}, StaticSummary: "housekeeping"})
}

// schedule has a workflow start every so often, in place of what the schedule with this id did before; one that is paused stays so.
// Starts missed for longer than late are not made up for, and there is none while the last one runs.
func schedule(ctx context.Context, c client.Client, id string, every, late time.Duration, action *client.ScheduleWorkflowAction) error {
	action.ID, action.TaskQueue, action.WorkflowTaskTimeout = id+"/scheduled", TaskQueue, taskTimeout
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}}
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: id, Spec: spec, Action: action, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: late,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = c.ScheduleClient().GetHandle(ctx, id).Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(was client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				s := was.Description.Schedule
				s.Spec, s.Action = &spec, action
				return &client.ScheduleUpdate{Schedule: &s}, nil
			},
		})
	}
	if err != nil {
		return fmt.Errorf("schedule %s: %w", id, known(err))
	}
	return nil
}
