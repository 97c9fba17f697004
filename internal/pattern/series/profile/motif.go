package profile

import (
	"math"
	"slices"
)

// Motif is a shape that recurs.
type Motif struct {
	// Starts are where it occurs, in order: at least two, none within the exclusion zone of another.
	Starts []int
	// Distance is that of the closest pair; Spread is the largest distance of an occurrence to the first of that pair.
	Distance, Spread float64
}

// Discord is a window unlike all others.
type Discord struct {
	Start    int
	Distance float64
}

// radius is how many times the distance of the closest pair an occurrence may be away from it, the customary 2; floor
// keeps a pair that is almost equal from standing alone, as a share of the distance sqrt(2 window) of unrelated windows.
const (
	radius = 2
	floor  = .1
	most   = .75 // of sqrt(2 window): a pair farther apart than this is no recurrence
)

// Motifs returns up to k motifs of x, the closest pair first; of each, up to occurrences starts, nearest first. x is the
// series of the profile. Windows near an occurrence of one motif are in no later one. Cost: O(n window) a motif.
func (p *Profile) Motifs(x []float64, k, occurrences int) []Motif {
	var (
		s       = measure(x, p.Window)
		taken   = make([]bool, len(p.Distance))
		unalike = math.Sqrt(2 * float64(p.Window))
		out     []Motif
	)
	for len(out) < k {
		at := p.closest(taken, s)
		if at < 0 || p.Distance[at] > most*unalike {
			break
		}
		m := p.occurrences(s, at, taken, max(radius*p.Distance[at], floor*unalike), occurrences)
		for _, i := range m.Starts {
			block(taken, i, p.Window)
		}
		if len(m.Starts) > 1 {
			out = append(out, m)
		} else {
			block(taken, at, p.Exclusion)
		}
	}
	return out
}

// closest is the window that varies with the nearest free neighbour, -1 for none.
func (p *Profile) closest(taken []bool, s *statistics) int {
	at := -1
	for i, d := range p.Distance {
		if j := p.Neighbour[i]; j < 0 || taken[i] || taken[j] || s.kind[i] != varies || s.kind[j] != varies {
			continue
		}
		if at < 0 || d < p.Distance[at] {
			at = i
		}
	}
	return at
}

// occurrences collects the free windows within reach of window at, nearest first.
func (p *Profile) occurrences(s *statistics, at int, taken []bool, reach float64, limit int) Motif {
	type near struct {
		start    int
		distance float64
	}
	var found []near
	for j := range p.Distance {
		if !taken[j] && s.kind[j] == varies && j != at {
			if d := s.distance(at, j); d <= reach {
				found = append(found, near{j, d})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b near) int {
		switch {
		case a.distance < b.distance:
			return -1
		case a.distance > b.distance:
			return 1
		}
		return 0
	})
	m := Motif{Starts: []int{at}, Distance: p.Distance[at]}
	for _, f := range found {
		if len(m.Starts) >= limit {
			break
		}
		if !slices.ContainsFunc(m.Starts, func(i int) bool { return max(i-f.start, f.start-i) < max(p.Exclusion, p.Window/2) }) {
			m.Starts, m.Spread = append(m.Starts, f.start), f.distance
		}
	}
	slices.Sort(m.Starts)
	return m
}

// block marks the windows that overlap the one at start by more than half of width.
func block(taken []bool, start, width int) {
	for i := max(0, start-width/2); i <= min(len(taken)-1, start+width/2); i++ {
		taken[i] = true
	}
}

// Discords returns up to k windows with the farthest nearest neighbours, farthest first, none overlapping another by
// more than half. Windows with missing values and windows without a neighbour are none.
func (p *Profile) Discords(k int) []Discord {
	var (
		taken = make([]bool, len(p.Distance))
		out   []Discord
	)
	for len(out) < k {
		at := -1
		for i, d := range p.Distance {
			if !taken[i] && !math.IsInf(d, 1) && (at < 0 || d > p.Distance[at]) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		out = append(out, Discord{at, p.Distance[at]})
		block(taken, at, 2*p.Window-2)
	}
	return out
}
