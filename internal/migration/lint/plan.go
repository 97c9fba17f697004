package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/tartan-ai/tartan/internal/migration"
)

// plan looks at what only a plan has: phases, and ways back.
func (l *linter) plan(p *migration.Plan) {
	for i := range p.Steps {
		s := &p.Steps[i]
		if why := irreversible(s, l.of(s)); why != "" {
			r := ruleOf("irreversible-step")
			f := Finding{Rule: r.Name, Severity: r.Severity, Step: s.Name, Message: fmt.Sprintf("step %q has no way back: %s", s.Name, why), Why: r.Why, Safe: r.Safe, Docs: docs + "#" + r.Name}
			switch {
			case s.Irreversible:
				f.Severity = Info
			case p.Format != migration.FormatTartan:
				f.Severity = Warning // other tools ask for no way back, and their folders run as they are
			}
			if len(s.Up) > 0 {
				f.File, f.Line = s.Up[0].File, s.Up[0].Line
			}
			l.findings = append(l.findings, f)
		}
	}
}

// irreversible says why a step cannot be undone exactly; "" where it can: by its down, or from the catalogue and the archive.
func irreversible(s *migration.Step, up []parsed) string {
	if len(s.Down) > 0 {
		return ""
	}
	switch s.Kind {
	case migration.KindBackfill, migration.KindCopy, migration.KindIndex, migration.KindValidate:
		return ""
	}
	for _, st := range up {
		if why := noWayBack(st.node); why != "" {
			return fmt.Sprintf("line %d: %s", st.Line, why)
		}
	}
	return ""
}

func noWayBack(n *pg.Node) string {
	switch {
	case n.GetDoStmt() != nil, n.GetCallStmt() != nil:
		return "what its code does is not known"
	case n.GetInsertStmt() != nil:
		return "the rows that it inserts are not known afterwards"
	case n.GetSelectStmt() != nil:
		if calls(n) {
			return "what its functions do is not known"
		}
		return ""
	case n.GetDropStmt() != nil:
		d := n.GetDropStmt()
		if d.RemoveType == pg.ObjectType_OBJECT_SCHEMA && d.Behavior == pg.DropBehavior_DROP_CASCADE {
			return "what is in the schema goes with it, and is not named"
		}
		if d.Behavior == pg.DropBehavior_DROP_CASCADE && slices.Contains([]pg.ObjectType{pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN, pg.ObjectType_OBJECT_EXTENSION}, d.RemoveType) {
			return "columns that use it go with it, and are not named"
		}
		if d.RemoveType == pg.ObjectType_OBJECT_EXTENSION {
			return "what is in the extension goes with it"
		}
	case n.GetTruncateStmt().GetBehavior() == pg.DropBehavior_DROP_CASCADE:
		return "tables that it empties are not named"
	case n.GetDropdbStmt() != nil, n.GetCreatedbStmt() != nil, n.GetDropRoleStmt() != nil, n.GetCreateRoleStmt() != nil, n.GetAlterRoleStmt() != nil,
		n.GetAlterSystemStmt() != nil, n.GetDropTableSpaceStmt() != nil, n.GetDropOwnedStmt() != nil, n.GetAlterDatabaseStmt() != nil, n.GetAlterDatabaseSetStmt() != nil,
		n.GetGrantRoleStmt() != nil:
		return "it changes the server, not the schema"
	case n.GetAlterEnumStmt() != nil && n.GetAlterEnumStmt().OldVal == "":
		return "a value of an enum cannot be taken away"
	case n.GetCopyStmt() != nil:
		return "use a step of kind copy"
	}
	return ""
}

func calls(n *pg.Node) bool {
	found := false
	walk(n.ProtoReflect(), func(m any) {
		f, ok := m.(*pg.FuncCall)
		found = found || ok && !harmless[last(names(f.Funcname))]
	})
	return found
}

// harmless are functions that a SELECT among statements calls and that leave nothing behind.
var harmless = set("set_config", "count", "now", "coalesce", "pg_sleep", "to_regclass", "max", "min", "sum", "exists")

func dropOutsideContract(l *linter, r rule) {
	if !l.phases {
		return
	}
	dropsData := func(it item) string {
		if d := it.node.GetDropStmt(); d.GetRemoveType() == pg.ObjectType_OBJECT_TABLE {
			return "table " + objects(d)
		}
		rel, cmds := actions(it.node)
		for _, c := range cmds {
			if c.Subtype == pg.AlterTableType_AT_DropColumn {
				return "column " + c.Name + " of " + relation(rel)
			}
		}
		return ""
	}
	for _, it := range l.items {
		if it.node == nil || it.contract() {
			continue
		}
		if what := dropsData(it); what != "" {
			l.report(r, it, 0, what+" is dropped before approval and soak", "")
		}
	}
}

var ignoreMark = regexp.MustCompile(`^(?:--|/\*)\s*(squawk-ignore-file|squawk-ignore|tartan:allow)\b([^*]*)`)

// permit is a comment that lets findings pass.
type permit struct {
	file  string
	line  int      // that it speaks of; 0 is the whole file
	rules []string // none: all
}

// allowed leaves out what comments of the files let pass. Words that are no rules are found themselves.
func (l *linter) allowed(files []migration.File) []Finding {
	var permits []permit
	for _, f := range files {
		pieces, _ := migration.Scan(f.Text)
		for i, p := range pieces {
			for _, c := range p.Comments {
				permits = append(permits, l.permit(f, pieces, i, c)...)
			}
		}
	}
	out := slices.DeleteFunc(slices.Clone(l.findings), func(f Finding) bool {
		return slices.ContainsFunc(permits, func(p permit) bool {
			return p.file == f.File && (p.line == 0 || p.line == f.Line) && (len(p.rules) == 0 || slices.Contains(p.rules, f.Rule))
		})
	})
	slices.SortStableFunc(out, func(a, b Finding) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return out
}

// permit reads a comment. It speaks of its own line where something stands before it; else of the line after it, and, where that
// begins a statement, of all of the statement.
func (l *linter) permit(f migration.File, pieces []migration.Piece, at int, c migration.Comment) (out []permit) {
	m := ignoreMark.FindStringSubmatch(c.Text)
	if m == nil {
		return nil
	}
	said := strings.SplitN(m[2], "--", 2)[0]
	words := strings.FieldsFunc(said, func(r rune) bool { return r == ',' || m[1] == "tartan:allow" && (r == ' ' || r == '\t') })
	var rules []string
	for i, w := range words {
		if w = strings.TrimSpace(w); w == "" {
			continue
		}
		known := slices.Contains(rulesAndAliases(), w)
		if m[1] == "tartan:allow" && i > 0 && !known {
			break // the reason follows
		}
		if !known {
			l.findings = append(l.findings, Finding{Rule: "unused-ignore", Severity: Info, File: f.Name, Line: c.Line, Message: fmt.Sprintf("%q is no rule", w), Why: "A comment that lets nothing pass was meant for something else.", Docs: docs + "#unused-ignore"})
			continue
		}
		rules = append(rules, aliasesOf(w)...)
	}
	if strings.TrimSpace(said) != "" && len(rules) == 0 {
		return nil
	}
	if m[1] == "squawk-ignore-file" {
		return []permit{{f.Name, 0, rules}}
	}
	line := c.Line
	if c.First {
		line += 1 + strings.Count(c.Text, "\n")
	}
	out = append(out, permit{f.Name, line, rules})
	if c.First && !pieces[at].Statement && at+1 < len(pieces) && pieces[at+1].Statement {
		next := pieces[at+1]
		for n := next.Line; n <= next.Line+strings.Count(next.Text, "\n"); n++ {
			out = append(out, permit{f.Name, n, rules})
		}
	}
	return out
}

func rulesAndAliases() []string {
	out := []string{"prefer-timestamptz", "require-timeout-settings", "prefer-repack", "unused-ignore"}
	for _, r := range rules {
		out = append(out, r.Name)
	}
	return out
}

// aliasesOf are the names under which squawk knows a rule too.
func aliasesOf(name string) []string {
	switch name {
	case "prefer-timestamptz":
		return []string{"prefer-timestamp-tz"}
	case "require-timeout-settings":
		return []string{"require-lock-timeout", "require-statement-timeout"}
	}
	return []string{name}
}
