package search

import (
	"math"

	"github.com/tartan-ai/tartan/internal/pattern/vector"
)

// vectors are those of a segment's documents, by number: a byte a component. They are what scores are computed from, exactly;
// what rounding takes away is far below what a vector means.
type vectors struct {
	dim    int
	stride int // dim, padded
	blocks []vectorBlock
	n      int
	sum    []int64 // of the vectors of live documents, in units of 1/points
}

// vectorRows are scanned together: they fit a cache, and adding a document never copies what is there.
const vectorRows = 256

type vectorBlock struct {
	codes  []int8
	scales []float32
}

func newVectors(dim int) vectors {
	return vectors{dim: dim, stride: vector.Stride(dim), sum: make([]int64, dim)}
}

func (v *vectors) extend() ([]int8, *float32) {
	i := v.n % vectorRows
	if i == 0 {
		v.blocks = append(v.blocks, vectorBlock{make([]int8, vectorRows*v.stride), make([]float32, vectorRows)})
	}
	b := v.blocks[len(v.blocks)-1]
	v.n++
	return b.codes[i*v.stride : (i+1)*v.stride], &b.scales[i]
}

// add appends the vector of the next document; nil for one that has none.
func (v *vectors) add(x []float32) {
	codes, scale := v.extend()
	if x != nil {
		*scale = vector.Quantize(codes, x)
		v.addTo(v.sum, uint32(v.n-1), 1)
	}
}

// set gives a live document its vector, unless it has one.
func (v *vectors) set(doc uint32, x []float32) {
	b, i := v.blocks[doc/vectorRows], int(doc%vectorRows)
	if b.scales[i] == 0 {
		b.scales[i] = vector.Quantize(b.codes[i*v.stride:(i+1)*v.stride], x)
		v.addTo(v.sum, doc, 1)
	}
}

// forget takes the vector of a dead document out of the mean.
func (v *vectors) forget(doc uint32) { v.addTo(v.sum, doc, -1) }

// addTo adds the vector of a document to a sum, in points, so that taking it off again leaves nothing.
func (v *vectors) addTo(sum []int64, doc uint32, sign int64) {
	codes, scale := v.row(doc)
	for i := range sum {
		sum[i] += sign * int64(math.RoundToEven(float64(codes[i])*float64(scale)*points))
	}
}

func (v *vectors) row(doc uint32) ([]int8, float32) {
	b, i := v.blocks[doc/vectorRows], int(doc%vectorRows)
	return b.codes[i*v.stride : (i+1)*v.stride], b.scales[i]
}

// release gives back the memory of a document's row, after those of all before it.
func (v *vectors) release(doc uint32) {
	if doc%vectorRows == vectorRows-1 {
		v.blocks[doc/vectorRows] = vectorBlock{}
	}
}

// copy appends the vector of a document of o; only that of a live one counts for the mean.
func (v *vectors) copy(o *vectors, doc uint32, live bool) {
	codes, scale := v.extend()
	from, s := o.row(doc)
	copy(codes, from)
	if *scale = s; live {
		v.addTo(v.sum, uint32(v.n-1), 1)
	}
}
