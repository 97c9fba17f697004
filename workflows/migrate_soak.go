package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/migration"
)

// soak lets time pass before what cannot easily be taken back, and watches the target meanwhile.
func (m *migrate) soak(ctx workflow.Context) error {
	if m.plan.Soak <= 0 {
		return nil
	}
	if err := m.phase(ctx, PhaseSoak); err != nil {
		return err
	}
	defer m.waited(ctx, PhaseSoak)()
	end := workflow.Now(ctx).Add(m.plan.Soak)
	m.status.SoakUntil = &end
	defer func() { m.status.SoakUntil = nil }()
	w := soakWatch{migrate: m, counts: m.plan.MaxErrorRate > 0 || m.plan.MaxActive > 0, measures: m.plan.SoakMeasures && m.plan.Measured}
	watched := w.counts || w.measures
	if err := w.sample(ctx, &w.last); err != nil {
		return err
	}
	every := max(time.Minute, m.plan.Soak/100)
	for {
		left := end.Sub(workflow.Now(ctx))
		if left <= 0 {
			return m.gate(ctx)
		}
		if !watched {
			every = left
		}
		if err := workflow.Sleep(ctx, min(every, left)); err != nil {
			return err
		}
		if err := w.look(ctx); err != nil {
			return err
		}
	}
}

// soakWatch watches a target. Its own queries are left out of what is counted.
type soakWatch struct {
	*migrate
	counts, measures bool
	last             activities.Sample // where the next stretch begins
	sum              activities.Sample // of the stretches so far
}

func (w *soakWatch) sample(ctx workflow.Context, out *activities.Sample) error {
	if !w.counts {
		return nil
	}
	return w.do(ctx, "look at the target", w.acts.SampleMigration, w.ref, out)
}

// look stops the migration where the target does worse than the plan allows.
func (w *soakWatch) look(ctx workflow.Context) error {
	var now activities.Sample
	if err := w.sample(ctx, &now); err != nil {
		return err
	}
	stretch := now.Since(w.last)
	w.last, w.sum = now, w.sum.Plus(stretch)
	if why := w.judge(stretch); why != "" {
		w.status.Why = why
		return errStopped
	}
	if !w.measures {
		return nil
	}
	slower, err := w.slower(ctx)
	if err == nil && len(slower) > 0 { // a moment may be slow: what is slow stays so
		slower, err = w.slower(ctx)
	}
	if err != nil {
		return err
	}
	if len(slower) > 0 {
		w.status.Why = "in the soak " + strings.Join(slower, "; ")
		return errStopped
	}
	return w.sample(ctx, &w.last)
}

// judge says what is wrong; "" is nothing.
func (w *soakWatch) judge(stretch activities.Sample) string {
	if !w.plan.SoakMeasures { // started by a worker that looked at the error rate since the start alone
		if rate := w.sum.ErrorRate(); rate > w.plan.MaxErrorRate {
			return fmt.Sprintf("%.1f %% of the transactions were rolled back in the soak, and %.1f %% are allowed", 100*rate, 100*w.plan.MaxErrorRate)
		}
		return ""
	}
	if why := stretch.Faults("since the last look", w.plan.MaxErrorRate, w.plan.MaxActive); why != "" {
		return why
	}
	return w.sum.Faults("in the soak", w.plan.MaxErrorRate, w.plan.MaxActive)
}

// measure times the reference queries of the plan.
func (m *migrate) measure(ctx workflow.Context, out *[]activities.QueryTime) error {
	if !m.plan.Measured {
		return nil
	}
	return m.do(ctx, "reference queries", m.acts.MeasureMigration, m.ref, out)
}

// compareSpeed stops the migration where a reference query has become too slow.
func (m *migrate) compareSpeed(ctx workflow.Context) error {
	if !m.plan.Measured {
		return nil
	}
	if err := m.phase(ctx, PhaseMeasure); err != nil {
		return err
	}
	slower, err := m.slower(ctx)
	if err == nil && len(slower) > 0 {
		m.status.Why, err = strings.Join(slower, "; "), errStopped
	}
	return err
}

// slower times the reference queries again, and says which take longer than before the migration.
func (m *migrate) slower(ctx workflow.Context) ([]string, error) {
	if err := m.measure(ctx, &m.status.After); err != nil {
		return nil, err
	}
	return migration.Slower(m.status.Before, m.status.After, m.plan.MaxSlowdown), nil
}
