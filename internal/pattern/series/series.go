// Package series recognises which known shape a window of numbers is, and says so when it is none. In come named
// examples, out goes a Recogniser that is trained once, written as bytes, and answers the same on every machine. It
// knows no files, no database and no time; what recurs in one long series is in the package profile, when it changes in
// the package change.
package series

import (
	"errors"
	"fmt"
	"math"

	"github.com/tartan-ai/tartan/internal/pattern/series/rocket"
)

const (
	// MaxLength is the most points of a window; a longer example is resampled to it.
	MaxLength = 4096
	// MaxValues bounds a window as it comes in, before it is resampled.
	MaxValues = 1 << 17
	// MaxClasses bounds what one recogniser tells apart: each class weighs 120 KB.
	MaxClasses = 512

	minLength = rocket.MinLength + 1 // the differences of a window are one shorter
)

// Example is one window of a known class. A missing value is NaN; NaN at the end is no value but padding, so that
// windows of different lengths fit in one table.
type Example struct {
	Class  string
	Values []float64
}

// ErrNoValues means that a window has no value that is a number.
var ErrNoValues = errors.New("the window holds no values")

// fitting is how a window of any length becomes one that the features take. It is chosen once, by training.
type fitting struct {
	length int
	// hold repeats the last value up to length instead of stretching the window to it.
	hold bool
	// own takes the mean and deviation of each window away; else those of the training set, so that level and scale tell.
	own             bool
	mean, deviation float64
}

// apply returns the window as the features take it: padding at the end cut, missing values filled by a straight line
// between their neighbours (by the nearest value at the ends), resampled linearly or held to the fixed length, and
// normalised. The error wraps ErrNoValues, or says which value is infinite or how long the window may be.
func (f fitting) apply(values []float64) ([]float64, error) {
	x, err := complete(values)
	if err != nil {
		return nil, err
	}
	if f.hold && len(x) < f.length {
		for last := x[len(x)-1]; len(x) < f.length; {
			x = append(x, last)
		}
	}
	x = resample(x, f.length)
	mean, deviation := f.mean, f.deviation
	if f.own {
		mean, deviation = moments(x)
	}
	if deviation == 0 {
		deviation = 1
	}
	for i, v := range x {
		x[i] = (v - mean) / deviation
	}
	return x, nil
}

// flatness is the deviation, relative to the largest magnitude, under which a window does not vary but for rounding.
const flatness = 1e-12

// moments are the mean and the standard deviation of x; 0 where it does not vary.
func moments(x []float64) (mean, deviation float64) {
	largest := 0.0
	for _, v := range x {
		mean += v / float64(len(x))
		largest = max(largest, math.Abs(v))
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x))
	}
	if deviation = math.Sqrt(deviation); deviation <= flatness*largest {
		return mean, 0
	}
	return mean, deviation
}

// complete returns a copy of x without the padding at its end and with its missing values filled.
func complete(x []float64) ([]float64, error) {
	if len(x) > MaxValues {
		return nil, fmt.Errorf("a window of %d values: want at most %d", len(x), MaxValues)
	}
	end := len(x)
	for end > 0 && x[end-1] != x[end-1] {
		end--
	}
	if end == 0 {
		return nil, ErrNoValues
	}
	out := append(make([]float64, 0, max(end, minLength)), x[:end]...)
	last := -1
	for i, v := range out {
		if math.Abs(v) > 1e100 {
			return nil, fmt.Errorf("value %d is %v: want numbers within 1e100", i, v)
		}
		if v != v {
			continue
		}
		for j := last + 1; j < i; j++ {
			if last < 0 {
				out[j] = v
				continue
			}
			share := float64(j-last) / float64(i-last)
			out[j] = out[last] + float64(share*(v-out[last]))
		}
		last = i
	}
	return out, nil
}

// resample returns x at n evenly spaced points from its first to its last, by linear interpolation.
func resample(x []float64, n int) []float64 {
	if len(x) == n {
		return x
	}
	out := make([]float64, n)
	for i := range out {
		at := 0.0
		if n > 1 {
			at = float64(i) * float64(len(x)-1) / float64(n-1)
		}
		low := min(int(at), len(x)-1)
		high := min(low+1, len(x)-1)
		out[i] = x[low] + float64((at-float64(low))*(x[high]-x[low]))
	}
	return out
}
