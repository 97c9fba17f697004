package template

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// TallyOptions set up a Tally.
type TallyOptions struct {
	Bucket    time.Duration // width of a time bucket; 0 means one minute
	MaxShapes int           // 0 means DefaultMaxShapes
	Index     *Index        // what is known already; may be nil
}

// Bucket counts the lines of one shape in one span of time.
type Bucket struct {
	Start int64 `json:"s"` // Unix seconds, a multiple of the width
	Lines int64 `json:"n"`
}

// Counted is a shape with what was counted of it.
type Counted struct {
	Shape
	Lines       int64
	First, Last int64 // Unix nanoseconds
	Buckets     []Bucket
	Example     string // the line with the least time and text, cut at 4 KiB
	ExampleAt   int64  // Unix nanoseconds
}

// Tally counts the shapes of one chunk of lines.
type Tally struct {
	o     TallyOptions
	scan  scanner
	by    map[ShapeID]*Counted
	lines int64
}

// NewTally returns an empty Tally.
func NewTally(o TallyOptions) *Tally {
	if o.Bucket <= 0 {
		o.Bucket = time.Minute
	}
	if o.MaxShapes <= 0 {
		o.MaxShapes = DefaultMaxShapes
	}
	return &Tally{o: o, by: map[ShapeID]*Counted{}}
}

// Add counts one message; line is the whole line it came from, at its time in Unix nanoseconds.
func (t *Tally) Add(message, line []byte, at int64) {
	t.scan.scan(message)
	id, text := t.scan.id(), ""
	c := t.by[id]
	if c == nil {
		text = string(t.scan.text)
	}
	if c == nil {
		if len(t.by) >= t.o.MaxShapes {
			id, text = Other, ""
			c = t.by[Other]
		}
		if c == nil {
			c = &Counted{Shape: Shape{ID: id, Text: text}, First: at, Last: at, Example: string(line[:min(len(line), 4096)]), ExampleAt: at}
			t.by[id] = c
		}
	}
	t.lines++
	c.Lines++
	c.First, c.Last = min(c.First, at), max(c.Last, at)
	if at < c.ExampleAt || at == c.ExampleAt && string(line[:min(len(line), 4096)]) < c.Example {
		c.Example, c.ExampleAt = string(line[:min(len(line), 4096)]), at
	}
	w := int64(t.o.Bucket / time.Second)
	start := at / 1e9
	start -= ((start % w) + w) % w
	for i := range c.Buckets {
		if c.Buckets[i].Start == start {
			c.Buckets[i].Lines++
			return
		}
	}
	c.Buckets = append(c.Buckets, Bucket{Start: start, Lines: 1})
}

// Counted returns what was counted, sorted by shape id.
func (t *Tally) Counted() []Counted {
	var out []Counted
	for _, id := range slices.Sorted(maps.Keys(t.by)) {
		out = append(out, *t.by[id])
	}
	return out
}

// Lines returns the number of lines added.
func (t *Tally) Lines() int64 { return t.lines }

// MarshalBinary encodes the tally with its version and checksum.
func (t *Tally) MarshalBinary() ([]byte, error) {
	body, err := json.Marshal(t.Counted())
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32(body, crc32.ChecksumIEEE(body)), nil
}

// ReadTally decodes what MarshalBinary wrote.
func ReadTally(b []byte) ([]Counted, error) {
	if len(b) < 4 || crc32.ChecksumIEEE(b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, errors.New("read tally: checksum does not match")
	}
	var out []Counted
	err := json.Unmarshal(b[:len(b)-4], &out)
	return out, err
}

// Offline remembers which shape each line had, so that a file can be mined in one pass without a server.
type Offline struct {
	t   *Tally
	ids []ShapeID
	lib *Library
}

// NewOffline returns an empty Offline.
func NewOffline(o TallyOptions) *Offline {
	return &Offline{t: NewTally(o), lib: NewLibrary(Options{MaxShapes: o.MaxShapes})}
}

// Add counts one message and remembers its shape.
func (o *Offline) Add(message, line []byte, at int64) {
	o.t.Add(message, line, at)
	o.ids = append(o.ids, o.t.scan.id())
}

// Tally returns the counts.
func (o *Offline) Tally() *Tally { return o.t }

// Library returns the library as of the last Assign.
func (o *Offline) Library() *Library { return o.lib }

// Assign learns all shapes and returns a function that gives the pattern and template text of the i-th line added.
// The id is "" and the template empty for a line that went to Other.
func (o *Offline) Assign() func(i int) (id pattern.ID, template string) {
	counted := o.t.Counted()
	shapes := make([]Shape, len(counted))
	for i, c := range counted {
		shapes[i] = c.Shape
	}
	o.lib.Learn(shapes)
	return func(i int) (pattern.ID, string) {
		k := o.lib.find(o.ids[i])
		if k < 0 {
			return "", ""
		}
		p := o.lib.patterns.at(int(o.lib.records.at(k).pattern))
		return p.id, p.template
	}
}
