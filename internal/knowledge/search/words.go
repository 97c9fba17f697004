package search

import (
	"unicode"
	"unicode/utf8"
)

// kind is what a character does to the word that it stands in: the classes of UAX #29 that words of text need, with what is
// written without spaces (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) in one class, since it is cut in pairs.
type kind uint8

const (
	other     kind = iota
	letter         // part of a word
	digit          // part of a word or a number
	joiner         // _ and its like: part of what it touches
	midLetter      // joins letters: the : and the middle dot
	midNumber      // joins digits: , ;
	midBoth        // joins letters, and joins digits: . ' and their like
	attached       // marks and formats: belong to the character before
	dense          // written without spaces
)

var asciiKinds = func() (k [utf8.RuneSelf]kind) {
	for c := range k {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			k[c] = letter
		case '0' <= c && c <= '9':
			k[c] = digit
		}
	}
	k['_'], k[':'], k[','], k[';'], k['.'], k['\''] = joiner, midLetter, midNumber, midNumber, midBoth, midBoth
	return k
}()

var denseScripts = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Bopomofo, unicode.Yi,
}

func kindOf(r rune) kind {
	if r < utf8.RuneSelf {
		return asciiKinds[r]
	}
	switch r {
	case '·', '\u0387', '\u055f', '\u05f4', '\u2027', '\ufe13', '\ufe55', '\uff1a':
		return midLetter
	case '\u037e', '\u0589', '\u060c', '\u060d', '\u066c', '\u07f8', '\u2044', '\ufe10', '\ufe14', '\ufe50', '\ufe54', '\uff0c', '\uff1b':
		return midNumber
	case '‘', '’', '\u2024', '\ufe52', '\uff07', '\uff0e':
		return midBoth
	case '\u200b', utf8.RuneError: // a zero-width space ends a word
		return other
	}
	switch {
	case unicode.In(r, denseScripts...) && (unicode.IsLetter(r) || unicode.IsNumber(r)), r == 'ー', r == '々':
		return dense
	case unicode.IsLetter(r):
		return letter
	case unicode.Is(unicode.Nd, r):
		return digit
	case unicode.Is(unicode.Pc, r):
		return joiner
	case unicode.In(r, unicode.M, unicode.Cf):
		return attached
	}
	return other
}

// at returns the character at i with its kind and width; other at the end of the text.
func at(text string, i int) (kind, int) {
	if i >= len(text) {
		return other, 0
	}
	if c := text[i]; c < utf8.RuneSelf {
		return asciiKinds[c], 1
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	return kindOf(r), n
}

// maxWord is the number of bytes at which a longer word is cut in two, as Lucene does after as many characters.
const maxWord = 255

// eachWord finds the words of the text as UAX #29 does, and calls found with the bounds of each, and whether it is one of a
// run that is written without spaces: such a run gives its overlapping pairs of characters, or the one character that it is.
func eachWord(text string, found func(start, end int, pair bool)) {
	for i := 0; i < len(text); {
		k, n := at(text, i)
		switch k {
		case letter, digit, joiner:
			i = word(text, i, found)
		case dense:
			i = pairs(text, i, found)
		default:
			i += n
		}
	}
}

// skipAttached returns where what is attached to the character before i ends.
func skipAttached(text string, i int) int {
	for {
		k, n := at(text, i)
		if k != attached {
			return i
		}
		i += n
	}
}

// word finds the word that begins at start and returns where it ends.
func word(text string, start int, found func(start, end int, pair bool)) int {
	last, n := at(text, start)
	end := skipAttached(text, start+n)
	some := last != joiner // a run of joiners alone is no word
	for {
		k, n := at(text, end)
		next := end + n
		switch k {
		case letter, digit, joiner:
		case midLetter, midNumber, midBoth:
			next = skipAttached(text, next)
			var m int
			if k, m = joined(text, next, last, k); k == other {
				goto done
			}
			next += m
		default:
			goto done
		}
		next = skipAttached(text, next)
		if next-start > maxWord && some {
			found(start, end, false)
			start, some = end, false
		}
		some = some || k != joiner
		last, end = k, next
	}
done:
	if some {
		found(start, end, false)
	}
	return end
}

// joined returns the kind of the character at i if a character of kind by joins it to one of kind last, and its width.
func joined(text string, i int, last, by kind) (kind, int) {
	k, n := at(text, i)
	if k == last && ((k == letter && by != midNumber) || (k == digit && by != midLetter)) {
		return k, n
	}
	return other, 0
}

// pairs finds the pairs of the run of dense characters at start and returns where it ends.
func pairs(text string, start int, found func(start, end int, pair bool)) int {
	_, n := at(text, start)
	end := skipAttached(text, start+n)
	alone := true
	for {
		k, n := at(text, end)
		if k != dense {
			break
		}
		next := skipAttached(text, end+n)
		found(start, next, true)
		start, end, alone = end, next, false
	}
	if alone {
		found(start, end, true)
	}
	return end
}
