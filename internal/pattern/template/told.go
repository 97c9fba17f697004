package template

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A rule may ask for a value that shapes mask: the 500 of status=500. Lines whose shape it may take are then counted apart by that value,
// under a shape that tells it:
//
//	message   GET /a status=500        GET /b status=200
//	shape     GET ▒ status=▒           GET ▒ status=▒
//	asked     column 3: 500            column 3: 500
//	counted   GET ▒ status=▒ | 3=500   GET ▒ status=▒
//
// A told shape takes no part in mining. It hangs from the shape that it tells the values of, its base, and has the base's pattern
// unless a rule takes it. So nothing is changed by rules that ask, and without them told shapes mean what their bases mean. Which values are
// told is a function of the message and the rules; lines that were counted before a rule asked stay where they are.

// toldMark stands before each value in the text of a told shape and of a matcher. No message has it in its shape.
const toldMark = '\x1f'

// ask is a value that some rule asks for, or that a told shape has, in a column.
type ask struct {
	column uint8
	value  string
	hash   uint64
}

func newAsk(column int, value string) ask {
	return ask{column: uint8(column), value: value, hash: mixAt(hashBytes([]byte(value)), column)}
}

func compareAsks(a, b ask) int {
	return cmp.Or(cmp.Compare(a.column, b.column), cmp.Compare(a.value, b.value))
}

// appendTold appends to canonical text what it tells.
func appendTold(text []byte, told []ask) []byte {
	for _, a := range told {
		text = strconv.AppendUint(append(text, toldMark), uint64(a.column), 10)
		text = append(append(text, '='), a.value...)
	}
	return text
}

// cutTold parts canonical text into that of the base and what is told, the columns ascending. What cannot be read tells nothing.
func cutTold(text string) (base string, told []ask) {
	base, rest, ok := strings.Cut(text, string(toldMark))
	if !ok {
		return base, nil
	}
	for part := range strings.SplitSeq(rest, string(toldMark)) {
		column, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseUint(column, 10, 8)
		if err != nil || value == "" || n >= maxTokens || len(told) > 0 && uint8(n) <= told[len(told)-1].column {
			return base, nil
		}
		told = append(told, newAsk(int(n), value))
	}
	return base, told
}

// baseText is canonical text without what it tells.
func baseText(text []byte) []byte {
	if at := slices.Index(text, toldMark); at >= 0 {
		return text[:at]
	}
	return text
}

// Asks returns those of the rule's matchers that ask for values which shapes mask. Lines that were read before the rule held are not told
// apart by them.
func (r *Rule) Asks() (matchers []string) {
	for _, text := range r.Matchers {
		if strings.Contains(text, string(toldMark)) {
			matchers = append(matchers, text)
		}
	}
	return matchers
}

// teller makes the id and the proof of a told shape of those of its base.
type teller struct {
	id, proof uint64
	told      bool
}

func tellOf(base ShapeID, proof uint32) teller { return teller{id: uint64(base), proof: uint64(proof)} }

func (t *teller) add(a *ask) {
	t.id = (t.id ^ a.hash) * k2
	t.id ^= t.id >> 29
	t.proof = fold(t.proof^a.hash, secret[0])
	t.told = true
}

func (t *teller) shape() (ShapeID, uint32) { return finish(t.id, k1), uint32(t.proof ^ t.proof>>32) }

// of tells all values that a message has of those that are asked for.
func (t *teller) of(asked []ask, s *scanner, message []byte) {
	for i := range asked {
		if a := &asked[i]; a.in(s, message) {
			t.add(a)
		}
	}
}

// in reports whether the message that was scanned has the value.
func (a *ask) in(s *scanner, message []byte) bool {
	if int(a.column) >= len(s.tokens) {
		return false
	}
	x := &s.tokens[a.column]
	return string(message[x.start:x.end]) == a.value
}

// appendHas appends what a message has of what is asked for.
func appendHas(has, asked []ask, s *scanner, message []byte) []ask {
	for i := range asked {
		if asked[i].in(s, message) {
			has = append(has, asked[i])
		}
	}
	return has
}

// telling is what is known of the masked columns of a scanned text: all, if it is a message; else what was told. The zero value knows nothing.
type telling struct {
	message []byte
	told    []ask
	any     bool // a column may hold whatever is asked for
	words   bool // a literal word may be a value that is known
}

// is reports whether masked column j, token x, holds the value.
func (t *telling) is(x *token, j int, value string) bool {
	if t.any {
		return true
	}
	if t.message != nil {
		return string(t.message[x.start:x.end]) == value
	}
	got, ok := t.at(x, j)
	return ok && got == value
}

// at returns what masked column j, token x, holds.
func (t *telling) at(x *token, j int) (value string, ok bool) {
	if t.message != nil {
		return string(t.message[x.start:x.end]), true
	}
	for i := range t.told {
		if int(t.told[i].column) == j {
			return t.told[i].value, true
		}
	}
	return "", false
}

// asks returns what the rules ask of a scanned text, sorted: for each matcher that may take it, its values in each column where they may
// stand. That may be more than a rule takes in the end.
func (set *ruleSet) asks(s *scanner) (asked []ask) {
	var at [maxTokens]uint8
	for _, m := range set.asking {
		if m.fixed && m.skel != s.skel || !m.match(s, telling{any: true}, &at) {
			continue
		}
		for i := range m.items {
			it := &m.items[i]
			if it.value == "" {
				continue
			}
			from, to := i, i
			if !m.fixed {
				to = len(s.tokens) - len(m.items) + i
			}
			for j := from; j <= to; j++ {
				if it.takes(s, j, telling{any: true}) {
					asked = append(asked, newAsk(j, it.value))
				}
			}
		}
	}
	slices.SortFunc(asked, compareAsks)
	return slices.CompactFunc(asked, func(a, b ask) bool { return compareAsks(a, b) == 0 })
}

// askOf returns the number + 1 in asked of what the rules ask of an entry with this text, or 0.
func (t *Tally) askOf(text []byte) uint32 {
	if t.known == nil || len(t.known.rules.asking) == 0 || slices.Contains(text, toldMark) {
		return 0
	}
	s := scanner{parse: true}
	s.scan(text)
	a := t.known.rules.asks(&s)
	if len(a) == 0 {
		return 0
	}
	t.asked = append(t.asked, a)
	return uint32(len(t.asked))
}

// toldEntry returns the entry that counts the message just scanned, whose shape has entry k, apart by the values asked for that it has.
func (t *Tally) toldEntry(k int, asked []ask, message []byte) int {
	e := &t.entries[k]
	tell := tellOf(e.id, e.proof)
	if tell.of(asked, &t.scan, message); !tell.told {
		return k
	}
	id, proof := tell.shape()
	if j := t.find(id); j >= 0 {
		if j = t.resolve(j); t.entries[j].proof == proof {
			return j
		}
		return k
	}
	if t.live >= t.max {
		return k
	}
	return t.insert(id, proof, appendTold(slices.Clone(e.text), appendHas(nil, asked, &t.scan, message)))
}
