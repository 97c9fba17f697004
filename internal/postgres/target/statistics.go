package target

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// TableStatistics is what the catalogue knows of the size of a table, without reading it.
type TableStatistics struct {
	Schema  string
	Name    string
	Rows    int64 // estimated: by the last VACUUM or ANALYZE, corrected by the size of today, as the planner does
	Bytes   int64 // of the table and what is stored beside it, without its indexes; of its partitions together
	Visible bool  // the search path finds it by its name alone
}

// Statistics reads the size of each table from the catalogue. Rows of a table that was never analysed are estimated from its pages, at 100
// bytes a row. A partitioned table has the sum of its partitions.
func (t *Target) Statistics(ctx context.Context) ([]TableStatistics, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "set statement_timeout = '10s'"); err != nil { // sizes are read behind whoever has a table locked
		return nil, t.masked(err)
	}
	rows, err := conn.Query(ctx, `with sizes as (
  select c.oid, pg_table_size(c.oid) as bytes, pg_relation_size(c.oid) as heap, c.reltuples, c.relpages
  from pg_class c where c.relkind in ('r', 'm') and c.relpersistence <> 't'
), counted as (
  select oid, bytes, case
    when reltuples >= 0 and relpages > 0 then reltuples / relpages * (heap / current_setting('block_size')::float8)
    else heap / 100.0 end as rows
  from sizes
)
select n.nspname as schema, c.relname as name, round(coalesce(sum(s.rows), 0))::bigint as rows, coalesce(sum(s.bytes), 0)::bigint as bytes, pg_table_is_visible(c.oid) as visible
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join lateral (select c.oid as relid where c.relkind <> 'p' union all select relid::oid from pg_partition_tree(c.oid) where c.relkind = 'p') parts on true
left join counted s on s.oid = parts.relid
where c.relkind in ('r', 'm', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'tartan_migrate', 'tartan_archive') and n.nspname !~ '^pg_'
group by n.nspname, c.relname, c.oid order by 1, 2`)
	if err != nil {
		return nil, t.masked(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[TableStatistics])
	return list, t.masked(err)
}
