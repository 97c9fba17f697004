// Package merge brings together what two people changed in a document: lines of text as git does it, JSON by key path. What cannot
// be brought together is a conflict, which names the place and what base, ours and theirs say there. It also tells two documents
// apart, and says which revision brought in which line. Everything is a function of its arguments: no I/O, no clock.
package merge

import (
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

// Part is a stretch of a merge: Text, or where Conflict is set what the three sides say instead.
type Part struct {
	Text               string
	Conflict           bool
	Base, Ours, Theirs string
	Line               int // line of the base at which the part begins, from 0
}

// Text is a merge of lines, part by part; conflicts never touch.
type Text []Part

// Clean reports whether there is no conflict.
func (t Text) Clean() bool {
	for _, p := range t {
		if p.Conflict {
			return false
		}
	}
	return true
}

// String returns the merged text, with ours where there is a conflict.
func (t Text) String() string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.Text + p.Ours)
	}
	return b.String()
}

// Marked returns the merged text with conflicts between the markers that git writes in its style diff3.
func (t Text) Marked() string {
	var b strings.Builder
	line := func(s string) {
		if b.WriteString(s); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteByte('\n')
		}
	}
	for _, p := range t {
		if !p.Conflict {
			b.WriteString(p.Text)
			continue
		}
		line("<<<<<<< ours")
		line(p.Ours)
		line("||||||| base")
		line(p.Base)
		line("=======")
		line(p.Theirs)
		line(">>>>>>> theirs")
	}
	return b.String()
}

// Lines merges what ours and theirs changed in base. Changes that touch or overlap are a conflict, unless both sides say the
// same there. Verdict and bytes of a clean merge are those of git merge-file with its defaults. Time and memory are
// O((lines + changes)^1.5) at worst, since the search for the shortest script is cut short.
func Lines(base, ours, theirs string) (out Text) {
	switch {
	case ours == theirs, base == theirs:
		return whole(ours)
	case base == ours:
		return whole(theirs)
	}
	for _, r := range regions(markdown.Lines(base), markdown.Lines(ours), markdown.Lines(theirs)) {
		p := Part{Line: r.at}
		if p.Conflict = r.conflict; p.Conflict {
			p.Base, p.Ours, p.Theirs = strings.Join(r.base, ""), strings.Join(r.ours, ""), strings.Join(r.theirs, "")
		} else {
			p.Text = strings.Join(r.merged, "")
		}
		out = append(out, p)
	}
	return out
}

func whole(text string) Text {
	if text == "" {
		return nil
	}
	return Text{{Text: text}}
}

// region is a stretch of a merge of lines.
type region struct {
	at                 int // line of the base
	conflict           bool
	merged             []string
	base, ours, theirs []string // of a conflict
}

// merger walks the base; at and the two offsets say how far it has come in each text.
type merger struct {
	base, ours, theirs []string
	at                 int
	oursOff, theirsOff int // line of the side minus line of the base, at at
	out                []region
}

// regions merges lines. Regions that merge follow a conflict or none.
func regions(base, ours, theirs []string) []region {
	left, right := differences(base, ours), differences(base, theirs)
	m := merger{base: base, ours: ours, theirs: theirs}
	for len(left)+len(right) > 0 {
		m.region(&left, &right)
	}
	m.keep(len(base))
	return m.out
}

// keep takes the lines of the base up to line end, which no side changed.
func (m *merger) keep(end int) {
	m.merged(m.base[m.at:end])
	m.at = end
}

func (m *merger) merged(lines []string) {
	if len(lines) == 0 {
		return
	}
	if n := len(m.out); n > 0 && !m.out[n-1].conflict {
		m.out[n-1].merged = append(m.out[n-1].merged, lines...)
		return
	}
	m.out = append(m.out, region{at: m.at, merged: slices.Clone(lines)})
}

// region takes the hunks that touch each other off the front of both scripts, and merges what they cover.
func (m *merger) region(left, right *[]hunk) {
	start := beyond
	for _, script := range []*[]hunk{left, right} {
		if len(*script) > 0 {
			start = min(start, (*script)[0].a)
		}
	}
	end, shift, touched := start, [2]int{}, [2]bool{}
	for grown := true; grown; {
		grown = false
		for side, script := range []*[]hunk{left, right} {
			for len(*script) > 0 && (*script)[0].a <= end {
				h := (*script)[0]
				*script = (*script)[1:]
				end, shift[side] = max(end, h.a+h.del), shift[side]+h.ins-h.del
				touched[side], grown = true, true
			}
		}
	}
	m.keep(start)
	ours := m.ours[start+m.oursOff : end+m.oursOff+shift[0]]
	theirs := m.theirs[start+m.theirsOff : end+m.theirsOff+shift[1]]
	m.oursOff, m.theirsOff = m.oursOff+shift[0], m.theirsOff+shift[1]
	switch {
	case !touched[1], touched[0] && slices.Equal(ours, theirs):
		m.merged(ours)
	case !touched[0]:
		m.merged(theirs)
	default:
		m.out = append(m.out, region{at: start, conflict: true, base: m.base[start:end], ours: ours, theirs: theirs})
	}
	m.at = end
}
