package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// StoredShape is a shape as the library keeps it.
type StoredShape struct {
	ID         template.ShapeID
	Text       string
	Pattern    pattern.ID        // "" for a folded shape
	FoldedInto *template.ShapeID // the wider shape that took its lines
	Revision   int64             // of the library when the row last changed
}

// ShapesSince returns the shapes that changed after the revision, by id. 0 returns all.
func ShapesSince(ctx context.Context, q Querier, libraryID uuid.UUID, revision int64) ([]StoredShape, error) {
	return nil, errUnfinished
}

// SaveChange stores what learning changed: shapes, patterns and their versions, aliases and folds, and moves the
// totals along. It returns the library's revision afterwards, which is one more if anything changed. The library must
// be locked by LockLibrary in the same transaction.
func SaveChange(ctx context.Context, tx pgx.Tx, lib Library, ch template.Change, workflowID string, at time.Time) (revision int64, err error) {
	return 0, errUnfinished
}

// SaveChecksum stores the checksum of the library that followers compare theirs with.
func SaveChecksum(ctx context.Context, tx pgx.Tx, libraryID uuid.UUID, checksum uint64) error {
	return errUnfinished
}
