package profile

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Layer is what the profile of one window length shows, on a scale that compares lengths.
type Layer struct {
	Window int
	// Motif and Discord are the smallest and the largest distance divided by sqrt(2 window), which two unrelated windows
	// have: 0 is an exact repeat, 1 no likeness.
	Motif, Discord float64
	// Contrast is how far the closest pair stands out: the share of the median distance that it stays below.
	Contrast float64
}

// Pan computes the profile of x for several window lengths and returns a layer for each, in their order, and the number
// of the layer with the highest contrast: the length at which something recurs most clearly (a coarse pan matrix
// profile; F. Madrid et al., "Matrix Profile XX", ICBK 2019). Cost: one Compute for each length.
func Pan(x []float64, windows []int) (layers []Layer, best int, profiles []*Profile, err error) {
	for i, w := range windows {
		p, err := Compute(x, w)
		if err != nil {
			return nil, 0, nil, err
		}
		layers, profiles = append(layers, p.layer()), append(profiles, p)
		if layers[i].Contrast > layers[best].Contrast {
			best = i
		}
	}
	return layers, best, profiles, nil
}

func (p *Profile) layer() Layer {
	var finite []float64
	for _, d := range p.Distance {
		if !math.IsInf(d, 1) {
			finite = append(finite, d)
		}
	}
	l := Layer{Window: p.Window}
	if len(finite) == 0 {
		return l
	}
	unalike := math.Sqrt(2 * float64(p.Window))
	low, middle, high := spread(finite)
	l.Motif, l.Discord = low/unalike, high/unalike
	if middle > 0 {
		l.Contrast = 1 - low/middle
	}
	return l
}

// Windows suggests up to four window lengths for a series: a half, one and two of its dominant period, or, where no
// period shows, a fortieth, a twentieth and a tenth of its length. It is empty for a series shorter than two windows of
// MinWindow. The period is the first peak of the autocorrelation after it fell below zero, taken by FFT: O(n log n).
func Windows(x []float64) []int {
	base := float64(period(x))
	if base == 0 {
		base = float64(len(x)) / 20
	}
	var out []int
	for _, f := range []float64{.5, 1, 2} {
		w := max(MinWindow, int(math.Round(f*base)))
		if w <= len(x)/2 && (len(out) == 0 || w > out[len(out)-1]) {
			out = append(out, w)
		}
	}
	return out
}

// clearPeak is the autocorrelation from which a period counts.
const clearPeak = .3

func period(x []float64) int {
	filled, _ := fill(x)
	n := len(filled)
	padded := make([]float64, 2*n)
	copy(padded, filled)
	if n < 4 {
		return 0
	}
	fft := fourier.NewFFT(2 * n)
	spectrum := fft.Coefficients(nil, padded)
	for i, c := range spectrum {
		spectrum[i] = complex(real(c)*real(c)+imag(c)*imag(c), 0)
	}
	auto := fft.Sequence(nil, spectrum)
	if auto[0] <= 0 {
		return 0
	}
	at := 1
	for at < n/2 && auto[at] > 0 {
		at++
	}
	best := 0
	for i := at; i < n/2; i++ {
		unbiased := auto[i] / auto[0] * float64(n) / float64(n-i)
		if unbiased > clearPeak && (best == 0 || unbiased > 1.05*auto[best]/auto[0]*float64(n)/float64(n-best)) {
			best = i
		} else if best > 0 && i > best+best/2 {
			break
		}
	}
	return best
}

// spread is the smallest, the median and the largest of values, which it sorts.
func spread(values []float64) (low, middle, high float64) {
	slices.Sort(values)
	return values[0], values[len(values)/2], values[len(values)-1]
}
