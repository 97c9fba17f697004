package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
)

// The types of the errors of calls to models. Both are final.
const (
	BudgetExceeded = "BudgetExceeded" // a budget lacks the money; the message says which
	NoModel        = "NoModel"        // no model answered; the message says what was tried
)

// ModelCall is a request to a model with who pays for it.
type ModelCall = completion.Call

// ModelResult is the answer to a call.
type ModelResult = completion.Result

// ModelQueue is the task queue of a provider: its limit of requests holds there, over all workers.
func ModelQueue(provider string) string { return "model." + provider }

// Models does the steps of calls to models.
type Models struct{ Engine *completion.Engine }

// Decided is which models may answer a call, or the answer that the cache has.
type Decided struct {
	Decision  routing.Decision  `json:"decision"`
	Rungs     []routing.Rung    `json:"rungs,omitempty"`
	Providers map[string]string `json:"providers,omitempty"` // by model
	Cached    *ModelResult      `json:"cached,omitempty"`
}

// DecideModel ranks the models that may answer, keeps the decision, and looks into the cache.
func (m *Models) DecideModel(ctx context.Context, c ModelCall) (*Decided, error) {
	plan, err := m.Engine.Decide(&c, m.Engine.Clock())
	if err != nil {
		return nil, modelFault("choose a model", err)
	}
	if err := m.Engine.Record(ctx, &c, &plan.Decision); err != nil {
		return nil, modelFault("keep the decision", err)
	}
	out := &Decided{Decision: plan.Decision, Rungs: plan.Rungs, Providers: map[string]string{}}
	for _, r := range plan.Rungs {
		if found, ok := m.Engine.Registry.Model(r.Model); ok {
			out.Providers[r.Model] = found.Provider
		}
	}
	out.Cached, err = m.Engine.Cached(ctx, &c, nil)
	return out, modelFault("look into the cache", err)
}

// AttemptInput is one attempt of a call.
type AttemptInput struct {
	Call   ModelCall `json:"call"`
	Model  string    `json:"model"`
	Number int       `json:"number"`
}

// HoldModel puts aside what an attempt may cost.
func (m *Models) HoldModel(ctx context.Context, in AttemptInput) (*completion.Held, error) {
	held, err := m.Engine.Hold(ctx, &in.Call, in.Model, in.Number)
	return &held, modelFault("reserve for the call", err)
}

// ReleaseModel gives back what was put aside for an attempt that was never made. One that was is left alone.
func (m *Models) ReleaseModel(ctx context.Context, held completion.Held) error {
	return modelFault("release the call", postgres.ReleaseHeld(ctx, m.Engine.Pool, held.Call))
}

// Invoked is how an attempt ended: with an answer, or a failure of the model.
type Invoked struct {
	Result *ModelResult     `json:"result,omitempty"`
	Failed *routing.Attempt `json:"failed,omitempty"`
	Cost   routing.Money    `json:"cost_micros,omitempty"` // of a failure
	Words  string           `json:"words,omitempty"`       // of a failure
}

// InvokeModel sends a call to one model, once. A failure of the model is a result, because what is done about it is for the
// ladder; the error is of Tartan's own parts, and a retry of it finds the answer where there was one.
func (m *Models) InvokeModel(ctx context.Context, in AttemptInput) (*Invoked, error) {
	var done progress
	defer done.beating(ctx)()
	got, err := m.Engine.Invoke(ctx, &in.Call, in.Model, in.Number, nil)
	var failed *completion.Failure
	if errors.As(err, &failed) {
		return &Invoked{Failed: &failed.Attempt, Cost: failed.Cost, Words: failed.Error()}, nil
	}
	if err != nil {
		return nil, modelFault("call "+in.Model, err)
	}
	return &Invoked{Result: got}, nil
}

// Expired is what ExpireCalls did.
type Expired struct {
	Calls int `json:"calls"` // whose callers died, in all workspaces
}

// ExpireCalls ends the calls whose callers died and forgets answers past their time, in all workspaces.
func (m *Models) ExpireCalls(ctx context.Context) (*Expired, error) {
	var done progress
	defer done.beating(ctx)()
	var out Expired
	for {
		n, err := postgres.ExpireCalls(ctx, m.Engine.Pool)
		out.Calls += n
		if err != nil || n < postgres.MaxExpired {
			return &out, typed("end dead calls", err)
		}
	}
}

// modelFault gives errors of calls their Temporal types.
func modelFault(doing string, err error) error {
	var over *postgres.OverBudgetError
	var none *completion.Error
	switch {
	case errors.As(err, &over):
		return temporal.NewNonRetryableApplicationError(over.Error(), BudgetExceeded, err)
	case errors.As(err, &none):
		return temporal.NewNonRetryableApplicationError(none.Error(), NoModel, err)
	case errors.Is(err, postgres.ErrDenied):
		return final(Denied, err, "ask an admin of the workspace for the role editor")
	}
	return typed(doing, err)
}
