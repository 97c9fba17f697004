package tools

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// snippetSize is how long a snippet is, in bytes.
const snippetSize = 300

// words are the words of a query in lower case, without those that are too short to tell anything.
func words(query string) (out []string) {
	for _, w := range strings.FieldsFunc(strings.ToLower(query), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }) {
		if utf8.RuneCountInString(w) > 2 && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// snippet is the part of a text that has most of the words, or its beginning. A word counts where another begins like it, as stems
// do; those found are marked as in Markdown.
func snippet(text string, words []string) string {
	lower := strings.ToLower(text)
	if len(lower) != len(text) {
		lower = text // a letter whose lower case is longer: places would be wrong
	}
	type hit struct{ at, end, word int }
	var hits []hit
	for i, inWord := 0, false; i < len(lower); {
		r, n := utf8.DecodeRuneInString(lower[i:])
		letter := unicode.IsLetter(r) || unicode.IsNumber(r)
		if letter && !inWord {
			for k, w := range words {
				if stem := w[:max(len(w)-3, min(len(w), 3))]; strings.HasPrefix(lower[i:], stem) {
					end := i
					for end < len(lower) {
						r, n := utf8.DecodeRuneInString(lower[end:])
						if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
							break
						}
						end += n
					}
					hits = append(hits, hit{i, end, k})
					break
				}
			}
		}
		inWord = letter
		i += n
	}
	from, best := 0, 0
	for i := range hits {
		seen := map[int]bool{}
		for j := i; j < len(hits) && hits[j].end <= hits[i].at+snippetSize*3/4; j++ {
			seen[hits[j].word] = true
		}
		if len(seen) > best {
			best, from = len(seen), hits[i].at
		}
	}
	start := 0
	if from > snippetSize/4 {
		start = from - snippetSize/4
		if at := strings.IndexFunc(text[start:from], unicode.IsSpace); at >= 0 {
			start += at + 1
		} else {
			start = from
		}
	}
	end := min(start+snippetSize, len(text))
	if end < len(text) {
		if at := strings.LastIndexFunc(text[start:end], unicode.IsSpace); at > 0 {
			end = start + at
		}
		for end > start && !utf8.RuneStart(text[end]) {
			end--
		}
	}
	var b strings.Builder
	if start > 0 {
		b.WriteString("... ")
	}
	at := start
	for _, h := range hits {
		if h.at >= at && h.end <= end {
			b.WriteString(text[at:h.at] + "**" + text[h.at:h.end] + "**")
			at = h.end
		}
	}
	b.WriteString(text[at:end])
	if end < len(text) {
		b.WriteString(" ...")
	}
	return strings.TrimSpace(b.String())
}
