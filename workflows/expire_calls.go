package workflows

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
)

// ExpireCallsID is the id of the schedule of ExpireCalls. There is one for all workspaces: whoever held the money is gone.
const ExpireCallsID = "expire-calls"

// expireEvery is how long money that a dead caller held may lie idle beyond the time it was held for.
const expireEvery = time.Minute

// ExpireCalls ends the calls to models whose callers died, and forgets answers past their time.
func ExpireCalls(ctx workflow.Context) (*activities.Expired, error) {
	var models *activities.Models
	var out activities.Expired
	if err := workflow.ExecuteActivity(on(ctx, TaskQueue, "", time.Minute), models.ExpireCalls).Get(ctx, &out); err != nil {
		return nil, failure(err)
	}
	return &out, nil
}

// ScheduleExpireCalls has ExpireCalls start by itself every minute, in place of what was scheduled before. The error is
// ErrUnavailable where that says more.
func ScheduleExpireCalls(ctx context.Context, c client.Client) error {
	return schedule(ctx, c, ExpireCallsID, expireEvery, expireEvery, &client.ScheduleWorkflowAction{Workflow: ExpireCalls, StaticSummary: "expire calls"})
}
