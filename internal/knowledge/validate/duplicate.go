package validate

import (
	"fmt"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// duplicates: the same document elsewhere, or nearly the same text.
func (c *run) duplicates() {
	if c.w.Twin != "" && c.w.Twin != c.p.Address() {
		c.add("duplicate.exact", Block, "", "the same document as "+c.w.Twin)
	}
	for _, s := range c.w.Similar {
		if s.Address == c.p.Address() || s.Address == c.w.Twin || !c.compared(s.Document) {
			continue
		}
		if j := c.jaccard(s.Document); j >= c.v.policy.NearBlock {
			c.add("duplicate.near", Block, "/body", fmt.Sprintf("similarity %.2f with %s", j, s.Address))
		} else if j >= c.v.policy.NearWarn {
			c.add("duplicate.near", Warn, "/body", fmt.Sprintf("similarity %.2f with %s", j, s.Address))
		}
	}
}

// compared says whether a document may be a duplicate of the proposal's: facts of different keys are not, however alike
// their wording.
func (c *run) compared(d knowledge.Document) bool {
	ours, _ := Facts("", c.p.Document)
	theirs, _ := Facts("", d)
	if len(ours) == 0 || len(theirs) == 0 {
		return true
	}
	for _, f := range ours {
		for _, g := range theirs {
			if f.FactKey == g.FactKey {
				return true
			}
		}
	}
	return false
}

// jaccard compares the proposal with a document, at no cost where their lengths alone tell them apart.
func (c *run) jaccard(d knowledge.Document) float64 {
	ours, theirs := Text(c.p.Document), Text(d)
	if min(len(ours), len(theirs))*4 < max(len(ours), len(theirs)) {
		return 0
	}
	if c.shingle == nil {
		c.shingle = shingles(ours)
	}
	return jaccard(c.shingle, shingles(theirs))
}
