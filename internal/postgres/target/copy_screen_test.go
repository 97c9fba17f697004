package target

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
)

// A trigger that does nothing keeps a table from being screened, so that its batches are sifted row by row: that is the oracle.
func TestScreeningFindsTheBadRowsThatSiftingFinds(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	const table = `create domain percent as int check (value between 0 and 100); create type mood as enum ('good', 'bad');
create table owners (id int, part int, primary key (id, part)); insert into owners select g, g % 3 from generate_series(1, 40) g;
create table d (id int primary key, code text unique, owner int, part int, share percent, mood mood, price numeric(6,2) check (price >= 0), name varchar(8) not null, at timestamptz,
  doubled numeric generated always as (price * 2) stored, serial bigint generated always as identity, foreign key (owner, part) references owners);
insert into d (id, code, name) values (-1, 'taken', 'first');`
	var text bytes.Buffer
	text.WriteString("id,code,owner,part,share,mood,price,name,at\n")
	const rows = 4000
	for i := range rows {
		owner := 1 + rng.IntN(40)
		f := []string{fmt.Sprint(i), fmt.Sprintf("c%d", i), fmt.Sprint(owner), fmt.Sprint(owner % 3), fmt.Sprint(rng.IntN(101)), "good", fmt.Sprint(rng.IntN(999)), "n\\t", "2026-01-02 03:04:05+00"}
		for rng.IntN(40) == 0 { // a row may be bad in more than one way
			switch rng.IntN(14) {
			case 0:
				f[0] = fmt.Sprint(rng.IntN(rows)) // there before it, or behind
			case 1:
				f[0] = "-1"
			case 2:
				f[1] = fmt.Sprintf("c%d", rng.IntN(rows))
			case 3:
				f[1] = "taken"
			case 4:
				f[3] = "7"
			case 5:
				f[2] = "" // no owner, which is allowed
			case 6:
				f[4] = "101"
			case 7:
				f[5] = "sad"
			case 8:
				f[6] = "-1"
			case 9:
				f[6] = "99999"
			case 10:
				f[7] = ""
			case 11:
				f[7] = "too long a name"
			case 12:
				f[8] = "2026-02-30"
			case 13:
				f[0] = ""
			}
		}
		text.WriteString(strings.Join(f, ",") + "\n")
	}
	var found [][]string
	for _, how := range []string{"", "create function nothing() returns trigger language plpgsql as 'begin return new; end'; create trigger nothing before insert on d for each row execute function nothing()"} {
		w := newImport(t, "", table+how, migration.Copy{From: "f", Format: "csv", Table: "d", Rows: 700})
		w.files["f"] = text.String()
		w.plan.Settings.MaxRejected = rows
		w.mustCopy()
		found = append(found, w.texts(w.to, "select concat_ws(' ', position->>'line', sqlstate, raw, regexp_replace(reason, '(Failing row contains .*), \\d+\\)', '\\1)')) from tartan_migrate.rejected order by (position->>'line')::int"))
		p := w.proof()
		require.EqualValues(t, rows, p.Source)
		require.Equal(t, p.Source, p.Target+p.Rejected)
		require.EqualValues(t, len(found[len(found)-1]), p.Rejected)
	}
	require.NotEmpty(t, found[0])
	require.Equal(t, found[1], found[0])
}

func TestABatchIsScreenedOnlyWhereThatIsSure(t *testing.T) {
	t.Parallel()
	// The third row has the second one's key, which is refused for another; the last one has no parent in the table itself.
	w := newImport(t, "", "create table d (a int unique, b int unique, parent int references d (a))", migration.Copy{From: "f", Format: "jsonl", Table: "d"})
	w.files["f"] = "{\"a\":1,\"b\":1,\"parent\":null}\n{\"a\":2,\"b\":1}\n{\"a\":2,\"b\":3}\n{\"a\":4,\"b\":4,\"parent\":1}\n{\"a\":5,\"b\":5,\"parent\":9}\n"
	w.plan.Settings.MaxRejected = 2
	w.mustCopy()
	require.Equal(t, []string{"2 23505", "5 23503"}, w.texts(w.to, "select (position->>'line') || ' ' || sqlstate from tartan_migrate.rejected order by 1"))
	require.Equal(t, []string{"1", "2", "4"}, w.texts(w.to, "select a::text from d order by a"))
}
