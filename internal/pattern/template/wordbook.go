package template

import (
	"maps"
	"slices"
)

// wordbook knows how words behave over all groups: in how many they are surely values, and in how many constants. A word that is
// a value elsewhere is likely one where a column has too few words to tell.
type wordbook struct {
	values    map[uint64]uint32 // word -> groups where it is in a column of values
	constants []uint32          // word hash, cut -> groups where it is constant; cut hashes only make it more careful
	interests map[uint32][]interest
	changed   map[uint32]struct{} // cut hashes whose counts changed
}

// interest is a word that some groups are unsure about.
type interest struct {
	word   uint64
	known  bool
	groups []uint32
}

// evidence is what a group told the wordbook.
type evidence struct {
	values, constants, unsure []uint64
}

const wordbookBits = 18

func newWordbook() wordbook {
	return wordbook{
		values: map[uint64]uint32{}, constants: make([]uint32, 1<<wordbookBits),
		interests: map[uint32][]interest{}, changed: map[uint32]struct{}{},
	}
}

func cut(word uint64) uint32 { return uint32(word >> (64 - wordbookBits)) }

// known reports whether a word is a value in other templates more than it is a constant.
func (w *wordbook) known(word uint64) bool {
	v := w.values[word]
	return v > 0 && 2*v >= w.constants[cut(word)]
}

// strong reports whether a word is a value in several other templates and hardly ever a constant.
func (w *wordbook) strong(word uint64) bool {
	v := w.values[word]
	return v >= 2 && v > w.constants[cut(word)]
}

// update replaces what group g has told.
func (w *wordbook) update(g uint32, e *evidence, values, constants, unsure map[uint64]struct{}) {
	next := evidence{
		values:    slices.Sorted(maps.Keys(values)),
		constants: slices.Sorted(maps.Keys(constants)),
		unsure:    slices.Sorted(maps.Keys(unsure)),
	}
	diff(e.values, next.values, func(word uint64, by int) {
		if v := uint32(int(w.values[word]) + by); v == 0 {
			delete(w.values, word)
		} else {
			w.values[word] = v
		}
		w.changed[cut(word)] = struct{}{}
	})
	diff(e.constants, next.constants, func(word uint64, by int) {
		w.constants[cut(word)] += uint32(by)
		w.changed[cut(word)] = struct{}{}
	})
	diff(e.unsure, next.unsure, func(word uint64, by int) { w.interest(g, word, by) })
	*e = next
}

// interest adds g to, or takes it from, the groups that are unsure about a word.
func (w *wordbook) interest(g uint32, word uint64, by int) {
	list := w.interests[cut(word)]
	k := slices.IndexFunc(list, func(i interest) bool { return i.word == word })
	if k < 0 {
		k = len(list)
		list = append(list, interest{word: word, known: w.known(word)})
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

// flipped returns the groups that were unsure about a word of which more is known now, or less.
func (w *wordbook) flipped() []uint32 {
	seen := map[uint32]struct{}{}
	for c := range w.changed {
		list := w.interests[c]
		for k := range list {
			if now := w.known(list[k].word); now != list[k].known {
				list[k].known = now
				for _, g := range list[k].groups {
					seen[g] = struct{}{}
				}
			}
		}
	}
	clear(w.changed)
	return slices.Sorted(maps.Keys(seen))
}

// diff calls fn for each element of sorted sets that is only in one of them: -1 for the first, +1 for the second.
func diff(a, b []uint64, fn func(x uint64, by int)) {
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
