package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tartan-ai/tartan/internal/migration"
)

// canonical makes a session write values as every other one does, so that texts of two databases can be compared.
const canonical = "set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; set xmlbinary = 'base64'; set client_encoding = 'UTF8'; set row_security = off"

// tableOrigin reads a table or a query of another Postgres, in the order of its key, in one statement and one snapshot.
type tableOrigin struct {
	src     *Target
	conn    *pgx.Conn // in a transaction that only reads
	from    string    // as it stands behind "from"
	table   bool
	key     []string
	all     []sourceColumn
	columns []copied
	binary  bool
	rows    int
}

type sourceColumn struct {
	name    string
	oid     uint32
	kind    string // as SQL names the type
	builtin bool
	hidden  bool // generated, or ctid: only copied where it is asked for
}

// place of a row of another database.
type keyPosition struct {
	Key []string `json:"key"`
}

var isQuery = regexp.MustCompile(`(?i)^\s*(select|with|values|table)\s`)

func newTableOrigin(ctx context.Context, src *Target, spec *migration.Copy, rows int) (*tableOrigin, error) {
	o := &tableOrigin{src: src, key: spec.Key, rows: rows}
	err := o.open(ctx, spec)
	if err != nil {
		o.close()
		return nil, fmt.Errorf("the source: %w", src.masked(err))
	}
	return o, nil
}

func (o *tableOrigin) open(ctx context.Context, spec *migration.Copy) (err error) {
	if o.conn, err = o.src.connect(ctx); err != nil {
		return err
	}
	if _, err := o.conn.Exec(ctx, canonical+"; set idle_in_transaction_session_timeout = 0; set synchronize_seqscans = off; begin isolation level repeatable read read only"); err != nil {
		return err
	}
	source := spec.Source
	if source == "" {
		source = spec.Table
	}
	if isQuery.MatchString(source) {
		o.from = "(" + strings.TrimRight(strings.TrimSpace(source), ";") + ") as s"
	} else {
		var kind string
		err := o.conn.QueryRow(ctx, "select quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)", source).Scan(&o.from, &kind)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("it has no table %s", source)
		}
		if err != nil {
			return err
		}
		o.table = true
		if len(o.key) == 0 {
			if o.key, err = keyOf(ctx, o.conn, source); err != nil {
				return err
			}
		}
		if len(o.key) == 0 && kind != "r" && kind != "m" {
			return fmt.Errorf("%s has no unique key: name one with key=", source)
		}
	}
	if len(o.key) == 0 && !o.table {
		return errors.New("a query needs a key, by which the copy goes on after a fault: name unique columns of it with key=")
	}
	if err := o.describe(ctx, source); err != nil {
		return err
	}
	for _, k := range o.key {
		if !slices.ContainsFunc(o.all, func(c sourceColumn) bool { return c.name == k }) {
			return fmt.Errorf("it has no column %q for the key", k)
		}
	}
	if len(o.key) == 0 {
		o.key = []string{"ctid"}
		o.all = append(o.all, sourceColumn{name: "ctid", oid: pgtype.TIDOID, kind: "tid", builtin: true, hidden: true})
		// Rows come in the order of their places only from one process.
		_, err = o.conn.Exec(ctx, "set max_parallel_workers_per_gather = 0")
	}
	return err
}

// describe reads the columns of the source.
func (o *tableOrigin) describe(ctx context.Context, source string) error {
	d, err := o.conn.PgConn().Prepare(ctx, "", "select * from "+o.from, nil)
	if err != nil {
		return err
	}
	generated := map[string]bool{}
	if o.table {
		rows, err := o.conn.Query(ctx, "select attname::text from pg_attribute where attrelid = to_regclass($1) and attgenerated <> ''", source)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			generated[name] = true
		}
	}
	for _, f := range d.Fields {
		c := sourceColumn{name: f.Name, oid: f.DataTypeOID, hidden: generated[f.Name]}
		if slices.ContainsFunc(o.all, func(have sourceColumn) bool { return have.name == c.name }) {
			return fmt.Errorf("two of its columns are called %q: give one another name", c.name)
		}
		err := o.conn.QueryRow(ctx, "select format_type($1, $2), $1 < 16384 and typnamespace = 'pg_catalog'::regnamespace from pg_type where oid = $1", f.DataTypeOID, f.TypeModifier).Scan(&c.kind, &c.builtin)
		if err != nil {
			return err
		}
		o.all = append(o.all, c)
	}
	return nil
}

func (o *tableOrigin) close() {
	if o.conn != nil {
		_ = o.conn.Close(context.Background())
	}
}

func (o *tableOrigin) names(context.Context) (out []string, err error) {
	for _, c := range o.all {
		if !c.hidden {
			out = append(out, c.name)
		}
	}
	return out, nil
}

func (o *tableOrigin) column(name string) sourceColumn {
	return o.all[slices.IndexFunc(o.all, func(c sourceColumn) bool { return c.name == name })]
}

// choose takes the binary format where every type is the same built-in one on both sides, and text otherwise.
func (o *tableOrigin) choose(columns []copied) error {
	o.columns, o.binary = columns, true
	for _, c := range columns {
		if !slices.ContainsFunc(o.all, func(s sourceColumn) bool { return s.name == c.source }) {
			return fmt.Errorf("the source has no column %q for %s", c.source, c.name)
		}
		s := o.column(c.source)
		// The text of an object's number is its name, which may have another number here.
		if !c.builtin || !s.builtin || c.oid != s.oid || strings.HasPrefix(c.kind, "reg") || strings.HasPrefix(c.kind, "pg_") || c.kind == "refcursor" {
			o.binary = false
		}
	}
	for _, k := range o.key {
		if !o.column(k).builtin {
			o.binary = false
		}
	}
	return nil
}

func (o *tableOrigin) format() string {
	if o.binary {
		return "binary"
	}
	return "text"
}

func (o *tableOrigin) total(ctx context.Context) (n int64, err error) {
	if !o.table {
		return 0, nil
	}
	err = o.conn.QueryRow(ctx, "select greatest(reltuples, 0)::bigint from pg_class where oid = to_regclass($1)", o.from).Scan(&n)
	return n, err
}

func (o *tableOrigin) run(ctx context.Context, after *batchEnd, emit func(*batch) error) error {
	cut := &cutter{binary: o.binary, width: len(o.columns), rows: o.rows, b: &batch{}, emit: emit}
	var list []string
	for _, c := range o.columns {
		list = append(list, c.source)
	}
	var order []string
	for _, k := range o.key {
		at := slices.Index(list, k)
		if at < 0 {
			at = len(list)
			list = append(list, k)
		}
		cut.keys = append(cut.keys, at)
		order = append(order, pgx.Identifier{k}.Sanitize())
	}
	sql := "select " + identifiers(list) + " from " + o.from
	if after != nil && after.Key != nil {
		if len(after.Key) != len(o.key) {
			return fmt.Errorf("the ledger has a key of %d columns and the source one of %d", len(after.Key), len(o.key))
		}
		var last []string
		for i, k := range o.key {
			last = append(last, literal(after.Key[i])+"::"+o.column(k).kind)
		}
		sql += " where (" + strings.Join(order, ", ") + ") > (" + strings.Join(last, ", ") + ")"
	}
	if o.key[0] != "ctid" {
		sql += " order by " + strings.Join(order, ", ")
	}
	if _, err := o.conn.PgConn().CopyTo(ctx, cut, "copy ("+sql+") to stdout (format "+o.format()+")"); err != nil {
		return fmt.Errorf("read the source: %w", o.src.masked(err))
	}
	return cut.flush()
}

func identifiers(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(out, ", ")
}

// keyText gives the text of a key. A database that has the types says it, which is the target where the format is binary.
func (o *tableOrigin) keyText(ctx context.Context, conn *pgx.Conn, b *batch, row int) ([]string, error) {
	fields := splitFields(b.about(row))
	if !o.binary {
		out := make([]string, len(fields))
		for i, f := range fields {
			out[i] = unescape(f)
		}
		return out, nil
	}
	var oids []uint32
	for _, k := range o.key {
		oids = append(oids, o.column(k).oid)
	}
	texts, err := textOf(ctx, conn, fields, oids)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = *t
	}
	return out, nil
}

// textOf turns values in the binary format of their types into text.
func textOf(ctx context.Context, conn *pgx.Conn, fields [][]byte, oids []uint32) ([]*string, error) {
	formats := make([]int16, len(fields))
	list := make([]string, len(fields))
	for i := range fields {
		formats[i] = pgtype.BinaryFormatCode
		list[i] = fmt.Sprintf("$%d", i+1) // its result is asked for as text
	}
	r := conn.PgConn().ExecParams(ctx, "select "+strings.Join(list, ", "), fields, oids, formats, nil).Read()
	if r.Err != nil || len(r.Rows) != 1 {
		return nil, fmt.Errorf("read a key: %w", r.Err)
	}
	out := make([]*string, len(fields))
	for i, v := range r.Rows[0] {
		if v != nil {
			s := string(v)
			out[i] = &s
		}
	}
	return out, nil
}

// rejected gives a row as a JSON object of texts.
func (o *tableOrigin) rejected(ctx context.Context, conn *pgx.Conn, b *batch, row int) (r rejection, err error) {
	key, err := o.keyText(ctx, conn, b, row)
	if err != nil {
		return r, err
	}
	var texts []*string
	if data := b.row(row); o.binary {
		cut := cutter{}
		if _, err := cut.tuple(data); err != nil {
			return r, err
		}
		var oids []uint32
		for _, c := range o.columns {
			oids = append(oids, c.oid)
		}
		if texts, err = textOf(ctx, conn, cut.fields, oids); err != nil {
			return r, err
		}
	} else {
		for _, f := range splitText(nil, data[:len(data)-1]) {
			var text *string
			if f != nil {
				s := unescape(f)
				text = &s
			}
			texts = append(texts, text)
		}
	}
	var raw strings.Builder
	for i, c := range o.columns {
		name, _ := json.Marshal(c.source)
		value, _ := json.Marshal(texts[i])
		fmt.Fprintf(&raw, "%c%s: %s", "{,"[min(i, 1)], name, value)
	}
	return rejection{position: keyPosition{key}, raw: raw.String() + "}"}, nil
}

// prove compares the rows of the source with those that the copy has in the target, bucket by bucket.
func (o *tableOrigin) prove(ctx context.Context, c *copying) (p Proof, err error) {
	rows, err := c.conn.Query(ctx, "select position->'key' from tartan_migrate.rejected where migration = $1 and step = $2", c.mig, c.ordinal)
	if err != nil {
		return p, err
	}
	rejected, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
	if err != nil {
		return p, err
	}
	source, target := Rowset{From: o.from + sourceAlias(o.table)}, Rowset{From: c.table + " as t", Where: c.ours()}
	for _, col := range o.columns {
		s := o.column(col.source)
		expr := pgx.Identifier{col.source}.Sanitize()
		if s.kind != col.kind && col.builtin { // both sides as the target writes it
			expr += "::text::" + col.kind
		}
		source.Columns = append(source.Columns, NamedColumn{col.name, expr})
		target.Columns = append(target.Columns, NamedColumn{col.name, pgx.Identifier{col.name}.Sanitize()})
	}
	source.Bucket, target.Bucket = o.bucket(source.Columns), o.bucket(target.Columns)
	if len(rejected) > 0 {
		source.Where = o.without(rejected)
	}
	have, want, err := compareSums(ctx, c.conn, target, o.conn, source)
	if err != nil {
		return p, o.src.masked(err)
	}
	c.content, c.bucket = have, target.Bucket
	p = Proof{Target: have.rows(), Source: want.rows() + int64(len(rejected)), Rejected: int64(len(rejected))}
	p.How = fmt.Sprintf("%d buckets: rows and the sum of the hashes of their text, in the source and in the table", len(want))
	if differ := have.differ(want); len(differ) > 0 {
		return p, fmt.Errorf("%w: %d rows of the source and %d in quarantine, %d in %s; %d of %d buckets differ, the first is %s", ErrUnproven,
			p.Source, p.Rejected, p.Target, c.table, len(differ), buckets, have.describe(want, differ[0]))
	}
	return p, nil
}

func sourceAlias(table bool) string {
	if table {
		return " as s"
	}
	return ""
}

// bucket divides rows by the key, where it is copied.
func (o *tableOrigin) bucket(columns []NamedColumn) string {
	var key []string
	for _, k := range o.key {
		i := slices.IndexFunc(o.columns, func(c copied) bool { return c.source == k })
		if i < 0 {
			return ""
		}
		key = append(key, columns[i].Expr)
	}
	return bucketOf(key, o.columns[slices.IndexFunc(o.columns, func(c copied) bool { return c.source == o.key[0] })].kind)
}

// without leaves the rows with these keys out.
func (o *tableOrigin) without(keys [][]string) string {
	var names, values []string
	for i, k := range o.key {
		names = append(names, fmt.Sprintf("s.%s = q.k%d", pgx.Identifier{k}.Sanitize(), i))
		list := make([]string, len(keys))
		for j, key := range keys {
			list[j] = literal(key[i])
		}
		values = append(values, "array["+strings.Join(list, ",")+"]::"+o.column(k).kind+"[]")
	}
	var as []string
	for i := range o.key {
		as = append(as, fmt.Sprintf("k%d", i))
	}
	return "not exists (select from unnest(" + strings.Join(values, ", ") + ") as q(" + strings.Join(as, ", ") + ") where " + strings.Join(names, " and ") + ")"
}
