package postgres

import (
	"strings"
	"unicode/utf8"
)

// Lines may hold any bytes, and Postgres text holds neither NUL nor invalid UTF-8. Such a byte b is stored as the
// private-use character escapeBase+b, and so are the bytes of genuine characters from that range, so that plain gives
// back exactly what stored was given.
const escapeBase = 0x10FF00

// stored returns s as Postgres can keep it; most strings come back as they are.
func stored(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 && !strings.Contains(s, "\xf4\x8f\xbc") &&
		!strings.Contains(s, "\xf4\x8f\xbd") && !strings.Contains(s, "\xf4\x8f\xbe") && !strings.Contains(s, "\xf4\x8f\xbf") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r >= escapeBase || (r == utf8.RuneError && n == 1) {
			for _, c := range []byte(s[i : i+n]) {
				b.WriteRune(escapeBase + rune(c))
			}
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// plain undoes stored.
func plain(s string) string {
	if !strings.Contains(s, "\xf4\x8f") {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r >= escapeBase {
			b.WriteByte(byte(r - escapeBase))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
