// Package windows says how the patterns of a window differ from what their past lets expect: counts per window come in, and changes
// with their significance go out, the most significant first. It knows no clock and no database: windows and counts are arguments.
//
//	previous   base = the window just before            spread from the windows before it
//	seasonal   base = the same hours of the same weekday in each of the last weeks, and the spread from them
//
//	      base 4   base 3   base 2   base 1   window
//	lines    90      110      104       96      310     expected 100, spread 16: up
//	lines     1        1        1        1        0     seen each time and missing: silent
//	lines     0        0        0        0        2     seen three times ever: rare
package windows

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Kind is how a pattern differs.
type Kind string

// The kinds of changes.
const (
	New    Kind = "new"    // never seen before the window
	Gone   Kind = "gone"   // in the base, and by more than chance not in the window
	Up     Kind = "up"     // more than the spread of the base explains
	Down   Kind = "down"   // less than it explains
	Rare   Kind = "rare"   // a few lines ever, and some of them in the window
	Silent Kind = "silent" // expected by habit, and missing or late
)

const (
	// MinSignificance: a change of less than three standard deviations is taken for chance. Of a thousand unchanged patterns, three
	// would show one.
	MinSignificance = 3
	// DefaultMinLines is the floor on volume: a pattern of which fewer lines were there and were expected is not up, down or gone.
	DefaultMinLines = 10
	// DefaultMinRatio is the factor by which a rate must differ to be up or down.
	DefaultMinRatio = 1.5
	// RareLines is how many lines ever make a pattern rare.
	RareLines = 5
	// habitual is in how many comparable windows a pattern must have been, in all of them, for its absence to say something: then the
	// chance to see it was (n + 1/2)/(n + 1), .875 for three (the mean of Jeffreys' posterior).
	habitual = 3
	// minGaps is how many gaps between its buckets a pattern must have shown for a gap to be unusual.
	minGaps = 8
)

// Window is a time from From to To, To not included.
type Window struct{ From, To time.Time }

// Length returns how long the window is.
func (w Window) Length() time.Duration { return w.To.Sub(w.From) }

// back returns the window shifted d into the past.
func (w Window) back(d time.Duration) Window { return Window{w.From.Add(-d), w.To.Add(-d)} }

const week = 7 * 24 * time.Hour

// Seasonal returns the same hours of the same weekday in each of the n weeks before w, the latest first. Windows longer than a
// week go back by as many weeks as they touch. Weeks are of 168 hours: where clocks change, local hours shift by one.
func Seasonal(w Window, n int) []Window {
	step := (w.Length() + week - 1) / week * week
	out := make([]Window, n)
	for i := range out {
		out[i] = w.back(time.Duration(i+1) * step)
	}
	return out
}

// Preceding returns w and the windows of its length before it, n in all, the latest first.
func Preceding(w Window, n int) []Window {
	out := make([]Window, n)
	for i := range out {
		out[i] = w.back(time.Duration(i) * w.Length())
	}
	return out
}

// Question says what is compared.
type Question struct {
	Window   Window
	Base     time.Duration // all the base windows together
	Bucket   time.Duration // how exactly times are known
	MinLines int64         // floor on volume; 0 is DefaultMinLines, and 1 for what is new
	MinRatio float64       // 1 or less is DefaultMinRatio
}

// Count is what was counted of one pattern.
type Count struct {
	Pattern pattern.ID
	Window  int64
	Base    int64     // in all base windows
	Past    []int64   // in each of the comparable windows that there are, all equally long
	Ever    int64     // until now
	First   time.Time // ever
	Last    time.Time // bucket of the last line before the end of the window; zero if there is none in any of the windows
	Gaps    *Gaps     // of those that MayBeLate
}

// Gaps are the times between the buckets in which a pattern was seen, the window included.
type Gaps struct {
	Number  int
	Longest time.Duration
}

// Change is how one pattern differs.
type Change struct {
	Pattern      pattern.ID
	Kind         Kind
	Before       int64
	After        int64
	Expected     float64       // lines expected in the window
	Spread       float64       // standard deviation of what was to be expected, in lines
	Ratio        float64       // of the rates; 0 without both
	Significance float64       // in standard deviations, without sign
	Quiet        time.Duration // silent ones: how long there has been none, 0 if unknown
}

// Judge returns the changes, the most significant first and ties by id. The expected count is the rate of the base. Counts are
// overdispersed: the variance of a count is d times its mean, where d comes from the comparable windows, drawn towards what all
// patterns of the library show (see dispersions). The significance of a lines against b in a base that is 1/r times as long is
//
//	z = 2 (√(a + 3/8) - √(r (b + 3/8))) / √((1 + r) d)
//
// (Huffman, Statistics in Medicine 3, 1984, for d = 1), and where d was estimated, that of a Student's t with its degrees of
// freedom. It costs O(n log n).
func Judge(q Question, counts []Count) []Change {
	if q.MinRatio <= 1 {
		q.MinRatio = DefaultMinRatio
	}
	spread := dispersions(counts)
	var out []Change
	for i := range counts {
		if c, ok := q.judge(&counts[i], spread); ok {
			out = append(out, c)
		}
	}
	Rank(out, func(c Change) (float64, pattern.ID) { return c.Significance, c.Pattern })
	return out
}

// Rank sorts changes of any sort by significance, the greatest first, and ties by id.
func Rank[C any](changes []C, key func(C) (significance float64, id pattern.ID)) {
	slices.SortStableFunc(changes, func(x, y C) int {
		a, p := key(x)
		b, q := key(y)
		return cmp.Or(cmp.Compare(b, a), cmp.Compare(p, q))
	})
}

// Deviate returns by how many standard deviations a Poisson count differs from what a base count that took 1/r as long lets expect (Huffman,
// see Judge).
func Deviate(count int64, base, r float64) float64 {
	return 2 * (math.Sqrt(float64(count)+3./8) - math.Sqrt(r*(base+3./8))) / math.Sqrt(1+r)
}

func (q *Question) judge(c *Count, spread prior) (Change, bool) {
	r := float64(q.Window.Length()) / float64(q.Base)
	d, freedom := spread.of(c.Past)
	out := Change{Pattern: c.Pattern, Before: c.Base, After: c.Window, Expected: r * float64(c.Base)}
	out.Spread = math.Sqrt(d * max(out.Expected, r*3/8) * (1 + r))
	z := normal(Deviate(c.Window, float64(c.Base), r)/math.Sqrt(d), freedom)
	out.Significance = math.Abs(z)
	if c.Base > 0 && c.Window > 0 {
		out.Ratio = float64(c.Window) / out.Expected
	}
	switch {
	case c.Window > 0 && c.Base == 0 && !c.First.Before(q.Window.From):
		out.Kind = New
		return out, c.Window >= q.MinLines
	case q.silent(c, &out):
		out.Kind, out.Significance = Silent, max(out.Significance, MinSignificance)
		return out, true
	case q.rare(c, &out):
		out.Kind = Rare
		return out, true
	}
	return q.rate(c, z, out)
}

// rate judges what has become more or less.
func (q *Question) rate(c *Count, z float64, out Change) (Change, bool) {
	floor := q.MinLines
	if floor <= 0 {
		floor = DefaultMinLines
	}
	if max(float64(c.Window), out.Expected) < float64(floor) {
		return out, false
	}
	switch {
	case c.Window == 0:
		out.Kind = Gone
		return out, z <= -MinSignificance
	case z > 0:
		out.Kind = Up
		return out, z >= MinSignificance && (c.Base == 0 || out.Ratio >= q.MinRatio)
	}
	out.Kind = Down
	return out, z <= -MinSignificance && out.Ratio*q.MinRatio <= 1
}

// silent reports whether a pattern is missing although it was in every comparable window, or has been quiet for more than twice as
// long as ever between two of its buckets.
func (q *Question) silent(c *Count, out *Change) bool {
	if !c.Last.IsZero() {
		out.Quiet = max(0, q.Window.To.Sub(c.Last)-q.Bucket)
	}
	if c.Window == 0 && len(c.Past) >= habitual && !slices.Contains(c.Past, 0) {
		return true
	}
	if g := c.Gaps; g != nil && g.Number >= minGaps && out.Quiet > 2*g.Longest+q.Bucket {
		// Of n gaps and one more, each is as likely as any to be the longest.
		out.Significance = max(out.Significance, quantile(1/float64(g.Number+1)))
		return true
	}
	out.Quiet = 0
	return false
}

// rare reports whether a pattern of few lines ever was as unlikely as not to show in a window of this length.
func (q *Question) rare(c *Count, out *Change) bool {
	before := c.Ever - c.Window
	if c.Window == 0 || c.Ever > RareLines || before <= 0 || c.Ever < q.MinLines || !c.First.Before(q.Window.From) {
		return false
	}
	lived := max(q.Window.From.Sub(c.First), q.Window.Length())
	chance := -math.Expm1(-float64(before) * float64(q.Window.Length()) / float64(lived))
	if chance > 0.5 {
		return false
	}
	out.Significance = max(out.Significance, quantile(chance))
	return true
}

// MayBeLate reports whether the gaps of a pattern are worth looking up: it was seen often enough in the past, and has been quiet for
// much longer than its lines are apart on average. past is how long the comparable windows are together.
func MayBeLate(q Question, c *Count, past time.Duration) bool {
	var lines int64
	for _, n := range c.Past {
		lines += n
	}
	if lines <= minGaps || c.Last.IsZero() {
		return false
	}
	quiet := q.Window.To.Sub(c.Last) - q.Bucket
	return quiet > 2*q.Bucket && quiet > 2*past/time.Duration(lines)
}
