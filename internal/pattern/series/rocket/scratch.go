package rocket

import "math"

// Scratch is the working memory of one Apply at a time.
type Scratch struct {
	length, step int
	triple       []float32 // 3x, with half*step zeros on both sides
	all          []float32 // minus the sum of the nine taps, at every position
	conv         []float32 // one convolution, padded with -Inf to whole vectors
	counts       []int32
}

// NewScratch makes the working memory for windows of the transform's length: about 24 bytes a point.
func (t *Transform) NewScratch() *Scratch {
	most := 0
	for _, d := range t.dilations {
		most = max(most, d.biases)
	}
	widest := t.dilations[len(t.dilations)-1].step
	return &Scratch{
		length: t.Length,
		triple: make([]float32, t.Length+2*half*widest+lanes),
		all:    make([]float32, t.Length+lanes),
		conv:   make([]float32, t.Length+lanes),
		counts: make([]int32, most),
	}
}

// load prepares the window x for convolutions at one dilation: a kernel is -1 everywhere and +3 on three taps, so what
// all kernels share is summed once (section 3.2.1).
func (s *Scratch) load(x []float32, step int) {
	s.step = step
	edge := half * step
	s.triple = s.triple[:len(x)+2*edge+lanes]
	clear(s.triple[:edge])
	clear(s.triple[edge+len(x):])
	for i, v := range x {
		s.triple[edge+i] = 3 * v
	}
	clear(s.all[:len(x)])
	for tap := range taps {
		shift := (tap - half) * step
		lo, hi := max(0, -shift), min(len(x), len(x)-shift)
		if lo >= hi {
			continue
		}
		dst, src := s.all[lo:hi], x[lo+shift:hi+shift]
		for i, v := range src {
			dst[i] -= v
		}
	}
}

// convolve returns the convolution with kernel k at the positions from <= i < to. It is valid until the next call.
func (s *Scratch) convolve(k, from, to int) []float32 {
	var (
		n   = to - from
		p   = kernels[k]
		g   = func(tap int) []float32 { return s.triple[from+p[tap]*s.step:] }
		dst = s.conv[:n+lanes]
	)
	addFour(dst, s.all[from:], g(0), g(1), g(2), n)
	for i := n; i < n+lanes; i++ {
		dst[i] = float32(math.Inf(-1))
	}
	return dst[:n]
}

// share writes for each bias the share of c above it. c is what convolve returned.
func (s *Scratch) share(c, biases, out []float32) {
	counts := s.counts[:len(biases)]
	countAbove(c, biases, counts)
	share := 1 / float32(len(c))
	for i, n := range counts {
		out[i] = float32(n) * share
	}
}
