package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/migration"
)

// The size of a batch that adapts.
const (
	firstBatch  = 2_000
	fewestRows  = 100
	mostRows    = 100_000
	batchTarget = 250 * time.Millisecond // a foreground statement waits no longer for a row
)

// backfiller is a backfill under way. Each batch is one transaction: the earlier values go into the archive, the UPDATE runs,
// and the ledger notes the last key.
type backfiller struct {
	*work
	table   relation
	archive string // quoted
	detail  Detail
	last    []string // key of the last batch; nil before the first
	next    int      // ordinal of the next batch
	rows    int64    // of the table passed
	size    int
}

// backfill goes through the table by its key, from where the ledger says.
func (w *work) backfill(ctx context.Context, row StepRow) error {
	b := &backfiller{work: w, detail: row.Detail}
	if row.State == Pending {
		if err := b.start(ctx); err != nil {
			return err
		}
	}
	if err := b.resume(ctx); err != nil {
		return err
	}
	for {
		started := time.Now()
		n, err := b.batch(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := b.pace(ctx, n, time.Since(started)); err != nil {
			return err
		}
	}
	if err := w.verify(ctx, w.conn); err != nil {
		return err
	}
	return w.save(ctx, Done, b.detail)
}

// start finds the key and makes the archive of the old values.
func (b *backfiller) start(ctx context.Context) error {
	return b.transaction(ctx, b.statementTimeout(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		f := b.step.Backfill
		r, err := resolve(ctx, tx, f.Table)
		if err != nil {
			return b.fault(b.up(), err)
		}
		all, err := columns(ctx, tx, r)
		if err != nil {
			return err
		}
		d := Detail{}
		if d.Key, err = b.key(ctx, tx, r, all); err != nil {
			return err
		}
		if d.Columns, err = b.kept(ctx, tx, r, all, d.Key); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "select greatest(reltuples, 0)::bigint from pg_class where oid = $1::text::regclass", r.sql()).Scan(&d.Total); err != nil {
			return err
		}
		name := b.archiveName(0)
		d.Archive = []Archived{{Name: name, Schema: r.Schema, Table: r.Name, Key: d.Key, Columns: d.Columns}}
		list := append([]string{"0 as tartan_batch"}, archivable(d.Key)...)
		for i, c := range d.Columns {
			list = append(list, fmt.Sprintf("%s::text as old%d, %s::text as new%d", pgx.Identifier{c.Name}.Sanitize(), i, pgx.Identifier{c.Name}.Sanitize(), i))
		}
		if _, err := tx.Exec(ctx, "create table "+pgx.Identifier{"tartan_archive", name}.Sanitize()+" as select "+strings.Join(list, ", ")+" from "+r.only()+" with no data"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "create index on "+pgx.Identifier{"tartan_archive", name}.Sanitize()+" (tartan_batch)"); err != nil {
			return err
		}
		b.detail = d
		return setStep(ctx, tx, b.mig, b.ordinal, Running, 0, d)
	})
}

// key returns the columns that the batches go by.
func (b *backfiller) key(ctx context.Context, tx pgx.Tx, r relation, all []Column) ([]Column, error) {
	f := b.step.Backfill
	refuse := func(format string, args ...any) ([]Column, error) {
		return nil, &StepError{Step: b.step.Name, Statement: b.up(), Err: fmt.Errorf(format, args...)}
	}
	if len(f.Key) == 0 {
		key, err := uniqueKey(ctx, tx, r, nil)
		if err == nil && len(key) == 0 {
			return refuse("%s.%s has no primary key to go by: give it one, or name a unique key with key=", r.Schema, r.Name)
		}
		for _, k := range key {
			if slices.Contains(f.Columns, k.Name) {
				return refuse("the UPDATE sets %s, which the batches go by", k.Name)
			}
		}
		return key, err
	}
	var key []Column
	for _, name := range f.Key {
		i := slices.IndexFunc(all, func(c Column) bool { return c.Name == name })
		if i < 0 {
			return refuse("%s.%s has no column %q for key=", r.Schema, r.Name, name)
		}
		if slices.Contains(f.Columns, name) {
			return refuse("the UPDATE sets %s, which the batches go by", name)
		}
		key = append(key, all[i])
	}
	var unique bool
	err := tx.QueryRow(ctx, `select exists (select from pg_index i where i.indrelid = $1::text::regclass and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
and (select array_agg(a.attname::text order by a.attname) from unnest(i.indkey[0:i.indnkeyatts - 1]) k(n) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n and a.attnotnull)
  = (select array_agg(x order by x) from unnest($2::text[]) x))`, r.sql(), f.Key).Scan(&unique)
	if err == nil && !unique {
		return refuse("key=%s of %s.%s is not unique and free of nulls: batches by it would lose rows", strings.Join(f.Key, ","), r.Schema, r.Name)
	}
	return key, err
}

// kept returns the columns whose old values are kept: those that the UPDATE sets, or all where a trigger may set more.
func (b *backfiller) kept(ctx context.Context, tx pgx.Tx, r relation, all, key []Column) (out []Column, err error) {
	var triggers bool
	err = tx.QueryRow(ctx, "select exists (select from pg_trigger where tgrelid = $1::text::regclass and not tgisinternal and tgenabled <> 'D' and tgtype & 2 <> 0 and tgtype & 16 <> 0)", r.sql()).Scan(&triggers)
	for _, c := range all {
		if (triggers || slices.Contains(b.step.Backfill.Columns, c.Name)) && !slices.ContainsFunc(key, func(k Column) bool { return k.Name == c.Name }) {
			out = append(out, c)
		}
	}
	if err == nil && len(out) == 0 {
		err = &StepError{Step: b.step.Name, Statement: b.up(), Err: fmt.Errorf("%s.%s has none of the columns %v that the UPDATE sets", r.Schema, r.Name, b.step.Backfill.Columns)}
	}
	return out, err
}

// resume goes to the last batch that was committed.
func (b *backfiller) resume(ctx context.Context) error {
	a := b.detail.Archive[0]
	var err error
	if b.table, err = resolve(ctx, b.conn, relation{Schema: a.Schema, Name: a.Table}.sql()); err != nil {
		return err
	}
	b.archive = pgx.Identifier{"tartan_archive", a.Name}.Sanitize()
	b.size = orDefault(b.step.Backfill.Rows, firstBatch)
	var key []byte
	var passed int
	err = b.conn.QueryRow(ctx, `select ordinal + 1, last_key -> 'key', (last_key ->> 'passed')::int,
  (select coalesce(sum((last_key ->> 'passed')::bigint), 0)::bigint from tartan_migrate.batches where migration = $1 and step = $2)
from tartan_migrate.batches where migration = $1 and step = $2 order by ordinal desc limit 1`, b.mig, b.ordinal).Scan(&b.next, &key, &passed, &b.rows)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if b.step.Backfill.Rows == 0 {
		b.size = min(max(passed, fewestRows), mostRows)
	}
	return json.Unmarshal(key, &b.last)
}

// batch rewrites the next rows and returns how many of the table it went past; 0 at the end.
func (b *backfiller) batch(ctx context.Context) (passed int, err error) {
	var to []string
	err = b.transaction(ctx, b.statementTimeout(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		to, passed, err = b.upper(ctx, tx)
		if err != nil || passed == 0 {
			return err
		}
		tag, err := tx.Exec(ctx, b.rewrite(to))
		if err != nil {
			return b.unlessLost(err)
		}
		last, err := json.Marshal(map[string]any{"key": to, "passed": passed})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "insert into tartan_migrate.batches (migration, step, ordinal, last_key, rows) values ($1, $2, $3, $4, $5)", b.mig, b.ordinal, b.next, last, tag.RowsAffected())
		return err
	})
	if err != nil || passed == 0 {
		return 0, err
	}
	b.last, b.next, b.rows = to, b.next+1, b.rows+int64(passed)
	return passed, nil
}

// lost reports whether another session changed a row at the same time, or held it.
func lost(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "55P03")
}

func (b *backfiller) unlessLost(err error) error {
	if lost(err) {
		return err
	}
	return b.fault(b.up(), err)
}

// upper finds the key at which the batch ends.
func (b *backfiller) upper(ctx context.Context, tx pgx.Tx) (to []string, passed int, err error) {
	where := ""
	if b.last != nil {
		where = " where " + b.after("t")
	}
	order := strings.Join(names(b.detail.Key, "t."), ", ")
	text := names(b.detail.Key, "s.")
	for i := range text {
		text[i] += "::text"
	}
	inner := fmt.Sprintf("select %s, row_number() over (order by %s) as tartan_n from %s t%s order by %s limit %d", order, order, b.table.only(), where, order, b.size)
	err = tx.QueryRow(ctx, "select array["+strings.Join(text, ", ")+"], s.tartan_n::int from ("+inner+") s order by s.tartan_n desc limit 1").Scan(&to, &passed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, nil
	}
	return to, passed, err
}

// after is the condition that a row comes after the last batch.
func (b *backfiller) after(alias string) string {
	return b.compare(alias, ">", b.last)
}

// between is the condition that a row is in the batch.
func (b *backfiller) between(alias string, to []string) string {
	upper := b.compare(alias, "<=", to)
	if b.last == nil {
		return "(" + upper + ")"
	}
	return "(" + b.after(alias) + " and " + upper + ")"
}

func (b *backfiller) compare(alias, operator string, key []string) string {
	values := make([]string, len(key))
	for i, k := range key {
		values[i] = literal(k) + "::" + b.detail.Key[i].Type
	}
	return "(" + strings.Join(names(b.detail.Key, pgx.Identifier{alias}.Sanitize()+"."), ", ") + ") " + operator + " (" + strings.Join(values, ", ") + ")"
}

// literal quotes a value; the session has standard_conforming_strings on.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// rewrite is the UPDATE of the plan, wrapped so that what it changes goes into the archive with the values before. The rows are locked
// first, at their newest versions, which are then those that the UPDATE finds: no change of others comes between, and none makes the
// batch fail. The condition with the count has the UPDATE wait for all locks.
func (b *backfiller) rewrite(to []string) string {
	alias := orDefault(b.step.Backfill.Alias, b.table.Name)
	update := strings.TrimRight(strings.TrimSpace(b.step.Up[0].SQL), "; \n\t")
	update = strings.ReplaceAll(update, ":batch", "("+b.between(alias, to)+" and (select count(*) from tartan_locked) > 0)")
	var locked, returning, archived, on []string
	keys := names(b.detail.Key, "t.")
	for i, n := range names(b.detail.Key, pgx.Identifier{alias}.Sanitize()+".") {
		locked = append(locked, fmt.Sprintf("%s as k%d", keys[i], i))
		returning = append(returning, fmt.Sprintf("%s as k%d", n, i))
		on = append(on, fmt.Sprintf("l.k%d = u.k%d", i, i))
		cast := ""
		if b.detail.Key[i].Own {
			cast = "::text"
		}
		archived = append(archived, fmt.Sprintf("u.k%d%s", i, cast))
	}
	for i, c := range b.detail.Columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		locked = append(locked, fmt.Sprintf("t.%s::text as old%d", name, i))
		returning = append(returning, fmt.Sprintf("%s.%s::text as new%d", pgx.Identifier{alias}.Sanitize(), name, i))
		archived = append(archived, fmt.Sprintf("l.old%d, u.new%d", i, i))
	}
	return fmt.Sprintf("with tartan_locked as materialized (select %s from %s t where %s order by %s for no key update), u as (%s\nreturning %s) insert into %s select %d, %s from u join tartan_locked l on %s",
		strings.Join(locked, ", "), b.table.only(), b.between("t", to), strings.Join(keys, ", "), update, strings.Join(returning, ", "), b.archive, b.next, strings.Join(archived, ", "), strings.Join(on, " and "))
}

// pace reports, adapts the size of the batches, and waits as the plan says.
func (b *backfiller) pace(ctx context.Context, passed int, took time.Duration) error {
	f := b.step.Backfill
	perSec := float64(passed) / max(took.Seconds(), 1e-6)
	b.report(func(p *Progress) {
		if p.PerSec > 0 {
			perSec = 0.7*p.PerSec + 0.3*perSec
		}
		p.Rows, p.Total, p.LastKey, p.PerSec = b.rows, max(b.detail.Total, b.rows), b.last, perSec
	})
	if f.Rows == 0 {
		want := int(float64(b.size) * batchTarget.Seconds() / max(took.Seconds(), 1e-3))
		b.size = min(max(want, b.size/2, fewestRows), b.size*2, mostRows)
	}
	wait := f.Pause
	if f.PerSec > 0 {
		wait = max(wait, time.Duration(float64(passed)/float64(f.PerSec)*float64(time.Second))-took)
	}
	return sleep(ctx, wait)
}

// unbackfill writes the old values back, batch by batch from the last one. A row that no longer holds what the backfill wrote
// is left as it is, and reported.
func (w *work) unbackfill(ctx context.Context, row StepRow) (out []migration.Difference, err error) {
	b := &backfiller{work: w, detail: row.Detail}
	if len(b.detail.Archive) == 0 {
		return nil, nil
	}
	a := b.detail.Archive[0]
	if b.table, err = resolve(ctx, w.conn, relation{Schema: a.Schema, Name: a.Table}.sql()); err != nil {
		return nil, err
	}
	b.archive = pgx.Identifier{"tartan_archive", a.Name}.Sanitize()
	for {
		var batch int
		err := w.conn.QueryRow(ctx, "select ordinal from tartan_migrate.batches where migration = $1 and step = $2 and undone_at is null order by ordinal desc limit 1", w.mig, w.ordinal).Scan(&batch)
		if errors.Is(err, pgx.ErrNoRows) {
			break
		}
		if err == nil {
			err = w.transaction(ctx, w.statementTimeout(), pgx.TxOptions{}, func(tx pgx.Tx) error { return b.restore(ctx, tx, batch) })
		}
		if err != nil {
			return nil, err
		}
	}
	return b.left(ctx)
}

// restore undoes one batch. What it brings back leaves the archive; what stays there differs.
func (b *backfiller) restore(ctx context.Context, tx pgx.Tx, batch int) error {
	var set, on, same []string
	for i, c := range b.detail.Columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		set = append(set, fmt.Sprintf("%s = a.old%d::%s", name, i, c.Type))
		same = append(same, fmt.Sprintf("t.%s::text is not distinct from a.new%d", name, i))
	}
	for i, k := range names(b.detail.Key, "t.") {
		on = append(on, k+" = "+casts(b.detail.Key, "a.")[i])
	}
	update := fmt.Sprintf(`with back as (update %s t set %s from %s a where a.tartan_batch = %d and %s and %s returning a.ctid as id)
delete from %s a using back where a.ctid = back.id`, b.table.sql(), strings.Join(set, ", "), b.archive, batch, strings.Join(on, " and "), strings.Join(same, " and "), b.archive)
	var n int64
	err := withoutTriggers(ctx, tx, b.table, func() error {
		tag, err := tx.Exec(ctx, update)
		n = tag.RowsAffected()
		return err
	})
	if err != nil {
		return b.fault(b.up(), err)
	}
	b.report(func(p *Progress) { p.Rows += n })
	_, err = tx.Exec(ctx, "update tartan_migrate.batches set undone_at = now() where migration = $1 and step = $2 and ordinal = $3", b.mig, b.ordinal, batch)
	return err
}

// maxDifferences bounds a report; the count goes with it.
const maxDifferences = 1000

// left reports the rows that others have changed since the backfill.
func (b *backfiller) left(ctx context.Context) (out []migration.Difference, err error) {
	var key, was, found []string
	for _, k := range names(b.detail.Key, "a.") {
		key = append(key, k+"::text")
	}
	for i, c := range b.detail.Columns {
		was = append(was, fmt.Sprintf("%s || '=' || coalesce(a.old%d, 'null')", literal(c.Name), i))
		found = append(found, fmt.Sprintf("%s || '=' || coalesce(t.%s::text, 'null')", literal(c.Name), pgx.Identifier{c.Name}.Sanitize()))
	}
	var on []string
	for i, k := range names(b.detail.Key, "t.") {
		on = append(on, k+" = "+casts(b.detail.Key, "a.")[i])
	}
	first := names(b.detail.Key, "t.")[0]
	rows, err := b.conn.Query(ctx, fmt.Sprintf("select concat_ws(',', %s), concat_ws(', ', %s), case when %s is null then 'deleted' else concat_ws(', ', %s) end from %s a left join %s t on %s limit %d",
		strings.Join(key, ", "), strings.Join(was, ", "), first, strings.Join(found, ", "), b.archive, b.table.only(), strings.Join(on, " and "), maxDifferences))
	if err != nil {
		return nil, err
	}
	out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d migration.Difference, err error) {
		err = row.Scan(&d.Path, &d.Before, &d.After)
		d.Path = fmt.Sprintf("row %s.%s(%s)", b.table.Schema, b.table.Name, d.Path)
		return d, err
	})
	if err != nil || len(out) < maxDifferences {
		return out, err
	}
	var all int
	err = b.conn.QueryRow(ctx, "select count(*) from "+b.archive).Scan(&all)
	if all > len(out) {
		out = append(out, migration.Difference{Path: fmt.Sprintf("row %s.%s(and %d more)", b.table.Schema, b.table.Name, all-len(out))})
	}
	return out, err
}
