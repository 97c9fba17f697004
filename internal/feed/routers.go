package feed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
)

const (
	// maxRouters bounds the workspaces whose learners are in memory: one takes 10 to 40 MB.
	maxRouters   = 4
	outcomeBatch = 500
	// saveOutcomes is how many outcomes may have to be learned again by the next start, or a tenth of all.
	saveOutcomes = 200
	// recheck is how long models and outcomes in memory are believed without an event.
	recheck = 30 * time.Second
)

// Router chooses models for one workspace, from memory. It learns the outcomes in the order of the database, and so decides
// as every other process does that has read as far. It is safe for concurrent use.
type Router struct {
	workspace uuid.UUID
	l         *Libraries
	used      time.Time // guarded by routers.mu

	loading chan struct{} // one catches up at a time
	mu      sync.RWMutex  // guards what follows
	snap    routing.Snapshot
	at      postgres.Position
	saved   int // outcomes in the saved state
	stale   bool
	looked  time.Time
}

// routers holds a few workspaces' Routers.
type routers struct {
	mu  sync.Mutex
	all map[uuid.UUID]*Router
}

// Router returns the router of a workspace, caught up with what this process was told of. Who may see it is for the caller
// to check. While the database is away it goes on with what is in memory.
func (l *Libraries) Router(ctx context.Context, workspace uuid.UUID) (*Router, error) {
	r := l.routers.take(l, workspace)
	if err := r.catchUp(ctx); err != nil {
		r.mu.RLock()
		defer r.mu.RUnlock()
		if r.snap.Quality == nil || ctx.Err() != nil {
			return nil, err
		}
		l.log.Warn("models not brought up to date", zap.Stringer("workspace_id", workspace), zap.Error(err))
	}
	return r, nil
}

func (rs *routers) take(l *Libraries, workspace uuid.UUID) *Router {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.all[workspace]
	if r == nil {
		if rs.all == nil {
			rs.all = map[uuid.UUID]*Router{}
		}
		if len(rs.all) >= maxRouters {
			var oldest *Router
			for _, o := range rs.all {
				if oldest == nil || o.used.Before(oldest.used) {
					oldest = o
				}
			}
			delete(rs.all, oldest.workspace)
		}
		r = &Router{workspace: workspace, l: l, loading: make(chan struct{}, 1), stale: true}
		rs.all[workspace] = r
	}
	r.used = time.Now()
	return r
}

// told marks the workspace's router as behind, or all of them.
func (rs *routers) told(workspace uuid.UUID) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for id, r := range rs.all {
		if workspace == uuid.Nil || id == workspace {
			r.mu.Lock()
			r.stale = true
			r.mu.Unlock()
		}
	}
}

func (r *Router) behind() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.stale || time.Since(r.looked) > recheck
}

// catchUp reads the models and the outcomes that are new.
func (r *Router) catchUp(ctx context.Context) error {
	if !r.behind() {
		return nil
	}
	select {
	case r.loading <- struct{}{}:
		defer func() { <-r.loading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !r.behind() {
		return nil
	}
	r.mu.Lock()
	r.stale = false // an event that comes from here on sets it again
	r.mu.Unlock()
	err := r.read(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.stale = true
		return fmt.Errorf("bring models up to date: %w", err)
	}
	r.looked = time.Now()
	return nil
}

func (r *Router) read(ctx context.Context) error {
	if err := r.restore(ctx); err != nil {
		return err
	}
	for {
		var outcomes []routing.Outcome
		var at postgres.Position
		var models []routing.Model
		err := postgres.ReadAsService(ctx, r.l.pool, func(tx pgx.Tx) (err error) {
			if models, err = postgres.Models(ctx, tx, r.workspace); err == nil {
				outcomes, at, err = postgres.OutcomesAfter(ctx, tx, r.workspace, r.at, outcomeBatch)
			}
			return err
		})
		if err != nil {
			return err
		}
		r.learn(models, outcomes, at)
		if len(outcomes) < outcomeBatch {
			return r.save(ctx)
		}
	}
}

// restore starts from the saved state, the first time.
func (r *Router) restore(ctx context.Context) error {
	if r.snap.Quality != nil {
		return nil
	}
	var state []byte
	var at postgres.Position
	err := postgres.ReadAsService(ctx, r.l.pool, func(tx pgx.Tx) (err error) {
		state, at, err = postgres.Learned(ctx, tx, r.workspace)
		return err
	})
	if err != nil {
		return err
	}
	learner := routing.NewLearner(1)
	if state != nil {
		if err := learner.UnmarshalBinary(state); err != nil {
			r.l.log.Warn("saved state not read; learning from the first outcome", zap.Stringer("workspace_id", r.workspace), zap.Error(err))
			at = postgres.Position{}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snap.Quality, r.snap.Health, r.at, r.saved = learner, map[string]routing.Health{}, at, learner.Outcomes()
	return nil
}

// learn takes outcomes in a few at a time, so that decisions are not held up for long.
func (r *Router) learn(models []routing.Model, outcomes []routing.Outcome, at postgres.Position) {
	r.mu.Lock()
	r.snap.Models = models
	r.mu.Unlock()
	for i := range outcomes {
		o := &outcomes[i]
		r.mu.Lock()
		r.snap.Quality.Learn(o)
		if o.Source == "call" || o.Latency > 0 || o.Class != "" {
			r.snap.Health[o.Model] = r.snap.Health[o.Model].Record(o.Class, o.Latency, o.At)
		}
		r.mu.Unlock()
	}
	r.mu.Lock()
	r.at = at
	r.mu.Unlock()
}

func (r *Router) save(ctx context.Context) error {
	learned := r.snap.Quality.Outcomes() // written under loading alone
	if learned-r.saved < max(saveOutcomes, learned/10) {
		return nil
	}
	state, err := r.snap.Quality.MarshalBinary()
	if err == nil {
		err = postgres.AsService(ctx, r.l.pool, func(tx pgx.Tx) error {
			return postgres.SaveLearned(ctx, tx, r.workspace, state, learned, r.at)
		})
	}
	if err != nil {
		// The state only saves time; the outcomes are there.
		r.l.log.Warn("what was learned is not saved", zap.Stringer("workspace_id", r.workspace), zap.Error(err))
		return nil
	}
	r.saved = learned
	return nil
}

// Decide chooses by what is known now.
func (r *Router) Decide(req *routing.Request, now time.Time) routing.Decision {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return routing.Decide(&r.snap, req, now)
}

// Models returns the models of the workspace and their health.
func (r *Router) Models() ([]routing.Model, map[string]routing.Health) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	health := make(map[string]routing.Health, len(r.snap.Health))
	for id, h := range r.snap.Health {
		health[id] = h
	}
	return r.snap.Models, health
}

// Observe takes in how a call of this process went before its outcome comes back by the feed: health only.
func (r *Router) Observe(model string, class routing.Class, latency time.Duration, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snap.Health[model] = r.snap.Health[model].Record(class, latency, now)
}

// Allow asks the breaker of a model before a call: of many callers one is let through while it is half open.
func (r *Router) Allow(model string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.snap.Health[model]
	var ok bool
	h.Breaker, ok = h.Breaker.Allow(now)
	r.snap.Health[model] = h
	return ok
}

// Outcomes returns how many outcomes were learned.
func (r *Router) Outcomes() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.snap.Quality.Outcomes()
}

// Learner is what was learned of the workspace's models; it goes on learning.
func (r *Router) Learner() *routing.Learner {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.snap.Quality
}

// RecordOutcome writes how a call of this process went, of a decision that may not be recorded, and lets every process
// learn it. It is the service's: who may call models was checked before the call.
func (l *Libraries) RecordOutcome(ctx context.Context, workspace uuid.UUID, o routing.Outcome) error {
	return postgres.AsService(ctx, l.pool, func(tx pgx.Tx) error {
		_, err := postgres.RecordOutcome(ctx, tx, workspace, &o)
		return err
	})
}
