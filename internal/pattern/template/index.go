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
	scanners sync.Pool
}

// Index returns a view of the library as it is now. It shares all that does not change later, so that it is cheap when little
// changed.
func (l *Library) Index() *Index {
	return &Index{
		texts: l.texts, records: l.records.snapshot(), byID: l.byID.snapshot(), views: l.views.snapshot(),
		bySkel: l.bySkel.snapshot(), patterns: l.patterns.snapshot(),
		scanners: sync.Pool{New: func() any { return new(scanner) }},
	}
}

// Recognise finds the pattern of a message and fills m.
func (ix *Index) Recognise(message []byte, m *Match) bool {
	s := ix.scanners.Get().(*scanner)
	defer ix.scanners.Put(s)
	s.scan(message)
	id := s.id()
	i := ix.byID.find(uint64(id), func(i int) bool { return ix.records.at(i).id == id })
	m.Shape, m.Values = id, m.Values[:0]
	if i < 0 {
		m.Pattern, m.Confidence = "", 0
		return false
	}
	r := ix.records.at(i)
	c := &(*ix.views.at(int(r.group))).clusters[r.cluster]
	m.Pattern, m.Confidence = ix.patterns.at(int(c.pattern)).id, 1
	for _, p := range c.plan {
		m.Values = append(m.Values, Span{Start: int(s.tokens[p.first].start) + int(p.skip), End: int(s.tokens[p.last].end)})
	}
	return true
}

// Pattern returns the pattern with the id.
func (ix *Index) Pattern(id pattern.ID) (pattern.Pattern, bool) {
	for i := range ix.patterns.len() {
		if p := ix.patterns.at(i); p.id == id {
			return pattern.Pattern{ID: p.id, Template: p.template, Slots: p.slots}, true
		}
	}
	return pattern.Pattern{}, false
}

// Nearest returns the pattern nearest to a message.
func (ix *Index) Nearest(message []byte) (Near, bool) {
	return Near{}, false
}
