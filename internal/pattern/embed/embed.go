// Package embed turns short texts into vectors whose inner product says how near their meanings are. Texts come in, unit
// vectors go out. It knows what an Embedder is and brings one that needs nothing: no network, no model, no file.
//
//	text ── WordPiece ──> tokens ── a row each of a table ──> sum ── unit length ──> vector
//
// The table was distilled from a sentence transformer by agents/distill; where it comes from, and under which licence, is in
// table.json beside it. docs/vectors.md has the method and the figures.
package embed

import (
	"context"
	"math"
	"sync"
)

// Embedder turns texts into vectors of unit length, or of length 0 where a text says nothing to it.
type Embedder interface {
	// Embed returns one vector of Dim components a text, in order. Errors are those of what it calls; a text that is too
	// long is cut, not refused.
	Embed(ctx context.Context, texts []string) ([][]float32, error)
	// Dim is the number of components.
	Dim() int
	// Name says which vectors are comparable: those of embedders of one name. It is stored with the vectors.
	Name() string
}

// Static is the Embedder that is built in. It is safe for concurrent use.
type Static struct {
	table   *table
	scratch sync.Pool
}

// maxBytes is where longer texts are cut: some thousand tokens, of which a sum says nothing any more.
const maxBytes = 16 << 10

var loaded = sync.OnceValue(func() *Static {
	t, err := readTable(tableFile)
	if err != nil {
		panic("embed: the built-in table: " + err.Error()) // a test reads it
	}
	return &Static{table: t, scratch: sync.Pool{New: func() any { return &scratch{} }}}
})

// NewStatic returns the built-in embedder. The first call takes a few milliseconds and about 4 MB for the vocabulary; the
// table itself stays in the program's file.
func NewStatic() *Static { return loaded() }

// Dim returns the number of components of the vectors.
func (s *Static) Dim() int { return s.table.dim }

// Name returns the name of the table, which changes with its content.
func (s *Static) Name() string { return s.table.name }

// Embed returns a vector a text. It fails only when ctx has ended.
func (s *Static) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	out, all := make([][]float32, len(texts)), make([]float32, len(texts)*s.Dim())
	for i, text := range texts {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out[i] = all[i*s.Dim() : (i+1)*s.Dim() : (i+1)*s.Dim()]
		s.Into(out[i], text)
	}
	return out, nil
}

// Into writes the vector of the text into v, of Dim components, and reports whether it has a length. It allocates nothing
// for text in plain letters. Cost: a few microseconds a sentence.
func (s *Static) Into(v []float32, text string) bool {
	w := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)
	s.table.tokenizer.tokenize(w, text[:min(len(text), maxBytes)])
	clear(v)
	for _, id := range w.tokens {
		if id >= 0 {
			s.table.addRow(v, int(id))
		}
	}
	var sum float32
	for _, f := range v {
		sum += f * f
	}
	if sum == 0 {
		return false
	}
	scale := float32(1 / math.Sqrt(float64(sum)))
	for i := range v {
		v[i] *= scale
	}
	return true
}
