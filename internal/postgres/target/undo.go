package target

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Undo takes a step back, and returns where the database differs from what it was before the step: rows that others have changed
// since, and the position of columns that were dropped. A step that never began, or is undone, stays. Interrupted at any
// moment and called again, it goes on. The errors are those of Apply, and ErrIrreversible.
func (t *Target) Undo(ctx context.Context, mig uuid.UUID, plan *migration.Plan, ordinal int, tell func(Progress)) (out []migration.Difference, err error) {
	defer func() { err = t.masked(err) }()
	w, err := t.open(ctx, mig, plan, ordinal, tell)
	if err != nil {
		return nil, err
	}
	defer w.close(ctx)
	row, err := step(ctx, w.conn, mig, ordinal)
	if err != nil || row.State == Undone {
		return nil, err
	}
	if w.step.Kind == migration.KindCopy && row.State != Pending {
		if t.Copier == nil {
			return nil, errors.New("this worker copies no rows")
		}
		w.close(ctx)
		return t.Copier.Uncopy(ctx, t, mig, plan, ordinal, tell)
	}
	defer w.watch(ctx, nil)()
	switch {
	case row.State == Pending:
		return nil, w.save(ctx, Undone, row.Detail)
	case w.step.Kind == migration.KindBackfill:
		if out, err = w.unbackfill(ctx, row); err != nil {
			return nil, err
		}
		return out, w.save(ctx, Undone, row.Detail)
	case w.step.Kind == migration.KindIndex:
		return nil, w.unindex(ctx, row)
	case w.step.NoTransaction:
		return w.backOutside(ctx, row)
	}
	return w.back(ctx)
}

// unindex drops the index that the step made, finished or not.
func (w *work) unindex(ctx context.Context, row StepRow) error {
	found, err := w.findIndex(ctx)
	if err != nil {
		return err
	}
	if found != nil && !row.Detail.Existed {
		if err := w.dropIndex(ctx, found); err != nil {
			return err
		}
	}
	return w.save(ctx, Undone, row.Detail)
}

// back undoes a step in one transaction with its row of the ledger: by its down section, or from what the ledger and the
// archive hold.
func (w *work) back(ctx context.Context) (out []migration.Difference, err error) {
	err = w.transaction(ctx, -1, pgx.TxOptions{}, func(tx pgx.Tx) error {
		row, err := step(ctx, tx, w.mig, w.ordinal)
		if err != nil {
			return err
		}
		if row.State != Done { // its transaction was never committed
			return setStep(ctx, tx, w.mig, w.ordinal, Undone, 0, row.Detail)
		}
		if len(w.step.Down) > 0 {
			err = w.byHand(ctx, tx, row.Detail)
		} else {
			err = w.derived(ctx, tx, row.Detail)
		}
		if err != nil {
			return err
		}
		if out, err = w.compare(ctx, tx, row.Detail.Changes); err != nil {
			return err
		}
		return setStep(ctx, tx, w.mig, w.ordinal, Undone, 0, row.Detail)
	})
	return out, err
}

// byHand runs the down section, and brings back what the step destroyed.
func (w *work) byHand(ctx context.Context, tx pgx.Tx, d Detail) error {
	if err := w.exec(ctx, tx, w.step.Down); err != nil {
		return err
	}
	for _, a := range d.Archive {
		if err := a.refill(ctx, tx); err != nil {
			return w.fault(w.up(), err)
		}
	}
	return nil
}

// derived undoes what the step changed in the catalogue, and fills in the rows of the archive before constraints and triggers
// are back. What the server adds by itself, such as default privileges, is found and taken back in a second round.
func (w *work) derived(ctx context.Context, tx pgx.Tx, d Detail) error {
	if _, err := tx.Exec(ctx, "set local check_function_bodies = off"); err != nil {
		return err
	}
	changes := d.Changes
	for round := range 3 {
		pre, post, err := migration.Restore(changes)
		if err != nil && w.step.Irreversible {
			return nil // as its author knew; what is left is told as differences
		}
		if err != nil {
			return &StepError{Step: w.step.Name, Statement: w.up(), Err: fmt.Errorf("%w: %w", ErrIrreversible, err)}
		}
		if err := w.execAll(ctx, tx, pre); err != nil {
			return err
		}
		if round == 0 {
			for _, a := range d.Archive {
				if err := a.refill(ctx, tx); err != nil {
					return w.fault(w.up(), err)
				}
			}
		}
		if err := w.execAll(ctx, tx, post); err != nil {
			return err
		}
		now, err := readCatalogue(ctx, tx)
		if err != nil {
			return err
		}
		changes = migration.Changed(migration.NewCatalogue(d.Changes.Before), now.Among(d.Changes))
		if len(pre)+len(post) == 0 || len(changes.Before)+len(changes.After) == 0 {
			break
		}
	}
	return nil
}

func (w *work) execAll(ctx context.Context, tx pgx.Tx, statements []string) error {
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s); err != nil {
			return w.fault(w.up(), fmt.Errorf("undo with %q: %w", s, err))
		}
	}
	return nil
}

// compare says where what the step had changed is not as it was.
func (w *work) compare(ctx context.Context, q querier, changes migration.Changes) ([]migration.Difference, error) {
	now, err := readCatalogue(ctx, q)
	if err != nil {
		return nil, err
	}
	return migration.Diff(migration.NewCatalogue(changes.Before).Structure(), now.Among(changes).Structure()), nil
}

// backOutside undoes a step whose statements are not in a transaction. The derived way takes only what is in the ledger.
func (w *work) backOutside(ctx context.Context, row StepRow) (out []migration.Difference, err error) {
	d := row.Detail
	if d.Before != nil { // interrupted: what that statement changed so far
		now, err := readCatalogue(ctx, w.conn)
		if err != nil {
			return nil, err
		}
		d.Changes, d.Before = d.Changes.Then(migration.Changed(*d.Before, now)), nil
	}
	if row.State != Undoing {
		d.Statement = 0
		if err := w.save(ctx, Undoing, d); err != nil {
			return nil, err
		}
	}
	if len(w.step.Down) == 0 {
		err := w.transaction(ctx, -1, pgx.TxOptions{}, func(tx pgx.Tx) error { return w.derived(ctx, tx, d) })
		if err != nil {
			return nil, err
		}
	}
	for ; d.Statement < len(w.step.Down); d.Statement++ {
		before := migration.NewCatalogue(d.Changes.Before)
		if err := w.alone(ctx, w.step.Down[d.Statement], before, true); err != nil {
			return nil, err
		}
		if err := w.save(ctx, Undoing, Detail{Changes: d.Changes, Statement: d.Statement + 1, Archive: d.Archive}); err != nil {
			return nil, err
		}
	}
	if out, err = w.compare(ctx, w.conn, d.Changes); err != nil {
		return nil, err
	}
	return out, w.save(ctx, Undone, d)
}
