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
	for i, s := range c.similar {
		evidence := fmt.Sprintf("similarity %.2f with %s", c.jaccard[i], s.Address)
		switch {
		case s.Address == c.w.Twin: // said already
		case c.jaccard[i] >= c.v.policy.NearBlock:
			c.add("duplicate.near", Block, "/body", evidence)
		case c.jaccard[i] >= c.v.policy.NearWarn:
			c.add("duplicate.near", Warn, "/body", evidence)
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

// compare computes the similarity of the entries that may be near duplicates, but for those whose lengths alone tell
// them apart.
func (c *run) compare() {
	ours := Text(c.p.Document)
	var set []uint64
	for _, s := range c.w.Similar {
		theirs := Text(s.Document)
		if s.Address == c.p.Address() || min(len(ours), len(theirs))*4 < max(len(ours), len(theirs)) || !c.compared(s.Document) {
			continue
		}
		if set == nil {
			set = shingles(ours)
		}
		c.similar, c.jaccard = append(c.similar, s), append(c.jaccard, jaccard(set, shingles(theirs)))
	}
}
