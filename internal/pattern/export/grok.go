package export

import (
	"regexp"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// grokked are the standard grok patterns for each slot type, the strictest first, with expressions that take a part of what they take:
// a value that fits here is taken there. NOTSPACE, DATA and GREEDYDATA come after them.
var grokked = map[pattern.Type][]struct{ name, takes string }{
	pattern.Number:   {{"NUMBER", `[+-]?(?:\d+(?:\.\d+)?|\.\d+)`}},
	pattern.Hex:      {{"BASE16NUM", `[+-]?(?:0x)?[0-9A-Fa-f]+`}},
	pattern.UUID:     {{"UUID", `[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}`}},
	pattern.IP:       {{"IP", dotted}, {"HOSTPORT", dotted + `:[1-9]\d*`}},
	pattern.Host:     {{"HOSTNAME", label}, {"HOSTPORT", label + `:[1-9]\d*`}},
	pattern.Email:    {{"EMAILADDRESS", `[a-zA-Z0-9_.+-]+@` + label}},
	pattern.Path:     {{"PATH", `(?:/[\w%!$@:.,+~-]*)+`}},
	pattern.URL:      {{"URI", `[A-Za-z][A-Za-z0-9+.-]*://` + label + `(?::\d+)?(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)*(?:\?[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?-]*)?`}},
	pattern.Time:     {{"TIMESTAMP_ISO8601", `\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?`}},
	pattern.Word:     {{"WORD", `\w+`}},
	pattern.Duration: nil,
}

const (
	dotted = `(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
	label  = `[0-9A-Za-z][0-9A-Za-z-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z-]{0,62})*`
)

// Grok returns the pattern in grok, with standard names only (those of logstash-patterns-core), as strict as the lines allow. Matched
// counts the lines by the regular expression of the same form.
func Grok(p pattern.Pattern, lines []Line) Expression {
	e := Regex(p, lines)
	p.Slots = p.Slots[:len(e.Names)]
	names := make([]string, len(p.Slots))
	f := form{loose: !e.Strict, values: make([]string, len(p.Slots))}
	for i, s := range p.Slots {
		names[i] = grokName(s.Type, i, lines)
		f.values[i] = names[i]
	}
	f.optional = len(p.Slots) > 0 && strings.HasSuffix(p.Template, " "+pattern.Wildcard) && hasEmpty(len(p.Slots)-1, lines)
	text := write(pieces(&p), e.Names, f, func(name, expression string) string {
		if expression == anything {
			expression = "DATA" // a tail's
		}
		return "%{" + expression + ":" + name + "}"
	})
	e.Text = strings.TrimPrefix(text, "(?s)")
	return e
}

// grokName is the strictest standard pattern that takes the values that the lines have for slot i.
func grokName(t pattern.Type, i int, lines []Line) string {
	if !hasEmpty(i, lines) {
		for _, g := range grokked[t] {
			if fits(g.takes, i, lines) {
				return g.name
			}
		}
		if t != pattern.Text && t != pattern.Quoted && t != pattern.Time && fits(`\S+`, i, lines) {
			return "NOTSPACE"
		}
	}
	return "DATA"
}

// GrokExpression writes out the standard patterns of a grok expression as a regular expression of Go: what Grok writes can so be tried
// without Logstash. It knows the names that Grok uses.
func GrokExpression(text string) string {
	return grokReference.ReplaceAllStringFunc(text, func(ref string) string {
		m := grokReference.FindStringSubmatch(ref)
		expression := map[string]string{"DATA": `.*?`, "GREEDYDATA": `.*`, "NOTSPACE": `\S+`}[m[1]]
		for _, all := range grokked {
			for _, g := range all {
				if g.name == m[1] && expression == "" {
					expression = g.takes
				}
			}
		}
		return group(m[2], expression)
	})
}

var grokReference = regexp.MustCompile(`%\{([A-Z0-9_]+):([A-Za-z0-9_]+)\}`)
