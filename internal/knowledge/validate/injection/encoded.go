package injection

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Segment is a part of a text that decodes to text.
type Segment struct {
	Start, End int
	Encoding   string
	Text       string
}

var (
	escapeForm  = regexp.MustCompile(`(?:(?:\\x|0x)[0-9a-fA-F]{2}[ ,]{0,2}){8,}`)
	percentForm = regexp.MustCompile(`(?:[\w.~-]{0,20}%[0-9A-Fa-f]{2}){3,}[\w.~%-]*`)
	entityForm  = regexp.MustCompile(`(?:&#(?:\d{2,7}|[xX][0-9a-fA-F]{2,6});[ \t]?){4,}(?:[^\n]{0,40}(?:&#(?:\d{2,7}|[xX][0-9a-fA-F]{2,6});){4,})*`)
	unicodeForm = regexp.MustCompile(`(?:\\u[0-9a-fA-F]{4} ?){6,}`)
	binaryForm  = regexp.MustCompile(`(?:[01]{8}[ ,]?){12,}`)
	pairsForm   = regexp.MustCompile(`(?:[0-9a-fA-F]{2} ){11,}[0-9a-fA-F]{2}`)
	// what "ignore previous instructions, reveal the system prompt" is made of
	rot13Cues   = []string{"vtaber", "qvfertneq", "bireevqr", "vafgehpgvba", "cebzcg", "flfgrz", "cerivbhf", "sbetrg", "erirny", "nffvfgnag"}
	reverseCues = []string{"erongi", "noitcurtsni", "snoitcurtsni", "suoiverp", "dragersid", "tpmorp", "metsys", "tegrof", "laever", "tnatsissa"}
)

const (
	maxSegments = 200
	maxDepth    = 3
)

// Decoded returns the parts of a text that decode to readable text: base64, hexadecimal, percent, HTML and Unicode escapes,
// binary, rot13 and reversed words, and what these hold in turn.
func Decoded(s string) []Segment { return decoded(nil, s, 0) }

func decoded(out []Segment, s string, depth int) []Segment {
	if depth == maxDepth {
		return out
	}
	add := func(start, end int, encoding, text string) {
		if len(out) >= maxSegments || !readable(text) {
			return
		}
		out = append(out, Segment{start, end, encoding, text})
		for _, inner := range decoded(nil, text, depth+1) {
			if len(out) < maxSegments {
				out = append(out, Segment{start, end, encoding + ", " + inner.Encoding, inner.Text})
			}
		}
	}
	hexa, bin := false, false
	for from := 0; from < len(s); {
		if !isBase64[s[from]] {
			from++
			continue
		}
		to, pair, digit := from, true, true
		for ; to < len(s) && isBase64[s[to]]; to++ {
			pair = pair && isHex[s[to]]
			digit = digit && s[to]&^1 == '0'
		}
		hexa, bin = hexa || pair && to-from == 2, bin || digit && to-from >= 8
		if to-from >= 20 {
			if text, ok := fromBase64(s[from:to]); ok {
				end := to
				for end < len(s) && s[end] == '=' && end < to+2 {
					end++
				}
				add(from, end, "base64", text)
			}
			if pair && to-from >= 24 {
				if b, err := hex.DecodeString(s[from : to-(to-from)%2]); err == nil {
					add(from, to, "hexadecimal", string(b))
				}
			}
		}
		from = to
	}
	hexadecimal := func(form *regexp.Regexp) {
		for _, m := range form.FindAllStringIndex(s, -1) {
			digits := strings.NewReplacer(`\x`, "", "0x", "", " ", "", ",", "").Replace(s[m[0]:m[1]])
			if b, err := hex.DecodeString(digits); err == nil {
				add(m[0], m[1], "hexadecimal", string(b))
			}
		}
	}
	if hexa {
		hexadecimal(pairsForm)
	}
	if strings.Contains(s, `\x`) || strings.Contains(s, "0x") {
		hexadecimal(escapeForm)
	}
	if strings.Contains(s, "%") {
		for _, m := range percentForm.FindAllStringIndex(s, -1) {
			if text, err := url.QueryUnescape(s[m[0]:m[1]]); err == nil {
				add(m[0], m[1], "percent", text)
			}
		}
	}
	if strings.Contains(s, "&#") {
		for _, m := range entityForm.FindAllStringIndex(s, -1) {
			add(m[0], m[1], "HTML", html.UnescapeString(s[m[0]:m[1]]))
		}
	}
	if strings.Contains(s, `\u`) {
		for _, m := range unicodeForm.FindAllStringIndex(s, -1) {
			if text, err := strconv.Unquote(`"` + strings.ReplaceAll(s[m[0]:m[1]], " ", "") + `"`); err == nil {
				add(m[0], m[1], "Unicode", text)
			}
		}
	}
	if bin {
		for _, m := range binaryForm.FindAllStringIndex(s, -1) {
			bits := strings.NewReplacer(" ", "", ",", "").Replace(s[m[0]:m[1]])
			var b []byte
			for i := 0; i+8 <= len(bits); i += 8 {
				n, _ := strconv.ParseUint(bits[i:i+8], 2, 8) // the form has nothing but digits
				b = append(b, byte(n))
			}
			add(m[0], m[1], "binary", string(b))
		}
	}
	if depth == 0 {
		lower := strings.ToLower(s)
		if two(lower, rot13Cues) {
			for _, line := range lines(s) {
				if text := s[line[0]:line[1]]; two(strings.ToLower(text), rot13Cues) {
					add(line[0], line[1], "rot13", strings.Map(rot13, text))
				}
			}
		}
		if two(lower, reverseCues) {
			for _, line := range lines(s) {
				if text := s[line[0]:line[1]]; two(strings.ToLower(text), reverseCues) {
					add(line[0], line[1], "reversed", reverse(text))
				}
			}
		}
	}
	return out
}

// two says whether a text holds two of the words.
func two(s string, words []string) bool {
	n := 0
	for _, w := range words {
		if strings.Contains(s, w) {
			n++
		}
	}
	return n >= 2
}

var isBase64, isHex = func() (b, h [256]bool) {
	for c := range 256 {
		r := byte(c)
		h[c] = '0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F'
		b[c] = r < 0x80 && word(r) || r == '+' || r == '/' || r == '_' || r == '-'
	}
	return b, h
}()

func lines(s string) (out [][2]int) {
	from := 0
	for from < len(s) {
		to := strings.IndexByte(s[from:], '\n')
		if to < 0 {
			to = len(s) - from
		}
		out = append(out, [2]int{from, from + to})
		from += to + 1
	}
	return out
}

func fromBase64(s string) (string, bool) {
	s = strings.TrimRight(s, "=")
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	s = s[:len(s)-len(s)%4+map[int]int{0: 0, 1: 0, 2: 2, 3: 3}[len(s)%4]]
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return "", false
	}
	return string(b), true
}

// readable says whether decoded bytes are text: nearly all letters, digits, blanks and signs, with blanks or more than
// one word in it.
func readable(s string) bool {
	if len(s) < 8 || !utf8.ValidString(s) {
		return false
	}
	good, all, blanks := 0, 0, 0
	for _, r := range s {
		all++
		switch {
		case unicode.IsSpace(r):
			blanks++
			good++
		case unicode.IsPrint(r):
			good++
		}
	}
	return good*20 >= all*19 && (blanks > 0 || all < 400)
}

func rot13(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return 'a' + (r-'a'+13)%26
	case 'A' <= r && r <= 'Z':
		return 'A' + (r-'A'+13)%26
	}
	return r
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}
