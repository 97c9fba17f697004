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

// Assign learns all shapes and returns a function that gives the pattern and template text of the i-th line added, in constant
// time. The id is "" and the template empty for a line that went to Other.
func (o *Offline) Assign() func(i int) (id pattern.ID, template string) {
	t := o.tally
	var shapes []Shape
	for k := range t.entries {
		if e := &t.entries[k]; k != t.other && e.into < 0 {
			shapes = append(shapes, Shape{ID: e.id, Text: string(e.text)})
		}
	}
	o.library.Learn(shapes)
	patterns := make([]*patternRecord, len(t.entries))
	for k := range t.entries {
		e := &t.entries[t.resolve(k)]
		if i := o.library.find(e.id); i >= 0 {
			patterns[k] = o.library.patterns.at(int(o.library.records.at(o.library.resolve(i)).pattern))
		}
	}
	return func(i int) (pattern.ID, string) {
		p := patterns[o.lines[i]]
		if p == nil {
			return "", ""
		}
		return p.id(), p.template()
	}
}
