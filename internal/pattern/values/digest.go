package values

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Digest is a summary for people and models: rounded, ranked, in text that is valid UTF-8.
type Digest struct {
	Count         int64     `json:"count"`
	Distinct      int64     `json:"distinct"`
	DistinctError int64     `json:"distinct_error,omitempty"` // standard error; absent if exact
	Top           []Share   `json:"top,omitempty"`            // most frequent values
	Missed        int64     `json:"missed,omitempty"`         // lines that a value not kept may have; absent if all values are kept
	Numbers       int64     `json:"numbers,omitempty"`        // values that are numbers; what follows is of them
	Unit          string    `json:"unit,omitempty"`           // ms or bytes
	Quantiles     []float64 `json:"quantiles,omitempty"`      // at each of Ranks
	Error         float64   `json:"error,omitempty"`          // relative error of quantiles between the first and the last
	Mean          float64   `json:"mean,omitempty"`
	Bars          []int64   `json:"bars,omitempty"` // histogram from the least to the greatest, logarithmic if they are more than a factor of ten apart
	Spark         string    `json:"spark,omitempty"`
	First         string    `json:"first,omitempty"`
	Last          string    `json:"last,omitempty"`
}

// Share is a frequent value and its share of all.
type Share struct {
	Value string  `json:"value"`
	Count int64   `json:"count"`
	Share float64 `json:"share"`
	More  int64   `json:"more,omitempty"` // lines it may have beyond count
}

// Ranks are the ranks of the quantiles of a Digest: the first and the last are the least and the greatest number.
var Ranks = []float64{0, .05, .25, .5, .75, .95, .99, 1}

const digestBars = 12

// Digest sums a summary up, with at most so many of the most frequent values.
func (s *Summary) Digest(most int) Digest {
	d := Digest{Count: s.count}
	d.Distinct, d.DistinctError = s.Distinct()
	top, missed := s.Top(most)
	d.Missed = missed
	for _, f := range top {
		d.Top = append(d.Top, Share{Value: shown([]byte(f.Value), f.Cut), Count: f.Count, Share: significant(float64(f.Count)/float64(s.count), 3), More: f.Miss})
	}
	d.First, d.Last = shown(s.first.value, len(s.first.value) == MaxValue), shown(s.last.value, len(s.last.value) == MaxValue)
	n, unit := s.Numbers()
	if n == nil {
		return d
	}
	d.Numbers, d.Unit, d.Mean, d.Error = n.count, unit.String(), significant(n.Mean(), 4), n.Error()
	for _, q := range Ranks[1 : len(Ranks)-1] {
		d.Quantiles = append(d.Quantiles, significant(n.Quantile(q), 3))
	}
	d.Quantiles = append(append([]float64{n.min}, d.Quantiles...), n.max)
	d.Bars, _ = n.Bars(digestBars)
	d.Spark = Sparkline(d.Bars)
	return d
}

// shown is a value as text; dots stand for what was cut.
func shown(value []byte, cut bool) string {
	s := strings.ToValidUTF8(string(value), "\uFFFD")
	if cut {
		s = strings.TrimRight(s, "\uFFFD") + "..."
	}
	return s
}

// significant rounds to so many digits.
func significant(x float64, digits int) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	return r
}

// Sparkline draws counts as one character each; a zero is a blank.
func Sparkline(counts []int64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	most := int64(0)
	for _, c := range counts {
		most = max(most, c)
	}
	var b strings.Builder
	for _, c := range counts {
		if c <= 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(bars[int(math.Ceil(float64(c)/float64(most)*float64(len(bars))))-1])
	}
	return b.String()
}

// Numeric reports whether nearly all values are numbers.
func (d Digest) Numeric() bool { return 10*d.Numbers > 9*d.Count }

// Line says the most of a summary in one line: the few values there are, the spread of numbers, or how many different values.
func (d Digest) Line() string {
	switch {
	case d.Count == 0:
		return "no values"
	case d.Numeric() && d.Distinct > 10:
		q := func(rank float64) string { return figure(d.Quantiles[slices.Index(Ranks, rank)]) }
		return strings.TrimRight(fmt.Sprintf("median %s, 95 %% %s, %s to %s %s", q(.5), q(.95), q(0), q(1), d.Unit), " ")
	case len(d.Top) == 0 || d.Distinct > 10 && float64(d.Top[0].Count) < .05*float64(d.Count):
		return fmt.Sprintf("%s different, %s to %s", d.about(), quoted(d.First), quoted(d.Last))
	}
	var parts []string
	for i, s := range d.Top {
		if i == 5 {
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s %%", quoted(s.Value), figure(significant(100*s.Share, 3))))
	}
	if rest := d.Distinct - int64(len(parts)); rest > 0 {
		parts = append(parts, fmt.Sprintf("%s different", d.about()))
	}
	return strings.Join(parts, ", ")
}

func (d Digest) about() string {
	if d.DistinctError > 0 {
		return fmt.Sprintf("about %d", d.Distinct)
	}
	return strconv.FormatInt(d.Distinct, 10)
}

func figure(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// Text is the value for a line of text: short, and quoted where it would be read wrongly.
func (f Frequent) Text() string { return quoted(shown([]byte(f.Value), f.Cut)) }

// quoted shortens a value for a line and quotes it where it would be read wrongly.
func quoted(v string) string {
	const most = 40
	if r := []rune(v); len(r) > most {
		v = string(r[:most]) + "..."
	}
	if v == "" || strings.ContainsAny(v, " ,\"\t\n\r\x00") {
		return strconv.Quote(v)
	}
	return v
}
