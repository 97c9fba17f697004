package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Complete puts into a plan what its SQL says and the engine needs: the names of indexes, constraints, triggers, tables and
// columns, what a step destroys or rewrites and therefore goes into the archive first, and which steps cannot be in a
// transaction. Completing a plan again changes nothing. The errors are of type migration.SyntaxError, joined.
func Complete(p *migration.Plan) error {
	var all []error
	for i := range p.Steps {
		if err := completeStep(p.Format, &p.Steps[i]); err != nil {
			all = append(all, err)
		}
	}
	for _, list := range [][]migration.NamedSQL{p.Settings.Checks, p.Settings.Queries} {
		for _, q := range list {
			s, err := parse(q.SQL)
			if err == nil && s.node.GetSelectStmt() == nil {
				err = fault(s, "%q is no SELECT: checks and queries only look", q.Name)
			}
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

func fault(s parsed, format string, args ...any) error {
	return &migration.SyntaxError{File: s.File, Line: s.Line, Message: fmt.Sprintf(format, args...)}
}

func completeStep(format migration.Format, step *migration.Step) error {
	if format != migration.FormatTartan {
		step.Up, step.Down = withoutTransactions(step.Up), withoutTransactions(step.Down)
	}
	up, err := parseAll(step.Up)
	down, downErr := parseAll(step.Down)
	verify, verifyErr := parseAll(step.Verify)
	if err := errors.Join(err, downErr, verifyErr); err != nil {
		return err
	}
	for _, s := range verify {
		if s.node.GetSelectStmt() == nil {
			return fault(s, "an assertion is a SELECT, which returns true or no rows")
		}
	}
	for _, s := range slices.Concat(up, down) {
		if s.node.GetTransactionStmt() != nil {
			return fault(s, "the step is a transaction as it is: take BEGIN, COMMIT and ROLLBACK out, and make two steps of what must be committed between")
		}
	}
	if err := transactional(format, step, up); err != nil {
		return err
	}
	if err := name(step, up); err != nil {
		return err
	}
	destroys(step, up)
	return nil
}

// withoutTransactions takes BEGIN and COMMIT out of a step that another tool wrote: it is one transaction as it is. ROLLBACK
// stays, and is refused.
func withoutTransactions(list []migration.Statement) []migration.Statement {
	return slices.DeleteFunc(list, func(s migration.Statement) bool {
		first, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s.SQL)), " ")
		if !slices.Contains([]string{"begin", "start", "commit", "end"}, first) {
			return false
		}
		p, err := parse(s)
		if err != nil || p.node.GetTransactionStmt() == nil {
			return false
		}
		switch p.node.GetTransactionStmt().Kind {
		case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START, pg.TransactionStmtKind_TRANS_STMT_COMMIT:
			return true
		}
		return false
	})
}

// transactional marks a step that cannot be in a transaction.
func transactional(format migration.Format, step *migration.Step, up []parsed) error {
	alone := 0
	for _, s := range up {
		if outside(s.node) {
			alone++
		}
	}
	if alone == 0 {
		return nil
	}
	if format == migration.FormatTartan && !step.NoTransaction && alone < len(up) {
		i := slices.IndexFunc(up, func(s parsed) bool { return outside(s.node) })
		return fault(up[i], "this statement cannot be in a transaction with the others of step %q: put it into a step of its own", step.Name)
	}
	step.NoTransaction = true
	return nil
}

// outside reports that the server refuses the statement inside a transaction.
func outside(n *pg.Node) bool {
	switch {
	case n.GetIndexStmt() != nil:
		return n.GetIndexStmt().Concurrent
	case n.GetDropStmt() != nil:
		return n.GetDropStmt().Concurrent
	case n.GetReindexStmt() != nil:
		r := n.GetReindexStmt()
		return option(r.Params, "concurrently") || r.Kind >= pg.ReindexObjectType_REINDEX_OBJECT_SCHEMA
	case n.GetVacuumStmt() != nil:
		return n.GetVacuumStmt().IsVacuumcmd
	case n.GetClusterStmt() != nil:
		return n.GetClusterStmt().Relation == nil
	case n.GetCreatedbStmt() != nil, n.GetDropdbStmt() != nil, n.GetCreateTableSpaceStmt() != nil, n.GetDropTableSpaceStmt() != nil,
		n.GetAlterSystemStmt() != nil, n.GetCreateSubscriptionStmt() != nil:
		return true
	}
	_, cmds := actions(n)
	return slices.ContainsFunc(cmds, func(c *pg.AlterTableCmd) bool {
		return c.Subtype == pg.AlterTableType_AT_DetachPartition && c.GetDef().GetPartitionCmd().GetConcurrent()
	})
}

// option reports that a list of options has a name that is not switched off.
func option(list []*pg.Node, name string) bool {
	for _, n := range list {
		if d := n.GetDefElem(); d.GetDefname() == name {
			return d.Arg == nil || !slices.Contains([]string{"false", "off", "0"}, strings.ToLower(d.Arg.GetString_().GetSval()))
		}
	}
	return false
}

// name takes the names from the statements of a step, as its kind needs them.
func name(step *migration.Step, up []parsed) error {
	switch step.Kind {
	case migration.KindIndex:
		return nameIndex(step, up)
	case migration.KindValidate:
		return nameConstraint(step, up)
	case migration.KindDualWrite:
		return nameTrigger(step, up)
	case migration.KindBackfill:
		return nameBackfill(step, up)
	}
	return nil
}

func nameIndex(step *migration.Step, up []parsed) error {
	ix := up[0].node.GetIndexStmt()
	switch {
	case ix == nil:
		return fault(up[0], "step %q is of kind index, and this is no CREATE INDEX", step.Name)
	case !ix.Concurrent:
		return fault(up[0], "an index step makes its index concurrently: write CREATE INDEX CONCURRENTLY")
	case ix.Idxname == "":
		return fault(up[0], "the index needs a name, by which it is found again after an interruption")
	}
	step.Index = &migration.Index{Name: ix.Idxname, Table: relation(ix.Relation)}
	return nil
}

func nameConstraint(step *migration.Step, up []parsed) error {
	step.Validate = nil
	for _, s := range up {
		rel, cmds := actions(s.node)
		if len(cmds) == 0 {
			return fault(s, "step %q is of kind validate, and this is no ALTER TABLE ... VALIDATE CONSTRAINT", step.Name)
		}
		for _, c := range cmds {
			if c.Subtype != pg.AlterTableType_AT_ValidateConstraint {
				return fault(s, "step %q is of kind validate, and this does something else: put it into a step of its own", step.Name)
			}
			if step.Validate != nil {
				return fault(s, "a validate step validates one constraint: put this one into a step of its own")
			}
			step.Validate = &migration.Validate{Table: relation(rel), Constraint: c.Name}
		}
	}
	return nil
}

func nameTrigger(step *migration.Step, up []parsed) error {
	step.DualWrite = nil
	for _, s := range up {
		if t := s.node.GetCreateTrigStmt(); t != nil {
			if step.DualWrite != nil {
				return fault(s, "a dual-write step makes one trigger: put this one into a step of its own")
			}
			step.DualWrite = &migration.DualWrite{Table: relation(t.Relation), Trigger: t.Trigname}
		}
	}
	if step.DualWrite == nil {
		return fault(up[0], "step %q is of kind dual-write, and makes no trigger", step.Name)
	}
	return nil
}

func nameBackfill(step *migration.Step, up []parsed) error {
	u := up[0].node.GetUpdateStmt()
	if u == nil {
		return fault(up[0], "step %q is of kind backfill, and this is no UPDATE", step.Name)
	}
	if !strings.Contains(up[0].SQL, batch) {
		return fault(up[0], "the UPDATE of a backfill needs :batch in its WHERE, which stands for the rows of one batch")
	}
	b := step.Backfill
	if b == nil {
		b = &migration.Backfill{}
		step.Backfill = b
	}
	table := relation(u.Relation)
	if b.Table != "" && b.Table != table && last(strings.Split(b.Table, ".")) != last(strings.Split(table, ".")) {
		return fault(up[0], "the step says table=%s, and the UPDATE is of %s", b.Table, table)
	}
	b.Table = cmp.Or(b.Table, table)
	b.Alias = u.Relation.GetAlias().GetAliasname()
	b.Columns = setColumns(u.TargetList)
	if len(u.ReturningList) > 0 {
		return fault(up[0], "the UPDATE of a backfill takes no RETURNING")
	}
	return nil
}

// setColumns returns the columns that the SET of an UPDATE names, each once.
func setColumns(list []*pg.Node) (out []string) {
	for _, t := range list {
		if n := t.GetResTarget().GetName(); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
