package template

import (
	"bytes"
	"encoding/binary"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// kind is the byte that stands for a slot in canonical text. Control bytes that are white space are not used.
type kind byte

const (
	kindWord     kind = 0 // not a slot
	kindText     kind = 1
	kindIdent    kind = 2
	kindNumber   kind = 3
	kindHex      kind = 4
	kindUUID     kind = 5
	kindIP       kind = 6
	kindHost     kind = 7
	kindPath     kind = 8
	kindURL      kind = 14
	kindEmail    kind = 15
	kindDuration kind = 16
	kindSize     kind = 17
	kindTime     kind = 18
	kindQuoted   kind = 19
	kindAny      kind = 20 // a column that was absorbed: any word
	kindEmpty    kind = 21 // nothing where a value may stand
)

// joint is what stands in canonical text between two tokens that have nothing between them in the message.
const joint = 0x16

var typeOf = map[kind]pattern.Type{
	kindText: pattern.Text, kindIdent: pattern.Identifier, kindNumber: pattern.Number, kindHex: pattern.Hex,
	kindUUID: pattern.UUID, kindIP: pattern.IP, kindHost: pattern.Host, kindPath: pattern.Path, kindURL: pattern.URL,
	kindEmail: pattern.Email, kindDuration: pattern.Duration, kindSize: pattern.Size, kindTime: pattern.Time,
	kindQuoted: pattern.Quoted, kindAny: pattern.Word, kindWord: pattern.Word, kindEmpty: pattern.Text,
}

// kindOf is typeOf the other way round; the byte of a type is a control byte.
var kindOf = func() map[pattern.Type]kind {
	m := map[pattern.Type]kind{}
	for k, t := range typeOf {
		if k != kindWord {
			m[t] = max(m[t], k)
		}
	}
	return m
}()

func typeByte(t pattern.Type) byte { return byte(kindOf[t]) }

// class is what a byte can be part of.
type class uint16

const (
	isSpace class = 1 << iota
	isWord
	isPunct // may stand within a word
	isDigit
	isHexAlpha
	isOtherAlpha // letters beyond f
	isUpper
	isControl
	isHigh // part of a rune beyond ASCII
	isSlash
	isAt
	isTrailing // punctuation that ends a sentence or word rather than belonging to it
	isSep      // joins the parts of an identifier
	isWide     // first byte of a letter of a script that is written without blanks, see script
)

var classOf = func() (t [256]class) {
	for b := range 256 {
		switch {
		case b == ' ' || b >= '\t' && b <= '\r':
			t[b] = isSpace
		case b == joint:
		case b < ' ' || b == 0x7f:
			t[b] = isWord | isControl
		case b >= 0x80:
			t[b] = isWord | isHigh
		case b >= '0' && b <= '9':
			t[b] = isWord | isDigit
		case b >= 'a' && b <= 'f':
			t[b] = isWord | isHexAlpha
		case b >= 'A' && b <= 'F':
			t[b] = isWord | isHexAlpha | isUpper
		case b >= 'g' && b <= 'z':
			t[b] = isWord | isOtherAlpha
		case b >= 'G' && b <= 'Z':
			t[b] = isWord | isOtherAlpha | isUpper
		}
	}
	for _, b := range []byte(`-./\@#$%+*~^&!?`) {
		t[b] = isPunct
	}
	t['_'] = isWord | isSep
	for _, b := range []byte(`.!?-~^&#\@$%`) {
		t[b] |= isTrailing
	}
	for _, b := range []byte(`-./#@$+`) {
		t[b] |= isSep
	}
	t['/'] |= isSlash
	t['\\'] |= isSlash
	t['@'] |= isAt
	for b := 0xe3; b <= 0xe9; b++ {
		t[b] |= isWide // U+3000 to U+9FFF
	}
	return t
}()

func digit(b byte) bool { return b >= '0' && b <= '9' }

// script reports whether a letter of a script without blanks begins at m[i]. A byte that looks like the start of one may also be none,
// in what is not UTF-8.
func script(m []byte, i int) bool {
	return classOf[m[i]]&isWide != 0 && i+2 < len(m) && m[i+1]&0xc0 == 0x80 && m[i+2]&0xc0 == 0x80
}

// alnum reports whether a word goes on with a letter or digit at i; a script without blanks begins a new one.
func alnum(m []byte, i int) bool {
	return i < len(m) && classOf[m[i]]&isWord != 0 && m[i] != '_' && !script(m, i)
}

// classify says what kind of value m[a:b] is, how many of its bytes are a literal prefix, and where it ends: some values go on
// behind a delimiter (a port, a path with an =).
func classify(m []byte, a, b int, flags class) (k kind, prefix, end int) {
	w := m[a:b]
	if flags&isControl != 0 {
		return kindText, 0, b
	}
	if b < len(m) && m[b] == ':' {
		if k, end := composite(m, a, b, flags); k != kindWord {
			return k, 0, end
		}
	}
	if flags&isSlash != 0 {
		if isPath(w) {
			return kindPath, 0, extendPath(m, b)
		}
		if at := bytes.LastIndexByte(w, '/'); at > 0 && at+1 < len(w) && digit(w[at+1]) && numeric(w[at+1:]) == kindIP && !digit(w[0]) {
			return kindHost, 0, extend(m, a, b, kindHost)
		}
	}
	if flags&isAt != 0 {
		if at := bytes.IndexByte(w, '@'); at > 0 && at < len(w)-1 && alnum(w, at-1) && alnum(w, at+1) {
			left, right := orClass(w[:at]), w[at+1:]
			if left&isDigit == 0 && orClass(right)&(isDigit|isOtherAlpha|isSep) == isDigit {
				return kindHex, at + 1, b
			}
			return kindEmail, 0, b
		}
	}
	if flags&isDigit == 0 {
		switch {
		case flags&isSlash != 0 && bytes.IndexByte(w, '\\') > 0:
			return kindIdent, 0, b
		case len(w) >= 16 && flags&(isOtherAlpha|isPunct|isHigh|isSep) == 0:
			return kindHex, 0, b
		}
		return kindWord, 0, b
	}
	lead := 0
	for lead < len(w)-1 && (w[lead] == '#' || w[lead] == '@' || w[lead] == '$' || w[lead] == '*' || w[lead] == '&' || w[lead] == '~' || w[lead] == '%') {
		lead++
	}
	if k := valueKind(w[lead:], flags); k != kindWord {
		return k, lead, extend(m, a+lead, b, k)
	}
	if port := portAt(m, b); port > b && digit(w[len(w)-1]) && !digit(w[0]) {
		return kindHost, 0, port
	}
	if weak(w) {
		return kindWord, 0, b
	}
	k, prefix = prefixed(w)
	return k, prefix, extend(m, a, b, k)
}

// portAt returns the end of a port of three digits or more behind the name of a host that ends at b, or b.
func portAt(m []byte, b int) int {
	if b >= len(m) || m[b] != ':' {
		return b
	}
	e := digits(m, b+1)
	if e-b < 4 || e-b > 6 || alnum(m, e) || e < len(m) && m[e] == ':' {
		return b
	}
	return e
}

// weak reports whether a word with digits may well be constant: amd64, IPv4, ssh2, log4j, x86_64, HTTP/1.1. It stays a word, and
// its column decides. There are few such words with the same letters, so that they cannot make a library grow.
func weak(w []byte) bool {
	if len(w) > 12 {
		return false
	}
	i := 0
	for i < len(w) && classOf[w[i]]&(isHexAlpha|isOtherAlpha) != 0 {
		i++
	}
	if i > 1 && i+4 == len(w) && w[i] == '/' && digit(w[i+1]) && w[i+2] == '.' && digit(w[i+3]) {
		return true
	}
	d := digits(w, i)
	if i == 0 || d == i || d-i > 3 || d-i == 3 && i > 3 {
		return false
	}
	if d == len(w) {
		return true
	}
	if w[d] == '_' && i == 1 && d-i == 2 && d+3 == len(w) && digits(w, d+1) == len(w) {
		return true
	}
	return d-i == 1 && orClass(w[d:])&^(isWord|isHexAlpha|isOtherAlpha|isUpper) == 0 && i > 1
}

// stemOf returns how many bytes of a word stand before the digits that it ends with; 0 if there are none.
func stemOf(w string) int {
	n := len(w)
	for n > 0 && digit(w[n-1]) {
		n--
	}
	if n == len(w) {
		return 0
	}
	return n
}

func orClass(b []byte) (c class) {
	for _, x := range b {
		c |= classOf[x]
	}
	return c
}

// valueKind recognises a word with digits that is a value from its first byte on.
func valueKind(w []byte, flags class) kind {
	i := 0
	if len(w) > 1 && (w[0] == '-' || w[0] == '+' || w[0] == '.') {
		i = 1
		if w[1] == '.' && len(w) > 2 {
			i = 2
		}
	}
	if len(w)-i > 2 && w[i] == '0' && w[i+1]|0x20 == 'x' && allHex(w[i+2:]) {
		return kindHex
	}
	if len(w) == 36 && isUUID(w) {
		return kindUUID
	}
	if digit(w[i]) {
		if k := numeric(w[i:]); k != kindWord {
			return k
		}
	}
	if i == 0 && len(w) >= 6 && allHex(w) && (len(w) >= 8 || mixedHex(w)) {
		return kindHex
	}
	return kindWord
}

// numeric recognises what starts with a digit.
func numeric(w []byte) kind {
	i, dots, dashes, slashes := 0, 0, 0, 0
	for i < len(w) && (digit(w[i]) || (w[i] == '.' || w[i] == '-' || w[i] == '/') && i+1 < len(w) && digit(w[i+1])) {
		switch w[i] {
		case '.':
			dots++
		case '-':
			dashes++
		case '/':
			slashes++
		}
		i++
	}
	rest := w[i:]
	switch {
	case len(rest) == 0:
		switch {
		case dots == 3 && dashes == 0 && len(w) >= 7 && len(w) <= 15 && slashes <= 1:
			return kindIP
		case dashes == 2 && dots == 0 && len(w) >= 8 && len(w) <= 10 || slashes == 2 && dots == 0 && len(w) <= 10:
			return kindTime
		}
		return kindNumber
	case dots == 3 && slashes == 0 && dashes == 0 && rest[0] == '/':
		return kindHost
	case len(rest) == 1 && (rest[0] == '+' || rest[0] == '/'):
		return kindNumber
	}
	if dashes+slashes > 0 {
		return kindWord
	}
	if (rest[0]|0x20) == 'e' && len(rest) > 1 {
		e := rest[1:]
		if (e[0] == '-' || e[0] == '+') && len(e) > 1 {
			e = e[1:]
		}
		if orClass(e)&^(isWord|isDigit) == 0 {
			return kindNumber
		}
	}
	return unit(w, rest)
}

// unit recognises a number with its unit behind it: 12ms, 1h2m3.5s, 64KiB, 3.2GB/s. A number with up to three other letters is
// a number still (2nd, 4G, 64K).
func unit(w, rest []byte) kind {
	switch string(rest) {
	case "ns", "us", "µs", "μs", "ms", "s", "sec", "secs", "m", "min", "mins", "h", "hr", "hrs", "d", "days":
		return kindDuration
	case "B", "b", "k", "K", "kB", "KB", "kb", "KiB", "Ki", "M", "MB", "mb", "MiB", "Mi", "G", "GB", "gb", "GiB", "Gi", "T", "TB", "TiB", "bytes",
		"B/s", "kB/s", "KB/s", "MB/s", "GB/s", "KiB/s", "MiB/s", "GiB/s":
		return kindSize
	}
	for i := 0; i < len(w); {
		d := i
		for i < len(w) && (digit(w[i]) || w[i] == '.') {
			i++
		}
		u := i
		for i < len(w) && !digit(w[i]) && w[i] != '.' {
			i++
		}
		switch string(w[u:i]) {
		case "h", "m", "s", "ms", "d", "w", "us", "ns", "µs", "y", "min":
			if u == d {
				return kindWord
			}
		default:
			if len(rest) <= 3 && orClass(rest)&(isDigit|isPunct|isHigh|isSep) == 0 {
				return kindNumber
			}
			return kindWord
		}
	}
	return kindDuration
}

func allHex(w []byte) bool {
	for _, b := range w {
		if classOf[b]&(isDigit|isHexAlpha) == 0 {
			return false
		}
	}
	return len(w) > 0
}

// mixedHex reports whether the hex digits change between figures and letters often enough not to be a word with a number.
func mixedHex(w []byte) bool {
	changes := 0
	for i := 1; i < len(w); i++ {
		if digit(w[i]) != digit(w[i-1]) {
			changes++
		}
	}
	return changes >= 2
}

// isUUID reports whether 36 bytes are a UUID.
func isUUID(w []byte) bool {
	if w[8] != '-' || w[13] != '-' || w[18] != '-' || w[23] != '-' {
		return false
	}
	const first, second, third = '-' ^ '0', ('-' ^ '0') << 40, ('-' ^ '0') << 56 // turn a dash into a digit
	a, b, c := binary.LittleEndian.Uint64(w), binary.LittleEndian.Uint64(w[8:])^first^second, binary.LittleEndian.Uint64(w[16:])^('-'^'0')<<16^third
	return allHexes(a) && allHexes(b) && allHexes(c) && allHexes(binary.LittleEndian.Uint64(w[24:])) && allHexes(binary.LittleEndian.Uint64(w[28:]))
}

// isPath recognises a file path by its first bytes or its number of slashes.
func isPath(w []byte) bool {
	if len(w) > 1 && (w[0] == '/' || w[0] == '\\' && w[1] == '\\') {
		return true
	}
	if bytes.HasPrefix(w, []byte("./")) || bytes.HasPrefix(w, []byte("~/")) || bytes.HasPrefix(w, []byte("../")) {
		return true
	}
	return bytes.Count(w, []byte("/")) >= 2 && !digit(w[0]) || bytes.Count(w, []byte(`\`)) >= 2
}

// prefixed finds the literal prefix of a word with digits: all before the first digit if only digits follow (node17, core.2275,
// blk_-16), what stands before hex digits (req-5dbe00), else nothing: what has several parts is an identifier as a whole
// (attempt_14_m_0, rdd_0_1, v1.2.3, x7Kq2).
func prefixed(w []byte) (k kind, prefix int) {
	p := 0
	for !digit(w[p]) {
		p++
	}
	rest := orClass(w[p:])
	cut := p
	for cut > 0 && classOf[w[cut-1]]&isSep == 0 {
		cut--
	}
	if (cut < p && cut > 0 || rest&(isHexAlpha|isOtherAlpha) != 0) && len(w)-cut >= 6 && allHex(w[cut:]) {
		return kindHex, cut
	}
	if rest&(isHexAlpha|isOtherAlpha|isHigh|isPunct|isSep) == 0 {
		if p >= 2 && w[p-1] == '-' && classOf[w[p-2]]&isSep != 0 {
			p--
		}
		return kindNumber, p
	}
	if p > 1 && w[p-1] != '_' && classOf[w[p-1]]&isSep != 0 && numeric(w[p:]) == kindNumber {
		return kindNumber, p
	}
	return kindIdent, 0
}

// isMessageKey reports whether the value of a key is prose rather than a value.
func isMessageKey(key []byte) bool {
	switch string(key) {
	case "msg", "message", "event", "MESSAGE", "text", "log", "Message", "Msg", "description", "action":
		return true
	}
	return false
}
