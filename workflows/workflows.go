// Package workflows says in which order things happen, and what happens when they do not. What it does itself is
// deterministic: everything that reads a clock, a database or a file is an activity.
package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
)

// TaskQueue is where workflows run, and the activities that belong to no agent.
const TaskQueue = "tartan"

// Register registers all workflows with a worker or a replayer.
func Register(r interface{ RegisterWorkflow(w any) }) {
	r.RegisterWorkflow(ProcessPatterns)
	r.RegisterWorkflow(EditLibrary)
	r.RegisterWorkflow(TrainSeries)
	r.RegisterWorkflow(ClusterTexts)
	r.RegisterWorkflow(AnalyzeSequences)
	r.RegisterWorkflow(PublishChange)
	r.RegisterWorkflow(RestoreKnowledge)
	r.RegisterWorkflow(ImportKnowledge)
	r.RegisterWorkflow(Excise)
	r.RegisterWorkflow(Housekeeping)
	r.RegisterWorkflow(CallAgent)
	r.RegisterWorkflow(RegisterAgent)
	r.RegisterWorkflow(RotateAgent)
	r.RegisterWorkflow(RevokeAgent)
	r.RegisterWorkflow(Migrate)
	r.RegisterWorkflow(Complete)
	r.RegisterWorkflow(AnalyzeObservations)
	r.RegisterWorkflow(ExpireCalls)
}

// heartbeatTimeout is how long a dead worker goes unnoticed.
const heartbeatTimeout = 3 * time.Second

// patience outlives an outage of about ten minutes, tries again within a second of its end, and does not repeat a
// panic, which would come again.
var patience = &temporal.RetryPolicy{
	InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Second, MaximumAttempts: 600,
	NonRetryableErrorTypes: []string{"PanicError"},
}

// on returns options for activities of a task queue whose single attempt takes at most the given time.
func on(ctx workflow.Context, queue, summary string, attempt time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: queue, StartToCloseTimeout: attempt, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patience,
		WaitForCancellation: true, Summary: summary,
	})
}

// quickTimeout bounds what is done inside a workflow task, where it keeps signals and queries waiting.
const quickTimeout = 2 * time.Second

// quickly runs a short activity inside the workflow task, which saves two thirds of the time of a scheduled one. If it
// does not work out at once, it is scheduled and retried as any other.
func quickly(ctx workflow.Context, activity any, in, out any) error {
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: quickTimeout, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	err := workflow.ExecuteLocalActivity(local, activity, in).Get(ctx, out)
	if err == nil || isFinal(err) {
		return err
	}
	return workflow.ExecuteActivity(on(ctx, TaskQueue, "", time.Minute), activity, in).Get(ctx, out)
}

// isFinal reports whether trying again would meet the same end.
func isFinal(err error) bool {
	var app *temporal.ApplicationError
	return temporal.IsCanceledError(err) || errors.As(err, &app) && app.NonRetryable()
}

// failure returns the error that a workflow ends with: the type and the words of the activity's, without its wrappings.
func failure(err error) error {
	var app *temporal.ApplicationError
	switch {
	case err == nil || temporal.IsCanceledError(err):
		return err
	case errors.As(err, &app) && app.Type() != "":
		return temporal.NewNonRetryableApplicationError(app.Message(), app.Type(), err)
	}
	return temporal.NewNonRetryableApplicationError("a step did not end in time; start the workflow again, it continues where it ended", activities.Unavailable, err)
}

// words returns what an error says, without its type and its cause.
func words(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	return err.Error()
}

// hasType reports whether the error came from an activity with this type.
func hasType(err error, kind string) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == kind
}
