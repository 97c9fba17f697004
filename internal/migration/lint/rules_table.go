package lint

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/tartan-ai/tartan/internal/migration"
)

// eachAction goes over the actions of all ALTER TABLE.
func (l *linter) eachAction(do func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd)) {
	for _, it := range l.items {
		if a := it.node.GetAlterTableStmt(); a == nil || a.Objtype != pg.ObjectType_OBJECT_TABLE {
			continue
		}
		rel, cmds := actions(it.node)
		for _, c := range cmds {
			do(it, rel, c)
		}
	}
}

// boundaries tells whether the statement opens or ends a transaction.
func (it item) boundary() (begin, commit, rollback bool) {
	switch it.node.GetTransactionStmt().GetKind() {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		return true, false, false
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		return it.begin, true, false
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		return false, false, true
	}
	return it.begin, it.end, false
}

// created returns the tables that are made within a transaction of the file: nobody else sees them yet.
func (l *linter) created() map[string]bool {
	made, inside := map[string]bool{}, false
	for _, it := range l.items {
		begin, commit, _ := it.boundary()
		if begin || commit {
			inside = begin
		}
		if c := it.node.GetCreateStmt(); c != nil && inside {
			made[c.Relation.Relname] = true
		}
	}
	return made
}

// constraintsOf returns the constraints that stand behind a column.
func constraintsOf(c *pg.AlterTableCmd) (out []*pg.Constraint) {
	if c.Subtype != pg.AlterTableType_AT_AddColumn {
		return nil
	}
	for _, n := range c.GetDef().GetColumnDef().GetConstraints() {
		out = append(out, n.GetConstraint())
	}
	return out
}

func has(list []*pg.Constraint, kinds ...pg.ConstrType) *pg.Constraint {
	for _, c := range list {
		if slices.Contains(kinds, c.Contype) {
			return c
		}
	}
	return nil
}

func added(c *pg.AlterTableCmd) *pg.Constraint {
	if c.Subtype != pg.AlterTableType_AT_AddConstraint {
		return nil
	}
	return c.GetDef().GetConstraint()
}

func fieldWithDefault(l *linter, r rule) {
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		col := c.GetDef().GetColumnDef()
		for _, con := range constraintsOf(c) {
			message := ""
			switch con.Contype {
			case pg.ConstrType_CONSTR_DEFAULT:
				if !constant(con.RawExpr) {
					message = fmt.Sprintf("column %s is added with a default that may differ from row to row", col.Colname)
				}
			case pg.ConstrType_CONSTR_GENERATED, pg.ConstrType_CONSTR_IDENTITY:
				message = fmt.Sprintf("column %s is added as a generated one", col.Colname)
			}
			if message != "" {
				table, name := relation(rel), ident(col.Colname)
				l.report(r, it, con.Location, message, fmt.Sprintf("alter table %s add column %s TYPE;\n-- then a trigger (dual-write) for new rows, a backfill for old ones, and\nalter table %s alter column %s set default ...;", table, name, table, name))
			}
		}
	})
}

// constant reports that an expression is computed once for all rows: a literal, or a call without arguments of a function of
// the server that is not volatile.
func constant(n *pg.Node) bool {
	switch {
	case n.GetAConst() != nil, n.GetAArrayExpr() != nil, n.GetSqlvalueFunction() != nil:
		return true
	case n.GetTypeCast() != nil:
		return constant(n.GetTypeCast().Arg)
	case n.GetCollateClause() != nil:
		return constant(n.GetCollateClause().Arg)
	case n.GetAExpr() != nil:
		e := n.GetAExpr()
		return e.Kind == pg.A_Expr_Kind_AEXPR_OP && (e.Lexpr == nil || constant(e.Lexpr)) && constant(e.Rexpr)
	case n.GetFuncCall() != nil:
		f := n.GetFuncCall()
		parts := names(f.Funcname)
		return len(f.Args) == 0 && (len(parts) == 1 || parts[0] == "pg_catalog") && stable[last(parts)]
	}
	return false
}

// stable are the functions of the server that take no arguments and are not volatile: select proname from pg_proc where
// provolatile <> 'v' and pronargs = 0, without those that no default can use.
var stable = set("now", "transaction_timestamp", "statement_timestamp", "pi", "current_database", "current_schema", "current_user", "session_user",
	"version", "pg_backend_pid", "inet_client_addr", "inet_client_port", "inet_server_addr", "inet_server_port", "pg_conf_load_time",
	"pg_postmaster_start_time", "getdatabaseencoding", "pg_client_encoding", "txid_current", "txid_current_snapshot", "pg_current_xact_id",
	"pg_current_snapshot", "current_query", "uuid_nil", "uuid_ns_dns", "uuid_ns_url", "pg_my_temp_schema", "current_setting")

func set(list ...string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		out[s] = true
	}
	return out
}

func foreignKey(l *linter, r rule) {
	made := l.created()
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		con := added(c)
		if con.GetContype() == pg.ConstrType_CONSTR_FOREIGN && !con.SkipValidation && !made[rel.Relname] {
			l.report(r, it, con.Location, "a foreign key is added and checked at once", notValid(rel, con.Conname, "foreign key (...) references ..."))
		}
		if con := has(constraintsOf(c), pg.ConstrType_CONSTR_FOREIGN); con != nil {
			l.report(r, it, con.Location, "a column is added with a foreign key", notValid(rel, con.Conname, "foreign key (...) references ..."))
		}
	})
}

func notValid(rel *pg.RangeVar, name, what string) string {
	if name == "" {
		name = "NAME"
	} else {
		name = ident(name)
	}
	t := relation(rel)
	return fmt.Sprintf("alter table %s add constraint %s %s not valid;\n-- in a step of kind validate:\nalter table %s validate constraint %s;", t, name, what, t, name)
}

// notNull lets a SET NOT NULL pass where a CHECK of the same was added NOT VALID and validated before, or where a constraint of
// the table was validated that came with an earlier file.
func notNull(l *linter, r rule) {
	checks, validated, elsewhere := map[string][2]string{}, map[[2]string]bool{}, map[string]bool{}
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		switch c.Subtype {
		case pg.AlterTableType_AT_AddConstraint:
			if con := added(c); con.GetSkipValidation() && con.Contype == pg.ConstrType_CONSTR_CHECK {
				if col := notNullCheck(con.RawExpr); col != "" {
					checks[con.Conname] = [2]string{rel.Relname, col}
				}
			}
		case pg.AlterTableType_AT_ValidateConstraint:
			if of, ok := checks[c.Name]; ok && of[0] == rel.Relname {
				validated[of] = true
			} else {
				elsewhere[rel.Relname] = true
			}
		case pg.AlterTableType_AT_SetNotNull:
			if !validated[[2]string{rel.Relname, c.Name}] && !elsewhere[rel.Relname] {
				t, col := relation(rel), ident(c.Name)
				l.report(r, it, 0, fmt.Sprintf("column %s is set NOT NULL with a scan of the table", c.Name),
					notValid(rel, rel.Relname+"_"+c.Name+"_set", "check ("+col+" is not null)")+fmt.Sprintf("\nalter table %s alter column %s set not null; -- no scan any more", t, col))
			}
		}
	})
}

func notNullCheck(n *pg.Node) string {
	t := n.GetNullTest()
	if t == nil || t.Nulltesttype != pg.NullTestType_IS_NOT_NULL {
		return ""
	}
	return last(names(t.Arg.GetColumnRef().GetFields()))
}

func requiredField(l *linter, r rule) {
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		list := constraintsOf(c)
		if has(list, pg.ConstrType_CONSTR_NOTNULL) != nil &&
			has(list, pg.ConstrType_CONSTR_DEFAULT, pg.ConstrType_CONSTR_GENERATED, pg.ConstrType_CONSTR_IDENTITY) == nil {
			col := c.GetDef().GetColumnDef().Colname
			l.report(r, it, c.GetDef().GetColumnDef().Location, fmt.Sprintf("column %s is added as NOT NULL without a default", col),
				fmt.Sprintf("alter table %s add column %s TYPE; -- then fill it, and set NOT NULL as adding-not-nullable-field says", relation(rel), ident(col)))
		}
	})
}

func primaryKey(l *linter, r rule) {
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		con := added(c)
		if con.GetContype() != pg.ConstrType_CONSTR_PRIMARY {
			con = has(constraintsOf(c), pg.ConstrType_CONSTR_PRIMARY)
		}
		if con != nil && con.Indexname == "" {
			l.report(r, it, con.Location, "a primary key is added and its index built at once", usingIndex(rel, "primary key"))
		}
	})
}

func usingIndex(rel *pg.RangeVar, what string) string {
	t := relation(rel)
	return fmt.Sprintf("create unique index concurrently NAME on %s (...);\nalter table %s add constraint NAME %s using index NAME;", t, t, what)
}

func uniqueConstraint(l *linter, r rule) {
	made := l.created()
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		con := added(c)
		if con.GetContype() == pg.ConstrType_CONSTR_UNIQUE && con.Indexname == "" && !made[rel.Relname] {
			l.report(r, it, con.Location, "a unique constraint is added and its index built at once", usingIndex(rel, "unique"))
		}
		if con := has(constraintsOf(c), pg.ConstrType_CONSTR_UNIQUE); con != nil {
			l.report(r, it, con.Location, "a column is added with a unique constraint", usingIndex(rel, "unique"))
		}
	})
}

func missingNotValid(l *linter, r rule) {
	l.validatedAtOnce(r)
	made := l.created()
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		con := added(c)
		if con == nil || con.SkipValidation || made[rel.Relname] || con.Indexname != "" {
			return
		}
		l.report(r, it, con.Location, "a constraint is added and checked at once", notValid(rel, con.Conname, "..."))
	})
}

// validatedAtOnce finds a constraint that is validated in the transaction that added it: the lock of the adding is held on.
func (l *linter) validatedAtOnce(r rule) {
	inside, names := false, map[string]bool{}
	for _, it := range l.items {
		if begin, commit, _ := it.boundary(); begin || commit {
			if begin && !inside {
				clear(names)
			}
			inside = begin
			continue
		}
		_, cmds := actions(it.node)
		for _, c := range cmds {
			if con := added(c); con.GetSkipValidation() && con.Conname != "" {
				names[con.Conname] = true
			}
			if c.Subtype == pg.AlterTableType_AT_ValidateConstraint && inside && names[c.Name] {
				l.report(r, it, 0, fmt.Sprintf("constraint %s is validated in the transaction that adds it", c.Name), "Validate in a step of its own.")
			}
		}
	}
}

func columnType(l *linter, r rule) {
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		if c.Subtype == pg.AlterTableType_AT_AlterColumnType {
			t, col := relation(rel), ident(c.Name)
			l.report(r, it, 0, fmt.Sprintf("the type of column %s changes", c.Name), fmt.Sprintf("alter table %s add column new_%s TYPE;\n-- a dual-write step keeps both alike, a backfill fills the old rows, a switch step renames", t, c.Name)+"; "+col+" is dropped last")
		}
	})
}

func dropColumn(l *linter, r rule) {
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		if c.Subtype == pg.AlterTableType_AT_DropColumn && !it.contract() {
			l.report(r, it, 0, fmt.Sprintf("column %s of %s is dropped", c.Name, relation(rel)), "")
		}
	})
}

func (it item) contract() bool { return it.step != nil && it.step.Kind.Contract() }

func dropNotNull(l *linter, r rule) {
	l.eachAction(func(it item, _ *pg.RangeVar, c *pg.AlterTableCmd) {
		if c.Subtype == pg.AlterTableType_AT_DropNotNull {
			l.report(r, it, 0, fmt.Sprintf("column %s may be NULL from now on", c.Name), "")
		}
	})
}

func partitionDetach(l *linter, r rule) {
	l.eachAction(func(it item, rel *pg.RangeVar, c *pg.AlterTableCmd) {
		p := c.GetDef().GetPartitionCmd()
		if c.Subtype == pg.AlterTableType_AT_DetachPartition && !p.GetConcurrent() {
			l.report(r, it, 0, "a partition is detached under lock", fmt.Sprintf("alter table %s detach partition %s concurrently;", relation(rel), relation(p.GetName())))
		}
	})
}

func renamingColumn(l *linter, r rule) {
	for _, it := range l.items {
		n := it.node.GetRenameStmt()
		if n.GetRenameType() == pg.ObjectType_OBJECT_COLUMN && n.RelationType == pg.ObjectType_OBJECT_TABLE && !it.switches() {
			l.report(r, it, 0, fmt.Sprintf("column %s becomes %s", n.Subname, n.Newname), "")
		}
	}
}

func (it item) switches() bool { return it.step != nil && it.step.Kind == migration.KindSwitch }

func renamingTable(l *linter, r rule) {
	for _, it := range l.items {
		if n := it.node.GetRenameStmt(); n.GetRenameType() == pg.ObjectType_OBJECT_TABLE && !it.switches() {
			l.report(r, it, 0, fmt.Sprintf("table %s becomes %s", relation(n.Relation), n.Newname), "")
		}
	}
}
