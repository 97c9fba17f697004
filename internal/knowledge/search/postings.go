package search

import (
	"encoding/binary"
	"math"
)

// blockSize is the number of postings that are decoded together and bounded together.
const blockSize = 128

// postings are the documents that hold a term, in the order of their numbers: a varint of the distance to the one before,
// shifted by one, whose lowest bit says that a term frequency above 1 follows. Positions are apart, since few queries want them.
// A block that is full moves to the store of the segment, in a denser code, so that a list that grows is never copied.
type postings struct {
	data      []byte // of the tail: the postings after the full blocks
	positions []byte // of the tail
	blocks    []block
	tail      bound
	last      uint32 // the last document
	count     uint32 // postings, those of dead documents among them
	dead      deadCount
}

// block is where a full block is, and what its postings are at most worth.
type block struct {
	last uint32 // document
	at   uint32 // in the store: distances less one and frequencies less one, and then positions
	data uint16 // bytes of the first two
	bound
}

// store holds runs of bytes, one after the other, in pieces.
type store struct{ pieces [][]byte }

// pieceSize is how much a piece holds; a longer run is a piece of its own.
const pieceSize = 1 << 16

// put appends a run, which is two parts, and returns where it is.
func (s *store) put(a, b []byte) uint32 {
	last := len(s.pieces) - 1
	if last < 0 || len(s.pieces[last])+len(a)+len(b) > pieceSize {
		s.pieces = append(s.pieces, make([]byte, 0, max(pieceSize, len(a)+len(b))))
		last++
	}
	at := len(s.pieces[last])
	s.pieces[last] = append(append(s.pieces[last], a...), b...)
	return uint32(last*pieceSize + at)
}

// from returns what begins at a place; how long it is, is for the caller to know.
func (s *store) from(at uint32) []byte { return s.pieces[at/pieceSize][at%pieceSize:] }

// bound is the greatest frequency and the least length, as a code, of a block: no posting is worth more than one with both.
type bound struct {
	frequency uint32
	length    uint8
}

func (b *bound) take(frequency uint32, length uint8) {
	if b.frequency == 0 {
		b.length = length
	}
	b.frequency, b.length = max(b.frequency, frequency), min(b.length, length)
}

// occurrence is a term of a document that is being added.
type occurrence struct {
	frequency uint32   // weighted
	positions []uint32 // ascending
}

// add appends the posting of a document, which is greater than all before.
func (p *postings) add(s *store, doc uint32, o occurrence, length uint8) {
	p.data, p.positions = appendPosting(p.data, p.positions, p.before(), doc, o)
	p.took(s, doc, o.frequency, length)
}

// before is the document that the next distance is from: -1 at first.
func (p *postings) before() uint32 {
	if p.count == 0 {
		return math.MaxUint32
	}
	return p.last
}

// appendPosting writes a posting in varints.
func appendPosting(data, positions []byte, before, doc uint32, o occurrence) (d, p []byte) {
	delta := uint64(doc - before)
	if o.frequency > 1 {
		data = binary.AppendUvarint(data, delta<<1|1)
		data = binary.AppendUvarint(data, uint64(o.frequency))
	} else {
		data = binary.AppendUvarint(data, delta<<1)
	}
	at := uint32(0)
	for _, next := range o.positions {
		positions = binary.AppendUvarint(positions, uint64(next-at))
		at = next
	}
	return data, positions
}

// took counts a posting that was written to the tail.
func (p *postings) took(s *store, doc, frequency uint32, length uint8) {
	p.tail.take(frequency, length)
	p.last = doc
	p.count++
	if p.count%blockSize == 0 {
		data, positions := p.dense()
		p.blocks = append(p.blocks, block{doc, s.put(data, positions), uint16(len(data)), p.tail})
		p.data, p.positions, p.tail = p.data[:0], p.positions[:0], bound{}
	}
}

// dense is a full tail in the code of blocks.
func (p *postings) dense() (data, positions []byte) {
	var distances, frequencies [blockSize]uint32
	for i, rest := 0, p.data; i < blockSize; i++ {
		v, n := varint(rest)
		rest = rest[n:]
		if distances[i] = v>>1 - 1; v&1 != 0 {
			v, n = varint(rest)
			rest = rest[n:]
			frequencies[i] = v - 1
		}
	}
	var steps []uint32
	for rest := p.positions; len(rest) > 0; {
		v, n := varint(rest)
		rest = rest[n:]
		steps = append(steps, v)
	}
	data = appendRice(appendRice(nil, distances[:]), frequencies[:])
	if len(steps) > 0 {
		positions = appendRice(nil, steps)
	}
	return data, positions
}

// clip gives back what a list has left over.
func (p *postings) clip() {
	p.data, p.positions, p.blocks = clone(p.data), clone(p.positions), clone(p.blocks)
}

// clone copies a slice to one of its length; nil where there is nothing in it.
func clone[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	out := make([]T, len(s))
	copy(out, s)
	return out
}

// end is the document of a cursor behind its last posting.
const end = math.MaxUint32

// cursor walks along postings, a block at a time.
type cursor struct {
	store       *store
	p           *postings
	block       int // the one that is decoded; len(p.blocks) is the tail
	i, n        int
	docs        [blockSize]uint32
	frequencies [blockSize]uint32 // after counted
	rest        riceReader        // from which they are read when they are first asked for
	uncounted   bool
}

// open sets the cursor before the first posting.
func (c *cursor) open(s *store, p *postings) {
	c.store, c.p = s, p
	c.decode(0)
}

// doc returns the document at the cursor, end when there is none.
func (c *cursor) doc() uint32 {
	if c.i < c.n {
		return c.docs[c.i]
	}
	return end
}

func (c *cursor) frequency() uint32 {
	c.counted()
	return c.frequencies[c.i]
}

// counted makes the frequencies of the block ready.
func (c *cursor) counted() {
	if c.uncounted {
		c.rest.counts(&c.frequencies)
		c.uncounted = false
	}
}

func (c *cursor) next() {
	if c.i++; c.i == c.n && c.block < len(c.p.blocks) {
		c.decode(c.block + 1)
	}
}

// seek moves to the first posting that is not before doc.
func (c *cursor) seek(doc uint32) {
	if c.i >= c.n || c.docs[c.i] >= doc {
		return
	}
	if c.docs[c.n-1] < doc {
		b := c.block
		for b < len(c.p.blocks) && c.p.blocks[b].last < doc {
			b++
		}
		if b == c.block { // the tail ends before it
			c.i = c.n
			return
		}
		c.decode(b)
	}
	for c.i < c.n && c.docs[c.i] < doc {
		c.i++
	}
}

// decode reads block b.
func (c *cursor) decode(b int) {
	p := c.p
	c.block, c.i = b, 0
	doc := uint32(math.MaxUint32) // -1
	if b > 0 {
		doc = p.blocks[b-1].last
	}
	if b < len(p.blocks) {
		c.n = blockSize
		data := c.store.from(p.blocks[b].at)
		r := newRice(data)
		r.ascending(&c.docs, doc)
		c.rest = newRice(data[r.read(len(data)-1)+1:])
		c.uncounted = true
		return
	}
	c.n, c.uncounted = int(p.count%blockSize), false
	data := p.data
	for i := range c.n {
		v := uint32(data[0])
		if v < 0x80 {
			data = data[1:]
		} else {
			var n int
			v, n = varint(data)
			data = data[n:]
		}
		doc += v >> 1
		c.docs[i], c.frequencies[i] = doc, 1
		if v&1 != 0 {
			f, n := varint(data)
			data = data[n:]
			c.frequencies[i] = f
		}
	}
}

func varint(data []byte) (uint32, int) {
	v, n := binary.Uvarint(data)
	return uint32(v), n
}

// positionReader reads the positions of a cursor's postings. How many there are is not stored: they are complete when what they
// count adds up to the frequency.
type positionReader struct {
	list  *postings
	data  []byte     // of the tail
	dense riceReader // of a full block
	block int
	i     int // the posting that comes next
}

// at returns the positions of the posting at the cursor, which moves on between calls. weigh says what a position of a document
// counts.
func (r *positionReader) at(c *cursor, weigh func(doc, position uint32) uint32, into []uint32) []uint32 {
	c.counted()
	if r.list != c.p || r.block != c.block {
		*r = positionReader{list: c.p, data: c.p.positions, block: c.block}
		if c.block < len(c.p.blocks) {
			b := &c.p.blocks[c.block]
			r.dense = newRice(c.store.from(b.at + uint32(b.data)))
		}
	}
	for {
		into = into[:0]
		position := uint32(0)
		for left := c.frequencies[r.i]; left > 0; {
			if c.block < len(c.p.blocks) {
				position += r.dense.next()
			} else {
				v, n := varint(r.data)
				r.data = r.data[n:]
				position += v
			}
			into = append(into, position)
			left -= min(left, weigh(c.docs[r.i], position))
		}
		r.i++
		if r.i > c.i {
			return into
		}
	}
}
