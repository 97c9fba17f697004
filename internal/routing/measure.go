package routing

import (
	"math"
	"slices"
)

// Case is one prompt of a test: how well each model answered it, what that cost, and what a router expected of each. The
// slices have one place a model.
type Case struct {
	Quality  []float64
	Cost     []float64
	Expected []float64
}

// Point is a share of calls to the strong model, or a cost, and the quality reached with it.
type Point struct {
	Cost    float64 `json:"cost"`
	Quality float64 `json:"quality"`
}

// Curve measures a router between two models as RouteLLM's evaluate.py does: the prompts in the order of what the strong
// model is expected to be better by, cut at the edges of ten bins of equal size; Cost is the share of strong calls, 0..1.
func Curve(cases []Case, weak, strong int) []Point {
	order := make([]float64, len(cases))
	for i, c := range cases {
		order[i] = c.Expected[strong] - c.Expected[weak]
	}
	sorted := slices.Clone(order)
	slices.Sort(sorted)
	var curve []Point
	last := math.Inf(-1)
	for b := range 11 {
		// The edge of a bin lies between two values as numpy's linear quantile has it.
		at := float64(b) / 10 * float64(len(sorted)-1)
		low := int(at)
		edge := sorted[low]
		if low+1 < len(sorted) {
			edge += (at - float64(low)) * (sorted[low+1] - sorted[low])
		}
		if edge == last {
			continue
		}
		last = edge
		var quality, calls float64
		for i, c := range cases {
			if order[i] >= edge {
				quality += c.Quality[strong]
				calls++
			} else {
				quality += c.Quality[weak]
			}
		}
		curve = append(curve, Point{calls / float64(len(cases)), quality / float64(len(cases))})
	}
	slices.Reverse(curve)
	return curve
}

// APGR is the average performance gap recovered: the area under the curve over the weak model, as a share of that under the
// strong one. 0.5 is a coin.
func APGR(curve []Point, weak, strong float64) float64 {
	var area, width float64
	for i := 1; i < len(curve); i++ {
		w := curve[i].Cost - curve[i-1].Cost
		area += w * (curve[i].Quality + curve[i-1].Quality) / 2
		width += w
	}
	if width == 0 || strong == weak {
		return math.NaN()
	}
	return (area - weak*width) / ((strong - weak) * width)
}

// CPT is the least share of strong calls with which the curve first recovers a part of the gap, 0..1; NaN where it never does.
func CPT(curve []Point, weak, strong, part float64) float64 {
	want := weak + part*(strong-weak)
	for i, p := range curve {
		if p.Quality < want {
			continue
		}
		if i == 0 {
			return p.Cost
		}
		q := curve[i-1]
		return q.Cost + (want-q.Quality)/(p.Quality-q.Quality)*(p.Cost-q.Cost)
	}
	return math.NaN()
}

// AIQ is RouterBench's average improvement in quality: the mean height of the non-decreasing hull of points from the lowest
// cost to the highest.
func AIQ(points []Point, lowest, highest float64) float64 {
	hull := Hull(points)
	if len(hull) == 0 || highest <= lowest {
		return math.NaN()
	}
	height := func(cost float64) float64 {
		if cost <= hull[0].Cost {
			return hull[0].Quality
		}
		for i := 1; i < len(hull); i++ {
			if a, b := hull[i-1], hull[i]; cost <= b.Cost {
				return a.Quality + (cost-a.Cost)/(b.Cost-a.Cost)*(b.Quality-a.Quality)
			}
		}
		return hull[len(hull)-1].Quality
	}
	edges := []float64{lowest, highest}
	for _, p := range hull {
		if p.Cost > lowest && p.Cost < highest {
			edges = append(edges, p.Cost)
		}
	}
	slices.Sort(edges)
	var area float64
	for i := 1; i < len(edges); i++ {
		area += (edges[i] - edges[i-1]) * (height(edges[i]) + height(edges[i-1])) / 2
	}
	return area / (highest - lowest)
}

// Hull is the upper hull of points that never falls: what mixing routers reaches at each cost.
func Hull(points []Point) []Point {
	sorted := slices.Clone(points)
	slices.SortFunc(sorted, func(a, b Point) int {
		if a.Cost != b.Cost {
			if a.Cost < b.Cost {
				return -1
			}
			return 1
		}
		if a.Quality > b.Quality {
			return -1
		}
		return 1
	})
	var hull []Point
	for _, p := range sorted {
		if len(hull) > 0 && p.Quality <= hull[len(hull)-1].Quality {
			continue
		}
		for len(hull) > 1 {
			a, b := hull[len(hull)-2], hull[len(hull)-1]
			if (b.Quality-a.Quality)*(p.Cost-a.Cost) > (p.Quality-a.Quality)*(b.Cost-a.Cost) {
				break
			}
			hull = hull[:len(hull)-1]
		}
		hull = append(hull, p)
	}
	return hull
}

// MeanSpread is the mean of values and their standard deviation.
func MeanSpread(values []float64) (mean, spread float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		spread += (v - mean) * (v - mean) / float64(max(len(values)-1, 1))
	}
	return mean, math.Sqrt(spread)
}
