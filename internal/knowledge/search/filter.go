package search

import (
	"slices"
	"strings"
)

// restrict narrows what the query may find in each part.
func (v *view) restrict(r *Request, p *plan) {
	q := &r.Query
	if !p.filtered {
		return
	}
	for i := range v.parts {
		at := &v.parts[i]
		at.allowed = slices.Clone(at.visible)
		if q.spaces != nil && !slices.Contains(q.spaces, at.space) {
			clear(at.allowed)
			continue
		}
		if types := terms(q.types, typeTerm); types != nil { // an entry has one type, so several are alternatives
			at.allowed.and(at.s.holding(types...))
		}
		for _, tag := range terms(q.tags, tagTerm) {
			at.allowed.and(at.s.holding(tag))
		}
		for _, n := range p.must {
			at.allowed.and(at.s.matching(n))
		}
		for _, n := range p.without {
			at.allowed.without(at.s.matching(n))
		}
		at.s.during(q, at.allowed)
	}
}

func terms(names []string, term func(string) string) (out []string) {
	for _, n := range names {
		out = append(out, term(n))
	}
	return out
}

// during takes out what was published at another time.
func (s *segment) during(q *Query, allowed bitmap) {
	if q.after.IsZero() && q.before.IsZero() {
		return
	}
	after, before := int64(-forever), int64(forever)
	if !q.after.IsZero() {
		after = q.after.UnixMicro()
	}
	if !q.before.IsZero() {
		before = q.before.UnixMicro()
	}
	for i, from := range s.docs.from {
		if from < after || from >= before {
			allowed.clear(uint32(i))
		}
	}
}

// holding is the set of documents, dead ones among them, that hold any of the terms.
func (s *segment) holding(terms ...string) bitmap {
	var out bitmap
	out.grow(s.docs.len())
	var c cursor
	for _, term := range terms {
		p := s.terms[term]
		if p == nil {
			continue
		}
		for c.open(&s.store, p); c.doc() != end; c.next() {
			out.set(c.doc())
		}
	}
	return out
}

// matching is the set of documents, dead ones among them, that hold what is looked for.
func (s *segment) matching(n needle) bitmap {
	var out bitmap
	out.grow(s.docs.len())
	for _, run := range n.runs {
		switch {
		case len(run) == 0:
		case len(run) == 1 && !n.title:
			for i, w := range s.holding(run[0].term) {
				out[i] |= w
			}
		default:
			s.phrase(run, n.title, out)
		}
	}
	return out
}

// phrase adds the documents that hold the terms at their distances, in one field; in the title if so asked.
func (s *segment) phrase(run []placed, title bool, out bitmap) {
	cursors, readers := make([]cursor, len(run)), make([]positionReader, len(run))
	for i, t := range run {
		p := s.terms[t.term]
		if p == nil {
			return
		}
		cursors[i].open(&s.store, p)
	}
	var starts, positions []uint32
	for {
		doc := cursors[0].doc()
		for i := range cursors {
			if cursors[i].seek(doc); cursors[i].doc() != doc {
				doc = cursors[i].doc()
				break
			}
		}
		if doc == end {
			return
		}
		if doc != cursors[0].doc() {
			cursors[0].seek(doc)
			continue
		}
		starts = readers[0].at(&cursors[0], s.weigh, starts)
		for i := 1; i < len(run) && len(starts) > 0; i++ {
			positions = readers[i].at(&cursors[i], s.weigh, positions)
			starts = slices.DeleteFunc(starts, func(at uint32) bool {
				_, ok := slices.BinarySearch(positions, at+uint32(run[i].offset))
				return !ok
			})
		}
		last := uint32(run[len(run)-1].offset)
		if slices.ContainsFunc(starts, func(at uint32) bool { return s.oneField(doc, at, at+last) && (!title || at < s.docs.body[doc]) }) {
			out.set(doc)
		}
		cursors[0].next()
	}
}

// oneField says whether two positions of a document are in one field.
func (s *segment) oneField(doc, first, last uint32) bool {
	body, tags := s.docs.body[doc], s.docs.tags[doc]
	return (first < body) == (last < body) && (first < tags) == (last < tags)
}

// Text returns the words of a query, as a snippet looks for them.
func (q Query) Text() string {
	var b strings.Builder
	for _, c := range q.clauses {
		b.WriteString(c.text)
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}
