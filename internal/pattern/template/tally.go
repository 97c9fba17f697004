package template

import (
	"cmp"
	"slices"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern/values"
)

// DefaultTallyShapes bounds a Tally unless its options say otherwise.
const DefaultTallyShapes = 1 << 15

const (
	maxExample   = 4 << 10
	shortExample = 256      // once the examples of a tally take examplesFull
	examplesFull = 16 << 20 // bytes
	foldTallyAt  = 8 << 10  // shapes of a tally that make it look for columns to absorb
)

// TallyOptions set up a Tally.
type TallyOptions struct {
	Bucket    time.Duration // width of a time bucket, whole seconds; 0 means one minute
	MaxShapes int           // 0 means DefaultTallyShapes
	Index     *Index        // tells which columns are absorbed already; may be nil
	Values    bool          // sum up what the slots hold as well
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
	Values      []values.Period
}

// Tally counts the shapes of one chunk of lines. It holds a bounded number of shapes and counts what is beyond under Other; the
// sum of all counts is always the number of lines. It is not safe for concurrent use.
type Tally struct {
	max, foldAt int
	width       int64 // seconds
	known       *Index
	folds       *Library // finds columns to absorb in this chunk
	foldIndex   *Index
	scan        scanner
	entries     []entry
	places      []tallyPlace // by id; a power of two
	live        int
	other       int // entry of Other, or -1
	lines       int64
	examples    int   // bytes
	start, end  int64 // the bucket of the last line, in nanoseconds
	values      bool
	recorders   []*recorder // by entry, if values; may be shorter
	asked       [][]ask
}

// tallyPlace is an entry by its id.
type tallyPlace struct {
	id    ShapeID
	entry uint32 // its number + 1; 0 is free
}

type entry struct {
	id          ShapeID
	proof       uint32
	asks        uint32 // its number + 1 in asked; 0 if no rule asks for values of it
	text        []byte
	lines       int64
	first, last int64
	example     []byte
	exampleAt   int64
	buckets     []Bucket
	into        int32 // entry that this one was folded into, or -1
	bucket      int32 // of buckets: the one counted last
}

// NewTally returns an empty Tally.
func NewTally(o TallyOptions) *Tally {
	t := &Tally{max: o.MaxShapes, width: int64(o.Bucket / time.Second), known: o.Index, other: -1, start: 1, foldAt: foldTallyAt, values: o.Values}
	if t.max <= 0 {
		t.max = DefaultTallyShapes
	}
	if t.width <= 0 {
		t.width = 60
	}
	return t
}

// Add counts one message; line is the whole line it came from, at its time in Unix nanoseconds. It allocates nothing for a shape
// seen before.
func (t *Tally) Add(message, line []byte, at int64) { t.add(message, line, at) }

// add returns the entry that counts the message.
func (t *Tally) add(message, line []byte, at int64) int {
	t.scan.glance(message)
	t.lines++
	k := t.entry(message)
	e := &t.entries[k]
	if e.lines == 0 {
		e.first, e.last, e.exampleAt = at, at, at
		e.example = t.example(line, nil)
	} else if at <= e.exampleAt {
		if at < e.exampleAt || string(line[:min(len(line), len(e.example)+1)]) < string(e.example) {
			e.example = t.example(line, e.example)
			e.exampleAt = at
		}
	}
	e.lines++
	if at < e.first {
		e.first = at
	}
	if at > e.last {
		e.last = at
	}
	if t.values {
		t.recordValues(k, message, at)
	}
	if at < t.start || at >= t.end {
		w := t.width * 1e9
		t.start = at - ((at%w)+w)%w
		t.end = t.start + w
	}
	start := t.start / 1e9
	if int(e.bucket) < len(e.buckets) && e.buckets[e.bucket].Start == start {
		e.buckets[e.bucket].Lines++
		return k
	}
	e.count(start, 1)
	return k
}

// example copies a line over an earlier one.
func (t *Tally) example(line, old []byte) []byte {
	n := maxExample
	if t.examples > examplesFull {
		n = shortExample
	}
	t.examples -= len(old)
	old = append(old[:0], line[:min(len(line), n)]...)
	t.examples += len(old)
	return old
}

// count adds lines to the bucket that starts at start. Buckets are kept sorted.
func (e *entry) count(start, lines int64) {
	i, ok := slices.BinarySearchFunc(e.buckets, start, func(b Bucket, s int64) int { return cmp.Compare(b.Start, s) })
	if !ok {
		e.buckets = slices.Insert(e.buckets, i, Bucket{Start: start})
	}
	e.buckets[i].Lines += lines
	e.bucket = int32(i)
}

// entry returns the entry of the message, which was just scanned.
func (t *Tally) entry(message []byte) int {
	k := t.untold(message)
	if n := t.entries[k].asks; n > 0 {
		return t.toldEntry(k, t.asked[n-1], message)
	}
	return k
}

// untold returns the entry of the shape of the message, without values that rules ask for.
func (t *Tally) untold(message []byte) int {
	id := t.scan.id()
	if k := t.find(id); k >= 0 {
		if t.entries[k].into >= 0 {
			return t.resolve(k)
		}
		if t.entries[k].proof == t.scan.proof() {
			return k
		}
		return t.rest() // two texts with one hash
	}
	for _, ix := range [...]*Index{t.known, t.foldIndex} {
		if k := t.absorbed(ix); k >= 0 {
			return k
		}
	}
	if t.live >= t.foldAt {
		t.fold()
		if k := t.absorbed(t.foldIndex); k >= 0 {
			return k
		}
	}
	if t.live >= t.max {
		return t.rest()
	}
	t.scan.scan(message)
	return t.insert(id, t.scan.proof(), slices.Clone(t.scan.text))
}

func (t *Tally) find(id ShapeID) int {
	if len(t.places) == 0 {
		return -1
	}
	m := uint64(len(t.places) - 1)
	for h := uint64(id) >> 7 & m; ; h = (h + 1) & m {
		switch p := &t.places[h]; {
		case p.entry == 0:
			return -1
		case p.id == id:
			return int(p.entry - 1)
		}
	}
}

func (t *Tally) insert(id ShapeID, proof uint32, text []byte) int {
	k := len(t.entries)
	t.entries = append(t.entries, entry{id: id, proof: proof, text: text, into: -1, asks: t.askOf(text)})
	if 4*len(t.entries) > 3*len(t.places) {
		t.places = make([]tallyPlace, max(512, 2*len(t.places)))
		for i := range t.entries {
			if i != t.other {
				t.index(t.entries[i].id, i)
			}
		}
	} else {
		t.index(id, k)
	}
	t.live++
	return k
}

// index makes entry k found by its id.
func (t *Tally) index(id ShapeID, k int) {
	m := uint64(len(t.places) - 1)
	h := uint64(id) >> 7 & m
	for t.places[h].entry != 0 {
		h = (h + 1) & m
	}
	t.places[h] = tallyPlace{id: id, entry: uint32(k + 1)}
}

// rest returns the entry of Other.
func (t *Tally) rest() int {
	if t.other < 0 {
		t.other = len(t.entries)
		t.entries = append(t.entries, entry{into: -1})
	}
	return t.other
}

// absorbed returns the entry of the wider shape of ix that takes the scanned message, or -1.
func (t *Tally) absorbed(ix *Index) int {
	if ix == nil {
		return -1
	}
	g := ix.bySkel.find(t.scan.skel, func(i int) bool { return (*ix.views.at(i)).skel == t.scan.skel })
	if g < 0 {
		return -1
	}
	i := ix.wide(&t.scan, *ix.views.at(g))
	if i < 0 {
		return -1
	}
	r := ix.records.at(i)
	if k := t.find(r.id); k >= 0 {
		return t.resolve(k)
	}
	return t.insert(r.id, r.proof, slices.Clone(ix.texts.get(r.text)))
}

func (t *Tally) resolve(k int) int {
	for t.entries[k].into >= 0 {
		k = int(t.entries[k].into)
	}
	return k
}

// fold learns the shapes so far to find columns to absorb, and moves the counts of what folds.
func (t *Tally) fold() {
	if t.folds == nil {
		t.folds = NewLibrary(Options{MaxShapes: 1 << 30})
	}
	before := t.live
	var shapes []Shape
	for k := range t.entries {
		if e := &t.entries[k]; k != t.other && e.into < 0 {
			shapes = append(shapes, Shape{ID: e.id, Text: string(e.text)})
		}
	}
	ch := t.folds.Learn(shapes)
	t.foldIndex = t.folds.Index()
	for _, a := range ch.Assigned {
		if a.Shape == a.Given || a.Shape == Other {
			continue
		}
		from, to := t.find(a.Given), t.find(a.Shape)
		if to < 0 {
			proof, text := t.folds.proofOf(a.Shape)
			to = t.insert(a.Shape, proof, text)
		}
		t.merge(to, from)
	}
	next := 2 * t.live
	if 4*t.live > 3*before {
		next *= 2 // there is little to absorb
	}
	t.foldAt = max(foldTallyAt, next)
}

// merge moves the counts of one entry to another.
func (t *Tally) merge(to, from int) {
	a, b := &t.entries[to], &t.entries[from]
	if t.values {
		t.mergeValues(to, from)
	}
	t.examples -= len(a.example) + len(b.example)
	a.take(b)
	t.examples += len(a.example)
	*b = entry{id: b.id, into: int32(to)}
	t.live--
}

// take adds the counts of another entry.
func (e *entry) take(b *entry) {
	if b.lines > 0 {
		if e.lines == 0 {
			e.first, e.last, e.example, e.exampleAt = b.first, b.last, b.example, b.exampleAt
		} else {
			e.first, e.last = min(e.first, b.first), max(e.last, b.last)
			if b.exampleAt < e.exampleAt || b.exampleAt == e.exampleAt && string(b.example) < string(e.example) {
				e.example, e.exampleAt = b.example, b.exampleAt
			}
		}
		for _, x := range b.buckets {
			e.count(x.Start, x.Lines)
		}
		e.lines += b.lines
	}
}

// Take moves to the tally what another one counted, which may have been filled by another goroutine: lines that are counted in parts
// and taken together have the shapes and counts of all lines in one tally, as long as no bound is met. The other tally cannot be used
// after. Both must have buckets of the same width. It costs a look-up a shape.
func (t *Tally) Take(o *Tally) { t.takeAll(o) }

// takeAll returns the entry of t for each entry of o.
func (t *Tally) takeAll(o *Tally) []uint32 {
	to := make([]uint32, len(o.entries))
	for k := range o.entries {
		b := &o.entries[k]
		if b.into >= 0 {
			continue
		}
		at := 0
		if k == o.other {
			at = t.rest()
		} else {
			at = t.place(b)
		}
		to[k] = uint32(at)
		if t.values && at != t.other {
			t.takeValues(at, o.recorderOf(k), b.text)
		}
		a := &t.entries[at]
		t.examples -= len(a.example)
		a.take(b)
		t.examples += len(a.example)
	}
	for k := range o.entries {
		to[k] = to[o.resolve(k)]
	}
	t.lines += o.lines
	*o = Tally{}
	return to
}

// place returns the entry for the shape of an entry of another tally.
func (t *Tally) place(b *entry) int {
	if k := t.find(b.id); k >= 0 {
		if t.entries[k].into < 0 && t.entries[k].proof != b.proof {
			return t.rest()
		}
		return t.resolve(k)
	}
	if t.live >= t.max {
		return t.rest()
	}
	return t.insert(b.id, b.proof, b.text)
}

// Counted returns what was counted, sorted by shape id.
func (t *Tally) Counted() []Counted {
	out := make([]Counted, 0, t.live+1)
	for k := range t.entries {
		e := &t.entries[k]
		if e.into >= 0 || e.lines == 0 {
			continue
		}
		out = append(out, Counted{
			Shape: Shape{ID: e.id, Text: string(e.text)}, Lines: e.lines, First: e.first, Last: e.last,
			Buckets: slices.Clone(e.buckets), Example: string(e.example), ExampleAt: e.exampleAt,
			Values: t.periodsOf(k),
		})
	}
	slices.SortFunc(out, func(a, b Counted) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Shapes returns how many shapes Counted returns.
func (t *Tally) Shapes() (n int) {
	for k := range t.entries {
		if t.entries[k].into < 0 && t.entries[k].lines > 0 {
			n++
		}
	}
	return n
}

// Lines returns the number of lines added.
func (t *Tally) Lines() int64 { return t.lines }
