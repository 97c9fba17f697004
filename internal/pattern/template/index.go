package template

import (
	"sync"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Index recognises messages: an immutable view of a Library, safe for concurrent use.
type Index struct {
	texts    arena
	records  pages[record]
	byID     table
	views    pages[*groupView]
	bySkel   table
	patterns pages[patternRecord]
	byName   table
	plans    pages[[]slotPlan]
	rules    *ruleSet
	told     toldShapes
	scanners sync.Pool
	near     neighbours
}

// Index returns a view of the library as it is now. It shares with the library what does not change later, and costs a pointer
// per page of it.
func (l *Library) Index() *Index {
	return &Index{
		texts: l.texts.snapshot(), records: l.records.snapshot(), byID: l.byID.snapshot(), views: l.views.snapshot(),
		bySkel: l.bySkel.snapshot(), patterns: l.patterns.snapshot(), byName: l.byName.snapshot(), plans: l.plans.snapshot(), rules: l.rules,
		told:     l.told.snapshot(),
		scanners: sync.Pool{New: func() any { return new(scanner) }},
	}
}

// Recognise finds the pattern of a message and fills m. A message whose shape was learnt is known for sure; one with a new word
// where the pattern has a slot is recognised with less confidence. It does not allocate once m was used twice
// and m.Values is large enough.
func (ix *Index) Recognise(message []byte, m *Match) bool {
	s := m.scan
	if s == nil {
		s = ix.scanners.Get().(*scanner)
		if cap(m.Values) > 0 { // it was used before: it keeps the scanner, which is cheaper than the pool
			m.scan = s
		} else {
			defer ix.scanners.Put(s)
		}
	}
	s.glance(message)
	return ix.match(s, message, m)
}

func (ix *Index) match(s *scanner, message []byte, m *Match) bool {
	m.Pattern, m.Shape, m.Confidence, m.Values = "", s.id(), 0, m.Values[:0]
	if i := ix.exact(s); i >= 0 {
		r := ix.records.at(i)
		if r.askedOf && ix.toldMatch(s, message, i, m) {
			return true
		}
		m.Shape = r.id
		ix.known(s, m, r)
		m.Confidence = 1
		return true
	}
	g := ix.bySkel.find(s.skel, func(i int) bool { return (*ix.views.at(i)).skel == s.skel })
	if g < 0 {
		return ix.ruled(s, message, m)
	}
	view := *ix.views.at(g)
	if i := ix.wide(s, view); i >= 0 {
		r := ix.records.at(i)
		if r.askedOf && ix.toldMatch(s, message, i, m) {
			return true
		}
		m.Shape = r.id
		ix.fill(s, m, view, r.cluster)
		m.Confidence = 1
		return true
	}
	if ix.ruled(s, message, m) {
		return true
	}
	for k := range view.masks {
		if c, ok := view.find(s.with(&view.masks[k])); ok {
			ix.fill(s, m, view, c)
			m.Confidence = confidence(&view.masks[k], len(s.tokens))
			return true
		}
	}
	return false
}

// find returns the record with the id, folded or not, or -1. It is what table.find does, without a call for each step.
func (ix *Index) find(id ShapeID) int {
	slots := &ix.byID.slots
	if slots.n == 0 {
		return -1
	}
	for h := ix.byID.home(uint64(id)); ; h = ix.byID.next(h) {
		v := *slots.at(h)
		if v == 0 {
			return -1
		}
		if ix.records.at(int(v-1)).id == id {
			return int(v - 1)
		}
	}
}

// exact returns the live record of the scanned shape, or -1.
func (ix *Index) exact(s *scanner) int {
	i := ix.find(s.id())
	if i < 0 {
		return -1
	}
	r := ix.records.at(i)
	if r.proof != s.proof() {
		return -1
	}
	for r.folded {
		i = int(r.cluster)
		r = ix.records.at(i)
	}
	return i
}

// wide returns the record of the wider shape that takes the scanned one, or -1.
func (ix *Index) wide(s *scanner, view *groupView) int {
	wide := view.widened()
	for k := range wide {
		if i := ix.find(s.with(&wide[k])); i >= 0 {
			for ix.records.at(i).folded {
				i = int(ix.records.at(i).cluster)
			}
			return i
		}
	}
	return -1
}

// confidence is the share of constant columns, from .5 for none to less than 1.
func confidence(open *mask, columns int) float64 {
	n := 0
	for c := range columns {
		if open.has(c) {
			n++
		}
	}
	return 1 - 0.5*float64(n)/float64(max(columns, 1))
}

// known fills m for a record, by way of its cluster only if it has to.
func (ix *Index) known(s *scanner, m *Match, r *record) {
	if r.plan == 0 {
		ix.fill(s, m, *ix.views.at(int(r.group)), r.cluster)
		return
	}
	m.Pattern = ix.patterns.at(int(r.pattern)).id()
	m.take(s, *ix.plans.at(int(r.plan - 1)))
}

func (ix *Index) fill(s *scanner, m *Match, view *groupView, c uint32) {
	cl := &view.clusters[c]
	m.Pattern = ix.patterns.at(int(cl.pattern)).id()
	m.take(s, *ix.plans.at(int(cl.plan)))
}

// take appends the values that a plan finds in a scanned message.
func (m *Match) take(s *scanner, plan []slotPlan) {
	end := 0
	if n := len(s.tokens); n > 0 {
		end = int(s.tokens[n-1].end)
	}
	for _, p := range plan {
		if p.tail && p.last == noTail {
			at := end
			if p.skip > 0 {
				at = int(s.tokens[p.first].start)
			}
			m.Values = append(m.Values, Span{Start: at, End: at})
			continue
		}
		first, last := &s.tokens[p.first], &s.tokens[p.last]
		start := int(first.start) + int(p.skip)
		if p.tail && p.skip == 0 && p.first > 0 {
			start = int(first.start)
		}
		m.Values = append(m.Values, Span{Start: min(start, int(last.end)), End: int(last.end)})
	}
}

// Pattern returns the pattern with the id.
func (ix *Index) Pattern(id pattern.ID) (pattern.Pattern, bool) {
	i := findPattern(&ix.byName, &ix.patterns, id)
	if i < 0 {
		return pattern.Pattern{}, false
	}
	return ix.patterns.at(i).pattern(), true
}

// Len returns the number of shapes, folded ones included, that the index knows.
func (ix *Index) Len() int { return ix.records.len() }
