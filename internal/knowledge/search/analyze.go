package search

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Token is a term of a text: what is looked up in the index, and where it stands.
type Token struct {
	Term       []byte // valid until the next token
	Position   int    // number of words before it, stop words among them
	Start, End int    // bounds in the text, in bytes
}

// analyzer cuts texts of one language into terms. It is not safe for concurrent use; it is a buffer and a pointer.
type analyzer struct {
	language *language
	word     []byte
}

// each calls found with every term of the text. Positions begin at first; it returns the one after the last word.
func (a *analyzer) each(text string, first int, found func(Token)) int {
	position := first
	eachWord(text, func(start, end int, pair bool) {
		if term := a.term(text[start:end], pair); term != nil {
			found(Token{term, position, start, end})
		}
		position++
	})
	return position
}

// term folds the case of a word and stems it; nil for a stop word.
func (a *analyzer) term(word string, pair bool) []byte {
	b := a.word[:0]
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c >= utf8.RuneSelf {
			b = foldRunes(b, word[i:])
			break
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	a.word = b
	if pair {
		return b
	}
	return a.language.term(b)
}

// foldRunes appends the text in lower case, without what is invisible.
func foldRunes(b []byte, text string) []byte {
	for _, r := range text {
		if !unicode.Is(unicode.Cf, r) {
			b = utf8.AppendRune(b, unicode.ToLower(r))
		}
	}
	return b
}

// possessive takes 's off the end of an English word.
func possessive(b []byte) []byte {
	if b, ok := bytes.CutSuffix(b, []byte("'s")); ok {
		return b
	}
	b, _ = bytes.CutSuffix(b, []byte("’s"))
	return b
}
