package cluster

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/pattern/vector"
)

// result names the new clusters after their most central texts and moves the centres of the known ones.
func (g *grouping) result() Result {
	g.means()
	members := make([][]int, len(g.known)+len(g.centres))
	for _, i := range g.order {
		members[g.of[i]] = append(members[g.of[i]], i)
	}
	out := Result{New: len(g.centres), Of: g.of}
	for c, texts := range members {
		if c < len(g.known) {
			out.Clusters = append(out.Clusters, g.moved(g.known[c], texts))
			continue
		}
		g.byCloseness(g.centres[c-len(g.known)], texts)
		name := g.texts[texts[0]].Text
		id := pattern.Fingerprint(name)
		made := Cluster{ID: id, Pattern: id, Text: name, Threshold: g.threshold, Centre: make([]float32, dim(g.texts))}
		out.Clusters = append(out.Clusters, g.moved(made, texts))
	}
	g.sortNew(&out)
	return out
}

// byCloseness sorts texts by how near they are to the centre.
func (g *grouping) byCloseness(centre []float32, texts []int) {
	score := make(map[int]float32, len(texts))
	for _, i := range texts {
		score[i] = vector.Dot(centre, g.texts[i].Vector)
	}
	slices.SortFunc(texts, func(a, b int) int {
		return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(g.texts[a].Text, g.texts[b].Text))
	})
}

// moved is the cluster with the texts in it.
func (g *grouping) moved(c Cluster, texts []int) Cluster {
	if len(texts) == 0 {
		return c
	}
	sum := make([]float64, len(c.Centre))
	add(sum, c.Centre, c.Texts)
	c.Examples = slices.Clone(c.Examples)
	for _, i := range texts {
		t := g.texts[i]
		add(sum, t.Vector, t.Count)
		c.Texts += t.Count
		if len(c.Examples) < MaxExamples && !slices.Contains(c.Examples, t.Text) {
			c.Examples = append(c.Examples, t.Text)
		}
	}
	c.Centre = unit(sum)
	return c
}

// sortNew puts the new clusters into the order of their texts, which does not depend on how they were found.
func (g *grouping) sortNew(r *Result) {
	order := make([]int, r.New)
	for i := range order {
		order[i] = len(g.known) + i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(r.Clusters[a].Text, r.Clusters[b].Text) })
	place, sorted := map[int]int{}, make([]Cluster, 0, r.New)
	for n, c := range order {
		place[c] = len(g.known) + n
		sorted = append(sorted, r.Clusters[c])
	}
	copy(r.Clusters[len(g.known):], sorted)
	for i, c := range r.Of {
		if c >= len(g.known) {
			r.Of[i] = place[c]
		}
	}
}

func length(v []float64) float64 {
	var sum float64
	for _, f := range v {
		sum += f * f
	}
	return math.Sqrt(sum)
}

// Complete gives the clusters that another embedder made a centre: the vector of their own text, with the weight of one
// text, so that it is soon where its texts are. The error is the embedder's.
func Complete(ctx context.Context, e embed.Embedder, clusters []Cluster) error {
	var texts []string
	var at []int
	for i := range clusters {
		if clusters[i].Centre == nil {
			texts, at = append(texts, clusters[i].Text), append(at, i)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	vectors, err := e.Embed(ctx, texts)
	if err != nil {
		return err
	}
	for i, c := range at {
		clusters[c].Centre, clusters[c].Texts = vectors[i], 1
	}
	return nil
}

// MaxText is where longer texts are cut, in bytes.
const MaxText = 2 << 10

// Cut returns the text as far as it counts: without the blanks around it, at most MaxText bytes, ended between two
// characters, and valid UTF-8.
func Cut(text []byte) string {
	text = bytes.TrimSpace(text)
	if len(text) > MaxText {
		end := MaxText
		for end > MaxText-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = bytes.TrimSpace(text[:end])
	}
	return string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
}

// Set recognises texts: an immutable index over clusters, safe for concurrent use.
type Set struct {
	clusters []Cluster
	index    *vector.Index[int]
}

// NewSet indexes the clusters, whose centres have dim components; others are near nothing.
func NewSet(dim int, clusters []Cluster) *Set {
	s := &Set{clusters, vector.NewOver(max(dim, 1), func(i int, into []float32) bool { copy(into, clusters[i].Centre); return true })}
	for i := range clusters {
		if len(clusters[i].Centre) == dim {
			_ = s.index.Add(i, clusters[i].Centre) //nolint:errcheck // of the right dimension and finite
		}
	}
	return s
}

// Len returns the number of clusters.
func (s *Set) Len() int { return len(s.clusters) }

// Near is a cluster and the cosine of its centre with a text.
type Near struct {
	Cluster Cluster
	Score   float32
}

// Recognise returns the cluster that a vector of unit length belongs to. Where it belongs to none, ok is false and the nearest
// one is returned, with an empty id if there is none at all. The score is the confidence: 1 is the very centre.
func (s *Set) Recognise(v []float32) (n Near, ok bool) {
	if zero(v) {
		return Near{}, false
	}
	if at, score := best(s.index, v, func(k int) float32 { return s.clusters[k].Threshold }); at >= 0 {
		return Near{s.clusters[at], score}, true
	}
	if near := s.Nearest(v, 1); len(near) > 0 {
		return near[0], false
	}
	return Near{}, false
}

// Nearest returns the k clusters whose centres are nearest to the vector.
func (s *Set) Nearest(v []float32, k int) []Near {
	hits, err := s.index.Search(v, k)
	if err != nil {
		return nil
	}
	out := make([]Near, len(hits))
	for i, h := range hits {
		out[i] = Near{s.clusters[h.Key], h.Score}
	}
	return out
}
