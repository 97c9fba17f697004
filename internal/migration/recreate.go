package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// createOrder has what is depended on before what depends.
var createOrder = []string{
	ObjectSchema, ObjectExtension, ObjectEnum, ObjectType, ObjectDomain, ObjectSequence, ObjectFunction, ObjectTable, ObjectColumn,
	ObjectSequenceValue, ObjectIndex, ObjectConstraint, ObjectStatistics, ObjectView, ObjectMatview, ObjectTrigger, ObjectRule, ObjectPolicy, ObjectPublication,
}

// creates brings back what the step dropped.
func (r *restorer) creates() {
	missing := slices.Clone(r.missing)
	slices.SortStableFunc(missing, func(a, b Object) int {
		order := cmp.Compare(slices.Index(createOrder, a.Kind), slices.Index(createOrder, b.Kind))
		if order == 0 && a.Kind == ObjectConstraint {
			return cmp.Compare(strings.Index("puxcf", a.Facts["type"]), strings.Index("puxcf", b.Facts["type"]))
		}
		if order == 0 && a.Kind == ObjectColumn {
			return cmp.Compare(position(a), position(b))
		}
		return order
	})
	for _, o := range missing {
		r.create(o, missing)
		r.dress(o)
	}
}

func (r *restorer) create(o Object, missing []Object) {
	f, table, full := o.Facts, named(o.Schema, o.Table), named(o.Schema, o.Name)
	switch o.Kind {
	case ObjectSchema:
		r.before("create schema %s", quoted(o.Name))
	case ObjectExtension:
		r.before("create extension %s schema %s version %s", quoted(o.Name), quoted(f["schema"]), text(f["version"]))
	case ObjectEnum:
		r.before("create type %s as enum (%s)", full, f["labels"])
	case ObjectType:
		if f["attributes"] == "" {
			r.fail("%s is a range type", o.Path())
		}
		r.before("create type %s as (%s)", full, f["attributes"])
	case ObjectDomain:
		r.before("create domain %s as %s%s%s%s %s", full, f["base"], prefixed(" collate ", f["collation"]), prefixed(" default ", f["default"]), ifSet(f["not null"], " not null"), f["constraints"])
	case ObjectSequence:
		r.sequence(o, full)
	case ObjectSequenceValue:
		if f["last value"] != "" {
			r.after("select setval(%s, %s)", text(full), f["last value"])
		}
	case ObjectFunction:
		if f["kind"] == "a" {
			r.fail("%s is an aggregate", o.Path())
		}
		r.before("%s", f["definition"])
	case ObjectTable:
		r.table(o, missing)
	case ObjectColumn:
		r.column(o, missing)
	case ObjectIndex:
		if f["constraint"] == "" && f["parents"] == "" {
			r.after("%s", f["definition"])
		}
		if f["clustered"] != "" {
			r.after("alter table %s cluster on %s", table, quoted(o.Name))
		}
		if f["replica identity"] != "" {
			r.after("alter table %s replica identity using index %s", table, quoted(o.Name))
		}
	case ObjectConstraint:
		if f["inherited"] == "" {
			r.after("alter table %s add constraint %s %s%s", table, quoted(o.Name), f["definition"], notValid(f))
		}
	case ObjectStatistics, ObjectTrigger, ObjectRule:
		r.after("%s", f["definition"])
		r.enabled(o)
	case ObjectView:
		r.after("create view %s%s as %s", full, prefixed(" with (", f["options"]+ifSet(f["options"], ")")), strings.TrimSuffix(strings.TrimSpace(f["definition"]), ";"))
	case ObjectMatview:
		r.after("create materialized view %s as %s%s", full, strings.TrimSuffix(strings.TrimSpace(f["definition"]), ";"), ifSet(b2s(f["populated"] == "false"), " with no data"))
	case ObjectPolicy:
		r.after("%s", policy(o))
	case ObjectPublication:
		r.after("alter publication %s add table %s", quoted(o.Name), table)
	}
}

func b2s(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func prefixed(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func ifSet(s, then string) string {
	if s == "" {
		return ""
	}
	return then
}

func notValid(f map[string]string) string { return ifSet(b2s(f["valid"] == "false"), " not valid") }

func policy(o Object) string {
	f := o.Facts
	return fmt.Sprintf("create policy %s on %s as %s for %s to %s%s%s", quoted(o.Name), named(o.Schema, o.Table), cmp.Or(ifSet(f["restrictive"], "restrictive"), "permissive"),
		f["command"], f["roles"], prefixed(" using (", f["using"]+ifSet(f["using"], ")")), prefixed(" with check (", f["check"]+ifSet(f["check"], ")")))
}

// sequence makes one, unless the identity of its column does.
func (r *restorer) sequence(o Object, full string) {
	f := o.Facts
	options := fmt.Sprintf("increment %s minvalue %s maxvalue %s start %s cache %s %s", f["increment"], f["min"], f["max"], f["start"], f["cache"], cmp.Or(ifSet(f["cycle"], "cycle"), "no cycle"))
	if f["identity"] != "" {
		r.after("alter sequence %s %s", full, options)
		return
	}
	r.before("create sequence %s as %s %s", full, f["type"], options)
	if f["owned by"] != "" {
		r.after("alter sequence %s owned by %s", full, f["owned by"])
	}
}

// table makes a table with its columns; the rest is put on it when its rows are there.
func (r *restorer) table(o Object, missing []Object) {
	f := o.Facts
	if f["foreign"] != "" || f["partition"] != "" || f["parents"] != "" {
		r.fail("%s is a partition, inherits, or is foreign", o.Path())
		return
	}
	var columns []string
	for _, c := range missing {
		if c.Kind == ObjectColumn && c.Schema == o.Schema && c.Table == o.Name {
			columns = append(columns, definition(c, missing)+ifSet(c.Facts["not null"], " not null"))
		}
	}
	unlogged := ifSet(b2s(f["persistence"] == "u"), "unlogged ")
	r.before("create %stable %s (%s)%s%s", unlogged, named(o.Schema, o.Name), strings.Join(columns, ", "), prefixed(" partition by ", f["partition key"]), prefixed(" with (", f["options"]+ifSet(f["options"], ")")))
	full := named(o.Schema, o.Name)
	if f["row level security"] != "" {
		r.after("alter table %s enable row level security", full)
	}
	if f["forced row level security"] != "" {
		r.after("alter table %s force row level security", full)
	}
	switch f["replica identity"] {
	case "f":
		r.after("alter table %s replica identity full", full)
	case "n":
		r.after("alter table %s replica identity nothing", full)
	}
}

// column adds a column to a table that is still there. It is filled before it must not be null.
func (r *restorer) column(o Object, missing []Object) {
	f, table, name := o.Facts, named(o.Schema, o.Table), quoted(o.Name)
	with := slices.ContainsFunc(missing, func(t Object) bool { return t.Kind == ObjectTable && t.Schema == o.Schema && t.Name == o.Table })
	if !with {
		r.before("alter table %s add column %s", table, definition(o, missing))
		if f["not null"] != "" && f["identity"] == "" {
			r.after("alter table %s alter column %s set not null", table, name)
		}
	}
	if f["statistics"] != "" {
		r.after("alter table %s alter column %s set statistics %s", table, name, f["statistics"])
	}
	if f["storage"] != "" {
		r.before("alter table %s alter column %s set storage %s", table, name, storages[f["storage"]])
	}
}

var storages = map[string]string{"p": "plain", "e": "external", "m": "main", "x": "extended"}

// definition is a column as CREATE TABLE has it. An identity's sequence gets its old name.
func definition(o Object, missing []Object) string {
	f := o.Facts
	out := quoted(o.Name) + " " + f["type"] + prefixed(" collate ", f["collation"]) + prefixed(" default ", f["default"])
	switch {
	case f["generated"] != "":
		out += " generated always as (" + f["generated"] + ") stored"
	case f["identity"] != "":
		out += " generated " + cmp.Or(ifSet(b2s(f["identity"] == "a"), "always"), "by default") + " as identity"
		for _, s := range missing {
			if s.Kind == ObjectSequence && s.Facts["identity"] != "" && lastName(s.Facts["owned by"]) == o.Name && strings.Contains(s.Facts["owned by"], o.Table) {
				out += " (sequence name " + named(s.Schema, s.Name) + ")"
			}
		}
	}
	return out
}

// lastName is the column in "table.column", which has quotes where it needs them.
func lastName(path string) string {
	if strings.HasSuffix(path, `"`) {
		if i := strings.LastIndex(path[:len(path)-1], `."`); i >= 0 {
			return strings.ReplaceAll(path[i+2:len(path)-1], `""`, `"`)
		}
	}
	return path[strings.LastIndex(path, ".")+1:]
}

func (r *restorer) enabled(o Object) {
	how := map[string]string{"D": "disable", "A": "enable always", "R": "enable replica"}[o.Facts["enabled"]]
	if how != "" {
		r.after("alter table %s %s %s %s", named(o.Schema, o.Table), how, o.Kind, quoted(o.Name))
	}
}

// dress gives an object made again its owner, its grants and its comment.
func (r *restorer) dress(o Object) {
	if o.Facts["owner"] != "" && o.Facts["identity"] == "" && o.Kind != ObjectColumn {
		r.after("alter %s %s owner to %s", alterable(o), signature(o), quoted(o.Facts["owner"]))
	}
	if o.Facts["comment"] != "" {
		r.after("%s", comment(o, o.Facts["comment"]))
	}
	if o.Kind == ObjectColumn {
		r.grants(o, "", o.Facts["grants"])
	}
}

func comment(o Object, s string) string {
	value := "null"
	if s != "" {
		value = text(s)
	}
	on := alterable(o) + " " + signature(o)
	switch o.Kind {
	case ObjectColumn:
		on = "column " + named(o.Schema, o.Table) + "." + quoted(o.Name)
	case ObjectConstraint, ObjectTrigger, ObjectPolicy, ObjectRule:
		on = fmt.Sprintf("%s %s on %s", o.Kind, quoted(o.Name), named(o.Schema, o.Table))
	case ObjectSchema:
		on = "schema " + quoted(o.Name)
	}
	return "comment on " + on + " is " + value
}

// alters brings the facts of what is still there back.
func (r *restorer) alters() {
	for _, p := range r.kept {
		if p.was.Table != "" && r.gone[p.is.Schema+"."+p.is.Table] {
			continue
		}
		for _, name := range factNames(&p.was, &p.is) {
			if was, is := p.was.Facts[name], p.is.Facts[name]; was != is {
				r.alter(p.was, name, was, is)
			}
		}
	}
}

func (r *restorer) alter(o Object, fact, was, is string) {
	switch fact {
	case "comment":
		r.after("%s", comment(o, was))
	case "owner":
		r.after("alter %s %s owner to %s", alterable(o), signature(o), quoted(was))
	case "grants":
		r.grants(o, is, was)
	case "position", "last value", "owned by", "inherited", "constraint":
	default:
		r.alterKind(o, fact, was, is)
	}
}

func (r *restorer) alterKind(o Object, fact, was, is string) {
	table, name, full := named(o.Schema, o.Table), quoted(o.Name), named(o.Schema, o.Name)
	switch o.Kind {
	case ObjectTable:
		r.alterTable(o, fact, was, is)
	case ObjectColumn:
		r.alterColumn(o, fact, was)
	case ObjectConstraint:
		if !r.renamed || fact == "valid" {
			r.after("alter table %s drop constraint %s", table, name)
			r.after("alter table %s add constraint %s %s%s", table, name, o.Facts["definition"], notValid(o.Facts))
			if o.Facts["comment"] != "" {
				r.after("%s", comment(o, o.Facts["comment"]))
			}
		}
	case ObjectIndex:
		if fact == "definition" && !r.renamed && o.Facts["constraint"] == "" {
			r.after("drop index %s", full)
			r.after("%s", was)
		}
	case ObjectFunction:
		if fact == "definition" && !r.renamed {
			r.after("%s", was)
		}
	case ObjectView:
		if fact == "definition" && !r.renamed {
			r.after("drop view %s", full)
			r.create(o, nil)
			r.dress(o)
		}
	case ObjectTrigger, ObjectPolicy, ObjectRule:
		switch {
		case fact == "enabled" && was == "":
			r.after("alter table %s enable %s %s", table, o.Kind, name)
		case fact == "enabled":
			r.enabled(o)
		case !r.renamed:
			r.after("drop %s %s on %s", o.Kind, name, table)
			r.create(o, nil)
		}
	case ObjectSequence:
		r.after("alter sequence %s as %s increment %s minvalue %s maxvalue %s start %s cache %s %s", full, o.Facts["type"], o.Facts["increment"], o.Facts["min"], o.Facts["max"], o.Facts["start"], o.Facts["cache"],
			cmp.Or(ifSet(o.Facts["cycle"], "cycle"), "no cycle"))
	case ObjectExtension:
		if fact == "version" {
			r.after("alter extension %s update to %s", name, text(was))
		}
	default:
		if !r.renamed {
			r.fail("%s of %s cannot be set back from %q to %q", fact, o.Path(), is, was)
		}
	}
}

func (r *restorer) alterTable(o Object, fact, was, is string) {
	full := named(o.Schema, o.Name)
	switch fact {
	case "row level security":
		r.after("alter table %s %s row level security", full, cmp.Or(ifSet(was, "enable"), "disable"))
	case "forced row level security":
		r.after("alter table %s %s row level security", full, cmp.Or(ifSet(was, "force"), "no force"))
	case "replica identity":
		r.after("alter table %s replica identity %s", full, cmp.Or(map[string]string{"f": "full", "n": "nothing"}[was], "default"))
	case "options":
		for _, o := range strings.Split(is, ", ") {
			if key, _, ok := strings.Cut(o, "="); ok {
				r.after("alter table %s reset (%s)", full, key)
			}
		}
		if was != "" {
			r.after("alter table %s set (%s)", full, was)
		}
	case "persistence":
		r.after("alter table %s set %s", full, cmp.Or(ifSet(b2s(was == "u"), "unlogged"), "logged"))
	default:
		r.fail("%s of %s cannot be set back from %q to %q", fact, o.Path(), is, was)
	}
}

func (r *restorer) alterColumn(o Object, fact, was string) {
	alter := fmt.Sprintf("alter table %s alter column %s ", named(o.Schema, o.Table), quoted(o.Name))
	switch fact {
	case "not null":
		r.after("%s%s not null", alter, cmp.Or(ifSet(was, "set"), "drop"))
	case "default":
		if was == "" {
			r.after("%sdrop default", alter)
		} else {
			r.after("%sset default %s", alter, was)
		}
	case "type", "collation":
		if fact == "type" || o.Facts["collation"] != "" {
			r.before("%sdrop default", alter)
			r.before("%stype %s%s using %s::text::%s", alter, o.Facts["type"], prefixed(" collate ", o.Facts["collation"]), quoted(o.Name), o.Facts["type"])
			if o.Facts["default"] != "" {
				r.after("%sset default %s", alter, o.Facts["default"])
			}
		}
	case "storage":
		r.after("%sset storage %s", alter, cmp.Or(storages[was], "extended"))
	case "statistics":
		r.after("%sset statistics %s", alter, cmp.Or(was, "-1"))
	case "identity":
		if was == "" {
			r.after("%sdrop identity if exists", alter)
		} else {
			r.after("%sadd generated %s as identity", alter, cmp.Or(ifSet(b2s(was == "a"), "always"), "by default"))
		}
	default:
		r.fail("%s of %s cannot be set back", fact, o.Path())
	}
}

var privileges = map[rune]string{
	'r': "select", 'a': "insert", 'w': "update", 'd': "delete", 'D': "truncate", 'x': "references", 't': "trigger", 'X': "execute",
	'U': "usage", 'C': "create", 'm': "maintain",
}

// grants brings the privileges, as an access control list has them, from one to the other.
func (r *restorer) grants(o Object, is, was string) {
	have, want := split(is), split(was)
	on := grantee(o)
	for _, a := range have {
		if !slices.Contains(want, a) {
			who, _ := entry(a)
			r.after("revoke all%s on %s from %s", columnOf(o), on, who)
		}
	}
	for _, a := range want {
		if !slices.Contains(have, a) {
			who, letters := entry(a)
			for i, l := range letters {
				option := ifSet(b2s(strings.HasPrefix(letters[i+1:], "*")), " with grant option")
				if p := privileges[l]; p != "" {
					r.after("grant %s%s on %s to %s%s", p, columnOf(o), on, who, option)
				}
			}
		}
	}
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// entry takes "role=arwd/grantor" apart.
func entry(a string) (who, letters string) {
	i := strings.LastIndex(a, "=")
	who, letters = a[:max(i, 0)], a[i+1:]
	letters, _, _ = strings.Cut(letters, "/")
	switch {
	case who == "":
		return "public", letters
	case strings.HasPrefix(who, `"`):
		return who, letters
	}
	return quoted(who), letters
}

func grantee(o Object) string {
	switch o.Kind {
	case ObjectColumn:
		return "table " + named(o.Schema, o.Table)
	case ObjectView, ObjectMatview:
		return "table " + named(o.Schema, o.Name)
	case ObjectSchema:
		return "schema " + quoted(o.Name)
	}
	return alterable(o) + " " + signature(o)
}

func columnOf(o Object) string {
	if o.Kind == ObjectColumn {
		return " (" + quoted(o.Name) + ")"
	}
	return ""
}
