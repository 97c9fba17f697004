package template

import (
	"encoding/binary"
	"math/bits"
)

// prose reads on from i what is plain and common: words of up to 15 letters, numbers of up to 7 digits and simple delimiters. It
// does what space, punct and run would do with them, but eight bytes at a time and with its sums in registers, and returns where it
// met anything else. It writes no text.
func (s *scanner) prose(m []byte, i int) int {
	tokens := (*[maxTokens]token)(s.tokens[:maxTokens])
	k, ahead := len(s.tokens), s.n-i // the text is ahead of the message by so much
	sum, skel, check, gap := s.sum, s.skel, s.check, s.gap
	for k < maxTokens-1 && i < len(m) && i+ahead < maxText {
		if c := m[i]; needs[c] != 0 {
			if gap >= 1<<56 || c == ' ' && i+ahead == 0 || !simple(m, i, gap) {
				break
			}
			if c == '(' || c == ')' || c == '{' {
				s.round = c == '('
			}
			skel = (skel + uint64(c) + 1) * k1
			gap |= uint64(c) << ((71 - uint(bits.LeadingZeros64(gap))) & 0x38)
			i++
			continue
		}
		if gap == 0 && k > 0 {
			break // a joint
		}
		x := uint64(0)
		if i+8 <= len(m) {
			x = binary.LittleEndian.Uint64(m[i : i+8])
		} else {
			x = load(m, i)
		}
		var h, proof uint64
		what := kindWord
		w := letters(x)
		switch {
		case w >= 8:
			if w, h, proof = longWord(m, i, x, check^gap); w == 0 {
				goto out
			}
		case w > 0 && w < 7 && digit(byte(x>>(8*uint(w)))):
			if w, what = hexWord(m, i, x, gap); w == 0 {
				goto out
			}
			h, proof = slotHash(what), foldSlot(check^gap, what)
			s.before = check ^ gap
		case w > 0:
			if w <= 5 && (w == 3 && x&0x20 == 0 || gap != ' ' && afterKey(gap) && isTruth(m[i:i+w])) {
				goto out // Mon, Jan; true
			}
			y := uint64(w)*k1 ^ spread(x, w)
			proof = fold(check^gap, y^secret[0])
			h = y * k2
			h ^= h >> 29
		case digit(byte(x)):
			if w, what = figures(m, i, x, gap); w == 0 {
				if w, what = hexWord(m, i, x, gap); w == 0 {
					goto out
				}
			}
			h, proof = slotHash(what), foldSlot(check^gap, what)
			s.before = check ^ gap
		default:
			goto out
		}
		j := i + w
		spaced := j+1 < len(m) && m[j] == ' ' && m[j+1] > ' '
		if !spaced && what == kindWord && !ended(m, j) {
			if w = compound(m, i, j) - i; w <= 0 {
				break
			}
			j = i + w
			h, proof = hashBytes(m[i:j]), foldBytes(check^gap, m[i:j])
		}
		t := &tokens[k]
		n := w
		if what != kindWord {
			n = 1
		}
		t.start, t.end, t.slotStart, t.textStart, t.textEnd = int32(i), int32(j), int32(i), int32(i+ahead), int32(i+ahead+n)
		t.hash, t.kind, t.prefixed = h, what, false
		sum += mixAt(h, k)
		k++
		i = j
		ahead += n - w
		check, gap, skel = proof, 0, (skel+0x1ff)*k1
		s.mark, s.markCheck, s.gapAt = skel, check, i+ahead
		if spaced {
			gap, skel = ' ', (skel+' '+1)*k1
			i++
		}
	}
out:
	s.tokens = s.tokens[:k]
	s.n = i + ahead
	s.sum, s.skel, s.check, s.gap = sum, skel, check, gap
	return i
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

// simple reports whether the byte at i is a delimiter that says nothing of what follows; gap is the delimiters before it.
func simple(m []byte, i int, gap uint64) bool {
	need, next := needs[m[i]], atEnd
	if i+1 < len(m) {
		next = follows[m[i+1]]
	}
	if need&next == 0 {
		return false
	}
	return need&notValue == 0 || gap == 0 || gap == ' ' || m[i-1] != ' ' && m[i-1] != '=' && m[i-1] != ':' || quotes(m, i)
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
func figures(m []byte, i int, x, gap uint64) (w int, k kind) {
	if byte(gap) == ',' || byte(gap) == ';' {
		return 0, kindWord
	}
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
func hexWord(m []byte, i int, x, gap uint64) (w int, k kind) {
	if byte(gap) == ',' || byte(gap) == ';' {
		return 0, kindWord
	}
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
	other
	quote
	notValue // in needs: a quote, which must not open the value of a key
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
	t['"'] = other | quote
	return t
}()

var needs = func() (t [256]byte) {
	const something = letter | figure | other
	for _, b := range []byte("),:;>]}|`") {
		t[b] = something | space | atEnd
	}
	for _, b := range []byte(`"'`) {
		t[b] = something | space | atEnd | notValue
	}
	t['.'] = space | atEnd
	t[' '] = something
	t['='] = letter | figure
	t['('] = letter
	t['{'] = quote
	return t
}()
