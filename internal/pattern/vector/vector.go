// Package vector finds the nearest of many vectors exactly. Vectors come in with a key each; keys and scores go out. It
// does not know what the vectors stand for, or where they came from.
//
//	            int8 row + scale + error          score ± bound               float32
//	vector ───────────────────────────> scan ───────────────────> candidates ─────────> the k best
//
// A search scans one byte a component with SIMD. The rounding error of each row is known, so a row that could be among
// the k best by its exact score is always among the candidates, and those are scored again in float32: the answer is that
// of a scan in float32, with a quarter of the memory read.
package vector

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
)

const (
	// blockRows is the number of rows that are stored and scanned together: 64 KiB of 256 components stay in the caches,
	// and adding never copies what is there.
	blockRows = 256
	// lanes is what rows are padded to: two registers of 16 components.
	lanes = 32
	// MaxDim bounds the dimension, so that sums of products fit 32 bits with a query of at least 8 bits.
	MaxDim = 65_536
)

// Hit is one vector found: its key and its inner product with the query, the cosine when both have unit length.
type Hit[K cmp.Ordered] struct {
	Key   K
	Score float32
}

// Index holds vectors of one dimension by key. It is safe for concurrent use: searches run side by side, and a change
// waits for them. Memory per vector: the dimension in bytes, rounded up to 32, 8 bytes, the key three times over, and
// four times the dimension for the float32 vectors unless Exact supplies them.
type Index[K cmp.Ordered] struct {
	dim, stride int
	exact       func(key K, into []float32) bool

	mu     sync.RWMutex
	blocks []*block
	keys   []K
	at     map[K]int32
}

// block is a run of rows. The floats are nil when somebody else keeps the vectors.
type block struct {
	codes  []int8
	scales [blockRows]float32
	errors [blockRows]float32 // length of what rounding took away, or added
	floats []float32

	maxScale, maxError float32 // of all rows that there are, or were
}

// New makes an empty index for vectors of dim components. It panics if dim is not from 1 to MaxDim.
func New[K cmp.Ordered](dim int) *Index[K] {
	if dim < 1 || dim > MaxDim {
		panic(fmt.Sprintf("vector: dimension %d", dim))
	}
	return &Index[K]{dim: dim, stride: Stride(dim), at: map[K]int32{}}
}

// NewOver is New for an index that keeps no float32 vectors: exact writes the vector of a key into a slice of dim
// components when a candidate has to be scored, a few dozen times a search. It must be the one that was added, and is called
// under the index's lock. Where it reports false the rounded score stands.
func NewOver[K cmp.Ordered](dim int, exact func(key K, into []float32) bool) *Index[K] {
	x := New[K](dim)
	x.exact = exact
	return x
}

// Dim returns the number of components of the vectors.
func (x *Index[K]) Dim() int { return x.dim }

// Len returns the number of vectors.
func (x *Index[K]) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.keys)
}

// Bytes returns the memory of the vectors, without that of the keys.
func (x *Index[K]) Bytes() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := 0
	for _, b := range x.blocks {
		n += len(b.codes) + 8*blockRows + 4*len(b.floats)
	}
	return n
}

// Add puts the vector in under the key, in place of an earlier one. The error says that the vector has another dimension,
// or a component that is not finite or so large that sums overflow.
func (x *Index[K]) Add(key K, v []float32) error {
	if err := x.check(v); err != nil {
		return fmt.Errorf("add vector %v: %w", key, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	row, ok := x.at[key]
	if !ok {
		row = int32(len(x.keys))
		x.keys = append(x.keys, key)
		x.at[key] = row
		if int(row)/blockRows == len(x.blocks) {
			x.blocks = append(x.blocks, x.newBlock())
		}
	}
	b, i := x.blocks[row/blockRows], int(row%blockRows)
	b.scales[i], b.errors[i] = quantize(b.codes[i*x.stride:(i+1)*x.stride], v)
	b.maxScale, b.maxError = max(b.maxScale, b.scales[i]), max(b.maxError, b.errors[i])
	if b.floats != nil {
		copy(b.floats[i*x.dim:], v)
	}
	return nil
}

func (x *Index[K]) newBlock() *block {
	b := &block{codes: make([]int8, blockRows*x.stride)}
	if x.exact == nil {
		b.floats = make([]float32, blockRows*x.dim)
	}
	return b
}

func (x *Index[K]) check(v []float32) error {
	if len(v) != x.dim {
		return fmt.Errorf("it has %d components, want %d", len(v), x.dim)
	}
	for i, f := range v {
		if !(f > -1e15 && f < 1e15) {
			return fmt.Errorf("component %d is %v", i, f)
		}
	}
	return nil
}

// Delete takes the vector of the key out and reports whether there was one. The last row moves into its place, so that
// an index never has holes, and memory is given back block by block.
func (x *Index[K]) Delete(key K) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	row, ok := x.at[key]
	if !ok {
		return false
	}
	last := int32(len(x.keys) - 1)
	if row != last {
		to, i := x.blocks[row/blockRows], int(row%blockRows)
		from, j := x.blocks[last/blockRows], int(last%blockRows)
		copy(to.codes[i*x.stride:(i+1)*x.stride], from.codes[j*x.stride:])
		to.scales[i], to.errors[i] = from.scales[j], from.errors[j]
		to.maxScale, to.maxError = max(to.maxScale, to.scales[i]), max(to.maxError, to.errors[i])
		if to.floats != nil {
			copy(to.floats[i*x.dim:(i+1)*x.dim], from.floats[j*x.dim:])
		}
		x.keys[row] = x.keys[last]
		x.at[x.keys[row]] = row
	}
	var zero K
	x.keys[last] = zero
	x.keys = x.keys[:last]
	delete(x.at, key)
	if used := (int(last) + blockRows - 1) / blockRows; used < len(x.blocks) {
		x.blocks[used] = nil
		x.blocks = x.blocks[:used]
	}
	return true
}

// Search returns the k vectors with the greatest inner products with q, the greatest first and equal ones by key; fewer
// where there are fewer. The scores are those of float32 vectors. The error says what is wrong with q. Cost: one pass
// over the codes, 2 ms for 100,000 of 256 components with AVX2.
func (x *Index[K]) Search(q []float32, k int) ([]Hit[K], error) {
	return x.search(q, k, float32(math.Inf(-1)))
}

// Within is Search for all vectors, at most k of them, whose score is at least least.
func (x *Index[K]) Within(q []float32, k int, least float32) ([]Hit[K], error) {
	return x.search(q, k, least)
}

func (x *Index[K]) search(q []float32, k int, least float32) ([]Hit[K], error) {
	if err := x.check(q); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	if k <= 0 {
		return nil, nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := x.scan(q, min(k, len(x.keys)), least)
	hits := make([]Hit[K], 0, len(s.found))
	buffer := make([]float32, x.dim)
	for _, c := range s.found {
		if c.upper < s.floor {
			continue
		}
		if score := x.score(q, c, buffer); score >= least {
			hits = append(hits, Hit[K]{x.keys[c.row], score})
		}
	}
	slices.SortFunc(hits, func(a, b Hit[K]) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Key, b.Key))
	})
	return hits[:min(k, len(hits))], nil
}

// score is the exact score of a candidate.
func (x *Index[K]) score(q []float32, c candidate, buffer []float32) float32 {
	b, i := x.blocks[c.row/blockRows], int(c.row%blockRows)
	switch {
	case b.floats != nil:
		return Dot(q, b.floats[i*x.dim:(i+1)*x.dim])
	case x.exact(x.keys[c.row], buffer):
		return Dot(q, buffer)
	}
	return c.score
}
