package search

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Request is a search.
type Request struct {
	Query  Query
	Spaces []string // those that the reader may read; nothing of another is looked at
	K      int      // hits at most

	AsOf    time.Time // answers as it stood then, by when versions were published; zero: as it stands
	ValidAt time.Time // of each entry the last version that holds then; zero: the last version

	LexicalOnly bool      // without likeness of meaning
	Vector      []float32 // of the query, where vectors come from a configured embedder
}

// Hit is an entry found.
type Hit struct {
	Space, Slug string
	Revision    int64
	Score       float64 // comparable within one search only, the best first
	Lexical     float64 // BM25F
	Likeness    float64 // of meaning: how much nearer it is to the query than the mean of the reader's entries is; 0 where no vectors are compared
}

// ErrHistory is wrapped by the error of a search of a moment that the index does not reach back to.
var ErrHistory = errors.New("the index does not reach back so far")

// MaxHits bounds the hits of one search.
const MaxHits = 1000

// Search returns the hits, the best first. Filters take hits away and leave scores as they are; what is
// readable, AsOf and ValidAt decide what scores are computed from. The error is ErrHistory, or says that the vector of the request has another
// dimension, or that K is not from 1 to MaxHits.
func (x *Index) Search(r Request) ([]Hit, error) {
	if r.K < 1 || r.K > MaxHits {
		return nil, fmt.Errorf("search: %d hits asked for, want 1 to %d", r.K, MaxHits)
	}
	if r.Vector != nil && len(r.Vector) != x.dim {
		return nil, fmt.Errorf("search: the vector of the query has %d components, want %d", len(r.Vector), x.dim)
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	v, err := x.view(&r)
	if err != nil {
		return nil, err
	}
	if len(v.parts) == 0 {
		return nil, nil
	}
	p := v.plan(r.Query)
	v.restrict(&r, p)
	w := x.scans.Get().(*scan)
	defer x.scans.Put(w)
	if len(p.terms) == 0 {
		if !p.filtered {
			return nil, nil
		}
		return v.newest(r.K), nil
	}
	if r.LexicalOnly {
		return hits(v.lexical(w, p.terms, r.K)), nil
	}
	return x.fused(w, v, p, &r), nil
}

// view is what a reader sees at a moment.
type view struct {
	parts  []part
	n      int   // documents
	length int64 // sum of their lengths
	spoken [maxLanguages]int
	past   bool
}

// part is a space of a view.
type part struct {
	space   string
	s       *segment
	visible bitmap // what the reader sees, and statistics are of
	allowed bitmap // of that, what the query's filters let through
}

func (x *Index) view(r *Request) (*view, error) {
	v := &view{past: !r.AsOf.IsZero() || !r.ValidAt.IsZero()}
	spaces := slices.Compact(slices.Sorted(slices.Values(r.Spaces)))
	for _, space := range spaces {
		s := x.segments[space]
		if s == nil {
			continue
		}
		p := part{space, s, s.live, s.live}
		if !v.past {
			v.n += s.heads.n
			v.length += s.length
			for i, n := range s.spoken {
				v.spoken[i] += n
			}
		} else {
			var err error
			if p.visible, err = s.moment(space, r.AsOf, r.ValidAt); err != nil {
				return nil, err
			}
			p.allowed = p.visible
			p.visible.each(func(doc uint32) {
				v.n++
				v.length += int64(s.docs.length[doc])
				v.spoken[s.docs.language[doc]]++
			})
		}
		v.parts = append(v.parts, p)
	}
	return v, nil
}

// moment is the set of documents that are seen on both clocks.
func (s *segment) moment(space string, asOf, validAt time.Time) (bitmap, error) {
	moment, complete := int64(forever-1), true
	if !asOf.IsZero() {
		moment = asOf.UnixMicro()
		complete = moment >= s.horizon
	}
	var set bitmap
	switch {
	case !complete:
	case validAt.IsZero():
		set = s.at(moment)
	default:
		set, complete = s.truth(moment, validAt.UnixMicro())
	}
	if !complete {
		return nil, fmt.Errorf("search %s at an earlier moment: %w: it begins at %s", space, ErrHistory, time.UnixMicro(s.horizon).UTC().Format(time.RFC3339Nano))
	}
	return set, nil
}

// frequency returns the number of documents of the view that hold the term.
func (v *view) frequency(term string) (n int) {
	for i := range v.parts {
		p := v.parts[i].s.terms[term]
		switch {
		case p == nil:
		case v.past:
			n += v.parts[i].s.frequencyIn(p, v.parts[i].visible)
		default:
			n += v.parts[i].s.frequency(p)
		}
	}
	return n
}

// plan is a query in terms of a view.
type plan struct {
	terms    []weighted
	must     []needle // each of them is in what is found
	without  []needle
	filtered bool
}

// needle is what a filter looks for: one of several runs of terms, each at its distance from the first.
type needle struct {
	title bool
	runs  [][]placed
}

type placed struct {
	term   string
	offset int
}

// maxTerms bounds the terms of a query; the first count.
const maxTerms = 1024

// plan analyzes the query in every language that documents of the view have, English without any.
func (v *view) plan(q Query) *plan {
	p := &plan{filtered: len(q.types)+len(q.tags)+len(q.without) > 0 || !q.after.IsZero() || !q.before.IsZero() || q.spaces != nil}
	spoken := v.languages()
	for _, c := range q.clauses {
		n := v.needle(c, spoken)
		if c.must && len(n.runs) > 0 {
			p.must = append(p.must, n)
		}
	}
	for _, c := range q.without {
		if n := v.needle(c, spoken); len(n.runs) > 0 {
			p.without = append(p.without, n)
		}
	}
	terms := v.asked(q.clauses)
	for _, c := range q.clauses {
		if c.prefix {
			for _, term := range v.completions(c.text) {
				if !slices.ContainsFunc(terms, func(t Term) bool { return t.Text == term }) {
					terms = append(terms, Term{term, 1})
				}
			}
		}
	}
	p.filtered = p.filtered || len(p.must) > 0
	for _, t := range terms {
		if df := v.frequency(t.Text); df > 0 {
			p.terms = append(p.terms, weighted{t.Text, Weight(t.Frequency, df, v.n)})
		}
	}
	return p
}

func (v *view) languages() (out []*language) {
	for i, n := range v.spoken {
		if n > 0 {
			out = append(out, languages[i])
		}
	}
	if out == nil {
		out = append(out, english)
	}
	return out
}

// asked returns the terms that a query asks for in a language, with repetitions. Words of questions are dropped, unless nothing
// else is left, or they are in a phrase or are asked for with a +.
func asked(clauses []clause, l *language) []string {
	var all, some []string
	a := analyzer{language: l}
	for _, c := range clauses {
		if c.prefix {
			continue
		}
		a.each(c.text, 0, func(t Token) {
			term := string(t.Term)
			all = append(all, term)
			if c.must || l != english || !askedStop[strings.ToLower(c.text[t.Start:t.End])] {
				some = append(some, term)
			}
		})
	}
	if len(some) == 0 {
		return all
	}
	return some
}

// needle is what a clause looks for as a filter.
func (v *view) needle(c clause, spoken []*language) needle {
	n := needle{title: c.title}
	if c.prefix {
		for _, term := range v.completions(c.text) {
			n.runs = append(n.runs, []placed{{term, 0}})
		}
		if n.runs == nil {
			n.runs = [][]placed{{}} // nothing begins so: nothing is found
		}
		return n
	}
	for _, l := range spoken {
		a := analyzer{language: l}
		var run []placed
		first := 0
		a.each(c.text, 0, func(t Token) {
			if run == nil {
				first = t.Position
			}
			run = append(run, placed{string(t.Term), t.Position - first})
		})
		if run != nil && !slices.ContainsFunc(n.runs, func(o []placed) bool { return slices.Equal(o, run) }) {
			n.runs = append(n.runs, run)
		}
	}
	return n
}

// maxCompletions is the number of terms that the beginning of a word stands for: the most frequent.
const maxCompletions = 64

// completions returns the terms of the view that begin as text does, in their order.
func (v *view) completions(text string) []string {
	fold := analyzer{language: plain}
	prefix := string(fold.term(text, false))
	found := map[string]int{}
	for i := range v.parts {
		for term := range v.parts[i].s.terms {
			if term[0] != filterMark && strings.HasPrefix(term, prefix) {
				found[term] = 0
			}
		}
	}
	for term := range found {
		if found[term] = v.frequency(term); found[term] == 0 {
			delete(found, term)
		}
	}
	out := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		return cmp.Or(cmp.Compare(found[b], found[a]), strings.Compare(a, b))
	})
	out = out[:min(len(out), maxCompletions)]
	slices.Sort(out)
	return out
}

// lexical returns the k best by BM25F.
func (v *view) lexical(w *scan, terms []weighted, k int) []scored {
	table := norms(meanLength(v.n, v.length))
	top := &best{k: k}
	for i := range v.parts {
		p := &v.parts[i]
		w.rank(p.s, p.space, terms, &table, p.allowed, top)
	}
	return top.sorted()
}

// newest returns the documents that the filters let through, those published last first.
func (v *view) newest(k int) []Hit {
	top := &best{k: k}
	for i := range v.parts {
		p := &v.parts[i]
		p.allowed.each(func(doc uint32) { top.offer(scored{p.s, p.space, doc, p.s.docs.from[doc]}) })
	}
	out := hits(top.sorted())
	for i := range out {
		out[i].Score, out[i].Lexical = 0, 0
	}
	return out
}

func hits(found []scored) []Hit {
	out := make([]Hit, len(found))
	for i, f := range found {
		score := float64(f.score) / points
		out[i] = Hit{Space: f.space, Slug: string(f.slug()), Revision: f.s.docs.revision[f.doc], Score: score, Lexical: score}
	}
	return out
}
