package values

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// A summary is stored as varints: flags, count, first and last value, top values, sketch, numbers. Times are relative to a base that the
// reader knows. Equal summaries have equal encodings, because entries, hashes and bins are sorted.

// ErrCorrupt is returned by the readers of this package for bytes that they did not write.
var ErrCorrupt = errors.New("not a summary of values")

const (
	flagSparse  = 1 << iota // the hashes of the sketch follow
	flagDense               // the registers of the sketch follow
	flagMoments             // first and last value follow
	// Without the first two, the hashes of the sketch are those of the top values, which then are all there are.
)

// flagFraction is set in the level of numbers that are not all whole.
const flagFraction = 0x80

// Append encodes the summary. It first drops what a stored one does not keep of its top values, so it changes what Top returns. base is in
// Unix nanoseconds.
func (s *Summary) Append(b []byte, base int64) []byte {
	s.top.trim()
	var flags byte
	if s.first.set {
		flags |= flagMoments
	}
	if s.distinct.dense != nil {
		flags |= flagDense
	} else if !s.derived() {
		flags |= flagSparse
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(s.count))
	if s.first.set {
		b = s.first.append(b, base)
		b = s.last.append(b, base)
	}
	b = s.top.append(b)
	switch {
	case flags&flagDense != 0:
		b = s.distinct.appendDense(b)
	case flags&flagSparse != 0:
		b = s.distinct.appendSparse(b)
	}
	return s.appendNumbers(b)
}

// derived reports whether the sketch holds the hashes of the top values and no others.
func (s *Summary) derived() bool {
	if len(s.distinct.sparse) != len(s.top.entries) {
		return false
	}
	for i := range s.top.entries {
		if _, ok := slices.BinarySearch(s.distinct.sparse, uint32(s.top.entries[i].hash>>32)); !ok {
			return false
		}
	}
	return true
}

func (m *moment) append(b []byte, base int64) []byte {
	b = binary.AppendVarint(b, m.at-base)
	return append(append(b, byte(len(m.value))), m.value...)
}

func (t *top) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(t.floor))
	b = append(b, byte(len(t.entries)))
	order := make([]int, len(t.entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		x, y := &t.entries[i], &t.entries[j]
		return cmp.Or(slices.Compare(t.value(x), t.value(y)), cmp.Compare(x.hash, y.hash))
	})
	for _, i := range order {
		e := &t.entries[i]
		length := e.length
		if e.cut {
			length |= 0x80
		}
		b = append(append(b, length), t.value(e)...)
		if e.cut {
			b = binary.LittleEndian.AppendUint64(b, e.hash)
		}
		b = binary.AppendUvarint(b, uint64(e.count))
		if t.floor > 0 {
			b = binary.AppendUvarint(b, uint64(e.miss))
		}
	}
	return b
}

func (s *sketch) appendSparse(b []byte) []byte {
	b = append(b, byte(len(s.sparse)))
	last := uint32(0)
	for _, h := range s.sparse {
		b = binary.AppendUvarint(b, uint64(h-last))
		last = h
	}
	return b
}

// appendDense writes four bits a register above the least one, and those that need more after.
func (s *sketch) appendDense(b []byte) []byte {
	least := slices.Min(s.dense[:])
	b = append(b, least)
	var over []byte
	high := 0
	for i := 0; i < registers; i += 2 {
		var pair byte
		for k := range 2 {
			r := s.dense[i+k] - least
			if r >= 15 {
				over = binary.AppendUvarint(over, uint64(i+k))
				over = append(over, r)
				high++
				r = 15
			}
			pair |= r << (4 * k)
		}
		b = append(b, pair)
	}
	return append(binary.AppendUvarint(b, uint64(high)), over...)
}

func (s *Summary) appendNumbers(b []byte) []byte {
	at := len(b)
	b = append(b, 0)
	for u, n := range s.numbers {
		if n == nil || n.count == 0 {
			continue
		}
		b[at] |= 1 << u
		b = binary.AppendUvarint(b, uint64(n.count))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(n.min))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(n.max))
		b = binary.AppendVarint(b, n.sum.high)
		b = binary.LittleEndian.AppendUint64(b, n.sum.low)
		level := n.level
		if n.fraction {
			level |= flagFraction
		}
		b = append(b, level)
		bins := n.sorted()
		b = append(b, byte(len(bins)))
		last := int32(0)
		for _, x := range bins {
			b = binary.AppendVarint(b, int64(x.key-last))
			b = binary.AppendUvarint(b, uint64(x.count))
			last = x.key
		}
	}
	return b
}

// Read decodes a summary that Append wrote with the same base and returns the bytes behind it. It returns ErrCorrupt for anything else.
func Read(b []byte, base int64) (s *Summary, rest []byte, err error) {
	d := decoder{b: b}
	s = &Summary{}
	flags := d.byte()
	s.count = d.count63()
	if flags&flagMoments != 0 {
		s.first, s.last = d.moment(base), d.moment(base)
	}
	d.top(&s.top)
	switch {
	case flags&flagDense != 0:
		d.dense(&s.distinct)
	case flags&flagSparse != 0:
		d.sparse(&s.distinct)
	default:
		for i := range s.top.entries {
			s.distinct.add(uint32(s.top.entries[i].hash >> 32))
		}
	}
	d.numbers(s)
	if d.bad {
		return nil, nil, ErrCorrupt
	}
	return s, d.b, nil
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail()
		return nil
	}
	c := d.b[:n]
	d.b = d.b[n:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count63 reads a number that is not negative as an int64.
func (d *decoder) count63() int64 {
	v := d.uvarint()
	if v > math.MaxInt64 {
		d.fail()
		return 0
	}
	return int64(v)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) fixed() uint64 {
	b := d.bytes(8)
	if d.bad {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (d *decoder) moment(base int64) (m moment) {
	m.at, m.set = base+d.varint(), true
	n := int(d.byte())
	if n > MaxValue {
		d.fail()
		return m
	}
	m.value = append([]byte(nil), d.bytes(n)...)
	return m
}

func (d *decoder) top(t *top) {
	t.floor = d.count63()
	n := int(d.byte())
	if n > MaxTop {
		d.fail()
	}
	for range n {
		length := d.byte()
		e := topEntry{cut: length&0x80 != 0}
		if length &= 0x7f; length > MaxValue || e.cut && length != MaxValue {
			d.fail()
		}
		value := d.bytes(int(length))
		if e.cut {
			e.hash = d.fixed()
		} else {
			e.hash = hash(value)
		}
		e.count = d.count63()
		if t.floor > 0 {
			e.miss = d.count63()
		}
		if d.bad || t.find(e.hash) != nil {
			d.fail()
			return
		}
		t.put(e, value)
	}
}

func (d *decoder) sparse(s *sketch) {
	n := int(d.byte())
	if n > maxSparse {
		d.fail()
		return
	}
	last := uint64(0)
	for i := range n {
		delta := d.uvarint()
		if last += delta; d.bad || delta > math.MaxUint32 || last > math.MaxUint32 || i > 0 && delta == 0 {
			d.fail()
			return
		}
		s.sparse = append(s.sparse, uint32(last))
	}
}

func (d *decoder) dense(s *sketch) {
	least := d.byte()
	pairs := d.bytes(registers / 2)
	high := d.uvarint()
	if d.bad || least > maxRank || high > registers {
		d.fail()
		return
	}
	s.dense = new([registers]uint8)
	for i := range s.dense {
		s.dense[i] = least + pairs[i/2]>>(4*(i%2))&15
	}
	for range high {
		i, r := d.uvarint(), d.byte()
		if d.bad || i >= registers || r < 15 || r > maxRank {
			d.fail()
			return
		}
		s.dense[i] = least + r
	}
	if slices.Max(s.dense[:]) > maxRank {
		d.fail()
	}
}

func (d *decoder) numbers(s *Summary) {
	present := d.byte()
	if present>>units != 0 {
		d.fail()
	}
	for u := range units {
		if d.bad || present&(1<<u) == 0 {
			continue
		}
		n := &Numbers{count: d.count63(), min: math.Float64frombits(d.fixed()), max: math.Float64frombits(d.fixed())}
		n.sum.high, n.sum.low = d.varint(), d.fixed()
		level := d.byte()
		n.level, n.fraction = level&^flagFraction, level&flagFraction != 0
		bins := int(d.byte())
		if bins > maxBins || n.level > 16 || !(n.min <= n.max) || math.IsInf(n.min, 0) || math.IsInf(n.max, 0) || n.count == 0 {
			d.fail()
			return
		}
		last, left := int64(0), n.count
		for i := range bins {
			delta, count := d.varint(), d.count63()
			if last += delta; d.bad || i > 0 && delta <= 0 || last > math.MaxUint16 || last < -math.MaxUint16 || count == 0 || count > left {
				d.fail()
				return
			}
			left -= count
			n.addBin(int32(last), count)
		}
		if left != 0 {
			d.fail()
			return
		}
		s.numbers[u] = n
	}
}
