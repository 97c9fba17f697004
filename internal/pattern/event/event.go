// Package event flattens JSON events into messages of key=value, so that the template engine mines them as it mines any
// structured line: the fields are the skeleton, their values are slots named by the path to them. A line comes in; a message goes
// out, the same for the same event whatever the order of its fields. It knows no schema and keeps nothing.
//
//	{"user":{"name":"Ada L.","id":7},"msg":"login of ada","tags":["a","b"],"ok":true,"items":[{"n":1},{"n":2}],"ip":null}
//
//	msg="login of ada" ip=null items.n="[ 1 2 ]" ok=true tags="[ a b ]" user.id=7 user.name="Ada L."
//
// The message of the event comes first, then the fields by their paths. Numbers, truth values and null are written bare, strings
// in quotes. All values that an array holds under one path are one list, so that its length makes no difference.
package event

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern/header"
)

// Malformed is the key under which a line that is no JSON stands, all of it being the value.
const Malformed = "malformed"

// MaxLine is where the line of an event should be cut rather than at what is enough for a line of a log: 1 MiB.
const MaxLine = 1 << 20

const (
	maxDepth = 32      // of nesting; what is deeper is a string of JSON
	maxValue = 4 << 10 // bytes of a value; the rest is dropped
	maxWhole = 1 << 10 // fields; the rest is dropped
)

// Flattener flattens events. Its buffers are used again by the next one. It is not safe for concurrent use.
type Flattener struct {
	path   []byte
	text   []byte // keys and values, one behind the other
	fields []field
	out    []byte
	list   []byte
}

// field is a value at a path. Offsets are in text.
type field struct {
	key, value, end int
	element         bool // of an array
	whole           bool // a value that is written as it is
	first           bool // the message of the event
}

// Message returns the message of a line that the header parser took apart: the event without what is in its header, or,
// where that leaves no event, the whole line. A line that is no JSON is malformed="...", so that it is counted and
// seen. The result is valid until the next call.
func (f *Flattener) Message(line []byte, h header.Header) []byte {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if m := bytes.TrimSpace(h.Message); len(m) > 0 && m[0] == '{' {
		if message, ok := f.Flatten(m); ok {
			return message
		}
	} else if message, ok := f.Flatten(line); ok {
		return message
	}
	f.out = append(append(f.out[:0], Malformed...), `=" `...)
	f.out = appendEscaped(f.out, line[:min(len(line), maxValue)])
	f.out = append(f.out, '"')
	return f.out
}

// Flatten returns the message of a JSON value, and false if it is none. What is not an object has the key value. The result is valid
// until the next call.
func (f *Flattener) Flatten(event []byte) (message []byte, ok bool) {
	if !json.Valid(event) {
		return nil, false
	}
	f.path, f.text, f.fields, f.out = f.path[:0], f.text[:0], f.fields[:0], f.out[:0]
	i := skip(event, 0)
	if event[i] != '{' {
		f.path = append(f.path, "value"...)
	}
	f.value(event, i, 0, false)
	slices.SortStableFunc(f.fields, f.compare)
	for i := 0; i < len(f.fields); {
		i = f.write(i)
	}
	return f.out, true
}

func (f *Flattener) keyOf(x field) []byte   { return f.text[x.key:x.value] }
func (f *Flattener) valueOf(x field) []byte { return f.text[x.value:x.end] }

func (f *Flattener) compare(a, b field) int {
	if a.first != b.first {
		if a.first {
			return -1
		}
		return 1
	}
	return bytes.Compare(f.keyOf(a), f.keyOf(b))
}

// value adds the fields of the value at b[i] and returns its end. The value is valid JSON.
func (f *Flattener) value(b []byte, i, depth int, element bool) int {
	switch b[i] {
	case '{':
		if depth < maxDepth {
			return f.object(b, i, depth, element)
		}
	case '[':
		if depth < maxDepth {
			return f.array(b, i, depth)
		}
	case '"':
		e := stringEnd(b, i)
		f.add(element, false, func() { f.text = appendString(f.text, b[i+1:e-1]) })
		return e
	default:
		e := i
		for e < len(b) && b[e] > ' ' && b[e] != ',' && b[e] != '}' && b[e] != ']' {
			e++
		}
		f.add(element, true, func() { f.text = append(f.text, b[i:e]...) })
		return e
	}
	e := compositeEnd(b, i)
	f.add(element, false, func() { f.text = appendEscaped(f.text, b[i:e]) })
	return e
}

func (f *Flattener) object(b []byte, i, depth int, element bool) int {
	i = skip(b, i+1)
	if b[i] == '}' {
		if depth > 0 {
			f.add(element, true, func() { f.text = append(f.text, "{}"...) })
		}
		return i + 1
	}
	for {
		e := stringEnd(b, i)
		length := len(f.path)
		if length > 0 {
			f.path = append(f.path, '.')
		}
		f.path = appendString(f.path, b[i+1:e-1])
		i = skip(b, skip(b, e)+1) // behind the colon
		i = skip(b, f.value(b, i, depth+1, element))
		f.path = f.path[:length]
		if b[i] == '}' {
			return i + 1
		}
		i = skip(b, i+1) // behind the comma
	}
}

func (f *Flattener) array(b []byte, i, depth int) int {
	i = skip(b, i+1)
	if b[i] == ']' {
		f.add(true, true, func() {})
		return i + 1
	}
	for {
		i = skip(b, f.value(b, i, depth+1, true))
		if b[i] == ']' {
			return i + 1
		}
		i = skip(b, i+1)
	}
}

// add appends a field at the path.
func (f *Flattener) add(element, whole bool, value func()) {
	if len(f.fields) == maxWhole {
		return
	}
	x := field{key: len(f.text), element: element, whole: whole, first: header.IsMessageKey(f.path)}
	f.text = append(f.text, f.path...)
	x.value = len(f.text)
	value()
	x.end = len(f.text)
	f.fields = append(f.fields, x)
}

// write writes the i-th field, or the list that begins there, and returns the next one.
func (f *Flattener) write(i int) int {
	if len(f.out) > 0 {
		f.out = append(f.out, ' ')
	}
	x := f.fields[i]
	key := f.keyOf(x)
	f.out = append(appendKey(f.out, key), '=')
	if !x.element {
		if x.whole {
			f.out = append(f.out, f.valueOf(x)...)
		} else {
			f.quoted(f.valueOf(x), x.first)
		}
		return i + 1
	}
	f.out = append(f.out, `"[`...)
	from := len(f.out)
	for ; i < len(f.fields) && f.fields[i].element && bytes.Equal(f.keyOf(f.fields[i]), key); i++ {
		if y := f.fields[i]; len(f.out)-from < maxValue && (y.end > y.value || !y.whole) {
			f.out = append(f.out, ' ')
			f.element(f.valueOf(y), y.whole)
		}
	}
	f.out = append(f.out, ` ]"`...)
	return i
}
