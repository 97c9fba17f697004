package template

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// The scanner as it was before it was made fast: it builds the text of every shape and reads every byte by itself. It stands here
// as the oracle of the fast one, in this file alone.

// checkReference holds the scanner against the oracle.
func checkReference(t *testing.T, message []byte, parse bool) {
	t.Helper()
	want := referenceScanner{parse: parse}
	want.scan(message)
	got := scanner{parse: parse}
	got.scan(message)
	require.Equal(t, string(want.text), string(got.text), "text of %q", message)
	require.Equal(t, want.id(), got.id(), "id of %q", message)
	require.Equal(t, want.skel, got.skel, "delimiters of %q", message)
	require.Len(t, got.tokens, len(want.tokens), "tokens of %q", message)
	for i, w := range want.tokens {
		g := got.tokens[i]
		if w.kind == kindWord {
			w.slotStart, g.slotStart = 0, 0
		}
		require.Equal(t, token{
			start: w.start, end: w.end, slotStart: w.slotStart, textStart: w.textStart, textEnd: w.textEnd,
			hash: w.hash, kind: w.kind, prefixed: w.prefixed,
		}, g, "token %d of %q", i, message)
	}
	if parse {
		return
	}
	var hasty scanner
	hasty.glance(message)
	require.Equal(t, got.id(), hasty.id())
	require.Equal(t, got.proof(), hasty.proof())
	require.Len(t, hasty.tokens, len(got.tokens))
	for i, g := range got.tokens {
		if g.kind == kindWord {
			g.slotStart = hasty.tokens[i].slotStart
		}
		require.Equal(t, g, hasty.tokens[i], "token %d of %q", i, message)
	}
}

func FuzzScanEqualsReference(f *testing.F) {
	for _, line := range awkward {
		f.Add([]byte(line))
	}
	for _, line := range benchLines(200) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) > 1<<16 {
			return
		}
		checkReference(t, message, false)
		var s referenceScanner
		s.scan(message)
		checkReference(t, s.text, true)
	})
}

func TestScanEqualsReference(t *testing.T) {
	t.Parallel()
	for _, line := range benchLines(20_000) {
		checkReference(t, line, false)
	}
}

// TestScanEqualsReferenceOnBrokenLines takes lines of all generators, and puts parts of other ones and single bytes into them.
func TestScanEqualsReferenceOnBrokenLines(t *testing.T) {
	t.Parallel()
	const bytes = " ,:;=\"'()[]{}<>|-./\\@#+%_09afxzAFZT\x01\xe9\xd0\x80"
	from := rand.Uint64() >> 1
	t.Logf("seed %d", from)
	for seed := from; seed < from+12; seed++ {
		rng := rand.New(rand.NewPCG(seed, 5))
		g, s, c, p := newGenerator(seed, 60), newStyled(seed, 60), newCurly(seed, 60), newPrintf(seed, 60)
		var lines [][]byte
		for range 300 {
			for _, line := range []func() (string, int){g.line, s.line, c.line, p.line} {
				text, _ := line()
				lines = append(lines, []byte(text))
			}
		}
		for _, line := range lines {
			checkReference(t, line, false)
			if len(line) == 0 {
				continue
			}
			broken := slices.Clone(line)
			for range 1 + rng.IntN(3) {
				at, other := rng.IntN(len(broken)), lines[rng.IntN(len(lines))]
				switch rng.IntN(3) {
				case 0:
					broken[at] = bytes[rng.IntN(len(bytes))]
				case 1:
					cut := rng.IntN(len(other) + 1)
					broken = slices.Concat(broken[:at], other[cut:min(len(other), cut+rng.IntN(12))], broken[at:])
				default:
					broken = append(broken[:at], broken[min(len(broken), at+1+rng.IntN(3)):]...)
				}
				if len(broken) == 0 {
					break
				}
			}
			checkReference(t, broken, false)
		}
	}
}

// referenceToken is one column of a shape. Offsets are int32: messages are at most 64 KiB when they come through package lines.
type referenceToken struct {
	start, end         int32 // in the message
	slotStart          int32 // in the message: where the variable part starts, if kind is not kindWord
	textStart, textEnd int32 // in the canonical text
	hash               uint64
	kind               kind
	prefixed           bool // literal text before the slot
}

// referenceScanner holds the result of the last scan. It is reused to allocate nothing.
type referenceScanner struct {
	text   []byte
	tokens []referenceToken
	sum    uint64 // sum of the mixed token hashes
	skel   uint64 // hash of the delimiters and of the places of tokens between them
	parse  bool   // the input is canonical text: no classification
	mark   uint64 // skel at the end of the last token
	gap    int    // where in text the delimiters since the last token start
	round  bool   // the bracket opened last is round: what stands in it are arguments rather than a list
}

func (s *referenceScanner) id() ShapeID { return finish(s.sum, s.skel) }

// scan reads a message. What an earlier scan found is overwritten.
func (s *referenceScanner) scan(m []byte) {
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

func (s *referenceScanner) delim(b byte) {
	s.text = append(s.text, b)
	s.skel = (s.skel + uint64(b) + 1) * k1
}

// rest makes one slot of what is beyond the bounds.
func (s *referenceScanner) rest(m []byte, i int) {
	if len(s.tokens) > 0 && (s.gap == len(s.text) || referenceGlued(s.text[s.gap:])) {
		s.delim(' ')
	}
	end := len(m)
	for end > i && classOf[m[end-1]]&isSpace != 0 {
		end--
	}
	s.slot(m, i, i, end, kindText)
}

// run reads a run of word and inner punctuation bytes that starts at i and returns where to go on.
func (s *referenceScanner) run(m []byte, i int) int {
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
	if e := referenceScriptEnd(m, a, b); e < b {
		b, flags = e, orClass(m[a:e])
	}
	if s.parse {
		return s.parsed(m, a, b, flags)
	}
	if b-a > maxWord {
		return s.slot(m, a, a, referenceToEnd(m, b), kindText)
	}
	if flags&(isDigit|isControl|isHigh|isSlash|isAt) == 0 && (b >= len(m) || m[b] != ':') {
		if b-a == 3 {
			if end, ok := calendar(m, a); ok {
				return s.slot(m, a, a, referenceToEnd(m, end), kindTime)
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
			return s.slot(m, a, a, referenceToEnd(m, end), kindTime)
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
	return s.slot(m, a, a+from, referenceToEnd(m, end), k)
}

// referenceScript reports whether the text begins with a letter of a script without blanks.
func referenceScript(b []byte) bool {
	r, n := utf8.DecodeRune(b)
	return n == 3 && r >= 0x3000 && r <= 0x9fff
}

// referenceGlued reports whether the delimiters, of which there are some, may all stand within a word.
func referenceGlued(gap []byte) bool {
	for _, b := range gap {
		if classOf[b]&isPunct == 0 {
			return false
		}
	}
	return len(gap) > 0
}

// referenceScriptEnd returns where in m[a:b] a script without blanks ends or another one begins.
func referenceScriptEnd(m []byte, a, b int) int {
	from := a
	for classOf[m[from]]&isPunct != 0 {
		from++
	}
	switch {
	case classOf[m[a]]&isSlash != 0:
		for i := a + 1; i < b; i++ {
			if referenceScript(m[i:b]) && classOf[m[i-1]]&(isDigit|isHexAlpha|isOtherAlpha) != 0 {
				return i
			}
		}
	case referenceScript(m[from:b]):
		for from < b && referenceScript(m[from:b]) {
			from += len("一")
		}
		return from
	default:
		for i := from; i < b; i++ {
			if !referenceScript(m[i:b]) {
				continue
			}
			for i > a && classOf[m[i-1]]&isTrailing != 0 {
				i--
			}
			return i
		}
	}
	return b
}

// referenceToEnd returns where a value ends that ended at i: with the run of word bytes in which that is, or where a script without
// blanks begins in it, less the punctuation that ends a sentence.
func referenceToEnd(m []byte, i int) int {
	if i < len(m) && classOf[m[i]]&(isWord|isPunct) == 0 {
		return i
	}
	e := i
	for e < len(m) && classOf[m[e]]&(isWord|isPunct) != 0 && !referenceScript(m[e:]) {
		e++
	}
	for e > i && classOf[m[e-1]]&isTrailing != 0 {
		e--
	}
	return e
}

// punct handles a delimiter byte: quotes after a key hold a value, and what is empty holds an empty one.
func (s *referenceScanner) punct(m []byte, i int) int {
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
			return s.slot(m, i, i, referenceToEnd(m, e), kindDuration)
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
func (s *referenceScanner) truth(w []byte) bool {
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
func (s *referenceScanner) restated(m []byte, i int) (end int) {
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

// quotedKey reports whether the quote just written opens the value of a key: key=" or "key": ", and returns the key.
func (s *referenceScanner) quotedKey(q byte) (key []byte, ok bool) {
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
func (s *referenceScanner) place() {
	s.skel = (s.skel + 0x1ff) * k1
	s.mark = s.skel
	s.gap = len(s.text)
}

// join writes a joint if nothing stands between the last token and the next.
func (s *referenceScanner) join() {
	if len(s.text) == s.gap && len(s.tokens) > 0 {
		s.delim(joint)
	}
}

// word appends a plain word.
func (s *referenceScanner) word(m []byte, a, b int) {
	s.join()
	h := hashBytes(m[a:b])
	from := len(s.text)
	s.text = append(s.text, m[a:b]...)
	s.sum += mixAt(h, len(s.tokens))
	s.place()
	s.tokens = append(s.tokens, referenceToken{
		start: int32(a), end: int32(b), slotStart: int32(a),
		textStart: int32(from), textEnd: int32(len(s.text)), hash: h,
	})
}

// slot appends a value m[v:b] behind the literal prefix m[a:v] and returns b. A value in a list of values joins the one
// before it.
func (s *referenceScanner) slot(m []byte, a, v, b int, k kind) int {
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
	if len(s.tokens) > 0 && referenceScript(m[a:]) && referenceGlued(s.text[s.gap:]) {
		s.delim(joint)
	}
	from := len(s.text)
	s.text = append(s.text, m[a:v]...)
	s.text = append(s.text, byte(k))
	h := slotHash(k)
	if v > a {
		h = hashBytes(s.text[from:])
	}
	s.sum += mixAt(h, len(s.tokens))
	s.place()
	s.tokens = append(s.tokens, referenceToken{
		start: int32(a), end: int32(b), slotStart: int32(v), textStart: int32(from), textEnd: int32(len(s.text)),
		hash: h, kind: k, prefixed: v > a,
	})
	return b
}

// joins reports whether a slot of the kind, behind the prefix, continues a list or a time.
func (s *referenceScanner) joins(k kind, prefix []byte) bool {
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
func (s *referenceScanner) parsed(m []byte, a, b int, flags class) int {
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
	s.tokens = append(s.tokens, referenceToken{
		start: int32(a), end: int32(b), slotStart: int32(v), textStart: int32(from), textEnd: int32(len(s.text)),
		hash: h, kind: k, prefixed: v > a,
	})
	return b
}
