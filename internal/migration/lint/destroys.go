package lint

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/tartan-ai/tartan/internal/migration"
)

// loss follows what the statements of one step take away, one after the other.
type loss struct {
	made    map[string]bool            // tables that the step made: nothing of them was there before
	renamed map[string]string          // name now -> before the step
	added   map[string]map[string]bool // columns that the step added
	columns map[[2]string]string       // table and name now of a column -> name before the step
	list    []migration.Drop
	first   *migration.Drop // what the first DROP names, for the field of a drop step
}

// destroys fills in what has to be in the archive before the step runs.
func destroys(step *migration.Step, up []parsed) {
	step.Drop, step.Destroys = nil, nil
	if step.Kind == migration.KindBackfill || step.Kind == migration.KindCopy {
		return // they keep what they overwrite batch by batch
	}
	l := lossOf(up)
	if step.Kind == migration.KindDrop && l.first != nil {
		for i, d := range l.list {
			if d.Table == l.first.Table && slices.Equal(d.Columns, l.first.Columns) {
				step.Drop = &d
				l.list = slices.Delete(l.list, i, i+1)
				break
			}
		}
	}
	step.Destroys = l.list
}

func lossOf(up []parsed) *loss {
	l := &loss{made: map[string]bool{}, renamed: map[string]string{}, added: map[string]map[string]bool{}, columns: map[[2]string]string{}}
	for _, s := range up {
		l.statement(s.node)
	}
	return l
}

// lose notes a table, or some of its columns, under the name that it had before the step.
func (l *loss) lose(table string, ifExists bool, columns ...string) {
	if l.made[table] {
		return
	}
	if before, ok := l.renamed[table]; ok {
		table = before
	}
	whole := len(columns) == 0
	columns = slices.DeleteFunc(columns, func(c string) bool { return l.added[table][c] })
	for i, c := range columns {
		if before, ok := l.columns[[2]string{table, c}]; ok {
			columns[i] = before
		}
	}
	if !whole && len(columns) == 0 {
		return
	}
	for i, d := range l.list {
		if d.Table != table {
			continue
		}
		if whole {
			l.list[i].Columns = nil
		} else if len(d.Columns) > 0 {
			for _, c := range columns {
				if !slices.Contains(d.Columns, c) {
					l.list[i].Columns = append(l.list[i].Columns, c)
				}
			}
		}
		l.list[i].IfExists = d.IfExists && ifExists
		return
	}
	l.list = append(l.list, migration.Drop{Table: table, Columns: columns, IfExists: ifExists})
}

func (l *loss) dropped(table string) {
	if l.first == nil {
		l.first = &migration.Drop{Table: table}
		for _, d := range l.list {
			if d.Table == table {
				*l.first = d
			}
		}
	}
}

func (l *loss) statement(n *pg.Node) {
	switch {
	case n.GetCreateStmt() != nil:
		l.made[relation(n.GetCreateStmt().Relation)] = true
	case n.GetCreateTableAsStmt() != nil:
		l.made[relation(n.GetCreateTableAsStmt().Into.Rel)] = true
	case n.GetRenameStmt() != nil:
		l.rename(n.GetRenameStmt())
	case n.GetAlterObjectSchemaStmt() != nil:
		a := n.GetAlterObjectSchemaStmt()
		if a.ObjectType == pg.ObjectType_OBJECT_TABLE && a.Relation != nil {
			l.moved(relation(a.Relation), ident(a.Newschema)+"."+ident(a.Relation.Relname))
		}
	case n.GetDropStmt() != nil:
		d := n.GetDropStmt()
		if d.RemoveType != pg.ObjectType_OBJECT_TABLE {
			return
		}
		for _, o := range d.Objects {
			table := qualified(names([]*pg.Node{o}))
			l.lose(table, d.MissingOk)
			l.dropped(table)
		}
	case n.GetTruncateStmt() != nil:
		for _, r := range n.GetTruncateStmt().Relations {
			l.lose(relation(r.GetRangeVar()), false)
		}
	case n.GetAlterTableStmt() != nil:
		l.alter(n)
	default:
		l.rows(n)
	}
}

func (l *loss) rename(r *pg.RenameStmt) {
	if r.Relation == nil {
		return
	}
	table := relation(r.Relation)
	switch r.RenameType {
	case pg.ObjectType_OBJECT_TABLE:
		now := ident(r.Newname)
		if r.Relation.Schemaname != "" {
			now = ident(r.Relation.Schemaname) + "." + now
		}
		l.moved(table, now)
	case pg.ObjectType_OBJECT_COLUMN:
		l.renameColumn(table, r.Subname, r.Newname)
	}
}

func (l *loss) renameColumn(table, from, to string) {
	if before, ok := l.renamed[table]; ok {
		table = before
	}
	if l.added[table][from] {
		l.added[table][to] = true
		return
	}
	l.columns[[2]string{table, to}] = from
	if before, ok := l.columns[[2]string{table, from}]; ok {
		l.columns[[2]string{table, to}] = before
	}
}

func (l *loss) moved(from, to string) {
	if l.made[from] {
		l.made[to] = true
		return
	}
	before := from
	if b, ok := l.renamed[from]; ok {
		before = b
	}
	l.renamed[to] = before
}

func (l *loss) add(table, column string) {
	if before, ok := l.renamed[table]; ok {
		table = before
	}
	if l.added[table] == nil {
		l.added[table] = map[string]bool{}
	}
	l.added[table][column] = true
}

func (l *loss) alter(n *pg.Node) {
	rel, cmds := actions(n)
	if n.GetAlterTableStmt().Objtype != pg.ObjectType_OBJECT_TABLE {
		return
	}
	table, ifExists := relation(rel), n.GetAlterTableStmt().MissingOk
	for _, c := range cmds {
		switch c.Subtype {
		case pg.AlterTableType_AT_AddColumn:
			l.add(table, c.GetDef().GetColumnDef().GetColname())
		case pg.AlterTableType_AT_DropColumn:
			l.lose(table, ifExists, c.Name)
			l.dropped(table)
		case pg.AlterTableType_AT_AlterColumnType:
			l.lose(table, ifExists, c.Name)
		}
	}
}

// rows looks at statements that change rows, also those inside of WITH.
func (l *loss) rows(n *pg.Node) {
	walk(n.ProtoReflect(), func(m any) {
		switch m := m.(type) {
		case *pg.UpdateStmt:
			l.lose(relation(m.Relation), false, setColumns(m.TargetList)...)
		case *pg.DeleteStmt:
			l.lose(relation(m.Relation), false)
		case *pg.MergeStmt:
			l.lose(relation(m.Relation), false)
		case *pg.InsertStmt:
			if c := m.OnConflictClause; c.GetAction() == pg.OnConflictAction_ONCONFLICT_UPDATE {
				l.lose(relation(m.Relation), false, setColumns(c.TargetList)...)
			}
		}
	})
}
