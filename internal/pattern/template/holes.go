package template

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// What somebody else wrote stands in quotes or brackets. Where it has several words its lines are tables of their own, and nothing in them
// differs:
//
//	Quest "The Lost Caravan" abandoned by <*>
//	Quest "Rats!" abandoned by <*>                  -->  Quest "<*>" abandoned by <*>
//	Quest "Into the Deep" abandoned by <*>
//
// Templates that are equal but for what stands there are one.

// enclosed is the parts of a template that quotes or brackets hold together.
type enclosed struct {
	from, to int // parts; to is behind the last
	quotes   bool
}

// hole is the elements of a template that are one slot of its pattern.
type hole struct{ from, to int }

const (
	minQuoted    = 2 // different contents of quotes that make a slot
	minBracketed = 3 // of brackets
)

// enclosures returns the parts of a template that stand in quotes or brackets, if they are words or one value.
func (r *rendered) enclosures() (out []enclosed) {
	for i := 0; i < len(r.parts); i++ {
		last, ok := opening(r.parts[i].gap, i == 0)
		if !ok || i > 0 && isMessageKey([]byte(r.parts[i-1].word)) {
			continue
		}
		to := r.closes(i, last)
		if to < 0 {
			continue
		}
		e := enclosed{from: i, to: to, quotes: last == '"' || last == '\''}
		if e.words(r) || e.quotes && to == i+1 && r.parts[i].slot && r.parts[i].word == "" {
			out = append(out, e)
			i = to - 1
		}
	}
	return out
}

// opening returns the quote or bracket that delimiters end with, if it opens something.
func opening(gap string, first bool) (b byte, ok bool) {
	if gap == "" {
		return 0, false
	}
	b = gap[len(gap)-1]
	switch b {
	case '"', '\'':
		return b, len(gap) == 1 && first || len(gap) > 1 && strings.IndexByte(" =:([{,", gap[len(gap)-2]) >= 0
	case '(', '[':
		return b, true
	}
	return 0, false
}

// closes returns the part behind those that the quote or bracket in front of part i holds together, or -1.
func (r *rendered) closes(i int, open byte) int {
	end := open
	if open == '(' || open == '[' {
		end = closing(open)
	}
	for k := i + 1; k <= len(r.parts); k++ {
		gap := r.tail
		if k < len(r.parts) {
			gap = r.parts[k].gap
		}
		if strings.HasPrefix(strings.TrimLeft(gap, sentenceEnds), string(end)) {
			return k
		}
		if strings.ContainsAny(gap, "\"'()[]=") {
			return -1
		}
	}
	return -1
}

// sentenceEnds are what ends a sentence within quotes.
const sentenceEnds = ".!?"

// words reports whether what is held together is words.
func (e *enclosed) words(r *rendered) bool {
	for i := e.from; i < e.to; i++ {
		if !r.parts[i].prose() {
			return false
		}
	}
	return true
}

// content is a hash of the words.
func (e *enclosed) content(r *rendered) uint64 {
	h := uint64(k1)
	for i := e.from; i < e.to; i++ {
		h = r.mix(h, i)
	}
	return h
}

// fill returns a template with a slot in the place of each hole, behind the prefix that mark gives it if it is not nil.
func (r *rendered) fill(holes []hole, mark func(k int) string) rendered {
	if len(holes) == 0 {
		return *r
	}
	out := rendered{tail: r.tail}
	next := 0
	add := func(to int) {
		at := len(out.parts)
		out.parts = append(out.parts, r.parts[next:to]...)
		if next > 0 && at < len(out.parts) {
			out.parts[at].gap = behindHole(out.parts[at].gap)
		}
	}
	for k, h := range holes {
		from, to := r.partOf(h.from), r.partOf(h.to)
		add(from)
		p := part{gap: r.parts[from].gap, slot: true, kind: kindText, first: r.parts[from].first, last: r.parts[to-1].last}
		if mark != nil {
			p.word = mark(k)
		}
		out.parts = append(out.parts, p)
		next = to
	}
	add(len(r.parts))
	if next == len(r.parts) {
		out.tail = behindHole(out.tail)
	}
	return out
}

// behindHole returns delimiters without the end of a sentence that belongs to the quotation before them.
func behindHole(gap string) string {
	if end := strings.TrimLeft(gap, sentenceEnds); end != "" && strings.IndexByte("\"')]", end[0]) >= 0 {
		return end
	}
	return gap
}

// elementOf returns how many elements stand before part i.
func (r *rendered) elementOf(i int) (n int) {
	for k := range i {
		if !r.continues(k) {
			n++
		}
	}
	return n
}

// quoted is a family with what stands in quotes and brackets in its template.
type quoted struct {
	key      uint64
	frame    uint64
	contents []uint64
	holes    []hole
	quotes   []bool
}

// quotations bundles the families that differ only in what stands in quotes or brackets, of those with the same first words, and returns
// the others too.
func (l *Library) quotations(list []uint64, made renderings) (out []bundle, rest []uint64) {
	frames := map[uint64][]quoted{}
	for _, key := range list {
		r := l.least(l.crowds.of(l.family(key)), made)
		q := quoted{key: key}
		for _, e := range r.enclosures() {
			h := hole{r.elementOf(e.from), r.elementOf(e.to)}
			if e.to == len(r.parts) {
				h.to = r.elements()
			}
			if h.from == h.to || r.continues(e.from) || e.to < len(r.parts) && r.continues(e.to) {
				continue
			}
			q.contents = append(q.contents, e.content(&r))
			q.holes = append(q.holes, h)
			q.quotes = append(q.quotes, e.quotes)
		}
		filled := r.fill(q.holes, nil)
		if len(q.holes) == 0 || !filled.held() {
			rest = append(rest, key)
			continue
		}
		q.frame = r.around(q.holes, q.quotes)
		frames[q.frame] = append(frames[q.frame], q)
	}
	for _, h := range slices.Sorted(maps.Keys(frames)) {
		bundles, alone := openQuotes(frames[h], 0)
		out, rest = append(out, bundles...), append(rest, alone...)
	}
	slices.Sort(rest)
	return out, rest
}

// around is a hash of all of a template but what is in the holes, and of what kind they are.
func (r *rendered) around(holes []hole, quotes []bool) uint64 {
	rest := r.elements()
	marked := r.fill(holes, func(k int) string {
		rest -= holes[k].to - holes[k].from
		if quotes[k] {
			return `"`
		}
		return "("
	})
	return (marked.words() ^ uint64(rest)) * k2
}

// held reports whether a template has a word beside slots, and more than that.
func (r *rendered) held() bool {
	return r.elements() > 1 && slices.ContainsFunc(r.parts, func(p part) bool {
		return !p.slot && strings.IndexFunc(p.word, wordRune) >= 0
	})
}

// openQuotes bundles families with one frame: where too few contents of a place are known it tells them apart. Places before from have
// enough, or one.
func openQuotes(list []quoted, from int) (out []bundle, rest []uint64) {
	if len(list) == 1 {
		return nil, []uint64{list[0].key}
	}
	for k := from; k < len(list[0].contents); k++ {
		seen := map[uint64][]quoted{}
		for _, q := range list {
			seen[q.contents[k]] = append(seen[q.contents[k]], q)
		}
		need := minBracketed
		if list[0].quotes[k] {
			need = minQuoted
		}
		if len(seen) == 1 || len(seen) >= need {
			continue
		}
		for _, c := range slices.Sorted(maps.Keys(seen)) {
			bundles, alone := openQuotes(seen[c], 0)
			out, rest = append(out, bundles...), append(rest, alone...)
		}
		return out, rest
	}
	b := bundle{}
	slices.SortFunc(list, func(a, b quoted) int { return cmp.Compare(a.key, b.key) })
	for _, q := range list {
		var holes []hole
		for k := range q.holes {
			if slices.ContainsFunc(list, func(o quoted) bool { return o.contents[k] != list[0].contents[k] }) {
				holes = append(holes, q.holes[k])
			}
		}
		b.keys, b.holes = append(b.keys, q.key), append(b.holes, holes)
	}
	return []bundle{b}, rest
}
