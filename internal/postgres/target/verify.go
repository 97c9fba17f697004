package target

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

// doubtful lists what the catalogue does not vouch for in the tables $1, or in all: foreign keys and checks that are not validated, unique
// indexes that are not valid, and sequences beside the columns they are for. Each row is a kind, a path and a query that counts.
const doubtful = `with tables as (
    select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and (c.oid = any ($1::text[]::regclass[]::oid[])
        or cardinality($1::text[]) = 0 and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tartan_migrate', 'tartan_archive'))
), cols as (
    select k.conrelid, k.oid, string_agg(format('t.%I = p.%I', a.attname, b.attname), ' and ' order by i) as same,
        string_agg(format('t.%I is not null', a.attname), case k.confmatchtype when 'f' then ' or ' else ' and ' end order by i) as given
    from pg_constraint k, unnest(k.conkey, k.confkey) with ordinality u(x, y, i), pg_attribute a, pg_attribute b
    where k.contype = 'f' and a.attrelid = k.conrelid and a.attnum = u.x and b.attrelid = k.confrelid and b.attnum = u.y group by 1, 2, k.confmatchtype
)
select 'orphans', format('constraint %s.%s.%s', t.nspname, t.relname, k.conname),
    format('select count(*) from %s t where (%s) and not exists (select from %s p where %s)', k.conrelid::regclass, c.given, k.confrelid::regclass, c.same)
from tables t join pg_constraint k on k.conrelid = t.oid join cols c on c.oid = k.oid where not k.convalidated
union all
select 'refused by a check', format('constraint %s.%s.%s', t.nspname, t.relname, k.conname),
    format('select count(*) from %s where not (%s)', k.conrelid::regclass, pg_get_expr(k.conbin, k.conrelid))
from tables t join pg_constraint k on k.conrelid = t.oid where k.contype = 'c' and not k.convalidated
union all
select 'duplicates', format('index %s.%s', t.nspname, x.relname),
    format('select coalesce(sum(n - 1), 0)::bigint from (select count(*) as n from %s where %s%s group by %s having count(*) > 1) d', i.indrelid::regclass, coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'),
        (select string_agg(format(' and %s is not null', pg_get_indexdef(i.indexrelid, k, false)), '') from generate_series(1, i.indnkeyatts) k),
        (select string_agg(pg_get_indexdef(i.indexrelid, k, false), ', ') from generate_series(1, i.indnkeyatts) k))
from tables t join pg_index i on i.indrelid = t.oid join pg_class x on x.oid = i.indexrelid where i.indisunique and not i.indisvalid
union all
select 'sequence behind', format('sequence %s', s.oid::regclass),
    format('select coalesce(max(%I), 0)::bigint - (select case when is_called then last_value else last_value - 1 end from %s) from %s', a.attname, s.oid::regclass, t.oid::regclass)
from tables t join pg_depend d on d.refobjid = t.oid and d.refclassid = 'pg_class'::regclass and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
join pg_sequence q on q.seqrelid = s.oid where q.seqincrement > 0 and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
order by 1, 2`

// Verify looks for rows that break what the tables promise but the database has not checked: foreign keys and checks that are NOT VALID, and
// unique indexes that are not valid; and for sequences behind the column they fill, which would refuse the next insert. Without tables it
// looks at all.
func (t *Target) Verify(ctx context.Context, tables ...string) (out []migration.Finding, err error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if tables == nil {
		tables = []string{}
	}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, doubtful, tables)
		if err != nil {
			return err
		}
		type doubt struct{ Kind, Path, SQL string }
		doubts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[doubt])
		if err != nil {
			return err
		}
		for _, d := range doubts {
			f := migration.Finding{Kind: d.Kind, Path: d.Path}
			if err := tx.QueryRow(ctx, d.SQL).Scan(&f.Rows); err != nil {
				return fmt.Errorf("%s: %w", d.Path, err)
			}
			if f.Rows > 0 {
				f.Text = described(f)
				out = append(out, f)
			}
		}
		return nil
	})
	if err != nil {
		return nil, t.masked(fmt.Errorf("verify: %w", err))
	}
	return out, nil
}

func described(f migration.Finding) string {
	name := f.Path[strings.IndexByte(f.Path, ' ')+1:]
	switch f.Kind {
	case "orphans":
		return fmt.Sprintf("%d rows refer to a row that is not there (%s, not validated)", f.Rows, name)
	case "refused by a check":
		return fmt.Sprintf("%d rows do not pass %s, which is not validated", f.Rows, name)
	case "duplicates":
		return fmt.Sprintf("%d rows are one too many for the unique index %s, which is not valid", f.Rows, name)
	}
	return fmt.Sprintf("%s is %d behind its column: the next insert would fail; set it with setval", name, f.Rows)
}
