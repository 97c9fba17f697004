package lint

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/wasilibs/go-pgquery"

	"github.com/tartan-ai/tartan/internal/migration"
)

func alterDomain(l *linter, r rule) {
	for _, it := range l.items {
		if d := it.node.GetAlterDomainStmt(); d.GetSubtype() == "C" {
			l.report(r, it, 0, "a constraint is added to domain "+qualified(names(d.TypeName)), "Put the CHECK on the columns, NOT VALID first.")
		}
	}
}

func createDomain(l *linter, r rule) {
	for _, it := range l.items {
		d := it.node.GetCreateDomainStmt()
		if slices.ContainsFunc(d.GetConstraints(), func(n *pg.Node) bool {
			return n.GetConstraint() != nil && n.GetConstraint().Contype != pg.ConstrType_CONSTR_DEFAULT
		}) {
			l.report(r, it, 0, "domain "+qualified(names(d.Domainname))+" has a constraint", "")
		}
	}
}

func dropDatabase(l *linter, r rule) {
	for _, it := range l.items {
		if d := it.node.GetDropdbStmt(); d != nil {
			l.report(r, it, 0, "database "+d.Dbname+" is dropped", "")
		}
	}
}

func (l *linter) drops(kind pg.ObjectType, do func(it item, d *pg.DropStmt)) {
	for _, it := range l.items {
		if d := it.node.GetDropStmt(); d.GetRemoveType() == kind {
			do(it, d)
		}
	}
}

func dropTable(l *linter, r rule) {
	l.drops(pg.ObjectType_OBJECT_TABLE, func(it item, d *pg.DropStmt) {
		if !it.contract() {
			l.report(r, it, 0, "table "+objects(d)+" is dropped", "")
		}
	})
}

func objects(d *pg.DropStmt) string {
	var out []string
	for _, o := range d.Objects {
		out = append(out, qualified(names([]*pg.Node{o})))
	}
	return strings.Join(out, ", ")
}

func indexDeletion(l *linter, r rule) {
	l.drops(pg.ObjectType_OBJECT_INDEX, func(it item, d *pg.DropStmt) {
		if !d.Concurrent {
			l.report(r, it, 0, "index "+objects(d)+" is dropped under lock", "drop index concurrently "+objects(d)+";")
		}
	})
}

func truncateCascade(l *linter, r rule) {
	for _, it := range l.items {
		if it.node.GetTruncateStmt().GetBehavior() == pg.DropBehavior_DROP_CASCADE {
			l.report(r, it, 0, "TRUNCATE goes on to tables that are not named", "")
		}
	}
}

func indexCreation(l *linter, r rule) {
	made := l.created()
	for _, it := range l.items {
		if ix := it.node.GetIndexStmt(); ix != nil && !ix.Concurrent && !made[ix.Relation.Relname] {
			safe := strings.Replace(strings.Replace(it.SQL, "INDEX", "INDEX CONCURRENTLY", 1), "index", "index concurrently", 1)
			l.report(r, it, 0, fmt.Sprintf("index %s is built while writes to %s wait", ix.Idxname, relation(ix.Relation)), safe+";")
		}
	}
}

func reindex(l *linter, r rule) {
	for _, it := range l.items {
		if x := it.node.GetReindexStmt(); x != nil && x.Kind != pg.ReindexObjectType_REINDEX_OBJECT_SYSTEM && !option(x.Params, "concurrently") {
			l.report(r, it, 0, "REINDEX without CONCURRENTLY", "Write REINDEX ... CONCURRENTLY.")
		}
	}
}

func enumOrdering(l *linter, r rule) {
	for _, it := range l.items {
		if e := it.node.GetAlterEnumStmt(); e != nil && e.OldVal == "" && e.NewValNeighbor == "" {
			l.report(r, it, 0, fmt.Sprintf("value %q is added without a place", e.NewVal), "")
		}
	}
}

func tableSchema(l *linter, r rule) {
	report := func(it item, rel *pg.RangeVar) {
		if rel != nil && rel.Schemaname == "" && rel.Relpersistence != "t" {
			l.report(r, it, rel.Location, "table "+rel.Relname+" has no schema", "")
		}
	}
	for _, it := range l.items {
		report(it, it.node.GetCreateStmt().GetRelation())
		if c := it.node.GetCreateTableAsStmt(); c.GetObjtype() == pg.ObjectType_OBJECT_TABLE {
			report(it, c.Into.Rel)
		}
		if a := it.node.GetAlterTableStmt(); a.GetObjtype() == pg.ObjectType_OBJECT_TABLE {
			report(it, a.Relation)
		}
		if n := it.node.GetRenameStmt(); n.GetRenameType() == pg.ObjectType_OBJECT_TABLE || n.GetRelationType() == pg.ObjectType_OBJECT_TABLE {
			report(it, n.Relation)
		}
	}
	l.drops(pg.ObjectType_OBJECT_TABLE, func(it item, d *pg.DropStmt) {
		for _, o := range d.Objects {
			if n := names([]*pg.Node{o}); len(n) == 1 {
				l.report(r, it, 0, "table "+n[0]+" has no schema", "")
			}
		}
	})
}

func concurrentInTransaction(l *linter, r rule) {
	inside, statements := false, 0
	for _, it := range l.items {
		if it.node != nil {
			statements++
		}
	}
	for _, it := range l.items {
		if begin, commit, _ := it.boundary(); begin || commit {
			inside = begin
		}
		if it.node.GetIndexStmt().GetConcurrent() && inside && statements > 1 {
			l.report(r, it, 0, "an index is made concurrently inside of a transaction", "")
		}
	}
}

func nesting(l *linter, r rule) {
	open, managed := false, false
	for _, it := range l.items {
		if it.begin || it.end {
			managed, open = it.begin, false
			continue
		}
		begin, commit, rollback := it.boundary()
		switch {
		case begin && (managed || open):
			l.report(r, it, 0, "BEGIN inside of a transaction", "")
		case (commit || rollback) && (managed || !open):
			l.report(r, it, 0, "the end of a transaction that the statements did not begin", "")
		}
		if begin || commit || rollback {
			open = begin
		}
	}
}

func uncommitted(l *linter, r rule) {
	var open *item
	for i, it := range l.items {
		if begin, commit, rollback := it.boundary(); !it.begin && !it.end && (begin || commit || rollback) {
			open = nil
			if begin {
				open = &l.items[i]
			}
		}
	}
	if open != nil {
		l.report(r, *open, 0, "the transaction is never committed", "")
	}
}

// typeRule looks at the types of the columns that are made or changed.
func typeRule(bad func(t *pg.TypeName) bool) func(*linter, rule) {
	return func(l *linter, r rule) {
		for _, it := range l.items {
			if c := it.node.GetCreateStmt(); c != nil {
				for _, e := range c.TableElts {
					if col := e.GetColumnDef(); col != nil && bad(col.TypeName) {
						l.report(r, it, col.Location, fmt.Sprintf("column %s is of type %s", col.Colname, typeText(col.TypeName)), "")
					}
				}
			}
		}
		l.eachAction(func(it item, _ *pg.RangeVar, c *pg.AlterTableCmd) {
			col := c.GetDef().GetColumnDef()
			if (c.Subtype == pg.AlterTableType_AT_AddColumn || c.Subtype == pg.AlterTableType_AT_AlterColumnType) && bad(col.GetTypeName()) {
				name := col.Colname
				if name == "" {
					name = c.Name
				}
				l.report(r, it, col.TypeName.Location, fmt.Sprintf("column %s is of type %s", name, typeText(col.TypeName)), "")
			}
		})
	}
}

func typeText(t *pg.TypeName) string { return last(names(t.Names)) }

func typeIn(list ...string) func(*pg.TypeName) bool {
	known := set(list...)
	return func(t *pg.TypeName) bool { return known[typeText(t)] }
}

var (
	intType      = typeIn("int4", "serial", "serial4", "int", "integer")
	smallintType = typeIn("int2", "smallint", "smallserial", "serial2")
	serialType   = typeIn("serial", "serial2", "serial4", "serial8", "smallserial", "bigserial")
	charType     = typeIn("bpchar", "char", "character")
)

func varcharType(t *pg.TypeName) bool   { return typeText(t) == "varchar" && len(t.Typmods) > 0 }
func timestampType(t *pg.TypeName) bool { return typeText(t) == "timestamp" }

// robust finds what cannot be run a second time after a failure.
func robust(l *linter, r rule) {
	inside, constraints := false, map[string]bool{} // true: dropped and not added since
	for _, it := range l.items {
		if begin, commit, _ := it.boundary(); begin || commit {
			inside = begin
			continue
		}
		report := func(message string) { l.report(r, it, 0, message, "") }
		at := func(c *pg.AlterTableCmd, message string) {
			l.report(r, it, c.GetDef().GetColumnDef().GetLocation(), message, "")
		}
		rel, cmds := actions(it.node)
		if rel != nil && it.node.GetAlterTableStmt().Objtype == pg.ObjectType_OBJECT_TABLE {
			for _, c := range cmds {
				if m := robustAction(c, constraints); m != "" && !inside {
					at(c, m)
				}
			}
		}
		l.robustObject(it, inside, report)
	}
}

func (l *linter) robustObject(it item, inside bool, report func(string)) {
	n := it.node
	ix, table, rename := n.GetIndexStmt(), n.GetCreateStmt(), n.GetRenameStmt()
	onTable := rename.GetRenameType() == pg.ObjectType_OBJECT_TABLE || rename.GetRelationType() == pg.ObjectType_OBJECT_TABLE && rename.GetRelation() != nil
	switch {
	case ix != nil && !ix.IfNotExists && ix.Idxname != "" && (ix.Concurrent || !inside):
		report("CREATE INDEX without IF NOT EXISTS")
	case inside:
	case table != nil && !table.IfNotExists && !(table.Relation.Relpersistence == "t" && table.Oncommit == pg.OnCommitAction_ONCOMMIT_DROP):
		report("CREATE TABLE without IF NOT EXISTS")
	case n.GetDropStmt() != nil && !n.GetDropStmt().MissingOk && slices.Contains([]pg.ObjectType{pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_TYPE}, n.GetDropStmt().RemoveType):
		report("DROP without IF EXISTS")
	case onTable, n.GetAlterObjectSchemaStmt().GetObjectType() == pg.ObjectType_OBJECT_TABLE:
		report("ALTER TABLE outside of a transaction")
	}
}

func robustAction(c *pg.AlterTableCmd, constraints map[string]bool) string {
	switch c.Subtype {
	case pg.AlterTableType_AT_DropConstraint:
		constraints[c.Name] = true
		if c.MissingOk {
			return ""
		}
		return "DROP CONSTRAINT without IF EXISTS"
	case pg.AlterTableType_AT_AddColumn:
		if c.MissingOk {
			return ""
		}
		return "ADD COLUMN without IF NOT EXISTS"
	case pg.AlterTableType_AT_DropColumn:
		if c.MissingOk {
			return ""
		}
		return "DROP COLUMN without IF EXISTS"
	case pg.AlterTableType_AT_ValidateConstraint:
		if _, ok := constraints[c.Name]; ok {
			return ""
		}
	case pg.AlterTableType_AT_AddConstraint:
		if name := added(c).GetConname(); name != "" && constraints[name] {
			constraints[name] = false
			return ""
		}
	}
	return "ALTER TABLE outside of a transaction"
}

func lockTimeout(l *linter, r rule)      { l.timeout(r, "lock_timeout") }
func statementTimeout(l *linter, r rule) { l.timeout(r, "statement_timeout") }

func (l *linter) timeout(r rule, setting string) {
	for _, it := range l.items {
		if it.node == nil {
			continue
		}
		if v := it.node.GetVariableSetStmt(); v.GetName() == setting && v.Kind == pg.VariableSetKind_VAR_SET_VALUE {
			return
		}
		if slow(it.node) {
			l.report(r, it, 0, "no "+setting+" is set before this statement", "")
			return
		}
	}
}

// slow reports that a statement may keep others waiting. Of what changes rows, this is not said.
func slow(n *pg.Node) bool {
	switch {
	case n.GetSelectStmt() != nil:
		return n.GetSelectStmt().IntoClause != nil
	case n.GetCreateStmt() != nil:
		foreign := false
		walk(n.ProtoReflect(), func(m any) {
			c, ok := m.(*pg.Constraint)
			foreign = foreign || ok && c.Contype == pg.ConstrType_CONSTR_FOREIGN
		})
		return foreign
	case n.GetVacuumStmt() != nil:
		return n.GetVacuumStmt().IsVacuumcmd
	case n.GetInsertStmt() != nil, n.GetUpdateStmt() != nil, n.GetDeleteStmt() != nil, n.GetMergeStmt() != nil, n.GetTransactionStmt() != nil,
		n.GetVariableSetStmt() != nil, n.GetVariableShowStmt() != nil, n.GetExplainStmt() != nil, n.GetCopyStmt() != nil, n.GetPrepareStmt() != nil,
		n.GetExecuteStmt() != nil, n.GetDeallocateStmt() != nil, n.GetDiscardStmt() != nil, n.GetDoStmt() != nil, n.GetCallStmt() != nil,
		n.GetListenStmt() != nil, n.GetUnlistenStmt() != nil, n.GetNotifyStmt() != nil, n.GetFetchStmt() != nil, n.GetDeclareCursorStmt() != nil,
		n.GetClosePortalStmt() != nil, n.GetCheckPointStmt() != nil, n.GetGrantStmt() != nil, n.GetGrantRoleStmt() != nil,
		n.GetConstraintsSetStmt() != nil, n.GetReassignOwnedStmt() != nil, n.GetSecLabelStmt() != nil:
		return false
	}
	return true
}

// duplicateColumns finds columns that are named twice where the server takes each only once.
func duplicateColumns(l *linter, r rule) {
	for _, it := range l.items {
		if it.node == nil {
			continue
		}
		report := func(list []named) {
			count, whole := map[string]int{}, map[string]bool{}
			for _, n := range list {
				count[n.name]++
				whole[n.name] = whole[n.name] || !n.part
			}
			for _, n := range list {
				if count[n.name] > 1 && whole[n.name] {
					l.report(r, it, n.at, "column "+n.name+" is named twice", "")
				}
			}
		}
		walk(it.node.ProtoReflect(), func(m any) {
			switch m := m.(type) {
			case *pg.UpdateStmt:
				report(targets(m.TargetList))
			case *pg.OnConflictClause:
				report(targets(m.TargetList))
			case *pg.InsertStmt:
				report(targets(m.Cols))
			case *pg.MergeWhenClause:
				report(targets(m.TargetList))
			case *pg.CreateStmt:
				report(columnNames(m.TableElts))
			case *pg.CreateTableAsStmt:
				report(aliases(m.Into.GetColNames(), m.Query))
			case *pg.ViewStmt:
				report(aliases(m.Aliases, m.Query))
			case *pg.SelectStmt:
				if m.IntoClause != nil {
					report(outputs(m.TargetList))
				}
			}
		})
	}
}

type named struct {
	name string
	part bool // of an array or a row
	at   int32
}

func targets(list []*pg.Node) (out []named) {
	for _, n := range list {
		if t := n.GetResTarget(); t != nil && t.Name != "" {
			out = append(out, named{t.Name, len(t.Indirection) > 0, t.Location})
		}
	}
	return out
}

func columnNames(list []*pg.Node) (out []named) {
	for _, n := range list {
		if c := n.GetColumnDef(); c != nil {
			out = append(out, named{c.Colname, false, c.Location})
		}
	}
	return out
}

func aliases(list []*pg.Node, query *pg.Node) (out []named) {
	for _, n := range names(list) {
		out = append(out, named{n, false, 0})
	}
	if len(out) == 0 {
		return outputs(query.GetSelectStmt().GetTargetList())
	}
	return out
}

// outputs are the columns of a SELECT by the names that they have without the catalogue.
func outputs(list []*pg.Node) (out []named) {
	for _, n := range list {
		t := n.GetResTarget()
		name := t.GetName()
		if name == "" {
			name = last(names(t.GetVal().GetColumnRef().GetFields()))
		}
		if t.GetVal().GetAConst() != nil && name == "" {
			name = "?column?"
		}
		if name != "" {
			out = append(out, named{name, false, t.GetLocation()})
		}
	}
	return out
}

// longNames looks at the names as they are written, as the parser has cut them already.
func (l *linter) longNames(files []migration.File) {
	r := ruleOf("identifier-too-long")
	steps := map[string]*migration.Step{}
	for _, it := range l.items {
		steps[fmt.Sprint(it.File, it.Line)] = it.step
	}
	for _, f := range files {
		pieces, _ := migration.Scan(f.Text) // it was scanned before
		for _, p := range pieces {
			if !p.Statement {
				continue
			}
			tokens, err := pg_query.Scan(strings.ReplaceAll(p.Text, batch, condition))
			if err != nil {
				continue
			}
			for _, t := range tokens.Tokens {
				if t.Token != pg.Token_IDENT {
					continue
				}
				name := p.Text[t.Start:t.End]
				name = strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`)
				if len(name) > 63 {
					it := item{parsed: parsed{sql: p.Text, Statement: migration.Statement{File: f.Name, Line: p.Line}}, step: steps[fmt.Sprint(f.Name, p.Line)]}
					l.report(r, it, t.Start, fmt.Sprintf("%s has %d bytes", name, len(name)), "")
				}
			}
		}
	}
}
