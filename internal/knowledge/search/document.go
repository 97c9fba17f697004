package search

import (
	"slices"
	"strings"
	"time"
)

// Entry is one version of an entry of the knowledge base, as it is indexed.
type Entry struct {
	Space, Slug string
	Revision    int64
	Type        string
	Tags        []string
	Title, Body string
	Language    string    // ISO 639-1; detected when empty
	RecordedAt  time.Time // when it was published
	ValidFrom   time.Time // zero: always
	ValidTo     time.Time // zero: for ever
	Vector      []float32 // of a configured embedder; the built-in one makes it of title and body when nil
}

// filterMark begins the terms that filters look up: they stand for types and tags, and occur in no text.
const filterMark = 0

func typeTerm(name string) string { return "\x00type:" + strings.ToLower(name) }
func tagTerm(name string) string  { return "\x00tag:" + strings.ToLower(name) }

// analyzed is an entry cut into terms.
type analyzed struct {
	terms      []occurring
	body, tags uint32 // positions at which they begin
	length     int    // weighted
}

type occurring struct {
	term string
	occurrence
}

// gap keeps phrases from running across fields.
const gap = 1

// analyze cuts an entry into terms, in the order in which they first occur.
func analyze(e *Entry, l *language) *analyzed {
	out := &analyzed{}
	a := analyzer{language: l}
	at := make(map[string]int, 64+len(e.Body)/32)
	field := func(text string, from int, weight uint32) int {
		return a.each(text, from, func(t Token) {
			i, ok := at[string(t.Term)]
			if !ok {
				i = len(out.terms)
				term := string(t.Term)
				at[term] = i
				out.terms = append(out.terms, occurring{term: term})
			}
			o := &out.terms[i]
			o.frequency += weight
			o.positions = append(o.positions, uint32(t.Position))
			out.length += int(weight)
		}) + gap
	}
	next := field(e.Title, 0, titleWeight)
	out.body = uint32(next)
	next = field(e.Body, next, 1)
	out.tags = uint32(next)
	for _, tag := range e.Tags {
		next = field(tag, next, 1)
	}
	filters := []string{typeTerm(e.Type)}
	for _, tag := range e.Tags {
		filters = append(filters, tagTerm(tag))
	}
	slices.Sort(filters)
	for _, f := range slices.Compact(filters) {
		out.terms = append(out.terms, occurring{f, occurrence{frequency: 1}})
	}
	return out
}
