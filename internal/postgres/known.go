package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/tartan-ai/tartan/internal/pattern"
)

// KnownPatterns counts which of the ids, all different, the library has or ever had.
func KnownPatterns(ctx context.Context, q Querier, libraryID uuid.UUID, ids []pattern.ID) (n int64, err error) {
	err = q.QueryRow(ctx, `select count(*) from tartan.patterns where library_id = $1 and id = any($2)`, libraryID, ids).Scan(&n)
	return n, err
}
