package search

import (
	"encoding/binary"
	"math/bits"
)

// Numbers of a block are in Rice's code: the parameter k in a byte, then of each number the part above its k lowest bits, as so many
// zeros and a one, and these bits. k is the one that makes the block smallest.

// appendRice appends the numbers in as few bytes as the code gives.
func appendRice(b []byte, numbers []uint32) []byte {
	best, size := 0, -1
	for k := range 32 {
		n := 0
		for _, v := range numbers {
			n += int(v>>k) + 1 + k
		}
		if size >= 0 && n >= size {
			break // the size has one least value
		}
		best, size = k, n
	}
	b = append(b, byte(best))
	var room uint64
	var n int
	put := func(v uint64, width int) {
		room |= v << n
		for n += width; n >= 8; n -= 8 {
			b = append(b, byte(room))
			room >>= 8
		}
	}
	for _, v := range numbers {
		above := int(v >> best)
		for ; above >= 24; above -= 24 {
			put(0, 24)
		}
		put(1<<above, above+1)
		put(uint64(v)&(1<<best-1), best)
	}
	if n > 0 {
		b = append(b, byte(room))
	}
	return b
}

// riceReader reads numbers from their code.
type riceReader struct {
	rest []byte
	room uint64 // bits that come next, the lowest first
	n    int    // how many there are
	k    int
}

func newRice(b []byte) riceReader { return riceReader{rest: b[1:], k: int(b[0])} }

// fill makes sure of 32 bits, where there are any more.
func (r *riceReader) fill() {
	if len(r.rest) >= 4 {
		r.room |= uint64(binary.LittleEndian.Uint32(r.rest)) << r.n
		r.rest = r.rest[4:]
		r.n += 32
		return
	}
	for _, c := range r.rest {
		r.room |= uint64(c) << r.n
		r.n += 8
	}
	r.rest = nil
	r.n = max(r.n, 32) // zeros, which no number reaches
}

func (r *riceReader) next() uint32 {
	if r.n < 32 {
		r.fill()
	}
	above := 0
	for r.room == 0 {
		above += r.n
		r.n = 0
		r.fill()
	}
	zeros := bits.TrailingZeros64(r.room)
	above += zeros
	r.room >>= zeros + 1
	if r.n -= zeros + 1; r.n < r.k {
		r.fill()
	}
	low := uint32(r.room) & (1<<r.k - 1)
	r.room >>= r.k
	r.n -= r.k
	return uint32(above)<<r.k | low
}

// ascending reads the numbers of a block, each of which is the distance of a document to the one before, less one.
func (r *riceReader) ascending(out *[blockSize]uint32, doc uint32) {
	rest, room, n, k := r.rest, r.room, r.n, r.k&31
	mask := uint64(1)<<k - 1
	for i := range out {
		if n < 48 && len(rest) >= 8 {
			room |= binary.LittleEndian.Uint64(rest) << (n & 63)
			rest = rest[(63-n)>>3:]
			n |= 56
		}
		zeros := bits.TrailingZeros64(room)
		if zeros+1+k > n {
			r.rest, r.room, r.n = rest, low(room, n), n
			doc += r.next() + 1
			out[i] = doc
			rest, room, n = r.rest, r.room, r.n
			continue
		}
		room >>= (zeros + 1) & 63
		doc += uint32(zeros)<<k + uint32(room&mask) + 1
		out[i] = doc
		room >>= k
		n -= zeros + 1 + k
	}
	r.rest, r.room, r.n = rest, low(room, n), n
}

// counts reads the numbers of a block and adds one to each. Most are 0, whose code is a one where k is 0: runs of these are skipped.
func (r *riceReader) counts(out *[blockSize]uint32) {
	for i := range out {
		out[i] = 1
	}
	for i := 0; i < len(out); i++ {
		if r.k == 0 {
			if r.n < 32 {
				r.fill()
			}
			if ones := min(bits.TrailingZeros64(^r.room), r.n, len(out)-i); ones > 0 {
				r.room >>= ones
				r.n -= ones
				i += ones - 1
				continue
			}
		}
		out[i] += r.next()
	}
}

// low are the n lowest bits.
func low(room uint64, n int) uint64 { return room & (1<<n - 1) }

// read is how many of so many bytes were read, up to the end of the number read last. At least 8 bytes must follow it.
func (r *riceReader) read(size int) int { return size - len(r.rest) - r.n/8 }
