package search

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Query is what somebody looks for, taken apart.
type Query struct {
	clauses []clause
	types   []string
	tags    []string
	without []clause // that what is found must not hold
	spaces  []string
	after   time.Time
	before  time.Time
}

// clause is a run of text, or a phrase, or the beginning of a word.
type clause struct {
	text   string
	must   bool // what is found holds it
	phrase bool
	prefix bool
	title  bool // in the title
}

// MaxQuery bounds the text of a query, in bytes.
const MaxQuery = 64 << 10

// ParseQuery reads a query as people write them:
//
//	restore backup        entries about any of the words, those that hold the rarer ones and more of them first
//	"point in time"       only entries with these words next to each other
//	+wal -replica         only entries with the one word, none with the other
//	restor*               only entries with a word that begins so
//	title:restore         only entries with the word in the title; title:"..." as well
//	type:runbook tag:db space:ops
//	after:2026-01-31 before:2026-02-28T12:00:00Z   published then: from the first moment on, and before the second
//
// Anything else is text. The error says which part is wrong, and how it is written.
func ParseQuery(text string) (Query, error) {
	var q Query
	if len(text) > MaxQuery {
		return q, fmt.Errorf("query of %d bytes: at most %d are searched for", len(text), MaxQuery)
	}
	if !utf8.ValidString(text) {
		return q, fmt.Errorf("query is no valid UTF-8")
	}
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimLeftFunc(rest, unicode.IsSpace) {
		var err error
		if rest, err = q.part(rest); err != nil {
			return q, fmt.Errorf("query: %w", err)
		}
	}
	return q, nil
}

// PlainQuery takes all of the text for words: quotes, signs and colons mean nothing.
func PlainQuery(text string) Query {
	return Query{clauses: []clause{{text: text}}}
}

// part reads one part of a query and returns the rest.
func (q *Query) part(rest string) (string, error) {
	var c clause
	not := false
	if sign := rest[0]; (sign == '-' || sign == '+') && len(rest) > 1 && !unicode.IsSpace(rune(rest[1])) && rest[1] != sign {
		c.must, not = sign == '+', sign == '-'
		rest = rest[1:]
	}
	field, value, more, err := cut(rest)
	if err != nil {
		return "", err
	}
	c.text, c.phrase = value.text, value.quoted
	switch field {
	case "type", "tag", "space", "after", "before":
		if not {
			return "", fmt.Errorf("-%s: cannot be excluded; only words and phrases can", field)
		}
		return more, q.filter(field, value.text)
	case "title":
		c.title, c.must = true, true
	}
	if n := len(c.text) - 1; !c.phrase && n > 0 && c.text[n] == '*' {
		c.text, c.prefix = c.text[:n], true
	}
	c.must = c.must || c.phrase || c.prefix
	if not {
		q.without = append(q.without, c)
	} else {
		q.clauses = append(q.clauses, c)
	}
	return more, nil
}

type value struct {
	text   string
	quoted bool
}

// cut splits the first part off a query: a phrase in quotes, or what is before the next space; with the name of a field
// before it if it is one.
func cut(rest string) (field string, v value, more string, err error) {
	for _, name := range []string{"title", "type", "tag", "space", "after", "before"} {
		after, ok := strings.CutPrefix(rest, name+":")
		if ok && after != "" && !unicode.IsSpace(rune(after[0])) {
			field, rest = name, after
			break
		}
	}
	if rest[0] == '"' {
		text, more, closed := strings.Cut(rest[1:], `"`)
		if !closed {
			return "", v, "", fmt.Errorf(`the phrase %q is not closed: want a " at its end`, rest)
		}
		return field, value{text, true}, more, nil
	}
	at := strings.IndexFunc(rest, unicode.IsSpace)
	if at < 0 {
		at = len(rest)
	}
	return field, value{text: rest[:at]}, rest[at:], nil
}

func (q *Query) filter(field, text string) error {
	switch field {
	case "type":
		q.types = append(q.types, text)
	case "tag":
		q.tags = append(q.tags, text)
	case "space":
		q.spaces = append(q.spaces, text)
	default:
		t, err := moment(text)
		if err != nil {
			return fmt.Errorf("%s:%s: %w", field, text, err)
		}
		if field == "after" {
			q.after = t
		} else {
			q.before = t
		}
	}
	return nil
}

func moment(text string) (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("want a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z")
}
