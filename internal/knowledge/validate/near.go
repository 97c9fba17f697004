package validate

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"sync"
)

const (
	// MinNear is the least Jaccard that Near is made for: it finds .95 of the texts there, .993 at 0.8 and all but one in
	// 9,000 at 0.9 (1-(1-J³)⁷).
	MinNear = 0.7

	hashes = 64 // of a MinHash signature, of which Near keeps one bit each (Li, König 2010)
	bands  = 7
	rows   = 3
	// mostBits is how many bits of the sketches of two texts may differ. At a Jaccard of 0.8, 6.4 of 64 do, give or take
	// 2.4, so that three in 10,000 are lost.
	mostBits = 15
	maxHeads = 1 << 16
	maxWalk  = 50_000 // entries looked at per band: bounds a query among masses of copies
)

// Near finds texts that may be near duplicates among very many, by MinHash and locality-sensitive hashing in 7 bands of 3.
// It keeps no text, some 110 bytes for a text and the key: the Jaccard similarity of a candidate must be computed of the
// texts, as Validator does. It is safe for concurrent use.
type Near[K comparable] struct {
	mu     sync.RWMutex
	slots  map[K]uint32
	keys   []K
	sketch []uint64        // lowest bits of the signature
	band   [][bands]uint16 // hash of each band
	next   [][bands]uint32 // slot + 1 of the next text in the chain of the band, 0 is the end
	heads  [bands][]uint32 // chains, by the low bits of the band's hash
	free   []uint32
}

// NewNear makes an empty index.
func NewNear[K comparable]() *Near[K] {
	n := &Near[K]{slots: map[K]uint32{}}
	n.resize(64)
	return n
}

// Len is the number of texts.
func (n *Near[K]) Len() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.slots)
}

// Add puts a text in, in place of the one of the same key. A text too short to compare is not kept.
func (n *Near[K]) Add(key K, text string) {
	sketch, band, ok := signature(shingles(text))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.remove(key)
	if !ok {
		return
	}
	if size := len(n.heads[0]); len(n.slots) >= 2*size && size < maxHeads {
		n.resize(2 * size)
	}
	var slot uint32
	if last := len(n.free) - 1; last >= 0 {
		slot, n.free = n.free[last], n.free[:last]
		n.keys[slot], n.sketch[slot], n.band[slot] = key, sketch, band
	} else {
		slot = uint32(len(n.keys))
		n.keys, n.sketch, n.band, n.next = append(n.keys, key), append(n.sketch, sketch), append(n.band, band), append(n.next, [bands]uint32{})
	}
	n.slots[key] = slot
	n.chain(slot)
}

// Remove takes a text out; it is no error if it is not there.
func (n *Near[K]) Remove(key K) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.remove(key)
}

// Query returns the keys of at most limit texts that may be near duplicates of this one, the likeliest first.
func (n *Near[K]) Query(text string, limit int) []K {
	return n.query(shingles(text), limit)
}

func (n *Near[K]) query(set []uint64, limit int) []K {
	sketch, band, ok := signature(set)
	if !ok {
		return nil
	}
	type candidate struct {
		slot   uint32
		differ int
	}
	var found []candidate
	n.mu.RLock()
	defer n.mu.RUnlock()
	for b := range bands {
		slot := n.heads[b][int(band[b])&(len(n.heads[b])-1)]
		for walk := 0; slot != 0 && walk < maxWalk; walk++ {
			if s := slot - 1; n.band[s][b] == band[b] {
				if d := bits.OnesCount64(n.sketch[s] ^ sketch); d <= mostBits {
					found = append(found, candidate{s, d})
				}
			}
			slot = n.next[slot-1][b]
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.differ, b.differ), cmp.Compare(a.slot, b.slot))
	})
	found = slices.Compact(found)
	out := make([]K, 0, min(limit, len(found)))
	for _, c := range found[:cap(out)] {
		out = append(out, n.keys[c.slot])
	}
	return out
}

func (n *Near[K]) chain(slot uint32) {
	for b := range bands {
		head := &n.heads[b][int(n.band[slot][b])&(len(n.heads[b])-1)]
		n.next[slot][b], *head = *head, slot+1
	}
}

func (n *Near[K]) remove(key K) {
	slot, ok := n.slots[key]
	if !ok {
		return
	}
	for b := range bands {
		at := &n.heads[b][int(n.band[slot][b])&(len(n.heads[b])-1)]
		for *at != slot+1 {
			at = &n.next[*at-1][b]
		}
		*at = n.next[slot][b]
	}
	delete(n.slots, key)
	n.keys[slot] = *new(K)
	n.free = append(n.free, slot)
}

func (n *Near[K]) resize(size int) {
	for b := range bands {
		n.heads[b] = make([]uint32, size)
	}
	for _, slot := range slices.Sorted(maps.Values(n.slots)) {
		n.chain(slot)
	}
}

// multipliers make the permutations of the signature out of one hash of a shingle.
var multipliers = func() (m [hashes]uint64) {
	for i := range m {
		m[i] = mix(uint64(i)) | 1
	}
	return m
}()

// signature is the MinHash of a set of shingles: one bit of each minimum, and the hash of each band; false where there
// are too few shingles.
func signature(set []uint64) (sketch uint64, band [bands]uint16, ok bool) {
	if len(set) < minShingles {
		return 0, band, false
	}
	var least [hashes]uint64
	for i := range least {
		least[i] = ^uint64(0)
	}
	for _, h := range set {
		for i, m := range multipliers {
			least[i] = min(least[i], h*m)
		}
	}
	for i := range least {
		sketch |= mix(least[i]) & 1 << i
	}
	for b := range bands {
		h := uint64(b)
		for r := range rows {
			h = mix(h ^ least[b*rows+r])
		}
		band[b] = uint16(h)
	}
	return sketch, band, true
}
