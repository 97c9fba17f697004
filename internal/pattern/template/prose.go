package template

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// prose reads on from i what is common: words, numbers and other values that join nothing, and simple delimiters. It does what space,
// punct and run would do with them, but eight bytes at a time and with its sums in registers, and returns where it met anything
// else. It writes no text. What most tokens need stands in its loop, because a call moves the sums to the stack and back.
func (s *scanner) prose(m []byte, i int) int {
	tokens := (*[maxTokens]token)(s.tokens[:maxTokens])
	k, ahead := len(s.tokens), s.n-i // the text is ahead of the message by so much
	sum, skel, check, gap := s.sum, s.skel, s.check, s.gap
	if s.n == 0 && m[i] == ' ' {
		return i
	}
	used := uint(64 - bits.LeadingZeros64(gap)&^7) // bits of gap
	for k < maxTokens-1 {
		end := min(len(m), maxText-ahead)
		then := turn{at: -1}
	delimiters:
		for ; i < end && used < 64; used += 8 {
			c := m[i]
			need, next := needs[c], atEnd
			if i+1 < len(m) {
				next = follows[m[i+1]]
			}
			if need&next == 0 {
				break
			}
			if need&(special|bracket) != 0 && (c != '"' || gap != 0) {
				switch {
				case need&special == 0 || c == '(' && next&figure == 0:
				case c != '(' && c != '\'' && next&(letter|figure) != 0:
					then = turn{at: i, gap: gap, skel: skel, round: s.round, shut: closes[c]}
				case !s.simple(m, i, k, gap):
					break delimiters
				}
				if need&bracket != 0 {
					s.round = c == '('
				}
			}
			skel = (skel + uint64(c) + 1) * k1
			gap |= uint64(c) << (used & 63)
			i++
		}
		var x uint64
		j, what, prefix, sure := i, kindWord, 0, false // sure: the token is a run of word bytes without a slash
		if i < end && needs[m[i]] == 0 && (gap != 0 || k == 0) {
			if i+8 <= len(m) {
				x = binary.LittleEndian.Uint64(m[i : i+8])
			} else {
				x = load(m, i)
			}
			w := letters(x)
			switch j, sure = i+w, true; {
			case w == 0:
				n, dots := decimal(x)
				if j = i + n; n > 0 && n < 8 && dots == 0 && (j >= len(m) || ends[m[j]] && (m[j] != ',' || j+1 == len(m) || !digit(m[j+1]))) {
					what = kindNumber
				} else {
					j, what, prefix, sure = value(m, i, x)
				}
			case w < 8:
				if w == 3 && x&0x20 == 0 && (isDay(m[i:j]) || isMonth(m[i:j])) || gap != ' ' && w > 2 && w < 6 && truthful[byte(x)] && afterKey(gap) && isTruth(m[i:j]) {
					j = i // Mon, Jan; true
				} else if !ended(m, j) {
					j, what, prefix, sure = further(m, i, j, x)
				}
			default:
				w = letters(load(m, min(i+8, len(m))))
				if j += w; w == 8 {
					j = i
				} else if !ended(m, j) {
					j, what, prefix, sure = further(m, i, j, x)
				}
			}
		}
		if then.at >= 0 && (!sure || j == i || j == len(m) || m[j] != then.shut) && !s.simple(m, then.at, k, then.gap) {
			i, gap, skel, s.round = then.at, then.gap, then.skel, then.round
			break
		}
		if j == i {
			break // nothing that is read here; or a joint
		}
		n := j - i
		if what != kindWord {
			if k > 0 && tokens[k-1].kind != kindWord && (!s.round && lists(gap) || what == kindTime && gap == ' ') {
				last := &tokens[k-1]
				if prefix > 0 || last.prefixed || last.kind != what || what == kindTime {
					break // it may join what is before it
				}
				last.end = int32(j)
				i, ahead = j, s.gapAt-j
				check, gap, used, skel = s.markCheck, 0, 0, s.mark
				continue
			}
			s.before = check ^ gap
			n = prefix + 1
			x = x&^(^uint64(0)<<(8*uint(prefix)&63)) | uint64(what)<<(8*uint(prefix)&63)
		}
		var h uint64
		proof := check ^ gap
		switch {
		case what != kindWord && prefix == 0:
			h, proof = slotHash(what), foldSlot(proof, what)
		case n < 8:
			y := uint64(n)*k1 ^ spread(x, n)
			proof = fold(proof, y^secret[0])
			h = y * k2
			h ^= h >> 29
		case what != kindWord:
			text := append(append(s.prefix[:0], m[i:i+prefix]...), byte(what))
			h, proof = hashBytes(text), foldBytes(proof, text)
		case n <= 16:
			base := uint64(n) * k1
			h = (base ^ x) * k2
			h ^= h >> 29
			if n > 8 {
				proof = fold(proof, x^secret[1])
				x = spread(load(m, i+8), n-8)
				h = (h ^ x) * k2
				h ^= h >> 29
			}
			proof = fold(proof, base^x^secret[0])
		default:
			h, proof = hashBytes(m[i:j]), foldBytes(proof, m[i:j])
		}
		t := &tokens[k]
		t.start, t.end, t.slotStart, t.textStart, t.textEnd = int32(i), int32(j), int32(i+prefix), int32(i+ahead), int32(i+ahead+n)
		t.hash, t.kind, t.prefixed = h, what, prefix > 0
		sum += mixAt(h, k)
		k++
		ahead += n - (j - i)
		i = j
		check, gap, used, skel = proof, 0, 0, (skel+0x1ff)*k1
		s.mark, s.markCheck, s.gapAt = skel, check, i+ahead
	}
	s.tokens = s.tokens[:k]
	s.n = i + ahead
	s.sum, s.skel, s.check, s.gap = sum, skel, check, gap
	return i
}

// turn is where prose goes back to if the delimiter before a token, at at, says something of what follows it. What opens there says
// nothing if it is shut at the end of one word.
type turn struct {
	at        int // -1 if there is none
	gap, skel uint64
	round     bool
	shut      byte
}

// lists reports whether the delimiters stand between the values of a list.
func lists(gap uint64) bool {
	return gap == ',' || gap == ';' || gap == ','|' '<<8 || gap == ';'|' '<<8
}

var closes = [256]byte{'"': '"', '[': ']', '{': '}'}

// truthful tells the first letters of the words that isTruth knows.
var truthful = [256]bool{'t': true, 'f': true, 'n': true, 'T': true, 'F': true, 'N': true}

// further returns where the token ends that begins with the letters m[i:j], which do not end there, what it is and how many of its
// bytes are a literal prefix; if it is sure, there is no backslash in it. Its first eight bytes are x. The end is i if run has to say.
func further(m []byte, i, j int, x uint64) (end int, k kind, prefix int, sure bool) {
	switch c := m[j]; {
	case c == ':':
		if m[j+1] == '/' && j+2 < len(m) && m[j+2] == '/' {
			return toEnd(m, untilBlank(m, j+3)), kindURL, 0, false
		}
		if n := j - i; n > 4 || n > 1 && !allHex(m[i:j]) {
			return j, kindWord, 0, true
		}
		return i, kindWord, 0, false
	case digit(c) && j-i < 7:
		if n, _ := hexes(x); n <= j-i {
			if e, k, prefix := numbered(m, i, j); e > i {
				return e, k, prefix, true
			}
		} else if w, k := hexWord(m, i, x); w > 0 {
			return i + w, k, 0, true
		}
	case c >= utf8.RuneSelf:
		return foreign(m, i, j), kindWord, 0, true
	default:
		if e, k, prefix := compound(m, i, j); e > i {
			return e, k, prefix, true
		}
	}
	return wordAt(m, i, j)
}

// value is further of what does not begin with a letter.
func value(m []byte, i int, x uint64) (end int, k kind, prefix int, sure bool) {
	if digit(byte(x)) {
		w, k := figures(m, i, x)
		if w == 0 {
			w, k = hexWord(m, i, x)
		}
		if w > 0 {
			return i + w, k, 0, true
		}
		if e, k := withUnit(m, i); e > i {
			return e, k, 0, true
		}
		return wordAt(m, i, i)
	}
	if m[i] >= utf8.RuneSelf {
		return foreign(m, i, i), kindWord, 0, true
	}
	if classOf[m[i]]&isPunct != 0 && i+1 < len(m) && classOf[m[i+1]]&isWord != 0 {
		return wordAt(m, i, i+1)
	}
	return i, kindWord, 0, false
}

// withUnit returns the end and the kind of a whole number with a unit of up to three letters at i; the end is i if that is not what it is.
func withUnit(m []byte, i int) (end int, k kind) {
	d := digits(m, i)
	for end = d; end < len(m) && classOf[m[end]]&(isHexAlpha|isOtherAlpha) != 0; end++ {
	}
	if end == d || end-d > 3 || end-i > maxWord || !ended(m, end) || end < len(m) && (m[end] == ',' || m[end] == ':') {
		return i, kindWord
	}
	if k = unit(m[i:end], m[d:end]); k == kindWord {
		return i, kindWord
	}
	return end, k
}

// foreign returns the end of a word of letters, those from j on not all ASCII, that begins at i; or i if run has to say.
func foreign(m []byte, i, j int) (end int) {
	if script(m, i) {
		for j = i + 3; j < len(m) && script(m, j); j += 3 {
		}
		if j-i > maxWord || j < len(m) && m[j] == ':' && !ended(m, j) {
			return i
		}
		return j
	}
	for j < len(m) {
		c := m[j]
		switch {
		case c < utf8.RuneSelf:
			if classOf[c]&(isHexAlpha|isOtherAlpha) == 0 {
				if j-i > maxWord || !ended(m, j) {
					return i
				}
				return j
			}
			j++
		case c >= 0xc2 && c < 0xe0 && j+1 < len(m) && m[j+1]&0xc0 == 0x80:
			j += 2
		default:
			r, n := utf8.DecodeRune(m[j:])
			if r == utf8.RuneError || classOf[c]&isWide != 0 {
				return i
			}
			j += n
		}
	}
	if j-i > maxWord {
		return i
	}
	return j
}

// numbered is further of letters m[i:j], not all hex, with nothing but digits behind them; the end is i if there is more.
func numbered(m []byte, i, j int) (end int, k kind, prefix int) {
	end = digits(m, j)
	if !ended(m, end) || end < len(m) && (m[end] == ',' || m[end] == ':') || end-i > maxWord {
		return i, kindWord, 0
	}
	if n := end - j; n <= 3 && end-i <= 12 && (n < 3 || j-i <= 3) {
		return end, kindWord, 0 // weak
	}
	return end, kindNumber, j - i
}

// wordAt is further of any word but one of letters alone.
func wordAt(m []byte, i, j int) (end int, k kind, prefix int, sure bool) {
	from, flags, last := j, classOf[m[i]], class(0)
	for ; j < len(m); j++ {
		c := classOf[m[j]]
		if c&(isWord|isPunct) == 0 {
			break
		}
		if c&(isHigh|isControl) != 0 || c&last&isPunct != 0 {
			return i, kindWord, 0, false
		}
		flags |= c
		last = c
	}
	if last&isTrailing != 0 {
		j--
	}
	if j == from || j-i > maxWord {
		return i, kindWord, 0, false
	}
	k, prefix, end = classify(m, i, j, flags)
	if k == kindWord {
		return j, k, 0, flags&isSlash == 0
	}
	end = toEnd(m, end)
	return end, k, prefix, flags&isSlash == 0 && end == j
}

// compound is further of letters with single dots, dashes and the like in them, and perhaps a number behind the last; the end is i if
// that is not what it is.
func compound(m []byte, i, j int) (end int, k kind, prefix int) {
	for j+1 < len(m) && classOf[m[j]]&(isPunct|isSep) != 0 && classOf[m[j]]&(isSlash|isAt) == 0 {
		w := letters(load(m, j+1))
		if w == 0 {
			if end = digits(m, j+1); end == j+1 || !ended(m, end) || end < len(m) && (m[end] == ',' || m[end] == ':') || end-i > maxWord {
				return i, kindWord, 0
			}
			return end, kindNumber, j + 1 - i
		}
		for j += w + 1; w == 8 && j < len(m); j += w {
			w = letters(load(m, j))
		}
	}
	if j-i > maxWord || !ended(m, j) {
		return i, kindWord, 0
	}
	return j, kindWord, 0
}

// ended reports whether no word goes on at j, and no value starts with what stands before it.
func ended(m []byte, j int) bool {
	return j >= len(m) || ends[m[j]] || (m[j] == ':' || m[j] == '.') && (j+1 == len(m) || m[j+1] == ' ')
}

// simple reports whether the special delimiter at i says nothing of what follows, which it may stand before. k tokens and the delimiters
// gap stand before i.
func (s *scanner) simple(m []byte, i, k int, gap uint64) bool {
	switch c := m[i]; c {
	case '(': // a size that says again what stands before it
		return !digit(m[i+1]) || gap != ' ' || k < 2 || s.tokens[:k][k-2].kind != kindNumber
	case '[', '{':
		return wordList(m, i+1, closing(c)) == 0
	}
	if gap == 0 || gap == ' ' || k == 0 || classOf[m[i-1]]&isSpace == 0 && m[i-1] != '=' && m[i-1] != ':' || quotes(m, i) {
		return true
	}
	last := &s.tokens[:k][k-1]
	return last.kind == kindWord && isMessageKey(m[last.start:last.end])
}

// quotes reports whether the quote at i opens a value in which there is no white space and no backslash, and which is not empty.
func quotes(m []byte, i int) bool {
	for k := i + 1; k < len(m); k += 8 {
		if n := untilQuote(load(m, k), m[i]); n < 8 {
			return k+n == len(m) || m[k+n] == m[i] && k+n > i+1
		}
	}
	return true // it does not end
}

// figures returns the length and kind of a number or IPv4 address at i, whose first eight bytes are x, that nothing joins or
// extends; the length is 0 if that is not what it is.
func figures(m []byte, i int, x uint64) (w int, k kind) {
	w, dots := decimal(x)
	if w == 8 {
		more, moreDots := decimal(load(m, min(i+8, len(m))))
		w, dots = w+more, dots|moreDots<<8
	}
	if dots>>(w-1) != 0 {
		w-- // the dot ends a sentence
		dots &^= 1 << w
	}
	if w > 15 || dots&(dots<<1|1<<w>>1) != 0 {
		return 0, kindWord
	}
	j := i + w
	address := bits.OnesCount(dots) == 3
	switch {
	case ended(m, j) && address:
		return w, kindIP
	case ended(m, j) && (j+1 >= len(m) || m[j] != ',' || !digit(m[j+1])):
		return w, kindNumber
	case address && m[j] == ':':
		port := digits(m, j+1)
		if n := port - j; n > 1 && n <= 6 && ended(m, port) {
			return port - i, kindIP
		}
	}
	return 0, kindWord
}

// hexWord returns the length and kind of a UUID, of hex digits behind 0x, or of eight and more hex digits that are no number with a
// unit, at i, whose first eight bytes are x; the length is 0 if that is not what it is, or if something joins it.
func hexWord(m []byte, i int, x uint64) (w int, k kind) {
	if x&0xffff|0x2000 == '0'|'x'<<8 {
		j := hexRun(m, i+2)
		if j == i+2 || j-i > maxWord || !ended(m, j) {
			return 0, kindWord
		}
		return j - i, kindHex
	}
	n, alpha := hexes(x)
	j := i + n
	if n < 8 || j >= len(m) {
		return 0, kindWord
	}
	if m[j] == '-' && len(m)-i >= 36 && isUUID(m[i:i+36]) && ended(m, i+36) {
		return 36, kindUUID
	}
	j = hexRun(m, j)
	if alpha == 0 || j-i > maxWord || !ended(m, j) || j-i-bits.TrailingZeros(alpha) <= 3 {
		return 0, kindWord
	}
	for _, b := range m[i:j] {
		switch b | 0x20 {
		case 'a', 'b', 'c', 'f': // 12d, 12e5
			return j - i, kindHex
		}
	}
	return 0, kindWord
}

// hexRun returns the end of the hex digits from i on.
func hexRun(m []byte, i int) int {
	for i < len(m) {
		n, _ := hexes(load(m, i))
		if i += n; n < 8 {
			break
		}
	}
	return i
}

// What may follow a delimiter, and what prose wants to follow it.
const (
	letter byte = 1 << iota
	figure
	space
	atEnd
	shut // what leaves the place before it empty
	other
	special // in needs: what follows is to be looked at
	bracket // in needs
)

var follows = func() (t [256]byte) {
	for b := range t {
		switch c := classOf[b]; {
		case c&isSpace != 0:
			t[b] = space
		case c&isDigit != 0:
			t[b] = figure
		case c&(isHexAlpha|isOtherAlpha) != 0:
			t[b] = letter
		default:
			t[b] = other
		}
	}
	for _, b := range []byte(",;.)]}") {
		t[b] = shut
	}
	return t
}()

var needs = func() (t [256]byte) {
	const something = letter | figure | other | shut
	for _, b := range []byte(",:;>]}|`") {
		t[b] = something | space | atEnd
	}
	for _, b := range []byte(`"'`) {
		t[b] = something | space | atEnd | special
	}
	t['.'] = space | atEnd
	t[' '] = something
	t['='] = letter | figure | other
	t[')'] = something | space | atEnd | bracket
	for _, b := range []byte("([{") {
		t[b] = letter | figure | other | special | bracket
	}
	t['<'] = letter
	return t
}()
