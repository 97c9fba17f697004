package migration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScan(t *testing.T) {
	for text, want := range map[string][]string{
		"select 1; select 2":                           {"select 1", "select 2"},
		";;select 1;;":                                 {"select 1"},
		"select ';' -- ;\n, 2;":                        {"select ';' -- ;\n, 2"},
		`select e'a\';b', ';' ; x`:                     {`select e'a\';b', ';' `, "x"},
		"select e'a'\n '\\';';b":                       {"select e'a'\n '\\';'", "b"},
		`select 'a\'; b`:                               {`select 'a\'`, "b"},
		`select U&"d;\0061", n'x;', b'1;'`:             {`select U&"d;\0061", n'x;', b'1;'`},
		"select $$;$$, $a$ $$;$b$ $a$; b":              {"select $$;$$, $a$ $$;$b$ $a$", "b"},
		"select a$b$c; select $1; b":                   {"select a$b$c", "select $1", "b"},
		"/* ; /* ; */ ; */ select 1;":                  {"select 1"},
		"create rule r as on insert to t do (a; b); c": {"create rule r as on insert to t do (a; b)", "c"},
		"create table begin_t (atomic int); b":         {"create table begin_t (atomic int)", "b"},
		"begin; select 1; end; b":                      {"begin", "select 1", "end", "b"},
		"create function f() begin atomic; a; end; b":  {"create function f() begin atomic; a; end", "b"},
		`create function f(a int) returns int begin atomic select case when a > 0 then 1 end; end; b`: {`create function f(a int) returns int begin atomic select case when a > 0 then 1 end; end`, "b"},
	} {
		pieces, err := Scan(text)
		require.NoError(t, err, text)
		var got []string
		whole := ""
		for _, p := range pieces {
			require.Equal(t, len(whole), p.Offset, text)
			require.Equal(t, 1+strings.Count(whole, "\n"), p.Line, text)
			whole += p.Text
			if p.Statement {
				got = append(got, p.Text)
			}
		}
		require.Equal(t, text, whole)
		require.Equal(t, want, got, text)
	}
}
