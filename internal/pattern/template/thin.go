package template

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// DefaultMaxShapes bounds a Library unless Options say otherwise.
const DefaultMaxShapes = 1 << 20

const slotByte = "\x01"

func scanThin(m []byte, spans []Span) (string, []Span) {
	var b strings.Builder
	i := 0
	for i < len(m) {
		for i < len(m) && (m[i] == ' ' || m[i] == '\t') {
			i++
		}
		s := i
		for i < len(m) && m[i] != ' ' && m[i] != '\t' {
			i++
		}
		if s == i {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		w := string(m[s:i])
		if strings.ContainsAny(w, "0123456789\x00\x01") || !utf8.ValidString(w) {
			b.WriteString(slotByte)
			spans = append(spans, Span{s, i})
		} else {
			b.WriteString(w)
		}
	}
	return b.String(), spans
}

func shapeID(text string) ShapeID {
	h := fnv.New64a()
	h.Write([]byte(text))
	if id := ShapeID(h.Sum64()); id != Other {
		return id
	}
	return 1
}

func templateOf(text string) pattern.Pattern {
	var slots []pattern.Slot
	for i := range strings.Count(text, slotByte) {
		name := "text"
		if i > 0 {
			name = "text_" + strconv.Itoa(i+1)
		}
		slots = append(slots, pattern.Slot{Name: name, Type: pattern.Text})
	}
	return pattern.New(strings.ReplaceAll(text, slotByte, pattern.Wildcard), slots)
}

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
	text, _ := scanThin(message, nil)
	id := shapeID(text)
	c := t.by[id]
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

// Library partitions shapes into patterns. It is not safe for concurrent use.
type Library struct {
	max      int
	shapes   map[ShapeID]pattern.ID
	patterns map[pattern.ID]pattern.Pattern
}

// NewLibrary returns an empty Library.
func NewLibrary(o Options) *Library {
	if o.MaxShapes <= 0 {
		o.MaxShapes = DefaultMaxShapes
	}
	return &Library{max: o.MaxShapes, shapes: map[ShapeID]pattern.ID{}, patterns: map[pattern.ID]pattern.Pattern{}}
}

// Learn adds shapes and repartitions what they touch.
func (l *Library) Learn(shapes []Shape) Change {
	var ch Change
	for _, s := range shapes {
		if s.ID == Other {
			ch.Assigned = append(ch.Assigned, Assignment{})
			continue
		}
		id, known := l.shapes[s.ID]
		if !known {
			if len(l.shapes) >= l.max {
				ch.Full = true
				ch.Assigned = append(ch.Assigned, Assignment{Given: s.ID})
				continue
			}
			p := templateOf(s.Text)
			id = p.ID
			if _, ok := l.patterns[id]; !ok {
				l.patterns[id] = p
				ch.Patterns = append(ch.Patterns, p)
			}
			l.shapes[s.ID] = id
			ch.Added = append(ch.Added, s)
			ch.Moved = append(ch.Moved, Move{Shape: s.ID, Pattern: id})
		}
		ch.Assigned = append(ch.Assigned, Assignment{Given: s.ID, Shape: s.ID, Pattern: id})
	}
	return ch
}

// Checksum is equal for libraries with equal shapes and patterns, in whatever order they were learnt.
func (l *Library) Checksum() uint64 {
	var sum uint64
	for s, p := range l.shapes {
		h := fnv.New64a()
		h.Write(binary.BigEndian.AppendUint64([]byte(p), uint64(s)))
		sum += h.Sum64()
	}
	return sum
}

// Patterns returns all patterns, sorted by id.
func (l *Library) Patterns() []pattern.Pattern {
	var out []pattern.Pattern
	for _, id := range slices.Sorted(maps.Keys(l.patterns)) {
		out = append(out, l.patterns[id])
	}
	return out
}

// Pattern returns the pattern with the id.
func (l *Library) Pattern(id pattern.ID) (pattern.Pattern, bool) {
	p, ok := l.patterns[id]
	return p, ok
}

// PatternOf returns the pattern of a shape.
func (l *Library) PatternOf(s ShapeID) (pattern.ID, bool) {
	id, ok := l.shapes[s]
	return id, ok
}

// Len returns the number of shapes and patterns.
func (l *Library) Len() (shapes, patterns int) { return len(l.shapes), len(l.patterns) }

// Index returns an immutable view for recognising, safe for concurrent use.
func (l *Library) Index() *Index {
	return &Index{shapes: maps.Clone(l.shapes), patterns: maps.Clone(l.patterns)}
}

// Index recognises messages.
type Index struct {
	shapes   map[ShapeID]pattern.ID
	patterns map[pattern.ID]pattern.Pattern
}

// Recognise finds the pattern of a message and fills m.
func (ix *Index) Recognise(message []byte, m *Match) bool {
	text, spans := scanThin(message, m.Values[:0])
	id := shapeID(text)
	p, ok := ix.shapes[id]
	*m = Match{Pattern: p, Shape: id, Confidence: 1, Values: spans}
	return ok
}

// Pattern returns the pattern with the id.
func (ix *Index) Pattern(id pattern.ID) (pattern.Pattern, bool) {
	p, ok := ix.patterns[id]
	return p, ok
}

// Nearest returns the pattern that shares most tokens with a message.
func (ix *Index) Nearest(message []byte) (Near, bool) {
	text, _ := scanThin(message, nil)
	got := strings.Fields(text)
	var best Near
	for _, p := range ix.patterns {
		want := strings.Fields(strings.ReplaceAll(p.Template, pattern.Wildcard, slotByte))
		same, first := 0, -1
		for i := range min(len(want), len(got)) {
			if want[i] == got[i] {
				same++
			} else if first < 0 {
				first = i
			}
		}
		score := float64(same) / float64(max(len(want), len(got), 1))
		if score > best.Score || score == best.Score && score > 0 && p.ID < best.Pattern {
			best = Near{Pattern: p.ID, Template: p.Template, Token: first, Score: score}
			if first >= 0 {
				best.Want, best.Got = strings.ReplaceAll(want[first], slotByte, pattern.Wildcard), got[first]
			}
		}
	}
	return best, best.Score > 0
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
	text, _ := scanThin(message, nil)
	o.ids = append(o.ids, shapeID(text))
}

// Tally returns the counts.
func (o *Offline) Tally() *Tally { return o.t }

// Library returns the library as of the last Assign.
func (o *Offline) Library() *Library { return o.lib }

// Assign learns all shapes and returns a function that gives the pattern and template text of the i-th line added.
// The id is "" and the template empty for a line that went to Other.
func (o *Offline) Assign() func(i int) (id pattern.ID, template string) {
	for _, c := range o.t.Counted() {
		o.lib.Learn([]Shape{c.Shape})
	}
	return func(i int) (pattern.ID, string) {
		id := o.lib.shapes[o.ids[i]]
		return id, o.lib.patterns[id].Template
	}
}
