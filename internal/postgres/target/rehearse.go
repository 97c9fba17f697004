package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/migration"
)

// rehearsalLock is of the advisory lock that keeps rehearsals of one database apart.
const rehearsalLock = lockKey + 1

// Rehearse applies a plan to a clone of the database and undoes it, and reports what each step locked, touched and changed. The clone is
// a database of its own on the same server, gone when Rehearse returns; one that an earlier run left because it was killed is removed
// first. The role needs createdb. A step that cannot be applied is part of the report and not an error.
func (t *Target) Rehearse(ctx context.Context, mig uuid.UUID, plan *migration.Plan, tell func(string)) (r migration.Rehearsal, err error) {
	defer func() { err = t.masked(err) }()
	c := &cloner{t: t, tell: tell}
	if err := c.open(ctx, mig); err != nil {
		return r, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if gone := c.close(ctx); err == nil {
			err = gone
		}
	}()
	began := time.Now()
	if r.Clone, err = c.clone(ctx); err != nil {
		return r, err
	}
	r.Took, r.Leftovers = time.Since(began), c.leftovers
	clone := &Target{Copier: t.Copier, cfg: t.cfg.Copy(), secret: t.secret, version: t.version}
	clone.cfg.Database = c.name
	return r, rehearse(ctx, clone, mig, plan, &r, tell)
}

func rehearse(ctx context.Context, t *Target, mig uuid.UUID, plan *migration.Plan, r *migration.Rehearsal, tell func(string)) error {
	before, err := t.Catalogue(ctx)
	if err != nil {
		return err
	}
	if r.Timings[0], err = t.Measure(ctx, plan.Settings.Queries); err != nil {
		return err
	}
	// The clone brings the ledger of the database with it, in which the migration itself may have begun.
	if err := t.forget(ctx); err != nil {
		return err
	}
	if err := t.Begin(ctx, mig, plan); err != nil {
		return err
	}
	last := before
	for i := range plan.Steps {
		tell(fmt.Sprintf("applies step %q to the clone", plan.Steps[i].Name))
		s, err := t.rehearseStep(ctx, mig, plan, i)
		if err != nil {
			return err
		}
		now, err := t.Catalogue(ctx)
		if err != nil {
			return err
		}
		s.Catalogue, last = migration.Diff(last.Structure(), now.Structure()), now
		r.Steps = append(r.Steps, s)
		if s.Fault != "" {
			break
		}
	}
	r.Catalogue = migration.Diff(before.Structure(), last.Structure())
	if len(r.Steps) == len(plan.Steps) && r.Steps[len(r.Steps)-1].Fault == "" {
		if r.Timings[1], err = t.Measure(ctx, plan.Settings.Queries); err != nil {
			return err
		}
		if r.Findings, err = t.Verify(ctx); err != nil {
			return err
		}
	}
	for i := len(r.Steps) - 1; i >= 0; i-- {
		tell(fmt.Sprintf("undoes step %q of the clone", plan.Steps[i].Name))
		began := time.Now()
		left, err := t.Undo(ctx, mig, plan, i, func(Progress) {})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.Steps[i].Undo, r.Steps[i].Differences = time.Since(began), left
		if err != nil {
			r.Steps[i].UndoFault = err.Error()
			return nil
		}
	}
	now, err := t.Catalogue(ctx)
	if err != nil {
		return err
	}
	r.Differences = migration.Diff(before.Structure(), now.Structure())
	return nil
}

// forget ends in the clone's ledger what is under way in the database.
func (t *Target) forget(ctx context.Context) error {
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, "delete from tartan_migrate.migrations where finished_at is null")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000") {
		return nil
	}
	return err
}

// rehearseStep applies a step and watches it from beside.
func (t *Target) rehearseStep(ctx context.Context, mig uuid.UUID, plan *migration.Plan, i int) (s migration.RehearsedStep, err error) {
	s.Name, s.Kind = plan.Steps[i].Name, plan.Steps[i].Kind
	conn, err := t.connect(ctx)
	if err != nil {
		return s, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	files, err := filenodes(ctx, conn)
	if err != nil {
		return s, err
	}
	rowsBefore, err := touchedRows(ctx, conn)
	if err != nil {
		return s, err
	}
	stop := t.watchLocks(ctx, mig, &s)
	began := time.Now()
	fault := t.Apply(ctx, mig, plan, i, func(Progress) {})
	s.Took = time.Since(began)
	stop()
	if ctx.Err() != nil {
		return s, ctx.Err()
	}
	if fault != nil {
		s.Fault = fault.Error()
	}
	after, err := filenodes(ctx, conn)
	if err != nil {
		return s, err
	}
	rows, err := touchedRows(ctx, conn)
	if err != nil {
		return s, err
	}
	s.Touched = touched(rowsBefore, rows, files, after)
	return s, nil
}
