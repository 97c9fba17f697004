package target

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

// maxReported is how many rows that were left are named one by one.
const maxReported = 1000

// remember keeps what tells the inserted rows from others, should later steps rewrite them and bring them back: the content of a table
// that was empty before, or else the key and the hash of each row.
func (c *copying) remember(ctx context.Context, tx pgx.Tx) (err error) {
	if c.detail.Empty {
		if c.content == nil {
			c.content, err = c.sum(ctx, tx, "", c.ours())
		}
		c.detail.Content, c.detail.Bucket = c.content, c.bucket
		return err
	}
	key, err := keyOf(ctx, tx, c.table)
	if err != nil || len(key) == 0 {
		return err
	}
	c.detail.Inserted = fmt.Sprintf("m%s_%d_inserted", strings.ReplaceAll(c.mig.String(), "-", ""), c.ordinal)
	_, err = tx.Exec(ctx, "create table tartan_archive."+c.detail.Inserted+" as select "+aliased(key)+", "+c.hash()+" as tartan_hash from "+c.table+" t where "+c.ours())
	return err
}

// sum is of the copied columns.
func (c *copying) sum(ctx context.Context, tx pgx.Tx, bucket, condition string) (Sums, error) {
	r := Rowset{From: c.table + " as t", Bucket: bucket, Where: condition}
	for _, name := range c.detail.Columns {
		r.Columns = append(r.Columns, NamedColumn{name, "t." + pgx.Identifier{name}.Sanitize()})
	}
	return sum(ctx, tx, r)
}

// hash is of the copied columns of a row of t.
func (c *copying) hash() string {
	return "hashtextextended(row(" + aliased(c.detail.Columns) + ")::text, 0)"
}

func aliased(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = "t." + pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(out, ", ")
}

// keyOf returns the columns that tell the rows of a table apart; none where it has no such index.
func keyOf(ctx context.Context, q querier, table string) (out []string, err error) {
	r, err := resolve(ctx, q, table)
	if err != nil {
		return nil, err
	}
	list, err := uniqueKey(ctx, q, r, nil)
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out, err
}

// Uncopy implements Copier. It deletes the rows that the copy inserted. Rows that others have changed since stay, and are named.
func (im *Importer) Uncopy(ctx context.Context, t *Target, mig uuid.UUID, plan *migration.Plan, ordinal int, progress func(Progress)) ([]migration.Difference, error) {
	s := plan.Steps[ordinal]
	if s.Copy == nil {
		return nil, &StepError{Step: s.Name, Err: fmt.Errorf("it is no copy")}
	}
	conn, err := t.session(ctx, mig)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	c := &copying{t: t, conn: conn, mig: mig, ordinal: ordinal, spec: s.Copy}
	out, err := c.undo(ctx, progress)
	if err != nil {
		return nil, t.masked(&StepError{Step: s.Name, Err: err})
	}
	return out, nil
}

func (c *copying) undo(ctx context.Context, progress func(Progress)) (out []migration.Difference, err error) {
	row, err := step(ctx, c.conn, c.mig, c.ordinal)
	if err != nil || row.State == Undone || row.State == Pending {
		return nil, err
	}
	if err := c.recall(ctx, row); err != nil {
		return nil, err
	}
	progress(Progress{Phase: "deletes the copied rows", Total: c.done})
	err = pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		left, err := c.deleteOurs(ctx, tx)
		if err != nil {
			return err
		}
		if left > 0 {
			if out, err = c.left(ctx, tx, left); err != nil {
				return err
			}
		}
		if c.detail.Inserted != "" {
			if _, err := tx.Exec(ctx, "drop table tartan_archive."+c.detail.Inserted); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "update tartan_migrate.batches set undone_at = now() where migration = $1 and step = $2 and undone_at is null", c.mig, c.ordinal); err != nil {
			return err
		}
		return setStep(ctx, tx, c.mig, c.ordinal, Undone, 0, row.Detail)
	})
	if err == nil {
		progress(Progress{Rows: c.done, Total: c.done})
	}
	return out, err
}

// recall reads what the ledger has of the copy.
func (c *copying) recall(ctx context.Context, row StepRow) error {
	if _, err := c.conn.Exec(ctx, canonical); err != nil {
		return err
	}
	if err := unmarshalExtra(row.Detail.Extra, &c.detail); err != nil {
		return err
	}
	err := c.conn.QueryRow(ctx, `select c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass($1)`, c.spec.Table).Scan(&c.oid, &c.table)
	if err != nil {
		return fmt.Errorf("find %s: %w", c.spec.Table, err)
	}
	return c.conn.QueryRow(ctx, "select coalesce(sum(rows), 0)::bigint from tartan_migrate.batches where migration = $1 and step = $2 and undone_at is null", c.mig, c.ordinal).Scan(&c.done)
}

// deleteOurs deletes the rows that are provably the copy's and returns how many of its rows are left or gone otherwise.
func (c *copying) deleteOurs(ctx context.Context, tx pgx.Tx) (left int64, err error) {
	if _, err := tx.Exec(ctx, "lock table "+c.table+" in share row exclusive mode"); err != nil {
		return 0, err
	}
	if all, err := c.alone(ctx, tx); err != nil {
		return 0, err
	} else if all {
		return 0, c.empty(ctx, tx)
	}
	tag, err := tx.Exec(ctx, "delete from "+c.table+" t where "+c.ours())
	if err != nil {
		return 0, err
	}
	left = c.done - tag.RowsAffected()
	if left > 0 && c.detail.Inserted != "" { // rewritten by later steps and brought back, with the same content
		key, err := keyOf(ctx, tx, c.table)
		if err != nil {
			return 0, err
		}
		tag, err = tx.Exec(ctx, "delete from "+c.table+" t using tartan_archive."+c.detail.Inserted+" i where "+sameKey(key)+" and i.tartan_hash = "+c.hash())
		if err != nil {
			return 0, err
		}
		left -= tag.RowsAffected()
	}
	return left, nil
}

func sameKey(key []string) string {
	out := make([]string, len(key))
	for i, k := range key {
		out[i] = "t." + pgx.Identifier{k}.Sanitize() + " = i." + pgx.Identifier{k}.Sanitize()
	}
	return strings.Join(out, " and ")
}

// alone reports whether the table, empty before the copy, holds exactly what the copy left in it.
func (c *copying) alone(ctx context.Context, tx pgx.Tx) (bool, error) {
	if !c.detail.Empty {
		return false, nil
	}
	if c.detail.Content == nil { // the copy did not come to its end
		var all, own int64
		err := tx.QueryRow(ctx, "select count(*), count(*) filter (where "+c.ours()+") from "+c.table+" t").Scan(&all, &own)
		return all == own && own == c.done, err
	}
	now, err := c.sum(ctx, tx, c.detail.Bucket, "")
	return err == nil && len(now.differ(c.detail.Content)) == 0 && c.detail.Content.rows() == c.done, err
}

// empty removes all rows, at once where no other table refers to this one and no trigger wants to see them go.
func (c *copying) empty(ctx context.Context, tx pgx.Tx) error {
	var plain bool
	err := tx.QueryRow(ctx, `select not exists (select from pg_constraint where confrelid = $1) and not exists (select from pg_trigger where tgrelid = $1 and not tgisinternal)`, c.oid).Scan(&plain)
	if err != nil {
		return err
	}
	sql := "delete from " + c.table
	if plain {
		sql = "truncate only " + c.table
	}
	_, err = tx.Exec(ctx, sql)
	return err
}

// left names the rows of the copy that stay, because others have changed them.
func (c *copying) left(ctx context.Context, tx pgx.Tx, n int64) (out []migration.Difference, err error) {
	key, err := keyOf(ctx, tx, c.table)
	if err != nil {
		return nil, err
	}
	sql := ""
	switch {
	case c.detail.Inserted != "":
		sql = "select row(" + aliased(key) + ")::text from " + c.table + " t join tartan_archive." + c.detail.Inserted + " i on " + sameKey(key)
	case c.detail.Empty && len(key) > 0:
		sql = "select row(" + aliased(key) + ")::text from " + c.table + " t"
	case c.detail.Empty:
		sql = "select t::text from " + c.table + " t"
	}
	if sql != "" {
		rows, err := tx.Query(ctx, sql+fmt.Sprintf(" order by 1 limit %d", maxReported))
		if err != nil {
			return nil, err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			out = append(out, migration.Difference{Path: "row " + c.table + " " + name, After: "changed or added since it was copied, and left"})
		}
	}
	if gone := n - int64(len(out)); gone > 0 {
		out = append(out, migration.Difference{Path: "table " + c.table, Before: fmt.Sprintf("%d more rows of the copy", gone), After: "changed or deleted by others since"})
	}
	return out, nil
}
