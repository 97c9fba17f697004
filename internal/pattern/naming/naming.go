// Package naming gives a pattern a name and a description by rule: from the words that its template always has. Templates
// and slots come in; a proposal for people goes out. It knows no model, and keeps nothing.
package naming

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Note is what a pattern may be called.
type Note struct {
	Name        string // words joined by "-", at most 60 bytes; "" where the template says nothing
	Description string // one sentence
	Severity    string // fatal, error, warning, info, debug, or "" where the template names none
	Component   string // what comes before the message, as "sshd"; "" where there is none
}

const (
	maxWords = 6
	maxName  = 60
)

var severities = map[string]string{
	"fatal": "fatal", "panic": "fatal", "emerg": "fatal", "crit": "fatal", "critical": "fatal", "alert": "fatal",
	"error": "error", "err": "error", "severe": "error", "failure": "error",
	"warn": "warning", "warning": "warning",
	"info": "info", "notice": "info", "information": "info", "debug": "debug", "trace": "debug",
}

// filler are words that say little about what happened.
var filler = map[string]bool{
	"a": true, "an": true, "the": true, "of": true, "to": true, "for": true, "in": true, "on": true, "at": true, "by": true, "from": true, "with": true,
	"is": true, "was": true, "are": true, "be": true, "been": true, "has": true, "have": true, "and": true, "or": true, "as": true, "it": true, "its": true,
}

// Of names a pattern. The name has the words that say what happened, in their order, after the component and severity,
// which are told apart; the description says which parts vary. The same pattern always gets the same name.
func Of(p pattern.Pattern) Note {
	var n Note
	tokens := strings.Fields(p.Template)
	for len(tokens) > 1 {
		head := strings.Trim(tokens[0], "[]<>():,-")
		level, ok := severities[strings.ToLower(head)]
		if _, next := component(tokens[0]); !ok && next == "" && tokens[0] != pattern.Wildcard {
			break
		}
		switch c, _ := component(tokens[0]); {
		case ok && n.Severity == "":
			n.Severity = level
		case !ok && c != "" && n.Component == "":
			n.Component = c
		case tokens[0] == pattern.Wildcard && n.Severity == "" && n.Component == "":
		default:
			head = ""
		}
		if head == "" {
			break
		}
		tokens = tokens[1:]
	}
	var said []string
	for _, t := range tokens {
		said = append(said, words(t)...)
	}
	if n.Severity == "" {
		for _, w := range said {
			if level := severities[w]; level != "" {
				n.Severity = level
				break
			}
		}
	}
	n.Name = join(n.Component, said)
	n.Description = describe(n, said, p.Slots)
	return n
}

// component reads "sshd:", "kernel[<*>]:" or "com.example.Server:", and returns "" for what is a word of the message.
func component(token string) (name, rest string) {
	body, ok := strings.CutSuffix(token, ":")
	if !ok {
		return "", ""
	}
	body, _, _ = strings.Cut(body, "[")
	body, _, _ = strings.Cut(body, "(")
	if body == "" || strings.Contains(body, pattern.Wildcard) || strings.ContainsAny(body, "=/\"'") {
		return "", ""
	}
	if i := strings.LastIndexByte(body, '.'); i >= 0 && i+1 < len(body) {
		body = body[i+1:]
	}
	return body, token
}

// words are the lower-case words of a token; of key=value only the key.
func words(token string) []string {
	if key, _, ok := strings.Cut(token, "="); ok && key != "" {
		token = key
	}
	parts := strings.FieldsFunc(strings.ReplaceAll(token, pattern.Wildcard, " "), func(r rune) bool {
		return !unicode.IsLetter(r) && r != '\''
	})
	var out []string
	for _, w := range parts {
		if w = strings.ToLower(strings.Trim(w, "'")); len([]rune(w)) > 1 {
			out = append(out, w)
		}
	}
	return out
}

func join(component string, said []string) string {
	var parts []string
	add := func(w string) bool {
		for _, p := range parts {
			if p == w {
				return true
			}
		}
		if len(strings.Join(parts, "-"))+1+len(w) > maxName || len(parts) == maxWords {
			return false
		}
		parts = append(parts, w)
		return true
	}
	if component != "" && len(component) < maxName/2 {
		add(strings.ToLower(component))
	}
	for _, w := range said {
		if !filler[w] && severities[w] == "" && !add(w) {
			break
		}
	}
	if len(parts) == 0 || len(parts) == 1 && component != "" {
		for _, w := range said { // all that it says is filler
			if !add(w) {
				break
			}
		}
	}
	return strings.Join(parts, "-")
}

func describe(n Note, said []string, slots []pattern.Slot) string {
	var b strings.Builder
	switch {
	case n.Component != "" && n.Severity != "":
		fmt.Fprintf(&b, "%s reports (%s)", n.Component, n.Severity)
	case n.Component != "":
		fmt.Fprintf(&b, "%s reports", n.Component)
	case n.Severity != "":
		fmt.Fprintf(&b, "Message (%s)", n.Severity)
	default:
		b.WriteString("Message")
	}
	if len(said) > 0 {
		fmt.Fprintf(&b, ": %s", strings.Join(said[:min(len(said), 16)], " "))
	}
	if len(slots) > 0 {
		names := make([]string, 0, 8)
		for _, s := range slots[:min(len(slots), 8)] {
			names = append(names, s.Name)
		}
		fmt.Fprintf(&b, "; what varies: %s", strings.Join(names, ", "))
		if len(slots) > 8 {
			fmt.Fprintf(&b, " and %d more", len(slots)-8)
		}
	}
	b.WriteString(".")
	return b.String()
}

// Fits says whether a name that a model proposed may be taken for a pattern: it is short, of words with "-" between them,
// and at least half of its words are said by the template or by every one of the examples, so that nothing is made up.
func Fits(name string, p pattern.Pattern, examples []string) error {
	parts := strings.Split(name, "-")
	if name == "" || len(name) > maxName || len(parts) > 2*maxWords {
		return fmt.Errorf("the name %q is not of 1 to %d bytes and at most %d words", name, maxName, 2*maxWords)
	}
	known := map[string]bool{}
	for _, t := range strings.Fields(p.Template) {
		for _, w := range words(t) {
			known[w] = true
		}
	}
	count := map[string]int{}
	for _, e := range examples {
		once := map[string]bool{}
		for _, t := range strings.Fields(e) {
			for _, w := range words(t) {
				once[w] = true
			}
		}
		for w := range once {
			count[w]++
		}
	}
	grounded := 0
	for _, w := range parts {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return !unicode.IsLower(r) && !unicode.IsDigit(r) }) {
			return fmt.Errorf("the name %q is not lower-case words with - between them", name)
		}
		if known[w] || len(examples) > 0 && count[w] == len(examples) {
			grounded++
		}
	}
	if 2*grounded < len(parts) {
		return fmt.Errorf("the name %q says more than the examples do: %d of its %d words are in all of them", name, grounded, len(parts))
	}
	return nil
}
