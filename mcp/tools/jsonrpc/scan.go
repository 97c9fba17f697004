// Package jsonrpc reads the parts of a JSON-RPC message that routing needs, in one pass and without decoding the rest.
// What comes in is a message's bytes; what goes out are slices of them. It knows no transport and no tool.
package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds nesting, so that a message of brackets cannot exhaust the stack.
const maxDepth = 200

// ErrSyntax says that the bytes are not JSON.
var ErrSyntax = errors.New("not valid JSON")

// Members calls fn with each member of the JSON object in b: its name, and its value as a slice of b.
// It stops at fn's first error and returns it. Values are checked for nesting and quoting, not for the grammar of numbers and
// literals: decoding them does that. Errors about the text wrap ErrSyntax.
func Members(b []byte, fn func(name string, value []byte) error) error {
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return fmt.Errorf("%w: expected an object", ErrSyntax)
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return end(b, i+1)
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return fmt.Errorf("%w: expected a member name at byte %d", ErrSyntax, i)
		}
		stop, err := skipString(b, i)
		if err != nil {
			return err
		}
		name, err := Text(b[i:stop])
		if err != nil {
			return err
		}
		if i = space(b, stop); i >= len(b) || b[i] != ':' {
			return fmt.Errorf("%w: expected ':' at byte %d", ErrSyntax, i)
		}
		i = space(b, i+1)
		if stop, err = skip(b, i, 0); err != nil {
			return err
		}
		if err := fn(name, b[i:stop]); err != nil {
			return err
		}
		if i = space(b, stop); i < len(b) && b[i] == '}' {
			return end(b, i+1)
		}
		if i >= len(b) || b[i] != ',' {
			return fmt.Errorf("%w: expected ',' or '}' at byte %d", ErrSyntax, i)
		}
		i = space(b, i+1)
	}
}

// Elements calls fn with each element of the JSON array in b, as Members does with members.
func Elements(b []byte, fn func(value []byte) error) error {
	i := space(b, 0)
	if i >= len(b) || b[i] != '[' {
		return fmt.Errorf("%w: expected an array", ErrSyntax)
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return end(b, i+1)
	}
	for {
		stop, err := skip(b, i, 0)
		if err != nil {
			return err
		}
		if err := fn(b[i:stop]); err != nil {
			return err
		}
		if i = space(b, stop); i < len(b) && b[i] == ']' {
			return end(b, i+1)
		}
		if i >= len(b) || b[i] != ',' {
			return fmt.Errorf("%w: expected ',' or ']' at byte %d", ErrSyntax, i)
		}
		i = space(b, i+1)
	}
}

// Text decodes a JSON string.
func Text(quoted []byte) (string, error) {
	b, err := Bytes(quoted)
	return string(b), err
}

// Bytes decodes a JSON string. Without escapes in it the answer is a slice of quoted, invalid UTF-8 left as it came.
func Bytes(quoted []byte) ([]byte, error) {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return nil, fmt.Errorf("%w: expected a string", ErrSyntax)
	}
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return []byte(s), nil
}

const hexDigits = "0123456789abcdef"

// plain marks the bytes that stand for themselves inside a JSON string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string; bytes that are not UTF-8 become U+FFFD.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\ufffd`...)
			start = i + 1
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\t':
		return append(dst, '\\', 't')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func end(b []byte, i int) error {
	if space(b, i) != len(b) {
		return fmt.Errorf("%w: text after the value at byte %d", ErrSyntax, i)
	}
	return nil
}

// skip returns the index after the value that starts at i.
func skip(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return 0, fmt.Errorf("%w: ends early", ErrSyntax)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i, depth)
	}
	start := i
	for i < len(b) && literal(b[i]) {
		i++
	}
	if i == start {
		return 0, fmt.Errorf("%w: unexpected %q at byte %d", ErrSyntax, b[i], i)
	}
	return i, nil
}

func literal(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

func skipNested(b []byte, i, depth int) (int, error) {
	if depth >= maxDepth {
		return 0, fmt.Errorf("%w: nested deeper than %d", ErrSyntax, maxDepth)
	}
	object, stop := b[i] == '{', byte(']')
	if object {
		stop = '}'
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == stop {
		return i + 1, nil
	}
	for {
		var err error
		if object {
			if i >= len(b) || b[i] != '"' {
				return 0, fmt.Errorf("%w: expected a member name at byte %d", ErrSyntax, i)
			}
			if i, err = skipString(b, i); err != nil {
				return 0, err
			}
			if i = space(b, i); i >= len(b) || b[i] != ':' {
				return 0, fmt.Errorf("%w: expected ':' at byte %d", ErrSyntax, i)
			}
			i = space(b, i+1)
		}
		if i, err = skip(b, i, depth+1); err != nil {
			return 0, err
		}
		if i = space(b, i); i < len(b) && b[i] == stop {
			return i + 1, nil
		}
		if i >= len(b) || b[i] != ',' {
			return 0, fmt.Errorf("%w: expected ',' or %q at byte %d", ErrSyntax, stop, i)
		}
		i = space(b, i+1)
	}
}

// skipString returns the index after the string whose opening quote is at i. Control characters inside it are refused, as
// the grammar asks; escapes are checked when the string is decoded.
func skipString(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		c := b[i]
		if plain[c] || c >= utf8.RuneSelf {
			continue
		}
		switch c {
		case '"':
			return i + 1, nil
		case '\\':
			i++
		default:
			return 0, fmt.Errorf("%w: control character in a string at byte %d", ErrSyntax, i)
		}
	}
	return 0, fmt.Errorf("%w: string without an end", ErrSyntax)
}
