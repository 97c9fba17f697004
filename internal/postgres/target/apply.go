package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Apply applies a step; one that is done already stays. Interrupted at any moment and called again, it goes on where the
// ledger says. The errors are StepError where the database refuses the step, LockError, ErrChanged and ErrBusy where these
// say more; others may pass, and Apply be called again.
func (t *Target) Apply(ctx context.Context, mig uuid.UUID, plan *migration.Plan, ordinal int, tell func(Progress)) (err error) {
	defer func() { err = t.masked(err) }()
	w, err := t.open(ctx, mig, plan, ordinal, tell)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	row, err := step(ctx, w.conn, mig, ordinal)
	if err != nil || row.State == Done {
		return err
	}
	if row.State != Pending && row.State != Running {
		return fmt.Errorf("step %q is %s", w.step.Name, row.State)
	}
	switch {
	case w.step.Kind == migration.KindCopy:
		if t.Copier == nil {
			return errors.New("this worker copies no rows")
		}
		w.close(ctx) // the copier takes the session
		return t.Copier.Copy(ctx, t, mig, plan, ordinal, tell)
	case w.step.Kind == migration.KindIndex:
		return w.index(ctx, row)
	}
	defer w.watch(ctx, nil)()
	switch {
	case w.step.Kind == migration.KindBackfill:
		return w.backfill(ctx, row)
	case w.step.NoTransaction:
		return w.outside(ctx, row)
	}
	return w.inside(ctx)
}

// inside applies a step whose statements are one transaction, with what it destroys put into the archive, its assertions, and
// its row in the ledger.
func (w *work) inside(ctx context.Context) error {
	limit := w.statementTimeout()
	if w.step.Kind == migration.KindValidate || w.step.Kind == migration.KindDrop {
		limit = -1 // as long as the table is; a validation blocks nobody
	}
	return w.transaction(ctx, limit, pgx.TxOptions{}, func(tx pgx.Tx) error {
		row, err := step(ctx, tx, w.mig, w.ordinal)
		if err != nil || row.State == Done {
			return err
		}
		before, err := readCatalogue(ctx, tx)
		if err != nil {
			return err
		}
		detail := row.Detail
		if detail.Archive, err = w.archive(ctx, tx); err != nil {
			return err
		}
		if err := w.exec(ctx, tx, w.step.Up); err != nil {
			return err
		}
		if err := w.verify(ctx, tx); err != nil {
			return err
		}
		after, err := readCatalogue(ctx, tx)
		if err != nil {
			return err
		}
		detail.Changes = migration.Changed(before, after)
		return setStep(ctx, tx, w.mig, w.ordinal, Done, 0, detail)
	})
}

// outside applies statements that cannot be in a transaction, one by one. The ledger says which one is under way and how the
// database was before it, so that one that was interrupted is known to be done by what it changed.
func (w *work) outside(ctx context.Context, row StepRow) error {
	d := row.Detail
	for d.Statement < len(w.step.Up) {
		resumed := d.Before != nil
		if !resumed {
			before, err := readCatalogue(ctx, w.conn)
			if err != nil {
				return err
			}
			d.Before = &before
			if err := w.save(ctx, Running, d); err != nil {
				return err
			}
		}
		if err := w.alone(ctx, w.step.Up[d.Statement], *d.Before, resumed); err != nil {
			return err
		}
		after, err := readCatalogue(ctx, w.conn)
		if err != nil {
			return err
		}
		d.Changes = d.Changes.Then(migration.Changed(*d.Before, after))
		d.Statement, d.Before = d.Statement+1, nil
		if err := w.save(ctx, Running, d); err != nil {
			return err
		}
	}
	if err := w.verify(ctx, w.conn); err != nil {
		return err
	}
	return w.save(ctx, Done, d)
}

// save enters the step's state by itself.
func (w *work) save(ctx context.Context, state string, d Detail) error {
	return pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error { return setStep(ctx, tx, w.mig, w.ordinal, state, 0, d) })
}

// alone runs a statement outside of a transaction. Where an earlier attempt may have run it, what that left INVALID goes
// first, and a refusal because it is done already is none.
func (w *work) alone(ctx context.Context, s migration.Statement, before migration.Catalogue, resumed bool) error {
	now := before
	if resumed {
		var err error
		if now, err = readCatalogue(ctx, w.conn); err != nil {
			return err
		}
		for _, o := range migration.Changed(before, now).After {
			if o.Kind == migration.ObjectIndex && o.Facts["valid"] == "false" {
				if _, err := w.conn.Exec(ctx, "drop index concurrently if exists "+pgx.Identifier{o.Schema, o.Name}.Sanitize()); err != nil {
					return w.fault(s, err)
				}
			}
		}
	}
	_, err := w.conn.Exec(ctx, s.SQL)
	var pg *pgconn.PgError
	if resumed && errors.As(err, &pg) && alreadySo(pg.Code) && len(migration.Diff(before.Structure(), now.Structure())) > 0 {
		return nil
	}
	return w.fault(s, err)
}

// alreadySo reports whether a SQLSTATE says that an object exists, or exists no more.
func alreadySo(code string) bool {
	switch code {
	case "42710", "42P07", "42701", "42723", "42P06", "42704", "42P01", "42703", "42883", "3F000":
		return true
	}
	return false
}

// index makes an index concurrently. It waits for old transactions, but nothing that reads or writes rows waits for it, so
// that it may take its time at locks.
func (w *work) index(ctx context.Context, row StepRow) error {
	defer w.watch(ctx, w.lookAtIndex)()
	d := row.Detail
	found, err := w.findIndex(ctx)
	if err != nil {
		return err
	}
	if row.State == Pending {
		if d.Existed = found != nil; d.Existed && found.Facts["valid"] == "true" {
			return &StepError{Step: w.step.Name, Statement: w.up(), Err: fmt.Errorf("%s exists already, and is not of this migration", found.Path())}
		}
		if err := w.save(ctx, Running, d); err != nil {
			return err
		}
	}
	if found != nil && found.Facts["valid"] == "false" {
		if err := w.dropIndex(ctx, found); err != nil {
			return err
		}
		found = nil
	}
	if found == nil {
		if _, err := w.conn.Exec(ctx, w.step.Up[0].SQL); err != nil {
			return w.fault(w.up(), err)
		}
		if found, err = w.findIndex(ctx); err != nil {
			return err
		}
		if found == nil || found.Facts["valid"] != "true" {
			return &StepError{Step: w.step.Name, Statement: w.up(), Err: fmt.Errorf("the statement made no valid index %s on %s", w.step.Index.Name, w.step.Index.Table)}
		}
	}
	if err := w.verify(ctx, w.conn); err != nil {
		return err
	}
	d.Changes = migration.Changes{After: []migration.Object{*found}}
	return w.save(ctx, Done, d)
}

func (w *work) up() migration.Statement {
	return migration.Statement{File: w.step.Up[0].File, Line: w.step.Up[0].Line}
}

func (w *work) dropIndex(ctx context.Context, o *migration.Object) error {
	_, err := w.conn.Exec(ctx, "drop index concurrently if exists "+pgx.Identifier{o.Schema, o.Name}.Sanitize())
	return w.fault(w.up(), err)
}

// findIndex finds the index of the step by its name in the schema of its table; nil where there is none.
func (w *work) findIndex(ctx context.Context) (*migration.Object, error) {
	table, err := resolve(ctx, w.conn, w.step.Index.Table)
	if err != nil {
		return nil, w.fault(w.up(), err)
	}
	o := migration.Object{Kind: migration.ObjectIndex, Schema: table.Schema, Name: w.step.Index.Name}
	c, err := readCatalogue(ctx, w.conn, table.Schema)
	if err != nil {
		return nil, err
	}
	for _, x := range c.Objects {
		if x.Kind == o.Kind && x.Name == o.Name {
			return &x, nil
		}
	}
	return nil, nil
}

// lookAtIndex reports how far the server is with the index.
func (w *work) lookAtIndex(ctx context.Context, conn *pgx.Conn, pid uint32) {
	var p Progress
	err := conn.QueryRow(ctx, `select phase, case when tuples_total > 0 then tuples_done else blocks_done end, case when tuples_total > 0 then tuples_total else blocks_total end
from pg_stat_progress_create_index where pid = $1`, int32(pid)).Scan(&p.Phase, &p.Rows, &p.Total)
	if err == nil {
		w.report(func(now *Progress) { now.Phase, now.Rows, now.Total = p.Phase, p.Rows, p.Total })
	}
}

// Check runs the assertions that must hold before the first step.
func (t *Target) Check(ctx context.Context, plan *migration.Plan) error {
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, c := range plan.Settings.Checks {
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			limit := orDefault(plan.Settings.StatementTimeout, 10*time.Minute)
			if _, err := tx.Exec(ctx, fmt.Sprintf("set local statement_timeout = %d", limit.Milliseconds())); err != nil {
				return err
			}
			return assertion(ctx, tx, c.SQL.SQL)
		})
		if err != nil {
			return t.masked(&StepError{Step: c.Name, Statement: migration.Statement{File: c.SQL.File, Line: c.SQL.Line}, Err: err})
		}
	}
	return nil
}
