// Package search finds entries of the knowledge base. Versions of entries and queries come in; addresses, scores and
// snippets go out. It keeps no text, and does not know where the texts are.
//
//	entry ── words, stems ──> postings of its space ─┐
//	      └─ embedder ──────> vector, in bytes ──────┤
//	query ── parse ── words, stems, vector ──────────┴──> BM25F, MaxScore ──> with likeness of meaning ──> hits
//
// Each space has an index of its own, with frequencies of its own. A search reads those of the spaces that its reader may
// read, adds up their frequencies, and so ranks exactly as if no other space existed. docs/search.md has the method and the figures.
package search

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern/embed"
)

// Options are fixed for the life of an index.
type Options struct {
	// Dim is the number of components of the vectors of a configured embedder, whose vectors come with entries and
	// requests. 0 is the built-in embedder, which makes them here.
	Dim int
	// Embedder is the name of the configured one. A snapshot with the vectors of another is refused.
	Embedder string
	// History is the number of versions that were replaced or deleted which each space keeps for searches of earlier
	// moments; 0 keeps none. The oldest go first.
	History int
}

// Index holds the entries of many spaces. It is safe for concurrent use: searches run side by side, and a change waits for them.
type Index struct {
	options Options
	dim     int
	static  *embed.Static // nil where vectors come from elsewhere

	mu       sync.RWMutex
	segments map[string]*segment
	scans    sync.Pool
}

// New makes an empty index.
func New(o Options) *Index {
	x := &Index{options: o, dim: o.Dim, segments: map[string]*segment{}}
	if o.Dim == 0 {
		x.static = embed.NewStatic()
		x.dim = x.static.Dim()
	}
	x.scans.New = func() any { return &scan{} }
	return x
}

// Put makes a version the one that its entry has, from its RecordedAt on, in place of an earlier one. Versions of an entry
// come in the order in which they were published. The error says that the language is not known, or that the vector has another
// dimension.
func (x *Index) Put(e Entry) error {
	l := languageOf(e.Language)
	if e.Language == "" {
		l = detect(e.Title + "\n" + e.Body)
	}
	if l == nil {
		return fmt.Errorf("index %s/%s: language %q is not known", e.Space, e.Slug, e.Language)
	}
	v := e.Vector
	if x.static != nil && v == nil {
		v = make([]float32, x.dim)
		x.static.Into(v, e.Title+" "+e.Body)
	}
	if v != nil && len(v) != x.dim {
		return fmt.Errorf("index %s/%s: the vector has %d components, want %d", e.Space, e.Slug, len(v), x.dim)
	}
	a := analyze(&e, l)
	d := document{
		slug: e.Slug, revision: e.Revision, from: e.RecordedAt.UnixMicro(), to: forever,
		body: a.body, tags: a.tags, length: uint32(a.length), language: l.number,
	}
	if !e.ValidFrom.IsZero() || !e.ValidTo.IsZero() {
		d.valid = &validity{from: -forever, to: forever}
		if !e.ValidFrom.IsZero() {
			d.valid.from = e.ValidFrom.UnixMicro()
		}
		if !e.ValidTo.IsZero() {
			d.valid.to = e.ValidTo.UnixMicro()
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.segments[e.Space]
	if s == nil {
		s = newSegment(x.dim)
		x.segments[e.Space] = s
	}
	s.put(d, a, v, x.options.History > 0)
	x.tidy(e.Space)
	return nil
}

// Missing returns current entries that have no vector, at most so many: their vectors come from a configured embedder, with Complete.
func (x *Index) Missing(most int) (out []Hit) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.static != nil {
		return nil
	}
	for space, s := range x.segments {
		s.live.each(func(doc uint32) {
			if _, scale := s.vectors.row(doc); scale == 0 && len(out) < most {
				out = append(out, Hit{Space: space, Slug: string(s.docs.slug(doc)), Revision: s.docs.revision[doc]})
			}
		})
	}
	return out
}

// Complete gives a current entry its vector, unless it has one, or is at another revision by now. The error says that the vector has another
// dimension.
func (x *Index) Complete(space, slug string, revision int64, v []float32) error {
	if len(v) != x.dim {
		return fmt.Errorf("index %s/%s: the vector has %d components, want %d", space, slug, len(v), x.dim)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.segments[space]
	if s == nil {
		return nil
	}
	if doc, ok := s.heads.get(&s.docs, slug); ok && s.docs.revision[doc] == revision {
		s.vectors.set(doc, v)
	}
	return nil
}

// Delete takes an entry out from a moment on, and reports whether it was there.
func (x *Index) Delete(space, slug string, at time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.segments[space]
	if s == nil || !s.remove(slug, at.UnixMicro(), x.options.History > 0) {
		return false
	}
	x.tidy(space)
	return true
}

// Excise takes a version of an entry out for good, current or not, and reports whether it was there: no search of any moment
// finds it, and what remains has no word of it. It leaves a gap: versions before it are not found by ValidAt through those after it.
func (x *Index) Excise(space, slug string, revision int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.segments[space]
	if s == nil {
		return false
	}
	for i := range s.docs.len() {
		doc := uint32(i)
		if s.docs.revision[i] == revision && string(s.docs.slug(doc)) == slug && s.docs.to(doc) != 0 {
			if s.live.has(doc) {
				s.remove(slug, s.docs.from[i], false)
			} else {
				s.drop(doc)
			}
			x.segments[space] = s.squeeze()
			return true
		}
	}
	return false
}

// Drop takes a whole space out, with its history.
func (x *Index) Drop(space string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.segments, space)
}

// Forget says that the index does not hold what a space had before a moment, as when it was filled with the current
// versions alone: searches of earlier moments are refused.
func (x *Index) Forget(space string, before time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.segments[space]; s != nil {
		s.horizon = max(s.horizon, before.UnixMicro())
	}
}

const (
	squeezeLeast = 256 // useless documents are not worth squeezing out
	squeezeShare = 4   // of the documents, one in so many may be useless
)

// tidy bounds what dead documents take: the oldest beyond what the history holds become useless, and useless ones are squeezed
// out when there are many.
func (x *Index) tidy(space string) {
	s := x.segments[space]
	if kept := len(s.killed) - s.useless; x.options.History > 0 && kept > x.options.History+max(squeezeLeast, x.options.History/squeezeShare) {
		dead := slices.DeleteFunc(slices.Clone(s.killed), func(d uint32) bool { return s.docs.to(d) == 0 })
		slices.SortFunc(dead, s.older)
		for _, d := range dead[:kept-x.options.History] {
			s.forget(d)
		}
	}
	if s.useless > max(squeezeLeast, s.docs.len()/squeezeShare) {
		x.segments[space] = s.squeeze()
	}
}

// Compact gives back what is left over of growing, as after a rebuild. It waits for searches, and they for it: some 0.2 s for
// 100,000 entries.
func (x *Index) Compact() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for space, s := range x.segments {
		if s.useless > 0 {
			x.segments[space] = s.squeeze()
			continue
		}
		s.clip()
	}
}

// Bytes returns about how much memory the index takes.
func (x *Index) Bytes() (n int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, s := range x.segments {
		n += int64(len(s.store.pieces)*pieceSize+len(s.vectors.blocks)*vectorRows*(s.vectors.stride+4)) + int64(s.docs.len()*40+len(s.docs.names)+4*len(s.heads.places))
		for _, p := range s.terms {
			n += int64(cap(p.data)+cap(p.positions)+24*cap(p.blocks)) + 160
		}
	}
	return n
}

// Len returns the number of current entries.
func (x *Index) Len() (n int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, s := range x.segments {
		n += s.heads.n
	}
	return n
}
