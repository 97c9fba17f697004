// Package injection finds text that is written for the model that reads it and not for the person: instructions, markers of
// roles, text that is hidden or encoded, and addresses that carry away what a reader knows. Text comes in; kinds and places
// go out. It tells what a person must look at, not what is evil: a page about such attacks is found as well.
package injection

import (
	"cmp"
	"slices"
	"strings"
)

// Kind is a kind of finding.
type Kind string

// The kinds.
const (
	Instruction  Kind = "instruction"  // tells a model what to do
	Role         Kind = "role"         // pretends to be another speaker
	Hidden       Kind = "hidden"       // is not seen where the text is shown
	Encoded      Kind = "encoded"      // decodes to one of these
	Exfiltration Kind = "exfiltration" // carries away what a reader knows
	Active       Kind = "active"       // HTML that runs or loads something
)

// Finding is one place.
type Finding struct {
	Kind       Kind
	Rule       string // which rule of the kind
	Start, End int    // bytes
}

// Find returns what a text holds, by place. It is given what Decoded returns of the text.
func Find(s string, decoded []Segment) []Finding {
	var out []Finding
	out = instructions(out, s)
	out = roles(out, s)
	out = hidden(out, s)
	out = exfiltration(out, s)
	out = disguised(out, s)
	for _, d := range decoded {
		if rule := judge(d.Text); rule != "" {
			out = append(out, Finding{Encoded, d.Encoding + ": " + rule, d.Start, d.End})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(a.Start-b.Start, a.End-b.End, cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.Compact(out)
}

// judge says which rule a decoded text meets, "" none.
func judge(s string) string {
	var found []Finding
	found = instructions(found, s)
	found = roles(found, s)
	found = exfiltration(found, s)
	if len(found) == 0 {
		if strings.Contains(s, "<") && activeHTML.MatchString(s) {
			return "markup"
		}
		return ""
	}
	return found[0].Rule
}

// near bounds how far apart two halves of an instruction stand, in bytes of the folded text.
const near = 300

// instructions applies the rules for them.
func instructions(out []Finding, s string) []Finding {
	f := fold(s)
	out = apply(out, f, true)
	if g, ok := alike(f); ok {
		out = apply(out, g, false)
	}
	return out
}

func apply(out []Finding, f folded, spaced bool) []Finding {
	add := func(rule string, start, end int) {
		from := int(f.at[start])
		to := int(f.at[end-1]) + 1
		out = append(out, Finding{Instruction, rule, from, to})
	}
	var address, order []Finding
	in := gramsOf(f.s)
	for _, r := range allRules {
		if r.weight == orders && len(address) == 0 { // the table has addresses first
			continue
		}
		for _, m := range r.find(f.s, in) {
			switch r.weight {
			case alone:
				add(r.name, m[0], m[1])
			case addresses:
				address = append(address, Finding{Rule: r.name, Start: m[0], End: m[1]})
			case orders:
				order = append(order, Finding{Rule: r.name, Start: m[0], End: m[1]})
			}
		}
	}
	for _, a := range address {
		for _, o := range order {
			if o.Start-a.End < near && a.Start-o.End < near {
				add(a.Rule+" and "+o.Rule, min(a.Start, o.Start), max(a.End, o.End))
				break
			}
		}
	}
	for _, m := range signs(f.s) {
		add("several signs", m[0], m[1])
	}
	for _, m := range scored(f.s) {
		add("addresses a model and asks something of it", m[0], m[1])
	}
	if spaced {
		plain := letters(f.s)
		for _, w := range []string{"instruction", "prompt", "directive", "guideline"} {
			if !strings.Contains(plain, w) {
				continue
			}
			c := compact(f)
			for _, m := range compactForm.FindAllStringIndex(c.s, -1) {
				out = append(out, Finding{Instruction, "spaced", int(c.at[m[0]]), int(c.at[m[1]-1]) + 1})
			}
			break
		}
	}
	return out
}
