// Package export writes a pattern for other programs: as an anchored regular expression, as grok, and as configuration of an
// OpenTelemetry collector. A pattern and a few of its lines come in, text goes out.
//
//	template   User <*> logged in from <*> port <*>          slots user: word, ip: ip, number: number
//	regex      (?s)^\s*User\s+(?P<user>\S+)\s+logged\s+in\s+from\s+(?P<ip>...)\s+port\s+(?P<number>...)\s*$
//	grok       ^\s*User\s+%{NOTSPACE:user}\s+logged\s+in\s+from\s+%{IP:ip}\s+port\s+%{NUMBER:number}\s*$
//
// A template says where values are, and its text is that of one of its tables: another may have other delimiters between the same
// words, or a tail more. So the lines given decide how strict the expression is: the strictest form that takes them all, value for
// value as Recognise does, is written. Where two slots stand side by side and their values have blanks in them, no expression can tell
// where one ends; and a pattern that is more general than another takes its lines.
package export

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// The formats of As.
const (
	FormatRegex = "regex"
	FormatGrok  = "grok"
	FormatOTel  = "otel"
)

// As writes a pattern in a format, or returns false for one that there is not.
func As(format string, p pattern.Pattern, lines []Line) (e Expression, ok bool) {
	switch format {
	case FormatRegex:
		return Regex(p, lines), true
	case FormatGrok:
		return Grok(p, lines), true
	case FormatOTel:
		c := OpenTelemetry(p, lines)
		return Expression{Text: c.YAML, Matched: c.Matched}, true
	}
	return e, false
}

// Line is an example of a pattern: a message without its header, and the values that Recognise found in it, one a slot.
type Line struct {
	Message string
	Values  []string
}

// piece is a part of a template: literal text, or a slot.
type piece struct {
	text string // literal; empty for a slot
	slot int    // index in the slots; -1 for literal text
}

// Lines reads lines of a pattern, headers and all, with the index of its library. Those that are of another pattern today are left out.
func Lines(ix *template.Index, id pattern.ID, lines []string) (out []Line) {
	var m template.Match
	parser := header.NewParser(time.Time{})
	for _, line := range lines {
		message := parser.Parse([]byte(line)).Message
		if !ix.Recognise(message, &m) || m.Pattern != id {
			continue
		}
		l := Line{Message: string(message)}
		for _, v := range m.Values {
			l.Values = append(l.Values, string(message[v.Start:v.End]))
		}
		out = append(out, l)
	}
	return out
}

// pieces cuts a template at its slots. A wildcard without a slot of its own is literal text.
func pieces(p *pattern.Pattern) (out []piece) {
	rest := p.Template
	for slot := range p.Slots {
		before, after, ok := strings.Cut(rest, pattern.Wildcard)
		if !ok {
			break
		}
		if before != "" {
			out = append(out, piece{before, -1})
		}
		out, rest = append(out, piece{"", slot}), after
	}
	if rest != "" {
		out = append(out, piece{rest, -1})
	}
	return out
}

// Names returns a name for each slot that every regular expression engine takes: letters, digits and underscores, the first no
// digit, at most 32 bytes, all different.
func Names(slots []pattern.Slot) []string {
	out, used := make([]string, len(slots)), map[string]bool{}
	for i, s := range slots {
		name := plainName(s.Name)
		for n := 2; used[name]; n++ {
			suffix := "_" + strconv.Itoa(n)
			name = plainName(s.Name)
			name = name[:min(len(name), maxName-len(suffix))] + suffix
		}
		used[name] = true
		out[i] = name
	}
	return out
}

// maxName is how long a name PCRE takes.
const maxName = 32

func plainName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			b[i] = '_'
		}
	}
	if len(b) == 0 || b[0] >= '0' && b[0] <= '9' {
		b = append([]byte("v"), b...)
	}
	return string(b[:min(len(b), maxName)])
}

const space = `\s+`

// quoted writes literal text as a regular expression: white space is any run of it, as the scanner has it, and a byte that is not
// text, which expressions over text cannot name, is any character. loose lets delimiters between words differ.
func quoted(text string, loose bool) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case isSpace(text[i]) || loose && isDelimiter(text[i]):
			for i < len(text) && (isSpace(text[i]) || loose && isDelimiter(text[i])) {
				i++
			}
			if loose {
				b.WriteString(delimiters)
			} else {
				b.WriteString(space)
			}
			continue
		case r == utf8.RuneError && n == 1:
			b.WriteByte('.')
		case n == 1 && isControl(text[i]):
			b.WriteString(`\x` + strconv.FormatInt(int64(text[i])|0x100, 16)[1:])
		case n == 1 && strings.IndexByte(`\.+*?()|[]{}^$`, text[i]) >= 0:
			b.WriteString(`\` + text[i:i+1])
		default:
			b.WriteString(text[i : i+n])
		}
		i += n
	}
	return b.String()
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

func isDelimiter(c byte) bool { return strings.IndexByte(`,;:=()[]{}"'<>|`, c) >= 0 }

// delimiters is any run of what may stand between words.
const delimiters = `[\s,;:=()\[\]{}"'<>|]*`
