package template

import "slices"

// A slot that is known to hold words may hold several of them. The line is then a table of its own, and nothing in it differs:
//
//	batch <*> sent to <*> as <*>                  from many lines
//	batch <*> sent to Commerzbank AG as <*>       joins it: several words where the other has a slot for one
//
// All else must be equal, and at least as many words, which must be two or more. Something more in front of the value is no such case:
// another statement is made by "for <*>" and "for invalid user <*>".

const (
	minPhrase = 2 // words of a phrase
	minAround = 2 // words that must stand around it
)

// site is where a phrase stands, or may stand.
type site struct {
	hash uint64 // of all around it
	hole hole
}

// arounds returns for each part the hash of all before it, with the delimiters in front of it, and for each the hash of all from it on.
func (r *rendered) arounds() (before, from []uint64, words []int) {
	n := len(r.parts)
	before, from, words = make([]uint64, n+1), make([]uint64, n+1), make([]int, n+1)
	h := uint64(k1)
	for i := range r.parts {
		before[i] = (h ^ hashBytes([]byte(r.parts[i].gap))) * k3
		words[i+1] = words[i]
		if !r.parts[i].slot {
			words[i+1]++
		}
		h = r.mix(h, i)
	}
	from[n] = hashBytes([]byte(r.tail))
	for i := n - 1; i >= 0; i-- {
		from[i] = from[i+1]
		if i+1 < n && r.continues(i+1) {
			continue
		}
		gap := r.tail
		if i+1 < n {
			gap = r.parts[i+1].gap
		}
		k := i
		for k > 0 && r.continues(k) {
			k--
		}
		p := &r.parts[k]
		from[i] = (from[i] ^ hashBytes([]byte(p.word)) ^ hashBytes([]byte(gap))*k3) * k2
		if p.slot {
			from[i] = (from[i] ^ 1) * k3
		}
		from[i] ^= from[i] >> 31
	}
	return before, from, words
}

// alone reports whether parts i to j have no slot beside them that a slot in their place would go on with.
func (r *rendered) alone(i, j int) bool {
	open := func(k int) bool { return k >= 0 && k < len(r.parts) && r.parts[k].slot && r.parts[k].word == "" }
	return !open(i-1) && !open(j)
}

// sites returns the slots of a template that may hold a phrase.
func (r *rendered) sites() (out []site) {
	before, from, words := r.arounds()
	for i := range r.parts {
		p := &r.parts[i]
		if p.slot && p.word == "" && (p.kind == kindWord || p.kind == kindIdent || p.kind == kindAny) && r.alone(i, i+1) && words[len(r.parts)] >= minAround {
			n := r.elementOf(i)
			out = append(out, site{hash: (before[i] ^ from[i+1]) * k2, hole: hole{n, n + 1}})
		}
	}
	return out
}

// phrases returns where a template has several words in a row, the longest first.
func (r *rendered) phrases() (out []site) {
	before, from, words := r.arounds()
	n := len(r.parts)
	for size := min(maxEnding, n-minAround); size >= minPhrase; size-- {
		for i := 0; i+size <= n; i++ {
			j := i + size
			if words[j]-words[i] != size || words[n]-size < max(minAround, size) || !r.alone(i, j) || r.startsField(i) || r.startsField(j-1) {
				continue
			}
			a := r.elementOf(i)
			out = append(out, site{hash: (before[i] ^ from[j]) * k2, hole: hole{a, a + size}})
		}
	}
	return out
}

// spoken bundles the families that have a phrase where another has a slot for a word, of those with the same first words, and returns the
// others too.
func (l *Library) spoken(list []uint64, made renderings) (out []bundle, rest []uint64) {
	slots := map[uint64]int{}
	holes := make([]hole, len(list))
	for k, key := range list {
		r := l.least(l.crowds.of(l.family(key)), made)
		for _, s := range r.sites() {
			if _, ok := slots[s.hash]; !ok {
				slots[s.hash] = k
			}
		}
	}
	if len(slots) == 0 {
		return nil, list
	}
	head := make([]int, len(list))
	for k, key := range list {
		head[k] = k
		r := l.least(l.crowds.of(l.family(key)), made)
		for _, s := range r.phrases() {
			if to, ok := slots[s.hash]; ok && to != k {
				head[k], holes[k] = to, s.hole
				break
			}
		}
	}
	of := map[int]*bundle{}
	for k, key := range list {
		to := head[k]
		if to == k || head[to] != to {
			continue
		}
		b := of[to]
		if b == nil {
			b = &bundle{keys: []uint64{list[to]}, holes: [][]hole{nil}}
			of[to] = b
		}
		b.keys, b.holes = append(b.keys, key), append(b.holes, []hole{holes[k]})
	}
	for k, key := range list {
		switch b := of[k]; {
		case b != nil:
			out = append(out, *b)
		case head[k] == k || head[head[k]] != head[k]:
			rest = append(rest, key)
		}
	}
	slices.Sort(rest)
	return out, rest
}
