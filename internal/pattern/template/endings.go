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

// Behind a colon or dash, and at least two words before it, they may be longer than what stands before: there stands a value more often than not. But where
// other templates go on with more than words behind the same delimiter, what stands before it is the subject of several statements.

const (
	minEndings  = 5  // different first words of endings
	maxEnding   = 6  // words of one
	minReasons  = 5  // different first words behind a colon or dash
	minInside   = 3  // of them, where a bracket closes behind them
	maxReason   = 16 // words of one
	reasonWords = 2  // words that must stand before
)

// stump is where a template may be cut, by its words before it and the delimiters around its ending.
type stump struct {
	hash  uint64
	front uint64 // of what stands before alone
	hole  hole
	next  uint64 // the first word of the ending
	words int    // in the ending
	colon bool   // behind a colon or dash, with words enough before it
	slot  bool   // the ending is a slot for one word
	need  int    // different first words
}

// stumps returns where the end of a template may be cut from it, the longest ending first: behind at least minStem elements, one
// of them a word, and at least as many as the ending has words. Behind a colon or dash two elements will do.
func (r *rendered) stumps() (out []stump) {
	from := len(r.parts)
	for from > 0 && r.parts[from-1].prose() && !r.startsField(from-1) && len(r.parts)-from < maxReason {
		from--
	}
	all := r.elements()
	r.cuts(func(i, n, anchors int, h uint64) {
		p, words := &r.parts[i], len(r.parts)-i
		colon := colonLike(p.gap)
		if i < from || anchors == 0 || n < minStem-1 || !colon && (n < max(minStem, words) || words > maxEnding) {
			return
		}
		s := stump{hash: h, front: front(h, p.gap), hole: hole{n, all}, next: hashBytes([]byte(p.word)), words: words, slot: words == 1 && p.slot}
		s.colon, s.need = colon && anchors >= reasonWords, minReasons
		if strings.HasPrefix(r.tail, ")") || strings.HasPrefix(r.tail, "]") {
			s.need = minInside
		}
		for _, text := range []string{p.gap, r.tail} {
			s.hash = (s.hash ^ hashBytes([]byte(text))) * k2
			s.hash ^= s.hash >> 31
		}
		if colon || words <= maxEnding {
			out = append(out, s)
		}
	})
	return out
}

// cuts calls fn with each part that begins an element, the number of elements and of words before it, and the hash of all before it.
func (r *rendered) cuts(fn func(i, n, anchors int, h uint64)) {
	h, n, anchors := uint64(k1), 0, 0
	for i := range r.parts {
		p := &r.parts[i]
		if !r.continues(i) {
			fn(i, n, anchors, h)
			n++
		}
		if !p.slot && strings.IndexFunc(p.word, wordRune) >= 0 {
			anchors++
		}
		h = r.mix(h, i)
	}
}

// colonLike reports whether delimiters are such as stand before a reason.
func colonLike(gap string) bool {
	gap = strings.TrimRight(gap, " ")
	return gap != "" && strings.IndexByte(":-=", gap[len(gap)-1]) >= 0
}

func front(h uint64, gap string) uint64 { return (h ^ hashBytes([]byte(gap))) * k3 }

// subjects adds the places behind a colon or dash where more follows than words.
func (r *rendered) subjects(into map[uint64]struct{}) {
	plain := len(r.parts)
	for plain > 0 && r.parts[plain-1].prose() && !r.startsField(plain-1) {
		plain--
	}
	r.cuts(func(i, _, _ int, h uint64) {
		if i < plain && i < len(r.parts)-1 && colonLike(r.parts[i].gap) {
			into[front(h, r.parts[i].gap)] = struct{}{}
		}
	})
}

// prose reports whether a part is a word, or a slot for one because it is a value wherever else it stands.
func (p *part) prose() bool { return !p.slot || p.kind == kindWord && p.word == "" }

// endings bundles the families that have a stump in common, of those with the same first words, and returns the others too.
func (l *Library) endings(list []uint64, made renderings) (out []bundle, rest []uint64) {
	if len(list) < 2 {
		return nil, list
	}
	stumps := make([][]stump, len(list))
	all, subjects := map[uint64][]stump{}, map[uint64]struct{}{}
	for i, key := range list {
		r := l.least(l.crowds.of(l.family(key)), made)
		stumps[i] = r.stumps()
		r.subjects(subjects)
		for _, s := range stumps[i] {
			all[s.hash] = append(all[s.hash], s)
		}
	}
	maps.DeleteFunc(all, func(_ uint64, list []stump) bool { return !openEnded(list, subjects) })
	chosen, of := map[uint64]bundle{}, map[uint64][]stump{}
	for i, key := range list {
		k := slices.IndexFunc(stumps[i], func(s stump) bool { return all[s.hash] != nil })
		if k < 0 {
			rest = append(rest, key)
			continue
		}
		s := stumps[i][k]
		b := chosen[s.hash]
		b.keys, b.holes = append(b.keys, key), append(b.holes, []hole{s.hole})
		chosen[s.hash] = b
		of[s.hash] = append(of[s.hash], s)
	}
	for _, h := range slices.Sorted(maps.Keys(chosen)) {
		if openEnded(of[h], subjects) {
			out = append(out, chosen[h])
		} else {
			rest = append(rest, chosen[h].keys...)
		}
	}
	slices.Sort(rest)
	return out, rest
}

// openEnded reports whether endings are the values of a slot.
func openEnded(list []stump, subjects map[uint64]struct{}) bool {
	next, lengths, slots := map[uint64]struct{}{}, map[int]struct{}{}, 0
	for _, s := range list {
		next[s.next], lengths[s.words] = struct{}{}, struct{}{}
		if s.slot {
			slots = minReasons - 1
		}
	}
	if _, several := subjects[list[0].front]; several {
		return false
	}
	if list[0].colon && len(next) > 1 && len(next)+slots >= list[0].need {
		return true
	}
	return len(next) >= minEndings && len(lengths) > 1
}
