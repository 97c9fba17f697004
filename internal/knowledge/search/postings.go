package search

import (
	"encoding/binary"
	"math"
	"slices"
)

// blockSize is the number of postings that are decoded together and bounded together.
const blockSize = 128

// postings are the documents that hold a term, in the order of their numbers: a varint of the distance to the one before,
// shifted by one, whose lowest bit says that a term frequency above 1 follows. Positions are apart, since few queries want them.
type postings struct {
	data      []byte
	positions []byte
	blocks    []block // of the full blocks
	tail      bound   // of the postings after them
	last      uint32  // the last document
	count     uint32  // postings, those of dead documents among them
	dead      deadCount
}

// block is where a full block ends, and what its postings are at most worth.
type block struct {
	last           uint32 // document
	data, position uint32 // offsets after it
	bound
}

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
func (p *postings) add(doc uint32, o occurrence, length uint8) {
	delta := uint64(doc - p.last)
	if p.count == 0 {
		delta = uint64(doc) + 1 // so that the first is no special case: the one before it is -1
	}
	p.data = reserve(p.data, 2*binary.MaxVarintLen32)
	if o.frequency > 1 {
		p.data = binary.AppendUvarint(p.data, delta<<1|1)
		p.data = binary.AppendUvarint(p.data, uint64(o.frequency))
	} else {
		p.data = binary.AppendUvarint(p.data, delta<<1)
	}
	p.positions = reserve(p.positions, binary.MaxVarintLen32*len(o.positions))
	before := uint32(0)
	for _, at := range o.positions {
		p.positions = binary.AppendUvarint(p.positions, uint64(at-before))
		before = at
	}
	p.tail.take(o.frequency, length)
	p.last = doc
	p.count++
	if p.count%blockSize == 0 {
		p.blocks = append(p.blocks, block{doc, uint32(len(p.data)), uint32(len(p.positions)), p.tail})
		p.tail = bound{}
	}
}

// reserve makes room by an eighth at a time: append alone would leave up to half of a long list unused.
func reserve(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	if len(b) < 64 {
		return b // append's own steps are small there
	}
	return slices.Grow(b, max(n, len(b)/8))
}

// end is the document of a cursor behind its last posting.
const end = math.MaxUint32

// cursor walks along postings, a block at a time.
type cursor struct {
	p           *postings
	block       int // the one that is decoded; len(p.blocks) is the tail
	i, n        int
	docs        [blockSize]uint32
	frequencies [blockSize]uint32
}

// open sets the cursor before the first posting.
func (c *cursor) open(p *postings) {
	c.p = p
	c.decode(0)
}

// doc returns the document at the cursor, end when there is none.
func (c *cursor) doc() uint32 {
	if c.i < c.n {
		return c.docs[c.i]
	}
	return end
}

func (c *cursor) frequency() uint32 { return c.frequencies[c.i] }

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
	from, doc := uint32(0), uint32(math.MaxUint32) // -1
	if b > 0 {
		from, doc = p.blocks[b-1].data, p.blocks[b-1].last
	}
	c.n = blockSize
	if b == len(p.blocks) {
		c.n = int(p.count % blockSize)
	}
	data := p.data[from:]
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
	data  []byte
	block int
	i     int // the posting that comes next
}

// at returns the positions of the posting at the cursor, which moves on between calls. weigh says what a position of a document
// counts.
func (r *positionReader) at(c *cursor, weigh func(doc, position uint32) uint32, into []uint32) []uint32 {
	if r.data == nil || r.block != c.block {
		from := uint32(0)
		if c.block > 0 {
			from = c.p.blocks[c.block-1].position
		}
		r.data, r.block, r.i = c.p.positions[from:], c.block, 0
	}
	for {
		into = into[:0]
		position := uint32(0)
		for left := c.frequencies[r.i]; left > 0; {
			v, n := varint(r.data)
			r.data = r.data[n:]
			position += v
			into = append(into, position)
			left -= min(left, weigh(c.docs[r.i], position))
		}
		r.i++
		if r.i > c.i {
			return into
		}
	}
}
