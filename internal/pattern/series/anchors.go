package series

import (
	"math"

	"github.com/tartan-ai/tartan/internal/pattern/series/rocket"
)

const (
	// stride picks every 19th feature of the plain view for distances: 527 of 9,996, spread over all dilations and, 19 and
	// 84 having no common factor, over all kernels.
	stride = 19
	// maxAnchors bounds the examples of a class that distances are taken to.
	maxAnchors = 24
)

// picked is how many features distances are taken over.
const picked = (rocket.Full + stride - 1) / stride

// anchors are examples of each class, in a few features: how far a window is from those of its class says whether it is
// one of them.
type anchors struct {
	inverse  []float32   // 1 / standard deviation of each picked feature; 0 where it does not vary
	rows     [][]float32 // the picked features of each anchor
	labels   []int
	numbers  []int     // of the examples
	leftOut  []float64 // for each training example the distance to the nearest other anchor of its class; not stored
	features [][]float32
}

// newAnchors chooses the anchors: an even part of each class.
func newAnchors(t *training) *anchors {
	a := &anchors{features: make([][]float32, len(t.labels))}
	counts, seen := make([]int, len(t.classes)), make([]int, len(t.classes))
	for _, l := range t.labels {
		counts[l]++
	}
	for i, l := range t.labels {
		want := min(counts[l], maxAnchors)
		if at := seen[l]; at == 0 || at*want/counts[l] != (at-1)*want/counts[l] {
			a.labels, a.numbers = append(a.labels, l), append(a.numbers, i)
		}
		seen[l]++
		a.features[i] = make([]float32, 0, picked)
	}
	return a
}

// collect takes the picked features out of a block that starts at feature from.
func (a *anchors) collect(from int, rows [][]float32) {
	for i, r := range rows {
		for j := (stride - from%stride) % stride; j < len(r); j += stride {
			a.features[i] = append(a.features[i], r[j])
		}
	}
}

// finish scales the features and measures every training example against the anchors of its class.
func (a *anchors) finish(labels []int) {
	a.inverse = make([]float32, picked)
	for j := range a.inverse {
		column := make([]float64, len(a.features))
		for i, f := range a.features {
			column[i] = float64(f[j])
		}
		if _, d := moments(column); d > 1e-7 {
			a.inverse[j] = float32(1 / d)
		}
	}
	for _, i := range a.numbers {
		a.rows = append(a.rows, a.features[i])
	}
	a.leftOut = make([]float64, len(a.features))
	for i, f := range a.features {
		_, a.leftOut[i] = a.nearest(f, labels[i], i)
	}
	a.features = nil
}

// nearest is the anchor of a class that is nearest to the picked features f, and its distance: the root of the mean
// squared difference in standard deviations. The anchor that is example skip is not looked at; +Inf where none is left.
func (a *anchors) nearest(f []float32, class, skip int) (anchor int, distance float64) {
	anchor, distance = -1, math.Inf(1)
	for i, row := range a.rows {
		if a.labels[i] != class || a.numbers[i] == skip {
			continue
		}
		sum := float32(0)
		for j, v := range row {
			d := (f[j] - v) * a.inverse[j]
			sum += float32(d * d)
		}
		if d := math.Sqrt(float64(sum) / picked); d < distance {
			anchor, distance = i, d
		}
	}
	return anchor, distance
}
