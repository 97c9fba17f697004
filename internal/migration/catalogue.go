package migration

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// The kinds of objects of a catalogue, as Object names them.
const (
	ObjectSchema        = "schema"
	ObjectTable         = "table"
	ObjectColumn        = "column"
	ObjectConstraint    = "constraint"
	ObjectIndex         = "index"
	ObjectSequence      = "sequence"
	ObjectSequenceValue = "sequence value" // changes as rows are inserted; Structure leaves it out
	ObjectView          = "view"
	ObjectMatview       = "materialized view"
	ObjectFunction      = "function"
	ObjectTrigger       = "trigger"
	ObjectPolicy        = "policy"
	ObjectRule          = "rule"
	ObjectEnum          = "enum"
	ObjectDomain        = "domain"
	ObjectType          = "type" // composite and range types
	ObjectStatistics    = "statistics"
	ObjectPublication   = "published table"
	ObjectExtension     = "extension"
)

// Object is one thing in the catalogue of a database. Its facts are what a person could have said in SQL, and nothing that
// differs between two databases made by the same SQL.
type Object struct {
	Kind   string            `json:"kind"`
	Schema string            `json:"schema,omitempty"` // none: of a schema or an extension
	Table  string            `json:"table,omitempty"`  // of a column, constraint, index, trigger, policy, rule, published table
	Name   string            `json:"name"`             // of a function with its argument types
	ID     string            `json:"id,omitempty"`     // the server's own; tells a rename from a drop, and is not compared
	Facts  map[string]string `json:"facts,omitempty"`  // absent: not set
}

// Path names the object for people and in differences, such as "column public.orders.status".
func (o Object) Path() string {
	parts := slices.DeleteFunc([]string{o.Schema, o.Table, o.Name}, func(s string) bool { return s == "" })
	return o.Kind + " " + strings.Join(parts, ".")
}

func compareObjects(a, b Object) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name))
}

// Catalogue is the full structure of a database, sorted by kind, schema, table and name.
type Catalogue struct {
	Objects []Object `json:"objects"`
}

// NewCatalogue sorts the objects into a catalogue.
func NewCatalogue(objects []Object) Catalogue {
	slices.SortFunc(objects, compareObjects)
	return Catalogue{Objects: objects}
}

// Structure returns the catalogue without what changes as rows come and go.
func (c Catalogue) Structure() Catalogue {
	return Catalogue{Objects: slices.DeleteFunc(slices.Clone(c.Objects), func(o Object) bool { return o.Kind == ObjectSequenceValue })}
}

// Find returns an object.
func (c Catalogue) Find(kind, schema, table, name string) (Object, bool) {
	i, ok := slices.BinarySearchFunc(c.Objects, Object{Kind: kind, Schema: schema, Table: table, Name: name}, compareObjects)
	if !ok {
		return Object{}, false
	}
	return c.Objects[i], true
}

// Of returns the objects of a kind that belong to a table.
func (c Catalogue) Of(kind, schema, table string) (out []Object) {
	for _, o := range c.Objects {
		if o.Kind == kind && o.Schema == schema && o.Table == table {
			out = append(out, o)
		}
	}
	return out
}

// Difference is one fact that differs, or one row that does. Before and After are empty where there is none.
type Difference struct {
	Path   string `json:"path"` // that of the object and the fact, or "row schema.table(key)"
	Before string `json:"before"`
	After  string `json:"after"`
}

// OfRow reports whether it is a row that differs, and no fact of the catalogue.
func (d Difference) OfRow() bool { return strings.HasPrefix(d.Path, "row ") }

// Diff compares two catalogues, in the order of the objects. An object that is in one only is one difference, whose
// Before or After lists its facts.
func Diff(a, b Catalogue) (out []Difference) {
	eachPair(a, b, func(x, y *Object) {
		switch {
		case y == nil:
			out = append(out, Difference{Path: x.Path(), Before: x.facts()})
		case x == nil:
			out = append(out, Difference{Path: y.Path(), After: y.facts()})
		default:
			for _, name := range factNames(x, y) {
				if x.Facts[name] != y.Facts[name] {
					out = append(out, Difference{Path: x.Path() + ": " + name, Before: x.Facts[name], After: y.Facts[name]})
				}
			}
		}
	})
	return out
}

// Changes holds the objects that differ between two catalogues, as they were on each side.
type Changes struct {
	Before []Object `json:"before,omitempty"`
	After  []Object `json:"after,omitempty"`
}

// Then returns the changes of one after the other.
func (c Changes) Then(next Changes) Changes {
	was, is := map[string]bool{}, map[string]bool{}
	for _, o := range append(slices.Clone(c.Before), c.After...) {
		was[o.Path()] = true
	}
	for _, o := range append(slices.Clone(next.Before), next.After...) {
		is[o.Path()] = true
	}
	out := Changes{Before: slices.Clone(c.Before), After: slices.Clone(next.After)}
	for _, o := range next.Before {
		if !was[o.Path()] {
			out.Before = append(out.Before, o)
		}
	}
	for _, o := range c.After {
		if !is[o.Path()] {
			out.After = append(out.After, o)
		}
	}
	return out
}

// Changed returns the objects that differ. The value of a sequence counts where the sequence went.
func Changed(a, b Catalogue) (out Changes) {
	eachPair(a, b, func(x, y *Object) {
		if x != nil && y != nil && (maps.Equal(x.Facts, y.Facts) || x.Kind == ObjectSequenceValue) || x == nil && y.Kind == ObjectSequenceValue {
			return
		}
		if x != nil {
			out.Before = append(out.Before, *x)
		}
		if y != nil {
			out.After = append(out.After, *y)
		}
	})
	return out
}

// Among returns the objects of the catalogue that are named in the changes, on either side: what an undoing has to bring back
// to Before.
func (c Catalogue) Among(changes Changes) Catalogue {
	named := map[string]bool{}
	for _, o := range append(slices.Clone(changes.Before), changes.After...) {
		named[o.Path()] = true
	}
	return Catalogue{Objects: slices.DeleteFunc(slices.Clone(c.Objects), func(o Object) bool { return !named[o.Path()] })}
}

// eachPair walks two catalogues together. One of the two is nil where the other has no such object.
func eachPair(a, b Catalogue, do func(x, y *Object)) {
	i, j := 0, 0
	for i < len(a.Objects) || j < len(b.Objects) {
		order := 0
		switch {
		case i == len(a.Objects):
			order = 1
		case j == len(b.Objects):
			order = -1
		default:
			order = compareObjects(a.Objects[i], b.Objects[j])
		}
		switch {
		case order < 0:
			do(&a.Objects[i], nil)
			i++
		case order > 0:
			do(nil, &b.Objects[j])
			j++
		default:
			do(&a.Objects[i], &b.Objects[j])
			i++
			j++
		}
	}
}

func factNames(x, y *Object) []string {
	all := maps.Clone(x.Facts)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, y.Facts)
	return slices.Sorted(maps.Keys(all))
}

func (o Object) facts() string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(o.Facts)) {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(name + " = " + o.Facts[name])
	}
	return b.String()
}
