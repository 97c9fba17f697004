package template

import (
	"fmt"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// The roles of a token in an Explanation.
const (
	RoleConstant = "constant" // the same word as in the template
	RoleValue    = "value"    // stands in a slot
	RoleDiffers  = "differs"  // the nearest template has something else there
	RoleExtra    = "extra"    // the nearest template has nothing there
)

// Token is a token of a message and what it has to do with the template.
type Token struct {
	Span
	Role string
	Slot int          // index in the slots of the pattern; -1 for none
	Type pattern.Type // what a value looks like by itself; "" for a word
	Want string       // what the template has there, where it differs
}

// Explanation says why a message has its pattern, or why it has none.
type Explanation struct {
	Match                   // as Recognise fills it; empty where the message has no pattern
	Known   bool            // whether it has one
	Of      pattern.Pattern // the pattern that the tokens are compared with: the message's own, or else the nearest
	Tokens  []Token
	Missing []string // tokens of the nearest template that the message does not have
	Why     string   // in words: how it was found, and why with less than full confidence
	Next    *Near    // the nearest other pattern and where it differs; nil for none
}

// Explain recognises a message and says which of its tokens matched, which slot took what, and which other pattern is nearest and
// where that differs. Of a message without a pattern it says the same against the nearest one. It allocates, and takes some 100 µs.
func (ix *Index) Explain(message []byte) Explanation {
	s := ix.scanners.Get().(*scanner)
	defer ix.scanners.Put(s)
	s.scan(message)
	var e Explanation
	got := partsOf(string(s.text), s)
	if e.Known = ix.match(s, message, &e.Match); e.Known {
		e.Of, _ = ix.Pattern(e.Pattern)
		e.Tokens, e.Why = known(s, e.Values), ix.why(s, message, &e.Match)
	} else {
		near, want := ix.nearest(got, "")
		if near.Score == 0 {
			e.Tokens, e.Why = known(s, nil), "no pattern shares a word with it, or has as many tokens"
			return e
		}
		e.Of, _ = ix.Pattern(near.Pattern)
		e.Tokens, e.Missing = against(s, want, got)
		e.Why = fmt.Sprintf("no pattern has these words and delimiters; of the nearest, %d %% of the tokens agree", int(100*near.Score))
	}
	if near, _ := ix.nearest(got, e.Of.ID); near.Score > 0 {
		e.Next = &near
	}
	return e
}

// why says how a message was recognised.
func (ix *Index) why(s *scanner, message []byte, m *Match) string {
	p, _ := ix.Pattern(m.Pattern)
	by := ix.rules.best(s, telling{message: message})
	switch {
	case by != nil && ix.rules.rules[by.rule].Target.ID == p.ID:
		seen := "lines with these words and types of values were learnt"
		if m.Confidence < 1 {
			seen = "no such line was learnt yet"
		}
		return fmt.Sprintf("a rule that a person made takes it, and rules win: the pattern is %s and has %d of its %d tokens as words%s; %s", p.Origin, by.constants, len(s.tokens), by.valued(), seen)
	case m.Confidence < 1:
		open := int(2*(1-m.Confidence)*float64(len(s.tokens)) + .5)
		return fmt.Sprintf("a word that was never seen there stands in a slot; %d of %d tokens are in slots that take any word", open, len(s.tokens))
	case ix.exact(s) >= 0:
		return "lines with these words and types of values were learnt"
	}
	return "lines with any word in a place of this one were learnt: so many words were seen there"
}

// valued says which of the words are values that the rule asks for.
func (m *matcher) valued() string {
	var values []string
	for i := range m.items {
		if v := m.items[i].value; v != "" {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return ""
	}
	return ", among them the value " + strings.Join(values, " and the value ")
}

// known are the tokens of a message whose values are known.
func known(s *scanner, values []Span) []Token {
	out := make([]Token, len(s.tokens))
	for i := range s.tokens {
		t := &s.tokens[i]
		out[i] = Token{Span: Span{int(t.start), int(t.end)}, Role: RoleConstant, Slot: -1, Type: looks(t)}
		for k, v := range values {
			if v.Start < v.End && int(t.start) < v.End && v.Start < int(t.end) {
				out[i].Role, out[i].Slot = RoleValue, k
			}
		}
	}
	return out
}

func looks(t *token) pattern.Type {
	if t.kind == kindWord {
		return ""
	}
	return typeOf[t.kind]
}

// against are the tokens of a message compared with those of a template that it does not have.
func against(s *scanner, want, got []part) (out []Token, missing []string) {
	out = known(s, nil)
	n, m := len(want), len(got)
	front, back := agreeing(want, got)
	slotOf, slots := make([]int, n), 0
	for i := range want {
		slotOf[i] = -1
		if want[i].slot {
			slotOf[i] = slots
			slots += strings.Count(want[i].word, pattern.Wildcard)
		}
	}
	for i := range out {
		at := i
		if i >= m-back {
			at = n - m + i
		}
		switch {
		case i >= front && i < m-back && i >= n-back:
			out[i].Role = RoleExtra
			continue
		case !agrees(want[at], got[i]):
			out[i].Role, out[i].Want = RoleDiffers, want[at].word
		case want[at].slot:
			out[i].Role, out[i].Slot = RoleValue, slotOf[at]
		}
	}
	for i := max(front, m-back); i < n-back; i++ {
		missing = append(missing, want[i].word)
	}
	return out, missing
}
