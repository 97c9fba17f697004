package profile

import (
	"fmt"
	"math"
)

// Stream keeps the profile of a series that grows. Each point costs one pass over the windows so far (STAMPI, "Matrix
// Profile I", section III.F); the distances are those of Compute over the same points. It is not safe for concurrent use.
type Stream struct {
	s        statistics
	raw      []float64
	holes    []int
	shift    float64   // the first value: keeps the numbers small
	products []float64 // of every window with the newest
	df, dg   []float64
	reach    []float64 // the correlation from which a window may be a nearer neighbour
	profile  Profile
}

// NewStream starts an empty series for one window length.
func NewStream(window int) (*Stream, error) {
	if window < MinWindow || window > MaxPoints/2 {
		return nil, fmt.Errorf("stream with window %d: want %d to %d", window, MinWindow, MaxPoints/2)
	}
	return &Stream{
		s: statistics{window: window}, holes: []int{0},
		profile: Profile{Window: window, Exclusion: exclusion(window)},
	}, nil
}

// Profile is the profile so far. It is valid until the next Append.
func (t *Stream) Profile() *Profile { return &t.profile }

// Values are the points so far, NaN where one is missing.
func (t *Stream) Values() []float64 { return t.raw }

// Append adds one point, NaN for a missing one. It returns an error for an infinite value and past MaxPoints, and then
// leaves the stream as it was. Cost: O(n).
func (t *Stream) Append(v float64) error {
	if math.IsInf(v, 0) || len(t.raw) >= MaxPoints {
		return fmt.Errorf("append %v as point %d: want a finite value and at most %d points", v, len(t.raw), MaxPoints)
	}
	hole, filled := t.holes[len(t.raw)], 0.0
	if v != v {
		hole++
	} else {
		if hole == len(t.raw) {
			t.shift = v
		}
		filled = v - t.shift
	}
	t.raw, t.holes, t.s.x = append(t.raw, v), append(t.holes, hole), append(t.s.x, filled)
	if len(t.raw) >= t.s.window {
		t.window()
	}
	return nil
}

// window adds the newest window.
func (t *Stream) window() {
	var (
		m = t.s.window
		j = len(t.s.x) - m
		w = t.s.x[j:]
	)
	mean, inverse, k := moments(w)
	if t.holes[j+m] > t.holes[j] {
		k, inverse = missing, 0
	}
	t.s.mean, t.s.inverse, t.s.kind = append(t.s.mean, mean), append(t.s.inverse, inverse), append(t.s.kind, k)
	t.reach = append(t.reach, math.Inf(-1))
	t.profile.Distance, t.profile.Neighbour = append(t.profile.Distance, math.Inf(1)), append(t.profile.Neighbour, -1)
	t.advance(j)
	if k != missing {
		t.meet(j)
	}
}

// advance moves the products from window j-1 to window j.
func (t *Stream) advance(j int) {
	m, x := t.s.window, t.s.x
	df, dg := 0.0, 0.0
	if j > 0 {
		df, dg = (x[j+m-1]-x[j-1])/2, (x[j+m-1]-t.s.mean[j])+(x[j-1]-t.s.mean[j-1])
	}
	t.df, t.dg, t.products = append(t.df, df), append(t.dg, dg), append(t.products, 0)
	for i := j; i > 0; i-- {
		t.products[i] = t.products[i-1] + float64(t.df[i]*dg) + float64(df*t.dg[i])
	}
	t.products[0] = t.s.product(0, j)
}

// meet compares window j with every window before it.
func (t *Stream) meet(j int) {
	root := math.Sqrt(float64(t.s.window))
	for i := 0; i <= j-t.profile.Exclusion; i++ {
		a, b := t.s.kind[i], t.s.kind[j]
		switch {
		case a == varies && b == varies:
			// The exact distance only where the correlation says that it may be a new best.
			if r := t.products[i] * t.s.inverse[i] * t.s.inverse[j]; r > t.reach[i] || r > t.reach[j] {
				t.pair(i, j, t.s.distance(i, j))
			}
		case a == missing:
		case a == flat && b == flat:
			t.pair(i, j, 0)
		default:
			t.pair(i, j, root)
		}
	}
}

// pair notes the distance of windows i and j.
func (t *Stream) pair(i, j int, d float64) {
	for _, e := range [2][2]int{{i, j}, {j, i}} {
		if d < t.profile.Distance[e[0]] {
			t.profile.Distance[e[0]], t.profile.Neighbour[e[0]] = d, e[1]
			// The recurrence is right to about 1e-13: what is within 1e-11 of the best is looked at exactly.
			t.reach[e[0]] = 1 - d*d/(2*float64(t.s.window)) - 1e-11
		}
	}
}
