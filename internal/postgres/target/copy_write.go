package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sifted is how many rows are tried at once in a batch that has bad ones.
const sifted = 500

// errTooMany says that a batch would have more bad rows than the plan allows.
var errTooMany = errors.New("too many bad rows in a batch")

// write copies a batch in one transaction with its row of the ledger. Where the database refuses a row, the bad ones are found first.
func (c *copying) write(ctx context.Context, b *batch) (err error) {
	b.ordinal = c.batches
	if len(b.ends) > 0 {
		if b.end.Key, err = c.from.keyText(ctx, c.conn, b, len(b.ends)-1); err != nil {
			return err
		}
	}
	for attempt := 1; ; attempt++ {
		if int64(len(b.bad))+c.bad > c.allowed {
			return c.refuse(ctx, b)
		}
		var err error
		if !c.spoilt {
			err = c.commit(ctx, b)
		}
		if attempt == 1 && (c.spoilt || ofRow(err)) {
			b, err = c.screened(ctx, b)
		}
		if err == nil {
			break
		}
		if errors.Is(err, errTooMany) {
			return c.refuse(ctx, b)
		}
		if !ofRow(err) && !errors.Is(err, errUnsure) || attempt == 4 { // found bad rows can only be too few where others change what the rows depend on
			return fmt.Errorf("copy into %s: %w", c.table, err)
		}
		if err := c.sift(ctx, b); err != nil {
			return fmt.Errorf("copy into %s: %w", c.table, err)
		}
	}
	c.batches++
	c.done += int64(len(b.ends))
	c.bad += int64(len(b.bad))
	c.report.Rows, c.report.LastKey = c.done, b.end.Key
	c.report.PerSec = c.speed.add(time.Now(), c.done)
	c.progress(c.report)
	return nil
}

// refuse keeps the rows that were one too many, so that their reasons can be read, and ends the copy.
func (c *copying) refuse(ctx context.Context, b *batch) error {
	err := pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error { return c.quarantine(ctx, tx, b) })
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %d of %d read, and the plan allows %d (max_rejected); their reasons are in tartan_migrate.rejected", ErrRejected,
		c.bad+int64(len(b.bad)), c.done+c.bad+int64(len(b.ends)+len(b.bad)), c.allowed)
}

func (c *copying) commit(ctx context.Context, b *batch) error {
	return pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set constraints all immediate"); err != nil {
			return err
		}
		if len(b.ends) > 0 {
			tag, err := c.send(ctx, b.data)
			if err != nil {
				return err
			}
			if tag.RowsAffected() != int64(len(b.ends)) {
				return fmt.Errorf("%d of %d rows were taken: a trigger or a rule of the table leaves rows out", tag.RowsAffected(), len(b.ends))
			}
		}
		if err := c.try(ctx, tx, b); err != nil {
			return err
		}
		if int64(len(b.bad))+c.bad > c.allowed {
			return errTooMany
		}
		if err := c.quarantine(ctx, tx, b); err != nil {
			return err
		}
		end, err := json.Marshal(b.end)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `insert into tartan_migrate.batches (migration, step, ordinal, last_key, rows, checksum)
values ($1, $2, $3, $4::jsonb || jsonb_build_object('xid', pg_current_xact_id()::xid::text), $5, $6)`, c.mig, c.ordinal, b.ordinal, string(end), len(b.ends), strconv.FormatUint(b.checksum(), 10))
		return err
	})
}

func (c *copying) quarantine(ctx context.Context, tx pgx.Tx, b *batch) error {
	if len(b.bad) == 0 {
		return nil
	}
	var position, raw, reason []string
	var state []*string
	for _, r := range b.bad {
		p, err := json.Marshal(r.position)
		if err != nil {
			return err
		}
		position, raw, reason = append(position, string(p)), append(raw, legible(r.raw)), append(reason, legible(r.reason))
		var s *string
		if r.sqlstate != "" {
			s = &r.sqlstate
		}
		state = append(state, s)
	}
	_, err := tx.Exec(ctx, `insert into tartan_migrate.rejected (migration, step, batch, position, raw, reason, sqlstate)
select $1, $2, $3, p::jsonb, r, w, s from unnest($4::text[], $5::text[], $6::text[], $7::text[]) as u(p, r, w, s)
on conflict (migration, step, position) do update set batch = excluded.batch, raw = excluded.raw, reason = excluded.reason, sqlstate = excluded.sqlstate`,
		c.mig, c.ordinal, b.ordinal, position, raw, reason, state)
	return err
}

// legible writes bytes that are no text in Postgres as \xNN.
func legible(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 || r == 0 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

var (
	binaryStart = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	binaryEnd   = []byte{0xff, 0xff}
)

// send copies rows as they are in a batch.
func (c *copying) send(ctx context.Context, rows []byte) (pgconn.CommandTag, error) {
	if c.from.format() == "text" {
		return c.copyText(ctx, rows, c.into)
	}
	return c.conn.PgConn().CopyFrom(ctx, io.MultiReader(bytes.NewReader(binaryStart), bytes.NewReader(rows), bytes.NewReader(binaryEnd)), c.into)
}

func (c *copying) copyText(ctx context.Context, rows []byte, into string) (pgconn.CommandTag, error) {
	return c.conn.PgConn().CopyFrom(ctx, bytes.NewReader(rows), into)
}

// sift moves the bad rows of a batch out of it. It tries rows in a transaction that is taken back, so that the good ones are copied
// once, by a transaction of their own that they can be told by.
func (c *copying) sift(ctx context.Context, b *batch) error {
	bad := make([]*pgconn.PgError, len(b.ends))
	tx, err := c.conn.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "set constraints all immediate")
	for lo := 0; lo < len(b.ends) && err == nil; lo += sifted {
		err = c.siftPart(ctx, tx, b, bad, lo, min(lo+sifted, len(b.ends)))
	}
	if back := tx.Rollback(context.WithoutCancel(ctx)); err == nil {
		err = back
	}
	if err != nil {
		return err
	}
	var data []byte
	var ends []int
	var places []place
	for i := range b.ends {
		if bad[i] == nil {
			data = append(data, b.row(i)...)
			ends, places = append(ends, len(data)), append(places, b.places[i])
			continue
		}
		if err := c.reject(ctx, b, b, i, bad[i]); err != nil {
			return err
		}
	}
	b.data, b.ends, b.places = data, ends, places
	return nil
}

// reject adds a row of one batch to the bad ones of another, which may be the same.
func (c *copying) reject(ctx context.Context, from, to *batch, row int, refused *pgconn.PgError) error {
	r, err := c.from.rejected(ctx, c.conn, from, row)
	if err != nil {
		return err
	}
	r.sqlstate, r.reason = refused.Code, refused.Message
	if refused.Detail != "" {
		r.reason += ". " + refused.Detail
	}
	to.bad = append(to.bad, r)
	return nil
}

// siftPart tries rows lo to hi that are not known to be bad. The server mostly says which row it refused; where it cannot, the rows are
// halved. Good rows stay, because later ones may depend on them.
func (c *copying) siftPart(ctx context.Context, tx pgx.Tx, b *batch, bad []*pgconn.PgError, lo, hi int) error {
	for {
		var rows []int
		var data []byte
		for i := lo; i < hi; i++ {
			if bad[i] == nil {
				rows, data = append(rows, i), append(data, b.row(i)...)
			}
		}
		if len(rows) == 0 {
			return nil
		}
		err := pgx.BeginFunc(ctx, tx, func(pgx.Tx) error {
			_, err := c.send(ctx, data)
			return err
		})
		if err == nil {
			return nil
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || !ofRow(err) {
			return err
		}
		if len(rows) == 1 {
			bad[rows[0]] = refused
			return nil
		}
		at, known := c.culprit(b, refused, rows)
		if known && ofItself(refused) {
			bad[at] = refused
			continue
		}
		if err := c.siftPart(ctx, tx, b, bad, lo, at); err != nil {
			return err
		}
		if lo = at; known {
			if err := c.siftPart(ctx, tx, b, bad, at, at+1); err != nil {
				return err
			}
			lo = at + 1
		}
	}
}

// ofItself reports whether a row is refused whatever else is in the table.
func ofItself(refused *pgconn.PgError) bool {
	return strings.HasPrefix(refused.Code, "22") || refused.Code == "23514" || refused.Code == "23502"
}

// culprit tells which of the rows was refused, or where to halve them.
func (c *copying) culprit(b *batch, refused *pgconn.PgError, rows []int) (at int, known bool) {
	if line, ok := lineOf(refused); ok && line >= 1 && line <= len(rows) {
		return rows[line-1], true
	}
	if m := missingKey.FindStringSubmatch(refused.Detail); m != nil && refused.Code == "23503" && c.from.format() == "text" {
		column := slices.IndexFunc(c.columns, func(c copied) bool { return pgx.Identifier{c.name}.Sanitize() == m[1] || c.name == m[1] })
		var fields [][]byte
		for _, at := range rows {
			if column < 0 {
				break
			}
			row := b.row(at)
			fields = splitText(fields[:0], row[:len(row)-1])
			if string(fields[column]) == m[2] {
				return at, true
			}
		}
	}
	return rows[len(rows)/2], false
}

// missingKey is how the server tells a foreign key of one column that is not there. It is the first such row, where rows have the value as
// the server writes it.
var missingKey = regexp.MustCompile(`^Key \(([^,]+)\)=\((.*)\) is not present`)

var copyLine = regexp.MustCompile(`(?m)^COPY .*?, line (\d+)`)

// lineOf reads which row, from 1, COPY was at.
func lineOf(err *pgconn.PgError) (int, bool) {
	m := copyLine.FindStringSubmatch(err.Where)
	if m == nil {
		return 0, false
	}
	n, e := strconv.Atoi(m[1])
	return n, e == nil
}

// ofRow reports whether the database refused a row for what is in it: bad data, a constraint, a limit of size, or an exception of a trigger.
func ofRow(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch {
	case strings.HasPrefix(pg.Code, "22"), strings.HasPrefix(pg.Code, "23"), pg.Code == "54000", pg.Code == "P0001", pg.Code == "44000":
		return true
	}
	return false
}
