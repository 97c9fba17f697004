package template

import (
	"maps"
	"slices"
	"strings"
)

// A value may be prose of any length. Its lines are tables of their own, one for each number of words, and nothing in them differs:
//
//	order <*> cancelled by <*>: out of stock
//	order <*> cancelled by <*>: timed out                    -->  order <*> cancelled by <*>: <*>
//	order <*> cancelled by <*>: connection refused by peer
//	order <*> cancelled by <*>: bad gateway
//	order <*> cancelled by <*>: declined
//
// A few such endings are statements. Where there are more, and they are of several lengths, they are the values of a slot.

const (
	minEndings = 5 // different first words of endings
	maxEnding  = 6 // words of one
)

// stump is where a template may be cut, by its words before it and the delimiters around its ending.
type stump struct {
	hash     uint64
	elements int
	next     uint64 // the first word of the ending
	words    int    // in the ending
}

// stumps returns where the end of a template may be cut from it, the longest ending first: behind at least minStem elements, one
// of them a word, and at least as many as the ending has words.
func (r *rendered) stumps() (out []stump) {
	from := len(r.parts)
	for from > 0 && r.parts[from-1].prose() && !r.startsField(from-1) && len(r.parts)-from < maxEnding {
		from--
	}
	h, n, anchors := uint64(k1), 0, 0
	for i := range r.parts {
		p := &r.parts[i]
		if words := len(r.parts) - i; i >= from && !r.continues(i) && n >= max(minStem, words) && anchors > 0 {
			s := stump{hash: h, elements: n, next: hashBytes([]byte(p.word)), words: words}
			for _, text := range []string{p.gap, r.tail} {
				s.hash = (s.hash ^ hashBytes([]byte(text))) * k2
				s.hash ^= s.hash >> 31
			}
			out = append(out, s)
		}
		if !r.continues(i) {
			n++
		}
		if !p.slot && strings.IndexFunc(p.word, wordRune) >= 0 {
			anchors++
		}
		h = r.mix(h, i)
	}
	return out
}

// prose reports whether a part is a word, or a slot for one because it is a value wherever else it stands.
func (p *part) prose() bool { return !p.slot || p.kind == kindWord && p.word == "" }

// cutAt returns the first n elements of a template, or all if n is 0.
func (r *rendered) cutAt(n int) rendered {
	if n == 0 {
		return *r
	}
	return rendered{parts: r.parts[:r.partOf(n)]}
}

// endings bundles the families that have a stump in common, of those with the same first words, and returns the others too.
func (l *Library) endings(list []uint64, made renderings) (out []bundle, rest []uint64) {
	if len(list) < minEndings {
		return nil, list
	}
	stumps := make([][]stump, len(list))
	all := map[uint64][]stump{}
	for i, key := range list {
		r := l.least(l.crowds.of(l.family(key)), made)
		stumps[i] = r.stumps()
		for _, s := range stumps[i] {
			all[s.hash] = append(all[s.hash], s)
		}
	}
	maps.DeleteFunc(all, func(_ uint64, list []stump) bool { return !openEnded(list) })
	chosen, of := map[uint64][]uint64{}, map[uint64][]stump{}
	for i, key := range list {
		k := slices.IndexFunc(stumps[i], func(s stump) bool { return all[s.hash] != nil })
		if k < 0 {
			rest = append(rest, key)
			continue
		}
		s := stumps[i][k]
		chosen[s.hash] = append(chosen[s.hash], key)
		of[s.hash] = append(of[s.hash], s)
	}
	for _, h := range slices.Sorted(maps.Keys(chosen)) {
		if openEnded(of[h]) {
			out = append(out, bundle{keys: chosen[h], stump: of[h][0].elements})
		} else {
			rest = append(rest, chosen[h]...)
		}
	}
	slices.Sort(rest)
	return out, rest
}

// openEnded reports whether endings are the values of a slot.
func openEnded(list []stump) bool {
	next, lengths := map[uint64]struct{}{}, map[int]struct{}{}
	for _, s := range list {
		next[s.next], lengths[s.words] = struct{}{}, struct{}{}
	}
	return len(next) >= minEndings && len(lengths) > 1
}
