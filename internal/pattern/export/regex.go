package export

import (
	"regexp"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// typed are the expressions of the slot types, the strictest first: wide enough for what the scanner takes for such a value, lists of
// them included. Of a type that is missing anything is a value.
var typed = map[pattern.Type][]string{
	pattern.Number:     listed(number, number+unit),
	pattern.Hex:        listed(`(?:0[xX])?[0-9A-Fa-f]+`),
	pattern.UUID:       listed(`[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`),
	pattern.IP:         listed(`/?(?:(?:\d{1,3}\.){3}\d{1,3}|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]?)(?::\d+)?`),
	pattern.Host:       listed(`[0-9A-Za-z_][0-9A-Za-z_.-]*(?::\d+)?`),
	pattern.Duration:   listed(number+unit, `(?:\d+[A-Za-zµμ]+)+`),
	pattern.Size:       listed(number + unit),
	pattern.URL:        {`[A-Za-z][A-Za-z0-9+.-]*://\S+`},
	pattern.Email:      {`\S+@\S+`},
	pattern.Path:       {`\S+`},
	pattern.Word:       {`\S+`},
	pattern.Identifier: {`\S+`},
}

// listed are expressions of one value, and then of several with commas or semicolons between.
func listed(ones ...string) (out []string) {
	for _, one := range ones {
		out = append(out, one, one+`(?:[,;]\s?`+one+`)*`)
	}
	return out
}

const (
	number = `[-+]?\d+(?:[.,_]\d+)*(?:[eE][-+]?\d+)?%?`
	unit   = `(?:\s?[A-Za-zµμ]+(?:/[A-Za-z]+)?)?`
)

// anything is the expression of a slot whose values fit no other.
const anything = `.*?`

// form is how strictly an expression is written.
type form struct {
	loose    bool     // delimiters may differ
	optional bool     // the last slot and the space before it may be missing
	values   []string // the expression of each slot
}

// Expression is a pattern as a regular expression.
type Expression struct {
	Text    string   // valid in RE2 (and so in Go) and in PCRE; anchored at both ends
	Names   []string // the group of each slot
	Matched int      // of the lines given, how many it takes, value for value
	Strict  bool     // every delimiter is as in the template
}

// Regex returns the strictest expression that takes all lines with their values, or the one that takes most of them. Without lines it
// is the strictest.
func Regex(p pattern.Pattern, lines []Line) Expression {
	p.Slots = p.Slots[:min(len(p.Slots), strings.Count(p.Template, pattern.Wildcard))]
	parts, names := pieces(&p), Names(p.Slots)
	best := Expression{Matched: -1}
	for _, f := range forms(&p, lines) {
		text := write(parts, names, f, group)
		matched := count(text, names, lines)
		if matched > best.Matched {
			best = Expression{Text: text, Names: names, Matched: matched, Strict: !f.loose}
		}
		if matched == len(lines) {
			break
		}
	}
	return best
}

// forms are the ways to write an expression, the strictest first.
func forms(p *pattern.Pattern, lines []Line) []form {
	strict := form{values: make([]string, len(p.Slots))}
	lax := make([]string, len(p.Slots))
	for i, s := range p.Slots {
		lax[i] = anything
		strict.values[i] = fitting(s.Type, i, lines)
	}
	strict.optional = len(p.Slots) > 0 && strings.HasSuffix(p.Template, " "+pattern.Wildcard) && hasEmpty(len(p.Slots)-1, lines)
	return []form{
		strict,
		{optional: strict.optional, values: lax},
		{loose: true, optional: strict.optional, values: strict.values},
		{loose: true, optional: strict.optional, values: lax},
	}
}

// fitting returns the strictest expression of a type that takes the values that the lines have for slot i.
func fitting(t pattern.Type, i int, lines []Line) string {
	for _, expression := range typed[t] {
		if !fits(expression, i, lines) {
			continue
		}
		if hasEmpty(i, lines) {
			return `(?:` + expression + `)?`
		}
		return expression
	}
	return anything
}

func fits(expression string, i int, lines []Line) bool {
	whole := regexp.MustCompile(`(?s)^(?:` + expression + `)$`)
	for _, l := range lines {
		if i < len(l.Values) && l.Values[i] != "" && !whole.MatchString(l.Values[i]) {
			return false
		}
	}
	return true
}

func hasEmpty(i int, lines []Line) bool {
	for _, l := range lines {
		if i < len(l.Values) && l.Values[i] == "" {
			return true
		}
	}
	return false
}

// ending is what may stand behind the last token of a line.
const ending = `[\s,;:=()\[\]{}"'<>|.!?~^&#\\@$-]*`

func group(name, expression string) string { return `(?P<` + name + `>` + expression + `)` }

// write puts an expression together; slot writes one slot.
func write(parts []piece, names []string, f form, slot func(name, expression string) string) string {
	var b strings.Builder
	b.WriteString(`(?s)^\s*`)
	for k, part := range parts {
		last := k == len(parts)-1
		switch {
		case part.slot < 0 && f.optional && k == len(parts)-2:
			b.WriteString(quoted(strings.TrimSuffix(part.text, " "), f.loose))
		case part.slot < 0:
			b.WriteString(quoted(part.text, f.loose))
		case f.optional && last:
			// A tail's value goes from its first token to its last.
			b.WriteString(`(?:\s` + delimiters + slot(names[part.slot], anything) + ending + `)?`)
		default:
			b.WriteString(slot(names[part.slot], f.values[part.slot]))
		}
		if last && f.loose {
			b.WriteString(delimiters)
		}
	}
	b.WriteString(`\s*$`)
	return b.String()
}

// count returns how many lines an expression takes with their values.
func count(text string, names []string, lines []Line) (n int) {
	if len(lines) == 0 {
		return 0
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return -1 // too large for RE2
	}
	for _, l := range lines {
		if agrees(re, names, l) {
			n++
		}
	}
	return n
}

func agrees(re *regexp.Regexp, names []string, l Line) bool {
	m := re.FindStringSubmatch(l.Message)
	if m == nil {
		return false
	}
	for i, name := range names {
		if k := re.SubexpIndex(name); k > 0 && i < len(l.Values) && m[k] != l.Values[i] {
			return false
		}
	}
	return true
}
