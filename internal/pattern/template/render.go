package template

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// part is one token of the template of a cluster, with the delimiters before it.
type part struct {
	gap  string // delimiters before the token
	word string // constant text; the literal prefix if slot
	slot bool
	kind kind
	void bool // a slot that never held anything
	unit bool // a slot of units of size, part of the number before it

	first, last uint8 // tokens of the message
	skip        uint8 // bytes of the first token before the value
}

// slotPlan says where the value of a template slot is among the tokens of a message: from token first, less skip bytes of
// literal prefix, to the end of token last.
type slotPlan struct {
	first, last uint8
	skip        uint8
	tail        bool // the optional tail; absent from this cluster if last is noTail, and then before token first if skip is 1
}

const noTail = 0xff

// rendered is the template of a cluster.
type rendered struct {
	parts []part
	tail  string // delimiters behind the last token
}

// render makes the template of a cluster. The constant text is that of the least row text.
func render(c *cluster, texts func(shape uint32) string, s *scanner) rendered {
	rep := c.rows[0]
	repText := texts(rep.shape)
	for _, r := range c.rows[1:] {
		if t := texts(r.shape); t < repText {
			rep, repText = r, t
		}
	}
	s.parse = true
	s.scan([]byte(repText))
	out := rendered{parts: make([]part, len(s.tokens))}
	end := 0
	for i := range s.tokens {
		t := &s.tokens[i]
		p := part{gap: plainGap(repText[end:t.textStart])}
		end = int(t.textEnd)
		switch cell := rep.cells[i]; {
		case c.vars.has(i) || cell.bare:
			p.word = shared(c.rows, i)
			p.slot, p.kind = true, cover(c.rows, i, p.word != "")
			p.void = p.kind == kindEmpty
			p.unit = p.gap == " " && i > 0 && out.parts[i-1].slot && sizeUnit(cell.text)
		case cell.kind != kindWord:
			p.slot, p.kind = true, cell.kind
			p.word = cell.text[:strings.IndexByte(cell.text, byte(cell.kind))]
		default:
			p.word = cell.text
		}
		p.first, p.last, p.skip = uint8(i), uint8(i), uint8(min(len(p.word), 255))
		out.parts[i] = p
	}
	out.tail = repText[end:]
	return out
}

// plainGap returns delimiters as they stand in a message.
func plainGap(gap string) string { return strings.ReplaceAll(gap, string(rune(joint)), "") }

// shared returns the literal prefix that all values of a column have: what the scanner takes for a prefix, or the letters of words
// such as node17. What values have in common beyond that is not kept: it would change with the next value, and the id with it.
func shared(rows []row, c int) string {
	prefix := rows[0].cells[c].prefix()
	for i := range rows[1:] {
		if prefix == "" || rows[i+1].cells[c].prefix() != prefix {
			return ""
		}
	}
	return prefix
}

func (x *cell) prefix() string {
	switch {
	case x.bare:
		return ""
	case x.kind == kindWord:
		if n := stemOf(x.text); n > 0 {
			return x.text[:n]
		}
		n := strings.LastIndexAny(x.text, "-_") + 1
		if n > 1 && len(x.text)-n >= 4 && allHex([]byte(x.text[n:])) {
			return x.text[:n]
		}
		return ""
	}
	return x.text[:strings.IndexByte(x.text, byte(x.kind))]
}

// cover returns the kind that covers all values of a column, less their literal prefix if they share one.
func cover(rows []row, c int, prefixed bool) kind {
	k := valueKindOf(&rows[0].cells[c], prefixed)
	for i := range rows[1:] {
		k = joinKinds(k, valueKindOf(&rows[i+1].cells[c], prefixed))
	}
	return k
}

func valueKindOf(x *cell, prefixed bool) kind {
	switch {
	case x.bare || prefixed && x.kind != kindWord:
		return x.kind
	case prefixed:
		return kindNumber
	case x.kind != kindWord || identLike(x.text):
		return kindIdent
	}
	return kindWord
}

func joinKinds(a, b kind) kind {
	switch {
	case a == b:
		return a
	case a == kindWord && b == kindIdent || a == kindIdent && b == kindWord:
		return kindIdent
	}
	return kindText
}

// words returns a hash of the constant words and slots of a template that does not depend on delimiters and on how many slots
// stand in a row; clusters with equal words are one family.
func (r *rendered) words() uint64 {
	h := uint64(k1)
	for i := range r.parts {
		h = r.mix(h, i)
	}
	return h
}

// mix adds part i to the hash of the parts before it.
func (r *rendered) mix(h uint64, i int) uint64 {
	p := &r.parts[i]
	if r.continues(i) {
		return h
	}
	h = (h ^ hashBytes([]byte(p.word))) * k2
	if p.slot {
		h = (h ^ 1) * k3
	}
	return h ^ h>>31
}

// elements counts the words and slots, slots in a row as one.
func (r *rendered) elements() (n int) {
	for i := range r.parts {
		if !r.continues(i) {
			n++
		}
	}
	return n
}

// partOf returns how many parts the first n elements are.
func (r *rendered) partOf(n int) int {
	for i := range r.parts {
		if !r.continues(i) {
			n--
		}
		if n < 0 {
			return i
		}
	}
	return len(r.parts)
}

// stem is the hash of the first elements, of what stands in quotes only that it does: minStem of them, or two with a word among them.
func (r *rendered) stem() uint32 {
	h, n, held := uint64(k1), 0, false
	quotes := r.enclosures()
	for i := 0; i < len(r.parts); {
		if n == minStem || n == minStem-1 && held {
			break
		}
		if len(quotes) > 0 && quotes[0].from == i {
			h = (h ^ k2) * k3
			h ^= h >> 31
			i, quotes = quotes[0].to, quotes[1:]
			n++
			continue
		}
		p := &r.parts[i]
		held = held || !p.slot && strings.IndexFunc(p.word, wordRune) >= 0
		h = r.mix(h, i)
		for i++; i < len(r.parts) && r.continues(i); i++ {
		}
		n++
	}
	return uint32(h >> 32)
}

// prefixes returns the words of the templates that this one may be with a tail more, the shortest first.
func (r *rendered) prefixes() (out []uint64) {
	last, fields := 0, 0
	for i := len(r.parts) - 1; i > 0; i-- {
		if strings.HasPrefix(r.parts[i].gap, "=") {
			if fields++; fields == 2 {
				last = i
				break
			}
		}
	}
	h, n := uint64(k1), 0
	for i := range r.parts {
		if !r.continues(i) {
			if n >= minStem && i > last && !r.startsField(i) {
				out = append(out, h)
			}
			n++
		}
		h = r.mix(h, i)
	}
	return out
}

// startsField reports whether part i is a key or the value of one.
func (r *rendered) startsField(i int) bool {
	return i+1 < len(r.parts) && strings.HasPrefix(r.parts[i+1].gap, "=") || strings.HasPrefix(r.parts[i].gap, "=")
}

// continues reports whether part i goes on with the slot before it: slots in a row are one when templates are compared.
func (r *rendered) continues(i int) bool {
	p := &r.parts[i]
	if !p.slot || i == 0 || !r.parts[i-1].slot {
		return false
	}
	return p.word == "" || p.word == r.parts[i-1].word && p.gap == " "
}

// merged says for each element where members of a family differ. There slots in a row become one, but for those in front and behind
// that all members have, and a slot that never held anything in one member is a slot all the same. Nil means nowhere.
type merged []span

type span struct {
	differ, full bool
	lead, trail  int // slots of the run that stay apart
	least        int // the least slots of a run
}

func (m merged) at(e int) span {
	if e < len(m) {
		return m[e]
	}
	return span{}
}

// runs returns the parts of each element: elements e is parts[runs[e]:runs[e+1]].
func (r *rendered) runs() []int {
	var out []int
	for i := range r.parts {
		if !r.continues(i) {
			out = append(out, i)
		}
	}
	return append(out, len(r.parts))
}

// differences adds to m how r and s, which have the same words, differ in the elements of m.
func (m merged) differences(r, s *rendered) {
	a, b := r.runs(), s.runs()
	for e := range m {
		x, y := r.parts[a[e]:a[e+1]], s.parts[b[e]:b[e+1]]
		m[e].compare(x, y)
	}
}

func (d *span) compare(x, y []part) {
	least := min(len(x), len(y))
	if d.least == 0 || least < d.least {
		d.least = least
	}
	lead, trail := 1, 0
	for lead < least && x[lead].gap == y[lead].gap {
		lead++
	}
	for trail < least-1 && x[len(x)-1-trail].gap == y[len(y)-1-trail].gap {
		trail++
	}
	if len(x) != len(y) || lead < least {
		if !d.differ {
			d.differ, d.lead, d.trail = true, lead, trail
		}
		d.lead, d.trail = min(d.lead, lead), min(d.trail, trail)
	}
	d.lead = min(d.lead, d.least-1)
	d.trail = min(d.trail, d.least-1-d.lead)
	d.full = d.full || !sameVoids(x, y)
}

// sameVoids reports whether the same slots of two runs never held anything; if the runs differ in length, whether none is such a slot.
func sameVoids(x, y []part) bool {
	if len(x) == len(y) {
		return slices.EqualFunc(x, y, func(a, b part) bool { return a.void == b.void })
	}
	void := func(p part) bool { return p.void }
	return !slices.ContainsFunc(x, void) && !slices.ContainsFunc(y, void)
}

// visit calls fn with each part, its element, and whether it joins the slot before it.
func (r *rendered) visit(m merged, fn func(i, e int, joins bool)) {
	runs := r.runs()
	for e := range len(runs) - 1 {
		n := runs[e+1] - runs[e]
		for k := range n {
			i, d := runs[e]+k, m.at(e)
			fn(i, e, k > 0 && (r.parts[i].unit || d.differ && k > d.lead && k < n-d.trail))
		}
	}
}

// text returns the template text; where members of a family differ slots in a row become one, and brackets that open between them
// close with them.
func (r *rendered) text(m merged) string {
	var b strings.Builder
	open := ""
	r.visit(m, func(i, e int, joins bool) {
		p := &r.parts[i]
		if joins {
			open = brackets(open, p.gap)
			return
		}
		b.WriteString(closed(open, p.gap))
		open = ""
		b.WriteString(p.word)
		if p.shows(m.at(e)) {
			b.WriteString(pattern.Wildcard)
		}
	})
	b.WriteString(closed(open, r.tail))
	return b.String()
}

// shows reports whether a part is a slot of the template.
func (p *part) shows(d span) bool { return p.slot && (!p.void || d.full) }

// brackets returns the brackets that are open behind gap, innermost first, given those before it.
func brackets(open, gap string) string {
	for i := range len(gap) {
		switch c := gap[i]; c {
		case '(', '[', '{':
			open = string(closing(c)) + open
		case ')', ']', '}':
			if open != "" && open[0] == c {
				open = open[1:]
			}
		}
	}
	return open
}

// closed takes the closing of the brackets off the front of gap.
func closed(open, gap string) string {
	for open != "" && gap != "" && gap[0] == open[0] {
		open, gap = open[1:], gap[1:]
	}
	return gap
}

// plan says where the values are.
func (r *rendered) plan(m merged) []slotPlan {
	var out []slotPlan
	r.eachSlot(m, func(i int, joins bool) {
		p := &r.parts[i]
		if joins {
			out[len(out)-1].last = p.last
			return
		}
		out = append(out, slotPlan{first: p.first, last: p.last, skip: p.skip})
	})
	return out
}

// eachSlot calls fn with the parts that are slots, and whether one joins that before it.
func (r *rendered) eachSlot(m merged, fn func(i int, joins bool)) {
	r.visit(m, func(i, e int, joins bool) {
		if r.parts[i].shows(m.at(e)) {
			fn(i, joins)
		}
	})
}

// slots types and names the slots.
func (r *rendered) slots(m merged) []pattern.Slot {
	var out []pattern.Slot
	r.eachSlot(m, func(i int, joins bool) {
		typ := typeOf[r.parts[i].kind]
		if i+1 < len(r.parts) && r.parts[i+1].unit || r.parts[i].unit {
			typ = pattern.Size
		}
		if joins {
			if last := &out[len(out)-1]; last.Type != typ {
				last.Type = pattern.Text
			}
			return
		}
		name := r.key(i)
		if name == "" {
			name = string(typ)
		}
		out = append(out, pattern.Slot{Name: unused(name, out), Type: typ})
	})
	return out
}

// unused returns the name with a number if a slot has it already.
func unused(name string, slots []pattern.Slot) string {
	try := name
	for n := 2; slices.ContainsFunc(slots, func(s pattern.Slot) bool { return s.Name == try }); n++ {
		try = name + "_" + strconv.Itoa(n)
	}
	return try
}

// joinTypes widens the types of slots to cover those of others in the same places.
func joinTypes(slots, others []pattern.Slot) {
	for i := range min(len(slots), len(others)) {
		a, b := slots[i].Type, others[i].Type
		switch {
		case a == b:
		case (a == pattern.Word || a == pattern.Identifier) && (b == pattern.Word || b == pattern.Identifier):
			slots[i].Type = pattern.Identifier
		default:
			slots[i].Type = pattern.Text
		}
	}
}

// key returns the key of key=value or "key": value that stands before part i.
func (r *rendered) key(i int) string {
	if i == 0 || r.parts[i-1].slot || r.parts[i].word != "" {
		return ""
	}
	switch r.parts[i].gap {
	case "=", `="`, "='", `":`, `": `, `":"`, `": "`, ":", ": ":
		k := r.parts[i-1].word
		if len(k) <= 64 && keyWord(k) {
			return k
		}
	}
	return ""
}

func keyWord(k string) bool {
	for i := range len(k) {
		if classOf[k[i]]&(isWord|isSep) == 0 || classOf[k[i]]&isControl != 0 {
			return false
		}
	}
	return k != ""
}
