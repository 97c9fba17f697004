package template

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The scanner turns a message into its shape in one pass:
//
//	message  Failed password for root from 10.0.0.7:22 after [1,2,3] ms=
//	tokens   Failed password for root from ▒▒▒▒▒▒▒▒▒▒▒ after [▒▒▒▒▒] ms=▒
//	text     Failed password for root from \x06 after [\x03] ms=\x01
//
// A token is a run of word bytes and inner punctuation; everything else is a delimiter. A token that is a value becomes
// one control byte that says its kind, perhaps behind a literal prefix (blk_\x03). White space runs become one space.
// Shape ids add up over tokens, so that the id of a shape with a column masked costs one addition (see masked).

const (
	maxTokens = 128  // columns of a shape; what follows is one slot
	maxText   = 2048 // bytes of canonical text; what follows is one slot
	maxWord   = 255  // bytes of a constant word; a longer one is a value
)

// token is one column of a shape. Offsets are int32: messages are at most 64 KiB when they come through package lines.
type token struct {
	start, end         int32 // in the message
	slotStart          int32 // in the message: where the variable part starts, if kind is not kindWord
	textStart, textEnd int32 // in the canonical text
	hash               uint64
	kind               kind
	prefixed           bool // literal text before the slot
}

// scanner holds the result of the last scan. It is reused to allocate nothing.
type scanner struct {
	text   []byte
	tokens []token
	sum    uint64 // sum of the mixed token hashes
	skel   uint64 // hash of the delimiters and of the places of tokens between them
	parse  bool   // the input is canonical text: no classification
	mark   uint64 // skel at the end of the last token
	gap    int    // where in text the delimiters since the last token start
	round  bool   // the bracket opened last is round: what stands in it are arguments rather than a list
}

const (
	k1 = 0x9E3779B97F4A7C15
	k2 = 0xff51afd7ed558ccd
	k3 = 0xc4ceb9fe1a85ec53
)

// mixAt spreads the hash of a token over its place, so that sums over tokens tell order apart.
func mixAt(h uint64, i int) uint64 {
	x := (h ^ uint64(i+1)*k1) * k2
	return (x ^ x>>32) * k3
}

// finish makes an id of the sums of a shape.
func finish(sum, skel uint64) ShapeID {
	x := (sum ^ bits.RotateLeft64(skel, 23)) * k2
	x = (x ^ x>>29) * k3
	x ^= x >> 32
	if x == 0 {
		return 1
	}
	return ShapeID(x)
}

func hashBytes(b []byte) uint64 {
	h := uint64(len(b)) * k1
	for len(b) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(b)) * k2
		h ^= h >> 29
		b = b[8:]
	}
	if len(b) > 0 {
		var x uint64
		if len(b) >= 4 {
			x = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))<<32
		} else {
			x = uint64(b[0]) | uint64(b[len(b)/2])<<8 | uint64(b[len(b)-1])<<16
		}
		h = (h ^ x) * k2
		h ^= h >> 29
	}
	return h
}

// slotHash is the token hash of a bare slot of the kind.
func slotHash(k kind) uint64 { return uint64(k)*k3 + k1 }

func (s *scanner) id() ShapeID { return finish(s.sum, s.skel) }

// masked returns the sum with column c replaced by any word, given the sum.
func (s *scanner) masked(sum uint64, c int) uint64 {
	return sum - mixAt(s.tokens[c].hash, c) + mixAt(slotHash(kindText), c)
}

// scan reads a message. What an earlier scan found is overwritten.
func (s *scanner) scan(m []byte) {
	s.text, s.tokens, s.sum, s.skel, s.mark, s.gap, s.round = s.text[:0], s.tokens[:0], 0, 0, 0, 0, false
	i, n := 0, len(m)
	for i < n {
		c := classOf[m[i]]
		switch {
		case c&(isWord|isPunct) != 0:
			if !s.parse && (len(s.tokens) >= maxTokens-1 || len(s.text) >= maxText) {
				s.rest(m, i)
				i = n
				continue
			}
			i = s.run(m, i)
		case c&isSpace != 0:
			for i < n && classOf[m[i]]&isSpace != 0 {
				i++
			}
			if len(s.text) > 0 && i < n {
				s.delim(' ')
			}
		default:
			if !s.parse && len(s.text) >= maxText {
				s.rest(m, i)
				i = n
				continue
			}
			i = s.punct(m, i)
		}
	}
}

func (s *scanner) delim(b byte) {
	s.text = append(s.text, b)
	s.skel = (s.skel + uint64(b) + 1) * k1
}

// rest makes one slot of what is beyond the bounds.
func (s *scanner) rest(m []byte, i int) {
	if len(s.tokens) > 0 && s.gap == len(s.text) {
		s.delim(' ')
	}
	end := len(m)
	for end > i && classOf[m[end-1]]&isSpace != 0 {
		end--
	}
	s.slot(m, i, i, end, kindText)
}

// run reads a run of word and inner punctuation bytes that starts at i and returns where to go on.
func (s *scanner) run(m []byte, i int) int {
	var flags class
	j := i
	for j < len(m) {
		c := classOf[m[j]]
		if c&(isWord|isPunct) == 0 {
			break
		}
		flags |= c
		j++
	}
	a, b := i, j
	if flags&isPunct != 0 {
		a, b = trim(m, i, j)
		if a > i || b == a {
			// Punctuation without a word, or in front of one, is delimiter.
			for _, p := range m[i:max(a, i+1)] {
				s.delim(p)
			}
			return max(a, i+1)
		}
		if b < j {
			flags = 0
			for _, p := range m[a:b] {
				flags |= classOf[p]
			}
		}
	}
	if s.parse {
		return s.parsed(m, a, b, flags)
	}
	if flags&isWide != 0 {
		if e := scriptEnd(m, a, b); e < b {
			b, flags = e, orClass(m[a:e])
		}
	}
	if b-a > maxWord {
		return s.slot(m, a, a, toEnd(m, b), kindText)
	}
	if flags&(isDigit|isControl|isHigh|isSlash|isAt) == 0 && (b >= len(m) || m[b] != ':') {
		if b-a == 3 {
			if end, ok := calendar(m, a); ok {
				return s.slot(m, a, a, toEnd(m, end), kindTime)
			}
		}
		if b-a < 16 || flags&isOtherAlpha != 0 {
			if b-a <= 5 && s.truth(m[a:b]) {
				return s.slot(m, a, a, b, kindIdent)
			}
			s.word(m, a, b)
			return b
		}
	}
	if b-a == 3 {
		if end, ok := calendar(m, a); ok {
			return s.slot(m, a, a, toEnd(m, end), kindTime)
		}
	}
	if flags&isHigh != 0 && !utf8.Valid(m[a:b]) {
		return s.slot(m, a, a, b, kindText)
	}
	k, from, end := classify(m, a, b, flags)
	if k == kindWord {
		s.word(m, a, b)
		return b
	}
	return s.slot(m, a, a+from, toEnd(m, end), k)
}

// scriptEnd returns where in m[a:b] a script without blanks begins or ends.
func scriptEnd(m []byte, a, b int) int {
	path := classOf[m[a]]&isSlash != 0
	from := a
	for classOf[m[from]]&isPunct != 0 {
		from++
	}
	wide := classOf[m[from]]&isWide != 0
	for i := from; i < b; {
		c := classOf[m[i]]
		if path {
			if i > a && c&isWide != 0 && classOf[m[i-1]]&(isDigit|isHexAlpha|isOtherAlpha) != 0 {
				return i
			}
			i++
			continue
		}
		if c&isPunct == 0 && (c&isWide != 0) != wide {
			for i > a && !wide && classOf[m[i-1]]&isTrailing != 0 {
				i--
			}
			return i
		}
		if wide && c&isPunct != 0 {
			return i
		}
		if c&isWide != 0 {
			i += 3
		} else {
			i++
		}
	}
	return b
}

// toEnd lets a value that ends within a run of word bytes take the rest of it.
func toEnd(m []byte, end int) int {
	if end == len(m) || classOf[m[end]]&(isWord|isPunct) == 0 {
		return end
	}
	e := end
	for e < len(m) && classOf[m[e]]&(isWord|isPunct) != 0 && classOf[m[e]]&isWide == 0 {
		e++
	}
	for e > end && classOf[m[e-1]]&isTrailing != 0 {
		e--
	}
	return e
}

// trim splits the punctuation off the ends of m[i:j] that is not part of a word. If the result is empty or starts behind
// i, what is before it is delimiter.
func trim(m []byte, i, j int) (a, b int) {
	a = i
	for a < j && classOf[m[a]]&isWord == 0 {
		a++
	}
	if a == j {
		return j, j
	}
	if lead := a - i; lead == 1 || lead == 2 && m[i] != '.' {
		a = i
	} else if lead > 0 {
		return a, j
	}
	b = j
	k := a
	for k < j && classOf[m[k]]&isWord == 0 {
		k++
	}
	for ; k+1 < j; k++ {
		if m[k] == '.' && m[k+1] == '.' {
			b = k
			break
		}
	}
	for b > a && classOf[m[b-1]]&isTrailing != 0 {
		b--
	}
	return a, b
}

// punct handles a delimiter byte: quotes after a key hold a value, and what is empty holds an empty one.
func (s *scanner) punct(m []byte, i int) int {
	p := m[i]
	next := byte(0)
	if i+1 < len(m) {
		next = m[i+1]
	}
	before := s.skel
	if p == '(' && !s.parse {
		if e := s.restated(m, i); e > 0 {
			return e
		}
	}
	s.delim(p)
	if s.parse {
		return i + 1
	}
	switch p {
	case '<':
		if e := bound(m, i); e > 0 {
			s.text, s.skel = s.text[:len(s.text)-1], before
			return s.slot(m, i, i, toEnd(m, e), kindDuration)
		}
		if next == '*' && i+2 < len(m) && m[i+2] == '>' {
			return s.slot(m, i+1, i+1, i+2, kindText) // not to be taken for a wildcard
		}
	case '[', '{', '(':
		s.round = p == '('
		if p != '(' {
			if end := wordList(m, i+1, closing(p)); end > 0 {
				return s.slot(m, i+1, i+1, end, kindText)
			}
		}
		if next == closing(p) && (p != '(' || i == 0 || classOf[m[i-1]]&isWord == 0) {
			return s.slot(m, i+1, i+1, i+1, kindEmpty)
		}
	case ')':
		s.round = false
	case '=':
		if i > 0 && classOf[m[i-1]]&isWord != 0 && emptyValue(m, i+1) {
			return s.slot(m, i+1, i+1, i+1, kindEmpty)
		}
	case '"', '\'':
		if key, ok := s.quotedKey(p); ok {
			if end := closeQuote(m, i+1, p); end >= 0 && (end == i+1 || hasSpace(m[i+1:end])) && !isMessageKey(key) {
				return s.slot(m, i+1, i+1, end, kindQuoted)
			}
		}
	}
	return i + 1
}

// truth reports whether a word is a truth value or nothing, behind a key.
func (s *scanner) truth(w []byte) bool {
	switch string(w) {
	case "true", "false", "null", "True", "False", "None", "nil", "TRUE", "FALSE", "NULL":
		if g := s.text[s.gap:]; len(g) > 0 && len(s.tokens) > 0 {
			return g[0] == '=' || g[0] == ':' || len(g) > 1 && (g[1] == '=' || g[1] == ':')
		}
	}
	return false
}

// restated returns the end of a size in brackets that says again what stands before it: 426 bytes (0.4 KB). It is no part of the
// shape, because it is often left out.
func (s *scanner) restated(m []byte, i int) (end int) {
	if len(s.tokens) < 2 || string(s.text[s.gap:]) != " " || s.tokens[len(s.tokens)-2].kind != kindNumber {
		return 0
	}
	if last := &s.tokens[len(s.tokens)-1]; string(s.text[last.textStart:last.textEnd]) != "bytes" {
		return 0
	}
	e := i + 1
	for e < len(m) && (digit(m[e]) || m[e] == '.' || m[e] == ',') {
		e++
	}
	if e == i+1 {
		return 0
	}
	if e < len(m) && m[e] == ' ' {
		e++
	}
	for e < len(m) && classOf[m[e]]&(isHexAlpha|isOtherAlpha) != 0 {
		e++
	}
	if e == len(m) || m[e] != ')' || e+1 < len(m) && classOf[m[e+1]]&(isWord|isPunct) != 0 {
		return 0
	}
	s.text, s.skel = s.text[:s.gap], s.mark
	return e + 1
}

// bound returns the end of a duration that is given by an upper bound: <1 sec.
func bound(m []byte, i int) (end int) {
	e := digits(m, i+1)
	if e == i+1 || e >= len(m) || m[e] != ' ' || i > 0 && classOf[m[i-1]]&isSpace == 0 {
		return 0
	}
	u := e + 1
	for u < len(m) && alnum(m[u]) {
		u++
	}
	switch string(m[e+1 : u]) {
	case "s", "sec", "ms", "us", "min":
		return u
	}
	return 0
}

// quotedKey reports whether the quote just written opens the value of a key: key=" or "key": ", and returns the key.
func (s *scanner) quotedKey(q byte) (key []byte, ok bool) {
	t := s.text[:len(s.text)-1]
	if len(s.tokens) == 0 {
		return nil, false
	}
	last := s.tokens[len(s.tokens)-1]
	key = s.text[last.textStart:last.textEnd]
	switch gap := string(t[last.textEnd:]); gap {
	case "=", `":`, `": `, `"=`:
		return key, true
	case "':", "': ":
		return key, q == '\''
	}
	return nil, false
}

// place closes the delimiters before a token and marks where those after it start.
func (s *scanner) place() {
	s.skel = (s.skel + 0x1ff) * k1
	s.mark = s.skel
	s.gap = len(s.text)
}

// join writes a joint if nothing stands between the last token and the next.
func (s *scanner) join() {
	if len(s.text) == s.gap && len(s.tokens) > 0 {
		s.delim(joint)
	}
}

// word appends a plain word.
func (s *scanner) word(m []byte, a, b int) {
	s.join()
	h := hashBytes(m[a:b])
	from := len(s.text)
	s.text = append(s.text, m[a:b]...)
	s.sum += mixAt(h, len(s.tokens))
	s.place()
	s.tokens = append(s.tokens, token{
		start: int32(a), end: int32(b), slotStart: int32(a),
		textStart: int32(from), textEnd: int32(len(s.text)), hash: h,
	})
}

// slot appends a value m[v:b] behind the literal prefix m[a:v] and returns b. A value in a list of values joins the one
// before it.
func (s *scanner) slot(m []byte, a, v, b int, k kind) int {
	if n := len(s.tokens); n > 0 && s.joins(k, m[a:v]) {
		t := &s.tokens[n-1]
		if t.kind != k {
			s.sum += mixAt(slotHash(kindText), n-1) - mixAt(t.hash, n-1)
			t.kind, t.hash = kindText, slotHash(kindText)
			s.text[t.textStart] = byte(kindText)
		}
		t.end = int32(b)
		s.text, s.skel = s.text[:s.gap], s.mark
		return b
	}
	s.join()
	from := len(s.text)
	s.text = append(s.text, m[a:v]...)
	s.text = append(s.text, byte(k))
	h := slotHash(k)
	if v > a {
		h = hashBytes(s.text[from:])
	}
	s.sum += mixAt(h, len(s.tokens))
	s.place()
	s.tokens = append(s.tokens, token{
		start: int32(a), end: int32(b), slotStart: int32(v), textStart: int32(from), textEnd: int32(len(s.text)),
		hash: h, kind: k, prefixed: v > a,
	})
	return b
}

// joins reports whether a slot of the kind, behind the prefix, continues a list or a time.
func (s *scanner) joins(k kind, prefix []byte) bool {
	t := &s.tokens[len(s.tokens)-1]
	if t.kind == kindWord || int(t.textEnd-t.textStart) != len(prefix)+1 || t.prefixed && (t.kind != k || string(s.text[t.textStart:t.textEnd-1]) != string(prefix)) {
		return false
	}
	switch string(s.text[s.gap:]) {
	case ",", ", ", ";", "; ":
		return !s.round
	case " ":
		return k == kindTime && t.kind == kindTime
	}
	return false
}

// parsed appends the token m[a:b] of canonical text, where a control byte is a slot, and returns b.
func (s *scanner) parsed(m []byte, a, b int, flags class) int {
	if flags&isControl == 0 {
		s.word(m, a, b)
		return b
	}
	v := a
	for classOf[m[v]]&isControl == 0 {
		v++
	}
	k := kind(m[v])
	s.join()
	from := len(s.text)
	s.text = append(s.text, m[a:b]...)
	h := slotHash(k)
	if b-a > 1 {
		h = hashBytes(m[a:b])
	}
	s.sum += mixAt(h, len(s.tokens))
	s.place()
	s.tokens = append(s.tokens, token{
		start: int32(a), end: int32(b), slotStart: int32(v), textStart: int32(from), textEnd: int32(len(s.text)),
		hash: h, kind: k, prefixed: v > a,
	})
	return b
}

func closing(open byte) byte {
	switch open {
	case '[':
		return ']'
	case '{':
		return '}'
	case '<':
		return '>'
	}
	return ')'
}

// emptyValue reports whether nothing stands behind the = before i: the line ends, or the next key follows.
func emptyValue(m []byte, i int) bool {
	if i < len(m) && (m[i] == ',' || m[i] == ';' || m[i] == ')' || m[i] == ']' || m[i] == '}') {
		return true
	}
	if i < len(m) && classOf[m[i]]&isSpace == 0 {
		return false
	}
	for i < len(m) && classOf[m[i]]&isSpace != 0 {
		i++
	}
	from := i
	for i < len(m) && classOf[m[i]]&(isWord|isPunct) != 0 {
		i++
	}
	return i == len(m) && i == from || i > from && i < len(m) && m[i] == '='
}

// wordList returns the end of a list that fills a bracket, or 0: single words with commas, semicolons or bars between them, or with
// blanks if they all look like names or numbers.
func wordList(m []byte, i int, shut byte) (end int) {
	items, marks, blanks, names := 0, 0, 0, true
	for {
		from := i
		var c class
		for i < len(m) && (classOf[m[i]]&(isWord|isPunct) != 0 || m[i] == ':' && addressColon(m, from, i)) {
			c |= classOf[m[i]]
			i++
		}
		if i == from || i == len(m) {
			return 0
		}
		items++
		names = names && c&(isDigit|isSep) != 0
		switch sep := m[i]; sep {
		case shut:
			if items > 1 && blanks == 0 || items > 2 && marks == 0 && names {
				return i
			}
			return 0
		case ',', ';', '|':
			marks++
			i++
			if i < len(m) && m[i] == ' ' {
				i++
			}
		case ' ':
			blanks++
			i++
		default:
			return 0
		}
	}
}

// addressColon reports whether the colon at m[i] in a word that starts at from belongs to an address or a time.
func addressColon(m []byte, from, i int) bool {
	if i == from || i+1 == len(m) {
		return false
	}
	next := classOf[m[i+1]]
	return next&isSlash != 0 || next&isDigit != 0 && orClass(m[from:i])&(isDigit|isPunct) != 0
}

func closeQuote(m []byte, i int, q byte) int {
	for ; i < len(m); i++ {
		switch m[i] {
		case '\\':
			i++
		case q:
			return i
		}
	}
	return -1
}

func hasSpace(b []byte) bool {
	for _, c := range b {
		if classOf[c]&isSpace != 0 {
			return true
		}
	}
	return false
}
