package target

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// buckets is into how many parts the rows of a table are divided for a comparison.
const buckets = 256

// Rowset is what is summed: some columns of a table or query.
type Rowset struct {
	From    string        // as it stands behind "from"
	Where   string        // empty: all rows
	Columns []NamedColumn // the text of a row is theirs, by name, so that the order of the columns does not matter
	Bucket  string        // an integer expression that divides rows into buckets; empty: by the row's own hash
}

// NamedColumn is an expression under a name.
type NamedColumn struct{ Name, Expr string }

// Bucket is the checksum of a part of the rows: how many, and the sum of the hashes of their text.
type Bucket struct {
	Rows int64  `json:"rows"`
	Sum  string `json:"sum"`
}

// Sums are the checksums of a Rowset by bucket. Buckets without rows are absent.
type Sums map[int]Bucket

func (s Sums) rows() (n int64) {
	for _, b := range s {
		n += b.Rows
	}
	return n
}

// differ returns the buckets that are not alike.
func (s Sums) differ(want Sums) (out []int) {
	for n := range buckets {
		if s[n] != want[n] {
			out = append(out, n)
		}
	}
	return out
}

func (s Sums) describe(want Sums, n int) string {
	if s[n].Rows == want[n].Rows {
		return fmt.Sprintf("bucket %d, of %d rows each with other content", n, s[n].Rows)
	}
	return fmt.Sprintf("bucket %d, of %d rows instead of %d", n, s[n].Rows, want[n].Rows)
}

// sum reads the checksums. The session's settings must be canonical.
func sum(ctx context.Context, q querier, r Rowset) (Sums, error) {
	columns := slices.SortedFunc(slices.Values(r.Columns), func(a, b NamedColumn) int { return cmp.Compare(a.Name, b.Name) })
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Expr
	}
	// record_out would quote every value, which takes as long as everything else. The two control characters are in no text but by malice.
	for i := range list {
		list[i] = "coalesce((" + list[i] + ")::text, E'\\x1e')"
	}
	h := "hashtextextended(concat_ws(E'\\x1f', " + strings.Join(list, ", ") + "), 0)"
	inner := "select " + h + " as h, " + r.Bucket + " as b from " + r.From + where(r.Where)
	if r.Bucket == "" {
		inner = "select h, h as b from (select " + h + " as h from " + r.From + where(r.Where) + ") x"
	}
	rows, err := q.Query(ctx, fmt.Sprintf("select (b & %d)::int, count(*), sum(h)::text from (%s) x group by 1", buckets-1, inner))
	if err != nil {
		return nil, fmt.Errorf("sum %s: %w", r.From, err)
	}
	out := Sums{}
	var n int
	var k Bucket
	_, err = pgx.ForEachRow(rows, []any{&n, &k.Rows, &k.Sum}, func() error { out[n] = k; return nil })
	if err != nil {
		return nil, fmt.Errorf("sum %s: %w", r.From, err)
	}
	return out, nil
}

func where(condition string) string {
	if condition == "" {
		return ""
	}
	return " where " + condition
}

// bucketOf divides rows by their key. Of a single whole number its last bits are enough.
func bucketOf(key []string, kind string) string {
	if len(key) == 1 && (kind == "bigint" || kind == "integer" || kind == "smallint") {
		return key[0]
	}
	for i := range key {
		key[i] = "(" + key[i] + ")::text"
	}
	if len(key) == 0 {
		return ""
	}
	return "hashtextextended(concat_ws(E'\\x1f', " + strings.Join(key, ", ") + "), 0)"
}

// compareSums sums on both sides at once.
func compareSums(ctx context.Context, one *pgx.Conn, a Rowset, other *pgx.Conn, b Rowset) (x, y Sums, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { x, err = sum(ctx, one, a); return err })
	group.Go(func() (err error) { y, err = sum(ctx, other, b); return err })
	return x, y, group.Wait()
}
