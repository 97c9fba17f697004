// Package rocket turns a series of fixed length into MiniRocket features: shares of positive values of 84 fixed
// convolutions at many dilations and biases. In come windows of one length without missing values, out go features in
// [0, 1]. It knows no classes and draws no random number that its seed does not fix.
//
// Source: A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time
// Series Classification", KDD 2021, arXiv 2012.08791, sections 3.1 to 3.3. Written from the paper.
package rocket

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// Kernels is the number of kernels: all ways to choose 3 of 9 taps (section 3.1.2).
	Kernels = 84
	// Full is the number of features of the paper: the largest multiple of Kernels below 10,000.
	Full = 9996
	// MinLength is the shortest window: the kernel of 9 taps at dilation 1.
	MinLength = 9
	// MaxLength bounds a window, so that an untrusted one cannot ask for much memory.
	MaxLength = 1 << 16

	taps         = 9
	half         = taps / 2
	maxDilations = 32 // a kernel (section 3.1.4)
	lanes        = 8  // of float32 in a vector
)

// kernels holds for each kernel the three taps with the weight 2; the other six have the weight -1.
var kernels = func() (out [Kernels][3]int) {
	n := 0
	for a := range taps {
		for b := a + 1; b < taps; b++ {
			for c := b + 1; c < taps; c++ {
				out[n] = [3]int{a, b, c}
				n++
			}
		}
	}
	return out
}()

// Transform maps a window to features. Make it with Fit or, from what it was stored as, with New. It is read only, and
// safe for concurrent use with one Scratch for each goroutine.
type Transform struct {
	// Length is the length of every window.
	Length int
	// Biases are the thresholds, by dilation, then kernel, then quantile.
	Biases []float32

	dilations []dilation
}

// dilation is one spacing of the taps and how many biases each kernel has at it.
type dilation struct {
	step, biases int
}

// spread lays the features of one kernel over the dilations of a length: exponentially spaced, so that the receptive
// field reaches from 9 points to the whole window (section 3.1.4).
func spread(length, perKernel int) []dilation {
	var (
		n       = min(perKernel, maxDilations)
		largest = math.Log2(float64(length-1) / (taps - 1))
		out     []dilation
	)
	for i := range n {
		step := 1
		if n > 1 {
			step = int(math.Exp2(largest*float64(i)/float64(n-1)) + 1e-9)
		}
		if len(out) == 0 || out[len(out)-1].step != step {
			out = append(out, dilation{step: step})
		}
		out[len(out)-1].biases += perKernel / n
	}
	for i := range perKernel % n {
		out[i%len(out)].biases++
	}
	return out
}

// Fit draws the biases of n features from the training windows, all of one length between MinLength and MaxLength and
// free of NaN; n is rounded down to a multiple of Kernels. The biases of a kernel at a dilation are quantiles of its
// convolution with one window that the seed chooses (section 3.1.3), so the same windows and seed give the same
// transform on every machine. It returns an error that says which window is not as it must be.
func Fit(windows [][]float32, n int, seed uint64) (*Transform, error) {
	if len(windows) == 0 || n < Kernels {
		return nil, fmt.Errorf("fit %d features to %d windows: want at least %d features and one window", n, len(windows), Kernels)
	}
	length := len(windows[0])
	for i, w := range windows {
		if err := check(w, length); err != nil {
			return nil, fmt.Errorf("window %d: %w", i, err)
		}
	}
	t, err := New(length, make([]float32, n/Kernels*Kernels))
	if err != nil {
		return nil, err
	}
	t.fit(windows, rand.New(rand.NewPCG(seed, seed)))
	return t, nil
}

// New restores a transform from its length and biases.
func New(length int, biases []float32) (*Transform, error) {
	if length < MinLength || length > MaxLength {
		return nil, fmt.Errorf("length %d: want %d to %d", length, MinLength, MaxLength)
	}
	if len(biases) == 0 || len(biases)%Kernels != 0 {
		return nil, fmt.Errorf("%d biases: want a multiple of %d", len(biases), Kernels)
	}
	return &Transform{Length: length, Biases: biases, dilations: spread(length, len(biases)/Kernels)}, nil
}

func check(w []float32, length int) error {
	if len(w) != length {
		return fmt.Errorf("length %d: want %d", len(w), length)
	}
	for i, v := range w {
		if v != v || math.IsInf(float64(v), 0) {
			return fmt.Errorf("value %d is %v", i, v)
		}
	}
	return nil
}

// fit fills the biases.
func (t *Transform) fit(windows [][]float32, random *rand.Rand) {
	var (
		s      = t.NewScratch()
		at     = 0
		golden = (math.Sqrt(5) + 1) / 2
		sorted []float32
	)
	for _, d := range t.dilations {
		for k := range Kernels {
			s.load(windows[random.IntN(len(windows))], d.step)
			sorted = append(sorted[:0], s.convolve(k, 0, t.Length)...)
			slices.Sort(sorted)
			for range d.biases {
				_, q := math.Modf(float64(at+1) * golden)
				t.Biases[at] = quantile(sorted, q)
				at++
			}
		}
	}
}

// quantile interpolates linearly between the order statistics around q.
func quantile(sorted []float32, q float64) float32 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	low, high := float64(sorted[i]), float64(sorted[i+1])
	return float32(low + float64((high-low)*(at-float64(i))))
}

// Len is the number of features.
func (t *Transform) Len() int { return len(t.Biases) }

// Apply writes the features of window x into out, which has Len elements. x has Length finite values; a slice of
// another length panics. Cost: Length x Len comparisons, eight at a time where the processor has AVX2.
func (t *Transform) Apply(x []float32, s *Scratch, out []float32) {
	if len(x) != t.Length || len(out) != t.Len() {
		panic(fmt.Sprintf("rocket: window of %d and %d features, want %d and %d", len(x), len(out), t.Length, t.Len()))
	}
	for i := range t.dilations {
		from, to := t.Block(i)
		t.ApplyBlock(i, x, s, out[from:to])
	}
}

// Blocks is the number of dilations: the features of one dilation are a block, which can be computed alone.
func (t *Transform) Blocks() int { return len(t.dilations) }

// Block is the range of the features of block i.
func (t *Transform) Block(i int) (from, to int) {
	for _, d := range t.dilations[:i] {
		from += d.biases * Kernels
	}
	return from, from + t.dilations[i].biases*Kernels
}

// ApplyBlock writes the features of block i alone, so that training needs memory for one block of features at a time.
func (t *Transform) ApplyBlock(i int, x []float32, s *Scratch, out []float32) {
	var (
		d      = t.dilations[i]
		at, _  = t.Block(i)
		edge   = half * d.step
		biases = t.Biases[at : at+len(out)]
	)
	s.load(x, d.step)
	for k := range Kernels {
		from, to := 0, t.Length
		if (i+k)%2 == 1 { // half of the kernels see no padding (section 3.1.5)
			from, to = edge, t.Length-edge
		}
		c := s.convolve(k, from, to)
		s.share(c, biases[k*d.biases:(k+1)*d.biases], out[k*d.biases:(k+1)*d.biases])
	}
}
