package target

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/migration/load"
)

//go:embed copy.sql
var copySQL string

// copyBytes is at which size a batch ends, whatever number of rows the plan says it has.
const copyBytes = 4 << 20

// Errors of copies a caller can decide by.
var (
	// ErrRejected says that more rows are bad than the plan allows. Which and why is in tartan_migrate.rejected.
	ErrRejected = errors.New("too many rows were rejected")
	// ErrUnproven says that the rows of a copy's source are not all in the target or in quarantine.
	ErrUnproven = errors.New("the copy is not what its source is")
)

// Importer does copy steps. Both functions are given what stands behind the scheme in the step's "from".
type Importer struct {
	Target func(ctx context.Context, name string) (*Target, error) // a database by its name
	File   func(ctx context.Context, name string) (File, error)    // a file or an object of the bucket
}

// File is where a copy reads from.
type File struct {
	Size int64 // bytes; 0 is not known
	At   func(offset int64) (io.ReadCloser, error)
}

// Proof says that every row of a copy's source is in the target or in quarantine.
type Proof struct {
	Source   int64  `json:"source"` // rows
	Target   int64  `json:"target"`
	Rejected int64  `json:"rejected"`
	How      string `json:"how"` // what was compared, for people
}

// copyDetail is what the ledger keeps of a copy.
type copyDetail struct {
	Empty    bool     `json:"empty,omitempty"` // the table was, before
	Columns  []string `json:"columns"`         // of the target, that were copied
	Proof    *Proof   `json:"proof,omitempty"`
	Content  Sums     `json:"content,omitempty"`  // of the rows when the copy was done, where the table was empty before
	Bucket   string   `json:"bucket,omitempty"`   // by which Content is divided
	Inserted string   `json:"inserted,omitempty"` // table of the archive with the inserted keys, where it was not
}

// batchEnd is where a batch ends in its source, and the transaction that its rows are of.
type batchEnd struct {
	Key    []string `json:"key,omitempty"` // of its last row
	Offset int64    `json:"offset,omitempty"`
	Line   int64    `json:"line,omitempty"`
	Xid    string   `json:"xid"`
}

// batch is a run of rows as COPY reads them.
type batch struct {
	ordinal int
	data    []byte
	ends    []int // of each row, in data
	places  []place
	aux     []byte // of a file its rows as they stand, of a table their keys
	bad     []rejection
	end     batchEnd
	// Of a batch whose bad rows were screened:
	whole    *batch // as it was read
	suspects []int  // rows of it that the table is to refuse
}

// place is where a row stands in its source.
type place struct {
	load.Position
	from, to int // in aux
}

// rejection is a row for the quarantine.
type rejection struct {
	position any // JSON
	raw      string
	reason   string
	sqlstate string
}

func (b *batch) row(i int) []byte {
	if i == 0 {
		return b.data[:b.ends[0]]
	}
	return b.data[b.ends[i-1]:b.ends[i]]
}

func (b *batch) about(i int) []byte { return b.aux[b.places[i].from:b.places[i].to] }

// like makes an empty batch with room for as much as b has.
func (b *batch) like() *batch {
	room := func(n int) int { return n + n/8 }
	return &batch{
		data: make([]byte, 0, room(len(b.data))), ends: make([]int, 0, room(len(b.ends))),
		places: make([]place, 0, room(len(b.places))), aux: make([]byte, 0, room(len(b.aux))),
	}
}

// checksum is over the good rows as they went to the server.
func (b *batch) checksum() uint64 {
	sum := sha256.Sum256(b.data)
	return binary.BigEndian.Uint64(sum[:])
}

// origin is what a copy reads.
type origin interface {
	names(ctx context.Context) ([]string, error) // nil: by position
	format() string                              // of COPY
	// run gives the batches behind an end, which is nil at the start.
	run(ctx context.Context, after *batchEnd, emit func(*batch) error) error
	// rejected tells where a row that the database refused stands, and what it is.
	rejected(ctx context.Context, conn *pgx.Conn, b *batch, row int) (rejection, error)
	// keyText gives the key of a row; none of a file.
	keyText(ctx context.Context, conn *pgx.Conn, b *batch, row int) ([]string, error)
	prove(ctx context.Context, c *copying) (Proof, error)
	total(ctx context.Context) (int64, error) // rows, estimated; 0 is not known
	close()
}

// copied is a column of the target that is copied into.
type copied struct {
	name, source string
	kind         string // as SQL names the type
	oid          uint32
	builtin      bool
}

// copying is one copy step under way.
type copying struct {
	t        *Target
	conn     *pgx.Conn
	mig      uuid.UUID
	ordinal  int
	name     string
	spec     *migration.Copy
	asserts  []migration.Statement
	allowed  int64 // rejected rows
	from     origin
	table    string // as SQL names it
	oid      uint32
	columns  []copied
	into     string // the COPY statement
	detail   copyDetail
	content  Sums   // of the target, as the proof found it
	bucket   string // by which that is divided
	done     int64  // rows in the ledger
	bad      int64  // in quarantine
	batches  int
	screens  bool // screen was made, or cannot be
	screen   *screen
	spoilt   bool // the last batch was screened and had bad rows: the next is taken to have some too
	unsure   int  // batches that screening was no help with
	last     *batchEnd
	progress func(Progress)
	report   Progress
	speed    speedometer
}

// Copy implements Copier. It goes on where the ledger says that an earlier attempt ended. The errors are ErrRejected and ErrUnproven
// where these say more.
func (im *Importer) Copy(ctx context.Context, t *Target, mig uuid.UUID, plan *migration.Plan, ordinal int, progress func(Progress)) error {
	c, row, err := im.begin(ctx, t, mig, plan, ordinal)
	if err != nil {
		return t.masked(err)
	}
	defer c.close(ctx)
	if row.State == Done {
		return nil
	}
	c.progress = progress
	if err = c.copy(ctx, row); err != nil {
		var told *StepError
		if !errors.As(err, &told) {
			err = &StepError{Step: c.name, Err: err}
		}
		return t.masked(err)
	}
	return nil
}

func (im *Importer) begin(ctx context.Context, t *Target, mig uuid.UUID, plan *migration.Plan, ordinal int) (_ *copying, row StepRow, err error) {
	s := plan.Steps[ordinal]
	if s.Copy == nil {
		return nil, row, &StepError{Step: s.Name, Err: errors.New("it is no copy")}
	}
	c := &copying{t: t, mig: mig, ordinal: ordinal, name: s.Name, spec: s.Copy, asserts: s.Verify, allowed: plan.Settings.MaxRejected, progress: func(Progress) {}}
	if c.conn, err = t.session(ctx, mig); err != nil {
		return nil, row, err
	}
	defer func() {
		if err != nil {
			c.close(ctx)
		}
	}()
	if row, err = step(ctx, c.conn, mig, ordinal); err != nil || row.State == Done {
		return c, row, err
	}
	if err = unmarshalExtra(row.Detail.Extra, &c.detail); err != nil {
		return nil, row, err
	}
	if _, err = c.conn.Exec(ctx, canonical); err != nil {
		return nil, row, err
	}
	if c.from, err = im.origin(ctx, s.Copy); err != nil {
		return nil, row, &StepError{Step: s.Name, Err: err}
	}
	return c, row, nil
}

func unmarshalExtra(extra json.RawMessage, into *copyDetail) error {
	if len(extra) == 0 {
		return nil
	}
	if err := json.Unmarshal(extra, into); err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	return nil
}

// origin opens what the step copies from.
func (im *Importer) origin(ctx context.Context, spec *migration.Copy) (origin, error) {
	rows := orDefault(max(spec.Rows, 0), math.MaxInt)
	name, ok := strings.CutPrefix(spec.From, "target:")
	if ok || spec.Format == "postgres" {
		src, err := im.Target(ctx, name)
		if err != nil {
			return nil, err
		}
		o, err := newTableOrigin(ctx, src, spec, rows)
		if err != nil {
			return nil, err
		}
		return o, nil
	}
	f, err := im.File(ctx, spec.From)
	if err != nil {
		return nil, err
	}
	return &fileOrigin{file: load.File{Format: spec.Format, Options: spec.Options, At: f.At}, size: f.Size, rows: rows, path: spec.From}, nil
}

func (c *copying) close(ctx context.Context) {
	if c.from != nil {
		c.from.close()
	}
	if c.conn != nil {
		_ = c.conn.Close(context.WithoutCancel(ctx))
	}
}

func (c *copying) copy(ctx context.Context, row StepRow) error {
	if err := c.resolve(ctx); err != nil {
		return err
	}
	if err := c.start(ctx, row); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	batches := make(chan *batch, 1)
	group.Go(func() error {
		defer close(batches)
		return c.from.run(gctx, c.last, func(b *batch) error {
			select {
			case batches <- b:
				return nil
			case <-gctx.Done():
				return gctx.Err()
			}
		})
	})
	group.Go(func() error {
		for b := range batches {
			if err := c.write(gctx, b); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	c.report.Phase = "compares the target with the source"
	c.progress(c.report)
	proof, err := c.from.prove(ctx, c)
	if err != nil {
		return err
	}
	return c.finish(ctx, proof)
}

// resolve finds the table, and which of its columns is copied from where.
func (c *copying) resolve(ctx context.Context) error {
	var oid *uint32
	var name *string
	err := c.conn.QueryRow(ctx, `select c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass($1) and c.relkind in ('r', 'p')`, c.spec.Table).Scan(&oid, &name)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("there is no table %s to copy into: make it in an earlier step", c.spec.Table)
	}
	if err != nil {
		return err
	}
	c.oid, c.table = *oid, *name
	rows, err := c.conn.Query(ctx, `select a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypid < 16384 and t.typnamespace = 'pg_catalog'::regnamespace
from pg_attribute a join pg_type t on t.oid = a.atttypid where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum`, c.oid)
	if err != nil {
		return err
	}
	have, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (col copied, err error) {
		return col, row.Scan(&col.name, &col.kind, &col.oid, &col.builtin)
	})
	if err != nil {
		return err
	}
	names, err := c.from.names(ctx)
	if err != nil {
		return err
	}
	if c.columns, err = mapped(have, names, c.spec); err != nil {
		return err
	}
	if s, ok := c.from.(interface{ choose([]copied) error }); ok {
		if err := s.choose(c.columns); err != nil {
			return err
		}
	}
	quoted := make([]string, len(c.columns))
	for i, col := range c.columns {
		quoted[i] = pgx.Identifier{col.name}.Sanitize()
	}
	c.into = fmt.Sprintf("copy %s (%s) from stdin (format %s)", c.table, strings.Join(quoted, ", "), c.from.format())
	return nil
}

// mapped says which columns are copied: those of the plan's map, or all of the source, which the table must have.
func mapped(have []copied, names []string, spec *migration.Copy) (out []copied, err error) {
	find := func(name string) (copied, error) {
		i := slices.IndexFunc(have, func(c copied) bool { return c.name == name })
		if i < 0 {
			return copied{}, fmt.Errorf("the table %s has no column %q that can be copied into", spec.Table, name)
		}
		return have[i], nil
	}
	if len(spec.Columns) > 0 {
		for _, col := range have {
			if source, ok := spec.Columns[col.name]; ok {
				col.source = source
				out = append(out, col)
			}
		}
		for name := range spec.Columns {
			if _, err := find(name); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if names == nil {
		for i, col := range have {
			col.source = fmt.Sprint(i + 1)
			out = append(out, col)
		}
		return out, nil
	}
	for _, name := range names {
		col, err := find(name)
		if err != nil {
			return nil, fmt.Errorf("%w: name the columns to copy with map=", err)
		}
		col.source = name
		out = append(out, col)
	}
	if len(out) == 0 {
		return nil, errors.New("the source has no columns")
	}
	return out, nil
}

// start enters the step as running, or reads how far it came.
func (c *copying) start(ctx context.Context, row StepRow) error {
	if _, err := c.conn.Exec(ctx, copySQL); err != nil {
		return fmt.Errorf("make the quarantine: %w", err)
	}
	if row.State != Running || c.detail.Columns == nil {
		if err := c.conn.QueryRow(ctx, "select not exists (select from "+c.table+")").Scan(&c.detail.Empty); err != nil {
			return err
		}
		c.detail.Columns = nil
		for _, col := range c.columns {
			c.detail.Columns = append(c.detail.Columns, col.name)
		}
		err := pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
			for _, table := range []string{"batches", "rejected"} { // of an attempt that was undone
				if _, err := tx.Exec(ctx, "delete from tartan_migrate."+table+" where migration = $1 and step = $2", c.mig, c.ordinal); err != nil {
					return err
				}
			}
			return c.enter(ctx, tx, Running)
		})
		if err != nil {
			return err
		}
	}
	err := c.conn.QueryRow(ctx, `select coalesce(max(ordinal) + 1, 0), coalesce(sum(rows), 0)::bigint, (select count(*) from tartan_migrate.rejected r
  where r.migration = $1 and r.step = $2 and r.batch < (select count(*) from tartan_migrate.batches b where b.migration = $1 and b.step = $2)),
(select last_key from tartan_migrate.batches where migration = $1 and step = $2 order by ordinal desc limit 1)
from tartan_migrate.batches where migration = $1 and step = $2`, c.mig, c.ordinal).Scan(&c.batches, &c.done, &c.bad, &c.last)
	if err != nil {
		return err
	}
	total, err := c.from.total(ctx)
	c.report = Progress{Rows: c.done, Total: total}
	c.progress(c.report)
	return err
}

// enter writes the step's state and detail into the ledger. The rows of batches are counted there by themselves.
func (c *copying) enter(ctx context.Context, tx pgx.Tx, state string) error {
	extra, err := json.Marshal(c.detail)
	if err != nil {
		return err
	}
	return setStep(ctx, tx, c.mig, c.ordinal, state, 0, Detail{Total: c.report.Total, Extra: extra})
}

func (c *copying) finish(ctx context.Context, proof Proof) error {
	c.detail.Proof = &proof
	return pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		for _, s := range c.asserts {
			if err := assertion(ctx, tx, s.SQL); err != nil {
				return &StepError{Step: c.name, Statement: migration.Statement{File: s.File, Line: s.Line}, Err: err}
			}
		}
		if err := c.remember(ctx, tx); err != nil {
			return err
		}
		return c.enter(ctx, tx, Done)
	})
}

// ours says which rows of the table alias t a copy inserted and nobody has changed since: those of its batches' transactions.
const ours = `t.xmin in (select (b.last_key->>'xid')::xid from tartan_migrate.batches b where b.migration = '%s' and b.step = %d and b.rows > 0)`

func (c *copying) ours() string { return fmt.Sprintf(ours, c.mig, c.ordinal) }

// speedometer measures rows per second over the last seconds.
type speedometer struct {
	since time.Time
	rows  int64
	speed float64
}

func (s *speedometer) add(now time.Time, rows int64) float64 {
	if s.since.IsZero() {
		s.since, s.rows = now, rows
		return 0
	}
	if d := now.Sub(s.since); d >= time.Second {
		s.speed = float64(rows-s.rows) / d.Seconds()
		s.since, s.rows = now, rows
	}
	return s.speed
}
