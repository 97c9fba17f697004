package template

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// wordbook knows how words behave over all groups: in how many they are surely values, and in how many constants. A word that is
// a value elsewhere is likely one where a column has too few words to tell.
type wordbook struct {
	values    map[uint32][]valueCount // by cut hash
	rivals    map[uint64]uint32       // in how many tables a word is one of several alternatives
	constants sums                    // by cut hash: groups where a word is constant; sharing a count only makes known more careful
	interests map[uint32][]interest   // by cut hash
	changed   map[uint32]struct{}     // cut hashes whose counts changed
	gone      []uint64                // words that were strong and are no longer counted
}

// sums are counts, few of which are large.
type sums struct {
	low  []uint16
	high map[uint32]uint32 // what does not fit
}

func newSums(n int) sums { return sums{low: make([]uint16, n), high: map[uint32]uint32{}} }

func (s *sums) at(i uint32) uint32 {
	if n := s.low[i]; n < math.MaxUint16 {
		return uint32(n)
	}
	return math.MaxUint16 + s.high[i]
}

// add adds 1 or -1.
func (s *sums) add(i uint32, by int) {
	switch n, over := s.low[i], s.high[i]; {
	case n < math.MaxUint16 || over == 0 && by < 0:
		s.low[i] += uint16(by)
	case over == 1 && by < 0:
		delete(s.high, i)
	default:
		s.high[i] = over + uint32(by)
	}
}

// valueCount says in how many groups a word is in a column of values.
type valueCount struct {
	word   uint64
	groups uint32
	strong bool // as last told by flipped
}

// interest is a word that some groups are unsure about.
type interest struct {
	word   uint64
	known  bool
	told   bool
	groups []uint32
}

// evidence is what a group told the wordbook, each list sorted. Of constants it keeps the upper halves of the hashes.
type evidence struct {
	words          []uint64 // values, then unsure, then rivals
	constants      []uint32
	values, unsure uint32 // how many
}

func (e *evidence) valued() []uint64 { return e.words[:e.values] }

func (e *evidence) doubted() []uint64 { return e.words[e.values : e.values+e.unsure] }

// rivals has a word once for each table.
func (e *evidence) rivals() []uint64 { return e.words[e.values+e.unsure:] }

// mentions reports whether the group told of a word; once in many it says so of a word that is only alike.
func (e *evidence) mentions(word uint64) bool {
	if _, ok := slices.BinarySearch(e.constants, upper(word)); ok {
		return true
	}
	if _, ok := slices.BinarySearch(e.doubted(), word); ok {
		return true
	}
	_, ok := slices.BinarySearch(e.valued(), word)
	return ok
}

func upper(word uint64) uint32 { return uint32(word >> 32) }

const wordbookBits = 18

func newWordbook() wordbook {
	return wordbook{
		values: map[uint32][]valueCount{}, rivals: map[uint64]uint32{}, constants: newSums(1 << wordbookBits),
		interests: map[uint32][]interest{}, changed: map[uint32]struct{}{},
	}
}

func cut(word uint64) uint32 { return uint32(word >> (64 - wordbookBits)) }

func (w *wordbook) count(word uint64) uint32 {
	for _, v := range w.values[cut(word)] {
		if v.word == word {
			return v.groups
		}
	}
	return 0
}

// known reports whether a word is a value in other templates more than it is a constant.
func (w *wordbook) known(word uint64) bool {
	v, c := w.count(word), w.constants.at(cut(word))
	r := w.rivals[word]
	return v > 0 && v >= c || r >= minTables && r >= c
}

// strong reports whether a word is a value in several other templates and hardly ever a constant.
func (w *wordbook) strong(word uint64) bool {
	v := w.count(word)
	return v >= 2 && v > w.constants.at(cut(word))
}

// told reports whether some group told of a word as a constant, or of one that shares its count.
func (w *wordbook) told(word uint64) bool { return w.constants.at(cut(word)) > 0 }

// update replaces what group g has told.
func (w *wordbook) update(g uint32, e *evidence, values, constants, unsure map[uint64]struct{}, rivals []uint64) {
	next := evidence{
		words:     slices.Concat(sorted(values), sorted(unsure), slices.Sorted(slices.Values(rivals))),
		constants: uppers(constants),
		values:    uint32(len(values)), unsure: uint32(len(unsure)),
	}
	diff(e.valued(), next.valued(), w.value)
	diff(e.constants, next.constants, func(half uint32, by int) {
		c := half >> (32 - wordbookBits)
		w.constants.add(c, by)
		w.changed[c] = struct{}{}
	})
	diff(e.rivals(), next.rivals(), func(word uint64, by int) {
		if w.rivals[word] += uint32(by); w.rivals[word] == 0 {
			delete(w.rivals, word)
		}
		w.changed[cut(word)] = struct{}{}
	})
	diff(e.doubted(), next.doubted(), func(word uint64, by int) { w.interest(g, word, by) })
	*e = next
}

func sorted(set map[uint64]struct{}) []uint64 {
	if len(set) == 0 {
		return nil
	}
	out := make([]uint64, 0, len(set))
	for x := range set {
		out = append(out, x)
	}
	slices.Sort(out)
	return out
}

// uppers returns the upper halves of hashes, sorted.
func uppers(set map[uint64]struct{}) []uint32 {
	if len(set) == 0 {
		return nil
	}
	out := make([]uint32, 0, len(set))
	for x := range set {
		out = append(out, upper(x))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// value counts a group more or less where the word is a value.
func (w *wordbook) value(word uint64, by int) {
	c := cut(word)
	w.changed[c] = struct{}{}
	list := w.values[c]
	k := slices.IndexFunc(list, func(v valueCount) bool { return v.word == word })
	if k < 0 {
		w.values[c] = append(list, valueCount{word: word, groups: 1})
		return
	}
	list[k].groups += uint32(by)
	if list[k].groups > 0 {
		return
	}
	if list[k].strong {
		w.gone = append(w.gone, word)
	}
	if list = slices.Delete(list, k, k+1); len(list) == 0 {
		delete(w.values, c)
	} else {
		w.values[c] = list
	}
}

// interest adds g to, or takes it from, the groups that are unsure about a word.
func (w *wordbook) interest(g uint32, word uint64, by int) {
	list := w.interests[cut(word)]
	k := slices.IndexFunc(list, func(i interest) bool { return i.word == word })
	if k < 0 {
		k = len(list)
		list = append(list, interest{word: word, known: w.known(word), told: w.told(word)})
	}
	if by > 0 {
		list[k].groups = append(list[k].groups, g)
	} else {
		list[k].groups = slices.DeleteFunc(list[k].groups, func(x uint32) bool { return x == g })
		if len(list[k].groups) == 0 {
			list = slices.Delete(list, k, k+1)
		}
	}
	if len(list) == 0 {
		delete(w.interests, cut(word))
	} else {
		w.interests[cut(word)] = list
	}
}

// flipped returns the groups that were unsure about a word of which more is known now, or less, and those that mention a word
// that has become, or is no longer, a value wherever else it stands.
func (w *wordbook) flipped(groups *pages[group]) []uint32 {
	seen := map[uint32]struct{}{}
	flips := w.gone
	w.gone = nil
	for c := range w.changed {
		for k := range w.interests[c] {
			in := &w.interests[c][k]
			if now := w.known(in.word); now != in.known {
				in.known = now
				for _, g := range in.groups {
					seen[g] = struct{}{}
				}
			}
		}
		for k := range w.values[c] {
			v := &w.values[c][k]
			if now := w.strong(v.word); now != v.strong {
				v.strong = now
				flips = append(flips, v.word)
			}
		}
	}
	clear(w.changed)
	if len(flips) > 0 {
		for g := range groups.len() {
			grp := groups.at(g)
			if !grp.dirty && slices.ContainsFunc(flips, grp.evidence.mentions) {
				seen[uint32(g)] = struct{}{}
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// diff calls fn for each element of sorted sets that is only in one of them: -1 for the first, +1 for the second.
func diff[T cmp.Ordered](a, b []T, fn func(x T, by int)) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			fn(a[0], -1)
			a = a[1:]
		case len(a) == 0 || b[0] < a[0]:
			fn(b[0], 1)
			b = b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
}
