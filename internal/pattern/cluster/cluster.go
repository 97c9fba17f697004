// Package cluster groups texts that mean the same: tickets, messages, descriptions of errors. Texts and their vectors come
// in, with the clusters that are known; out goes which cluster each text belongs to, and the clusters as they are then. It
// does not know how the vectors were made.
//
//	texts ──> nearest known cluster, if near enough ──> rest: leaders ──> means ──> nearest again ──> …
//
// A set of texts given in one call has one result, whatever its order. Texts of later calls meet the clusters of earlier
// ones and never move what was assigned: a cluster's centre moves, its texts stay. So two histories of the same texts may
// differ in the texts that lie between two clusters, and in nothing else that one call decides.
package cluster

import (
	"cmp"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/vector"
)

const (
	// DefaultThreshold is the cosine from which a text belongs to a cluster. Paraphrases of one short message have .6 and
	// more with the built-in embedder, messages on one subject .3 to .5, others less.
	DefaultThreshold = 0.6
	// Rounds bounds the refinement of the clusters of a call. Most calls are settled after two.
	Rounds = 4
	// MaxExamples is how many texts of a cluster are kept as examples.
	MaxExamples = 5
)

// Text is a text, how often it occurred, and its vector of unit length, or of length 0 if it says nothing.
type Text struct {
	Text   string
	Count  int64
	Vector []float32
}

// Cluster is a set of texts with its centre.
type Cluster struct {
	ID        pattern.ID // fingerprint of Text
	Pattern   pattern.ID // what its texts count as: ID, or the pattern that it was merged into
	Text      string     // the text nearest to the centre when the cluster was made; it never changes
	Centre    []float32  // unit length
	Texts     int64      // how many texts, repeated ones repeatedly, the centre stands for
	Threshold float32    // cosine to the centre from which a text belongs
	Examples  []string   // at most MaxExamples different ones
}

// Result is what a call decided. Clusters are the known ones in their order, with new centres, and then the new ones by
// their texts. Of holds the cluster of each text of the call, or -1 for one whose vector has no length.
type Result struct {
	Clusters []Cluster
	New      int // how many of Clusters, the last ones, are new
	Of       []int
}

// Assign puts each text into the nearest cluster that it is near enough to, or makes one with the threshold. The texts
// must differ from each other. Cost: texts times clusters times dimension, a byte each.
func Assign(known []Cluster, texts []Text, threshold float32) Result {
	g := newGrouping(known, texts, threshold)
	g.join()
	for range Rounds {
		if !g.refine() {
			break
		}
	}
	return g.result()
}

// grouping is the work of one call. Clusters from len(known) on are new.
type grouping struct {
	known     []Cluster
	texts     []Text
	threshold float32
	order     []int // of texts: the frequent ones first, equal ones by text
	of        []int
	fixed     *vector.Index[int] // the known centres
	named     map[string]int     // known clusters by their text
	centres   [][]float32        // of new clusters
}

func newGrouping(known []Cluster, texts []Text, threshold float32) *grouping {
	g := &grouping{known: known, texts: texts, threshold: threshold, of: make([]int, len(texts)), named: make(map[string]int, len(known))}
	for i := range texts {
		g.of[i] = -1
		if !zero(texts[i].Vector) {
			g.order = append(g.order, i)
		}
	}
	slices.SortFunc(g.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(texts[b].Count, texts[a].Count), cmp.Compare(texts[a].Text, texts[b].Text))
	})
	g.fixed = centres(dim(texts), len(known), func(i int) []float32 { return known[i].Centre })
	for i := range known {
		g.named[known[i].Text] = i
	}
	return g
}

func dim(texts []Text) int {
	if len(texts) == 0 {
		return 1
	}
	return max(1, len(texts[0].Vector))
}

func zero(v []float32) bool { return !slices.ContainsFunc(v, func(f float32) bool { return f != 0 }) }

// centres indexes n vectors; one of another dimension is left out, and near nothing.
func centres(dim, n int, at func(int) []float32) *vector.Index[int] {
	x := vector.New[int](dim)
	for i := range n {
		if v := at(i); len(v) == dim {
			_ = x.Add(i, v) //nolint:errcheck // of the right dimension and finite
		}
	}
	return x
}

// nearestKnown is the known cluster that the text belongs to, or -1, and its score.
func (g *grouping) nearestKnown(i int) (at int, score float32) {
	if at, ok := g.named[g.texts[i].Text]; ok {
		return at, 2 // its own text
	}
	return best(g.fixed, g.texts[i].Vector, func(k int) float32 { return g.known[k].Threshold })
}

// best is the nearest of the vectors whose threshold the score reaches, or -1.
func best(x *vector.Index[int], v []float32, threshold func(int) float32) (at int, score float32) {
	hits, err := x.Search(v, 4)
	if err != nil {
		return -1, 0
	}
	for _, h := range hits {
		if h.Score >= threshold(h.Key) {
			return h.Key, h.Score
		}
	}
	return -1, 0
}

// join is the first pass: to a known cluster, else to the nearest leader, else a text leads.
func (g *grouping) join() {
	for _, i := range g.order {
		g.of[i], _ = g.nearestKnown(i)
	}
	g.lead()
}

// lead gives the texts that belong to nothing leaders, the most frequent first.
func (g *grouping) lead() {
	leaders := vector.New[int](dim(g.texts))
	for _, i := range g.order {
		if g.of[i] >= 0 {
			continue
		}
		v := g.texts[i].Vector
		at, _ := best(leaders, v, func(int) float32 { return g.threshold })
		if at < 0 {
			at = len(g.known) + len(g.centres)
			g.centres = append(g.centres, v)
			_ = leaders.Add(at, v) //nolint:errcheck // as above
		}
		g.of[i] = at
	}
}

// refine moves the centres of the new clusters to the means of their texts and every text to the cluster that is nearest
// then. It reports whether anything moved.
func (g *grouping) refine() bool {
	g.means()
	fresh := centres(dim(g.texts), len(g.centres), func(i int) []float32 { return g.centres[i] })
	before := slices.Clone(g.of)
	for _, i := range g.order {
		at, score := g.nearestKnown(i)
		if n, s := best(fresh, g.texts[i].Vector, func(int) float32 { return g.threshold }); n >= 0 && s > score {
			at = len(g.known) + n
		}
		g.of[i] = at
	}
	g.lead()
	return !slices.Equal(before, g.of)
}

// means computes the centres of the new clusters and drops the empty ones.
func (g *grouping) means() {
	sums, place := map[int][]float64{}, map[int]int{}
	var kept []int
	for _, i := range g.order {
		c := g.of[i]
		if c < len(g.known) {
			continue
		}
		if sums[c] == nil {
			sums[c] = make([]float64, len(g.texts[i].Vector))
			kept = append(kept, c)
		}
		add(sums[c], g.texts[i].Vector, g.texts[i].Count)
	}
	slices.Sort(kept)
	moved := make([][]float32, len(kept))
	for n, c := range kept {
		place[c] = len(g.known) + n
		moved[n] = unit(sums[c])
	}
	for i, c := range g.of {
		if c >= len(g.known) {
			g.of[i] = place[c]
		}
	}
	g.centres = moved
}

func add(sum []float64, v []float32, times int64) {
	for i, f := range v {
		sum[i] += float64(f) * float64(times)
	}
}

// unit is the direction of the sum; a sum without one, which texts near each other cannot have, stays zero.
func unit(sum []float64) []float32 {
	out := make([]float32, len(sum))
	if n := length(sum); n > 0 {
		for i, f := range sum {
			out[i] = float32(f / n)
		}
	}
	return out
}
