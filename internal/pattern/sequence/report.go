package sequence

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern"
)

const (
	// A habit is known where a pattern was left so often, and is strong where the successors that make it up have at least this share of
	// all, by the lower end of Wilson's interval.
	minSupport    = 20
	minConfidence = 0.8
	// rare is the share up to which a successor breaks the habit. Those with more make up the habit.
	rare = 0.05
	// minShare is the share from which a successor is told as usual.
	minShare = 0.1
)

// Habit is a pattern that usually follows another.
type Habit struct {
	From    pattern.ID    `json:"from"` // "" is the start of a session
	To      pattern.ID    `json:"to"`   // "" is its end
	Count   int64         `json:"count"`
	Share   float64       `json:"share"` // of the times that From was left
	Usual   time.Duration `json:"usual"` // half of the gaps are not longer, to a factor of two; 0 without a gap
	Longest time.Duration `json:"longest"`
}

// Break is a transition that is hardly ever seen where another is the habit.
type Break struct {
	From       pattern.ID `json:"from"` // "" is the start of a session
	To         pattern.ID `json:"to"`   // "" is its end: what usually follows is missing
	Usual      pattern.ID `json:"usual"`
	Count      int64      `json:"count"`
	Support    int64      `json:"support"`    // how often From was left
	Confidence float64    `json:"confidence"` // lower bound of the share of the habit
	Score      float64    `json:"score"`      // bits of surprise beyond what is usual after From
	Seen       []Sighting `json:"seen"`       // the first ones
}

// Report is what a Learner has found.
type Report struct {
	Events   int64   `json:"events"`
	Sessions int64   `json:"sessions"`
	Evicted  int64   `json:"evicted"` // forgotten while open, because there were too many
	Dropped  int64   `json:"dropped"` // transitions not counted, because there were too many different ones
	Patterns int     `json:"patterns"`
	Habits   []Habit `json:"habits"` // the most frequent first
	Breaks   []Break `json:"breaks"` // the most surprising first
}

// Report returns at most limit habits and as many breaks. For a pattern left n times, of which k to a successor that has more than 5 %
// of them, the habit's confidence is the lower end of Wilson's 95 % interval for k of n (Journal of the American Statistical
// Association 22, 1927). A successor seen c times breaks it if c/n is at most 5 %, n at least 20 and the confidence at least .8. Its score
// is
//
//	-log2(c/n) - H,  H = -sum p log2 p over all successors of the pattern
//
// which is how many bits it surprises more than what follows there does on average. A missing successor counts only where it had time:
// where the longest usual gap has passed before the last event of all.
func (l *Learner) Report(limit int) Report {
	out := Report{
		Events: l.events, Sessions: l.sessions, Evicted: l.evicted, Dropped: l.dropped, Patterns: len(l.patterns) - 1, Habits: []Habit{}, Breaks: []Break{},
	}
	from := make([][]*transition, len(l.patterns))
	for _, t := range l.order {
		from[t.From] = append(from[t.From], t)
	}
	for _, all := range from {
		l.judge(all, &out)
	}
	slices.SortFunc(out.Habits, func(a, b Habit) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	slices.SortFunc(out.Breaks, func(a, b Break) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.Support, a.Support), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	out.Habits = out.Habits[:min(limit, len(out.Habits))]
	out.Breaks = out.Breaks[:min(limit, len(out.Breaks))]
	return out
}

// judge looks at all that follows one pattern.
func (l *Learner) judge(all []*transition, out *Report) {
	var n, usual int64
	var top *transition
	for _, t := range all {
		n += t.Count
		if top == nil || t.Count > top.Count || t.Count == top.Count && l.patterns[t.To] < l.patterns[top.To] {
			top = t
		}
	}
	entropy := 0.
	var longest time.Duration
	for _, t := range all {
		p := float64(t.Count) / float64(n)
		entropy -= p * math.Log2(p)
		if p > rare {
			usual += t.Count
			longest = max(longest, t.quantile(.99))
		}
		if p >= minShare && t.Count > 1 {
			out.Habits = append(out.Habits, Habit{l.patterns[t.From], l.patterns[t.To], t.Count, p, t.quantile(.5), t.quantile(.99)})
		}
	}
	confidence := wilson(usual, n)
	if n < minSupport || confidence < minConfidence {
		return
	}
	for _, t := range all {
		p := float64(t.Count) / float64(n)
		seen := t.Seen
		if t.To == 0 {
			seen = slices.DeleteFunc(slices.Clone(seen), func(s Sighting) bool { return s.At+int64(longest) >= l.latest })
		}
		if p > rare || len(seen) == 0 {
			continue
		}
		out.Breaks = append(out.Breaks, Break{
			From: l.patterns[t.From], To: l.patterns[t.To], Usual: l.patterns[top.To], Count: t.Count, Support: n, Confidence: confidence,
			Score: -math.Log2(p) - entropy, Seen: seen,
		})
	}
}

// wilson returns the lower end of the 95 % interval of a share of k in n.
func wilson(k, n int64) float64 {
	if n == 0 {
		return 0
	}
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	return (p + z*z/(2*m) - z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))) / (1 + z*z/m)
}
