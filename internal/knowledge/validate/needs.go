package validate

import (
	"slices"
	"strings"
)

// Needs says what the caller is to look up for a proposal. A document that has no canonical form needs nothing.
func (v *Validator) Needs(p Proposal) Needs {
	if p.Op == Delete {
		return Needs{Inbound: true}
	}
	hash, _, err := p.Document.Hash()
	if err != nil {
		return Needs{}
	}
	n := Needs{Hash: hash, Text: Text(p.Document)}
	for _, l := range p.Document.Links {
		if kindOf(l.Target) == internalTarget {
			n.Targets = append(n.Targets, l.Target)
		}
	}
	facts, _ := v.ownFacts(p)
	for _, f := range facts {
		n.Facts = append(n.Facts, f.FactKey)
	}
	for _, s := range p.Document.Sources {
		n.Sources = append(n.Sources, SourceKey(s))
	}
	slices.Sort(n.Targets)
	slices.Sort(n.Sources)
	slices.SortFunc(n.Facts, func(a, b FactKey) int {
		return strings.Compare(a.Subject+"\x00"+a.Predicate+"\x00"+a.Scope, b.Subject+"\x00"+b.Predicate+"\x00"+b.Scope)
	})
	n.Targets, n.Sources, n.Facts = slices.Compact(n.Targets), slices.Compact(n.Sources), slices.Compact(n.Facts)
	if !p.Restores {
		n.Prints = Prints(p.Document.Body)
	}
	return n
}
