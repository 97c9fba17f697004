// Package change finds where a series changes its distribution: its level, its spread or its shape. In comes a series,
// NaN where a value is missing, out come the points of change with how sure they are. It knows no time.
//
// Method: ED-PELT (K. Haynes, P. Fearnhead, I. A. Eckley, "A computationally efficient nonparametric approach for
// changepoint detection", Statistics and Computing 27, 2017), whose cost is the likelihood of the empirical distribution
// at a few quantiles, so that it needs no model of the values; then a test of every point found. ClaSP, which looks for
// changes of shape between windows, was not taken: it needs a window length and a profile of its own, and what changes
// in measurements of systems is mostly level and spread.
package change

import (
	"fmt"
	"math"
	"slices"
)

const (
	// MinSegment is the fewest points between two changes.
	MinSegment = 8
	// MaxPoints bounds a series: without changes the search is quadratic.
	MaxPoints = 20000
	// Alpha is the chance that a reported series of changes holds one that is none.
	Alpha = .01
)

// Segment describes the points between two changes.
type Segment struct {
	From, To  int // points, To not included
	Median    float64
	Deviation float64 // standard deviation
}

// Point is a change.
type Point struct {
	At            int     // the first point that is different
	P             float64 // p-value, corrected for the places looked at and for autocorrelation
	Before, After Segment
}

// Find returns the changes of x in their order. Missing points are left out and count for no segment. It returns an
// error for more than MaxPoints and for infinite values; fewer than 2 MinSegment points have no change.
func Find(x []float64) ([]Point, error) {
	if len(x) > MaxPoints {
		return nil, fmt.Errorf("changes of %d points: want at most %d", len(x), MaxPoints)
	}
	var (
		values []float64
		place  []int
	)
	for i, v := range x {
		if math.IsInf(v, 0) {
			return nil, fmt.Errorf("value %d is infinite", i)
		}
		if v == v {
			values, place = append(values, v), append(place, i)
		}
	}
	if len(values) < 2*MinSegment {
		return nil, nil
	}
	cuts, ps := prune(values, segment(values))
	return points(values, place, cuts, ps), nil
}

// points describes the cuts, which are 0, the changes, and the number of values.
func points(values []float64, place []int, cuts []int, ps []float64) []Point {
	describe := func(k int) Segment {
		s := Segment{From: place[cuts[k]], To: place[cuts[k+1]-1] + 1}
		_, s.Deviation = meanDeviation(values[cuts[k]:cuts[k+1]])
		s.Median = median(values[cuts[k]:cuts[k+1]])
		return s
	}
	var out []Point
	for k := 1; k+1 < len(cuts); k++ {
		out = append(out, Point{At: place[cuts[k]], P: ps[k], Before: describe(k - 1), After: describe(k)})
	}
	return out
}

// places is how many places a change is looked for at; in longer series they are thinned, and what is found is then
// moved to the best point nearby.
const places = 2500

// segment is ED-PELT. It returns 0, the changes and len(x).
func segment(x []float64) []int {
	var (
		n       = len(x)
		c       = newCost(x)
		penalty = 3 * math.Log(float64(n)) // a level, a spread and a place for each change, in the sense of BIC
		step    = (n + places - 1) / places
		best    = make([]float64, n+1)
		from    = make([]int, n+1)
		open    = []int{0}
		waiting []int // ends that are too near to be a start yet
		values  []float64
	)
	best[0] = -penalty
	for t := min(n, max(step, MinSegment)); ; t = min(n, t+step) {
		for len(waiting) > 0 && t-waiting[0] >= MinSegment {
			open, waiting = append(open, waiting[0]), waiting[1:]
		}
		lowest := math.Inf(1)
		values = values[:0]
		for _, s := range open {
			v := best[s] + c.of(s, t)
			values = append(values, v)
			if v+penalty < lowest {
				lowest, from[t] = v+penalty, s
			}
		}
		kept := open[:0]
		for i, s := range open { // pruning: a start that is worse now by more than the penalty is worse for ever
			if values[i] < lowest {
				kept = append(kept, s)
			}
		}
		best[t] = lowest
		open, waiting = kept, append(waiting, t)
		if t == n {
			break
		}
	}
	cuts := []int{n}
	for t := n; t > 0; t = from[t] {
		cuts = append(cuts, from[t])
	}
	slices.Reverse(cuts)
	refine(c, cuts, step)
	return cuts
}

// refine moves each cut to the best point within a step of it.
func refine(c *cost, cuts []int, step int) {
	for k := 1; k+1 < len(cuts) && step > 1; k++ {
		lowest := math.Inf(1)
		at := cuts[k]
		for t := max(cuts[k-1]+MinSegment, at-step); t <= min(cuts[k+1]-MinSegment, at+step); t++ {
			if v := c.of(cuts[k-1], t) + c.of(t, cuts[k+1]); v < lowest {
				lowest, cuts[k] = v, t
			}
		}
	}
}

// cost is twice the negative log-likelihood of a segment at a few quantiles of the whole, integrated with the weights
// of Haynes et al., section 3.1, which favour the tails.
type cost struct {
	scale   float64
	below   [][]int32 // for each quantile the values up to it so far
	entropy []float64 // n log n
}

func newCost(x []float64) *cost {
	var (
		n      = float64(len(x))
		k      = min(len(x), int(math.Ceil(4*math.Log(n))))
		sorted = slices.Clone(x)
		c      = math.Log(2*n - 1)
		out    = &cost{scale: 2 * c / float64(k), entropy: make([]float64, len(x)+1)}
	)
	for i := 1; i <= len(x); i++ {
		out.entropy[i] = float64(i) * math.Log(float64(i))
	}
	slices.Sort(sorted)
	for i := range k {
		p := 1 / (1 + math.Exp(c*(1-2*(float64(i)+.5)/float64(k))))
		q := sorted[min(len(x)-1, int(p*n))]
		sums := make([]int32, len(x)+1)
		for j, v := range x {
			sums[j+1] = sums[j]
			if v <= q {
				sums[j+1]++
			}
		}
		out.below = append(out.below, sums)
	}
	return out
}

// of is the cost of the values s..t: for each quantile, n times the entropy of being below it.
func (c *cost) of(s, t int) float64 {
	n, sum := int32(t-s), 0.0
	for _, b := range c.below {
		f := b[t] - b[s]
		sum -= c.entropy[f] + c.entropy[n-f]
	}
	return c.scale * (sum + float64(len(c.below))*c.entropy[n])
}
