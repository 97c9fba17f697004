package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// screenPart is how many rows go to the screen at once. A part is sent again for each row in it that is refused.
const screenPart = 250

// mostUnsure is after how many batches that screening was no help with it is given up.
const mostUnsure = 3

// errUnsure says that screening did not find the bad rows of a batch exactly.
var errUnsure = errors.New("the bad rows of the batch are not sure")

// screen is a temporary table with the columns and checks of the one that is copied into, and no indexes. Rows that are refused for what is
// in them alone are found by it quickly; foreign keys and unique indexes are looked up for all the rest at once.
type screen struct {
	relation string   // the table's bare name
	into     string   // the COPY statement
	finds    []string // DELETEs that return the numbers of rows that a foreign key or a unique index refuses
}

const screenTable = "pg_temp.tartan_screen"

// newScreen makes the screen, or returns nil where rows may be refused for more than it can tell.
func (c *copying) newScreen(ctx context.Context) (*screen, error) {
	if c.from.format() != "text" {
		return nil, nil
	}
	s := &screen{}
	var plain bool
	err := c.conn.QueryRow(ctx, `select c.relname, c.relkind = 'r' and not c.relrowsecurity and not exists (select from pg_trigger where tgrelid = c.oid and not tgisinternal)
and not exists (select from pg_rewrite where ev_class = c.oid) and has_database_privilege(current_database(), 'temporary') from pg_class c where c.oid = $1`, c.oid).Scan(&s.relation, &plain)
	if err != nil || !plain {
		return nil, err
	}
	quoted := make([]string, len(c.columns))
	for i, col := range c.columns {
		quoted[i] = pgx.Identifier{col.name}.Sanitize()
	}
	s.into = fmt.Sprintf("copy %s (%s, tartan_row) from stdin", screenTable, strings.Join(quoted, ", "))
	create := "drop table if exists " + screenTable + "; create temp table tartan_screen (like " + c.table +
		" including defaults including generated including identity including constraints, tartan_row int)"
	if _, err := c.conn.Exec(ctx, create); err != nil {
		return nil, err
	}
	rows, err := c.conn.Query(ctx, `select f.confrelid::regclass::text as parent, array_agg(quote_ident(a.attname) order by k.n), array_agg(quote_ident(p.attname) order by k.n), true
from pg_constraint f, unnest(f.conkey, f.confkey) with ordinality k(child, parent, n), pg_attribute a, pg_attribute p
where f.conrelid = $1 and f.contype = 'f' and f.confrelid <> f.conrelid and f.confmatchtype = 's' and a.attrelid = f.conrelid and a.attnum = k.child
  and p.attrelid = f.confrelid and p.attnum = k.parent group by f.oid
union all
select i.indexrelid::regclass::text, array_agg(quote_ident(a.attname) order by k.n), '{}', false
from pg_index i, unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality k(child, n), pg_attribute a
where i.indrelid = $1 and i.indisunique and i.indisready and i.indpred is null and i.indexprs is null and a.attrelid = i.indrelid and a.attnum = k.child group by i.indexrelid`, c.oid)
	if err != nil {
		return nil, err
	}
	var parent string
	var child, key []string
	var foreign bool
	var missing, there, twice []string
	_, err = pgx.ForEachRow(rows, []any{&parent, &child, &key, &foreign}, func() error {
		var given, same []string
		for i, col := range child {
			given = append(given, "r."+col+" is not null")
			if foreign {
				same = append(same, "o."+key[i]+" = r."+col)
			} else {
				same = append(same, "o."+col+" = r."+col)
			}
		}
		others := c.table
		if foreign {
			others = parent
		}
		find := fmt.Sprintf("delete from %s r where %s and %%s exists (select from %s o where %s) returning r.tartan_row", screenTable, strings.Join(given, " and "), others, strings.Join(same, " and "))
		if foreign {
			missing = append(missing, fmt.Sprintf(find, "not"))
			return nil
		}
		there = append(there, fmt.Sprintf(find, ""))
		twice = append(twice, fmt.Sprintf("delete from %s d using (select tartan_row, row_number() over (partition by %s order by tartan_row) as n from %s r where %s) r where d.tartan_row = r.tartan_row and r.n > 1 returning d.tartan_row",
			screenTable, strings.Join(child, ", "), screenTable, strings.Join(given, " and ")))
		return nil
	})
	s.finds = slices.Concat(missing, there, twice) // a row is a second one only to one that is good
	return s, err
}

// fault turns an error of the screen into one of the table.
func (s *screen) fault(err *pgconn.PgError, row int) *pgconn.PgError {
	out := *err
	out.Message = strings.ReplaceAll(err.Message, `relation "tartan_screen"`, `relation "`+s.relation+`"`)
	if rest, ok := strings.CutSuffix(err.Detail, fmt.Sprintf(", %d).", row)); ok {
		out.Detail = rest + ")."
	}
	return &out
}

// screened commits a batch without its bad rows, where these can be found quickly, and returns it as it is then. errUnsure says that
// they could not, and that nothing was done.
func (c *copying) screened(ctx context.Context, whole *batch) (*batch, error) {
	b, err := c.clean(ctx, whole)
	if err == nil {
		err = c.commit(ctx, b)
	}
	var refused *pgconn.PgError
	switch {
	case err == nil:
		c.spoilt = len(b.bad) > len(whole.bad)
		return b, nil
	case errors.Is(err, errTooMany):
		return b, err
	case errors.As(err, &refused), errors.Is(err, errUnsure):
		c.spoilt = false
		if c.unsure++; c.unsure == mostUnsure {
			c.screen = nil
		}
		return whole, errUnsure
	}
	return whole, err
}

// clean makes a batch of the rows that the screen finds no fault with.
func (c *copying) clean(ctx context.Context, whole *batch) (_ *batch, err error) {
	if !c.screens {
		c.screens = true
		if c.screen, err = c.newScreen(ctx); err != nil {
			return nil, err
		}
	}
	if c.screen == nil {
		return nil, errUnsure
	}
	bad, err := c.refusedAlone(ctx, whole)
	if err != nil {
		return nil, err
	}
	suspect := map[int]bool{}
	for _, find := range c.screen.finds {
		rows, err := c.conn.Query(ctx, find)
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			return nil, err
		}
		for _, row := range found {
			suspect[row] = true
		}
	}
	b := whole.like()
	b.ordinal, b.end, b.aux, b.bad, b.whole = whole.ordinal, whole.end, whole.aux, slices.Clone(whole.bad), whole
	for i := range whole.ends {
		switch {
		case bad[i] != nil:
			if err := c.reject(ctx, whole, b, i, bad[i]); err != nil {
				return nil, err
			}
		case suspect[i]:
			b.suspects = append(b.suspects, i)
		default:
			b.data = append(b.data, whole.row(i)...)
			b.ends, b.places = append(b.ends, len(b.data)), append(b.places, whole.places[i])
		}
	}
	return b, nil
}

// refusedAlone fills the screen and returns the rows that it refuses.
func (c *copying) refusedAlone(ctx context.Context, b *batch) (map[int]*pgconn.PgError, error) {
	if _, err := c.conn.Exec(ctx, "truncate "+screenTable); err != nil {
		return nil, err
	}
	bad := map[int]*pgconn.PgError{}
	var data []byte
	var rows []int
	for lo := 0; lo < len(b.ends); {
		hi := min(lo+screenPart, len(b.ends))
		data, rows = data[:0], rows[:0]
		for i := lo; i < hi; i++ {
			if bad[i] == nil {
				row := b.row(i)
				data = append(append(data, row[:len(row)-1]...), '\t')
				data = append(strconv.AppendInt(data, int64(i), 10), '\n')
				rows = append(rows, i)
			}
		}
		if len(rows) == 0 {
			lo = hi
			continue
		}
		_, err := c.copyText(ctx, data, c.screen.into)
		if err == nil {
			lo = hi
			continue
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || !ofRow(err) {
			return nil, err
		}
		line, ok := lineOf(refused)
		if !ok || line < 1 || line > len(rows) || !ofItself(refused) {
			return nil, errUnsure
		}
		bad[rows[line-1]] = c.screen.fault(refused, rows[line-1])
	}
	return bad, nil
}

// try has the table itself refuse each suspect, beside the good rows of its batch, and tells its reason. One that is not refused makes all
// unsure: a row of the batch that stands behind it may have been taken in its place.
func (c *copying) try(ctx context.Context, tx pgx.Tx, b *batch) error {
	if len(b.suspects) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, "savepoint tartan_suspect"); err != nil {
		return err
	}
	refused := make([]*pgconn.PgError, len(b.suspects))
	for i, row := range b.suspects {
		_, err := c.copyText(ctx, b.whole.row(row), "rollback to savepoint tartan_suspect; "+c.into)
		if err == nil {
			return errUnsure
		}
		if !errors.As(err, &refused[i]) || !ofRow(err) {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "rollback to savepoint tartan_suspect"); err != nil {
		return err
	}
	for i, row := range b.suspects {
		if err := c.reject(ctx, b.whole, b, row, refused[i]); err != nil {
			return err
		}
	}
	b.suspects = nil
	return nil
}
