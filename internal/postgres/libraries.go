package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Library is a named set of patterns in a workspace, with its totals.
type Library struct {
	ID            uuid.UUID
	WorkspaceID   uuid.UUID
	Name          string
	Kind          string
	Revision      int64 // grows by one with each change of shapes or patterns
	BucketSeconds int
	Shapes        int64 // without folded ones
	Patterns      int64 // without retired ones
	Lines         int64
	OtherLines    int64  // lines counted under no pattern
	Checksum      uint64 // template.Library.Checksum at Revision
	Full          bool   // the bound on shapes was reached
	RulesRevision int64  // at which the rules that people made last changed
	CreatedAt     time.Time
}

const libraryColumns = `id, workspace_id, name, kind, revision, bucket_seconds, shapes, patterns, lines, other_lines, checksum, is_full, rules_revision, created_at`

func scanLibrary(row pgx.CollectableRow) (l Library, err error) {
	var checksum int64
	err = row.Scan(&l.ID, &l.WorkspaceID, &l.Name, &l.Kind, &l.Revision, &l.BucketSeconds, &l.Shapes, &l.Patterns,
		&l.Lines, &l.OtherLines, &checksum, &l.Full, &l.RulesRevision, &l.CreatedAt)
	l.Checksum = uint64(checksum)
	return l, err
}

// one runs a query of one row and says ErrNotFound where there is none.
func one[T any](ctx context.Context, q Querier, scan pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	rows, _ := q.Query(ctx, sql, args...)
	v, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return v, known(err)
}

// EnsureLibrary returns the library of that name, making it if there is none. A caller who may only read gets
// ErrDenied where it would have to be made.
func EnsureLibrary(ctx context.Context, q Querier, workspaceID uuid.UUID, name, kind string) (Library, error) {
	l, err := LibraryByName(ctx, q, workspaceID, name)
	if !errors.Is(err, ErrNotFound) {
		return l, err
	}
	_, err = q.Exec(ctx, `insert into tartan.libraries (workspace_id, name, kind) values ($1, $2, $3)
		on conflict (workspace_id, name) do nothing`, workspaceID, name, kind)
	if err != nil {
		return Library{}, fmt.Errorf("create library %s: %w", name, known(err))
	}
	return LibraryByName(ctx, q, workspaceID, name)
}

// LibraryByName returns the library or ErrNotFound.
func LibraryByName(ctx context.Context, q Querier, workspaceID uuid.UUID, name string) (Library, error) {
	l, err := one(ctx, q, scanLibrary, `select `+libraryColumns+` from tartan.libraries where workspace_id = $1 and name = $2`, workspaceID, name)
	if err != nil {
		return l, fmt.Errorf("library %s: %w", name, err)
	}
	return l, nil
}

// LibraryByID returns the library or ErrNotFound.
func LibraryByID(ctx context.Context, q Querier, id uuid.UUID) (Library, error) {
	l, err := one(ctx, q, scanLibrary, `select `+libraryColumns+` from tartan.libraries where id = $1`, id)
	if err != nil {
		return l, fmt.Errorf("library %s: %w", id, err)
	}
	return l, nil
}

// LibrariesByID returns those of the libraries that exist, in no order.
func LibrariesByID(ctx context.Context, q Querier, ids []uuid.UUID) ([]Library, error) {
	rows, _ := q.Query(ctx, `select `+libraryColumns+` from tartan.libraries where id = any ($1)`, ids)
	l, err := pgx.CollectRows(rows, scanLibrary)
	if err != nil {
		return nil, fmt.Errorf("read %d libraries: %w", len(ids), known(err))
	}
	return l, nil
}

// LibrariesChangedLast returns the libraries that lines were last counted in or that were edited last, of all workspaces.
func LibrariesChangedLast(ctx context.Context, q Querier, limit int) ([]Library, error) {
	rows, _ := q.Query(ctx, `select `+libraryColumns+` from tartan.libraries where kind in ('lines', 'record') and shapes > 0 order by updated_at desc, id limit $1`, limit)
	l, err := pgx.CollectRows(rows, scanLibrary)
	if err != nil {
		return nil, fmt.Errorf("list libraries that changed last: %w", known(err))
	}
	return l, nil
}

// Libraries returns the libraries of the workspace, by name.
func Libraries(ctx context.Context, q Querier, workspaceID uuid.UUID) ([]Library, error) {
	rows, _ := q.Query(ctx, `select `+libraryColumns+` from tartan.libraries where workspace_id = $1 order by name`, workspaceID)
	l, err := pgx.CollectRows(rows, scanLibrary)
	if err != nil {
		return nil, fmt.Errorf("list libraries: %w", known(err))
	}
	return l, nil
}

// LockLibrary returns the library as it stands and keeps other writers out of it until the transaction ends. Every
// writer of a library takes this lock before any of the library's other rows, so that two of them cannot block each
// other. ErrDenied says that the caller may read the library only.
func LockLibrary(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Library, error) {
	l, err := one(ctx, tx, scanLibrary, `select `+libraryColumns+` from tartan.libraries where id = $1 for no key update`, id)
	if errors.Is(err, ErrNotFound) {
		// Row level security hides a row from "for update" that may be read but not updated.
		if _, readErr := LibraryByID(ctx, tx, id); readErr == nil {
			err = ErrDenied
		}
	}
	if err != nil {
		return l, fmt.Errorf("lock library %s: %w", id, err)
	}
	return l, nil
}

// manyRows is from how many rows on a plan of its own pays for a statement.
const manyRows = 100

// planFor has the statements to come in this transaction planned for the rows that they get, if these are many. A plan
// made for any number of rows, which a prepared statement gets after five executions, takes unnest for ten rows and
// loops over the tables: 300 ms and more instead of 30 for a tally of 750 shapes. For few rows it is the planning that
// costs: 30 ms instead of 19 for one of 20 shapes, on a busy machine.
func planFor(ctx context.Context, tx pgx.Tx, rows int) error {
	if rows < manyRows {
		return nil
	}
	_, err := tx.Exec(ctx, `set local plan_cache_mode = force_custom_plan`)
	return err
}
