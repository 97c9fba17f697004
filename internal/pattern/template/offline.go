package template

import "github.com/tartan-ai/tartan/internal/pattern"

// Offline mines a stream in one pass without a server and remembers which shape each line had, in four bytes a line:
//
//	mined := NewOffline(TallyOptions{})
//	for each line { mined.Add(message, line, at) }
//	of := mined.Assign()
//	for each line { id, text := of(i) }
type Offline struct {
	tally   *Tally
	library *Library
	lines   []uint32 // entry of the tally

	patterns map[ShapeID]pattern.ID // of the shapes counted, as of the last Assign
	wider    map[ShapeID]ShapeID    // shapes that others took in
}

// NewOffline returns an empty Offline. Without MaxShapes it holds as many shapes as a Library.
func NewOffline(o TallyOptions) *Offline {
	if o.MaxShapes <= 0 {
		o.MaxShapes = DefaultMaxShapes
	}
	return &Offline{tally: NewTally(o), library: NewLibrary(Options{MaxShapes: o.MaxShapes})}
}

// Add counts one message and remembers its shape.
func (o *Offline) Add(message, line []byte, at int64) {
	o.lines = append(o.lines, uint32(o.tally.add(message, line, at)))
}

// Tally returns the counts.
func (o *Offline) Tally() *Tally { return o.tally }

// Library returns the library as of the last Assign.
func (o *Offline) Library() *Library { return o.library }

// PatternOf returns the pattern of a shape of the tally, as of the last Assign.
func (o *Offline) PatternOf(s ShapeID) (pattern.ID, bool) {
	id, ok := o.patterns[s]
	return id, ok
}

// Assign learns all shapes and returns a function that gives the pattern and template text of the i-th line added, in constant
// time. The id is "" and the template empty for a line that went to Other.
func (o *Offline) Assign() func(i int) (id pattern.ID, template string) {
	t := o.tally
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
	return func(i int) (pattern.ID, string) {
		p := patterns[o.lines[i]]
		if p == nil {
			return "", ""
		}
		return p.id(), p.template()
	}
}
