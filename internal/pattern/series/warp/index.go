package warp

import (
	"math"
	"slices"
)

// Index answers nearest-neighbour queries over a few examples. It is read only and safe for concurrent use.
type Index struct {
	// Window is how many points an alignment may stray.
	Window int

	examples     [][]float64
	upper, lower [][]float64
}

// NewIndex prepares the envelopes of examples, all of one length; it keeps them.
func NewIndex(examples [][]float64, window int) *Index {
	x := &Index{Window: window, examples: examples}
	for _, e := range examples {
		u, l := Envelope(e, window)
		x.upper, x.lower = append(x.upper, u), append(x.lower, l)
	}
	return x
}

// Neighbour is an example and its distance.
type Neighbour struct {
	Example  int
	Distance float64
}

// Nearest returns for each group the nearest of its examples: groups[i] in [0, n) is the group of example i, and an
// example whose number is skip is not looked at (-1 looks at all). A group without examples has Example -1. Candidates
// are taken in the order of their bounds and left as soon as a bound exceeds the best of their group.
func (x *Index) Nearest(query []float64, groups []int, n, skip int) []Neighbour {
	var (
		out          = make([]Neighbour, n)
		bounds       = make([]float64, len(x.examples))
		order        = make([]int, 0, len(x.examples))
		upper, lower = Envelope(query, x.Window)
		rest         = make([]float64, len(query)+1)
		r            row
	)
	for g := range out {
		out[g] = Neighbour{-1, math.Inf(1)}
	}
	for i, e := range x.examples {
		if i != skip {
			bounds[i] = max(kim(query, e), keogh(query, x.upper[i], x.lower[i], nil))
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case bounds[a] < bounds[b]:
			return -1
		case bounds[a] > bounds[b]:
			return 1
		}
		return 0
	})
	for _, i := range order {
		best := &out[groups[i]]
		if bounds[i] >= best.Distance || keogh(x.examples[i], upper, lower, rest) >= best.Distance {
			continue
		}
		// rest was summed over the points of the example, so the example stands in the rows.
		if d := r.warp(x.examples[i], query, x.Window, best.Distance, rest); d < best.Distance {
			*best = Neighbour{i, d}
		}
	}
	for g := range out {
		out[g].Distance = math.Sqrt(out[g].Distance)
	}
	return out
}

// kim bounds the squared distance by the first and the last point, which every alignment pairs (LB_Kim, in the form of
// Rakthanmanon et al.).
func kim(a, b []float64) float64 {
	n := len(a) - 1
	if n < 0 {
		return 0
	}
	first, last := a[0]-b[0], a[n]-b[n]
	if n == 0 {
		return first * first
	}
	return float64(first*first) + float64(last*last)
}

// keogh bounds the squared distance by how far x leaves the envelope (LB_Keogh). rest, when given, receives at i the
// part of the points i and after.
func keogh(x, upper, lower, rest []float64) float64 {
	sum := 0.0
	for i := len(x) - 1; i >= 0; i-- {
		d := 0.0
		switch v := x[i]; {
		case v > upper[i]:
			d = v - upper[i]
		case v < lower[i]:
			d = lower[i] - v
		}
		sum += float64(d * d)
		if rest != nil {
			rest[i] = sum
		}
	}
	return sum
}

// shares are the windows tried, as shares of the length; beyond a fifth, warping mostly hurts (Ratanamahatana, Keogh,
// "Three myths about dynamic time warping data mining", SDM 2005).
var shares = []float64{0, .01, .02, .03, .04, .05, .06, .08, .1, .12, .15, .2}

// fallback is the window of a training set that leaves no choice: a tenth of the length, the customary band.
const fallback = .1

// ChooseWindow returns the window with the fewest leave-one-out errors of the nearest example, the smallest of equals,
// and the share that was right. Where no class has two examples it returns a tenth of the length and 0.
func ChooseWindow(examples [][]float64, labels []int, classes int) (window int, right float64) {
	counts := make([]int, classes)
	for _, l := range labels {
		counts[l]++
	}
	length := float64(len(examples[0]))
	if slices.Max(counts) < 2 {
		return int(fallback * length), 0
	}
	best := -1
	for _, share := range shares {
		w := int(math.Round(share * length))
		if ok := leaveOneOut(NewIndex(examples, w), labels, classes); ok > best {
			best, window = ok, w
		}
	}
	return window, float64(best) / float64(len(labels))
}

// leaveOneOut counts the examples whose nearest other example is of their class.
func leaveOneOut(x *Index, labels []int, classes int) int {
	ok := 0
	for i, e := range x.examples {
		if Closest(x.Nearest(e, labels, classes, i)) == labels[i] {
			ok++
		}
	}
	return ok
}

// Closest is the group with the smallest distance, the first of equals.
func Closest(by []Neighbour) int {
	best := 0
	for g, n := range by {
		if n.Distance < by[best].Distance {
			best = g
		}
	}
	return best
}
