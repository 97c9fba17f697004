package values

import (
	"cmp"
	"slices"
)

// MaxTop and MaxTopText bound the values that a stored summary keeps; one in memory keeps up to maxLive.
const (
	MaxTop     = 32
	MaxTopText = 512
	maxLive    = 96
	linear     = 8 // entries that are looked through without a table
)

// top counts the values that are most frequent: Space-Saving in batches, with an error per value.
//
// While there is room, every value is counted. When there is none, those that may have fewest lines are dropped down to MaxTop, and floor
// is the most that a dropped one may have had. A value that comes (again) after that may have missed floor lines:
//
//	count <= lines of the value <= count + miss       lines of a value that is not here <= floor <= all lines / MaxTop
//
// The bound on floor holds because the MaxTop greatest values of count + miss sum up to at most all lines: a newcomer's miss is never more
// than what the value that it displaces had. It survives merging, where a value that one side does not have may have missed the
// floor of that side. Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data streams, ICDT 2005;
// Agarwal and others: Mergeable summaries, PODS 2012. Where MaxTopText lets fewer than MaxTop values be stored, the bound is by their number.
//
// Values are told apart by 64 bits of hash.
type top struct {
	floor   int64
	entries []topEntry
	slots   []uint32 // open addressing by hash: 16 bits of it, and the place in entries + 1; empty up to linear entries
	text    []byte   // of all entries
}

type topEntry struct {
	hash        uint64
	count, miss int64
	from        uint32 // in text
	length      uint8
	cut         bool // the value is longer
}

func (e *topEntry) most() int64 { return e.count + e.miss }

func (t *top) value(e *topEntry) []byte { return t.text[e.from : e.from+uint32(e.length)] }

func (t *top) find(h uint64) *topEntry {
	if len(t.slots) == 0 {
		for i := range t.entries {
			if t.entries[i].hash == h {
				return &t.entries[i]
			}
		}
		return nil
	}
	// The bits of the hash in the table spare most looks at entries, which are not in the cache.
	mask, tag := uint64(len(t.slots)-1), uint32(h>>48)
	for i := h & mask; t.slots[i] != 0; i = (i + 1) & mask {
		if t.slots[i]>>16 != tag {
			continue
		}
		if e := &t.entries[t.slots[i]&0xffff-1]; e.hash == h {
			return e
		}
	}
	return nil
}

// insert adds a value that is not there.
func (t *top) insert(h uint64, value []byte, n int64) {
	if len(t.entries) >= maxLive {
		t.drop(MaxTop)
	}
	t.put(topEntry{hash: h, count: n, miss: t.floor, cut: len(value) > MaxValue}, value[:min(len(value), MaxValue)])
}

func (t *top) put(e topEntry, value []byte) {
	e.from, e.length = uint32(len(t.text)), uint8(len(value))
	t.text = append(t.text, value...)
	t.entries = append(t.entries, e)
	switch n := len(t.entries); {
	case n <= linear:
	case 2*n > len(t.slots):
		t.index(4 * n)
	default:
		t.place(n - 1)
	}
}

// index makes the table anew, with room for at least n places.
func (t *top) index(n int) {
	size := 32
	for size < n {
		size *= 2
	}
	if size <= cap(t.slots) {
		t.slots = t.slots[:size]
		clear(t.slots)
	} else {
		t.slots = make([]uint32, size)
	}
	for i := range t.entries {
		t.place(i)
	}
}

func (t *top) place(k int) {
	mask := uint64(len(t.slots) - 1)
	h := t.entries[k].hash
	i := h & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = uint32(h>>48)<<16 | uint32(k+1)
}

// drop keeps at most n values: those that may have more lines than any other. Of several at the limit none is kept, so that the order of
// arrival decides nothing.
func (t *top) drop(n int) {
	if len(t.entries) <= n {
		return
	}
	// Where few values came more than once since the last time, nothing need be sorted.
	least, above := t.floor+1, 0
	for i := range t.entries {
		if t.entries[i].most() > least {
			above++
		}
	}
	if above <= n {
		t.dropTo(least)
		return
	}
	var room [2 * maxLive]int64
	most := room[:0]
	for i := range t.entries {
		most = append(most, t.entries[i].most())
	}
	slices.Sort(most)
	t.dropTo(most[len(most)-1-n])
}

// dropTo drops the values that may have at most so many lines.
func (t *top) dropTo(most int64) {
	t.floor = max(t.floor, most)
	kept, text := t.entries[:0], t.text[:0] // in place: entries stand in the order of their text
	for _, e := range t.entries {
		if e.most() <= most {
			continue
		}
		from := uint32(len(text))
		text = append(text, t.text[e.from:e.from+uint32(e.length)]...)
		e.from = from
		kept = append(kept, e)
	}
	t.entries, t.text = kept, text
	if len(kept) > linear {
		t.index(4 * len(kept))
	} else {
		t.slots = t.slots[:0]
	}
}

func (t *top) merge(o *top) {
	here := t.floor
	for i := range t.entries {
		if o.find(t.entries[i].hash) == nil {
			t.entries[i].miss += o.floor
		}
	}
	for i := range o.entries {
		x := &o.entries[i]
		if e := t.find(x.hash); e != nil {
			e.count += x.count
			e.miss += x.miss
			continue
		}
		t.put(topEntry{hash: x.hash, count: x.count, miss: x.miss + here, cut: x.cut}, o.value(x))
	}
	t.floor = here + o.floor
	if len(t.entries) > maxLive {
		t.drop(MaxTop)
	}
}

// trim makes the entries fit for storing.
func (t *top) trim() {
	t.drop(MaxTop)
	if len(t.text) <= MaxTopText {
		return
	}
	order := t.sorted()
	size := 0
	for _, i := range order {
		e := &t.entries[i]
		if size += int(e.length); size > MaxTopText {
			t.dropTo(e.most())
			return
		}
	}
}

// sorted returns the places of the entries, the most frequent first; ties by text, then hash.
func (t *top) sorted() []int {
	order := make([]int, len(t.entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &t.entries[i], &t.entries[j]
		return cmp.Or(cmp.Compare(b.most(), a.most()), cmp.Compare(b.count, a.count), slices.Compare(t.value(a), t.value(b)), cmp.Compare(a.hash, b.hash))
	})
	return order
}

// Frequent is one of the most frequent values. Its lines are at least Count and at most Count + Miss.
type Frequent struct {
	Value       string
	Cut         bool // the value is longer than shown
	Count, Miss int64
}

// Top returns up to n of the most frequent values, the first with the most lines, and missed: the most lines that a value may have that is not
// among all that are kept. 0 says that all values are kept, with exact counts. A value of which more may be missed than was counted is
// left out: it says nothing.
func (s *Summary) Top(n int) (most []Frequent, missed int64) {
	for _, i := range s.top.sorted() {
		e := &s.top.entries[i]
		if len(most) < n && e.count > e.miss {
			most = append(most, Frequent{Value: string(s.top.value(e)), Cut: e.cut, Count: e.count, Miss: e.miss})
		}
	}
	return most, s.top.floor
}

// Missed is what Top returns of it.
func (s *Summary) Missed() int64 { return s.top.floor }
