package template

import (
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// A value may have delimiters of its own, or be a list whose items look like nothing known. Then its shapes are tables of their
// own, with few rows, and what is in them looks constant. Such a template is aligned, blank by blank, with one that has a slot in
// the place:
//
//	pulled image <*> for [<*>]
//	pulled image base:latest for [ada, b:c]     -->  pulled image <*> for [<*>]
//
// The slot must be known to hold words, and what it takes in must not be a plain word: that would have been a row of the same table.

// field is what stands between blanks; what brackets or quotes hold together is one field.
type field struct {
	text        string
	first, last int   // parts
	at          []int // where each of them starts in text
	slots       int
}

// fields cuts a template at its blanks.
func (r *rendered) fields() []field {
	c := cutter{}
	for i := range r.parts {
		p := &r.parts[i]
		c.gap(p.gap)
		c.part(i, p)
	}
	c.gap(r.tail)
	c.end()
	return c.out
}

type cutter struct {
	out  []field
	now  field
	text []byte
	open []byte // closing brackets and quotes awaited
}

func (c *cutter) gap(gap string) {
	for i := range len(gap) {
		b := gap[i]
		if b == ' ' && len(c.open) == 0 {
			c.end()
			continue
		}
		switch n := len(c.open); {
		case n > 0 && b == c.open[n-1]:
			c.open = c.open[:n-1]
		case b == '(' || b == '[' || b == '{':
			c.open = append(c.open, closing(b))
		case b == '"' || b == '\'':
			if len(c.text) == 0 || strings.IndexByte("=:([{,", c.text[len(c.text)-1]) >= 0 {
				c.open = append(c.open, b)
			}
		}
		c.text = append(c.text, b)
	}
}

func (c *cutter) part(i int, p *part) {
	if len(c.now.at) == 0 {
		c.now.first = i
	}
	c.now.last = i
	c.now.at = append(c.now.at, len(c.text))
	c.text = append(c.text, p.word...)
	if p.slot && !p.void {
		c.text = append(c.text, pattern.Wildcard...)
		c.now.slots++
	}
}

func (c *cutter) end() {
	if len(c.text) > 0 {
		c.now.text = string(c.text)
		c.out = append(c.out, c.now)
	}
	c.now, c.text = field{}, c.text[:0]
}

// plain reports whether a field is one word, which does not look like a name.
func (f *field) plain() bool {
	return f.slots == 0 && (len(f.at) == 0 || len(f.at) == 1 && !nameLike(f.text))
}

func nameLike(w string) bool {
	return identLike(w) || stemOf(w) > 0 || strings.IndexByte(w, '-') > 0
}

// outline is equal for templates that may align: a hash of their plain words, and of the keys of what else there is. It is 0 if there
// is nothing else, or hardly anything that holds a template together.
func outline(fields []field) uint32 {
	h, odd, held := uint64(len(fields))*k1, false, 0
	for i := range fields {
		f := &fields[i]
		text := f.text
		if !f.plain() {
			odd = true
			if !strings.Contains(text, `":`) {
				key := strings.IndexByte(text, '=')
				text = text[:max(key, 0)]
			}
		}
		if text != "" {
			held++
		}
		h = (h ^ hashBytes([]byte(text))) * k2
		h ^= h >> 31
	}
	if !odd || held == 0 {
		return 0
	}
	return uint32(h >> 32)
}

// takes reports whether a template, with fields fa, has slots for all in which another differs. Where both have the same delimiters
// they were rows of one table once, and what that told about words stands.
func (r *rendered) takes(s *rendered, fa, fb []field) bool {
	if len(fa) != len(fb) {
		return false
	}
	anchors, others, odd := 0, 0, false
	for i := range fa {
		a, b := &fa[i], &fb[i]
		if a.text == b.text {
			for k := range a.at {
				if r.parts[a.first+k].word != "" {
					anchors++
					break
				}
			}
			continue
		}
		others++
		if _, ok := r.holes(a, s, b); !ok {
			return false
		}
		if r.frame(a) != s.frame(b) {
			odd = true
		} else if b.slots == 0 && !nameLike(b.text) {
			return false
		}
	}
	return odd && anchors >= others
}

// frame returns a field with its words and slots taken out.
func (r *rendered) frame(f *field) string {
	var b []byte
	for i := f.first; i <= f.last && len(f.at) > 0; i++ {
		if i > f.first {
			b = append(b, r.parts[i].gap...)
		}
		b = append(b, 'w')
	}
	return string(b)
}

// holes returns where in the text of field b what each slot of field a takes begins and ends.
func (r *rendered) holes(a *field, s *rendered, b *field) (at [][2]int, ok bool) {
	if a.slots == 0 || a.last-a.first+1 != len(a.at) {
		return nil, false
	}
	pieces := strings.Split(a.text, pattern.Wildcard)
	last := len(pieces) - 1
	if len(pieces) != a.slots+1 || !strings.HasPrefix(b.text, pieces[0]) || strings.IndexFunc(pieces[last], wordRune) >= 0 {
		return nil, false
	}
	from := len(pieces[0])
	slot := a.first
	for k := 1; k <= last; k++ {
		n := -1
		if k == last {
			if strings.HasSuffix(b.text, pieces[k]) {
				n = len(b.text) - len(pieces[k]) - from
			}
		} else if from < len(b.text) && pieces[k] != "" {
			if n = strings.Index(b.text[from+1:], pieces[k]); n >= 0 {
				n++
			}
		}
		if n <= 0 {
			return nil, false
		}
		for !r.parts[slot].slot || r.parts[slot].void {
			slot++
		}
		if b.text[from:from+n] != pattern.Wildcard && !r.parts[slot].general() {
			return nil, false
		}
		slot++
		at = append(at, [2]int{from, from + n})
		from += n + len(pieces[k])
	}
	return at, true
}

func wordRune(r rune) bool { return r >= 0x80 || classOf[byte(r)]&isWord != 0 }

// general reports whether a slot is known to hold words.
func (p *part) general() bool {
	switch p.kind { //nolint:exhaustive // the others are for values of one look
	case kindText, kindIdent, kindWord, kindAny, kindQuoted:
		return true
	}
	return false
}

// as returns b in the words of r, which takes it: the parts of r with the tokens of b.
func (r *rendered) as(b *rendered) rendered {
	fa, fb := r.fields(), b.fields()
	out := rendered{parts: slices.Clone(r.parts), tail: r.tail}
	for i := range fa {
		if len(fa[i].at) == 0 {
			continue
		}
		if fa[i].text == fb[i].text {
			for k := range fa[i].at {
				to, from := &out.parts[fa[i].first+k], &b.parts[fb[i].first+k]
				to.first, to.last, to.skip = from.first, from.last, from.skip
			}
			continue
		}
		at, _ := r.holes(&fa[i], b, &fb[i])
		n := fa[i].first
		for _, hole := range at {
			for !r.parts[n].slot || r.parts[n].void {
				n++
			}
			out.parts[n].take(&fb[i], b, hole)
			n++
		}
	}
	return out
}

// take makes a slot of the parts of field f between two places in its text.
func (p *part) take(f *field, r *rendered, hole [2]int) {
	first, last := 0, 0
	for k := range f.at {
		if f.at[k] <= hole[0] {
			first = k
		}
		if f.at[k] < hole[1] {
			last = k
		}
	}
	last = max(first, last)
	from := &r.parts[f.first+first]
	p.first, p.last = from.first, r.parts[f.first+last].last
	p.skip = uint8(max(0, min(255, hole[0]-f.at[first])))
	if first == last && from.slot && from.word == "" {
		p.kind = joinKinds(p.kind, from.kind)
	} else {
		p.kind = kindText
	}
}
