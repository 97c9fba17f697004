package lint

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/wasilibs/go-pgquery"

	"github.com/tartan-ai/tartan/internal/migration"
)

// FuzzScan holds the scanner against Postgres' own: the pieces are the whole text, and what the parser takes has as many
// statements as the scanner finds.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"select 1; select 2", ";;", "select ';' -- ;\n, 2;", `select e'a\';b', ';' ; select 1`, "select e'a'\n '\\';';", `select 'a\'; select 1`,
		"select $$;$$, $a$ $$;$b$ $a$;", "select $1; select 1", "/* ; /* ; */ ; */ select 1;", "create rule r as on insert to t do (select 1; select 2); select 1",
		"create function f() returns int begin atomic; select case when true then 1 end; end; select 1", `select U&"d;\0061" from a;`,
		"create or replace procedure p() begin atomic insert into a values (';'); end", "begin; end; commit", "select 1 /* */ ; -- x",
		"select 'a' 'b';", "select a$b$c from d; select 1", "create table x (begin int, \"end;\" int); select 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pieces, err := migration.Scan(text)
		if err != nil {
			return
		}
		var whole strings.Builder
		n := 0
		for _, p := range pieces {
			require.NotEmpty(t, p.Text)
			whole.WriteString(p.Text)
			if p.Statement {
				n++
			}
		}
		require.Equal(t, text, whole.String())
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || len(text) > 2000 {
			return
		}
		tree, err := pg_query.Parse(text)
		if err == nil {
			require.Len(t, tree.Stmts, n, "%q", text)
		}
	})
}
