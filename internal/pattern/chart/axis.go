package chart

import (
	"math"
	"strconv"
	"time"
)

// ticks returns round numbers from 0 to at least most, at most five apart from 0.
func ticks(most int64) []int64 {
	if most <= 0 {
		return []int64{0, 1}
	}
	unit := int64(1)
	for unit*5 < most {
		switch first := leading(unit); {
		case unit > math.MaxInt64/10:
			return []int64{0, most}
		case first == 2:
			unit = unit / 2 * 5
		default:
			unit *= 2
		}
	}
	out := []int64{0}
	for v := unit; ; v += unit {
		out = append(out, v)
		if v >= most {
			return out
		}
	}
}

func leading(n int64) int64 {
	for n >= 10 {
		n /= 10
	}
	return n
}

// short writes a number for an axis: 1500000 is 1.5M.
func short(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.size && n%(u.size/10) == 0 {
			return strconv.FormatFloat(float64(n)/float64(u.size), 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

const day = 24 * time.Hour

// spans are round spans of time, and how a time at such a span is written.
var spans = []struct {
	span   time.Duration
	layout string
}{
	{time.Second, "15:04:05"},
	{5 * time.Second, "15:04:05"},
	{15 * time.Second, "15:04:05"},
	{30 * time.Second, "15:04:05"},
	{time.Minute, "15:04"},
	{5 * time.Minute, "15:04"},
	{15 * time.Minute, "15:04"},
	{30 * time.Minute, "15:04"},
	{time.Hour, "15:04"},
	{3 * time.Hour, "15:04"},
	{6 * time.Hour, "15:04"},
	{12 * time.Hour, "15:04"},
	{day, "Jan 2"},
	{2 * day, "Jan 2"},
	{7 * day, "Jan 2"},
	{14 * day, "Jan 2"},
	{28 * day, "Jan 2 2006"},
	{91 * day, "Jan 2 2006"},
	{365 * day, "Jan 2 2006"},
}

// label is a time on an axis.
type label struct {
	at   time.Time
	text string
}

// times returns round times in [from, to), at most ten. Midnight is written as its day.
func times(from, to time.Time) []label {
	s := spans[len(spans)-1]
	for _, try := range spans {
		if to.Sub(from) <= 9*try.span {
			s = try
			break
		}
	}
	for to.Sub(from) > 9*s.span {
		s.span *= 10
	}
	seconds := int64(s.span / time.Second)
	first := (from.Unix() + seconds - 1) / seconds * seconds
	var out []label
	for at := time.Unix(first, 0).UTC(); at.Before(to) && len(out) < 10; at = at.Add(s.span) {
		layout := s.layout
		if at.Unix()%int64(day/time.Second) == 0 && s.span < day {
			layout = "Jan 2"
		}
		out = append(out, label{at, at.Format(layout)})
	}
	return out
}
