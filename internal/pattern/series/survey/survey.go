// Package survey looks over one long series: what recurs in it, what stands out, and where it changes. In come numbers,
// NaN where one is missing, out goes a report that a person can read. It knows no classes and no time.
package survey

import (
	"errors"
	"fmt"
	"math"

	"github.com/tartan-ai/tartan/internal/pattern/series/change"
	"github.com/tartan-ai/tartan/internal/pattern/series/profile"
)

// MaxPoints bounds a series: 20,000 points take a tenth of a second for each window length.
const MaxPoints = change.MaxPoints

// Options say what to look for.
type Options struct {
	Window int // points of a shape; 0 chooses the length at which something recurs most clearly
	Top    int // the most motifs and discords; 0 is 3
}

// Report is what was found. Positions count from 0.
type Report struct {
	Window   int       `json:"window"`
	Missing  int       `json:"missing"` // values
	Motifs   []Motif   `json:"motifs"`
	Discords []Discord `json:"discords"`
	Changes  []Change  `json:"changes"`
	Lengths  []Length  `json:"lengths,omitempty"` // those tried, when the window was chosen
}

// Motif is a shape that recurs, the closest pair first. Likeness is the correlation of that pair, 1 for an exact repeat.
type Motif struct {
	Starts   []int   `json:"starts"`
	Likeness float64 `json:"likeness"`
	Distance float64 `json:"distance"` // z-normalised Euclidean
}

// Discord is a window unlike all others: even its nearest neighbour is only as like as Likeness, a correlation.
type Discord struct {
	Start    int     `json:"start"`
	Likeness float64 `json:"likeness"`
	Distance float64 `json:"distance"`
}

// Change is where the distribution changes, with the medians and standard deviations before and after.
type Change struct {
	At        int       `json:"at"`
	P         float64   `json:"p"`
	Median    []float64 `json:"median"`
	Deviation []float64 `json:"deviation"`
}

// Length is one window length that was tried.
type Length struct {
	Window   int     `json:"window"`
	Contrast float64 `json:"contrast"` // share of the median distance that the closest pair stays below, [0, 1]
}

// mostStarts bounds the occurrences of one motif.
const mostStarts = 20

// Of looks over a series of at least 8 and at most MaxPoints values. The error says which bound it breaks.
func Of(x []float64, o Options) (Report, error) {
	if o.Top <= 0 {
		o.Top = 3
	}
	out := Report{Motifs: []Motif{}, Discords: []Discord{}, Changes: []Change{}}
	for _, v := range x {
		if v != v {
			out.Missing++
		}
	}
	if len(x) < 2*profile.MinWindow || len(x) > MaxPoints {
		return out, fmt.Errorf("%d values: want %d to %d", len(x), 2*profile.MinWindow, MaxPoints)
	}
	if out.Missing == len(x) {
		return out, errors.New("all values are missing")
	}
	p, err := choose(x, o.Window, &out)
	if err != nil {
		return out, err
	}
	out.Window = p.Window
	for _, m := range p.Motifs(x, o.Top, mostStarts) {
		out.Motifs = append(out.Motifs, Motif{m.Starts, likeness(m.Distance, p.Window), m.Distance})
	}
	for _, d := range p.Discords(o.Top) {
		out.Discords = append(out.Discords, Discord{d.Start, likeness(d.Distance, p.Window), d.Distance})
	}
	points, err := change.Find(x)
	if err != nil {
		return out, err
	}
	for _, c := range points {
		out.Changes = append(out.Changes, Change{
			At: c.At, P: c.P, Median: []float64{c.Before.Median, c.After.Median}, Deviation: []float64{c.Before.Deviation, c.After.Deviation},
		})
	}
	return out, nil
}

// choose computes the profile for the window asked for, or for the best of those that the series suggests.
func choose(x []float64, window int, out *Report) (*profile.Profile, error) {
	if window > 0 {
		return profile.Compute(x, window)
	}
	layers, best, profiles, err := profile.Pan(x, profile.Windows(x))
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		out.Lengths = append(out.Lengths, Length{l.Window, l.Contrast})
	}
	return profiles[best], nil
}

// likeness is the correlation of two windows at a z-normalised distance.
func likeness(distance float64, window int) float64 {
	return 1 - math.Min(2, distance*distance/(2*float64(window)))
}
