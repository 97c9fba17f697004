package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// TemplateRow is the template of a pattern, and whether the pattern is active.
type TemplateRow struct {
	ID       pattern.ID
	Template string
	Active   bool
}

// TemplatesSince returns the patterns that changed after the revision, counts apart, by id. -1 returns all.
func TemplatesSince(ctx context.Context, q Querier, libraryID uuid.UUID, revision int64) ([]TemplateRow, error) {
	rows, _ := q.Query(ctx, `select id, template, state = 'active' from tartan.patterns where library_id = $1 and revision > $2 order by id`, libraryID, revision)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t TemplateRow, err error) {
		err = row.Scan(&t.ID, &t.Template, &t.Active)
		t.Template = plain(t.Template)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read templates of library %s: %w", libraryID, known(err))
	}
	return found, nil
}
