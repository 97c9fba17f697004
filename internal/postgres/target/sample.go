package target

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Sample looks at the statistics of the database. What goes into them is told by each session when it is idle, and so up to a
// second late.
func (t *Target) Sample(ctx context.Context) (s migration.Sample, err error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return s, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, _ := conn.Query(ctx, `select xact_commit, xact_rollback, coalesce((to_jsonb(d) ->> 'active_time')::float8, 0), to_jsonb(d) ? 'active_time'
from pg_stat_database d where datname = current_database()`) // the server has the column from version 14
	s, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[migration.Sample])
	return s, t.masked(err)
}
