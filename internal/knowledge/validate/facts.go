package validate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// FactKey is what two facts must share to be about the same thing: case, blanks and - or _ do not count.
type FactKey struct {
	Subject, Predicate, Scope string
}

// Fact is one statement. It holds from From up to To, exclusive; a zero time is no bound.
type Fact struct {
	FactKey
	Value    string // canonical: two facts say the same when it is equal
	From, To time.Time
	Many     bool   // the predicate holds several values at once
	Address  string // "space/slug" of the entry that says it
	Path     string // of the fact in its document
}

// Overlaps says whether both facts hold at some time.
func (f Fact) Overlaps(g Fact) bool {
	return (f.To.IsZero() || g.From.Before(f.To)) && (g.To.IsZero() || f.From.Before(g.To))
}

// Contradicts says whether two facts cannot both be true.
func (f Fact) Contradicts(g Fact) bool {
	return f.FactKey == g.FactKey && !f.Many && !g.Many && f.Value != g.Value && f.Overlaps(g)
}

// FormError says that a fact cannot be read, and where.
type FormError struct{ Path, Reason string }

func (e FormError) Error() string { return e.Path + ": " + e.Reason }

// Facts reads what a document states: its metadata is a fact when it has subject, predicate and value, and each element
// of metadata.facts is one. The facts of the metadata are without validity of their own where valid_from and valid_to of
// the document hold. Facts that cannot be read are in the errors, each a FormError.
func Facts(address string, d knowledge.Document) (facts []Fact, faults []error) {
	read := func(path string, m map[string]any) {
		f, err := factOf(path, m, d.Metadata)
		if err != nil {
			faults = append(faults, err)
			return
		}
		f.Address = address
		facts = append(facts, f)
	}
	_, subject := d.Metadata["subject"]
	_, predicate := d.Metadata["predicate"]
	if subject && predicate {
		read("/metadata", d.Metadata)
	}
	list, _ := d.Metadata["facts"].([]any)
	for i, e := range list {
		if m, ok := e.(map[string]any); ok {
			read(fmt.Sprintf("/metadata/facts/%d", i), m)
		} else if d.Schema == "fact" {
			faults = append(faults, FormError{fmt.Sprintf("/metadata/facts/%d", i), "a fact is an object"})
		}
	}
	return facts, faults
}

func factOf(path string, m, document map[string]any) (f Fact, err error) {
	f.Path = path
	for _, field := range []struct {
		name string
		to   *string
		need bool
	}{{"subject", &f.Subject, true}, {"predicate", &f.Predicate, true}, {"scope", &f.Scope, false}} {
		v, there := m[field.name]
		s, ok := v.(string)
		*field.to = keyForm(s)
		if there && !ok || field.need && *field.to == "" {
			return f, FormError{path + "/" + field.name, "want a text that is not empty"}
		}
	}
	value, ok := m["value"]
	if !ok || value == nil {
		return f, FormError{path + "/value", "want a value"}
	}
	f.Value = valueForm(value)
	f.Many, _ = m["many"].(bool)
	for _, bound := range []struct {
		name string
		to   *time.Time
	}{{"valid_from", &f.From}, {"valid_to", &f.To}} {
		v, there := m[bound.name]
		if !there {
			v, there = document[bound.name]
		}
		if !there {
			continue
		}
		s, _ := v.(string)
		if *bound.to, ok = ParseTime(s); !ok {
			return f, FormError{path + "/" + bound.name, fmt.Sprintf("%s is no time", quoted(s))}
		}
	}
	if !f.To.IsZero() && !f.From.Before(f.To) {
		return f, FormError{path + "/valid_to", "the end is not after the start"}
	}
	return f, nil
}

// keyForm is the form in which subjects, predicates and scopes are compared.
func keyForm(s string) string {
	s = cases.Fold().String(norm.NFKC.String(s))
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '_' || isBlank(r) }), "_")
}

// valueForm is the form in which values are compared: numbers by value, texts without case and blanks around, with the
// number before a unit read as one ("1,000 ms" is "1000ms"), lists and objects as JSON.
func valueForm(v any) string {
	switch v := v.(type) {
	case string:
		return textValue(v)
	case json.Number:
		return textValue(v.String())
	case bool:
		return fmt.Sprint(v)
	case float64, int, int64:
		return textValue(fmt.Sprint(v))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// ParseTime reads an RFC 3339 time, or a date as the start of its day in UTC.
func ParseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// ownFacts are the facts of the proposal, with the policy's predicates of many values.
func (v *Validator) ownFacts(p Proposal) ([]Fact, []error) {
	facts, faults := Facts(p.Address(), p.Document)
	for i := range facts {
		facts[i].Many = facts[i].Many || slices.Contains(v.policy.ManyValued, facts[i].Predicate)
	}
	return facts, faults
}

// contradictions: facts against those of other entries and each other, and sentences against those of near duplicates.
func (c *run) contradictions() {
	facts, faults := c.v.ownFacts(c.p)
	for _, err := range faults {
		var f FormError
		if errors.As(err, &f) {
			c.add("fact.form", Block, f.Path, f.Reason)
		}
	}
	others := slices.DeleteFunc(slices.Clone(c.w.Facts), func(f Fact) bool { return f.Address == c.p.Address() })
	for i, f := range facts {
		for _, g := range append(slices.Clone(facts[:i]), others...) {
			if f.Contradicts(g) {
				c.add("contradiction.fact", Block, f.Path, fmt.Sprintf("%s %s%s is %s, and in %s %s", f.Subject, f.Predicate, inScope(f.Scope),
					excerpt(f.Value, 60), g.Address, excerpt(g.Value, 60)))
			}
		}
	}
	for i, s := range c.similar {
		if c.jaccard[i] < MinNear {
			continue
		}
		for _, m := range mismatches(c.p.Document.Body, s.Document.Body) {
			c.add("contradiction."+m.kind, Warn, text{path: "/body", value: c.p.Document.Body}.at(m.at),
				fmt.Sprintf("%s; in %s %s", excerpt(m.ours, 120), s.Address, excerpt(m.theirs, 120)))
		}
	}
}

func inScope(scope string) string {
	if scope == "" {
		return ""
	}
	return " in " + scope
}
