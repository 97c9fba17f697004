package validate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func isBlank(r rune) bool { return unicode.IsSpace(r) || r == '\u00a0' }

// isInvisible says whether a character shows nothing: controls of direction and joining, fillers, tags, selectors.
func isInvisible(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x3164, r == 0xfeff, r == 0xffa0,
		0x180b <= r && r <= 0x180f, 0x200b <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f,
		0xfe00 <= r && r <= 0xfe0f, 0xfff0 <= r && r <= 0xfffb, 0x1d173 <= r && r <= 0x1d17a, 0xe0000 <= r && r <= 0xe0fff:
		return true
	}
	return false
}

// quoted is s in quotation marks, with what shows nothing written out.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case isInvisible(r) || !unicode.IsPrint(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isDirection says whether a character embeds, overrides or isolates a direction of writing.
func isDirection(r rune) bool { return 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 }

// unicode: what a person does not see, in every text of the document.
func (c *run) unicode() {
	for _, t := range c.texts {
		if ascii(t.value) {
			if i := strings.IndexFunc(t.value, isControl); i >= 0 {
				c.add("unicode.control", Block, t.at(i), quoted(t.value[i:i+1]))
			}
			continue
		}
		inBody := t.path == "/body"
		severity := Block
		if inBody {
			severity = Warn
		}
		if !utf8.ValidString(t.value) {
			c.add("unicode.control", Block, t.path, "bytes that are no UTF-8")
			continue
		}
		if !norm.NFC.IsNormalString(t.value) {
			c.add("unicode.nfc", severity, t.at(norm.NFC.QuickSpanString(t.value)), "text that is not in NFC")
		}
		c.characters(t, severity)
	}
}

func isControl(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' && r != '\r' || 0x7f <= r && r < 0xa0 && r != 0x85
}

// characters looks at each character that shows nothing: the first of each kind in a text is said.
func (c *run) characters(t text, severity Severity) {
	said := map[string]bool{}
	say := func(id string, s Severity, at int, evidence string) {
		if !said[id] {
			said[id] = true
			c.add(id, s, t.at(at), evidence)
		}
	}
	var before rune
	open, openAt := 0, 0
	for i, r := range t.value {
		rest := t.value[i+utf8.RuneLen(r):]
		switch {
		case isControl(r):
			say("unicode.control", Block, i, quoted(string(r)))
		case r == 0x202d || r == 0x202e:
			say("unicode.bidi", Block, i, quoted(string(r)))
		case isDirection(r):
			if r == 0x2069 || r == 0x202c {
				open--
			} else if open++; open == 1 {
				openAt = i
			}
			if severity == Block {
				say("unicode.bidi", Block, i, quoted(string(r)))
			} else {
				say("unicode.bidi", Warn, i, quoted(string(r)))
			}
		case 0xe0020 <= r && r <= 0xe007f:
			if !strings.ContainsRune(t.value[:i], 0x1f3f4) || !isFlag(t.value[:i], t.value[i:]) {
				say("unicode.tag", Block, i, fmt.Sprintf("tag characters that spell %s", excerpt(untag(t.value[i:]), 60)))
			}
		case r == 0xe0001 || 0xe0100 <= r && r <= 0xe01ef && !unicode.Is(unicode.Han, before):
			say("unicode.tag", Block, i, quoted(string(r)))
		case 0xfe00 <= r && r <= 0xfe0f:
			if isSelector(before) {
				say("unicode.tag", Block, i, "variation selectors in a row")
			}
		case isInvisible(r) && !needed(before, r, rest):
			say("unicode.invisible", severity, i, quoted(string(r)))
		}
		if r == '\n' && open > 0 { // a paragraph ends what it left open
			say("unicode.bidi", Block, openAt, "not closed in its line")
			open = 0
		}
		before = r
	}
	if open > 0 {
		say("unicode.bidi", Block, openAt, "not closed in its line")
	}
}

func isSelector(r rune) bool { return 0xfe00 <= r && r <= 0xfe0f || 0xe0100 <= r && r <= 0xe01ef }

// isFlag says whether tag characters belong to a flag of a region: the black flag, region letters, and the end.
func isFlag(before, tags string) bool {
	flag := strings.LastIndex(before, "\U0001f3f4")
	for _, r := range before[flag+len("\U0001f3f4"):] {
		if r < 0xe0020 || r > 0xe007e {
			return false
		}
	}
	n := 0
	for _, r := range before[flag+len("\U0001f3f4"):] + tags {
		if r == 0xe007f {
			return n >= 4 && n <= 6
		}
		if n++; r < 0xe0030 || r > 0xe007a || n > 6 {
			return false
		}
	}
	return false
}

// untag reads what tag characters spell.
func untag(s string) string {
	return strings.Map(func(r rune) rune {
		if 0xe0020 <= r && r <= 0xe007e {
			return r - 0xe0000
		}
		return -1
	}, s)
}

// needed says whether a script or an emoji needs an invisible character where it stands.
func needed(before, r rune, rest string) bool {
	after, _ := utf8.DecodeRuneInString(rest)
	switch r {
	case 0xfeff:
		return before == 0 // byte order mark
	case 0x200e, 0x200f, 0x61c: // marks of direction beside what is written from right to left
		return true
	case 0x200c, 0x200d:
		if r == 0x200d && (before == 0xfe0f || isEmoji(before)) && isEmoji(after) {
			return true
		}
		return joins(before) && (joins(after) || isBlank(after) || unicode.IsPunct(after))
	case 0xad: // soft hyphen inside a word
		return unicode.IsLetter(before) && unicode.IsLetter(after)
	case 0x200b, 0x2060: // where lines may or may not break: in scripts without blanks
		return unicode.In(before, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Han, unicode.Hiragana, unicode.Katakana)
	}
	return unicode.In(before, unicode.Mongolian, unicode.Hangul)
}

// joins says whether a letter is of a script whose letters join.
func joins(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi,
		unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer)
}

func isEmoji(r rune) bool {
	return 0x1f000 <= r && r <= 0x1faff || 0x2190 <= r && r <= 0x2bff || r == 0xfe0f
}
