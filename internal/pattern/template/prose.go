package template

import (
	"encoding/binary"
	"math/bits"
)

// prose reads on from i what is common: words, numbers and other values that join nothing, and simple delimiters. It does what space,
// punct and run would do with them, but eight bytes at a time and with its sums in registers, and returns where it met anything
// else. It writes no text.
func (s *scanner) prose(m []byte, i int) int {
	tokens := (*[maxTokens]token)(s.tokens[:maxTokens])
	k, ahead := len(s.tokens), s.n-i // the text is ahead of the message by so much
	sum, skel, check, gap := s.sum, s.skel, s.check, s.gap
	if s.n == 0 && m[i] == ' ' {
		return i
	}
	for k < maxTokens-1 {
		end := min(len(m), maxText-ahead)
		i, gap, skel = s.delimiters(m, i, end, k, gap, skel)
		if i >= end || needs[m[i]] != 0 || gap == 0 && k > 0 {
			break // nothing that is read here; or a joint
		}
		x := uint64(0)
		if i+8 <= len(m) {
			x = binary.LittleEndian.Uint64(m[i : i+8])
		} else {
			x = load(m, i)
		}
		var h, proof uint64
		what, prefix := kindWord, 0
		w := letters(x)
		j := i + w
		switch {
		case w == 0:
			j, what, prefix = value(m, i, x)
		case w < 8:
			if w == 3 && x&0x20 == 0 && (isDay(m[i:j]) || isMonth(m[i:j])) || gap != ' ' && afterKey(gap) && isTruth(m[i:j]) {
				j = i // Mon, Jan; true
			} else if ended(m, j) {
				y := uint64(w)*k1 ^ spread(x, w)
				proof = fold(check^gap, y^secret[0])
				h = y * k2
				h ^= h >> 29
			} else {
				j, what, prefix = further(m, i, j, x)
			}
		default:
			w, h, proof = longWord(m, i, x, check^gap)
			if j = i + w; w > 0 && !ended(m, j) {
				h = 0
				j, what, prefix = further(m, i, j, x)
			}
		}
		if j == i {
			break
		}
		n := j - i
		if what != kindWord {
			if k > 0 && tokens[k-1].kind != kindWord && (!s.round && (byte(gap) == ',' || byte(gap) == ';') || what == kindTime && gap == ' ') {
				break // it may join what is before it
			}
			s.before = check ^ gap
			n = prefix + 1
			if prefix > 0 {
				text := append(append(s.prefix[:0], m[i:i+prefix]...), byte(what))
				h, proof = hashBytes(text), foldBytes(check^gap, text)
			} else {
				h, proof = slotHash(what), foldSlot(check^gap, what)
			}
		} else if h == 0 {
			h, proof = hashBytes(m[i:j]), foldBytes(check^gap, m[i:j])
		}
		t := &tokens[k]
		t.start, t.end, t.slotStart, t.textStart, t.textEnd = int32(i), int32(j), int32(i+prefix), int32(i+ahead), int32(i+ahead+n)
		t.hash, t.kind, t.prefixed = h, what, prefix > 0
		sum += mixAt(h, k)
		k++
		ahead += n - (j - i)
		i = j
		check, gap, skel = proof, 0, (skel+0x1ff)*k1
		s.mark, s.markCheck, s.gapAt = skel, check, i+ahead
	}
	s.tokens = s.tokens[:k]
	s.n = i + ahead
	s.sum, s.skel, s.check, s.gap = sum, skel, check, gap
	return i
}

// delimiters reads on from i, up to before end, while there are delimiters that say nothing of what follows. k tokens and the
// delimiters gap stand before i. It returns where it stopped, and the sums of all delimiters there.
func (s *scanner) delimiters(m []byte, i, end, k int, gap, skel uint64) (int, uint64, uint64) {
	for free := bits.LeadingZeros64(gap) &^ 7; i < end && free > 0; free -= 8 {
		c := m[i]
		need, next := needs[c], atEnd
		if i+1 < len(m) {
			next = follows[m[i+1]]
		}
		if need&next == 0 {
			break
		}
		if need&(special|bracket) != 0 && (c != '"' || gap != 0) {
			if need&special != 0 && !s.simple(m, i, k, gap) {
				break
			}
			if need&bracket != 0 {
				s.round = c == '('
			}
		}
		skel = (skel + uint64(c) + 1) * k1
		gap |= uint64(c) << (-free & 63)
		i++
	}
	return i, gap, skel
}

// further returns where the token ends that begins with the letters m[i:j], which do not end there, what it is and how many of its
// bytes are a literal prefix. Its first eight bytes are x. The end is i if run has to say.
func further(m []byte, i, j int, x uint64) (end int, k kind, prefix int) {
	switch c := m[j]; {
	case c == ':':
		if m[j+1] == '/' && j+2 < len(m) && m[j+2] == '/' {
			return toEnd(m, untilBlank(m, j+3)), kindURL, 0
		}
		if n := j - i; n > 4 || n > 1 && !allHex(m[i:j]) {
			return j, kindWord, 0
		}
		return i, kindWord, 0
	case digit(c) && j-i < 7:
		if w, k := hexWord(m, i, x); w > 0 {
			return i + w, k, 0
		}
	default:
		if e := compound(m, i, j); e > 0 {
			return e, kindWord, 0
		}
	}
	return wordAt(m, i, j)
}

// value is further of what does not begin with a letter.
func value(m []byte, i int, x uint64) (end int, k kind, prefix int) {
	if digit(byte(x)) {
		w, k := figures(m, i, x)
		if w == 0 {
			w, k = hexWord(m, i, x)
		}
		if w > 0 {
			return i + w, k, 0
		}
		return wordAt(m, i, i)
	}
	if classOf[m[i]]&isPunct != 0 && i+1 < len(m) && classOf[m[i+1]]&isWord != 0 {
		return wordAt(m, i, i+1)
	}
	return i, kindWord, 0
}

// wordAt is further of any word but one of letters alone.
func wordAt(m []byte, i, j int) (end int, k kind, prefix int) {
	from, flags, last := j, classOf[m[i]], class(0)
	for ; j < len(m); j++ {
		c := classOf[m[j]]
		if c&(isWord|isPunct) == 0 {
			break
		}
		if c&(isHigh|isControl) != 0 || c&last&isPunct != 0 {
			return i, kindWord, 0
		}
		flags |= c
		last = c
	}
	if last&isTrailing != 0 {
		j--
	}
	if j == from || j-i > maxWord {
		return i, kindWord, 0
	}
	k, prefix, end = classify(m, i, j, flags)
	if k == kindWord {
		return j, k, 0
	}
	return toEnd(m, end), k, prefix
}

// longWord returns the length, hash and proof of a word of 8 to 15 letters, the first of which are x; the length is 0 if it has more.
func longWord(m []byte, i int, x, proof uint64) (w int, hash, next uint64) {
	y := load(m, min(i+8, len(m)))
	w = 8 + letters(y)
	base := uint64(w) * k1
	hash = (base ^ x) * k2
	hash ^= hash >> 29
	switch w {
	case 8:
		return w, hash, fold(proof, base^x^secret[0])
	case 16:
		return 0, 0, 0
	}
	y = spread(y, w-8)
	hash = (hash ^ y) * k2
	return w, hash ^ hash>>29, fold(fold(proof, x^secret[1]), base^y^secret[0])
}

// compound returns the end of a word of letters with single dots, dashes and the like in it, of which m[i:j] is the beginning; or 0
// if that is not what it is.
func compound(m []byte, i, j int) (end int) {
	for j+1 < len(m) && classOf[m[j]]&(isPunct|isSep) != 0 && classOf[m[j]]&(isSlash|isAt) == 0 {
		w := letters(load(m, j+1))
		if w == 0 {
			return 0
		}
		for j += w + 1; w == 8 && j < len(m); j += w {
			w = letters(load(m, j))
		}
	}
	if j-i > maxWord || !ended(m, j) {
		return 0
	}
	return j
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
