package lines

import (
	"bytes"
	"errors"
	"io"
)

// Blocks cuts a stream into blocks of whole lines, so that several goroutines can each read blocks of their own:
//
//	blocks := NewBlocks(r, max)
//	for { block, ok := blocks.Next(buf) }      one goroutine
//	lines := NewBlockReader(max)               each of the others
//	lines.Reset(block)
//	for { line, ok := lines.Next() }
//
// The lines of all blocks are those of one Reader. It is not safe for concurrent use.
type Blocks struct {
	r    io.Reader
	max  int
	rest []byte // read, but behind the last block
	eof  bool
	err  error
}

// NewBlocks returns the Blocks of r; lines longer than maxLine bytes (DefaultMaxLine if 0 or less) need not be whole in them.
func NewBlocks(r io.Reader, maxLine int) *Blocks {
	if maxLine <= 0 {
		maxLine = DefaultMaxLine
	}
	return &Blocks{r: r, max: maxLine}
}

// Next fills buf with whole lines and returns them, and false at the end of the stream or after an error. Every call must have a buf of the
// same length, which is more than two lines of the greatest length and than 8 KiB.
func (b *Blocks) Next(buf []byte) (block []byte, ok bool) {
	n := copy(buf, b.rest)
	b.rest = b.rest[:0]
	n += b.fill(buf[n:])
	if b.eof {
		return buf[:n], n > 0
	}
	if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
		b.rest = append(b.rest, buf[i+1:n]...)
		return buf[:i+1], true
	}
	b.skip()
	return buf[:b.max+2], true // so much that the reader of the block sees that the line is too long
}

// fill reads until p is full or the stream ends.
func (b *Blocks) fill(p []byte) (n int) {
	if b.eof {
		return 0
	}
	n, err := io.ReadFull(b.r, p)
	if err != nil {
		b.eof = true
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			b.err = err
		}
	}
	return n
}

// skip drops the rest of a line.
func (b *Blocks) skip() {
	var p [4 << 10]byte
	for !b.eof {
		n := b.fill(p[:])
		if i := bytes.IndexByte(p[:n], '\n'); i >= 0 {
			b.rest = append(b.rest, p[i+1:n]...)
			return
		}
	}
}

// Err returns the error that ended the stream, and nil for its regular end. What was read before it is returned by Next first.
func (b *Blocks) Err() error { return b.err }

// NewBlockReader returns a Reader that has nothing to read until Reset.
func NewBlockReader(maxLine int) *Reader {
	if maxLine <= 0 {
		maxLine = DefaultMaxLine
	}
	return &Reader{max: maxLine, eof: true}
}

// Reset lets a Reader of NewBlockReader read the lines of a block, in place. Offsets are those in the block.
func (r *Reader) Reset(block []byte) {
	r.buf, r.from, r.to, r.base, r.offset, r.truncated = block, 0, len(block), 0, 0, false
}
