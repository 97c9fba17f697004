package template

import (
	"slices"
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
// Shape ids add up over tokens, so that the id of a shape with a column masked costs one addition (see with). The text is not
// written unless somebody wants it: a shape is compared by its id and its proof, a second hash of all of its text.

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
	kind               kind
	prefixed           bool // literal text before the slot
	hash               uint64
}

// scanner holds the result of the last scan. It is reused to allocate nothing.
type scanner struct {
	tokens []token
	sum    uint64 // sum of the mixed token hashes
	skel   uint64 // hash of the delimiters and of the places of tokens between them
	check  uint64 // proof of all before gap
	gap    uint64 // delimiters since the last token, the first in the lowest byte; those beyond eight are in check
	n      int    // length of the canonical text
	parse  bool   // the input is canonical text: no classification
	round  bool   // the bracket opened last is round: what stands in it are arguments rather than a list
	quick  bool   // do not write the text
	text   []byte // canonical text, unless quick

	// At the end of the last token:
	mark      uint64 // skel
	markCheck uint64
	gapAt     int               // n
	before    uint64            // check before it, if it is a slot
	prefix    [maxWord + 1]byte // of a slot, with its control byte behind it
}

func (s *scanner) id() ShapeID { return finish(s.sum, s.skel) }

// proof is a second hash of the shape, which shares nothing with the id: shapes that are equal in both have the same text. It is
// good for this process only.
func (s *scanner) proof() uint32 { return uint32(fold(s.check^s.gap, uint64(s.n)^secret[1])) }

// reset forgets the last scan.
func (s *scanner) reset() {
	if cap(s.tokens) < maxTokens {
		s.tokens = make([]token, maxTokens)
	}
	s.text, s.tokens = s.text[:0], s.tokens[:0]
	s.sum, s.skel, s.mark, s.gap, s.n, s.gapAt, s.round = 0, 0, 0, 0, 0, 0, false
	s.check, s.markCheck = k2, k2
}

// glance scans a message for its hashes and tokens alone. It is several times as fast as scan.
func (s *scanner) glance(m []byte) {
	s.quick = true
	s.scan(m)
	s.quick = false
}

// scan reads a message and writes its text. What an earlier scan found is overwritten.
func (s *scanner) scan(m []byte) {
	s.reset()
	for i := 0; i < len(m); {
		if s.quick {
			if i = s.prose(m, i); i == len(m) {
				return
			}
		}
		c := classOf[m[i]]
		if c&isSpace != 0 {
			i = s.space(m, i)
			continue
		}
		if !s.parse && (s.n >= maxText || len(s.tokens) >= maxTokens-1 && c&(isWord|isPunct) != 0) {
			s.rest(m, i)
			return
		}
		if c&(isWord|isPunct) == 0 {
			i = s.punct(m, i)
		} else {
			i = s.run(m, i)
		}
	}
}

// space makes one delimiter of white space between other text.
func (s *scanner) space(m []byte, i int) int {
	for i++; i < len(m) && classOf[m[i]]&isSpace != 0; i++ {
	}
	if s.n > 0 && i < len(m) {
		s.delim(' ')
	}
	return i
}

func (s *scanner) delim(b byte) {
	if g := s.n - s.gapAt; g < 8 {
		s.gap |= uint64(b) << (8 * uint(g))
	} else {
		s.check = fold(s.check, uint64(b)^secret[1])
	}
	s.n++
	s.skel = (s.skel + uint64(b) + 1) * k1
	if !s.quick {
		s.text = append(s.text, b)
	}
}

// back takes back the delimiters since the last token.
func (s *scanner) back() {
	s.n, s.gap, s.skel, s.check = s.gapAt, 0, s.mark, s.markCheck
	if !s.quick {
		s.text = s.text[:s.n]
	}
}

// ends tells the bytes that end a word of letters or digits.
var ends = func() (t [256]bool) {
	for b := range t {
		t[b] = classOf[b]&(isWord|isPunct) == 0 && b != ':'
	}
	return t
}()

// rest makes one slot of what is beyond the bounds.
func (s *scanner) rest(m []byte, i int) {
	if len(s.tokens) > 0 && (s.gapAt == s.n || s.glued(m, i)) {
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
	var flags, last class
	j, dots := i, false
	for j < len(m) {
		c := classOf[m[j]]
		if c&(isWord|isPunct) == 0 {
			break
		}
		dots = dots || last&c&isPunct != 0
		flags |= c
		last = c
		j++
	}
	a, b := i, j
	if flags&isPunct != 0 && (dots || last&isTrailing != 0 || classOf[m[i]]&isWord == 0) {
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
	if flags&isWide != 0 {
		if e := scriptEnd(m, a, b); e < b {
			b, flags = e, orClass(m[a:e])
		}
	}
	if s.parse {
		return s.parsed(m, a, b, flags)
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

// toEnd lets a value that ends within a run of word bytes take the rest of it.
func toEnd(m []byte, end int) int {
	if end == len(m) || classOf[m[end]]&(isWord|isPunct) == 0 {
		return end
	}
	e := end
	for e < len(m) && classOf[m[e]]&(isWord|isPunct) != 0 && !script(m, e) {
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
	skel, check, gap := s.skel, s.check, s.gap
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
			s.skel, s.check, s.gap, s.n = skel, check, gap, s.n-1
			if !s.quick {
				s.text = s.text[:s.n]
			}
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
		if key, ok := s.quotedKey(m, p); ok {
			if end := closeQuote(m, i+1, p); end >= 0 && (end == i+1 || hasSpace(m[i+1:end])) && !isMessageKey(key) {
				return s.slot(m, i+1, i+1, end, kindQuoted)
			}
		}
	}
	return i + 1
}

// truth reports whether a word is a truth value or nothing, behind a key.
func (s *scanner) truth(w []byte) bool {
	return isTruth(w) && len(s.tokens) > 0 && afterKey(s.gap)
}

func isTruth(w []byte) bool {
	switch string(w) {
	case "true", "false", "null", "True", "False", "None", "nil", "TRUE", "FALSE", "NULL":
		return true
	}
	return false
}

// afterKey reports whether the delimiters begin with what stands behind a key.
func afterKey(gap uint64) bool {
	a, b := byte(gap), byte(gap>>8)
	return a == '=' || a == ':' || b == '=' || b == ':'
}

// restated returns the end of a size in brackets that says again what stands before it: 426 bytes (0.4 KB). It is no part of the
// shape, because it is often left out.
func (s *scanner) restated(m []byte, i int) (end int) {
	if s.gap != ' ' || len(s.tokens) < 2 || s.tokens[len(s.tokens)-2].kind != kindNumber {
		return 0
	}
	if last := &s.tokens[len(s.tokens)-1]; last.kind != kindWord || string(m[last.start:last.end]) != "bytes" {
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
	s.back()
	return e + 1
}

// bound returns the end of a duration that is given by an upper bound: <1 sec.
func bound(m []byte, i int) (end int) {
	e := digits(m, i+1)
	if e == i+1 || e >= len(m) || m[e] != ' ' || i > 0 && classOf[m[i-1]]&isSpace == 0 {
		return 0
	}
	u := e + 1
	for alnum(m, u) {
		u++
	}
	switch string(m[e+1 : u]) {
	case "s", "sec", "ms", "us", "min":
		return u
	}
	return 0
}

// quotedKey reports whether the quote just written opens the value of a key: key=" or "key": ", and returns the key if it is a
// word.
func (s *scanner) quotedKey(m []byte, q byte) (key []byte, ok bool) {
	if len(s.tokens) == 0 {
		return nil, false
	}
	switch gap := s.gap ^ uint64(q)<<(8*uint(s.n-s.gapAt-1)); gap {
	case '=', '"' | ':'<<8, '"' | ':'<<8 | ' '<<16, '"' | '='<<8:
		ok = true
	case '\'' | ':'<<8, '\'' | ':'<<8 | ' '<<16:
		ok = q == '\''
	}
	if last := &s.tokens[len(s.tokens)-1]; last.kind == kindWord {
		key = m[last.start:last.end]
	}
	return key, ok
}

// join writes a joint if nothing stands between the last token and the next.
func (s *scanner) join() {
	if s.gapAt == s.n && len(s.tokens) > 0 {
		s.delim(joint)
	}
}

// glued reports whether the delimiters before i, of which there are some, may all stand within a word.
func (s *scanner) glued(m []byte, i int) bool {
	from := i - (s.n - s.gapAt)
	if from == i || len(s.tokens) == 0 || from != int(s.tokens[len(s.tokens)-1].end) {
		return false
	}
	for _, b := range m[from:i] {
		if classOf[b]&isPunct == 0 {
			return false
		}
	}
	return true
}

// word appends a plain word.
func (s *scanner) word(m []byte, a, b int) {
	s.join()
	if !s.quick {
		s.text = append(s.text, m[a:b]...)
	}
	s.push(a, a, b, kindWord, hashBytes(m[a:b]), foldBytes(s.check^s.gap, m[a:b]), b-a)
}

// push appends the token m[a:b], whose variable part starts at v, and which adds n bytes to the text.
func (s *scanner) push(a, v, b int, k kind, hash, proof uint64, n int) {
	c := len(s.tokens)
	if c == cap(s.tokens) {
		s.tokens = slices.Grow(s.tokens, 1)
	}
	s.tokens = s.tokens[:c+1]
	t := &s.tokens[c] // field by field: a literal would be made elsewhere and copied, which stalls
	t.start, t.end, t.slotStart, t.textStart, t.textEnd = int32(a), int32(b), int32(v), int32(s.n), int32(s.n+n)
	t.kind, t.prefixed, t.hash = k, v > a && k != kindWord, hash
	s.sum += mixAt(hash, c)
	s.n += n
	s.gapAt, s.gap = s.n, 0
	s.check, s.markCheck = proof, proof
	s.skel = (s.skel + 0x1ff) * k1
	s.mark = s.skel
}

// slot appends a value m[v:b] behind the literal prefix m[a:v] and returns b. A value in a list of values joins the one
// before it.
func (s *scanner) slot(m []byte, a, v, b int, k kind) int {
	if n := len(s.tokens); n > 0 && s.joins(m, k, m[a:v]) {
		s.goOn(k, b)
		return b
	}
	s.join()
	if a < len(m) && script(m, a) && s.glued(m, a) {
		s.delim(joint) // the text of a slot does not say that a script begins
	}
	s.before = s.check ^ s.gap
	hash, proof := slotHash(k), foldSlot(s.before, k)
	if v > a {
		text := append(append(s.prefix[:0], m[a:v]...), byte(k))
		hash, proof = hashBytes(text), foldBytes(s.before, text)
	}
	if !s.quick {
		s.text = append(append(s.text, m[a:v]...), byte(k))
	}
	s.push(a, v, b, k, hash, proof, v-a+1)
	return b
}

// goOn lets the last slot go on to b.
func (s *scanner) goOn(k kind, b int) {
	n := len(s.tokens)
	t := &s.tokens[n-1]
	if t.kind != k {
		s.sum += mixAt(slotHash(kindText), n-1) - mixAt(t.hash, n-1)
		s.markCheck = foldSlot(s.before, kindText)
		t.kind, t.hash = kindText, slotHash(kindText)
		if !s.quick {
			s.text[s.gapAt-1] = byte(kindText)
		}
	}
	t.end = int32(b)
	s.back()
}

// joins reports whether a slot of the kind, behind the prefix, continues a list or a time.
func (s *scanner) joins(m []byte, k kind, prefix []byte) bool {
	t := &s.tokens[len(s.tokens)-1]
	switch s.gap {
	case ',', ',' | ' '<<8, ';', ';' | ' '<<8:
		if t.kind == kindWord || s.round {
			return false
		}
	case ' ':
		if k != kindTime || t.kind != kindTime {
			return false
		}
	default:
		return false
	}
	return string(m[t.start:t.slotStart]) == string(prefix) && (!t.prefixed || t.kind == k)
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
	hash := slotHash(k)
	if b-a > 1 {
		hash = hashBytes(m[a:b])
	}
	if !s.quick {
		s.text = append(s.text, m[a:b]...)
	}
	s.push(a, v, b, k, hash, foldBytes(s.check^s.gap, m[a:b]), b-a)
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
