package search

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// The parameters are those with which Anserini ranks (k1, b). A title counts as often as two bodies.
const (
	k1          = 0.9
	b           = 0.4
	titleWeight = 2
)

// points are what a score is counted in: scores are whole numbers, so that the order in which terms are added up, which is
// another one in each way of searching, makes no difference.
const points = 1 << 24

// impact returns what a term that weighs so much adds to the score of a document in which it has a frequency, in points.
// norm is k1 (1 - b + b length / mean length).
func impact(weight, frequency, norm float64) int64 {
	return int64(math.RoundToEven(float64(weight*frequency) / float64(frequency+norm) * points))
}

// idf is the weight of a term that is in so many of n documents.
func idf(frequency, n int) float64 {
	return math.Log(1 + (float64(n-frequency)+0.5)/(float64(frequency)+0.5))
}

// norms returns the norm of each code of a length.
func norms(meanLength float64) (out [256]float64) {
	for code, length := range lengths {
		out[code] = k1 * (1 - b + b*length/meanLength)
	}
	return out
}

// weighted is a term of a query.
type weighted struct {
	term   string
	weight float64 // how often it is asked for, times its idf
}

// scored is a document with its score.
type scored struct {
	s     *segment
	space string
	doc   uint32
	score int64 // points
}

func (a scored) slug() []byte { return a.s.docs.slug(a.doc) }

// compare orders the best first, and equals by their address and revision, so that the order is always the same.
func (a scored) compare(o scored) int {
	if c := cmp.Compare(o.score, a.score); c != 0 {
		return c
	}
	if c := strings.Compare(a.space, o.space); c != 0 {
		return c
	}
	if c := bytes.Compare(a.slug(), o.slug()); c != 0 {
		return c
	}
	return cmp.Compare(a.s.docs.revision[a.doc], o.s.docs.revision[o.doc])
}

// best keeps the k best: a heap with the worst of them on top.
type best struct {
	k    int
	heap []scored
}

// floor is the score below which nothing can enter.
func (h *best) floor() int64 {
	if len(h.heap) < h.k {
		return 1 // a document that holds no term of the query is none of its hits
	}
	return h.heap[0].score
}

func (h *best) offer(x scored) {
	switch {
	case len(h.heap) < h.k:
		h.heap = append(h.heap, x)
		for i := len(h.heap) - 1; i > 0; {
			up := (i - 1) / 2
			if h.heap[up].compare(h.heap[i]) >= 0 {
				break
			}
			h.heap[up], h.heap[i] = h.heap[i], h.heap[up]
			i = up
		}
	case x.compare(h.heap[0]) < 0:
		h.heap[0] = x
		h.sink()
	}
}

func (h *best) sink() {
	for i := 0; ; {
		next := 2*i + 1
		if next >= len(h.heap) {
			return
		}
		if next+1 < len(h.heap) && h.heap[next+1].compare(h.heap[next]) > 0 {
			next++
		}
		if h.heap[i].compare(h.heap[next]) >= 0 {
			return
		}
		h.heap[i], h.heap[next] = h.heap[next], h.heap[i]
		i = next
	}
}

// sorted takes the documents out, the best first.
func (h *best) sorted() []scored {
	slices.SortFunc(h.heap, scored.compare)
	return h.heap
}

// window is the number of documents that are scored together: their sums fit the first cache.
const window = 4096

// lane is a term of the query in one segment.
type lane struct {
	cursor
	impacts [4][256]int64 // of frequencies up to 4, by the code of the length
	weight  float64
	bound   int64 // what a document of the window can get here at most
	block   int   // the first block that reaches the window
	peeked  int   // the first block that reaches the document looked up last; -1 before the first
	peek    int64 // what a document of it can get at most
}

func (l *lane) impact(frequency uint32, code uint8, norm *[256]float64) int64 {
	if frequency <= uint32(len(l.impacts)) {
		return l.impacts[frequency-1][code]
	}
	return impact(l.weight, float64(frequency), norm[code])
}

// reach finds what a document from first to last can get at most.
func (l *lane) reach(first, last uint32, norm *[256]float64) {
	for l.block < len(l.p.blocks) && l.p.blocks[l.block].last < first {
		l.block++
	}
	l.bound = 0
	for i := l.block; i < len(l.p.blocks); i++ {
		b := &l.p.blocks[i]
		l.bound = max(l.bound, l.impact(b.frequency, b.length, norm))
		if b.last >= last {
			return
		}
	}
	if l.p.last >= first && l.p.tail.frequency > 0 {
		l.bound = max(l.bound, l.impact(l.p.tail.frequency, l.p.tail.length, norm))
	}
}

// most is what a document can get here at most, told from its block alone. Documents come in order.
func (l *lane) most(doc uint32, norm *[256]float64) int64 {
	i := max(l.peeked, 0)
	for i < len(l.p.blocks) && l.p.blocks[i].last < doc {
		i++
	}
	if i != l.peeked {
		at := &l.p.tail
		if l.peeked = i; i < len(l.p.blocks) {
			at = &l.p.blocks[i].bound
		}
		if l.peek = 0; at.frequency > 0 {
			l.peek = l.impact(at.frequency, at.length, norm)
		}
	}
	return l.peek
}

// scan is the room that a search needs; it is reused.
type scan struct {
	lanes []*lane
	order []*lane
	below []int64 // below[i] is what the lanes before i can give together
	sums  [window]int64
	seen  [window / 64]uint64
}

// rank offers the documents of a segment that are in allowed to the heap. A lane whose window bound, together with those of
// the smaller ones, is below the heap's floor gives no new candidates and is only looked up for those that others gave; a
// window in which all lanes together stay below it is not read at all (MaxScore with bounds of blocks).
func (w *scan) rank(s *segment, space string, terms []weighted, norm *[256]float64, allowed bitmap, top *best) {
	w.open(s, terms, norm)
	for first := 0; first < s.docs.len() && len(w.lanes) > 0; first += window {
		last := min(first+window, s.docs.len()) - 1
		for _, l := range w.lanes {
			l.reach(uint32(first), uint32(last), norm)
		}
		w.window(s, space, uint32(first), uint32(last), norm, allowed, top)
	}
}

func (w *scan) open(s *segment, terms []weighted, norm *[256]float64) {
	w.order = w.order[:0]
	n := 0
	for _, t := range terms {
		p := s.terms[t.term]
		if p == nil {
			continue
		}
		if n == len(w.lanes) {
			w.lanes = append(w.lanes[:n:n], &lane{})
		}
		l := w.lanes[n]
		n++
		l.open(&s.store, p)
		l.weight, l.block, l.peeked = t.weight, 0, -1
		for f := range l.impacts {
			for code := range l.impacts[f] {
				l.impacts[f][code] = impact(t.weight, float64(f+1), norm[code])
			}
		}
	}
	w.lanes = w.lanes[:n]
	w.order = append(w.order, w.lanes...)
}

// window scores the documents from first to last.
func (w *scan) window(s *segment, space string, first, last uint32, norm *[256]float64, allowed bitmap, top *best) {
	slices.SortFunc(w.order, func(a, b *lane) int { return cmp.Compare(a.bound, b.bound) })
	w.below = append(w.below[:0], 0)
	for _, l := range w.order {
		w.below = append(w.below, w.below[len(w.below)-1]+l.bound)
	}
	floor := top.floor()
	essential := 0
	for essential < len(w.order) && w.below[essential+1] < floor {
		essential++
	}
	for _, l := range w.order[essential:] {
		w.sum(l, s, first, last, norm)
	}
	for word := range w.seen {
		base := first + uint32(word)*64
		set := w.seen[word]
		if set == 0 {
			continue
		}
		w.seen[word] = 0
		bitmap{set & allowed[base/64]}.each(func(i uint32) {
			doc := base + i
			score, at := w.sums[doc-first], essential-1
			for ; at >= 0 && score+w.below[at+1] >= floor; at-- {
				l := w.order[at]
				if score+l.most(doc, norm)+w.below[at] < floor {
					break
				}
				if l.seek(doc); l.doc() == doc {
					score += l.impact(l.frequency(), s.docs.code[doc], norm)
				}
			}
			if at < 0 && score >= floor {
				top.offer(scored{s, space, doc, score})
				floor = top.floor()
			}
		})
		for ; set != 0; set &= set - 1 {
			w.sums[int(base-first)+bits.TrailingZeros64(set)] = 0
		}
	}
}

// sum adds what a lane gives to the documents from first to last.
func (w *scan) sum(l *lane, s *segment, first, last uint32, norm *[256]float64) {
	for l.seek(first); l.doc() <= last; {
		// The rest of the decoded block, without a call a posting.
		l.counted()
		i := l.i
		for ; i < l.n && l.docs[i] <= last; i++ {
			at := l.docs[i] - first
			w.sums[at] += l.impact(l.frequencies[i], s.docs.code[l.docs[i]], norm)
			w.seen[at/64] |= 1 << (at % 64)
		}
		if l.i = i; i < l.n {
			return
		}
		l.i = l.n - 1
		l.next()
	}
}
