package workflows

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/routing"
)

// CompleteInput asks for a call to a model, done durably.
type CompleteInput struct {
	Call activities.ModelCall `json:"call"`
}

// CompleteResult is the answer.
type CompleteResult = activities.ModelResult

// complete is the name of the workflow type.
const complete = "Complete"

// attemptTimeout bounds one attempt: longer than the deadlines of a provider, shorter than a reservation lives.
const attemptTimeout = 12 * time.Minute

// Complete has a model answer a call: decide, reserve, invoke on the provider's queue, settle. What is done about a failure
// says routing.Ladder alone; an attempt that dies with its worker is made again, and its answer is paid once where it came.
func Complete(ctx workflow.Context, in CompleteInput) (*CompleteResult, error) {
	w := &completing{call: in.Call}
	w.call.Key, w.call.Durable = workflow.GetInfo(ctx).WorkflowExecution.ID, true
	var a *activities.Models
	var decided activities.Decided
	if err := quickly(ctx, a.DecideModel, w.call, &decided); err != nil {
		return nil, failure(err)
	}
	if decided.Cached != nil {
		return decided.Cached, nil
	}
	started := workflow.Now(ctx)
	for {
		left := time.Duration(0)
		if w.call.Within > 0 {
			left = max(time.Nanosecond, w.call.Within-workflow.Now(ctx).Sub(started))
		}
		step := routing.Ladder{}.Next(decided.Rungs, w.attempts, left, decided.Decision.ID)
		if step.GaveUp() {
			return nil, w.gaveUp(step)
		}
		if err := workflow.Sleep(ctx, step.After); err != nil {
			return nil, err
		}
		got, err := w.attempt(ctx, step.Model, decided.Providers[step.Model])
		if err != nil {
			return nil, failure(err)
		}
		if got.Result != nil {
			got.Result.Decision, got.Result.Attempts, got.Result.Total = decided.Decision.ID, w.attempts, w.spent+got.Result.Cost
			return got.Result, nil
		}
		w.attempts, w.spent, w.words = append(w.attempts, *got.Failed), w.spent+got.Cost, got.Words
	}
}

// completing is the state of one Complete.
type completing struct {
	call     activities.ModelCall
	attempts []routing.Attempt
	spent    routing.Money
	words    string // of the last failure
}

// attempt reserves and invokes. What was reserved for an attempt that no worker took is given back.
func (w *completing) attempt(ctx workflow.Context, model, provider string) (*activities.Invoked, error) {
	var a *activities.Models
	in := activities.AttemptInput{Call: w.call, Model: model, Number: len(w.attempts)}
	var held struct {
		Call uuid.UUID `json:"call"`
	}
	if err := quickly(ctx, a.HoldModel, in, &held); err != nil {
		return nil, err
	}
	got := &activities.Invoked{}
	err := workflow.ExecuteActivity(on(ctx, activities.ModelQueue(provider), model, attemptTimeout), a.InvokeModel, in).Get(ctx, got)
	if err != nil {
		// Cancelled or not, what is held must not stay so until it expires.
		free, _ := workflow.NewDisconnectedContext(ctx)
		if e := quickly(free, a.ReleaseModel, held, nil); e != nil {
			workflow.GetLogger(ctx).Warn("reservation left to expire", "error", e)
		}
		return nil, err
	}
	return got, nil
}

func (w *completing) gaveUp(step routing.Step) error {
	var tried []string
	for _, a := range w.attempts {
		tried = append(tried, a.Model+" "+string(a.Class))
	}
	message := fmt.Sprintf("no model answered: %s (tried %s): %s", step.Reason, strings.Join(tried, ", "), w.words)
	return temporal.NewNonRetryableApplicationError(message, activities.NoModel, nil, w.attempts)
}

// MaxPrompt is how large a request to a model may be in a workflow: Temporal keeps it.
const MaxPrompt = 256 << 10

// ErrPromptTooLong says that a request is too large for a workflow.
var ErrPromptTooLong = fmt.Errorf("the request is larger than %d KiB: send it through the gateway", MaxPrompt>>10)

// CompleteID returns the Workflow ID of a call with a key of the caller's own: the same key is one call.
func CompleteID(workspace uuid.UUID, key string) string {
	return "complete/" + workspace.String() + "/" + key
}

// StartComplete starts Complete under the call's key, or finds the run that has it. The error is ErrPromptTooLong or
// ErrUnavailable where these say more.
func StartComplete(ctx context.Context, c client.Client, in CompleteInput) (id, runID string, existed bool, err error) {
	if in.Call.Request.MostInput() > MaxPrompt {
		return "", "", false, ErrPromptTooLong
	}
	id = CompleteID(in.Call.Caller.WorkspaceID, in.Call.Key)
	runID, existed, err = begin(ctx, c, Complete, in, client.StartWorkflowOptions{ID: id, StaticSummary: "ask a model: " + in.Call.Task})
	return id, runID, existed, err
}

// CompleteAnswer waits for the answer to a call. It returns nil without an error where the call goes on after the time given, and a Failure
// where no model answered. The error is ErrNotFound or ErrUnavailable where these say more.
func CompleteAnswer(ctx context.Context, c client.Client, id string, patience time.Duration) (*CompleteResult, *Failure, error) {
	return resultOf[CompleteResult](ctx, c, id, patience)
}

// OverBudget reports whether a budget lacks the money; the message says which.
func (f *Failure) OverBudget() bool { return f.Type == activities.BudgetExceeded }
