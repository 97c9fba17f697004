package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
)

func sample(t *testing.T, format string) *migration.Plan {
	t.Helper()
	paths, err := filepath.Glob("../testdata/" + format + "/*.sql")
	require.NoError(t, err)
	var files []migration.File
	for _, p := range paths {
		text, err := os.ReadFile(p)
		require.NoError(t, err)
		files = append(files, migration.File{Name: filepath.Base(p), Text: string(text)})
	}
	p, err := migration.Parse(files)
	require.NoError(t, err)
	return p
}

func plan(t *testing.T, text string) *migration.Plan {
	t.Helper()
	p, err := migration.Parse([]migration.File{{Name: "p.sql", Text: "-- tartan:plan p\n" + text}})
	require.NoError(t, err)
	return p
}

func TestCompleteTakesNamesFromTheSQL(t *testing.T) {
	p := sample(t, "tartan")
	require.NoError(t, Complete(p))
	require.Equal(t, &migration.Backfill{Table: "shop.orders", Alias: "o", Columns: []string{"status"}, Rows: 5000, Pause: 50e6, PerSec: 20000}, p.Steps[1].Backfill)
	require.Equal(t, &migration.Index{Name: "orders_status", Table: "shop.orders"}, p.Steps[2].Index)
	require.True(t, p.Steps[2].NoTransaction)
	require.Equal(t, &migration.Validate{Table: "shop.orders", Constraint: "orders_status_set"}, p.Steps[4].Validate)
	require.Equal(t, &migration.DualWrite{Table: "shop.orders", Trigger: "orders_sync"}, p.Steps[5].DualWrite)
	require.Equal(t, &migration.Drop{Table: "shop.orders", Columns: []string{"paid"}}, p.Steps[8].Drop)
	require.Empty(t, p.Steps[8].Destroys)
	again := *p
	require.NoError(t, Complete(&again))
	require.Equal(t, *p, again)
}

func TestFoldersOfOtherToolsComplete(t *testing.T) {
	for _, format := range []string{"goose", "golang-migrate", "supabase", "flyway", "sql"} {
		p := sample(t, format)
		require.NoError(t, Complete(p), format)
		if format == "goose" {
			require.True(t, p.Steps[1].NoTransaction)
		}
	}
}

func TestWhatIsDestroyed(t *testing.T) {
	type drops = []migration.Drop
	for sql, want := range map[string]drops{
		"alter table a add column x int; update a set x = 1":                        nil,
		"create table a (x int); update a set x = 1; drop table a":                  nil,
		`update "A" set x = 1, "Y" = 2 where z; update "A" set x = 3`:               {{Table: `"A"`, Columns: []string{"x", "Y"}}},
		"delete from s.a; update s.a set x = 1":                                     {{Table: "s.a"}},
		"alter table a alter column x type bigint, drop column if exists y":         {{Table: "a", Columns: []string{"x", "y"}}},
		"drop table if exists a, s.b cascade":                                       {{Table: "a", IfExists: true}, {Table: "s.b", IfExists: true}},
		"truncate a, only b":                                                        {{Table: "a"}, {Table: "b"}},
		"with gone as (delete from a returning *) insert into b select * from gone": {{Table: "a"}},
		"insert into a values (1) on conflict (x) do update set y = 2":              {{Table: "a", Columns: []string{"y"}}},
		"insert into a values (1) on conflict do nothing":                           nil,
		"merge into a using b on a.x = b.x when matched then delete":                {{Table: "a"}},
		"alter table a rename to b; update b set x = 1":                             {{Table: "a", Columns: []string{"x"}}},
		"alter table a rename column x to z; update a set z = 1":                    {{Table: "a", Columns: []string{"x"}}},
		"alter table a set schema s; drop table s.a":                                {{Table: "a"}},
		"create table a as select 1 as x; delete from a; drop view v; drop index i": nil,
		"select 1; alter view v alter column x set default 1":                       nil,
	} {
		p := plan(t, "-- tartan:step s\n"+sql+";")
		require.NoError(t, Complete(p), sql)
		require.ElementsMatch(t, want, p.Steps[0].Destroys, sql)
	}
	p := plan(t, "-- tartan:step s [drop]\ndrop table a, b;")
	require.NoError(t, Complete(p))
	require.Equal(t, &migration.Drop{Table: "a"}, p.Steps[0].Drop)
	require.Equal(t, drops{{Table: "b"}}, p.Steps[0].Destroys)
}

func TestCompleteRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"-- tartan:step s\nselect\n  1 +;":                                      "p.sql:3: syntax error at end of input",
		"-- tartan:step s\nselect 1\n + );":                                     "p.sql:4: syntax error",
		"-- tartan:step s\nbegin; select 1; commit;":                            "p.sql:3: the step is a transaction as it is",
		"-- tartan:step s\nselect 1; vacuum t;":                                 "p.sql:3: this statement cannot be in a transaction with the others",
		"-- tartan:step s [index]\ncreate index i on t (a);":                    "write CREATE INDEX CONCURRENTLY",
		"-- tartan:step s [index]\ncreate index concurrently on t (a);":         "the index needs a name",
		"-- tartan:step s [index]\nselect 1;":                                   "this is no CREATE INDEX",
		"-- tartan:step s [validate]\nselect 1;":                                "VALIDATE CONSTRAINT",
		"-- tartan:step s [dual-write]\nselect 1;":                              "makes no trigger",
		"-- tartan:step s [backfill]\ndelete from t where :batch;":              "this is no UPDATE",
		"-- tartan:step s [backfill table=u]\nupdate t set a = 1 where :batch;": "the step says table=u, and the UPDATE is of t",
		"-- tartan:check c\ndelete from t;\n-- tartan:step s\nselect 1;":        `"c" is no SELECT`,
		"-- tartan:step s\nselect 1;\n-- tartan:verify\ndelete from t;":         "an assertion is a SELECT",
	} {
		err := Complete(plan(t, text))
		require.ErrorContains(t, err, want, text)
		var s *migration.SyntaxError
		require.ErrorAs(t, err, &s)
		require.True(t, strings.HasPrefix(err.Error(), "p.sql:"), err)
	}
}
