package embed

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord is the number of characters above which BERT takes a word for unknown.
const maxWord = 100

// tokenizer cuts text as BERT's uncased tokenizer does: it drops control characters and accents, folds case, sets Chinese
// characters and punctuation apart, and takes the longest known pieces of each word from its beginning.
type tokenizer struct {
	first pieces // that begin a word
	inner pieces // that continue one, written without their ##
	long  int    // bytes of the longest piece
}

// scratch is the room that one text needs; it is reused.
type scratch struct {
	word   []byte
	chars  int
	tokens []int32 // -1 is an unknown word
}

// tokenize leaves the tokens of the text in s.tokens. Invalid UTF-8 counts as U+FFFD, which is dropped.
func (t *tokenizer) tokenize(s *scratch, text string) {
	s.tokens, s.word, s.chars = s.tokens[:0], s.word[:0], 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			i = t.foreign(s, text, i)
			continue
		}
		i++
		t.ascii(s, c)
	}
	t.flush(s)
}

func (t *tokenizer) ascii(s *scratch, c byte) {
	switch classes[c] {
	case letter:
		s.add(c)
	case upper:
		s.add(c + 'a' - 'A')
	case space:
		t.flush(s)
	case mark:
		t.flush(s)
		s.add(c)
		t.flush(s)
	}
}

// foreign handles a run of characters that are not ASCII and returns where it ends. Decomposing the run without its
// neighbours is enough, since no mark that could belong to one is kept.
func (t *tokenizer) foreign(s *scratch, text string, from int) int {
	to := from
	for to < len(text) && text[to] >= utf8.RuneSelf {
		to++
	}
	run := text[from:to]
	if !norm.NFD.IsNormalString(run) {
		run = norm.NFD.String(run)
	}
	for _, r := range run {
		t.rune(s, r)
	}
	return to
}

// rune takes one decomposed character.
func (t *tokenizer) rune(s *scratch, r rune) {
	switch {
	case r < utf8.RuneSelf:
		t.ascii(s, byte(r))
	case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		return // dropped
	case unicode.In(r, unicode.Z):
		t.flush(s)
	case unicode.Is(unicode.Mn, r):
		return // an accent
	case chinese(r) || unicode.IsPunct(r):
		t.flush(s)
		s.addRune(r)
		t.flush(s)
	default:
		s.addRune(r)
	}
}

func (s *scratch) add(c byte) {
	s.word = append(s.word, c)
	s.chars++
}

// addRune folds the case of a character and adds it.
func (s *scratch) addRune(r rune) {
	s.word = utf8.AppendRune(s.word, unicode.ToLower(r))
	s.chars++
}

// flush ends the word.
func (t *tokenizer) flush(s *scratch) {
	if len(s.word) == 0 {
		return
	}
	t.pieces(s)
	s.word, s.chars = s.word[:0], 0
}

func (t *tokenizer) pieces(s *scratch) {
	if s.chars > maxWord {
		s.tokens = append(s.tokens, -1)
		return
	}
	begun := len(s.tokens)
	known := &t.first
	for rest := s.word; len(rest) > 0; known = &t.inner {
		end := min(len(rest), t.long)
		for end < len(rest) && !utf8.RuneStart(rest[end]) {
			end--
		}
		id, ok := known.id(rest[:end])
		for !ok && end > 0 {
			for end--; end > 0 && !utf8.RuneStart(rest[end]); end-- {
			}
			id, ok = known.id(rest[:end])
		}
		if !ok {
			s.tokens = append(s.tokens[:begun], -1)
			return
		}
		s.tokens = append(s.tokens, id)
		rest = rest[end:]
	}
}

// chinese reports whether BERT takes the character for a word of its own: the CJK ideographs, not Kana or Hangul.
func chinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0xF900 && r <= 0xFAFF ||
		r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F ||
		r >= 0x2B920 && r <= 0x2CEAF || r >= 0x2F800 && r <= 0x2FA1F
}

// The classes of ASCII characters.
const (
	dropped = iota
	letter  // also digits
	upper
	space
	mark
)

var classes = func() (c [utf8.RuneSelf]byte) {
	for i := range c {
		switch r := byte(i); {
		case r >= 'A' && r <= 'Z':
			c[i] = upper
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			c[i] = letter
		case r == ' ', r == '\t', r == '\n', r == '\r':
			c[i] = space
		case r > ' ' && r < 0x7F:
			c[i] = mark
		}
	}
	return c
}()
