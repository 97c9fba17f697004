package search

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"
)

// A snapshot is, in varints and runs of bytes with their length before them:
//
//	magic, analysis, embedder, dim, position, number of spaces
//	each space: name, horizon, documents, vectors, terms with their postings in blocks
//	CRC-32C of all of that, 4 bytes
//
// What can be told from the rest is not in it: reading walks through all postings, and so checks them.
const magic = "tartan-search 2\n"

// analysis changes when words become other terms, or lengths are counted in another way: snapshots of before are refused.
const analysis = 1

// ErrSnapshot is wrapped by the errors of snapshots that cannot be read: the index has to be built from the entries.
var ErrSnapshot = errors.New("no snapshot of this index")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteSnapshot writes the index, with the caller's position in what it follows, for Read. Searches go on, changes wait.
func (x *Index) WriteSnapshot(to io.Writer, position int64) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	w := &snapshotWriter{w: bufio.NewWriterSize(to, 1<<16), sum: crc32.New(castagnoli)}
	w.raw([]byte(magic))
	w.uint(analysis)
	w.bytes([]byte(x.embedder()))
	w.uint(uint64(x.dim))
	w.int(position)
	w.uint(uint64(len(x.segments)))
	for _, space := range slices.Sorted(maps.Keys(x.segments)) {
		w.bytes([]byte(space))
		w.segment(x.segments[space])
	}
	sum := w.sum.Sum32()
	w.raw(binary.LittleEndian.AppendUint32(nil, sum))
	if w.err == nil {
		w.err = w.w.Flush()
	}
	if w.err != nil {
		return fmt.Errorf("write a snapshot of the index: %w", w.err)
	}
	return nil
}

func (x *Index) embedder() string {
	if x.static != nil {
		return x.static.Name()
	}
	return x.options.Embedder
}

type snapshotWriter struct {
	w    *bufio.Writer
	sum  hash.Hash32
	err  error
	room []byte
}

func (w *snapshotWriter) raw(b []byte) {
	if w.err != nil {
		return
	}
	_, _ = w.sum.Write(b)
	_, w.err = w.w.Write(b)
}

func (w *snapshotWriter) uint(v uint64) {
	w.room = binary.AppendUvarint(w.room[:0], v)
	w.raw(w.room)
}

func (w *snapshotWriter) int(v int64) {
	w.room = binary.AppendVarint(w.room[:0], v)
	w.raw(w.room)
}

func (w *snapshotWriter) bytes(b []byte) {
	w.uint(uint64(len(b)))
	w.raw(b)
}

func (w *snapshotWriter) segment(s *segment) {
	w.int(s.horizon)
	w.uint(uint64(s.docs.len()))
	for i := range s.docs.len() {
		d := s.docs.get(uint32(i))
		w.bytes([]byte(d.slug))
		w.int(d.revision)
		w.int(d.from)
		w.int(d.to)
		w.uint(uint64(d.body))
		w.uint(uint64(d.tags - d.body))
		w.uint(uint64(d.length))
		w.uint(uint64(d.language))
		if d.valid == nil {
			w.uint(0)
			continue
		}
		w.uint(1)
		w.int(d.valid.from)
		w.int(d.valid.to)
	}
	var row []byte
	for i := range s.docs.len() {
		codes, scale := s.vectors.row(uint32(i))
		row = binary.LittleEndian.AppendUint32(row[:0], math.Float32bits(scale))
		if scale != 0 {
			for _, c := range codes[:s.vectors.dim] {
				row = append(row, byte(c))
			}
		}
		w.raw(row)
	}
	w.uint(uint64(len(s.terms)))
	for _, term := range slices.Sorted(maps.Keys(s.terms)) {
		p := s.terms[term]
		w.bytes([]byte(term))
		w.uint(uint64(p.count))
		w.lists(s, p, term[0] != filterMark)
	}
}

// lists writes the blocks, and then the tail: data and positions of each, in varints.
func (w *snapshotWriter) lists(s *segment, p *postings, positioned bool) {
	var (
		c               cursor
		r               positionReader
		at              []uint32
		data, positions []byte
	)
	c.store, c.p = &s.store, p
	before := uint32(math.MaxUint32) // -1
	for i := range p.blocks {
		data, positions = data[:0], positions[:0]
		for c.decode(i); c.i < c.n; c.i++ {
			if positioned {
				at = r.at(&c, s.weigh, at)
			}
			data, positions = appendPosting(data, positions, before, c.docs[c.i], occurrence{c.frequency(), at})
			before = c.docs[c.i]
		}
		w.bytes(data)
		w.bytes(positions)
	}
	if p.count%blockSize > 0 {
		w.bytes(p.data)
		w.bytes(p.positions)
	}
}

// Read makes an index of a snapshot, and returns the position that was written with it. Errors wrap ErrSnapshot, or are those of
// the reader: the snapshot is of another version or embedder, or is damaged.
func Read(from io.Reader, o Options) (*Index, int64, error) {
	x := New(o)
	r := &snapshotReader{r: bufio.NewReaderSize(from, 1<<16), sum: crc32.New(castagnoli)}
	position := r.index(x)
	if r.err == nil {
		sum := r.sum.Sum32()
		var end [4]byte
		if r.raw(end[:]); r.err == nil && binary.LittleEndian.Uint32(end[:]) != sum {
			r.fail("it is damaged: the checksum differs")
		}
	}
	if r.err != nil {
		return nil, 0, fmt.Errorf("read a snapshot of the index: %w", r.err)
	}
	return x, position, nil
}

type snapshotReader struct {
	r      *bufio.Reader
	sum    hash.Hash32
	err    error
	source error // of the reader below

	data, positions []byte // room for those of a block
}

func (r *snapshotReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrSnapshot, fmt.Sprintf(format, args...))
	}
}

// ended is for errors of reading: an early end and a number without one are damage, errors of the reader are what they are.
func (r *snapshotReader) ended(err error) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.fail("it ends too early")
	case r.source == nil:
		r.fail("it is damaged: %v", err)
	case r.err == nil:
		r.err = r.source
	}
}

func (r *snapshotReader) raw(b []byte) {
	if r.err != nil {
		return
	}
	if _, err := io.ReadFull(r.r, b); err != nil {
		r.source = err
		r.ended(err)
		return
	}
	_, _ = r.sum.Write(b)
}

// ReadByte makes the reader one of varints.
func (r *snapshotReader) ReadByte() (byte, error) {
	c, err := r.r.ReadByte()
	if r.source = err; err == nil {
		_, _ = r.sum.Write([]byte{c})
	}
	return c, err
}

func (r *snapshotReader) uint(most uint64) uint64 {
	if r.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(r)
	if err != nil {
		r.ended(err)
		return 0
	}
	if v > most {
		r.fail("%d where at most %d can be", v, most)
		return 0
	}
	return v
}

func (r *snapshotReader) int() int64 {
	if r.err != nil {
		return 0
	}
	v, err := binary.ReadVarint(r)
	if err != nil {
		r.ended(err)
	}
	return v
}

// bytes reads a run of bytes.
func (r *snapshotReader) bytes(most uint64) []byte { return r.bytesInto(nil, most) }

// bytesInto reads a run of bytes into room, a piece at a time, so that a wrong length takes no more memory than there are bytes.
func (r *snapshotReader) bytesInto(room []byte, most uint64) []byte {
	const piece = 1 << 16
	n := int(r.uint(most))
	room = room[:0]
	for r.err == nil && len(room) < n {
		at := len(room)
		room = append(room, make([]byte, min(n-at, max(piece, at)))...)
		r.raw(room[at:])
	}
	return room
}

// mostBytes bounds a run of bytes.
const mostBytes = 1 << 31

func (r *snapshotReader) index(x *Index) (position int64) {
	head := make([]byte, len(magic))
	if r.raw(head); r.err == nil && string(head) != magic {
		r.fail("it begins with %q", head)
	}
	if v := r.uint(math.MaxUint32); r.err == nil && v != analysis {
		r.fail("its words are of version %d, these are of %d", v, analysis)
	}
	if name := string(r.bytes(mostBytes)); r.err == nil && name != x.embedder() {
		r.fail("its vectors are of %q, these are of %q", name, x.embedder())
	}
	if dim := r.uint(math.MaxUint32); r.err == nil && int(dim) != x.dim {
		r.fail("its vectors have %d components, these have %d", dim, x.dim)
	}
	position = r.int()
	spaces := r.uint(math.MaxUint32)
	for range spaces {
		name := string(r.bytes(mostBytes))
		s := r.segment(x.dim)
		if r.err != nil {
			return 0
		}
		x.segments[name] = s
	}
	return position
}

func (r *snapshotReader) segment(dim int) *segment {
	s := newSegment(dim)
	s.horizon = r.int()
	n := r.uint(end - 1)
	for range n {
		d := document{
			slug: string(r.bytes(mostBytes)), revision: r.int(), from: r.int(), to: r.int(),
			body: uint32(r.uint(math.MaxInt32)), tags: uint32(r.uint(math.MaxInt32)), length: uint32(r.uint(math.MaxInt32)), language: uint8(r.uint(maxLanguages - 1)),
		}
		d.tags += d.body
		if r.uint(1) == 1 {
			d.valid = &validity{r.int(), r.int()}
		}
		if r.err != nil {
			return nil
		}
		s.restore(d)
	}
	row := make([]byte, dim)
	for i := range s.docs.len() {
		r.vector(s, uint32(i), row)
	}
	for range r.uint(math.MaxUint32) {
		term, p := string(r.bytes(mostBytes)), &postings{}
		count := r.uint(n)
		if r.err == nil && (term == "" || count == 0 || s.terms[term] != nil) {
			r.fail("the term %q is damaged", term)
		}
		for r.err == nil && uint64(p.count) < count {
			r.data, r.positions = r.bytesInto(r.data, mostBytes), r.bytesInto(r.positions, mostBytes)
			if r.err == nil && !p.rebuild(s, r.data, r.positions, min(blockSize, uint32(count)-p.count), term[0] != filterMark) {
				r.fail("the postings of %q are damaged", term)
			}
		}
		if r.err != nil {
			return nil
		}
		p.clip()
		s.terms[term] = p
	}
	return s
}

// restore appends a document.
func (s *segment) restore(d document) {
	number := s.docs.add(d)
	s.live.grow(s.docs.len())
	switch d.to {
	case forever:
		s.live.set(number)
		s.heads.add(&s.docs, number)
		s.length += int64(d.length)
		s.spoken[d.language]++
		return
	case 0:
		s.useless++
	}
	s.killed = append(s.killed, number)
}

func (r *snapshotReader) vector(s *segment, doc uint32, row []byte) {
	var bits [4]byte
	r.raw(bits[:])
	codes, scale := s.vectors.extend()
	f := math.Float32frombits(binary.LittleEndian.Uint32(bits[:]))
	if r.err != nil || f == 0 {
		return
	}
	if !(f > 0 && f < 1e15) {
		r.fail("a vector has the scale %v", f)
		return
	}
	r.raw(row)
	for i, c := range row {
		codes[i] = int8(c)
	}
	if *scale = f; s.live.has(doc) {
		s.vectors.addTo(s.vectors.sum, doc, 1)
	}
}

// rebuild appends the postings of a block, or of the tail, and finds everything else out; false if they are not so many.
func (p *postings) rebuild(s *segment, data, positions []byte, count uint32, positioned bool) bool {
	p.data, p.positions = append(p.data, data...), append(p.positions, positions...)
	doc := int64(p.last)
	if p.count == 0 {
		doc = -1
	}
	next := func(from *[]byte) (uint64, bool) {
		v, n := binary.Uvarint(*from)
		if n <= 0 || v > math.MaxUint32 {
			return 0, false
		}
		*from = (*from)[n:]
		return v, true
	}
	for range count {
		v, ok := next(&data)
		if doc += int64(v >> 1); !ok || v>>1 == 0 || doc >= int64(s.docs.len()) {
			return false
		}
		frequency := uint64(1)
		if v&1 != 0 {
			if frequency, ok = next(&data); !ok || frequency < 2 {
				return false
			}
		}
		at := uint64(0)
		for left := uint32(frequency); positioned && left > 0; {
			step, ok := next(&positions)
			if at += step; !ok || at > math.MaxUint32 {
				return false
			}
			left -= min(left, s.weigh(uint32(doc), uint32(at)))
		}
		p.took(&s.store, uint32(doc), uint32(frequency), s.docs.code[doc])
	}
	return len(data) == 0 && len(positions) == 0
}
