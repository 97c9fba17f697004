// Package warp finds the nearest series under dynamic time warping. In come series of one length without missing
// values, out go the nearest examples and their distances. It knows no classes beyond the numbers given with examples.
//
// Sources: H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE TASSP 26
// (1978), for the band; E. Keogh, C. A. Ratanamahatana, "Exact indexing of dynamic time warping", KAIS 7 (2005), for the
// envelope bound; T. Rakthanmanon et al., "Searching and mining trillions of time series subsequences under dynamic time
// warping", KDD 2012, for the order of the bounds and early abandoning.
package warp

import "math"

// Distance is the root of the smallest sum of squared differences over all alignments of a and b that stray at most
// window points from the diagonal. Both have one length. Cost: length x (2 window + 1).
func Distance(a, b []float64, window int) float64 {
	d := &row{}
	return math.Sqrt(d.warp(a, b, window, math.Inf(1), nil))
}

// row is the working memory of one warping: two rows of the table of sums.
type row struct {
	above, here []float64
}

// warp returns the squared distance, or +Inf as soon as it must exceed limit. rest[i], when given, bounds from below
// what the points i and after add.
func (r *row) warp(a, b []float64, window int, limit float64, rest []float64) float64 {
	n := len(a)
	window = min(max(window, 0), n)
	r.above, r.here = resize(r.above, n+1), resize(r.here, n+1)
	for j := range r.above {
		r.above[j] = math.Inf(1)
	}
	r.above[0] = 0
	for i := range n {
		from, to := max(0, i-window), min(n, i+window+1)
		r.here[from] = math.Inf(1)
		lowest := math.Inf(1)
		for j := from; j < to; j++ {
			d := a[i] - b[j]
			v := min(r.above[j], r.above[j+1], r.here[j]) + float64(d*d)
			r.here[j+1] = v
			lowest = min(lowest, v)
		}
		if to < n {
			r.here[to+1] = math.Inf(1)
		}
		if rest != nil {
			lowest += rest[i+1] // every later row pairs with some point of b at least once
		}
		if lowest > limit {
			return math.Inf(1)
		}
		r.above, r.here = r.here, r.above
	}
	return r.above[n]
}

func resize(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	return s[:n]
}

// Envelope returns for each point the largest and the smallest value within window points of it. Cost: O(length), by
// monotonic queues (D. Lemire, "Faster retrieval with a two-pass dynamic-time-warping lower bound", 2009).
func Envelope(x []float64, window int) (upper, lower []float64) {
	upper, lower = make([]float64, len(x)), make([]float64, len(x))
	var highs, lows []int
	for i := range len(x) + window {
		if i < len(x) {
			for len(highs) > 0 && x[highs[len(highs)-1]] <= x[i] {
				highs = highs[:len(highs)-1]
			}
			for len(lows) > 0 && x[lows[len(lows)-1]] >= x[i] {
				lows = lows[:len(lows)-1]
			}
			highs, lows = append(highs, i), append(lows, i)
		}
		if at := i - window; at >= 0 {
			for highs[0] < at-window {
				highs = highs[1:]
			}
			for lows[0] < at-window {
				lows = lows[1:]
			}
			upper[at], lower[at] = x[highs[0]], x[lows[0]]
		}
	}
	return upper, lower
}
