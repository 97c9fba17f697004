package sequence

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Keys returns for each slot of a pattern by what name it may be a session: the key that stands before it (trace_id=<*>), the literal
// prefix of its values (blk_<*> is blk), or its type if that is one of ids; "" for a slot that is none of these.
func Keys(p pattern.Pattern) []string {
	out := make([]string, len(p.Slots))
	rest := p.Template
	for i, s := range p.Slots {
		before, after, ok := strings.Cut(rest, pattern.Wildcard)
		if !ok {
			break
		}
		rest = after
		switch prefix := prefixOf(before); {
		case !named(s):
			out[i] = s.Name
		case prefix != "":
			out[i] = prefix
		case s.Type == pattern.UUID || s.Type == pattern.Hex || s.Type == pattern.Identifier:
			out[i] = string(s.Type)
		}
	}
	return out
}

// named reports whether a slot has the name of its type, perhaps with a number.
func named(s pattern.Slot) bool {
	rest, ok := strings.CutPrefix(s.Name, string(s.Type))
	return ok && (rest == "" || rest[0] == '_')
}

// prefixOf is the word that the text before a slot ends with, if a joint stands between them: "received blk_" is blk.
func prefixOf(before string) string {
	word := strings.TrimRight(before, "_-#:.")
	if len(word) == len(before) {
		return ""
	}
	at := len(word)
	for at > 0 && (word[at-1]|0x20 >= 'a' && word[at-1]|0x20 <= 'z') {
		at--
	}
	if len(word)-at < 2 {
		return ""
	}
	return strings.ToLower(word[at:])
}

const (
	// maxValues bounds the different values that a Finder remembers.
	maxValues = 50_000
	// A value that has more than this share of all lines is no session but a constant of the system.
	dominant = 0.3
)

// Finder finds which slot is the session: the one whose values recur across several patterns. It is not safe for concurrent use.
type Finder struct {
	lines  int64
	values map[string]map[string]*recurring // by key, by value
	size   int
}

type recurring struct {
	lines    int64
	first    pattern.ID
	patterns int // 2 for several
}

// NewFinder returns a Finder that has seen nothing.
func NewFinder() *Finder { return &Finder{values: map[string]map[string]*recurring{}} }

// Add takes a line: its pattern, the Keys of it, and the values of its slots.
func (f *Finder) Add(id pattern.ID, keys []string, values []string) {
	f.lines++
	for i, key := range keys {
		if key == "" || i >= len(values) || values[i] == "" {
			continue
		}
		of := f.values[key]
		if of == nil {
			of = map[string]*recurring{}
			f.values[key] = of
		}
		r := of[values[i]]
		if r == nil {
			if f.size >= maxValues {
				continue
			}
			f.size++
			r = &recurring{first: id, patterns: 1}
			of[strings.Clone(values[i])] = r
		}
		r.lines++
		if id != r.first {
			r.patterns = 2
		}
	}
}

// Best returns the key with the most lines whose value is also in lines of another pattern, and how many these are; false if no value
// of any key recurs so, or all that do are in too many lines to be sessions.
func (f *Finder) Best() (key string, lines int64, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		var recur int64
		sessions := 0
		for _, r := range f.values[name] {
			if r.patterns > 1 && float64(r.lines) <= max(dominant*float64(f.lines), 8) {
				recur += r.lines
				sessions++
			}
		}
		if sessions >= 2 && cmp.Compare(recur, lines) > 0 {
			key, lines, ok = name, recur, true
		}
	}
	return key, lines, ok
}
