// Package lint looks into the SQL of a plan with Postgres' own parser: it finds what is dangerous and how it is done safely, says
// which locks a statement takes and how long it may hold them, and gives the engine the names that it needs. The parser takes
// 150 MB; a process that must stay small lints in a process of its own.
package lint

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/wasilibs/go-pgquery"

	"github.com/tartan-ai/tartan/internal/migration"
)

// parsed is one statement as the parser sees it.
type parsed struct {
	node *pg.Node
	sql  string
	migration.Statement
}

// batch is the word of a backfill that stands for a condition; of the same length, so that positions stay.
const batch, condition = ":batch", "(true)"

// parse parses one statement. The error is a migration.SyntaxError.
func parse(s migration.Statement) (parsed, error) {
	sql := strings.ReplaceAll(s.SQL, batch, condition)
	if !utf8.ValidString(sql) || strings.ContainsRune(sql, 0) {
		return parsed{}, &migration.SyntaxError{File: s.File, Line: s.Line, Message: "the statement is no text in UTF-8"}
	}
	tree, err := pg_query.Parse(sql)
	if err != nil {
		return parsed{}, syntaxError(s, sql, err)
	}
	if len(tree.Stmts) != 1 {
		return parsed{}, &migration.SyntaxError{File: s.File, Line: s.Line, Message: "one statement was expected here"}
	}
	return parsed{tree.Stmts[0].Stmt, sql, s}, nil
}

var near = regexp.MustCompile(`at or near "((?s).*)"$`)

// syntaxError places an error of the parser, which tells the token and not its line.
func syntaxError(s migration.Statement, sql string, err error) error {
	line := s.Line
	if m := near.FindStringSubmatch(err.Error()); m != nil {
		if first := strings.Index(sql, m[1]); first >= 0 && first == strings.LastIndex(sql, m[1]) {
			line += strings.Count(sql[:first], "\n")
		}
	}
	return &migration.SyntaxError{File: s.File, Line: line, Message: err.Error()}
}

// parseAll parses the statements of a step.
func parseAll(list []migration.Statement) (out []parsed, err error) {
	var all []error
	for _, s := range list {
		p, err := parse(s)
		if err != nil {
			all = append(all, err)
			continue
		}
		out = append(out, p)
	}
	return out, errors.Join(all...)
}

// lineAt returns the line of a position in the statement.
func (p parsed) lineAt(offset int32) int {
	if offset <= 0 || int(offset) > len(p.sql) {
		return p.Line
	}
	return p.Line + strings.Count(p.sql[:offset], "\n")
}

// relation writes the name of a relation as SQL has it.
func relation(r *pg.RangeVar) string {
	if r.GetSchemaname() != "" {
		return ident(r.Schemaname) + "." + ident(r.Relname)
	}
	return ident(r.GetRelname())
}

var plain = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// ident quotes a name where it has to be.
func ident(name string) string {
	if plain.MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// names returns the parts of a qualified name.
func names(list []*pg.Node) (out []string) {
	for _, n := range list {
		switch {
		case n.GetString_() != nil:
			out = append(out, n.GetString_().Sval)
		case n.GetList() != nil:
			out = append(out, names(n.GetList().Items)...)
		case n.GetTypeName() != nil:
			out = append(out, names(n.GetTypeName().Names)...)
		}
	}
	return out
}

func qualified(parts []string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = ident(p)
	}
	return strings.Join(out, ".")
}

func last(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return parts[len(parts)-1]
}

// actions returns those of an ALTER TABLE with the relation; none where the statement is another one, or alters no table.
func actions(n *pg.Node) (*pg.RangeVar, []*pg.AlterTableCmd) {
	a := n.GetAlterTableStmt()
	if a == nil {
		return nil, nil
	}
	out := make([]*pg.AlterTableCmd, 0, len(a.Cmds))
	for _, c := range a.Cmds {
		out = append(out, c.GetAlterTableCmd())
	}
	return a.Relation, out
}
