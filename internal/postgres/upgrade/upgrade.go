// Package upgrade brings Tartan's own schema from one release to another with the engine that migrates databases of users: with a ledger,
// an archive of what a step destroys, and a way back. In come the URL of the database and the files of the schema; it knows no commands.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/target"
)

// Errors a caller can decide by.
var (
	// ErrInterrupted says that an upgrade, or its undoing, stands where it was; the same call goes on.
	ErrInterrupted = errors.New("interrupted")
	// ErrUndone says that a step was refused, and that all of the upgrade is undone.
	ErrUndone = errors.New("the upgrade is undone")
	// ErrNoWay says that the ledger has no upgrades that lead back to the version.
	ErrNoWay = errors.New("no way back")
	// ErrVersion says that a version is none that can be gone to.
	ErrVersion = errors.New("no such version to go to")
)

// Schema is Tartan's own in the database at a URL. The role must be the owner of it, or a superuser.
type Schema struct {
	URL   string
	Files fs.FS // of this release
	Log   *zap.Logger
	Tell  func(string) // what is done now
}

// Result is what was done. Versions are numbers of files.
type Result struct {
	From         int64                  `json:"from"` // 0: there was no schema
	To           int64                  `json:"to"`
	Applied      []string               `json:"applied"`
	Undone       []string               `json:"undone"`
	Differences  []migration.Difference `json:"differences,omitempty"`   // from what the database was before the upgrade
	ArchiveUntil *time.Time             `json:"archive_until,omitempty"` // it can be undone until then
}

// Up brings the schema to a later version, or to the newest where it is 0, and returns what was applied. Where there is no schema goose
// makes it. An upgrade that was interrupted goes on first. A refused step undoes the upgrade, and the error is ErrUndone; the others are
// ErrInterrupted, ErrVersion and those of the engine where these say more.
func (s Schema) Up(ctx context.Context, to int64) (r Result, err error) {
	have, newest, drift, err := postgres.SchemaFiles(ctx, s.URL, s.Files)
	if err != nil {
		return r, err
	}
	r = Result{From: have, To: have, Applied: []string{}, Undone: []string{}}
	if to == 0 {
		to = newest
	}
	switch {
	case have > newest:
		return r, fmt.Errorf("%w: the schema has version %d, and this tartan knows up to %d", ErrVersion, have, newest)
	case have == 0 && to != newest:
		return r, fmt.Errorf("%w: there is no schema, which is made as version %d", ErrVersion, newest)
	case have == 0:
		r.Applied, err = postgres.MigrateFiles(ctx, s.URL, s.Files, s.Log)
		r.To = newest
		return r, err
	}
	for _, name := range drift {
		s.Log.Warn("applied migration differs from the file in this binary", zap.String("migration", name))
	}
	t, err := target.Open(ctx, s.URL)
	if err != nil {
		return r, err
	}
	list, err := t.Entries(ctx, postgres.SelfPrefix)
	if err != nil {
		return r, err
	}
	if len(list) > 0 && list[0].State == target.Running {
		if err := s.resume(ctx, t, list[0], &r); err != nil {
			return r, err
		}
	}
	if r.To < to {
		err = s.apply(ctx, t, uuid.New(), r.To, to, &r)
	}
	return r, err
}

// resume goes on with an upgrade that was interrupted.
func (s Schema) resume(ctx context.Context, t *target.Target, e target.Entry, r *Result) error {
	from, to, ok := postgres.SelfVersions(e.Plan)
	if !ok {
		return fmt.Errorf("%w: %s", ErrVersion, e.Plan)
	}
	e, err := t.Entry(ctx, e.ID)
	if err != nil {
		return err
	}
	for _, step := range e.Steps {
		if step.State == target.Undoing || step.State == target.Undone {
			return fmt.Errorf("%w: the upgrade from %d to %d is half undone: roll it back", target.ErrBusy, from, to)
		}
	}
	return s.apply(ctx, t, e.ID, from, to, r)
}

func (s Schema) plan(from, to int64) (*migration.Plan, error) {
	p, err := postgres.SelfPlan(s.Files, from, to)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVersion, err)
	}
	return p, lint.Complete(p)
}

// apply applies an upgrade; steps that are done stay.
func (s Schema) apply(ctx context.Context, t *target.Target, id uuid.UUID, from, to int64, r *Result) error {
	p, err := s.plan(from, to)
	if err != nil {
		return err
	}
	if err := t.Begin(ctx, id, p); err != nil {
		return err
	}
	if _, err := t.Purge(ctx, id, time.Now()); err != nil {
		return err
	}
	for i := range p.Steps {
		s.Tell("applies " + p.Steps[i].Name)
		if err := t.Apply(ctx, id, p, i, func(target.Progress) {}); err != nil {
			return s.failed(ctx, t, id, p, from, err, r)
		}
		r.Applied = append(r.Applied, p.Steps[i].Name)
	}
	until := time.Now().Add(target.DefaultRetention).UTC()
	if err := t.Finish(ctx, id, target.Completed, until); err != nil {
		return fmt.Errorf("%w: %w", ErrInterrupted, err)
	}
	r.To, r.ArchiveUntil = to, &until
	return nil
}

// failed leaves the upgrade to be gone on with where the cause may pass, and else undoes it.
func (s Schema) failed(ctx context.Context, t *target.Target, id uuid.UUID, p *migration.Plan, from int64, cause error, r *Result) error {
	var lock *target.LockError
	if ctx.Err() != nil || target.Passing(cause) && !errors.As(cause, &lock) {
		return fmt.Errorf("%w: %w", ErrInterrupted, cause)
	}
	s.Tell("undoes the upgrade: " + cause.Error())
	if err := s.undo(ctx, t, id, p, from, r); err != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	r.Applied = []string{}
	return fmt.Errorf("%w: %w", ErrUndone, cause)
}

// undo undoes an upgrade, as far as it got, and compares with what the database was before it.
func (s Schema) undo(ctx context.Context, t *target.Target, id uuid.UUID, p *migration.Plan, from int64, r *Result) error {
	for i := len(p.Steps) - 1; i >= 0; i-- {
		s.Tell("undoes " + p.Steps[i].Name)
		left, err := t.Undo(ctx, id, p, i, func(target.Progress) {})
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInterrupted, err)
		}
		for _, d := range left {
			if d.OfRow() { // what differs in the catalogue may be gone when the earlier steps are undone too
				r.Differences = append(r.Differences, d)
			}
		}
		r.Undone = append(r.Undone, p.Steps[i].Name)
	}
	left, err := t.Compare(ctx, id)
	if err == nil {
		err = t.Finish(ctx, id, target.RolledBack, time.Now())
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInterrupted, err)
	}
	r.Differences, r.To = append(r.Differences, left...), from
	return nil
}

// Way is an upgrade that can be undone.
type Way struct {
	From, To int64
	entry    target.Entry
}

// Ways returns the upgrades that lead from where the schema is back to a version, the latest first, or the last one alone where the version
// is below 0. One that is under way comes first. The error is ErrNoWay where they do not lead there; it names the versions that they lead to.
func (s Schema) Ways(ctx context.Context, to int64) (ways []Way, err error) {
	have, _, _, err := postgres.SchemaFiles(ctx, s.URL, s.Files)
	if err != nil {
		return nil, err
	}
	if have == 0 {
		return nil, fmt.Errorf("%w: the database has no schema of Tartan", ErrNoWay)
	}
	t, err := target.Open(ctx, s.URL)
	if err != nil {
		return nil, err
	}
	list, err := t.Entries(ctx, postgres.SelfPrefix)
	if err != nil {
		return nil, err
	}
	var known []int64
	at := have
	for _, e := range list {
		from, end, ok := postgres.SelfVersions(e.Plan)
		if !ok || e.State != target.Running && (e.State != target.Completed || end != at) {
			continue
		}
		ways, known, at = append(ways, Way{from, end, e}), append(known, from), from
		if to < 0 || at == to {
			return ways, nil
		}
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("%w: version %d was not come to by an upgrade of this kind, so there is no archive to go back with", ErrNoWay, have)
	}
	return nil, fmt.Errorf("%w to version %d: from %d the upgrades lead back to %v", ErrNoWay, to, have, known)
}

// Back undoes upgrades, in the order in which Ways returns them. The errors are ErrInterrupted, and those of the engine, where these say more.
func (s Schema) Back(ctx context.Context, ways []Way) (r Result, err error) {
	r = Result{Applied: []string{}, Undone: []string{}}
	t, err := target.Open(ctx, s.URL)
	if err != nil {
		return r, err
	}
	if r.From, _, _, err = postgres.SchemaFiles(ctx, s.URL, s.Files); err != nil {
		return r, err
	}
	r.To = r.From
	for _, w := range ways {
		p, err := s.plan(w.From, w.To)
		if err != nil {
			return r, err
		}
		if p.SHA256 != w.entry.SHA256 {
			return r, fmt.Errorf("%w: the files of this tartan are not those that upgraded to version %d", target.ErrChanged, w.To)
		}
		if err := t.Reopen(ctx, w.entry.ID, time.Now()); err != nil {
			return r, err
		}
		if err := s.undo(ctx, t, w.entry.ID, p, w.From, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}
