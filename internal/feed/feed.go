// Package feed keeps pattern libraries in memory and up to date by following the outbox. What it serves is never older
// than what a caller has waited for. It holds no SQL and knows no transport.
package feed

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"go.uber.org/zap"
)

// Libraries holds the libraries that were asked for, the least recently used ones dropped when there are too many.
// All methods are safe for concurrent use.
type Libraries struct{}

// NewLibraries returns an empty set that loads from the pool. Without Run it serves and learns, but is told of no
// change made elsewhere.
func NewLibraries(pool *pgxpool.Pool, log *zap.Logger) *Libraries { return &Libraries{} }

// Run follows the outbox until ctx ends. It outlives restarts of the database.
func (l *Libraries) Run(ctx context.Context) error { panic("unfinished") }

// Subscribe calls fn with every event, in order, after the libraries have taken it in. fn must return quickly.
func (l *Libraries) Subscribe(fn func(postgres.Event)) (cancel func()) { panic("unfinished") }

// Entry is an immutable view of a library.
type Entry struct {
	Library  postgres.Library
	Revision int64
	Index    *template.Index
	Names    func(pattern.ID) string // the name a person gave, or ""
}

// Entry returns the library as far as it is known, loading it on first use. It does not check who asks.
func (l *Libraries) Entry(ctx context.Context, libraryID uuid.UUID) (*Entry, error) {
	panic("unfinished")
}

// WaitFor returns the library at the revision or later, so that a caller sees its own write.
func (l *Libraries) WaitFor(ctx context.Context, libraryID uuid.UUID, revision int64) (*Entry, error) {
	panic("unfinished")
}

// Learn brings the library to the locked revision through tx, learns the shapes and stores the checksum. The result
// is not served until Committed is called; Forget drops it. One of the two must follow a Learn that succeeded.
func (l *Libraries) Learn(ctx context.Context, tx pgx.Tx, locked postgres.Library, shapes []template.Shape) (template.Change, error) {
	panic("unfinished")
}

// Committed publishes what was learned: the transaction has committed at the revision.
func (l *Libraries) Committed(libraryID uuid.UUID, revision int64) {}

// Forget drops what was learned: the transaction was rolled back, or nobody knows. Without a Learn it does nothing.
func (l *Libraries) Forget(libraryID uuid.UUID) {}

// Role returns the caller's role, from memory where it is known, or postgres.ErrDenied when the caller is no member.
func (l *Libraries) Role(ctx context.Context, caller access.Caller) (access.Role, error) {
	panic("unfinished")
}
