package profile

import "math"

// band is how many diagonals are taken at once, and the padding that the vectors need.
const band = 16

// table walks the matrix of correlations of all pairs of windows along its diagonals. On a diagonal the product of two
// centred windows follows from the one before: with df = (x[i+m-1] - x[i-1]) / 2 and
// dg = (x[i+m-1] - mean[i]) + (x[i-1] - mean[i-1]), c(i, j) = c(i-1, j-1) + df[i] dg[j] + df[j] dg[i].
type table struct {
	*statistics
	n      int
	zone   int
	df, dg []float64
	scale  []float64 // inverse norms; NaN for windows that take no part, so that every comparison with them is false
	best   []float64 // highest correlation so far
	at     []int64   // and where
}

func newTable(s *statistics) *table {
	n := len(s.mean)
	t := &table{
		statistics: s, n: n, zone: exclusion(s.window),
		df: make([]float64, n+band), dg: make([]float64, n+band), scale: make([]float64, n+band),
		best: make([]float64, n+band), at: make([]int64, n+band),
	}
	for i := range t.scale {
		t.scale[i], t.best[i], t.at[i] = math.NaN(), math.Inf(-1), -1
		if i < n && s.kind[i] == varies {
			t.scale[i] = s.inverse[i]
		}
	}
	m := s.window
	for i := 1; i < n; i++ {
		t.df[i] = (s.x[i+m-1] - s.x[i-1]) / 2
		t.dg[i] = (s.x[i+m-1] - s.mean[i]) + (s.x[i-1] - s.mean[i-1])
	}
	return t
}

// product is the inner product of the centred windows i and j.
func (s *statistics) product(i, j int) float64 {
	sum := 0.0
	for k := range s.window {
		sum += (s.x[i+k] - s.mean[i]) * (s.x[j+k] - s.mean[j])
	}
	return sum
}

// run takes all diagonals outside the exclusion zone, a band at a time.
func (t *table) run() {
	var c [band]float64
	for d := t.zone; d < t.n; d += band {
		wide := min(band, t.n-d)
		for k := range wide {
			c[k] = t.product(0, d+k)
		}
		row := 0
		if whole := t.n - d - band + 1; wide == band && whole > 0 {
			walk(t, d, whole, &c)
			row = whole
		}
		t.rest(d, row, wide, &c)
	}
}

// rest takes the rows from row of a band, where its diagonals end one after the other. c holds the products of the row.
func (t *table) rest(d, row, wide int, c *[band]float64) {
	for i := row; i < t.n-d; i++ {
		for k := range min(wide, t.n-d-i) {
			j := i + d + k
			if i > 0 {
				c[k] += float64(t.df[i]*t.dg[j]) + float64(t.df[j]*t.dg[i])
			}
			t.meet(i, j, c[k]*t.scale[i]*t.scale[j])
		}
	}
}

// walkGo takes the rows before whole of a band of diagonals from d, and leaves in c the products of row whole-1.
func walkGo(t *table, d, whole int, c *[band]float64) {
	for k := range band {
		sum := c[k]
		df, dg, scale := t.df[d+k:], t.dg[d+k:], t.scale[d+k:]
		for i := range whole {
			if i > 0 {
				sum += float64(t.df[i]*dg[i]) + float64(df[i]*t.dg[i])
			}
			r := sum * t.scale[i] * scale[i]
			if r > t.best[i] || r > t.best[i+d+k] {
				t.meet(i, i+d+k, r)
			}
		}
		c[k] = sum
	}
}

// meet notes the correlation r of windows i and j.
func (t *table) meet(i, j int, r float64) {
	if r > t.best[i] {
		t.best[i], t.at[i] = r, int64(j)
	}
	if r > t.best[j] {
		t.best[j], t.at[j] = r, int64(i)
	}
}

// profile turns correlations into distances. A distance is taken anew from the values of the two windows: near 0, where
// it matters, the root of 2m(1-r) has lost half of the digits of r.
func (t *table) profile() *Profile {
	p := &Profile{Window: t.window, Exclusion: t.zone, Distance: make([]float64, t.n), Neighbour: make([]int, t.n)}
	flats := t.find(flat)
	vary := t.find(varies)
	root := math.Sqrt(float64(t.window))
	for i := range t.n {
		p.Distance[i], p.Neighbour[i] = math.Inf(1), -1
		offer := func(j int, d float64) {
			if j >= 0 && d < p.Distance[i] {
				p.Distance[i], p.Neighbour[i] = d, j
			}
		}
		switch t.kind[i] {
		case flat:
			offer(flats.outside(i, t.zone), 0)
			offer(vary.outside(i, t.zone), root)
		case varies:
			if j := int(t.at[i]); j >= 0 {
				offer(j, t.distance(i, j))
			}
			offer(flats.outside(i, t.zone), root)
		}
	}
	return p
}

// ends are the first and the last window of a kind: if any is outside the zone of a window, one of them is.
type ends struct{ first, last int }

func (s *statistics) find(k kind) ends {
	e := ends{-1, -1}
	for i, v := range s.kind {
		if v == k {
			if e.first < 0 {
				e.first = i
			}
			e.last = i
		}
	}
	return e
}

func (e ends) outside(i, zone int) int {
	if e.first >= 0 && i-e.first >= zone {
		return e.first
	}
	if e.last >= 0 && e.last-i >= zone {
		return e.last
	}
	return -1
}
