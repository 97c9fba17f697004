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
)

// AnalyzeObservationsInput asks for a batch of observations to be matched or quarantined.
type AnalyzeObservationsInput = activities.AnalyzeInput

// AnalyzeObservationsResult is the batch when nothing of it is left.
type AnalyzeObservationsResult = activities.Analyzed

// analyzeObservations is the workflow type of AnalyzeObservations.
const analyzeObservations = "AnalyzeObservations"

// maxSplits bounds how often the ranges of a batch are halved, and so the history.
const maxSplits = 200

// ObservationsID returns the Workflow ID of analysing a batch of observations.
func ObservationsID(workspace, batch uuid.UUID) string {
	return "observe/" + workspace.String() + "/" + batch.String()
}

// StartObservations starts AnalyzeObservations, or finds the run that goes on. One that has ended is started again, and does what is left, if
// anything. The error is ErrUnavailable where that says more.
func StartObservations(ctx context.Context, c client.Client, in AnalyzeObservationsInput) error {
	_, _, err := begin(ctx, c, AnalyzeObservations, in, client.StartWorkflowOptions{
		ID: ObservationsID(in.Caller.WorkspaceID, in.BatchID), StaticSummary: "observations for " + in.Library,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	})
	return err
}

// AnalyzeObservations has each observation of a batch matched or quarantined, exactly once. A range that cannot be analysed is halved until the observation
// that is at fault stands alone; that one is quarantined, and the others go on.
func AnalyzeObservations(ctx workflow.Context, in AnalyzeObservationsInput) (*AnalyzeObservationsResult, error) {
	var observations *activities.Observations
	out := &AnalyzeObservationsResult{}
	ranges, splits := []AnalyzeObservationsInput{in}, 0
	for len(ranges) > 0 {
		r := ranges[len(ranges)-1]
		ranges = ranges[:len(ranges)-1]
		step := on(ctx, activities.QueuePattern, fmt.Sprintf("observations %d to %d", r.First, r.Last), 2*time.Minute)
		err := workflow.ExecuteActivity(step, observations.AnalyzeBatch, r).Get(ctx, out)
		switch {
		case err == nil:
			continue
		case temporal.IsCanceledError(err) || hasType(err, activities.Unavailable):
			return nil, failure(err) // what feeds batches starts it again
		case r.First < r.Last && splits < maxSplits && !hasType(err, activities.Denied) && !hasType(err, activities.EmbedderRefused):
			splits++
			middle := r.First + (r.Last-r.First)/2
			left, right := r, r
			left.Last, right.First = middle, middle+1
			ranges = append(ranges, right, left)
			continue
		}
		if err := workflow.ExecuteActivity(step, observations.QuarantineBatch, activities.QuarantineInput{Analyze: r, Reason: words(err)}).Get(ctx, out); err != nil {
			return nil, failure(err)
		}
	}
	return out, nil
}
