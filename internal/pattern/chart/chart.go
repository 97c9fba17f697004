// Package chart draws counts over time as SVG: the timeline of a pattern, a sparkline, and an overview of several patterns. Counts and
// texts come in, and the bytes of an SVG document go out, the same for the same input. A document holds no script, refers to nothing
// outside itself, says in words what it shows, and is light or dark as its reader's system is.
//
//	template                      a timeline: bars, or an area where there are more points than bars fit
//	40 ┤      ▟▙
//	20 ┤  ▟▙▟████▙
//	 0 ┼─┬──────┬──────┬─
//	   00:00  06:00  12:00
package chart

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Point is what was counted from Start to the Start of the next point.
type Point struct {
	Start time.Time
	Lines int64
}

const (
	width, height = 760, 240 // of a timeline
	left, right   = 56, 16   // of the plot, to the edges
	top, bottom   = 64, 36
	maxBars       = 150 // with more, a bar would be narrower than four pixels
)

// style is CSS: ink for text, faint for the grid, mark for data.
const style = `<style>
svg{--paper:#fff;--ink:#1c2430;--soft:#5b6675;--faint:#e3e7ec;--mark:#2563b8}
@media (prefers-color-scheme:dark){svg{--paper:#12161c;--ink:#e8ecf1;--soft:#9aa6b5;--faint:#2a323d;--mark:#6aa5f0}}
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;font-size:12px;fill:#5b6675;fill:var(--soft)}
.code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1c2430;fill:var(--ink)}
.paper{fill:#fff;fill:var(--paper)}
.grid{stroke:#e3e7ec;stroke:var(--faint);fill:none}
.mark{fill:#2563b8;fill:var(--mark)}
.area{fill:#2563b8;fill:var(--mark);opacity:.25}
.line{stroke:#2563b8;stroke:var(--mark);stroke-width:1.5;stroke-linejoin:round;fill:none}
</style>
`

// canvas writes a document.
type canvas struct{ strings.Builder }

// begin writes everything before the drawing. The ids are the same in every document: one that is put into a page belongs in an img.
func begin(w, h int, title, description string) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n", w, h, w, h)
	fmt.Fprintf(c, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n", escaped(title), escaped(description))
	c.WriteString(style)
	fmt.Fprintf(c, `<rect class="paper" width="%d" height="%d" rx="6"/>`+"\n", w, h)
	return c
}

func (c *canvas) end() []byte {
	c.WriteString("</svg>\n")
	return []byte(c.String())
}

// text writes text at a place; attributes are written as they are.
func (c *canvas) text(x, y float64, attributes, text string) {
	fmt.Fprintf(c, `<text x="%s" y="%s"%s>%s</text>`+"\n", px(x), px(y), attributes, escaped(text))
}

// px writes a length with at most one digit after the point.
func px(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// escaped makes any bytes fit for XML text: what XML has no character for is shown as U+FFFD.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < ' ' && r != '\t' && r != '\n', r == 0x7f, r >= 0xfffe && r <= 0xffff:
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// clipped shortens text to n characters.
func clipped(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Count writes a number with thousands apart: 1,234,567.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// sum returns all lines, the most in one point, and where that is.
func sum(points []Point) (total, most int64, at int) {
	for i, p := range points {
		total += p.Lines
		if p.Lines > most {
			most, at = p.Lines, i
		}
	}
	return total, most, at
}

// step returns how long a point is; of a single one nobody can tell.
func step(points []Point) time.Duration {
	if len(points) < 2 {
		return time.Hour
	}
	return max(points[1].Start.Sub(points[0].Start), time.Second)
}

// stamp writes a time for the description.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
