package postgres

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:generate go run -C ../.. ./internal/postgres/schemadoc

// The catalogue, table by table in the order in which the migrations make them.
const (
	tablesSQL = `select c.oid::bigint, c.relname::text, coalesce(obj_description(c.oid, 'pg_class'), ''),
			exists (select from pg_publication_tables p where p.pubname = 'supabase_realtime' and p.schemaname = 'tartan' and p.tablename = c.relname)
		from pg_class c where c.relnamespace = 'tartan'::regnamespace and c.relkind = 'r' order by c.oid`

	columnsSQL = `select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
			case when a.attidentity <> '' then 'identity' else coalesce(pg_get_expr(d.adbin, d.adrelid), '') end,
			coalesce(col_description(a.attrelid, a.attnum), '')
		from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`

	// Rules of a table: constraints, then indexes that no constraint made.
	rulesSQL = `select 1, case contype when 'p' then 0 when 'u' then 1 when 'f' then 2 else 3 end, conname::text collate "C", pg_get_constraintdef(oid)
		from pg_constraint where conrelid = $1 and contype in ('p', 'u', 'f', 'c')
		union all
		select 2, 0, c.relname::text collate "C", substring(pg_get_indexdef(c.oid) from 'USING (.*)$')
		from pg_index i join pg_class c on c.oid = i.indexrelid
		where i.indrelid = $1 and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = $1)
		order by 1, 2, 3`

	policiesSQL = `select case polcmd when 'r' then 'read' when 'a' then 'insert' when 'w' then 'update' else 'delete' end,
			coalesce(substring(coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) from 'my_workspaces\(''(\w+)'''), '')
		from pg_policy where polrelid = $1 order by case polcmd when 'r' then 0 when 'a' then 1 when 'w' then 2 else 3 end`

	functionsSQL = `select p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', obj_description(p.oid, 'pg_proc')
		from pg_proc p where p.pronamespace = 'tartan'::regnamespace and obj_description(p.oid, 'pg_proc') is not null order by p.oid`
)

// Document writes the schema as Markdown, from what the database at hand says of itself.
func Document(ctx context.Context, q Querier, to io.Writer) error {
	w := bufio.NewWriter(to)
	var about string
	if err := q.QueryRow(ctx, `select obj_description('tartan'::regnamespace, 'pg_namespace')`).Scan(&about); err != nil {
		return fmt.Errorf("document the schema: %w", err)
	}
	fmt.Fprintf(w, "# Schema\n\nGenerated from the comments in the database by `go run ./internal/postgres/schemadoc`; do not edit.\n\n%s\n\n", about)
	fmt.Fprint(w, "All tables are in the schema `tartan` and under row level security, forced on their owner too. A role may do all that\n"+
		"the ones before it may: viewer, editor, reviewer, operator, admin.\n")
	rows, _ := q.Query(ctx, tablesSQL)
	type table struct {
		OID      int64
		Name     string
		Comment  string
		Realtime bool
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	for _, t := range tables {
		if err == nil {
			fmt.Fprintf(w, "\n## %s\n\n%s\n\n", t.Name, t.Comment)
			err = documentTable(ctx, q, w, t.OID)
		}
		if t.Realtime {
			fmt.Fprint(w, "\nIn the publication `supabase_realtime` where there is one.\n")
		}
	}
	if err == nil {
		err = documentFunctions(ctx, q, w)
	}
	if err != nil {
		return fmt.Errorf("document the schema: %w", err)
	}
	return w.Flush()
}

func documentTable(ctx context.Context, q Querier, w io.Writer, oid int64) error {
	fmt.Fprint(w, "| column | type | null | default | |\n|---|---|---|---|---|\n")
	var name, typ, preset, comment, rule string
	var notNull bool
	rows, _ := q.Query(ctx, columnsSQL, oid)
	_, err := pgx.ForEachRow(rows, []any{&name, &typ, &notNull, &preset, &comment}, func() error {
		null := "null"
		if notNull {
			null = ""
		}
		if preset != "" {
			preset = "`" + preset + "`"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", name, typ, null, preset, cell(comment))
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	var group, order int
	rows, _ = q.Query(ctx, rulesSQL, oid)
	if _, err = pgx.ForEachRow(rows, []any{&group, &order, &name, &rule}, func() error {
		if group == 2 {
			rule = "index " + rule
		}
		fmt.Fprintf(w, "- `%s`: %s\n", name, rule)
		return nil
	}); err != nil {
		return err
	}
	var may []string
	var command, role string
	rows, _ = q.Query(ctx, policiesSQL, oid)
	if _, err = pgx.ForEachRow(rows, []any{&command, &role}, func() error {
		if role == "" {
			role = "everyone"
		}
		may = append(may, command+": "+role)
		return nil
	}); err != nil {
		return err
	}
	fmt.Fprintf(w, "- may %s\n", strings.Join(may, ", "))
	return nil
}

func documentFunctions(ctx context.Context, q Querier, w io.Writer) error {
	fmt.Fprint(w, "\n## Functions\n\n")
	var name, comment string
	rows, _ := q.Query(ctx, functionsSQL)
	_, err := pgx.ForEachRow(rows, []any{&name, &comment}, func() error {
		fmt.Fprintf(w, "- `%s`: %s\n", name, comment)
		return nil
	})
	return err
}

// cell makes text safe for a cell of a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(s)
}
