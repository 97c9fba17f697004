package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	width     = 760
	nameWidth = 200 // for names, left of the bars
	tookWidth = 90  // for durations, right of them
	rowHeight = 24
	top       = 56
	waitShare = 0.12 // of the width, at most, for a stretch in which nothing but time passes
)

const style = `<style>
svg{--paper:#fff;--ink:#1c2430;--soft:#5b6675;--faint:#e3e7ec;--done:#2563b8;--bad:#c0392b;--wait:#9aa6b5;--undo:#a8680b}
@media (prefers-color-scheme:dark){svg{--paper:#12161c;--ink:#e8ecf1;--soft:#9aa6b5;--faint:#2a323d;--done:#6aa5f0;--bad:#f0796a;--wait:#5b6675;--undo:#e0a94a}}
svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;font-size:12px;fill:#5b6675;fill:var(--soft)}
svg .name{fill:#1c2430;fill:var(--ink)}
.paper{fill:#fff;fill:var(--paper)}
.grid{stroke:#e3e7ec;stroke:var(--faint);fill:none}
.done{fill:#2563b8;fill:var(--done)}
.bad{fill:#c0392b;fill:var(--bad)}
.undo{fill:#a8680b;fill:var(--undo)}
.wait{fill:#9aa6b5;fill:var(--wait)}
</style>
`

// bar is one row of the picture.
type bar struct {
	name, class, note string
	from, to          time.Time
}

// Timeline draws when each step ran and how long the waits between them were, as an SVG document of its own. A wait that is
// long beside the steps is drawn shorter than it was, with its length beside it.
func (r Report) Timeline() []byte {
	bars := r.bars()
	from, to := r.Started, r.Finished
	for _, b := range bars {
		if !b.from.IsZero() && b.to.After(to) {
			to = b.to
		}
	}
	scale := newScale(from, to, r.Phases)
	height := top + len(bars)*rowHeight + 28
	var b strings.Builder
	title := "Migration " + r.Plan
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n", escaped(title), escaped(r.words(from, to)))
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d" rx="6"/>`+"\n", width, height)
	text(&b, 16, 26, ` class="name" font-weight="600"`, clipped(title, 80))
	text(&b, 16, 44, "", clipped(r.words(from, to), 110))
	for i, row := range bars {
		y := top + i*rowHeight
		fmt.Fprintf(&b, `<path class="grid" d="M16 %dH%d"/>`+"\n", y+rowHeight, width-16)
		text(&b, 16, float64(y)+16, ` class="name"`, clipped(row.name, 28))
		if row.from.IsZero() {
			continue
		}
		x, end := scale.x(row.from), scale.x(row.to)
		fmt.Fprintf(&b, `<rect class="%s" x="%s" y="%d" width="%s" height="14" rx="2"/>`+"\n", row.class, px(x), y+5, px(max(end-x, 2)))
		text(&b, width-16, float64(y)+16, ` text-anchor="end"`, row.note)
	}
	y := top + len(bars)*rowHeight + 18
	text(&b, nameWidth, float64(y), "", from.UTC().Format("15:04:05"))
	text(&b, width-tookWidth, float64(y), ` text-anchor="end"`, to.UTC().Format("15:04:05"))
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func (r Report) bars() (out []bar) {
	for _, s := range r.Steps {
		b := bar{name: s.Name, class: "done", from: s.Started, to: s.Finished, note: s.took()}
		if s.State == "failed" || s.State == "not undone" {
			b.class = "bad"
		}
		if !b.from.IsZero() && b.to.IsZero() { // under way
			switch {
			case !s.Undo.Started.IsZero(): // it failed
				b.to = s.Undo.Started
			case r.Finished.IsZero():
				b.to = b.from
			default:
				b.to = r.Finished
			}
			b.note = s.State
		}
		out = append(out, b)
		if !s.Undo.Started.IsZero() {
			undo := bar{name: "undo " + s.Name, class: "undo", from: s.Undo.Started, to: s.Undo.Finished, note: s.Undo.length()}
			if undo.to.IsZero() {
				undo.to, undo.note = undo.from, s.State
			}
			out = append(out, undo)
		}
	}
	for _, p := range r.Phases {
		out = append(out, bar{name: p.Name, class: "wait", from: p.Started, to: p.Finished, note: p.length()})
	}
	slices.SortStableFunc(out, func(a, b bar) int {
		switch {
		case a.from.IsZero() && b.from.IsZero():
			return 0
		case a.from.IsZero():
			return 1
		case b.from.IsZero():
			return -1
		}
		return a.from.Compare(b.from)
	})
	return out
}

// words says what the picture shows.
func (r Report) words(from, to time.Time) string {
	return fmt.Sprintf("%d steps in %s from %s: %s.", len(r.Steps), Span{Started: from, Finished: to}.length(), stamp(from), r.State)
}

// scale maps times to places: pieces of time that lie one behind another, each with a width.
type scale struct{ pieces []piece }

type piece struct {
	from, to time.Time
	x, w     float64
}

func newScale(from, to time.Time, waits []Span) scale {
	const room = float64(width - nameWidth - tookWidth)
	waits = slices.SortedFunc(slices.Values(waits), func(a, b Span) int { return a.Started.Compare(b.Started) })
	var s scale
	var busy time.Duration
	at := from
	long := map[int]bool{} // pieces that are waits
	for _, w := range waits {
		if w.Started.Before(at) || !w.Finished.After(w.Started) || w.Finished.After(to) {
			continue
		}
		if w.Started.After(at) {
			s.pieces = append(s.pieces, piece{from: at, to: w.Started})
			busy += w.Started.Sub(at)
		}
		long[len(s.pieces)] = true
		s.pieces = append(s.pieces, piece{from: w.Started, to: w.Finished})
		at = w.Finished
	}
	if to.After(at) || len(s.pieces) == 0 {
		s.pieces = append(s.pieces, piece{from: at, to: to})
		busy += to.Sub(at)
	}
	total, left := to.Sub(from), room
	for i := range s.pieces {
		p := &s.pieces[i]
		if long[i] && total > 0 {
			p.w = room * min(waitShare, float64(p.to.Sub(p.from))/float64(total))
			left -= p.w
		}
	}
	x := float64(nameWidth)
	for i := range s.pieces {
		p := &s.pieces[i]
		if !long[i] && busy > 0 {
			p.w = left * float64(p.to.Sub(p.from)) / float64(busy)
		}
		p.x = x
		x += p.w
	}
	return s
}

func (s scale) x(at time.Time) float64 {
	for _, p := range s.pieces {
		if !at.After(p.to) {
			if d := p.to.Sub(p.from); d > 0 && at.After(p.from) {
				return p.x + p.w*float64(at.Sub(p.from))/float64(d)
			}
			return p.x
		}
	}
	last := s.pieces[len(s.pieces)-1]
	return last.x + last.w
}

func text(b *strings.Builder, x, y float64, attributes, s string) {
	fmt.Fprintf(b, `<text x="%s" y="%s"%s>%s</text>`+"\n", px(x), px(y), attributes, escaped(s))
}

func px(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }

func clipped(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// escaped makes any bytes fit for XML text.
func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}
