package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Restore makes the statements that bring the objects of the changes from After back to Before: those of pre before rows are
// filled in, those of post once they are. What was renamed is known by its ID. The error says what cannot be brought back.
func Restore(c Changes) (pre, post []string, err error) {
	r := &restorer{changes: c, gone: map[string]bool{}}
	r.match()
	r.drops()
	r.renames()
	r.creates()
	r.alters()
	return r.pre, r.post, r.err
}

// pair is an object that is on both sides.
type pair struct{ was, is Object }

type restorer struct {
	changes   Changes
	added     []Object // by the step; they go
	missing   []Object // dropped by the step; they come back
	kept      []pair
	renamed   bool
	gone      map[string]bool // tables, views and so on among added, by schema.name
	pre, post []string
	err       error
}

func (r *restorer) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *restorer) before(format string, args ...any) {
	r.pre = append(r.pre, fmt.Sprintf(format, args...))
}

func (r *restorer) after(format string, args ...any) {
	r.post = append(r.post, fmt.Sprintf(format, args...))
}

// match finds what is on both sides: by its path, where that is of the same object or of one made again, else by its ID.
func (r *restorer) match() {
	after := map[string]int{}
	for i, o := range r.changes.After {
		if o.ID != "" {
			after[o.Kind+" "+o.ID] = i
		}
		after[o.Path()] = i
	}
	taken := map[int]bool{}
	var rest []Object
	for _, o := range r.changes.Before {
		if i, ok := after[o.Kind+" "+o.ID]; ok && o.ID != "" && !taken[i] {
			taken[i] = true
			r.kept = append(r.kept, pair{o, r.changes.After[i]})
			continue
		}
		rest = append(rest, o)
	}
	for _, o := range rest {
		if i, ok := after[o.Path()]; ok && !taken[i] {
			taken[i] = true
			r.kept = append(r.kept, pair{o, r.changes.After[i]})
			continue
		}
		r.missing = append(r.missing, o)
	}
	for i, o := range r.changes.After {
		if !taken[i] {
			r.added = append(r.added, o)
			if relationKind(o.Kind) {
				r.gone[o.Schema+"."+o.Name] = true
			}
		}
	}
}

func relationKind(kind string) bool {
	return kind == ObjectTable || kind == ObjectView || kind == ObjectMatview
}

// dropOrder has what depends before what it depends on.
var dropOrder = []string{
	ObjectTrigger, ObjectPolicy, ObjectRule, ObjectPublication, ObjectStatistics, ObjectMatview, ObjectView, ObjectIndex, ObjectConstraint,
	ObjectColumn, ObjectTable, ObjectSequence, ObjectFunction, ObjectDomain, ObjectType, ObjectEnum, ObjectSchema, ObjectExtension,
}

// drops takes away what the step added. What belongs to a table goes with it.
func (r *restorer) drops() {
	added := slices.Clone(r.added)
	slices.SortStableFunc(added, func(a, b Object) int {
		if a.Kind == ObjectConstraint && b.Kind == ObjectConstraint { // foreign keys before the keys they refer to
			return cmp.Compare(b2i(a.Facts["type"] != "f"), b2i(b.Facts["type"] != "f"))
		}
		return cmp.Compare(slices.Index(dropOrder, a.Kind), slices.Index(dropOrder, b.Kind))
	})
	for _, o := range added {
		if o.Table != "" && r.gone[o.Schema+"."+o.Table] && (o.Kind != ObjectConstraint || o.Facts["type"] != "f") {
			continue
		}
		if s := dropStatement(o); s != "" {
			r.before("%s", s)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func dropStatement(o Object) string {
	table, name := named(o.Schema, o.Table), quoted(o.Name)
	switch o.Kind {
	case ObjectTrigger, ObjectPolicy, ObjectRule:
		return fmt.Sprintf("drop %s if exists %s on %s", o.Kind, name, table)
	case ObjectPublication:
		return fmt.Sprintf("alter publication %s drop table %s", name, table)
	case ObjectConstraint:
		if o.Facts["inherited"] != "" {
			return ""
		}
		return fmt.Sprintf("alter table %s drop constraint if exists %s", table, name)
	case ObjectColumn:
		return fmt.Sprintf("alter table %s drop column if exists %s", table, name)
	case ObjectIndex:
		if o.Facts["constraint"] != "" || o.Facts["parents"] != "" {
			return ""
		}
		return "drop index if exists " + named(o.Schema, o.Name)
	case ObjectSequence:
		if o.Facts["owned by"] != "" {
			return "drop sequence if exists " + named(o.Schema, o.Name) + " cascade" // the default of its column, which goes too
		}
		return "drop sequence if exists " + named(o.Schema, o.Name)
	case ObjectFunction:
		return "drop " + routine(o) + " if exists " + signature(o)
	case ObjectTable, ObjectView, ObjectMatview, ObjectDomain, ObjectStatistics:
		return fmt.Sprintf("drop %s if exists %s", o.Kind, named(o.Schema, o.Name))
	case ObjectType, ObjectEnum:
		return "drop type if exists " + named(o.Schema, o.Name)
	case ObjectSchema, ObjectExtension:
		return fmt.Sprintf("drop %s if exists %s", o.Kind, name)
	}
	return ""
}

// renames gives objects their old names. Those that swap their names go through a third one.
func (r *restorer) renames() {
	type rename struct{ how, from, to, back string }
	var list []rename
	for _, p := range r.kept {
		if p.was.ID != p.is.ID || p.was.Path() == p.is.Path() {
			continue
		}
		if p.was.Name != p.is.Name || p.was.Schema != p.is.Schema {
			r.renamed = true
		}
		switch {
		case p.was.Kind == ObjectSchema:
			r.before("alter schema %s rename to %s", quoted(p.is.Name), quoted(p.was.Name))
		case p.was.Schema != p.is.Schema && p.was.Table == "":
			r.before("alter %s %s set schema %s", alterable(p.is), signature(p.is), quoted(p.was.Schema))
		case p.was.Name == p.is.Name:
		case p.was.Kind == ObjectColumn, p.was.Kind == ObjectConstraint, p.was.Kind == ObjectTrigger, p.was.Kind == ObjectPolicy:
			continue // below, by the name that the table has then
		default:
			list = append(list, rename{alterable(p.is), signature(p.is), quoted(bare(p.was.Name)), named(p.was.Schema, "")})
		}
	}
	for i, n := range list {
		r.before("alter %s %s rename to %s", n.how, n.from, quoted(fmt.Sprintf("tartan rename %d", i)))
	}
	for i, n := range list {
		r.before("alter %s %s rename to %s", n.how, n.back+quoted(fmt.Sprintf("tartan rename %d", i))+arguments(n.from, n.how), n.to)
	}
	var parts []pair
	for _, p := range r.kept {
		if p.was.ID == p.is.ID && p.was.Name != p.is.Name && p.was.Table != "" && p.was.Kind != ObjectIndex {
			parts = append(parts, p)
		}
	}
	third := func(i int) string { return quoted(fmt.Sprintf("tartan rename %d", i)) }
	for i, p := range parts {
		r.before("%s", renamePart(p.was, quoted(p.is.Name), third(i)))
	}
	for i, p := range parts {
		r.before("%s", renamePart(p.was, third(i), quoted(p.was.Name)))
	}
	r.renamed = r.renamed || len(parts) > 0
}

func renamePart(o Object, from, to string) string {
	table := named(o.Schema, o.Table)
	switch o.Kind {
	case ObjectTrigger, ObjectPolicy:
		return fmt.Sprintf("alter %s %s on %s rename to %s", o.Kind, from, table, to)
	case ObjectConstraint:
		return fmt.Sprintf("alter table %s rename constraint %s to %s", table, from, to)
	}
	return fmt.Sprintf("alter table %s rename column %s to %s", table, from, to)
}

// alterable is the word after ALTER.
func alterable(o Object) string {
	switch o.Kind {
	case ObjectEnum:
		return "type"
	case ObjectFunction:
		return routine(o)
	}
	return o.Kind
}

func routine(o Object) string {
	switch o.Facts["kind"] {
	case "p":
		return "procedure"
	case "a":
		return "aggregate"
	}
	return "function"
}

// quoted quotes a name.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// named quotes a name with its schema; without a name it is the part before it.
func named(schema, name string) string {
	switch {
	case schema == "":
		return quoted(name)
	case name == "":
		return quoted(schema) + "."
	}
	return quoted(schema) + "." + quoted(name)
}

// bare is the name of a function without its arguments.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "(")
	return name
}

// signature is the name of an object as ALTER and DROP take it: that of a function has its argument types.
func signature(o Object) string {
	if o.Kind != ObjectFunction {
		return named(o.Schema, o.Name)
	}
	name, args, _ := strings.Cut(o.Name, "(")
	return named(o.Schema, name) + "(" + args
}

func arguments(signature, how string) string {
	if i := strings.Index(signature, "("); i >= 0 && (how == "function" || how == "procedure" || how == "aggregate") {
		return signature[i:]
	}
	return ""
}

func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func position(o Object) int {
	n, _ := strconv.Atoi(o.Facts["position"])
	return n
}
