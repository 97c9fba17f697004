// Package completion has a model do one call: decide which, reserve what it may cost, send it, check the answer, settle.
// Workflows do the same with one activity a step; interactive calls and the gateway call Do. A request comes in with who
// pays; an answer goes out, or an *Error that lists every attempt. It has no retries of its own: it asks routing.Ladder.
package completion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/internal/telemetry"
)

// Auto is the name of the model that leaves the choice to routing.
const Auto = "auto"

// Call is one request with who pays for it and how it may be answered.
type Call struct {
	Caller  access.Caller    `json:"caller"`
	Key     string           `json:"key"` // what the call is; the same key is paid for once where Durable
	Durable bool             `json:"durable,omitempty"`
	Agent   string           `json:"agent,omitempty"`
	Task    string           `json:"task,omitempty"`
	Pattern string           `json:"pattern,omitempty"`
	Request provider.Request `json:"request"` // Model is Auto, or the id of a model
	Dial    float64          `json:"dial"`    // 0 the cheapest, 1 the best
	MaxCost routing.Money    `json:"max_cost,omitempty"`
	Cache   Caching          `json:"cache"`
	// Within bounds the whole call with its retries; 0 is no limit but those of the providers.
	Within time.Duration `json:"within,omitempty"`
	// Trying is told of each model before it is asked; it may be nil.
	Trying func(model string) `json:"-"`
}

// Result is the answer to a call.
type Result struct {
	provider.Answer
	Model    string            `json:"model_id"` // that answered, by its id
	Cost     routing.Money     `json:"cost_micros"`
	Total    routing.Money     `json:"total_micros"` // with the attempts that failed
	Cached   string            `json:"cached,omitempty"`
	Decision string            `json:"decision"`
	Attempts []routing.Attempt `json:"attempts,omitempty"` // that failed before
}

// Error is a call that no model answered.
type Error struct {
	Class    routing.Class
	Reason   string // why nothing more was tried
	Attempts []routing.Attempt
	cause    error // of the last attempt
}

func (e *Error) Error() string {
	var tried []string
	for _, a := range e.Attempts {
		tried = append(tried, a.Model+" "+string(a.Class))
	}
	text := "no model answered: " + e.Reason
	if len(tried) > 0 {
		text += " (tried " + strings.Join(tried, ", ") + ")"
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns how the last attempt failed, such as a *provider.Error.
func (e *Error) Unwrap() error { return e.cause }

// Engine does calls. It is safe for concurrent use.
type Engine struct {
	Pool     *pgxpool.Pool
	Registry *provider.Registry
	Log      *zap.Logger
	Ladder   routing.Ladder
	// Quality is what was learned of the models of a workspace; nil, or a nil result, is nothing yet.
	Quality func(workspace uuid.UUID) *routing.Learner
	// Outcome is told how each attempt ended; it must return quickly, and may be nil.
	Outcome func(workspace uuid.UUID, o routing.Outcome)
	// Now is the clock of breakers and limits; nil is time.Now.
	Now func() time.Time

	settling sync.WaitGroup
	slots    chan struct{} // of settlements in the background
	once     sync.Once

	mu     sync.Mutex
	health map[string]routing.Health
}

// Plan is a decision as the ladder needs it.
type Plan struct {
	Decision routing.Decision `json:"decision"`
	Rungs    []routing.Rung   `json:"rungs"`
}

// Decide ranks the models that may answer. It costs no call and changes nothing.
func (e *Engine) Decide(c *Call, now time.Time) (Plan, error) {
	if err := c.Request.Check(); err != nil {
		return Plan{}, &Error{Class: routing.BadRequest, Reason: "the request is at fault", cause: err}
	}
	if f := c.Request.Format; f.Wants() && f.Schema != nil {
		if _, err := compile(f.Schema.Schema); err != nil {
			return Plan{}, &Error{Class: routing.BadRequest, Reason: "the schema of response_format cannot be used", cause: err}
		}
	}
	req := routing.Request{
		ID: c.Key, Task: c.Task, Pattern: c.Pattern, Features: routing.Featurize(c.Request.Prompt()), InputTokens: c.Request.MostInput(),
		MaxOutput: c.Request.MaxTokens, Needs: needs(&c.Request), MaxCost: c.MaxCost, Dial: c.Dial,
	}
	if c.Request.Model != Auto && c.Request.Model != "" {
		if _, ok := e.Registry.Model(c.Request.Model); !ok {
			return Plan{}, &Error{Class: routing.BadRequest, Reason: fmt.Sprintf("there is no model %q", c.Request.Model)}
		}
		req.Pinned = c.Request.Model
	}
	snapshot := routing.Snapshot{Models: e.Registry.Models(), Health: e.Health()}
	if e.Quality != nil {
		snapshot.Quality = e.Quality(c.Caller.WorkspaceID)
	}
	// The bound of the input in bytes is for money; whether it fits is for the provider to say.
	for i := range snapshot.Models {
		if m := &snapshot.Models[i]; m.ContextTokens > 0 && req.InputTokens > m.ContextTokens && req.InputTokens/4 <= m.ContextTokens {
			m.ContextTokens = req.InputTokens + req.MaxOutput
		}
	}
	p := Plan{Decision: routing.Decide(&snapshot, &req, now)}
	for _, choice := range p.Decision.Ranked {
		m, _ := e.Registry.Model(choice.Model)
		p.Rungs = append(p.Rungs, routing.Rung{Model: m.ID, ContextTokens: m.ContextTokens})
	}
	if len(p.Rungs) == 0 {
		if !e.chats() {
			return p, &Error{Class: routing.BadRequest, Reason: "no model is configured: name some in the file that TARTAN_MODELS names, for the workers and the gateway"}
		}
		return p, &Error{Class: routing.Transient, Reason: p.Decision.Reason}
	}
	return p, nil
}

func needs(r *provider.Request) routing.Capability {
	need := routing.Chat
	if len(r.Tools) > 0 {
		need |= routing.Tools
	}
	if r.Format.Wants() {
		need |= routing.JSON
	}
	if r.HasImages() {
		need |= routing.Vision
	}
	return need
}

// Health returns how the models do lately.
func (e *Engine) Health() map[string]routing.Health {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]routing.Health, len(e.health))
	for k, v := range e.health {
		out[k] = v
	}
	return out
}

func (e *Engine) record(model string, class routing.Class, latency time.Duration, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.health == nil {
		e.health = map[string]routing.Health{}
	}
	e.health[model] = e.health[model].Record(class, latency, now)
}

// allow lets a call through the breaker of a model; while it is half open, one at a time.
func (e *Engine) allow(model string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.health[model]
	b, ok := h.Breaker.Allow(now)
	if h.Breaker = b; ok && e.health != nil {
		e.health[model] = h
	}
	return ok
}

// Worst is what a call may cost at most on a model, and the output that it may have there.
func Worst(r *provider.Request, m routing.Model) (cost routing.Money, maxOutput int) {
	if maxOutput = r.MaxTokens; maxOutput <= 0 || m.MaxOutput > 0 && maxOutput > m.MaxOutput {
		maxOutput = m.MaxOutput
	}
	return m.Price.Cost(r.MostInput(), maxOutput, 0), maxOutput
}

// live is how long a call may go on before its caller counts as dead: longer than any deadline of a provider.
const live = 15 * time.Minute

// Do answers a call, passing on what comes to each, which may be nil. The error is an *Error, a *postgres.OverBudgetError, or
// wraps postgres.ErrDenied.
func (e *Engine) Do(ctx context.Context, c *Call, each func(provider.Delta) error) (*Result, error) {
	started := time.Now()
	if c.Within > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.Within)
		defer stop()
	}
	if c.Key == "" {
		c.Key = uuid.NewString()
	}
	plan, err := e.Decide(c, e.Clock())
	if err != nil {
		return nil, err
	}
	if found, err := e.Cached(ctx, c, each); found != nil || err != nil {
		return found, err
	}
	var attempts []routing.Attempt
	var spent routing.Money
	var cause error
	for {
		step := e.Ladder.Next(plan.Rungs, attempts, c.left(started), c.Key)
		if step.GaveUp() {
			return nil, gaveUp(step, attempts, cause)
		}
		if !pause(ctx, step.After) {
			attempts = append(attempts, routing.Attempt{Model: step.Model, Class: routing.Cancelled})
			cause = ctx.Err()
			continue
		}
		got, err := e.Invoke(ctx, c, step.Model, len(attempts), each)
		if err != nil {
			var failed *Failure
			if !errors.As(err, &failed) {
				return nil, err
			}
			spent += failed.Cost
			attempts, cause = append(attempts, failed.Attempt), failed.cause
			continue
		}
		got.Attempts, got.Decision, got.Total = attempts, plan.Decision.ID, spent+got.Cost
		if !c.Durable {
			e.keep(ctx, c, got)
		}
		return got, nil
	}
}

// gaveUp is the error of a call that the ladder ended.
func gaveUp(step routing.Step, attempts []routing.Attempt, cause error) *Error {
	e := &Error{Reason: step.Reason, Attempts: attempts, cause: cause}
	if n := len(attempts); n > 0 {
		e.Class = attempts[n-1].Class
	}
	return e
}

func (c *Call) left(started time.Time) time.Duration {
	if c.Within == 0 {
		return 0
	}
	return max(time.Nanosecond, c.Within-time.Since(started))
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Failure is one attempt that failed, with what it was charged.
type Failure struct {
	routing.Attempt
	Cost  routing.Money
	cause error
}

func (f *Failure) Error() string { return f.cause.Error() }

// Unwrap returns the *provider.Error.
func (f *Failure) Unwrap() error { return f.cause }

// Invoke sends a call to one model, once: it reserves, sends, checks and settles. number counts the attempts of the call. The
// error is a *Failure, a *postgres.OverBudgetError, or of the database. Of a durable call, an answer that was paid for is
// given again.
func (e *Engine) Invoke(ctx context.Context, c *Call, model string, number int, each func(provider.Delta) error) (*Result, error) {
	m, ok := e.Registry.Model(model)
	p, has := e.Registry.Provider(m)
	if !ok || !has {
		return nil, &Error{Class: routing.BadRequest, Reason: fmt.Sprintf("there is no model %q here", model)}
	}
	now := e.Clock()
	if !e.allow(model, now) {
		return nil, &Failure{Attempt: routing.Attempt{Model: model, Class: routing.Silent}, cause: fmt.Errorf("%s failed lately and is left alone for a while", model)}
	}
	worst, maxOutput := Worst(&c.Request, m)
	if wait := e.Registry.Admit(m.Provider, c.Request.MostInput()/4+maxOutput, now); wait > 0 {
		e.record(model, routing.Cancelled, 0, now) // frees a probe
		return nil, &Failure{
			Attempt: routing.Attempt{Model: model, Class: routing.Throttled, RetryAfter: wait}, cause: fmt.Errorf("the limit of %s is reached for %s", m.Provider, wait.Round(time.Millisecond)),
		}
	}
	held, err := postgres.Reserve(ctx, e.Pool, c.spend(m, worst, number, true))
	if err != nil {
		e.record(model, routing.Cancelled, 0, now)
		return nil, err
	}
	if held.Answer != nil {
		out := &Result{Model: held.Model, Cost: held.Cost}
		return out, json.Unmarshal(held.Answer, &out.Answer)
	}
	if c.Trying != nil {
		c.Trying(m.ID)
	}
	r := c.Request
	r.Model, r.MaxTokens = m.Name, maxOutput
	answer, err := p.Stream(ctx, &r, each)
	if err == nil {
		if err = verify(&r, answer); err != nil {
			err = &unverified{err, answer.Usage}
		}
	}
	out, err := e.settle(ctx, c, m, held.Call, worst, answer, err)
	var failed *Failure
	if errors.As(err, &failed) {
		failed.Delivered = failed.Delivered && each != nil // nobody has seen a piece of it
	}
	if err == nil && c.Durable {
		e.keep(ctx, c, out)
	}
	return out, err
}

// Held is money put aside for an attempt that is not sent yet.
type Held struct {
	Call uuid.UUID `json:"call"`
}

// Hold puts the worst case of an attempt of a durable call aside; Invoke takes it up.
func (e *Engine) Hold(ctx context.Context, c *Call, model string, number int) (Held, error) {
	m, ok := e.Registry.Model(model)
	if !ok {
		return Held{}, &Error{Class: routing.BadRequest, Reason: fmt.Sprintf("there is no model %q here", model)}
	}
	worst, _ := Worst(&c.Request, m)
	r, err := postgres.Reserve(ctx, e.Pool, c.spend(m, worst, number, false))
	return Held{r.Call}, err
}

func (c *Call) spend(m routing.Model, worst routing.Money, number int, sent bool) postgres.Spend {
	return postgres.Spend{
		Caller: c.Caller, Key: fmt.Sprintf("%s/%d", c.Key, number), Agent: c.Agent, Task: c.Task, Model: m.ID, Worst: worst, Sent: sent, Live: live, Durable: c.Durable,
	}
}

// unverified is an answer that came and did not pass its check. It is paid for.
type unverified struct {
	error
	usage provider.Usage
}

// settle charges what a call used and tells health and learning. It must happen although the caller may have gone.
func (e *Engine) settle(ctx context.Context, c *Call, m routing.Model, call uuid.UUID, worst routing.Money, answer *provider.Answer, failed error) (*Result, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer stop()
	s := postgres.Settlement{Call: call, Class: provider.ClassOf(failed)}
	var f *Failure
	var usage provider.Usage
	var pe *provider.Error
	var bad *unverified
	switch {
	case failed == nil:
		usage = answer.Usage
		if c.Durable {
			s.Answer, _ = json.Marshal(answer)
		}
	case errors.As(failed, &bad):
		usage, s.Class = bad.usage, routing.Unverified
		f = &Failure{Attempt: routing.Attempt{Model: m.ID, Class: routing.Unverified, Delivered: true}, cause: failed}
	default:
		f = &Failure{Attempt: routing.Attempt{Model: m.ID, Class: s.Class}, cause: failed}
		if errors.As(failed, &pe) {
			usage, f.RetryAfter, f.Delivered = pe.Usage, pe.RetryAfter, pe.Delivered
		}
	}
	s.Input, s.Output = usage.Input, usage.Output
	if s.Cost = m.Price.Cost(usage.Input, usage.Output, usage.Cached); !usage.Known {
		s.Cost = min(s.Cost, worst) // a guess is never above what was held
	}
	now := e.Clock()
	var latency time.Duration
	if answer != nil {
		latency = answer.Latency
	}
	e.record(m.ID, s.Class, latency, now)
	if e.Outcome != nil {
		o := routing.Outcome{Decision: c.Key, Source: "call", Model: m.ID, Task: c.Task, Pattern: c.Pattern, Cost: s.Cost, Latency: latency, Class: s.Class, At: now}
		if answer != nil {
			o.FirstToken = answer.FirstToken
		}
		if (failed == nil || bad != nil) && c.Request.Format.Wants() {
			if o.Class, o.Judged, o.Source, o.Features = "", true, "schema", routing.Featurize(c.Request.Prompt()); failed == nil {
				o.Quality = 1
			}
		}
		e.Outcome(c.Caller.WorkspaceID, o)
	}
	if failed == nil && !c.Durable && e.later(m.ID, s) {
		return &Result{Answer: *answer, Model: m.ID, Cost: s.Cost}, nil
	}
	if err := e.settled(ctx, s); err != nil {
		// The reservation stays until it expires and is charged in full: nothing is lost, and nothing goes over.
		e.log().Error("call not settled", zap.Error(err), zap.String(telemetry.KeyModel, m.ID))
		if c.Durable {
			return nil, err
		}
	}
	if f != nil {
		f.Cost = s.Cost
		return nil, f
	}
	return &Result{Answer: *answer, Model: m.ID, Cost: s.Cost}, nil
}

// Clock returns the time that breakers go by.
func (e *Engine) Clock() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

func (e *Engine) log() *zap.Logger {
	if e.Log == nil {
		return zap.NewNop()
	}
	return e.Log
}

// backlog is how many settlements may be under way in the background; with more, callers wait for their own.
const backlog = 128

// later settles an interactive answer without having its caller wait: until then its worst case stays reserved, so nothing goes over.
func (e *Engine) later(model string, s postgres.Settlement) bool {
	e.once.Do(func() { e.slots = make(chan struct{}, backlog) })
	select {
	case e.slots <- struct{}{}:
	default:
		return false
	}
	e.settling.Go(func() {
		defer func() { <-e.slots }()
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		defer stop()
		if err := e.settled(ctx, s); err != nil {
			e.log().Error("call not settled", zap.Error(err), zap.String(telemetry.KeyModel, model))
		}
	})
	return true
}

// Wait returns when what was answered is settled. Call it before the pool is closed.
func (e *Engine) Wait() { e.settling.Wait() }

// settled settles, and waits for a database that comes back: an answer in hand is worth it.
func (e *Engine) settled(ctx context.Context, s postgres.Settlement) error {
	for {
		err := postgres.Settle(ctx, e.Pool, s)
		if err == nil || !postgres.Unavailable(err) || !pause(ctx, 200*time.Millisecond) {
			return err
		}
	}
}

// verify checks that an answer that must be JSON is, and has its schema.
func verify(r *provider.Request, a *provider.Answer) error {
	if !r.Format.Wants() || len(a.Tools) > 0 {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.Text))
	if err != nil {
		return errors.New("the answer is not JSON")
	}
	if r.Format.Schema == nil {
		return nil
	}
	schema, err := compile(r.Format.Schema.Schema)
	if err != nil {
		return nil // Check has refused it before it was sent
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("the answer does not have its schema: %w", err)
	}
	return nil
}

func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schema)))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // a schema loads no other
	if err := c.AddResource("answer.json", value); err != nil {
		return nil, err
	}
	return c.Compile("answer.json")
}

// Embed makes vectors of texts with one model, on the budgets of whoever calls.
func (e *Engine) Embed(ctx context.Context, c *Call, texts []string) ([][]float32, *Result, error) {
	if c.Request.Model == "" || c.Request.Model == Auto {
		c.Request.Model = provider.StaticName + "/" + provider.StaticModel
	}
	m, ok := e.Registry.Model(c.Request.Model)
	p, has := e.Registry.Provider(m)
	if !ok || !has || !m.Capabilities.Has(routing.Embed) {
		return nil, nil, &Error{Class: routing.BadRequest, Reason: fmt.Sprintf("there is no model %q that embeds", c.Request.Model)}
	}
	worst := m.Price.Cost(provider.MostEmbedded(texts), 0, 0)
	held, err := postgres.Reserve(ctx, e.Pool, postgres.Spend{
		Caller: c.Caller, Key: uuid.NewString(), Agent: c.Agent, Task: c.Task, Model: m.ID, Worst: worst, Sent: true, Live: live,
	})
	if err != nil {
		return nil, nil, err
	}
	vectors, usage, err := p.Embed(ctx, m.Name, texts)
	var pe *provider.Error
	if errors.As(err, &pe) {
		usage = pe.Usage
	}
	s := postgres.Settlement{Call: held.Call, Input: usage.Input, Class: provider.ClassOf(err), Cost: min(worst, m.Price.Cost(usage.Input, 0, usage.Cached))}
	settled, stop := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer stop()
	if failed := e.settled(settled, s); failed != nil {
		e.log().Error("call not settled", zap.Error(failed), zap.String(telemetry.KeyModel, m.ID))
	}
	if err != nil {
		return nil, nil, &Error{Class: s.Class, Reason: m.ID + " made no vectors", cause: err}
	}
	return vectors, &Result{Answer: provider.Answer{Model: m.Name, Usage: usage}, Model: m.ID, Cost: s.Cost, Total: s.Cost}, nil
}
