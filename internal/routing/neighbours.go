package routing

import (
	"math"
	"slices"
)

const (
	maxNeighbours = 128
	// maxVisits bounds the examples looked at for one prompt, the rarest grams first: about 0.1 ms.
	maxVisits = 60_000
)

// neighbours is an inverted index of examples by their grams.
type neighbours struct {
	postings [][]int32 // by gram, the examples that have it
	norms    []float32 // by example, of its weights when it came
}

// near is an example and how near it is, 0..1.
type near struct {
	example int32
	cosine  float32
}

// scratch is the memory of one query.
type scratch struct {
	score   []float32
	touched []int32
	order   []uint32
	best    []near
}

func newNeighbours() *neighbours { return &neighbours{postings: make([][]int32, 1<<gramBits)} }

// weight is the inverse document frequency of a gram, squared: how much two prompts that share it are alike.
func (x *neighbours) weight(gram uint32) float32 {
	idf := math.Log(float64(len(x.norms)+1) / float64(len(x.postings[gram])+1))
	return float32(idf * idf)
}

func (x *neighbours) norm(grams []uint32) float32 {
	var sum float32
	for _, g := range grams {
		sum += x.weight(g)
	}
	return float32(math.Sqrt(float64(sum)))
}

func (x *neighbours) add(grams []uint32) {
	id := int32(len(x.norms))
	for _, g := range grams {
		x.postings[g] = append(x.postings[g], id)
	}
	x.norms = append(x.norms, x.norm(grams))
}

// rescale counts the norms again, with what is known now of how rare grams are.
func (x *neighbours) rescale(examples []example) {
	for i := range x.norms {
		x.norms[i] = x.norm(examples[i].features.Grams)
	}
}

// nearest returns up to maxNeighbours examples, the nearest first; of equals the older first. The slice belongs to s.
func (x *neighbours) nearest(grams []uint32, s *scratch) []near {
	n := len(x.norms)
	if cap(s.score) < n {
		s.score = make([]float32, n+n/2)
	}
	s.score = s.score[:cap(s.score)]
	s.order = append(s.order[:0], grams...)
	slices.SortFunc(s.order, func(a, b uint32) int {
		if d := len(x.postings[a]) - len(x.postings[b]); d != 0 {
			return d
		}
		return int(a) - int(b)
	})
	s.touched = s.touched[:0]
	visits := 0
	for _, g := range s.order {
		list := x.postings[g]
		if visits += len(list); visits > maxVisits || 2*len(list) > n+8 {
			break
		}
		w := x.weight(g)
		for _, id := range list {
			if s.score[id] == 0 {
				s.touched = append(s.touched, id)
			}
			s.score[id] += w
		}
	}
	own := x.norm(grams)
	s.best = s.best[:0]
	for _, id := range s.touched {
		c := s.score[id] / max(own*x.norms[id], 1e-6)
		s.score[id] = 0
		if len(s.best) < maxNeighbours {
			s.best = append(s.best, near{id, c})
			if len(s.best) == maxNeighbours {
				for i := maxNeighbours/2 - 1; i >= 0; i-- {
					sink(s.best, i)
				}
			}
		} else if further(s.best[0], near{id, c}) {
			s.best[0] = near{id, c}
			sink(s.best, 0)
		}
	}
	slices.SortFunc(s.best, func(a, b near) int {
		if further(b, a) {
			return -1
		}
		return 1
	})
	return s.best
}

func further(a, b near) bool {
	return a.cosine < b.cosine || a.cosine == b.cosine && a.example > b.example
}

// sink restores a heap whose furthest is on top.
func sink(h []near, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && further(h[child+1], h[child]) {
			child++
		}
		if !further(h[child], h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
