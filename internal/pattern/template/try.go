package template

import (
	"cmp"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Tried is a pattern of a few messages mined by themselves.
type Tried struct {
	pattern.Pattern
	Messages []int      // which have it, from 0
	Known    pattern.ID // the pattern of the library that most of these have; "" for none
	As       int        // how many of them have that
	Nearest  *Near      // where none has one: the library's nearest to the first of them
}

// Try mines messages by themselves, and says which pattern of a library each of theirs would be. Nothing is learnt by the library, whose
// index may be nil. The patterns with the most messages come first. A message beyond the bound on shapes is in none.
func Try(ix *Index, messages [][]byte) []Tried {
	mined := NewOffline(TallyOptions{})
	for _, m := range messages {
		mined.Add(m, m, 0)
	}
	assign := mined.Assign()
	at, out := map[pattern.ID]int{}, []Tried{}
	for i := range messages {
		id, _ := assign(i)
		if id == "" {
			continue
		}
		k, ok := at[id]
		if !ok {
			k = len(out)
			at[id] = k
			p, _ := mined.Library().Pattern(id)
			out = append(out, Tried{Pattern: p})
		}
		out[k].Messages = append(out[k].Messages, i)
	}
	for k := range out {
		out[k].compare(ix, messages)
	}
	slices.SortStableFunc(out, func(a, b Tried) int {
		return cmp.Or(cmp.Compare(len(b.Messages), len(a.Messages)), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// compare finds the library's pattern of the messages.
func (t *Tried) compare(ix *Index, messages [][]byte) {
	if ix == nil {
		return
	}
	var m Match
	votes := map[pattern.ID]int{}
	for _, i := range t.Messages {
		if ix.Recognise(messages[i], &m) {
			votes[m.Pattern]++
		}
	}
	for id, n := range votes {
		if n > t.As || n == t.As && id < t.Known {
			t.Known, t.As = id, n
		}
	}
	if t.Known == "" {
		if near, ok := ix.Nearest(messages[t.Messages[0]]); ok {
			t.Nearest = &near
		}
	}
}
