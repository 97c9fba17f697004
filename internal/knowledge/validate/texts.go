package validate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/validate/injection"
)

// text is one text of a document.
type text struct {
	path, value string
	key         bool // a key of the metadata
	decoded     []injection.Segment
}

// at is the path of a byte of the text, with the line where it has several.
func (t text) at(offset int) string {
	if t.key || !strings.Contains(t.value, "\n") {
		return t.path
	}
	return fmt.Sprintf("%s#L%d", t.path, 1+strings.Count(t.value[:offset], "\n"))
}

// textsOf returns all texts of a document, title and body first, each with its JSON Pointer.
func textsOf(d knowledge.Document) []text {
	out := []text{{path: "/title", value: d.Title}, {path: "/body", value: d.Body}, {path: "/schema", value: d.Schema}}
	out = textsOfValue(out, "/metadata", d.Metadata)
	for i, l := range d.Links {
		at := fmt.Sprintf("/links/%d", i)
		out = append(out, text{path: at + "/relation", value: l.Relation}, text{path: at + "/target", value: l.Target})
	}
	for i, s := range d.Sources {
		at := fmt.Sprintf("/sources/%d", i)
		out = append(out, text{path: at + "/uri", value: s.URI}, text{path: at + "/quote", value: s.Quote},
			text{path: at + "/hash", value: s.Hash}, text{path: at + "/retrieved_at", value: s.RetrievedAt})
	}
	out = slices.DeleteFunc(out, func(t text) bool { return t.value == "" })
	for i, t := range out {
		out[i].decoded = injection.Decoded(t.value)
	}
	return out
}

func textsOfValue(out []text, path string, v any) []text {
	switch v := v.(type) {
	case string:
		return append(out, text{path: path, value: v})
	case fmt.Stringer: // json.Number
		return append(out, text{path: path, value: v.String()})
	case []any:
		for i, e := range v {
			out = textsOfValue(out, fmt.Sprintf("%s/%d", path, i), e)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			at := path + "/" + pointer.Replace(k)
			out = append(out, text{path: at, value: k, key: true})
			out = textsOfValue(out, at, v[k])
		}
	}
	return out
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// excerpt is at most n characters of s in one line, with what cannot be seen written out.
func excerpt(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		s = string(r[:n-1]) + "…"
	}
	return quoted(s)
}
