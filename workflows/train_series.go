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
	"github.com/tartan-ai/tartan/internal/access"
)

// trainSeries is the workflow type of TrainSeries.
const trainSeries = "TrainSeries"

// TrainSeriesInput asks for a library of series to learn from a source of named examples.
type TrainSeriesInput struct {
	Caller  access.Caller `json:"caller"`
	Library string        `json:"library"`
	Source  SourceRef     `json:"source"`
}

// TrainSeriesResult is the recogniser that the library has now.
type TrainSeriesResult struct {
	Library string `json:"library"`
	activities.Kept
}

// TrainID returns the Workflow ID of training a library on the content with this SHA-256: the same content has the same
// id, and so is trained once.
func TrainID(workspace uuid.UUID, library, sha256 string) string {
	return "train/" + workspace.String() + "/" + library + "/" + sha256
}

// StartTraining starts TrainSeries, or finds the run of the same source: existed is true when it goes on or is complete.
// One that failed or was cancelled is started again. The error is ErrInlineTooLong or ErrUnavailable where these say more.
func StartTraining(ctx context.Context, c client.Client, in TrainSeriesInput) (id, runID string, existed bool, err error) {
	if len(in.Source.Inline) > MaxInline {
		return "", "", false, fmt.Errorf("start training on %s: %w", in.Source.Name, ErrInlineTooLong)
	}
	id = TrainID(in.Caller.WorkspaceID, in.Library, digest(in.Source))
	runID, existed, err = begin(ctx, c, TrainSeries, in, client.StartWorkflowOptions{ID: id, StaticSummary: fmt.Sprintf("train %s on %s", in.Library, in.Source.Name)})
	return id, runID, existed, err
}

// TrainSeries trains a recogniser from a source of named examples and makes it the one that its library answers with.
func TrainSeries(ctx workflow.Context, in TrainSeriesInput) (*TrainSeriesResult, error) {
	t := &training{in: in, startedAt: workflow.Now(ctx)}
	if err := quickly(ctx, t.series.BeginSeries, t.markAs(activities.StateRunning, ""), nil); err != nil {
		return nil, t.end(ctx, err)
	}
	kept, err := t.train(ctx)
	if err != nil {
		return nil, t.end(ctx, err)
	}
	return &TrainSeriesResult{Library: in.Library, Kept: *kept}, nil
}

// training is one run of TrainSeries. Its methods are the steps.
type training struct {
	in        TrainSeriesInput
	startedAt time.Time

	series *activities.Series
	runs   *activities.Runs
}

// fitTimeout bounds one attempt to train: 500 examples of 4,096 points take about a minute.
const fitTimeout = 10 * time.Minute

// train fits the recogniser and stores it. Once fitted it is stored also if the workflow is cancelled meanwhile; one
// that was lost in between is fitted again, once.
func (t *training) train(ctx workflow.Context) (*activities.Kept, error) {
	for again := false; ; again = true {
		var fitted activities.Fitted
		err := workflow.ExecuteActivity(on(ctx, activities.QueueFeatures, "train", fitTimeout), t.series.FitSeries, activities.FitInput{Source: t.in.Source}).Get(ctx, &fitted)
		if err != nil {
			return nil, err
		}
		calm, _ := workflow.NewDisconnectedContext(ctx)
		var kept activities.Kept
		err = quickly(calm, t.series.KeepSeries, activities.KeepInput{Mark: t.markAs(activities.StateCompleted, ""), Fitted: fitted}, &kept)
		if hasType(err, activities.ModelLost) && !again {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &kept, nil
	}
}

func (t *training) markAs(state, reason string) activities.MarkInput {
	return activities.MarkInput{
		Caller: t.in.Caller, Library: t.in.Library, SourceName: t.in.Source.Name, State: state, Error: reason, StartedAt: t.startedAt,
	}
}

// end records a failure or a cancellation and returns what the workflow ends with.
func (t *training) end(ctx workflow.Context, err error) error {
	err = failure(err)
	state, reason := activities.StateCancelled, ""
	if !temporal.IsCanceledError(err) {
		state, reason = activities.StateFailed, words(err)
	}
	calm, _ := workflow.NewDisconnectedContext(ctx)
	if e := quickly(calm, t.runs.MarkRun, t.markAs(state, reason), nil); e != nil {
		workflow.GetLogger(ctx).Warn("state of the run not recorded", "state", state, "error", e)
	}
	return err
}
