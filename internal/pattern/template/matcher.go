package template

import (
	"errors"
	"slices"
	"strings"
)

// A rule knows its shapes by matchers: canonical text with these bytes for slots, besides the bytes of the kinds, which take one
// token of their kind.
//
//	user \x1c logged \x1d     "logged" behind any tokens behind "user", and one token behind it
//	status=\x1e\x1f1=500      a value behind "status=" that is 500: token 1 of the text before the mark
const (
	kindStar   kind = 28 // one token or more
	kindOne    kind = 29 // one token
	kindMasked kind = 30 // one token that is a value by its look
)

// item is a token of a matcher, with the delimiters before it.
type item struct {
	gap  string
	word string // the literal prefix if it is a slot
	kind kind   // kindWord if it is literal and not masked
	wide bool   // a column that was absorbed will do as well

	value string // what a masked token must hold, prefix included; "" if it may hold anything
}

// slot reports whether the item stands for a slot of the pattern.
func (it *item) slot() bool { return it.kind != kindWord && it.value == "" }

// matcher tells whether a shape is of a form.
type matcher struct {
	items     []item
	tail      string // delimiters behind the last token
	skel      uint64
	fixed     bool // no slot takes more than one token, so that all it matches has skel
	constants int  // items that are literal: the more, the more specific
	asks      bool // some item has a value
	rule      int  // of a ruleSet
}

var (
	errSuffix = errors.New("text goes on behind a slot")
	errLong   = errors.New("too many tokens")
	errTold   = errors.New("a value without a place")
)

// compile reads canonical text.
func compile(text string, s *scanner) (*matcher, error) {
	parse := s.parse
	s.parse = true
	text, told := cutTold(text)
	s.scan([]byte(text))
	s.parse = parse
	if len(s.tokens) >= maxTokens {
		return nil, errLong
	}
	m := &matcher{skel: s.skel, fixed: true, items: make([]item, len(s.tokens))}
	end := 0
	for i := range s.tokens {
		t := &s.tokens[i]
		it := item{gap: string(s.text[end:t.textStart]), word: string(s.text[t.textStart:t.textEnd]), kind: t.kind}
		end = int(t.textEnd)
		if it.kind == kindWord {
			m.constants++
		} else {
			at := strings.IndexByte(it.word, byte(it.kind))
			if at != len(it.word)-1 {
				return nil, errSuffix
			}
			it.word = it.word[:at]
			m.fixed = m.fixed && it.kind != kindStar
		}
		m.items[i] = it
	}
	m.tail = string(s.text[end:])
	for _, a := range told {
		if int(a.column) >= len(m.items) || m.items[a.column].kind != kindMasked {
			return nil, errTold
		}
		m.ask(int(a.column), a.value)
	}
	return m, nil
}

// ask makes item i a value.
func (m *matcher) ask(i int, value string) {
	it := &m.items[i]
	if it.kind != kindWord {
		m.constants++
	}
	it.kind, it.word, it.value = kindMasked, "", value
	m.asks = true
}

// match reports whether the scanned text, of which so much is known, is of the form, and at which token each item begins. A star takes as
// few tokens as it can.
func (m *matcher) match(s *scanner, know telling, at *[maxTokens]uint8) bool {
	n := len(s.tokens)
	if n < len(m.items) || n > maxTokens {
		return false
	}
	end := 0
	if n > 0 {
		end = int(s.tokens[n-1].textEnd)
	}
	if string(s.text[end:]) != m.tail {
		return false
	}
	star, to := -1, 0 // the last star and the end of what it takes
	for i, j := 0, 0; i < len(m.items) || j < n; {
		if i < len(m.items) && j < n && m.items[i].takes(s, j, know) {
			at[i] = uint8(j)
			j++
			if m.items[i].kind == kindStar {
				star, to = i, j
			}
			i++
			continue
		}
		if to++; star < 0 || to > n {
			return false
		}
		i, j = star+1, to
	}
	return true
}

// takes reports whether the item may begin at token j.
func (it *item) takes(s *scanner, j int, know telling) bool {
	t := &s.tokens[j]
	from := int32(0)
	if j > 0 {
		from = s.tokens[j-1].textEnd
	}
	if string(s.text[from:t.textStart]) != it.gap {
		return false
	}
	if it.wide && t.kind == kindAny {
		return true
	}
	if it.value != "" {
		return t.kind != kindWord && know.is(t, j, it.value)
	}
	text := s.text[t.textStart:t.textEnd]
	if it.kind == kindWord {
		return string(text) == it.word || know.words && t.kind != kindWord && know.is(t, j, it.word)
	}
	if len(text) <= len(it.word) || string(text[:len(it.word)]) != it.word {
		return false
	}
	bare := t.kind != kindWord && len(text) == len(it.word)+1
	switch it.kind {
	case kindStar, kindOne, kindText:
		return true
	case kindMasked:
		return bare
	case kindAny: // the type word
		return bare && t.kind == kindAny || t.kind == kindWord
	case kindIdent:
		return !bare || t.kind == kindAny || t.kind == kindIdent
	}
	return bare && t.kind == it.kind
}

// slots counts the items that are slots.
func (m *matcher) slots() (n int) {
	for i := range m.items {
		if m.items[i].slot() {
			n++
		}
	}
	return n
}

// text returns the canonical text.
func (m *matcher) text() string {
	var b []byte
	var told []ask
	for i := range m.items {
		it := &m.items[i]
		b = append(append(b, it.gap...), it.word...)
		if it.kind != kindWord {
			b = append(b, byte(it.kind))
		}
		if it.value != "" {
			told = append(told, newAsk(i, it.value))
		}
	}
	return string(appendTold(append(b, m.tail...), told))
}

// fit appends where the slots of the form are in the scanned text. Where the text is not of the form, as when it belongs to a
// pattern that was merged into this one, the words that both have hold the slots in their places, and some may be empty.
func (m *matcher) fit(s *scanner, know telling, plan []slotPlan) []slotPlan {
	var at [maxTokens]uint8
	n := len(s.tokens)
	know.words = true
	if !m.match(s, know, &at) {
		return m.align(s, know, plan)
	}
	for i := range m.items {
		if !m.items[i].slot() {
			continue
		}
		last := n - 1
		if i+1 < len(m.items) {
			last = int(at[i+1]) - 1
		}
		plan = append(plan, slotPlan{first: at[i], last: uint8(last), skip: uint8(min(len(m.items[i].word), 255))})
	}
	return plan
}

func (m *matcher) align(s *scanner, know telling, plan []slotPlan) []slotPlan {
	words := make([]string, len(s.tokens))
	for j := range s.tokens {
		x := &s.tokens[j]
		words[j] = string(s.text[x.textStart:x.textEnd])
		if v, ok := know.at(x, j); ok && x.kind != kindWord {
			words[j] = v
		}
	}
	pairs := common(len(m.items), len(words), func(i, j int) bool { return m.items[i].kind == kindWord && m.items[i].word == words[j] })
	pairs = append(pairs, [2]int{len(m.items), len(words)})
	i, j := 0, 0
	for _, p := range pairs {
		left := 0
		for k := i; k < p[0]; k++ {
			if m.items[k].kind != kindWord {
				left++
			}
		}
		for ; i < p[0]; i++ {
			if m.items[i].kind == kindWord {
				continue
			}
			left--
			last := j
			if left == 0 {
				last = p[1] - 1
			}
			switch {
			case j < p[1]:
				sp := slotPlan{first: uint8(j), last: uint8(last)}
				if w := m.items[i].word; len(w) < 256 && len(w) < len(words[j]) && strings.HasPrefix(words[j], w) {
					sp.skip = uint8(len(w))
				}
				plan = append(plan, sp)
				j = last + 1
			case j < len(words):
				plan = append(plan, slotPlan{first: uint8(j), last: noTail, skip: 1, tail: true})
			default:
				plan = append(plan, slotPlan{last: noTail, tail: true})
			}
		}
		i, j = p[0]+1, p[1]+1
	}
	return plan
}

// common returns a longest common subsequence of two sequences of n and m things, as pairs of places. Of equally long ones it is
// the one whose places are least.
func common(n, m int, same func(i, j int) bool) (pairs [][2]int) {
	length := make([]uint16, (n+1)*(m+1))
	at := func(i, j int) *uint16 { return &length[i*(m+1)+j] }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			best := max(*at(i+1, j), *at(i, j+1))
			if same(i, j) {
				best = max(best, *at(i+1, j+1)+1)
			}
			*at(i, j) = best
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case same(i, j) && *at(i, j) == *at(i+1, j+1)+1:
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case *at(i, j) == *at(i+1, j):
			i++
		default:
			j++
		}
	}
	return pairs
}

// widened returns the form with which shapes match too that absorbed a column of what it matches.
func (m *matcher) widened() *matcher {
	w := *m
	w.items = slices.Clone(m.items)
	for i := range w.items {
		w.items[i].wide = true
	}
	return &w
}
