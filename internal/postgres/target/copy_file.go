package target

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration/load"
)

// fileOrigin reads a file.
type fileOrigin struct {
	file    load.File
	size    int64
	rows    int
	path    string
	columns []string // fields, in the order of the columns copied into
}

// filePosition is where a record stands, so that its exact bytes can be read again.
type filePosition struct {
	load.Position
	Bytes int `json:"bytes"`
}

func (f *fileOrigin) format() string { return "text" }

func (f *fileOrigin) close() {}

func (f *fileOrigin) names(context.Context) ([]string, error) {
	r, c, err := load.Open(f.file, load.Position{})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	defer c.Close()
	return r.Names(), nil
}

func (f *fileOrigin) choose(columns []copied) error {
	f.columns = nil
	for _, c := range columns {
		f.columns = append(f.columns, c.source)
	}
	_, closer, err := f.open(load.Position{})
	if err != nil {
		return err
	}
	return closer.Close()
}

func (f *fileOrigin) open(at load.Position) (load.Reader, io.Closer, error) {
	r, c, err := load.Open(f.file, at)
	if err == nil {
		if err = r.Select(f.columns); err != nil {
			_ = c.Close()
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	return r, c, nil
}

// total judges by the first megabyte.
func (f *fileOrigin) total(context.Context) (int64, error) {
	r, c, err := f.open(load.Position{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	start, n := r.Position().Offset, int64(0)
	for r.Position().Offset-start < 1<<20 {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return 0, err
		}
		n++
	}
	return n * (f.size - start) / (r.Position().Offset - start), nil
}

func (f *fileOrigin) run(ctx context.Context, after *batchEnd, emit func(*batch) error) error {
	at := load.Position{}
	if after != nil {
		at = load.Position{Offset: after.Offset, Line: after.Line}
	}
	r, c, err := f.open(at)
	if err != nil {
		return err
	}
	defer c.Close()
	for b := (&batch{}); ; {
		for len(b.ends)+len(b.bad) < f.rows && len(b.data)+len(b.aux) < copyBytes {
			record, err := r.Next()
			if errors.Is(err, io.EOF) {
				if len(b.ends)+len(b.bad) == 0 {
					return nil
				}
				break
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", f.path, err)
			}
			if record.Bad != "" {
				b.bad = append(b.bad, rejection{position: filePosition{record.Position, len(record.Raw)}, raw: string(record.Raw), reason: record.Bad})
				continue
			}
			b.data = load.AppendCopy(b.data, record.Values)
			b.ends = append(b.ends, len(b.data))
			from := len(b.aux)
			b.aux = append(b.aux, record.Raw...)
			b.places = append(b.places, place{record.Position, from, len(b.aux)})
		}
		end := r.Position()
		b.end = batchEnd{Offset: end.Offset, Line: end.Line}
		next := b.like() // before b belongs to who writes it
		if err := emit(b); err != nil {
			return err
		}
		b = next
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (f *fileOrigin) rejected(_ context.Context, _ *pgx.Conn, b *batch, row int) (rejection, error) {
	raw := b.about(row)
	return rejection{position: filePosition{b.places[row].Position, len(raw)}, raw: string(raw)}, nil
}

func (f *fileOrigin) keyText(context.Context, *pgx.Conn, *batch, int) ([]string, error) {
	return nil, nil
}

// fileBatch is what the ledger says of a batch of a file.
type fileBatch struct {
	ordinal  int
	end      int64
	rows     int64
	checksum string
	held     int64 // rows in the target
}

// prove reads the file again and compares each batch with its checksum in the ledger, its rows with those in the target, and what is
// bad with the quarantine.
func (f *fileOrigin) prove(ctx context.Context, c *copying) (p Proof, err error) {
	rows, err := c.conn.Query(ctx, `with held as (select t.xmin::text as xid, count(*) as n from `+c.table+` t where `+c.ours()+` group by 1)
select b.ordinal, (b.last_key->>'offset')::bigint, b.rows, b.checksum::text, coalesce(h.n, 0)
from tartan_migrate.batches b left join held h on h.xid = b.last_key->>'xid' where b.migration = $1 and b.step = $2 order by b.ordinal`, c.mig, c.ordinal)
	if err != nil {
		return p, err
	}
	batches, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b fileBatch, err error) {
		return b, row.Scan(&b.ordinal, &b.end, &b.rows, &b.checksum, &b.held)
	})
	if err != nil {
		return p, err
	}
	offsets, err := c.conn.Query(ctx, "select (position->>'offset')::bigint from tartan_migrate.rejected where migration = $1 and step = $2", c.mig, c.ordinal)
	if err != nil {
		return p, err
	}
	rejected := map[int64]bool{}
	var at int64
	if _, err = pgx.ForEachRow(offsets, []any{&at}, func() error { rejected[at] = true; return nil }); err != nil {
		return p, err
	}
	r, closer, err := f.open(load.Position{})
	if err != nil {
		return p, err
	}
	defer closer.Close()
	p.How = fmt.Sprintf("%d batches: rows and checksum of the file read again, and rows in the table by the transaction of their batch", len(batches))
	for _, b := range batches {
		n, sum, bad, err := f.again(r, b.end, rejected)
		if err != nil {
			return p, err
		}
		p.Source, p.Target, p.Rejected = p.Source+n+bad, p.Target+b.held, p.Rejected+bad
		switch {
		case n != b.rows || sum != b.checksum:
			return p, fmt.Errorf("%w: %s has changed since batch %d was read (now %d good rows, then %d)", ErrUnproven, f.path, b.ordinal, n, b.rows)
		case n != b.held:
			return p, fmt.Errorf("%w: of the %d rows of batch %d, which ends at byte %d, %d are in %s unchanged", ErrUnproven, n, b.ordinal, b.end, b.held, c.table)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		return p, fmt.Errorf("%w: %s has more rows than were read", ErrUnproven, f.path)
	}
	if p.Rejected != int64(len(rejected)) {
		return p, fmt.Errorf("%w: %d rows of the file are in quarantine, and %d were found", ErrUnproven, len(rejected), p.Rejected)
	}
	return p, nil
}

// again reads the records up to an offset, and returns how many are good, their checksum, and how many are in quarantine.
func (f *fileOrigin) again(r load.Reader, end int64, rejected map[int64]bool) (n int64, sum string, bad int64, err error) {
	digest := sha256.New()
	var line []byte
	for r.Position().Offset < end {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, "", 0, fmt.Errorf("read %s: %w", f.path, err)
		}
		if rejected[record.Offset] {
			bad++
			continue
		}
		if record.Bad != "" {
			return n, "", bad, fmt.Errorf("%w: the bad row at line %d of %s is not in quarantine", ErrUnproven, record.Line, f.path)
		}
		line = load.AppendCopy(line[:0], record.Values)
		digest.Write(line)
		n++
	}
	return n, strconv.FormatUint(binary.BigEndian.Uint64(digest.Sum(nil)), 10), bad, nil
}
