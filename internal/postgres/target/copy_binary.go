package target

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// cutter cuts what COPY sends into rows and the rows into batches. The last fields of a row may be there for its key alone; they are cut off.
type cutter struct {
	binary bool
	width  int   // fields that are copied
	keys   []int // fields of the key
	rows   int   // of a batch
	emit   func(*batch) error

	b      *batch
	begun  bool // the header of the binary format was read
	rest   []byte
	fields [][]byte // of the row that is being read; nil is null
	before []byte   // key of the row before
}

var errEnd = errors.New("end of the data")

// Write takes what COPY sends in pieces of any size.
func (c *cutter) Write(p []byte) (int, error) {
	data := p
	if len(c.rest) > 0 {
		c.rest = append(c.rest, p...)
		data = c.rest
	}
	if c.binary && !c.begun {
		if len(data) < len(binaryStart) {
			c.rest = append(c.rest[:0:0], data...)
			return len(p), nil
		}
		if !bytes.Equal(data[:len(binaryStart)], binaryStart) {
			return 0, errors.New("the source sends a binary format that is not known")
		}
		data, c.begun = data[len(binaryStart):], true
	}
	for len(data) > 0 {
		var n int
		var err error
		if c.binary {
			n, err = c.tuple(data)
		} else {
			n = c.line(data)
		}
		if errors.Is(err, errEnd) {
			data = nil
			break
		}
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		if err := c.take(data[:n]); err != nil {
			return 0, err
		}
		data = data[n:]
	}
	c.rest = append(c.rest[:0:0], data...)
	return len(p), nil
}

// tuple splits the first row of data and returns its length, 0 where it is not whole.
func (c *cutter) tuple(data []byte) (int, error) {
	if len(data) < 2 {
		return 0, nil
	}
	count := int(int16(binary.BigEndian.Uint16(data)))
	if count < 0 {
		return 0, errEnd
	}
	at := 2
	c.fields = c.fields[:0]
	for range count {
		if len(data) < at+4 {
			return 0, nil
		}
		size := int(int32(binary.BigEndian.Uint32(data[at:])))
		at += 4
		if size < 0 {
			c.fields = append(c.fields, nil)
			continue
		}
		if len(data) < at+size {
			return 0, nil
		}
		c.fields = append(c.fields, data[at:at+size:at+size])
		at += size
	}
	return at, nil
}

// line splits the first line of COPY's text format. The fields stay escaped.
func (c *cutter) line(data []byte) int {
	n := bytes.IndexByte(data, '\n') + 1
	if n == 0 {
		return 0
	}
	c.fields = splitText(c.fields[:0], data[:n-1])
	return n
}

func splitText(fields [][]byte, line []byte) [][]byte {
	for more := true; more; {
		var field []byte
		field, line, more = bytes.Cut(line, []byte{'\t'})
		if string(field) == `\N` {
			field = nil
		} else if field == nil {
			field = []byte{}
		}
		fields = append(fields, field)
	}
	return fields
}

// take puts a row into the batch.
func (c *cutter) take(row []byte) error {
	b := c.b
	switch {
	case len(c.fields) == c.width:
		b.data = append(b.data, row...)
	case len(c.fields) < c.width:
		return fmt.Errorf("the source sends %d columns instead of %d", len(c.fields), c.width)
	case c.binary:
		b.data = binary.BigEndian.AppendUint16(b.data, uint16(c.width))
		for _, f := range c.fields[:c.width] {
			b.data = appendField(b.data, f)
		}
	default:
		length := c.width - 1
		for _, f := range c.fields[:c.width] {
			length += max(len(f), 0)
			if f == nil {
				length += 2
			}
		}
		b.data = append(append(b.data, row[:length]...), '\n')
	}
	b.ends = append(b.ends, len(b.data))
	from := len(b.aux)
	for _, k := range c.keys {
		if c.fields[k] == nil {
			return errors.New("the key of a row is null: name a key that never is, with key=")
		}
		b.aux = appendField(b.aux, c.fields[k])
	}
	b.places = append(b.places, place{from: from, to: len(b.aux)})
	if key := b.aux[from:]; bytes.Equal(key, c.before) {
		return errors.New("two rows have the same key: name a key that is unique, with key=")
	} else {
		c.before = append(c.before[:0], key...)
	}
	if len(b.ends) >= c.rows || len(b.data) >= copyBytes {
		return c.flush()
	}
	return nil
}

// flush gives the batch on, where it has rows.
func (c *cutter) flush() error {
	if len(c.b.ends) == 0 {
		return nil
	}
	b := c.b
	c.b = b.like()
	return c.emit(b)
}

func appendField(dst, field []byte) []byte {
	if field == nil {
		return binary.BigEndian.AppendUint32(dst, 0xffffffff)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(field))), field...)
}

// splitFields reads fields as appendField writes them.
func splitFields(data []byte) (out [][]byte) {
	for len(data) > 0 {
		size := int(int32(binary.BigEndian.Uint32(data)))
		data = data[4:]
		if size < 0 {
			out = append(out, nil)
			continue
		}
		out = append(out, data[:size:size])
		data = data[size:]
	}
	return out
}

// unescape undoes COPY's escaping of a field.
func unescape(field []byte) string {
	if bytes.IndexByte(field, '\\') < 0 {
		return string(field)
	}
	out := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		if field[i] != '\\' || i+1 == len(field) {
			out = append(out, field[i])
			continue
		}
		i++
		if at := bytes.IndexByte([]byte("bfnrtv"), field[i]); at >= 0 {
			out = append(out, "\b\f\n\r\t\v"[at])
		} else {
			out = append(out, field[i])
		}
	}
	return string(out)
}
