// Package profile finds what recurs in a long series and what stands out: the matrix profile under z-normalised
// Euclidean distance. In comes a series, NaN where a value is missing, out go for each window the distance to its
// nearest neighbour and where that is. It knows no classes and no time.
//
// Sources: C.-C. M. Yeh et al., "Matrix Profile I", ICDM 2016, for the definition; Y. Zhu et al., "Matrix Profile II:
// exploiting a novel algorithm and GPUs" (STOMP), ICDM 2016, for the traversal; Z. Zimmerman et al., "Matrix Profile XIV"
// (SCAMP), SoCC 2019, and the mpx paper (R. Akbarinia, B. Cloez, "Efficient matrix profile computation using different
// distance functions", 2019, for the centred products), for the recurrence along a diagonal. Written from the papers.
package profile

import (
	"fmt"
	"math"
)

const (
	// MinWindow is the shortest window that has a shape.
	MinWindow = 4
	// MaxPoints bounds a series: the cost is quadratic, and a million windows would take minutes.
	MaxPoints = 1 << 17
)

// Profile says for each window of a series how far its nearest neighbour is.
type Profile struct {
	// Window is the length of the windows, in points.
	Window int
	// Exclusion is how near two windows may start and not be neighbours: a quarter of the window, rounded up.
	Exclusion int
	// Distance[i] is the z-normalised Euclidean distance of window i to its nearest neighbour: +Inf where a value is
	// missing or no neighbour is outside the exclusion zone. At most 2 sqrt(Window).
	Distance []float64
	// Neighbour[i] is the start of that neighbour, -1 for none.
	Neighbour []int
}

// Compute returns the profile of x for one window length. A window without variation is all zeros when z-normalised:
// it has the distance 0 to another such window and sqrt(window) to any that varies. It returns an error that states the
// bounds when the window or the series is outside them, or a value is infinite. Cost: O(n^2) and 56 bytes a point.
func Compute(x []float64, window int) (*Profile, error) {
	if window < MinWindow || len(x) < 2*window || len(x) > MaxPoints {
		return nil, fmt.Errorf("matrix profile of %d points with window %d: want a window of at least %d and a series of 2 windows to %d points", len(x), window, MinWindow, MaxPoints)
	}
	for i, v := range x {
		if math.IsInf(v, 0) {
			return nil, fmt.Errorf("value %d is infinite", i)
		}
	}
	s := measure(x, window)
	t := newTable(s)
	t.run()
	return t.profile(), nil
}

// exclusion is the customary zone: a quarter of the window.
func exclusion(window int) int { return (window + 3) / 4 }

// statistics are what the recurrence needs of every window.
type statistics struct {
	window  int
	x       []float64 // centred, holes filled
	mean    []float64
	inverse []float64 // 1 / norm of the centred window; 0 without variation
	kind    []kind
}

type kind uint8

const (
	varies  kind = iota
	flat         // no variation
	missing      // holds a missing value
)

// flatness is the standard deviation, relative to the largest magnitude in the window, under which a window does not
// vary: rounding alone gives about 1e-16.
const flatness = 1e-13

// measure takes the mean and norm of every window, each in two passes: O(n window), small beside the table.
func measure(x []float64, window int) *statistics {
	n := len(x) - window + 1
	s := &statistics{window: window, mean: make([]float64, n), inverse: make([]float64, n), kind: make([]kind, n)}
	filled, holes := fill(x)
	s.x = filled
	for i := range n {
		w := filled[i : i+window]
		s.mean[i], s.inverse[i], s.kind[i] = moments(w)
		if holes[i+window] > holes[i] {
			s.kind[i], s.inverse[i] = missing, 0
		}
	}
	return s
}

// moments are the mean and the inverse norm of a window, and whether it varies.
func moments(w []float64) (mean, inverse float64, k kind) {
	for _, v := range w {
		mean += v
	}
	mean /= float64(len(w))
	sum, largest := 0.0, 0.0
	for _, v := range w {
		d := v - mean
		sum += float64(d * d)
		largest = max(largest, math.Abs(v))
	}
	if sum <= float64(len(w))*flatness*flatness*largest*largest {
		return mean, 0, flat
	}
	return mean, 1 / math.Sqrt(sum), varies
}

// fill centres x on its mean and puts the mean in the place of missing values; holes[i] counts the missing before i.
// Windows that hold one are left out later, but the recurrence runs across them.
func fill(x []float64) (filled []float64, holes []int) {
	filled, holes = make([]float64, len(x)), make([]int, len(x)+1)
	mean, known := 0.0, 0.0
	for i, v := range x {
		holes[i+1] = holes[i]
		if v != v {
			holes[i+1]++
			continue
		}
		known++
		mean += (v - mean) / known
	}
	for i, v := range x {
		if v == v {
			filled[i] = v - mean
		}
	}
	return filled, holes
}

// distance is the exact distance of two windows that vary, from their values.
func (s *statistics) distance(i, j int) float64 {
	var (
		scale = math.Sqrt(float64(s.window))
		a, b  = s.x[i : i+s.window], s.x[j : j+s.window]
		sum   float64
	)
	for k := range a {
		d := (a[k]-s.mean[i])*s.inverse[i] - (b[k]-s.mean[j])*s.inverse[j]
		sum += float64(d * d)
	}
	return scale * math.Sqrt(sum)
}
