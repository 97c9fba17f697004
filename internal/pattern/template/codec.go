package template

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/tartan-ai/tartan/internal/pattern/values"
)

// A tally is stored as a magic word with its version, the number of entries, the entries, and a checksum of all before it.
// Numbers are varints; those that may be negative are zig-zag, and times are relative to an earlier one.

const tallyMagic = "TTLY2"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrTally is returned by ReadTally for bytes that are not a whole tally.
var ErrTally = errors.New("not a whole tally")

// MarshalBinary encodes the tally. Equal tallies have equal encodings.
func (t *Tally) MarshalBinary() ([]byte, error) {
	counted := t.Counted()
	b := append([]byte(nil), tallyMagic...)
	b = binary.AppendUvarint(b, uint64(len(counted)))
	for i := range counted {
		c := &counted[i]
		b = binary.LittleEndian.AppendUint64(b, uint64(c.ID))
		b = appendString(b, c.Text)
		b = binary.AppendUvarint(b, uint64(c.Lines))
		b = binary.AppendVarint(b, c.First)
		b = binary.AppendVarint(b, c.Last-c.First)
		b = binary.AppendVarint(b, c.ExampleAt-c.First)
		b = appendString(b, c.Example)
		b = binary.AppendUvarint(b, uint64(len(c.Buckets)))
		last := int64(0)
		for _, x := range c.Buckets {
			b = binary.AppendVarint(b, x.Start-last)
			b = binary.AppendUvarint(b, uint64(x.Lines))
			last = x.Start
		}
		b = values.AppendPeriods(b, c.Values)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ReadTally decodes what MarshalBinary wrote. It returns ErrTally if the bytes are cut, changed or of another version.
func ReadTally(b []byte) ([]Counted, error) {
	n := len(b) - 4
	if n < len(tallyMagic) || string(b[:len(tallyMagic)]) != tallyMagic {
		return nil, fmt.Errorf("read tally: %w: unknown beginning", ErrTally)
	}
	if crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, fmt.Errorf("read tally: %w: wrong checksum", ErrTally)
	}
	d := decoder{b: b[len(tallyMagic):n]}
	count := d.count(8)
	out := make([]Counted, 0, count)
	for range count {
		var c Counted
		c.ID = ShapeID(d.fixed())
		c.Text = d.string()
		c.Lines = int64(d.uvarint())
		c.First = d.varint()
		c.Last = c.First + d.varint()
		c.ExampleAt = c.First + d.varint()
		c.Example = d.string()
		c.Buckets = make([]Bucket, d.count(2))
		last := int64(0)
		for i := range c.Buckets {
			last += d.varint()
			c.Buckets[i] = Bucket{Start: last, Lines: int64(d.uvarint())}
		}
		if !d.bad {
			c.Values = d.periods()
		}
		if d.bad {
			break
		}
		out = append(out, c)
	}
	if d.bad || len(d.b) > 0 {
		return nil, fmt.Errorf("read tally: %w: wrong length", ErrTally)
	}
	return out, nil
}

func (d *decoder) periods() []values.Period {
	periods, rest, err := values.ReadPeriods(d.b)
	if err != nil {
		d.bad, d.b = true, nil
		return nil
	}
	d.b = rest
	return periods
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) fixed() uint64 {
	if len(d.b) < 8 {
		d.bad, d.b = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

// count reads a number of things of at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.count(1)
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}
