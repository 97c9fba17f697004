package target

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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
	Key     []string      // expressions that divide rows into buckets; none: by the row's own hash
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
	h, b := "hashtextextended(row("+strings.Join(list, ", ")+")::text, 0)", "h"
	if len(r.Key) > 0 {
		b = "hashtextextended(row(" + strings.Join(r.Key, ", ") + ")::text, 0)"
		if len(r.Key) == 1 {
			b = "hashtextextended((" + r.Key[0] + ")::text, 0)"
		}
	}
	where := ""
	if r.Where != "" {
		where = " where " + r.Where
	}
	inner := "select " + h + " as h, " + b + " as b from " + r.From + where
	if b == "h" {
		inner = "select h, h as b from (select " + h + " as h from " + r.From + where + ") x"
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

// compareSums sums on both sides at once.
func compareSums(ctx context.Context, one *pgx.Conn, a Rowset, other *pgx.Conn, b Rowset) (x, y Sums, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { x, err = sum(ctx, one, a); return err })
	group.Go(func() (err error) { y, err = sum(ctx, other, b); return err })
	return x, y, group.Wait()
}

// contentOf sums columns of a table of the target.
func contentOf(ctx context.Context, q querier, table string, columns []string) (Sums, error) {
	r := Rowset{From: table + " as t"}
	for _, name := range slices.Sorted(maps.Keys(setOf(columns))) {
		r.Columns = append(r.Columns, NamedColumn{name, "t." + pgx.Identifier{name}.Sanitize()})
	}
	return sum(ctx, q, r)
}

func setOf(names []string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}
