package target

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/migration"
)

//go:embed ledger.sql
var ledgerSQL string

// The states of a migration and of its steps in the ledger.
const (
	Running    = "running"
	Completed  = "completed"
	RolledBack = "rolled back"
	Pending    = "pending"
	Done       = "done"
	Undoing    = "undoing"
	Undone     = "undone"
)

// Entry is a migration in the ledger.
type Entry struct {
	ID           uuid.UUID  `json:"id"`
	Plan         string     `json:"plan"`
	SHA256       string     `json:"sha256"`
	State        string     `json:"state"`
	StartedAt    time.Time  `json:"started_at"`
	FinishedAt   *time.Time `json:"finished_at"`
	ArchiveUntil *time.Time `json:"archive_until"` // it can be undone until then
	Steps        []StepRow  `json:"steps"`
}

// StepRow is a step in the ledger.
type StepRow struct {
	Ordinal    int        `json:"ordinal"` // from 0
	Name       string     `json:"name"`
	Kind       string     `json:"kind"`
	State      string     `json:"state"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Rows       int64      `json:"rows"`
	Detail     Detail     `json:"detail"`
}

// Detail is what the ledger keeps of a step for its undoing.
type Detail struct {
	Changes   migration.Changes    `json:"changes,omitzero"`    // of the catalogue, by the step
	Statement int                  `json:"statement,omitempty"` // first one not done, of a step outside of a transaction
	Before    *migration.Catalogue `json:"before,omitempty"`    // while such a statement runs
	Existed   bool                 `json:"existed,omitempty"`   // the index or constraint was there in that state already
	Key       []Column             `json:"key,omitempty"`       // of a backfill
	Columns   []Column             `json:"columns,omitempty"`   // of a backfill, kept in the archive
	Archive   []Archived           `json:"archive,omitempty"`   // tables of the archive
	Total     int64                `json:"total,omitempty"`     // rows, estimated at the start
	Extra     json.RawMessage      `json:"extra,omitempty"`     // of a copy
}

// Column is a column with its type as SQL names it.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Own  bool   `json:"own,omitempty"` // a type of the user: in the archive it is text
}

// Begin makes the ledger where there is none and enters the migration, with the structure of the database before it. Called
// again it looks whether the plan is the same. The errors are ErrBusy and ErrChanged where these say more.
func (t *Target) Begin(ctx context.Context, mig uuid.UUID, plan *migration.Plan) error {
	conn, err := t.session(ctx, mig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := makeLedger(ctx, conn); err != nil {
		return t.masked(err)
	}
	var sha string
	err = conn.QueryRow(ctx, "select sha256 from tartan_migrate.migrations where id = $1", mig).Scan(&sha)
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		if err == nil && sha != plan.SHA256 {
			err = fmt.Errorf("%w: it was %.12s and is %.12s", ErrChanged, sha, plan.SHA256)
		}
		return t.masked(err)
	}
	return t.masked(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return enter(ctx, tx, mig, plan) }))
}

func makeLedger(ctx context.Context, conn *pgx.Conn) error {
	var have bool
	err := conn.QueryRow(ctx, "select to_regclass('tartan_migrate.batches') is not null").Scan(&have)
	if err != nil || have {
		return err
	}
	if _, err := conn.Exec(ctx, "begin;"+ledgerSQL+";commit"); err != nil {
		return fmt.Errorf("make the ledger (the role must be allowed to create schemas in this database): %w", err)
	}
	return nil
}

func enter(ctx context.Context, tx pgx.Tx, mig uuid.UUID, plan *migration.Plan) error {
	before, err := readCatalogue(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "insert into tartan_migrate.migrations (id, plan, sha256, state, catalogue) values ($1, $2, $3, 'running', $4)", mig, plan.Name, plan.SHA256, before)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "migrations_one_at_a_time" {
		return ErrBusy
	}
	if err != nil {
		return err
	}
	for i, s := range plan.Steps {
		_, err := tx.Exec(ctx, "insert into tartan_migrate.steps (migration, ordinal, name, kind) values ($1, $2, $3, $4)", mig, i, s.Name, string(s.Kind))
		if err != nil {
			return err
		}
	}
	return nil
}

// Entry reads a migration from the ledger. The error is ErrUnknown where that says more.
func (t *Target) Entry(ctx context.Context, mig uuid.UUID) (e Entry, err error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return e, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	e, err = readEntry(ctx, conn, mig)
	return e, t.masked(err)
}

func readEntry(ctx context.Context, q querier, mig uuid.UUID) (e Entry, err error) {
	err = q.QueryRow(ctx, "select id, plan, sha256, state, started_at, finished_at, archive_until from tartan_migrate.migrations where id = $1", mig).
		Scan(&e.ID, &e.Plan, &e.SHA256, &e.State, &e.StartedAt, &e.FinishedAt, &e.ArchiveUntil)
	var pg *pgconn.PgError
	if errors.Is(err, pgx.ErrNoRows) || errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000") {
		return e, fmt.Errorf("%w: %s", ErrUnknown, mig)
	}
	if err != nil {
		return e, err
	}
	rows, err := q.Query(ctx, `select s.ordinal, s.name, s.kind, s.state, s.started_at, s.finished_at,
  s.rows + coalesce((select sum(b.rows) from tartan_migrate.batches b where b.migration = s.migration and b.step = s.ordinal and b.undone_at is null), 0)::bigint as rows, s.detail
from tartan_migrate.steps s where s.migration = $1 order by s.ordinal`, mig)
	if err != nil {
		return e, err
	}
	e.Steps, err = pgx.CollectRows(rows, pgx.RowToStructByName[StepRow])
	return e, err
}

// Entries reads the migrations whose plan has a name that begins with the prefix, the latest first, without their steps. There are none
// where there is no ledger.
func (t *Target) Entries(ctx context.Context, prefix string) ([]Entry, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var have bool
	if err := conn.QueryRow(ctx, "select to_regclass('tartan_migrate.migrations') is not null").Scan(&have); err != nil || !have {
		return nil, t.masked(err)
	}
	rows, err := conn.Query(ctx, `select id, plan, sha256, state, started_at, finished_at, archive_until from tartan_migrate.migrations
where starts_with(plan, $1) order by started_at desc, id`, prefix)
	if err != nil {
		return nil, t.masked(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[Entry])
	return list, t.masked(err)
}

// Finish enters how the migration ended; the next one may begin then. The archive is kept until the time given.
func (t *Target) Finish(ctx context.Context, mig uuid.UUID, state string, archiveUntil time.Time) error {
	conn, err := t.session(ctx, mig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `update tartan_migrate.migrations set state = $2, finished_at = coalesce(finished_at, now()), archive_until = $3 where id = $1 and state <> $2`, mig, state, archiveUntil)
	return t.masked(err)
}

// Reopen takes a completed migration up again, to be undone. The errors are ErrUnknown, ErrBusy where another one runs, and
// ErrIrreversible where its archive is gone.
func (t *Target) Reopen(ctx context.Context, mig uuid.UUID, now time.Time) error {
	conn, err := t.session(ctx, mig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	e, err := readEntry(ctx, conn, mig)
	if err != nil {
		return t.masked(err)
	}
	switch {
	case e.State == Running:
		return nil
	case e.State == RolledBack:
		return fmt.Errorf("%w: it is rolled back already", ErrIrreversible)
	case e.ArchiveUntil == nil || now.After(*e.ArchiveUntil):
		return fmt.Errorf("%w: the retention of its archive is over", ErrIrreversible)
	}
	_, err = conn.Exec(ctx, "update tartan_migrate.migrations set state = 'running', finished_at = null where id = $1", mig)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "migrations_one_at_a_time" {
		return ErrBusy
	}
	return t.masked(err)
}

// Purge drops the tables of the archive whose retention is over, and returns how many.
func (t *Target) Purge(ctx context.Context, mig uuid.UUID, now time.Time) (n int, err error) {
	conn, err := t.session(ctx, mig)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'tartan_archive' and c.relkind = 'r' and exists (
  select from tartan_migrate.migrations m where m.finished_at is not null and m.archive_until < $1 and starts_with(c.relname, 'm' || replace(m.id::text, '-', '')))`, now)
	if err != nil {
		return 0, t.masked(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, t.masked(err)
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "drop table if exists "+pgx.Identifier{"tartan_archive", name}.Sanitize()); err != nil {
			return n, t.masked(err)
		}
		n++
	}
	return n, nil
}

// setStep enters the state of a step. It belongs into the transaction that does what the state says.
func setStep(ctx context.Context, tx pgx.Tx, mig uuid.UUID, ordinal int, state string, rows int64, detail Detail) error {
	tag, err := tx.Exec(ctx, `update tartan_migrate.steps set state = $3, rows = $4, detail = $5, started_at = coalesce(started_at, now()),
finished_at = case when $3 in ('done', 'undone') then clock_timestamp() end where migration = $1 and ordinal = $2`, mig, ordinal, state, rows, detail)
	if err == nil && tag.RowsAffected() == 0 {
		err = fmt.Errorf("%w: step %d of %s", ErrUnknown, ordinal, mig)
	}
	return err
}

// step reads a step's row.
func step(ctx context.Context, q querier, mig uuid.UUID, ordinal int) (s StepRow, err error) {
	rows, err := q.Query(ctx, "select ordinal, name, kind, state, started_at, finished_at, rows, detail from tartan_migrate.steps where migration = $1 and ordinal = $2", mig, ordinal)
	if err != nil {
		return s, err
	}
	s, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[StepRow])
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("%w: step %d of %s", ErrUnknown, ordinal, mig)
	}
	return s, err
}

// Compare says where the structure of the database is not what it was when the migration began, whoever changed it.
func (t *Target) Compare(ctx context.Context, mig uuid.UUID) ([]migration.Difference, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := readEntry(ctx, conn, mig); err != nil {
		return nil, t.masked(err)
	}
	var before migration.Catalogue
	if err := conn.QueryRow(ctx, "select catalogue from tartan_migrate.migrations where id = $1", mig).Scan(&before); err != nil {
		return nil, t.masked(err)
	}
	now, err := readCatalogue(ctx, conn)
	if err != nil {
		return nil, t.masked(err)
	}
	return migration.Diff(before.Structure(), now.Structure()), nil
}
