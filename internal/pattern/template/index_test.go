package template

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIndexStaysAsItWas reads indexes of every age, at once, while their library goes on learning.
func TestIndexStaysAsItWas(t *testing.T) {
	t.Parallel()
	messages := mixed(7, 3000)
	l := NewLibrary(Options{})
	type answer struct {
		match Match
		ok    bool
	}
	answers := func(ix *Index) []answer {
		out := make([]answer, len(messages))
		for i, m := range messages {
			out[i].ok = ix.Recognise(m, &out[i].match)
		}
		return out
	}
	var wg sync.WaitGroup
	for from := 0; from < len(messages); from += 500 {
		tl := NewTally(TallyOptions{Index: l.Index()})
		for _, m := range messages[from : from+500] {
			tl.Add(m, m, 0)
		}
		var shapes []Shape
		for _, c := range tl.Counted() {
			shapes = append(shapes, c.Shape)
		}
		l.Learn(shapes)
		ix := l.Index()
		want := answers(ix)
		for _, a := range want[:from+500] {
			require.True(t, a.ok)
			require.Equal(t, 1.0, a.match.Confidence)
		}
		wg.Go(func() {
			for range 3 {
				if !slices.EqualFunc(want, answers(ix), func(a, b answer) bool {
					return a.ok == b.ok && a.match.Pattern == b.match.Pattern && a.match.Shape == b.match.Shape && slices.Equal(a.match.Values, b.match.Values)
				}) {
					t.Error("an index changed")
				}
			}
		})
	}
	wg.Wait()
}
