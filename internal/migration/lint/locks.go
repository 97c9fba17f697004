package lint

import (
	"slices"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/tartan-ai/tartan/internal/migration"
)

// The lock levels of Postgres that statements of a migration take, from the weakest.
const (
	noLock               = ""
	accessShare          = "ACCESS SHARE"
	rowExclusive         = "ROW EXCLUSIVE"
	shareUpdateExclusive = "SHARE UPDATE EXCLUSIVE"
	share                = "SHARE"
	shareRowExclusive    = "SHARE ROW EXCLUSIVE"
	exclusive            = "EXCLUSIVE"
	accessExclusive      = "ACCESS EXCLUSIVE"
)

var levels = []string{noLock, accessShare, rowExclusive, shareUpdateExclusive, share, shareRowExclusive, exclusive, accessExclusive}

var blocks = map[string]string{
	accessShare: "DROP and most ALTER TABLE", rowExclusive: "changes of the schema, building indexes", shareUpdateExclusive: "changes of the schema, VACUUM",
	share: "writes", shareRowExclusive: "writes", exclusive: "writes", accessExclusive: "reads and writes",
}

// Blocks says whom a lock keeps out.
func Blocks(lock string) string { return blocks[lock] }

// Statistics of a table, from the catalogue.
type Statistics struct {
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"` // of the table without its indexes
}

// TableName writes the name of a table as Complete does, for Statistics. The schema may be "".
func TableName(schema, table string) string {
	if schema == "" {
		return ident(table)
	}
	return qualified([]string{schema, table})
}

// Throughput is how fast a server works. A value of 0 stands for a modest one: 200 MB/s read, 50 MB/s written, 300,000 rows/s into
// an index, 20,000 rows/s backfilled.
type Throughput struct {
	ReadBytes, WriteBytes   float64 // per second
	IndexRows, BackfillRows float64 // per second
}

func (t Throughput) orDefault() Throughput {
	or := func(v *float64, d float64) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&t.ReadBytes, 200e6)
	or(&t.WriteBytes, 50e6)
	or(&t.IndexRows, 300e3)
	or(&t.BackfillRows, 20e3)
	return t
}

// Work is what a statement does to its table, and whom it keeps waiting.
type Work struct {
	File     string        `json:"file,omitempty"`
	Line     int           `json:"line,omitempty"`
	Step     string        `json:"step,omitempty"`
	Table    string        `json:"table,omitempty"`
	Lock     string        `json:"lock,omitempty"`   // as Postgres calls it; "" is none on a table of the user's
	Blocks   string        `json:"blocks,omitempty"` // who waits while it is held
	Rewrites bool          `json:"rewrites,omitempty"`
	Scans    bool          `json:"scans,omitempty"`
	Rows     int64         `json:"rows,omitempty"`     // of the table, from the statistics
	Duration time.Duration `json:"duration,omitempty"` // estimated; 0 where there are no statistics, or it takes no time
}

// workOf judges a statement of a step.
func workOf(s parsed, step *migration.Step, o Options) Work {
	w := Work{File: s.File, Line: s.Line, Step: step.Name}
	index := false
	w.Table, w.Lock = lockOf(s.node)
	w.Rewrites, w.Scans, index = costOf(s.node)
	w.Blocks = blocks[w.Lock]
	st, ok := o.Statistics[w.Table]
	if !ok {
		return w
	}
	w.Rows = st.Rows
	t, seconds := o.Throughput.orDefault(), 0.0
	switch {
	case step.Kind == migration.KindBackfill:
		seconds = float64(st.Rows) / t.BackfillRows
		if per := step.Backfill.PerSec; per > 0 {
			seconds = max(seconds, float64(st.Rows)/float64(per))
		}
	case w.Rewrites:
		seconds = float64(st.Bytes)/t.ReadBytes + float64(st.Bytes)/t.WriteBytes
	case index:
		seconds = float64(st.Bytes)/t.ReadBytes + float64(st.Rows)/t.IndexRows
		if s.node.GetIndexStmt().GetConcurrent() {
			seconds *= 2 // it goes over the table twice
		}
	case w.Scans:
		seconds = float64(st.Bytes) / t.ReadBytes
	}
	w.Duration = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	return w
}

func copyWork(step *migration.Step) Work {
	return Work{Step: step.Name, Table: step.Copy.Table, Lock: rowExclusive, Blocks: blocks[rowExclusive]}
}

// lockOf returns the table and the lock that a statement takes on it. Sources: the tables of locks in Postgres' documentation,
// and of ALTER TABLE each form's own words.
func lockOf(n *pg.Node) (table, lock string) {
	switch {
	case n.GetAlterTableStmt() != nil:
		rel, cmds := actions(n)
		for _, c := range cmds {
			lock = Stronger(lock, actionLock(c))
		}
		return relation(rel), lock
	case n.GetRenameStmt().GetRelation() != nil:
		return relation(n.GetRenameStmt().Relation), accessExclusive
	case n.GetAlterObjectSchemaStmt().GetRelation() != nil:
		return relation(n.GetAlterObjectSchemaStmt().Relation), accessExclusive
	case n.GetIndexStmt() != nil:
		if n.GetIndexStmt().Concurrent {
			return relation(n.GetIndexStmt().Relation), shareUpdateExclusive
		}
		return relation(n.GetIndexStmt().Relation), share
	case n.GetDropStmt() != nil:
		return dropLock(n.GetDropStmt())
	case n.GetTruncateStmt() != nil:
		return relation(n.GetTruncateStmt().Relations[0].GetRangeVar()), accessExclusive
	case n.GetCreateTrigStmt() != nil:
		return relation(n.GetCreateTrigStmt().Relation), shareRowExclusive
	case n.GetReindexStmt() != nil:
		if r := n.GetReindexStmt(); option(r.Params, "concurrently") {
			return relation(r.Relation), shareUpdateExclusive
		}
		return relation(n.GetReindexStmt().Relation), share
	case n.GetClusterStmt() != nil:
		return relation(n.GetClusterStmt().Relation), accessExclusive
	case n.GetVacuumStmt() != nil:
		v := n.GetVacuumStmt()
		if len(v.Rels) > 0 {
			table = relation(v.Rels[0].GetVacuumRelation().Relation)
		}
		if v.IsVacuumcmd && option(v.Options, "full") {
			return table, accessExclusive
		}
		return table, shareUpdateExclusive
	case n.GetRefreshMatViewStmt() != nil:
		if m := n.GetRefreshMatViewStmt(); m.Concurrent {
			return relation(m.Relation), exclusive
		}
		return relation(n.GetRefreshMatViewStmt().Relation), accessExclusive
	case n.GetCommentStmt() != nil:
		return commentTable(n.GetCommentStmt()), shareUpdateExclusive
	case n.GetCreatePolicyStmt() != nil:
		return relation(n.GetCreatePolicyStmt().Table), accessExclusive
	case n.GetAlterPolicyStmt() != nil:
		return relation(n.GetAlterPolicyStmt().Table), accessExclusive
	case n.GetRuleStmt() != nil:
		return relation(n.GetRuleStmt().Relation), accessExclusive
	case n.GetCreateStatsStmt() != nil && len(n.GetCreateStatsStmt().Relations) > 0:
		return relation(n.GetCreateStatsStmt().Relations[0].GetRangeVar()), shareUpdateExclusive
	case n.GetUpdateStmt() != nil:
		return relation(n.GetUpdateStmt().Relation), rowExclusive
	case n.GetDeleteStmt() != nil:
		return relation(n.GetDeleteStmt().Relation), rowExclusive
	case n.GetInsertStmt() != nil:
		return relation(n.GetInsertStmt().Relation), rowExclusive
	case n.GetMergeStmt() != nil:
		return relation(n.GetMergeStmt().Relation), rowExclusive
	case n.GetSelectStmt() != nil:
		return "", accessShare
	case n.GetLockStmt() != nil:
		l := n.GetLockStmt()
		// The modes of the server are numbered from 1, with ROW SHARE as 2, which blocks no one here.
		modes := []string{"", accessShare, accessShare, rowExclusive, shareUpdateExclusive, share, shareRowExclusive, exclusive, accessExclusive}
		return relation(l.Relations[0].GetRangeVar()), modes[min(max(int(l.Mode), 0), len(modes)-1)]
	}
	return "", noLock
}

// Stronger returns the stronger of two locks.
func Stronger(a, b string) string {
	if slices.Index(levels, a) < slices.Index(levels, b) {
		return b
	}
	return a
}

func commentTable(c *pg.CommentStmt) string {
	parts := names([]*pg.Node{c.Object})
	switch c.Objtype {
	case pg.ObjectType_OBJECT_TABLE:
		return qualified(parts)
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_TRIGGER:
		return qualified(parts[:max(len(parts)-1, 0)])
	}
	return ""
}

func dropLock(d *pg.DropStmt) (string, string) {
	parts := names(d.Objects[:1])
	switch d.RemoveType {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW:
		return qualified(parts), accessExclusive
	case pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_RULE:
		return qualified(parts[:max(len(parts)-1, 0)]), accessExclusive
	case pg.ObjectType_OBJECT_INDEX: // its table is not told
		if d.Concurrent {
			return "", shareUpdateExclusive
		}
		return "", accessExclusive
	}
	return "", noLock
}

func actionLock(c *pg.AlterTableCmd) string {
	switch c.Subtype {
	case pg.AlterTableType_AT_ValidateConstraint, pg.AlterTableType_AT_SetStatistics, pg.AlterTableType_AT_SetOptions, pg.AlterTableType_AT_ResetOptions,
		pg.AlterTableType_AT_ClusterOn, pg.AlterTableType_AT_DropCluster, pg.AlterTableType_AT_SetRelOptions, pg.AlterTableType_AT_ResetRelOptions,
		pg.AlterTableType_AT_AttachPartition:
		return shareUpdateExclusive
	case pg.AlterTableType_AT_DetachPartition:
		if c.GetDef().GetPartitionCmd().GetConcurrent() {
			return shareUpdateExclusive
		}
	case pg.AlterTableType_AT_EnableTrig, pg.AlterTableType_AT_DisableTrig, pg.AlterTableType_AT_EnableAlwaysTrig, pg.AlterTableType_AT_EnableReplicaTrig,
		pg.AlterTableType_AT_EnableTrigAll, pg.AlterTableType_AT_DisableTrigAll, pg.AlterTableType_AT_EnableTrigUser, pg.AlterTableType_AT_DisableTrigUser:
		return shareRowExclusive
	case pg.AlterTableType_AT_AddConstraint:
		if added(c).GetContype() == pg.ConstrType_CONSTR_FOREIGN {
			return shareRowExclusive
		}
	}
	return accessExclusive
}

// costOf says whether a statement writes the table anew, reads all of it, or builds an index.
func costOf(n *pg.Node) (rewrites, scans, index bool) {
	switch {
	case n.GetIndexStmt() != nil, n.GetReindexStmt() != nil:
		return false, true, true
	case n.GetClusterStmt() != nil:
		return true, true, false
	case n.GetVacuumStmt() != nil:
		full := option(n.GetVacuumStmt().Options, "full")
		return full, n.GetVacuumStmt().IsVacuumcmd, false
	case n.GetUpdateStmt() != nil, n.GetDeleteStmt() != nil, n.GetMergeStmt() != nil:
		return false, true, false
	}
	_, cmds := actions(n)
	for _, c := range cmds {
		r, s, i := actionCost(c)
		rewrites, scans, index = rewrites || r, scans || s, index || i
	}
	return rewrites, scans, index
}

func actionCost(c *pg.AlterTableCmd) (rewrites, scans, index bool) {
	switch c.Subtype {
	case pg.AlterTableType_AT_AlterColumnType:
		if t := c.GetDef().GetColumnDef(); typeText(t.GetTypeName()) == "text" && t.RawDefault == nil {
			return false, true, false // from varchar nothing is written; what it was is not known here
		}
		return true, true, false
	case pg.AlterTableType_AT_SetLogged, pg.AlterTableType_AT_SetUnLogged, pg.AlterTableType_AT_SetTableSpace, pg.AlterTableType_AT_SetAccessMethod:
		return true, true, false
	case pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_ValidateConstraint, pg.AlterTableType_AT_AttachPartition:
		return false, true, false
	case pg.AlterTableType_AT_AddColumn:
		for _, con := range constraintsOf(c) {
			switch con.Contype {
			case pg.ConstrType_CONSTR_DEFAULT:
				rewrites = rewrites || !constant(con.RawExpr)
			case pg.ConstrType_CONSTR_GENERATED, pg.ConstrType_CONSTR_IDENTITY:
				rewrites = true
			case pg.ConstrType_CONSTR_UNIQUE, pg.ConstrType_CONSTR_PRIMARY:
				index = true
			case pg.ConstrType_CONSTR_CHECK:
				scans = true
			}
		}
		return rewrites, scans || rewrites || index, index
	case pg.AlterTableType_AT_AddConstraint:
		con := added(c)
		switch con.GetContype() {
		case pg.ConstrType_CONSTR_UNIQUE, pg.ConstrType_CONSTR_PRIMARY, pg.ConstrType_CONSTR_EXCLUSION:
			return false, con.Indexname == "", con.Indexname == ""
		}
		return false, !con.GetSkipValidation(), false
	}
	return false, false, false
}
