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
	docs    []document
	codes   []uint8 // lengths of documents
	live    bitmap
	heads   map[string]uint32 // slug -> live document
	length  int64             // sum of the lengths of live documents
	spoken  [maxLanguages]int // live documents by language
	killed  []uint32          // dead documents, in the order of their deaths
	useless int               // dead documents that no search needs
	horizon int64             // moments before this one cannot be searched
	vectors vectors
}

// document is what is known of a version of an entry.
type document struct {
	slug     string
	revision int64
	from, to int64 // recorded, µs since 1970; to is forever while it is live, and 0 for a dead one that no search needs
	valid    *validity
	body     uint32 // position at which the body begins
	tags     uint32 // position at which the tags begin
	length   uint32
	language uint8
}

// validity is a time for which a version says that it is true, of those that say so; µs since 1970.
type validity struct{ from, to int64 }

const forever = 1<<63 - 1

func newSegment(dim int) *segment {
	return &segment{terms: map[string]*postings{}, heads: map[string]uint32{}, vectors: newVectors(dim)}
}

// weigh is what a position counts for the frequency of its term.
func (s *segment) weigh(doc, position uint32) uint32 {
	if position < s.docs[doc].body {
		return titleWeight
	}
	return 1
}

// put adds a version, in place of the one that its entry has.
func (s *segment) put(d document, a *analyzed, vector []float32, keep bool) {
	s.remove(d.slug, d.from, keep)
	number := uint32(len(s.docs))
	d.to = forever
	code := lengthCode(int(d.length))
	s.docs = append(s.docs, d)
	s.codes = append(s.codes, code)
	s.live.grow(len(s.docs))
	s.live.set(number)
	s.heads[d.slug] = number
	s.length += int64(d.length)
	s.spoken[d.language]++
	s.vectors.add(vector)
	for _, t := range a.terms {
		p := s.terms[t.term]
		if p == nil {
			p = &postings{}
			s.terms[strings.Clone(t.term)] = p
		}
		p.add(number, t.occurrence, code)
	}
}

// remove kills the live version of an entry at a moment, and reports whether there was one. Without keep it is of no use to
// searches of earlier moments.
func (s *segment) remove(slug string, at int64, keep bool) bool {
	number, ok := s.heads[slug]
	if !ok {
		return false
	}
	d := &s.docs[number]
	delete(s.heads, slug)
	s.live.clear(number)
	s.length -= int64(d.length)
	s.spoken[d.language]--
	s.vectors.forget(number)
	s.killed = append(s.killed, number)
	switch d.to = at; {
	case at <= d.from: // it was never there
		s.drop(number)
	case !keep:
		s.forget(number)
	}
	return true
}

// forget drops a dead document, and with it the moments at which it lived.
func (s *segment) forget(number uint32) {
	s.horizon = max(s.horizon, s.docs[number].to)
	s.drop(number)
}

// drop marks a dead document as one that no search needs.
func (s *segment) drop(number uint32) {
	s.docs[number].to = 0
	s.useless++
}

// at is the set of documents that were live at a moment.
func (s *segment) at(moment int64) bitmap {
	var b bitmap
	b.grow(len(s.docs))
	for i := range s.docs {
		if d := &s.docs[i]; d.from <= moment && moment < d.to {
			b.set(uint32(i))
		}
	}
	return b
}

// holds says whether a version says that it is true at a moment, or says nothing of it.
func (d *document) holds(moment int64) bool {
	return d.valid == nil || (moment >= d.valid.from && moment < d.valid.to)
}

// truth is the set of documents that say what was known at a moment to hold at another: of each entry that was live, the last
// version that holds then. It is incomplete where such a version may have been forgotten.
func (s *segment) truth(moment, valid int64) (b bitmap, complete bool) {
	b = s.at(moment)
	complete = true
	missing := map[string]int64{} // entries whose live version does not hold, and from when on it, or what it goes on from, is known
	b.each(func(doc uint32) {
		if d := &s.docs[doc]; !d.holds(valid) {
			b.clear(doc)
			missing[d.slug] = d.from
		}
	})
	// Versions of an entry come in order, so backwards each one ends when the one after it begins, unless the entry was deleted.
	for i := len(s.docs) - 1; i >= 0 && len(missing) > 0; i-- {
		d := &s.docs[i]
		from, ok := missing[d.slug]
		switch {
		case !ok || d.to > from || d.to == 0:
		case d.to < from: // deleted in between
			delete(missing, d.slug)
		case d.holds(valid):
			b.set(uint32(i))
			delete(missing, d.slug)
		default:
			missing[d.slug] = d.from
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
		if c.open(p); len(missing)*blockSize < int(p.count) {
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
func frequencyIn(p *postings, set bitmap) (n int) {
	var c cursor
	for c.open(p); c.doc() != end; c.next() {
		if set.has(c.doc()) {
			n++
		}
	}
	return n
}

// squeeze makes the segment anew without the dead documents that no search needs.
func (s *segment) squeeze() *segment {
	out := newSegment(s.vectors.dim)
	out.horizon, out.heads, out.length, out.spoken = s.horizon, s.heads, s.length, s.spoken
	moved := make([]uint32, len(s.docs))
	for i := range s.docs {
		if s.docs[i].to == 0 {
			moved[i] = end
			continue
		}
		number := uint32(len(out.docs))
		moved[i] = number
		out.docs = append(out.docs, s.docs[i])
		out.codes = append(out.codes, s.codes[i])
		out.live.grow(len(out.docs))
		if s.live.has(uint32(i)) {
			out.live.set(number)
			out.heads[s.docs[i].slug] = number
		}
		out.vectors.copy(&s.vectors, uint32(i), s.live.has(uint32(i)))
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
		for c.open(p); c.doc() != end; c.next() {
			number := moved[c.doc()]
			if number == end {
				continue
			}
			positions = positions[:0]
			if term[0] != filterMark {
				positions = r.at(&c, s.weigh, positions)
			}
			q.add(number, occurrence{c.frequency(), positions}, s.codes[c.doc()])
		}
		if q.count > 0 {
			q.clip()
			out.terms[term] = q
		}
	}
	return out
}

// clip gives back what lists have left over.
func (p *postings) clip() {
	p.data, p.positions, p.blocks = slices.Clone(p.data), slices.Clone(p.positions), slices.Clone(p.blocks)
}

// pack moves all lists into one run of memory: apart, they leave a third of it in holes that only small lists fit. A list that
// grows moves out again.
func (s *segment) pack() {
	size := 0
	for _, p := range s.terms {
		size += len(p.data) + len(p.positions)
	}
	all := make([]byte, 0, size)
	move := func(b []byte) []byte {
		from := len(all)
		all = append(all, b...)
		return all[from:len(all):len(all)]
	}
	for _, p := range s.terms {
		p.data, p.positions, p.blocks = move(p.data), move(p.positions), slices.Clone(p.blocks)
	}
}

// older orders dead documents by when they died.
func (s *segment) older(a, b uint32) int { return cmp.Compare(s.docs[a].to, s.docs[b].to) }

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
