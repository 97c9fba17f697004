package merge

import (
	"fmt"
	"slices"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

// Revision is a state of an entry. Parents have lower numbers; a merge has two, the head it was merged into first.
type Revision struct {
	Number   int
	Parents  []int
	Document *knowledge.Document // nil is a tombstone
}

// Origins says which revision brought in what a revision says.
type Origins struct {
	Lines  []int          `json:"lines"`  // by line of the body
	Fields map[string]int `json:"fields"` // by path, as in Change
}

// Blame finds the origins of the revision with the given number, in time linear in its ancestors. A line or field that a
// parent has too is the parent's; the first parent that has it is asked, and a parent that has the same body before any
// other. So, as with git, what was deleted and is restored by a later revision is of the revision that restored it, since no
// parent had it. Errors are an ancestor that is missing and a parent that is not older.
func Blame(revisions []Revision, number int) (Origins, error) {
	byNumber := make(map[int]Revision, len(revisions))
	for _, r := range revisions {
		byNumber[r.Number] = r
	}
	needed, open := map[int]bool{number: true}, []int{number}
	for len(open) > 0 {
		r, ok := byNumber[open[0]]
		if !ok {
			return Origins{}, fmt.Errorf("blame revision %d: revision %d is not among those given", number, open[0])
		}
		open = open[1:]
		for _, p := range r.Parents {
			if p >= r.Number {
				return Origins{}, fmt.Errorf("blame revision %d: revision %d has the parent %d, which is not older", number, r.Number, p)
			}
			if !needed[p] {
				needed[p] = true
				open = append(open, p)
			}
		}
	}
	order := make([]int, 0, len(needed))
	for n := range needed {
		order = append(order, n)
	}
	slices.Sort(order)
	known := make(map[int]origin, len(needed))
	for _, n := range order {
		o, err := trace(byNumber[n], known)
		if err != nil {
			return Origins{}, fmt.Errorf("blame revision %d: %w", n, err)
		}
		known[n] = o
	}
	return known[number].Origins, nil
}

// origin is what is known of a revision while its descendants are traced.
type origin struct {
	Origins
	body   string
	lines  []string
	leaves map[string]string
}

func trace(r Revision, known map[int]origin) (origin, error) {
	leaves, err := leaves(r.Document)
	if err != nil {
		return origin{}, err
	}
	body := bodyOf(r.Document)
	out := origin{Origins{Fields: map[string]int{}}, body, markdown.Lines(body), leaves}
	out.Lines = make([]int, len(out.lines))
	for i := range out.Lines {
		out.Lines[i] = -1
	}
	parents := slices.Clone(r.Parents)
	slices.SortStableFunc(parents, func(a, b int) int { return differs(known[a], body) - differs(known[b], body) })
	for _, p := range parents {
		inherit(out.Lines, known[p], out.lines)
	}
	for i, n := range out.Lines {
		if n < 0 {
			out.Lines[i] = r.Number
		}
	}
	for path, text := range leaves {
		out.Fields[path] = r.Number
		for _, p := range r.Parents {
			if before, ok := known[p].leaves[path]; ok && before == text {
				out.Fields[path] = known[p].Fields[path]
				break
			}
		}
	}
	return out, nil
}

func differs(parent origin, body string) int {
	if parent.body == body {
		return 0
	}
	return 1
}

// inherit gives the lines that have no origin yet and that the parent has too the origin they have there.
func inherit(into []int, parent origin, lines []string) {
	if !slices.Contains(into, -1) {
		return
	}
	at, shift := 0, 0
	take := func(end int) {
		for ; at < end; at++ {
			if into[at+shift] < 0 {
				into[at+shift] = parent.Lines[at]
			}
		}
	}
	for _, h := range differences(parent.lines, lines) {
		take(h.a)
		at, shift = h.a+h.del, shift+h.ins-h.del
	}
	take(len(parent.lines))
}
