package change

import (
	"math"
	"slices"
)

// prune takes out the least sure cut until all are surer than Alpha. ps[k] belongs to cuts[k].
func prune(x []float64, cuts []int) (kept []int, ps []float64) {
	for {
		ps = make([]float64, len(cuts))
		worst := -1
		share := effective(x, cuts)
		for k := 1; k+1 < len(cuts); k++ {
			p := twoSample(x[cuts[k-1]:cuts[k]], x[cuts[k]:cuts[k+1]], share)
			// The cut was looked for: every place a segment apart could have been it.
			ps[k] = min(1, p*float64(len(x))/MinSegment)
			if worst < 0 || ps[k] > ps[worst] {
				worst = k
			}
		}
		if worst < 0 || ps[worst] <= Alpha {
			return cuts, ps
		}
		cuts = slices.Delete(cuts, worst, worst+1)
	}
}

// effective is the share of independent values among autocorrelated ones: (1-r)/(1+r) with r the correlation of
// neighbours about their segment's mean, at most 1 (G. V. Bayley, J. M. Hammersley, 1946).
func effective(x []float64, cuts []int) float64 {
	product, square := 0.0, 0.0
	_, whole := meanDeviation(x)
	for k := 0; k+1 < len(cuts); k++ {
		s := x[cuts[k]:cuts[k+1]]
		mean, _ := meanDeviation(s)
		for i, v := range s {
			square += (v - mean) * (v - mean)
			if i > 0 {
				product += (v - mean) * (s[i-1] - mean)
			}
		}
	}
	if square <= 1e-20*whole*whole*float64(len(x)) { // nothing but rounding
		return 1
	}
	r := min(max(product/square, 0), .999)
	return (1 - r) / (1 + r)
}

// twoSample is the p-value of two samples from one distribution: the smaller of two Kolmogorov-Smirnov tests, doubled,
// one of the values and one of their distances from the common median, which sees a change of spread.
func twoSample(a, b []float64, share float64) float64 {
	middle := median(append(slices.Clone(a), b...))
	folded := func(s []float64) []float64 {
		out := make([]float64, len(s))
		for i, v := range s {
			out[i] = math.Abs(v - middle)
		}
		return out
	}
	return min(1, 2*min(smirnov(a, b, share), smirnov(folded(a), folded(b), share)))
}

// smirnov is the asymptotic p-value of the largest difference of two empirical distributions, with the correction of
// M. A. Stephens (1970) for small samples.
func smirnov(a, b []float64, share float64) float64 {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	i, j, d := 0, 0, 0.0
	for i < len(a) && j < len(b) {
		v := min(a[i], b[j])
		for i < len(a) && a[i] == v {
			i++
		}
		for j < len(b) && b[j] == v {
			j++
		}
		d = max(d, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	n := float64(len(a)) * float64(len(b)) / float64(len(a)+len(b)) * share
	l := (math.Sqrt(n) + .12 + .11/math.Sqrt(n)) * d
	if l < .2 {
		return 1
	}
	p, sign := 0.0, 1.0
	for k := 1.0; k <= 100; k++ {
		term := math.Exp(-2 * k * k * l * l)
		p += sign * 2 * term
		if term < 1e-17 {
			break
		}
		sign = -sign
	}
	return min(max(p, 0), 1)
}

func median(x []float64) float64 {
	s := slices.Clone(x)
	slices.Sort(s)
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

func meanDeviation(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(deviation)
}
