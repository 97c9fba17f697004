package search

import (
	"cmp"
	"math"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern/vector"
)

// The parameters of fusion. docs/search.md says how they were chosen, and what others give.
const (
	candidates = 200 // by BM25F are compared in meaning
	likeness   = 0.2 // share of the likeness of meaning in the score
	neighbours = 5   // of a hit have a say in its score
	regularise = 50  // hits have neighbours, and are neighbours
	say        = 0.4 // share of the neighbours in the score
)

// meaning compares a query, and documents with each other, less the mean of what the reader sees: what all entries have in common
// tells nothing apart.
type meaning struct {
	dim, stride int
	mean        []float32
}

// fused ranks the best by BM25F anew, with their likeness to the query, and that of documents that mean the same.
func (x *Index) fused(w *scan, v *view, p *plan, r *Request) []Hit {
	found := v.lexical(w, p.terms, max(candidates, r.K))
	if len(found) == 0 {
		return nil
	}
	q := r.Vector
	if x.static != nil && q == nil {
		q = make([]float32, x.dim)
		if !x.static.Into(q, r.Query.Text()) {
			q = nil
		}
	}
	out := hits(found)
	if q == nil {
		return out[:min(r.K, len(out))]
	}
	m := v.meaning(x.dim)
	m.compare(q, found, out)
	mix(out)
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	best := func(a, b int) int { return cmp.Or(cmp.Compare(out[b].Score, out[a].Score), cmp.Compare(a, b)) }
	slices.SortFunc(order, best)
	m.smooth(order[:min(regularise, len(order))], found, out)
	slices.SortFunc(order, best)
	ranked := make([]Hit, min(r.K, len(order)))
	for i := range ranked {
		ranked[i] = out[order[i]]
	}
	return ranked
}

// meaning is the mean vector of the documents of the view.
func (v *view) meaning(dim int) *meaning {
	m := &meaning{dim: dim, stride: vector.Stride(dim), mean: make([]float32, dim)}
	sum := make([]int64, dim)
	for i := range v.parts {
		p := &v.parts[i]
		if !v.past {
			for j, s := range p.s.vectors.sum {
				sum[j] += s
			}
			continue
		}
		p.visible.each(func(doc uint32) { p.s.vectors.addTo(sum, doc, 1) })
	}
	for j, s := range sum {
		m.mean[j] = float32(float64(s) / points / float64(v.n))
	}
	return m
}

// compare fills in the likeness of each hit: (v - mean) · (q - mean).
func (m *meaning) compare(q []float32, found []scored, out []Hit) {
	centred := make([]float32, m.dim)
	var base float32
	for i := range centred {
		centred[i] = q[i] - m.mean[i]
		base += m.mean[i] * centred[i]
	}
	codes := make([]int16, m.stride)
	scale := vector.QuantizeQuery(codes, centred)
	var sum [1]int32
	for i, f := range found {
		row, s := f.s.vectors.row(f.doc)
		if s == 0 {
			continue // it has no vector, and is as near as the mean
		}
		vector.Dots(sum[:], codes, row)
		out[i].Likeness = float64(float32(sum[0])*s*scale - base)
	}
}

// mix makes scores of both: each is divided by its greatest, so that both reach from what means nothing, 0, to 1.
func mix(out []Hit) {
	lexical, like := 0.0, 0.0
	for _, h := range out {
		lexical, like = max(lexical, h.Lexical), max(like, h.Likeness)
	}
	share := likeness
	if like <= 0 {
		share, like = 0, 1
	}
	for i := range out {
		out[i].Score = (1-share)*out[i].Lexical/lexical + share*out[i].Likeness/like
	}
}

// smooth moves the scores of the best hits towards those of the hits that mean most nearly the same: what is relevant
// comes in clusters, so a hit among good ones is more likely to be good.
func (m *meaning) smooth(order []int, found []scored, out []Hit) {
	n := len(order)
	if n < 3 {
		return
	}
	like := m.likenesses(order, found)
	smoothed := make([]float64, n)
	near := make([]int, 0, neighbours+1)
	for i := range n {
		near = nearest(near[:0], like[i*n:(i+1)*n], i)
		sum, total := 0.0, 0.0
		for _, j := range near {
			sum += float64(like[i*n+j]) * out[order[j]].Score
			total += float64(like[i*n+j])
		}
		own := out[order[i]].Score
		smoothed[i] = own
		if total > 0 {
			smoothed[i] = (1-say)*own + say*sum/total
		}
	}
	// They stay ahead of those that were not looked at.
	least, lost := out[order[n-1]].Score, math.Inf(1)
	for _, s := range smoothed {
		lost = min(lost, s)
	}
	for i, s := range smoothed {
		out[order[i]].Score = s - lost + least
	}
}

// nearest appends the neighbours with the greatest likenesses above 0, the greatest first, equals in their order, self left out.
func nearest(near []int, like []float32, self int) []int {
	for j, l := range like {
		if j == self || l <= 0 || (len(near) == neighbours && l <= like[near[neighbours-1]]) {
			continue
		}
		at := len(near)
		for at > 0 && like[near[at-1]] < l {
			at--
		}
		near = slices.Insert(near, at, j)
		near = near[:min(neighbours, len(near))]
	}
	return near
}

// likenesses is the matrix of cosines of the documents, less the mean.
func (m *meaning) likenesses(order []int, found []scored) []float32 {
	n := len(order)
	rows, scales := make([]int8, n*m.stride), make([]float32, n)
	for i, at := range order {
		f := found[at]
		row, s := f.s.vectors.row(f.doc)
		copy(rows[i*m.stride:], row)
		scales[i] = s
	}
	query, sums := make([]int16, m.stride), make([]int32, n)
	toMean, length := make([]float32, n), make([]float32, n)
	scale := vector.QuantizeQuery(query, m.mean)
	vector.Dots(sums, query, rows)
	for i, s := range sums {
		toMean[i] = float32(s) * scale * scales[i]
	}
	square := vector.Dot(m.mean, m.mean)
	like := make([]float32, n*n)
	for i := range n {
		for j, c := range rows[i*m.stride : (i+1)*m.stride] {
			query[j] = int16(c)
		}
		vector.Dots(sums, query, rows)
		for j, s := range sums {
			like[i*n+j] = float32(s)*scales[i]*scales[j] - toMean[i] - toMean[j] + square
		}
		length[i] = float32(math.Sqrt(float64(max(like[i*n+i], 1e-12))))
	}
	for i := range n {
		for j := range n {
			if scales[i] == 0 || scales[j] == 0 {
				like[i*n+j] = 0
				continue
			}
			like[i*n+j] /= length[i] * length[j]
		}
	}
	return like
}
