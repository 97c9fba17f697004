package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// AddCounts adds one tally to the library: counts per shape and bucket, totals of shapes, patterns and library,
// examples, and the outbox event of the library. Every counted shape must be in assigned, except template.Other.
// The library must be locked by LockLibrary in the same transaction.
func AddCounts(ctx context.Context, tx pgx.Tx, lib Library, revision int64, counts []template.Counted, assigned []template.Assignment, sourceID uuid.UUID) error {
	return errUnfinished
}
