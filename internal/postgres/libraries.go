package postgres

import (
	"context"
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
	CreatedAt     time.Time
}

// EnsureLibrary returns the library of that name, making it if there is none. A caller who may only read gets
// ErrDenied where it would have to be made.
func EnsureLibrary(ctx context.Context, q Querier, workspaceID uuid.UUID, name, kind string) (Library, error) {
	return Library{}, errUnfinished
}

// LibraryByName returns the library or ErrNotFound.
func LibraryByName(ctx context.Context, q Querier, workspaceID uuid.UUID, name string) (Library, error) {
	return Library{}, errUnfinished
}

// LibraryByID returns the library or ErrNotFound.
func LibraryByID(ctx context.Context, q Querier, id uuid.UUID) (Library, error) {
	return Library{}, errUnfinished
}

// Libraries returns the libraries of the workspace, by name.
func Libraries(ctx context.Context, q Querier, workspaceID uuid.UUID) ([]Library, error) {
	return nil, errUnfinished
}

// LockLibrary returns the library as it stands and keeps other writers out of it until the transaction ends. Every
// writer of a library takes this lock before any of the library's other rows.
func LockLibrary(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Library, error) {
	return Library{}, errUnfinished
}
