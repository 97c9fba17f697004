package values

import (
	"math"
	"slices"
)

// Drift is how the distribution of the numbers of a slot differs between two samples.
type Drift struct {
	PSI                   float64 // population stability index
	MedianFrom, MedianTo  float64
	Significant, Material bool
	Deviate               float64 // the standard normal deviate that is as unlikely by chance; 0 where the two differ less than chance lets expect
}

const (
	driftGroups = 10
	// minPSI is a major shift by the rule of thumb: Siddiqi, Credit Risk Scorecards, 2006.
	minPSI = 0.25
)

// chi999 are the .999 quantiles of the chi-square distribution with 0 to 9 degrees of freedom.
var chi999 = [driftGroups]float64{0, 10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124, 27.877}

// Compare returns how the numbers of o differ from those of n, the base.
//
// The numbers are put into up to ten groups that each hold at least a tenth of the base, made of whole bins of its histogram at the level of
// the coarser of the two. With p and q the shares of a group in base and other, half a number added to each,
//
//	PSI = sum (q - p) ln(q / p)
//
// which is 0 for equal distributions and symmetric. It is material from .25 on. By chance alone PSI / (1/N + 1/M) is about
// chi-square with one degree less than groups (Yurdakul, Naranjo: Statistical properties of the population stability index, Journal of
// Risk Model Validation 2020); it is significant beyond the .999 quantile of that.
func (n *Numbers) Compare(o *Numbers) Drift {
	d := Drift{MedianFrom: n.Quantile(.5), MedianTo: o.Quantile(.5)}
	if n.count == 0 || o.count == 0 {
		return d
	}
	limits, base := n.groups(max(n.level, o.level))
	other := make([]int64, len(base))
	for _, b := range o.bins {
		k := raised(b.key, max(n.level, o.level)-o.level)
		g, _ := slices.BinarySearch(limits, k)
		other[min(g, len(other)-1)] += b.count
	}
	N, M, half := float64(n.count), float64(o.count), float64(len(base))/2
	for g := range base {
		p, q := (float64(base[g])+.5)/(N+half), (float64(other[g])+.5)/(M+half)
		d.PSI += (q - p) * math.Log(q/p)
	}
	d.Material = d.PSI >= minPSI
	chi, freedom := d.PSI/(1/N+1/M), len(base)-1
	d.Significant, d.Deviate = chi > chi999[freedom], deviate(chi, float64(freedom))
	return d
}

// deviate returns the standard normal deviate that is as unlikely as a chi-square of more than its degrees of freedom, by the upper bound of
// Wallace (Annals of Mathematical Statistics 30, 1959), at most √(2/freedom)/3 too high.
func deviate(chi, freedom float64) float64 {
	if freedom < 1 || chi <= freedom {
		return 0
	}
	return math.Sqrt(chi-freedom-freedom*math.Log(chi/freedom)) + math.Sqrt(2/freedom)/3
}

// groups splits the numbers; group g holds the bins up to key limits[g], and the last one all that are greater. What lies outside of the range of
// the numbers has a group of its own at either end, if there is room.
func (n *Numbers) groups(level uint8) (limits []int32, counts []int64) {
	bins := n.sorted()
	low := raised(bins[0].key, level-n.level)
	limits, counts = append(limits, low-1), append(counts, 0)
	each := (n.count-1)/(driftGroups-2) + 1
	var got int64
	for i, b := range bins {
		k := raised(b.key, level-n.level)
		got += b.count
		if i+1 < len(bins) && (raised(bins[i+1].key, level-n.level) == k || got < each) {
			continue
		}
		limits, counts, got = append(limits, k), append(counts, got), 0
	}
	return limits, append(counts, 0)
}

// Counter reports whether two summaries look like a counter or ids handed out one after another: plain whole numbers of which nearly none
// comes twice, and whose ranges do not overlap. Such numbers differ between any two windows, which says nothing.
func Counter(a, b *Summary) bool {
	x, ux := a.Numbers()
	y, uy := b.Numbers()
	if x == nil || y == nil || ux != Plain || uy != Plain || x.max >= y.min && y.max >= x.min {
		return false
	}
	nearlyAll := func(s *Summary) bool {
		n, e := s.Distinct()
		return float64(n+2*e) > .9*float64(s.count)
	}
	return nearlyAll(a) && nearlyAll(b)
}

// Fresh returns the values of o that base does not have, the most frequent first, with all of their lines. It is not ok if base dropped values, because
// then nobody can say what is new.
func (s *Summary) Fresh(o *Summary) (fresh []Frequent, lines int64, ok bool) {
	if s.top.floor > 0 {
		return nil, 0, false
	}
	for _, i := range o.top.sorted() {
		e := &o.top.entries[i]
		if s.top.find(e.hash) == nil {
			fresh = append(fresh, Frequent{Value: string(o.top.value(e)), Cut: e.cut, Count: e.count, Miss: e.miss})
			lines += e.count
		}
	}
	return fresh, lines, true
}

// Unseen is the chance that the next value is one that never came before, by Good and Turing: the share of values that came once. It is 1 for an
// empty summary, and a lower bound where values were dropped. Good: The population frequencies of species, Biometrika 1953.
func (s *Summary) Unseen() float64 {
	if s.count == 0 {
		return 1
	}
	once := 0
	for i := range s.top.entries {
		if s.top.entries[i].count == 1 {
			once++
		}
	}
	return float64(once) / float64(s.count)
}

// Bars counts the numbers between the least and the greatest in n bars of equal width, on a logarithmic scale if all are positive and span more
// than a factor of ten. It returns the left end of each.
func (n *Numbers) Bars(bars int) (lines []int64, from []float64) {
	lines, from = make([]int64, bars), make([]float64, bars)
	log := n.min > 0 && n.max > 10*n.min
	scale, back := func(x float64) float64 { return x }, func(x float64) float64 { return x }
	if log {
		scale, back = math.Log, math.Exp
	}
	low, width := scale(n.min), (scale(n.max)-scale(n.min))/float64(bars)
	for i := range from {
		from[i] = back(low + width*float64(i))
	}
	for _, b := range n.bins {
		i := 0
		if width > 0 {
			i = int((scale(n.middle(b.key)) - low) / width)
		}
		lines[min(max(i, 0), bars-1)] += b.count
	}
	return lines, from
}
