package template

import (
	"encoding/binary"
	"math"
)

// pages is a growing array whose snapshots share what has not changed since: a write copies its page first. A snapshot is
// immutable and costs one pointer per page.
type pages[T any] struct {
	pages []*page[T]
	own   []bool // page was made since the last snapshot
	n     int
}

const pageBits = 9

type page[T any] [1 << pageBits]T

func (p *pages[T]) len() int { return p.n }

func (p *pages[T]) at(i int) *T { return &p.pages[i>>pageBits][i&(1<<pageBits-1)] }

// edit returns a place to write to.
func (p *pages[T]) edit(i int) *T {
	k := i >> pageBits
	if !p.own[k] {
		c := *p.pages[k]
		p.pages[k], p.own[k] = &c, true
	}
	return &p.pages[k][i&(1<<pageBits-1)]
}

func (p *pages[T]) grow(n int) {
	for len(p.pages)<<pageBits < n {
		p.pages = append(p.pages, new(page[T]))
		p.own = append(p.own, true)
	}
	p.n = max(p.n, n)
}

func (p *pages[T]) push(v T) int {
	i := p.n
	p.grow(i + 1)
	*p.edit(i) = v
	return i
}

func (p *pages[T]) snapshot() pages[T] {
	clear(p.own)
	return pages[T]{pages: append([]*page[T](nil), p.pages...), n: p.n}
}

// table finds an index by a 64-bit key that is a hash already. Keys are compared by the caller, who holds them.
type table struct {
	slots pages[uint32] // index + 1; 0 is free
	used  int
}

// doubled is the size up to which tables double.
const doubled = 1 << 16

// home is where the search for a key starts. Large tables grow by a quarter, so that few places are free.
func (t *table) home(key uint64) int {
	if n := t.slots.n; n > doubled {
		return int(key >> 7 & math.MaxUint32 * uint64(n) >> 32)
	}
	return int(key >> 7 & uint64(t.slots.n-1))
}

func (t *table) next(h int) int {
	if h++; h == t.slots.n {
		return 0
	}
	return h
}

// find calls same for each index that may have the key until it returns true, and returns that index, or -1.
func (t *table) find(key uint64, same func(i int) bool) int {
	if t.slots.n == 0 {
		return -1
	}
	for h := t.home(key); ; h = t.next(h) {
		v := *t.slots.at(h)
		if v == 0 {
			return -1
		}
		if same(int(v - 1)) {
			return int(v - 1)
		}
	}
}

// all calls fn for each index that may have the key.
func (t *table) all(key uint64, fn func(i int)) {
	t.find(key, func(i int) bool {
		fn(i)
		return false
	})
}

// insert adds an index whose key is not in the table; keyOf gives the keys of those that are, for when the table grows.
func (t *table) insert(key uint64, i int, keyOf func(i int) uint64) {
	if 4*(t.used+1) > 3*t.slots.n {
		old := t.slots
		t.slots = pages[uint32]{}
		by := max(1<<pageBits, old.n)
		if old.n >= doubled {
			by = old.n / 4 &^ (1<<pageBits - 1)
		}
		t.slots.grow(old.n + by)
		for k := range old.n {
			if v := *old.at(k); v != 0 {
				t.place(keyOf(int(v-1)), v)
			}
		}
	}
	t.place(key, uint32(i+1))
	t.used++
}

func (t *table) place(key uint64, v uint32) {
	h := t.home(key)
	for *t.slots.at(h) != 0 {
		h = t.next(h)
	}
	*t.slots.edit(h) = v
}

// remove takes index i out of the table; the entries behind it move up.
func (t *table) remove(key uint64, i int, keyOf func(i int) uint64) {
	h := t.home(key)
	for *t.slots.at(h) != uint32(i+1) {
		if *t.slots.at(h) == 0 {
			return
		}
		h = t.next(h)
	}
	t.used--
	hole := h
	for h = t.next(h); *t.slots.at(h) != 0; h = t.next(h) {
		if t.steps(t.home(keyOf(int(*t.slots.at(h)-1))), h) >= t.steps(hole, h) {
			*t.slots.edit(hole) = *t.slots.at(h)
			hole = h
		}
	}
	*t.slots.edit(hole) = 0
}

// steps is how far it is from one place to another.
func (t *table) steps(from, to int) int {
	if to < from {
		to += t.slots.n
	}
	return to - from
}

func (t *table) snapshot() table { return table{slots: t.slots.snapshot(), used: t.used} }

// arena keeps texts back to back in blocks that are never moved.
type arena struct {
	blocks []*[arenaBlock]byte
	n      int
}

const (
	arenaBits  = 16
	arenaBlock = 1 << arenaBits
)

// add stores a text of at most maxTextLen bytes, behind its length, and returns where it is.
func (a *arena) add(text string) uint32 {
	if a.n&(arenaBlock-1)+2+len(text) > arenaBlock || a.n == 0 && len(a.blocks) == 0 || a.n>>arenaBits >= len(a.blocks) {
		a.n = len(a.blocks) << arenaBits
		a.blocks = append(a.blocks, new([arenaBlock]byte))
	}
	at := a.n
	b := a.blocks[at>>arenaBits][at&(arenaBlock-1):]
	binary.LittleEndian.PutUint16(b, uint16(len(text)))
	copy(b[2:], text)
	a.n += 2 + len(text)
	return uint32(at)
}

// snapshot returns a view of what is stored now.
func (a *arena) snapshot() arena {
	return arena{blocks: a.blocks[:len(a.blocks):len(a.blocks)], n: a.n}
}

func (a *arena) get(at uint32) []byte {
	b := a.blocks[at>>arenaBits][at&(arenaBlock-1):]
	n := 2 + int(binary.LittleEndian.Uint16(b))
	return b[2:n:n]
}
