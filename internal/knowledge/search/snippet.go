package search

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Snippet is a piece of a text that shows why it was found.
type Snippet struct {
	Start int // where it begins in the text, in bytes
	Text  string
	Marks []Mark // of the words asked for, in their order
}

// Mark is where a word that was asked for stands in a snippet, in bytes.
type Mark struct{ Start, End int }

// Snippet returns the piece of a text, of about so many bytes, that holds most of the different words that the query asks
// for. It begins and ends between words. A text without any of the
// words gives its beginning. Language is that of the text, detected when empty.
func (q Query) Snippet(text, lang string, size int) Snippet {
	l := languageOf(lang)
	if l == nil {
		l = detect(text)
	}
	wanted, prefixes := map[string]bool{}, []string{}
	for _, term := range asked(q.clauses, l) {
		wanted[term] = true
	}
	fold := analyzer{language: plain}
	for _, c := range q.clauses {
		if c.prefix {
			prefixes = append(prefixes, string(fold.term(c.text, false)))
		}
	}
	type match struct {
		Mark
		term string
	}
	var found []match
	a := analyzer{language: l}
	a.each(text, 0, func(t Token) {
		term := string(t.Term)
		if wanted[term] || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(term, p) }) {
			found = append(found, match{Mark{t.Start, t.End}, term})
		}
	})
	size = max(size, 1)
	// The window with the most different words, the first of those; counts says how often each is in the window.
	best, bestFrom, counts, from := 0, 0, map[string]int{}, 0
	for to, m := range found {
		counts[m.term]++
		for found[from].Start < m.End-size && from < to {
			if counts[found[from].term]--; counts[found[from].term] == 0 {
				delete(counts, found[from].term)
			}
			from++
		}
		if len(counts) > best {
			best, bestFrom = len(counts), from
		}
	}
	start := 0
	if len(found) > 0 {
		start = max(0, found[bestFrom].Start-size/5)
	}
	start, stop := cutWords(text, start, size)
	out := Snippet{Start: start, Text: text[start:stop]}
	for _, m := range found {
		if m.Start >= start && m.End <= stop {
			out.Marks = append(out.Marks, Mark{m.Start - start, m.End - start})
		}
	}
	return out
}

// cutWords moves the bounds of a piece of so many bytes to where words begin and end, or characters at least.
func cutWords(text string, start, size int) (int, int) {
	stop := min(len(text), start+size)
	if start > 0 {
		if at := strings.IndexAny(text[start:stop], " \t\n"); at >= 0 && at < size/5 {
			start += at + 1
		}
	}
	if stop < len(text) {
		if at := strings.LastIndexAny(text[start:stop], " \t\n"); at > size/2 {
			stop = start + at
		}
	}
	for start < stop && !utf8.RuneStart(text[start]) {
		start++
	}
	for stop > start && stop < len(text) && !utf8.RuneStart(text[stop]) {
		stop--
	}
	return start, stop
}
