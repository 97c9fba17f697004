package injection

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folded is a text in the form that rules match: small letters without accents, no emphasis, no invisible characters, one
// blank between words. at[i] is the byte of the text that byte i comes from.
type folded struct {
	s  string
	at []int32
}

func fold(s string) folded {
	var f folded
	b := make([]byte, 0, len(s))
	f.at = make([]int32, 0, len(s))
	put := func(r rune, at int) {
		n := len(b)
		b = utf8.AppendRune(b, r)
		for range len(b) - n {
			f.at = append(f.at, int32(at))
		}
	}
	blank := true
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf:
			switch {
			case 'A' <= r && r <= 'Z':
				r += 'a' - 'A'
			case r == '*' || r == '`' || r == '~' || r == '\\':
				continue
			case r == '_' && (i == 0 || i+1 == len(s) || !word(s[i-1]) || !word(s[i+1])):
				continue
			case r <= ' ':
				if !blank {
					b, f.at = append(b, ' '), append(f.at, int32(i))
				}
				blank = true
				continue
			}
			blank = false
			b, f.at = append(b, byte(r)), append(f.at, int32(i))
		case invisible(r):
		case unicode.IsSpace(r):
			if !blank {
				put(' ', i)
			}
			blank = true
		default:
			blank = false
			for _, d := range norm.NFKD.String(string(r)) {
				switch {
				case 0x300 <= d && d <= 0x36f:
				case d == '’' || d == '‘':
					put('\'', i)
				default:
					put(unicode.ToLower(d), i)
				}
			}
		}
	}
	f.s = string(b)
	return f
}

// ascii says whether a text has no bytes of other characters.
func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func word(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b >= utf8.RuneSelf
}

func invisible(r rune) bool {
	return r == 0xad || r == 0x34f || r == 0x61c || r == 0xfeff || 0x200b <= r && r <= 0x200f || 0x202a <= r && r <= 0x202e || 0x2060 <= r && r <= 0x206f ||
		r == 0x115f || r == 0x1160 || r == 0x3164 || r == 0xffa0 || 0xfe00 <= r && r <= 0xfe0f || 0xe0000 <= r && r <= 0xe0fff || 0x180b <= r && r <= 0x180f
}

// alike maps letters of other scripts to the Latin ones that they are drawn like, where a text has both scripts: it is
// then read again with them mapped.
func alike(f folded) (folded, bool) {
	if ascii(f.s) {
		return f, false
	}
	latin, other := false, false
	for _, r := range f.s {
		latin = latin || 'a' <= r && r <= 'z'
		other = other || lookalikes[r] != 0
	}
	if !latin || !other {
		return f, false
	}
	var b strings.Builder
	out := folded{at: make([]int32, 0, len(f.at))}
	for i, r := range f.s {
		if l := lookalikes[r]; l != 0 {
			r = l
		}
		n, _ := b.WriteRune(r)
		for range n {
			out.at = append(out.at, f.at[i])
		}
	}
	out.s = b.String()
	return out, true
}

var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	from := []rune("аеорсухіјѕһԁԛԝӏкмтнвοανιρυκτχεηωօսհոցıɡɩʟɴʀᴀᴄᴅᴇᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱ")
	to := []rune("aeopcyxijshdqwlkmthboavipuktxenwouhngigilnracdekmoptuvwzs")
	for i, r := range from {
		m[r] = to[i]
	}
	return m
}()

// compact are the letters of a text alone, with digits read as the letters they stand for in "1gn0re".
func compact(f folded) folded {
	out := folded{at: make([]int32, 0, len(f.at))}
	for i := 0; i < len(f.s); i++ {
		if letterOf[f.s[i]] != 0 {
			out.at = append(out.at, f.at[i])
		}
	}
	out.s = letters(f.s)
	return out
}

// letters is the text of compact.
func letters(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c := letterOf[s[i]]; c != 0 {
			b = append(b, c)
		}
	}
	return string(b)
}

// letterOf is the letter that a byte is or stands for, 0 none.
var letterOf = func() (of [256]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		of[c] = c
	}
	for i, c := range []byte("01!|34@5$7") {
		of[c] = "oiiieaasst"[i]
	}
	return of
}()
