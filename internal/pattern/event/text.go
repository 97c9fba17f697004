package event

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// quoted writes a string in quotes. One that the scanner would not take for a single value gets a blank at its end, which makes it
// one; a blank of its own there is escaped. Prose is left as it is: its words are the template.
func (f *Flattener) quoted(s []byte, prose bool) {
	s = cut(s)
	f.out = append(f.out, '"')
	if n := len(s); n > 0 && s[n-1] == ' ' {
		f.out = append(append(f.out, s[:n-1]...), `\u0020`...)
	} else {
		f.out = append(f.out, s...)
	}
	if !prose && !single(s) {
		f.out = append(f.out, ' ')
	}
	f.out = append(f.out, '"')
}

// element writes an element of a list: as it is if it is a word, else in single quotes.
func (f *Flattener) element(s []byte, whole bool) {
	if whole || word(s) {
		f.out = append(f.out, s...)
		return
	}
	f.out = append(f.out, '\'')
	for _, c := range cut(s) {
		if c == '\'' {
			f.out = append(f.out, `\u0027`...)
		} else {
			f.out = append(f.out, c)
		}
	}
	f.out = append(f.out, '\'')
}

// cut drops what is beyond the bound on values, at the boundary of a character or escape.
func cut(s []byte) []byte {
	if len(s) <= maxValue {
		return s
	}
	n := 0
	for {
		next := n + 1
		if s[n] == '\\' {
			next++
			if s[n+1] == 'u' {
				next += 4
			}
		} else {
			for next < len(s) && !utf8.RuneStart(s[next]) && next-n < utf8.UTFMax {
				next++
			}
		}
		if next > maxValue {
			return s[:n]
		}
		n = next
	}
}

// single reports whether the scanner takes a string for one value by itself: a word, or an address, path or the like of safe bytes
// that begins and ends as one.
func single(s []byte) bool {
	if len(s) == 0 || bytes.IndexByte(s, ' ') >= 0 {
		return true // empty, or one value because of the blank
	}
	if len(s) > 200 || !alnum(s[0]) && s[0] != '/' || !alnum(s[len(s)-1]) || bytes.Contains(s, []byte("..")) {
		return false
	}
	for _, c := range s {
		if !alnum(c) && c != '-' && c != '.' && c != '_' && c != '/' && c != '@' && c != '+' {
			return false
		}
	}
	return true
}

// word reports whether an element of a list needs no quotes and cannot be taken for a number or truth value.
func word(s []byte) bool {
	if len(s) == 0 || !letter(s[0]) || len(s) > maxValue {
		return false
	}
	for _, c := range s {
		if !alnum(c) && c != '-' && c != '.' && c != '_' && c != '/' && c != '@' && c != ':' {
			return false
		}
	}
	switch string(s) {
	case "true", "false", "null":
		return false
	}
	return true
}

// appendKey writes a path, in quotes unless it is plain.
func appendKey(dst, key []byte) []byte {
	plain := len(key) > 0
	for _, c := range key {
		plain = plain && (alnum(c) || c == '_' || c == '.' || c == '-' || c == '/' || c == '@' || c == '$')
	}
	if plain {
		return append(dst, key...)
	}
	return append(append(append(dst, '"'), key...), '"')
}

// appendString writes the text of a JSON string, in which as little as possible is escaped.
func appendString(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = appendByte(dst, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'u':
			r, n := codeUnit(s, i)
			i += n
			dst = appendRune(dst, r)
		case 'n', 't', 'r', 'b', 'f', '"', '\\':
			dst = append(dst, '\\', s[i])
		default: // \/
			dst = append(dst, s[i])
		}
	}
	return dst
}

// appendEscaped writes any bytes as the text of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	for _, c := range s {
		dst = appendByte(dst, c)
	}
	return dst
}

func appendByte(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\t':
		return append(dst, '\\', 't')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\b':
		return append(dst, '\\', 'b')
	case c == '\f':
		return append(dst, '\\', 'f')
	case c < ' ' || c == 0x7f:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, c)
}

func appendRune(dst []byte, r rune) []byte {
	if r < utf8.RuneSelf {
		return appendByte(dst, byte(r))
	}
	return utf8.AppendRune(dst, r)
}

// codeUnit reads the four hex digits behind the u at s[i], and a second surrogate, and says how many bytes it read.
func codeUnit(s []byte, i int) (r rune, n int) {
	one := func(at int) rune {
		if at+4 > len(s) {
			return -1
		}
		v, err := strconv.ParseUint(string(s[at:at+4]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(v)
	}
	r = one(i + 1)
	if r >= 0xd800 && r < 0xdc00 && i+6 < len(s) && s[i+5] == '\\' && s[i+6] == 'u' {
		if low := one(i + 7); low >= 0xdc00 && low < 0xe000 {
			return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, 10
		}
	}
	return r, 4
}

func skip(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the place behind the string that starts at b[i].
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// compositeEnd returns the place behind the object or array that starts at b[i].
func compositeEnd(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }

func alnum(c byte) bool { return letter(c) || c >= '0' && c <= '9' }
