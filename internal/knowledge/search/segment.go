package search

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
)

// segment is the index of one space. Documents have numbers in the order in which they came; one that is replaced or deleted
// stays, dead, for searches of an earlier moment, until it is squeezed out.
type segment struct {
	terms   map[string]*postings
	store   store // their full blocks
	docs    documents
	live    bitmap
	heads   slugTable         // the live documents
	length  int64             // sum of the lengths of live documents
	spoken  [maxLanguages]int // live documents by language
	killed  []uint32          // dead documents, in the order of their deaths
	useless int               // dead documents that no search needs
	horizon int64             // moments before this one cannot be searched
	vectors vectors
}

const forever = 1<<63 - 1

func newSegment(dim int) *segment {
	return &segment{terms: map[string]*postings{}, vectors: newVectors(dim)}
}

// weigh is what a position counts for the frequency of its term.
func (s *segment) weigh(doc, position uint32) uint32 {
	if position < s.docs.body[doc] {
		return titleWeight
	}
	return 1
}

// put adds a version, in place of the one that its entry has.
func (s *segment) put(d document, a *analyzed, vector []float32, keep bool) {
	s.remove(d.slug, d.from, keep)
	number := s.docs.add(d)
	s.live.grow(s.docs.len())
	s.live.set(number)
	s.heads.add(&s.docs, number)
	s.length += int64(d.length)
	s.spoken[d.language]++
	s.vectors.add(vector)
	for _, t := range a.terms {
		p := s.terms[t.term]
		if p == nil {
			p = &postings{}
			s.terms[strings.Clone(t.term)] = p
		}
		p.add(&s.store, number, t.occurrence, s.docs.code[number])
	}
}

// remove kills the live version of an entry at a moment, and reports whether there was one. Without keep it is of no use to
// searches of earlier moments.
func (s *segment) remove(slug string, at int64, keep bool) bool {
	number, ok := s.heads.remove(&s.docs, slug)
	if !ok {
		return false
	}
	s.live.clear(number)
	s.length -= int64(s.docs.length[number])
	s.spoken[s.docs.language[number]]--
	s.vectors.forget(number)
	s.killed = append(s.killed, number)
	s.docs.kill(number, at)
	switch {
	case at <= s.docs.from[number]: // it was never there
		s.drop(number)
	case !keep:
		s.forget(number)
	}
	return true
}

// forget drops a dead document, and with it the moments at which it lived.
func (s *segment) forget(number uint32) {
	s.horizon = max(s.horizon, s.docs.to(number))
	s.drop(number)
}

// drop marks a dead document as one that no search needs.
func (s *segment) drop(number uint32) {
	s.docs.kill(number, 0)
	s.useless++
}

// at is the set of documents that were live at a moment.
func (s *segment) at(moment int64) bitmap {
	var b bitmap
	b.grow(s.docs.len())
	for i, from := range s.docs.from {
		if from <= moment && moment < s.docs.to(uint32(i)) {
			b.set(uint32(i))
		}
	}
	return b
}

// truth is the set of documents that say what was known at a moment to hold at another: of each entry that was live, the last
// version that holds then. It is incomplete where such a version may have been forgotten.
func (s *segment) truth(moment, valid int64) (b bitmap, complete bool) {
	b = s.at(moment)
	complete = true
	missing := map[string]int64{} // entries whose live version does not hold, and from when on it, or what it goes on from, is known
	b.each(func(doc uint32) {
		if !s.docs.holds(doc, valid) {
			b.clear(doc)
			missing[string(s.docs.slug(doc))] = s.docs.from[doc]
		}
	})
	// Versions of an entry come in order, so backwards each one ends when the one after it begins, unless the entry was deleted.
	for i := s.docs.len() - 1; i >= 0 && len(missing) > 0; i-- {
		doc := uint32(i)
		slug := s.docs.slug(doc)
		from, ok := missing[string(slug)]
		if !ok {
			continue
		}
		switch to := s.docs.to(doc); {
		case to > from || to == 0:
		case to < from: // deleted in between
			delete(missing, string(slug))
		case s.docs.holds(doc, valid):
			b.set(doc)
			delete(missing, string(slug))
		default:
			missing[string(slug)] = s.docs.from[doc]
		}
	}
	for _, from := range missing {
		complete = complete && from > s.horizon // else what it goes on from may be forgotten
	}
	return b, complete
}

// deadCount is how many of the first so many killed documents a term's postings hold. Searches that share a segment bring
// it up to date, so it is one word.
type deadCount struct{ word atomic.Uint64 }

// frequency returns the number of live documents that hold the term.
func (s *segment) frequency(p *postings) int {
	word := p.dead.word.Load()
	seen, dead := int(word>>32), uint32(word)
	if missing := s.killed[min(seen, len(s.killed)):]; len(missing) > 0 {
		var c cursor
		if c.open(&s.store, p); len(missing)*blockSize < int(p.count) {
			missing = slices.Clone(missing)
			slices.Sort(missing)
			for _, doc := range missing {
				if c.seek(doc); c.doc() == doc {
					dead++
				}
			}
		} else {
			dead = 0
			for ; c.doc() != end; c.next() {
				if !s.live.has(c.doc()) {
					dead++
				}
			}
		}
		p.dead.word.Store(uint64(len(s.killed))<<32 | uint64(dead))
	}
	return int(p.count - dead)
}

// frequencyIn returns the number of documents of the set that hold the term.
func (s *segment) frequencyIn(p *postings, set bitmap) (n int) {
	var c cursor
	for c.open(&s.store, p); c.doc() != end; c.next() {
		if set.has(c.doc()) {
			n++
		}
	}
	return n
}

// squeeze makes the segment anew without the dead documents that no search needs. The old one is of no use any more.
func (s *segment) squeeze() *segment {
	out := newSegment(s.vectors.dim)
	out.horizon, out.length, out.spoken = s.horizon, s.length, s.spoken
	moved := make([]uint32, s.docs.len())
	for i := range moved {
		doc := uint32(i)
		if moved[i] = end; s.docs.to(doc) != 0 {
			moved[i] = out.docs.add(s.docs.get(doc))
			out.live.grow(out.docs.len())
			if s.live.has(doc) {
				out.live.set(moved[i])
				out.heads.add(&out.docs, moved[i])
			}
			out.vectors.copy(&s.vectors, doc, s.live.has(doc))
		}
		s.vectors.release(doc)
	}
	for _, number := range s.killed {
		if moved[number] != end {
			out.killed = append(out.killed, moved[number])
		}
	}
	var (
		c         cursor
		positions []uint32
	)
	for term, p := range s.terms {
		q := &postings{}
		r := positionReader{}
		for c.open(&s.store, p); c.doc() != end; c.next() {
			number := moved[c.doc()]
			if number == end {
				continue
			}
			positions = positions[:0]
			if term[0] != filterMark {
				positions = r.at(&c, s.weigh, positions)
			}
			q.add(&out.store, number, occurrence{c.frequency(), positions}, out.docs.code[number])
		}
		delete(s.terms, term)
		if q.count > 0 {
			q.clip()
			out.terms[term] = q
		}
	}
	return out
}

// clip gives back what is left over of growing.
func (s *segment) clip() {
	for _, p := range s.terms {
		p.clip()
	}
	s.docs.clip()
}

// older orders dead documents by when they died.
func (s *segment) older(a, b uint32) int { return cmp.Compare(s.docs.to(a), s.docs.to(b)) }

// bitmap is a set of documents.
type bitmap []uint64

func (b *bitmap) grow(n int) {
	for len(*b)*64 < n {
		*b = append(*b, 0)
	}
}

func (b bitmap) has(doc uint32) bool { return b[doc/64]>>(doc%64)&1 != 0 }
func (b bitmap) set(doc uint32)      { b[doc/64] |= 1 << (doc % 64) }
func (b bitmap) clear(doc uint32)    { b[doc/64] &^= 1 << (doc % 64) }

func (b bitmap) count() (n int) {
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// each calls found with every document of the set, in order.
func (b bitmap) each(found func(doc uint32)) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			found(uint32(i*64 + bits.TrailingZeros64(w)))
		}
	}
}

// and keeps what is in o too.
func (b bitmap) and(o bitmap) {
	for i := range b {
		b[i] &= o[i]
	}
}

// without takes out what is in o.
func (b bitmap) without(o bitmap) {
	for i := range b {
		b[i] &^= o[i]
	}
}
