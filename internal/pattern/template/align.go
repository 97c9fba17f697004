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

// plain reports whether a field is one word.
func (f *field) plain() bool { return f.slots == 0 && len(f.at) <= 1 }

// outline is equal for templates that may align: a hash of their plain words, and of the keys of what else there is.
func outline(fields []field) uint64 {
	h := uint64(len(fields)) * k1
	for i := range fields {
		f := &fields[i]
		text := f.text
		if !f.plain() && !strings.Contains(text, `":`) {
			key := strings.IndexByte(text, '=')
			text = text[:max(key, 0)]
		}
		h = (h ^ hashBytes([]byte(text))) * k2
		h ^= h >> 31
	}
	return h
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
		if _, _, ok := r.hole(a, b); !ok {
			return false
		}
		if r.frame(a) != s.frame(b) {
			odd = true
		} else if b.slots == 0 {
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

// hole returns the literal text before and after the slot of field a that takes field b.
func (r *rendered) hole(a, b *field) (before, after string, ok bool) {
	if a.slots != 1 {
		return "", "", false
	}
	before, after, _ = strings.Cut(a.text, pattern.Wildcard)
	if len(b.text) <= len(before)+len(after) || !strings.HasPrefix(b.text, before) || !strings.HasSuffix(b.text, after) {
		return "", "", false
	}
	for i := range len(after) {
		if classOf[after[i]]&isWord != 0 {
			return "", "", false
		}
	}
	for i := a.first; i <= a.last; i++ {
		p := &r.parts[i]
		if p.slot && !p.void {
			ok = p.kind == kindText || p.kind == kindIdent || p.kind == kindWord || p.kind == kindAny || p.kind == kindQuoted
		}
	}
	return before, after, ok
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
		before, _, _ := r.hole(&fa[i], &fb[i])
		k := len(fb[i].at) - 1
		for k > 0 && fb[i].at[k] > len(before) {
			k--
		}
		for n := fa[i].first; n <= fa[i].last; n++ {
			p := &out.parts[n]
			if p.slot && !p.void {
				first := &b.parts[fb[i].first+k]
				p.first, p.last, p.skip = first.first, b.parts[fb[i].last].last, uint8(max(0, min(255, len(before)-fb[i].at[k])))
				p.kind = joinKinds(p.kind, kindText)
			}
		}
	}
	return out
}
