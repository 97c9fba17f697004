// Package similar finds the patterns of a library that mean nearly the same, by the vectors of their templates, and says
// where two templates differ. Templates come in; ranked ids and differences go out. It knows no database and no clock.
package similar

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/pattern/vector"
)

const (
	// NearlyEqual is the score from which two templates that differ in one place are suggested to be one pattern.
	NearlyEqual = 0.85
	// maxTokens bounds the templates that are compared token by token.
	maxTokens = 256
)

// Index holds the vectors of templates: 300 bytes a pattern, 30 MB for 100,000. It is safe for concurrent use.
type Index struct {
	embedder *embed.Static
	vectors  *vector.Index[uint64]
	scratch  sync.Pool // of *[]float32 with a vector's dimension
}

// New makes an empty index. It keeps no templates, and so its scores are rounded: they are within Rounding of the exact ones,
// which Score gives for the few patterns that are near.
func New() *Index {
	e := embed.NewStatic()
	return &Index{
		embedder: e, vectors: vector.NewOver(e.Dim(), func(uint64, []float32) bool { return false }),
		scratch: sync.Pool{New: func() any { v := make([]float32, e.Dim()); return &v }},
	}
}

// Rounding is how far a score of an Index may be from the exact one.
const Rounding = 0.02

// Score is the exact cosine of two templates or texts, 0 where one says nothing.
func Score(a, b string) float32 {
	e := embed.NewStatic()
	v := make([]float32, 2*e.Dim())
	e.Into(v[:e.Dim()], spoken(a))
	e.Into(v[e.Dim():], spoken(b))
	return vector.Dot(v[:e.Dim()], v[e.Dim():])
}

// Len returns the number of patterns.
func (x *Index) Len() int { return x.vectors.Len() }

// Bytes returns the memory of the vectors.
func (x *Index) Bytes() int { return x.vectors.Bytes() }

// Add puts a pattern in, or replaces it. A template without any words is near nothing. The error says that the id has
// another form than a fingerprint.
func (x *Index) Add(id pattern.ID, template string) error {
	key, err := keyOf(id)
	if err != nil {
		return err
	}
	v := x.scratch.Get().(*[]float32)
	defer x.scratch.Put(v)
	clear(*v)
	x.embedder.Into(*v, spoken(template))
	return x.vectors.Add(key, *v)
}

// Delete takes a pattern out.
func (x *Index) Delete(id pattern.ID) {
	if key, err := keyOf(id); err == nil {
		x.vectors.Delete(key)
	}
}

// Hit is a pattern and the cosine of its template with what was asked for.
type Hit struct {
	ID    pattern.ID
	Score float32
}

// Near returns at most k patterns whose templates are nearest to the text, which may be a template itself, the nearest
// first, with scores from least on.
func (x *Index) Near(text string, k int, least float32) []Hit {
	v := make([]float32, x.embedder.Dim())
	if !x.embedder.Into(v, spoken(text)) {
		return nil
	}
	found, err := x.vectors.Within(v, k, least)
	if err != nil {
		return nil // the vector is of the index's own dimension
	}
	out := make([]Hit, len(found))
	for i, h := range found {
		out[i] = Hit{idOf(h.Key), h.Score}
	}
	return out
}

// spoken is what a template says: slots say nothing.
func spoken(template string) string { return strings.ReplaceAll(template, pattern.Wildcard, " ") }

// keyOf is the fingerprint in an id as a number.
func keyOf(id pattern.ID) (uint64, error) {
	if raw, err := hex.DecodeString(strings.TrimPrefix(string(id), "p")); err == nil && len(raw) == 8 && len(id) == 17 {
		return binary.BigEndian.Uint64(raw), nil
	}
	return 0, fmt.Errorf("pattern id %q is no fingerprint", id)
}

func idOf(key uint64) pattern.ID {
	return pattern.ID("p" + hex.EncodeToString(binary.BigEndian.AppendUint64(nil, key)))
}

// Difference is a place where two templates differ: the token at which it begins in the first, from 0, and what stands
// there in each; "" where one has nothing.
type Difference struct {
	Token       int
	Here, There string
}

// Differ aligns two templates token by token, tokens being what stands between blanks, and returns where they differ.
func Differ(a, b string) []Difference {
	x, y := strings.Fields(a), strings.Fields(b)
	x, y = x[:min(len(x), maxTokens)], y[:min(len(y), maxTokens)]
	var out []Difference
	i, j := 0, 0
	for _, m := range append(matches(x, y), [2]int{len(x), len(y)}) {
		if m[0] > i || m[1] > j {
			out = append(out, Difference{i, strings.Join(x[i:m[0]], " "), strings.Join(y[j:m[1]], " ")})
		}
		i, j = m[0]+1, m[1]+1
	}
	return out
}

// matches is the longest common subsequence, as pairs of places.
func matches(x, y []string) (out [][2]int) {
	longest := make([][]int, len(x)+1) // of x[i:] and y[j:]
	for i := range longest {
		longest[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if longest[i][j] = max(longest[i+1][j], longest[i][j+1]); x[i] == y[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] == y[j]:
			out = append(out, [2]int{i, j})
			i, j = i+1, j+1
		case longest[i+1][j] >= longest[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

// One reports whether two templates may be one pattern: they mean nearly the same and differ in one place, in one token of
// each at most. It is a suggestion: opened and closed differ in one token too.
func One(score float32, differences []Difference) bool {
	return score >= NearlyEqual && len(differences) == 1 &&
		!slices.ContainsFunc(differences, func(d Difference) bool {
			return strings.Contains(d.Here, " ") || strings.Contains(d.There, " ")
		})
}
