package target

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Archived is a table of the archive: rows or columns that a step destroyed.
type Archived struct {
	Name    string   `json:"name"` // in the schema tartan_archive
	Schema  string   `json:"schema"`
	Table   string   `json:"table"`
	Whole   bool     `json:"whole,omitempty"` // the table itself went
	Key     []Column `json:"key,omitempty"`   // by which the values of columns find their rows
	Columns []Column `json:"columns"`
	Rows    int64    `json:"rows"`
}

// relation is a table as the catalogue names it.
type relation struct {
	Schema, Name string
	Kind         string // relkind
}

func (r relation) sql() string { return pgx.Identifier{r.Schema, r.Name}.Sanitize() }

// only keeps a statement from the tables that inherit from this one; the partitions are of a partitioned one.
func (r relation) only() string {
	if r.Kind == "p" {
		return r.sql()
	}
	return "only " + r.sql()
}

// resolve finds a table by its name, with a schema or by the search path.
func resolve(ctx context.Context, q querier, name string) (r relation, err error) {
	err = q.QueryRow(ctx, "select n.nspname, c.relname, c.relkind::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::text::regclass", name).
		Scan(&r.Schema, &r.Name, &r.Kind)
	return r, err
}

// columns returns the columns of a table, in order, without the generated ones.
func columns(ctx context.Context, q querier, r relation) ([]Column, error) {
	rows, err := q.Query(ctx, `select attname, format_type(atttypid, atttypmod), (select typnamespace <> 'pg_catalog'::regnamespace from pg_type t where t.oid = atttypid) from pg_attribute
where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`, r.sql())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Column])
}

// uniqueKey returns the columns of the primary key, or of another unique index over columns that are never null, without
// those excluded; none where there is no such index.
func uniqueKey(ctx context.Context, q querier, r relation, exclude []string) ([]Column, error) {
	if exclude == nil {
		exclude = []string{}
	}
	rows, err := q.Query(ctx, `with best as (
  select i.indrelid, i.indkey, i.indnkeyatts from pg_index i
  where i.indrelid = $1::text::regclass and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
    and not exists (select from unnest(i.indkey[0:i.indnkeyatts - 1]) k(n) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n
      where not a.attnotnull or a.attname = any ($2::text[]))
  order by i.indisprimary desc, i.indnkeyatts, i.indexrelid limit 1)
select a.attname, format_type(a.atttypid, a.atttypmod), (select typnamespace <> 'pg_catalog'::regnamespace from pg_type t where t.oid = a.atttypid) from best cross join lateral unnest(best.indkey[0:best.indnkeyatts - 1]) with ordinality k(n, i)
join pg_attribute a on a.attrelid = best.indrelid and a.attnum = k.n order by k.i`, r.sql(), exclude)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Column])
}

// names returns the quoted names, each after the prefix.
func names(columns []Column, prefix string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = prefix + pgx.Identifier{c.Name}.Sanitize()
	}
	return out
}

func (w *work) archiveName(n int) string {
	return fmt.Sprintf("m%s_%d_%d", strings.ReplaceAll(w.mig.String(), "-", ""), w.ordinal, n)
}

// archive copies what the step will destroy, under the lock that the step takes anyway.
func (w *work) archive(ctx context.Context, tx pgx.Tx) (out []Archived, err error) {
	drops := slices.Clone(w.step.Destroys)
	if w.step.Drop != nil {
		drops = append(drops, *w.step.Drop)
	}
	for i, d := range drops {
		var there bool
		if err := tx.QueryRow(ctx, "select to_regclass($1) is not null", d.Table).Scan(&there); err != nil {
			return nil, err
		}
		if !there && d.IfExists {
			continue
		}
		a, err := w.keep(ctx, tx, d, w.archiveName(i))
		if err != nil {
			return nil, w.fault(w.up(), err)
		}
		out = append(out, a)
	}
	return out, nil
}

// keep copies a table or some of its columns into the archive.
func (w *work) keep(ctx context.Context, tx pgx.Tx, d migration.Drop, name string) (a Archived, err error) {
	if d.IfExists {
		there := false
		if err := tx.QueryRow(ctx, "select to_regclass($1::text) is not null", d.Table).Scan(&there); err != nil || !there {
			return a, err
		}
	}
	r, err := resolve(ctx, tx, d.Table)
	if err != nil {
		return a, err
	}
	if r.Kind != "r" && r.Kind != "p" {
		return a, nil // a view: its definition is in the catalogue
	}
	if _, err := tx.Exec(ctx, "lock table "+r.sql()+" in access exclusive mode"); err != nil {
		return a, err
	}
	a = Archived{Name: name, Schema: r.Schema, Table: r.Name, Whole: len(d.Columns) == 0}
	all, err := columns(ctx, tx, r)
	if err != nil {
		return a, err
	}
	for _, c := range all {
		if a.Whole || slices.Contains(d.Columns, c.Name) {
			a.Columns = append(a.Columns, c)
		}
	}
	if !a.Whole {
		if a.Key, err = uniqueKey(ctx, tx, r, d.Columns); err != nil {
			return a, err
		}
		if len(a.Key) == 0 {
			return a, &StepError{
				Step: w.step.Name, Statement: w.up(),
				Err: fmt.Errorf("%s.%s has no primary key beside these columns, so their values could not be brought back: give it one", r.Schema, r.Name),
			}
		}
	}
	list := archivable(append(slices.Clone(a.Key), a.Columns...))
	tag, err := tx.Exec(ctx, "create table "+pgx.Identifier{"tartan_archive", name}.Sanitize()+" as select "+strings.Join(list, ", ")+" from "+r.only())
	a.Rows = tag.RowsAffected()
	return a, err
}

// archivable returns the columns as select lists them. Types of the user's own are kept as text, so that they can be dropped
// while the archive stays.
func archivable(list []Column) []string {
	out := names(list, "")
	for i, c := range list {
		if c.Own {
			out[i] += "::text as " + out[i]
		}
	}
	return out
}

// casts returns the columns of the archive in their own types.
func casts(list []Column, prefix string) []string {
	out := names(list, prefix)
	for i, c := range list {
		out[i] += "::" + c.Type
	}
	return out
}

// refill brings back what is in the archive.
func (a Archived) refill(ctx context.Context, tx pgx.Tx) error {
	if a.Name == "" {
		return nil
	}
	r := relation{Schema: a.Schema, Name: a.Table}
	from := pgx.Identifier{"tartan_archive", a.Name}.Sanitize()
	if a.Whole {
		_, err := tx.Exec(ctx, "insert into "+r.sql()+" ("+strings.Join(names(a.Columns, ""), ", ")+") overriding system value select "+strings.Join(casts(a.Columns, "a."), ", ")+" from "+from+" a on conflict do nothing")
		return err
	}
	if len(a.Columns) == 0 {
		return nil
	}
	return withoutTriggers(ctx, tx, r, func() error {
		set, on := make([]string, len(a.Columns)), make([]string, len(a.Key))
		values, keys := casts(a.Columns, "a."), casts(a.Key, "a.")
		for i, n := range names(a.Columns, "") {
			set[i] = n + " = " + values[i]
		}
		for i, n := range names(a.Key, "t.") {
			on[i] = n + " = " + keys[i]
		}
		_, err := tx.Exec(ctx, "update "+r.sql()+" t set "+strings.Join(set, ", ")+" from "+from+" a where "+strings.Join(on, " and "))
		return err
	})
}

// withoutTriggers keeps the table's own triggers from changing what is brought back. The lock that this takes lasts as long as
// the transaction.
func withoutTriggers(ctx context.Context, tx pgx.Tx, r relation, do func() error) error {
	rows, err := tx.Query(ctx, "select tgname, tgenabled::text, false from pg_trigger where tgrelid = $1::text::regclass and not tgisinternal and tgenabled <> 'D'", r.sql())
	if err != nil {
		return err
	}
	triggers, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Column])
	if err != nil {
		return err
	}
	alter := func(how string, c Column) error {
		_, err := tx.Exec(ctx, "alter table "+r.sql()+" "+how+" trigger "+pgx.Identifier{c.Name}.Sanitize())
		return err
	}
	for _, c := range triggers {
		if err := alter("disable", c); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if len(triggers) > 0 { // events of deferred triggers are queued already
		if _, err := tx.Exec(ctx, "set constraints all immediate"); err != nil {
			return err
		}
	}
	for _, c := range triggers {
		how := map[string]string{"O": "enable", "A": "enable always", "R": "enable replica"}[c.Type]
		if err := alter(how, c); err != nil {
			return err
		}
	}
	return nil
}
