package windows

import (
	"math"
	"slices"
)

const (
	// priorFreedom is how many comparable windows what the library shows counts for, against those of the pattern itself.
	priorFreedom = 4
	// A pattern says something about the spread of all if it has this many lines a window, and this many patterns are enough.
	telling, enough = 5, 8
)

// prior is how the counts of a library spread.
type prior struct{ alpha float64 }

// dispersions learns from all patterns how counts spread: the variance of a count of mean m is taken for m + alpha m² (a negative
// binomial), with one alpha for the library, the median over its patterns (after Robinson and Smyth, Biostatistics 9, 2008, where
// genes stand for patterns). Without enough patterns counts are taken for Poisson.
func dispersions(counts []Count) prior {
	var alphas []float64
	for i := range counts {
		if m, v, ok := moments(counts[i].Past); ok && m >= telling {
			alphas = append(alphas, (v/m-1)/m)
		}
	}
	if len(alphas) < enough {
		return prior{}
	}
	slices.Sort(alphas)
	return prior{alpha: max(0, alphas[len(alphas)/2])}
}

// of returns by which factor the variance of a pattern's counts is larger than their mean, at least 1, and the degrees of freedom of
// that estimate, infinite where there is nothing to estimate from: its own windows, drawn towards the library's (as the variances
// in Smyth, Statistical Applications in Genetics and Molecular Biology 3, 2004).
func (p prior) of(past []int64) (d, freedom float64) {
	m, v, ok := moments(past)
	if !ok || m == 0 {
		return 1, math.Inf(1)
	}
	own := float64(len(past) - 1)
	d = (priorFreedom*(1+p.alpha*m) + own*v/m) / (priorFreedom + own)
	return max(1, d), priorFreedom + own
}

// moments returns mean and variance, and false for fewer than two counts.
func moments(past []int64) (mean, variance float64, ok bool) {
	n := float64(len(past))
	if n < 2 {
		return 0, 0, false
	}
	for _, x := range past {
		mean += float64(x) / n
	}
	for _, x := range past {
		variance += (float64(x) - mean) * (float64(x) - mean) / (n - 1)
	}
	return mean, variance, true
}

// normal returns the standard normal deviate that is as unlikely as t with so many degrees of freedom, by Wallace's approximation
// (Annals of Mathematical Statistics 30, 1959), good to a few per cent.
func normal(t, freedom float64) float64 {
	if math.IsInf(freedom, 1) {
		return t
	}
	z := (8*freedom + 1) / (8*freedom + 3) * math.Sqrt(freedom*math.Log1p(t*t/freedom))
	return math.Copysign(z, t)
}

// quantile returns the standard normal deviate that is passed with probability p.
func quantile(p float64) float64 {
	if p <= 0 {
		return math.Inf(1)
	}
	return math.Sqrt2 * math.Erfcinv(2*p)
}
