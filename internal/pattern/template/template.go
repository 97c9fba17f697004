// Package template mines the templates of text lines and recognises which template a line has. Messages come in; shapes,
// their exact counts, and the patterns they belong to go out. It knows no file, database or clock.
//
//	            scan                 Learn                               Recognise
//	message ───────────> shape ─────────────────> pattern      message ────────────> pattern + values
//	                       │                         ▲                      │
//	                    Tally counts              Library            Index, a view of the
//	                    lines per shape       partitions shapes      Library, no allocation
//
// A shape is a message with its obvious values masked: numbers, addresses, paths, times, ids. It is a function of the message
// alone, so that anybody can count lines per shape without knowing any other line. A pattern is a set of shapes. Which shapes
// belong together is decided by the Library from the set of all shapes, whatever their order, and may change as it grows: then
// shapes move with their counts and the old pattern id becomes an alias. So counts are exact, ids handed out long ago resolve
// to the pattern of today, and nothing is ever mined twice.
//
// The steps are drawn where they are done: the scan in scan.go, the splitting of tables of shapes in partition.go, what words tell
// about each other in wordbook.go, families and tails in family.go, the absorption of columns with very many words in fold.go.
package template

import "github.com/tartan-ai/tartan/internal/pattern"

// ShapeID is the 64-bit hash of the text of a shape, the same on every machine. Zero is Other.
type ShapeID uint64

// Other counts the lines that no longer fitted the bound on shapes.
const Other ShapeID = 0

// Shape is a message with its obvious values masked: a pure function of the message alone.
type Shape struct {
	ID   ShapeID
	Text string // canonical text, valid UTF-8; a masked value is one control byte that says its type
}

// Options bound a Library.
type Options struct {
	MaxShapes int // 0 means DefaultMaxShapes
}

// Assignment says where a shape given to Learn belongs.
type Assignment struct {
	Given   ShapeID
	Shape   ShapeID    // differs from Given if the shape was folded into a wider one or is Other
	Pattern pattern.ID // "" if Shape is Other
}

// Fold says that a shape became part of a wider one, with its counts.
type Fold struct{ From, To ShapeID }

// Move says that a known shape belongs to another pattern now.
type Move struct {
	Shape   ShapeID
	Pattern pattern.ID
}

// Alias says that an old pattern id stands for a pattern of today. New is "" for the pattern of a rule that never took a shape.
type Alias struct{ Old, New pattern.ID }

// Change is what one call of Learn did to a library. Apply it in this order: Added, Folded, Patterns, Moved, Retired.
// An id in Patterns is alive, also if an earlier Change retired it: it is an alias no longer.
type Change struct {
	Assigned []Assignment
	Added    []Shape
	Folded   []Fold
	Moved    []Move
	Patterns []pattern.Pattern // new, alive again, or with other slots
	Retired  []Alias
	Full     bool // the bound on shapes was reached, and some went to Other
}

// Span is a range of bytes in a message.
type Span struct{ Start, End int }

// Match is the answer of Recognise. Values is reused by the next call with the same Match, so that a copy of a Match is for reading only.
type Match struct {
	Pattern    pattern.ID
	Shape      ShapeID
	Confidence float64 // 1 for a shape learnt before, less where a slot holds what it never held
	Values     []Span  // one per slot of the pattern, in its order

	scan *scanner // of who calls more than once
}

// Near is the pattern nearest to a line that has none.
type Near struct {
	Pattern   pattern.ID
	Template  string
	Token     int // the first token that differs, counted from 0
	Want, Got string
	Score     float64 // share of tokens that agree, 0 to 1
}
