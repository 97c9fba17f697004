package template

import (
	"cmp"
	"slices"
	"sort"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Offline mines a stream in one pass without a server and remembers which shape each line had, in four bytes a line:
//
//	mined := NewOffline(TallyOptions{})
//	for each line { mined.Add(message, line, at) }
//	of := mined.Assign()
//	for each line { id, text := of(i) }
//
// Several goroutines share the work with a Shard each.
type Offline struct {
	options TallyOptions
	main    *Shard
	shards  []*Shard // without main
	blocks  []lineBlock
	library *Library

	patterns map[ShapeID]pattern.ID // of the shapes counted, as of the last Assign
	wider    map[ShapeID]ShapeID    // shapes that others took in
}

// Shard is the part of an Offline that one goroutine fills, block by block.
type Shard struct {
	tally  *Tally
	blocks []lineBlock
}

// lineBlock is lines that follow each other in the stream, each the entry of a tally that counts it.
type lineBlock struct {
	number int
	lines  []uint32
}

// NewOffline returns an empty Offline. Without MaxShapes it holds as many shapes as a Library.
func NewOffline(o TallyOptions) *Offline {
	if o.MaxShapes <= 0 {
		o.MaxShapes = DefaultMaxShapes
	}
	return &Offline{options: o, main: newShard(o), library: NewLibrary(Options{MaxShapes: o.MaxShapes})}
}

func newShard(o TallyOptions) *Shard {
	return &Shard{tally: NewTally(o), blocks: make([]lineBlock, 1)}
}

// Add counts one message and remembers its shape. It is a line of block 0.
func (o *Offline) Add(message, line []byte, at int64) { o.main.Add(message, line, at) }

// Shard returns a new part for another goroutine to fill before the next Assign.
func (o *Offline) Shard() *Shard {
	s := newShard(o.options)
	o.shards = append(o.shards, s)
	return s
}

// Begin says that the lines added from now on are a block of the stream. The lines of an Offline are those of its blocks in the order of
// their numbers, whichever shard has them. No number may be begun twice; 0 is what is added before the first.
func (s *Shard) Begin(number int) { s.blocks = append(s.blocks, lineBlock{number: number}) }

// Add counts one message and remembers its shape.
func (s *Shard) Add(message, line []byte, at int64) {
	b := &s.blocks[len(s.blocks)-1]
	b.lines = append(b.lines, uint32(s.tally.add(message, line, at)))
}

// Tally returns the counts as of the last Assign.
func (o *Offline) Tally() *Tally { return o.main.tally }

// Library returns the library as of the last Assign.
func (o *Offline) Library() *Library { return o.library }

// PatternOf returns the pattern of a shape of the tally, as of the last Assign.
func (o *Offline) PatternOf(s ShapeID) (pattern.ID, bool) {
	id, ok := o.patterns[s]
	return id, ok
}

// gather takes what the shards hold.
func (o *Offline) gather() {
	for _, s := range o.shards {
		to := o.main.tally.takeAll(s.tally)
		for _, b := range s.blocks {
			for i, k := range b.lines {
				b.lines[i] = to[k]
			}
		}
		o.main.blocks = append(o.main.blocks, s.blocks...)
	}
	o.shards = nil
	o.blocks = slices.Clone(o.main.blocks)
	slices.SortStableFunc(o.blocks, func(a, b lineBlock) int { return cmp.Compare(a.number, b.number) })
}

// Assign learns all shapes and returns a function that gives the pattern and template text of the i-th line, which costs least if it is
// asked in order. The id is "" and the template empty for a line that went to Other. Shards cannot be used after.
func (o *Offline) Assign() func(i int) (id pattern.ID, template string) {
	o.gather()
	t := o.main.tally
	var shapes []Shape
	var of []int // the entry of each
	for k := range t.entries {
		if e := &t.entries[k]; k != t.other && e.into < 0 {
			shapes = append(shapes, Shape{ID: e.id, Text: string(e.text)})
			of = append(of, k)
		}
	}
	patterns := make([]*patternRecord, len(t.entries))
	o.patterns, o.wider = make(map[ShapeID]pattern.ID, len(shapes)), map[ShapeID]ShapeID{}
	// A shape that a wider one took in while learning is not in the library under its own id; the change knows where it went.
	for j, a := range o.library.Learn(shapes).Assigned {
		if a.Shape == Other {
			continue
		}
		o.patterns[a.Given] = a.Pattern
		if a.Shape != a.Given {
			o.wider[a.Given] = a.Shape
		}
		patterns[of[j]] = o.library.patterns.at(int(o.library.records.at(o.library.resolve(o.library.find(a.Shape))).pattern))
	}
	for k := range patterns {
		patterns[k] = patterns[t.resolve(k)]
	}
	line := o.lines()
	return func(i int) (pattern.ID, string) {
		p := patterns[line(i)]
		if p == nil {
			return "", ""
		}
		return p.id(), p.template()
	}
}

// lines returns a function that gives the entry of the i-th line.
func (o *Offline) lines() func(i int) uint32 {
	from := make([]int, len(o.blocks)+1)
	for b := range o.blocks {
		from[b+1] = from[b] + len(o.blocks[b].lines)
	}
	now := 0
	return func(i int) uint32 {
		if i < from[now] || i >= from[now+1] {
			now = sort.SearchInts(from, i+1) - 1
		}
		return o.blocks[now].lines[i-from[now]]
	}
}
