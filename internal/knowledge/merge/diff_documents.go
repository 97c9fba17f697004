package merge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

// Change is a field that differs: canonical JSON, "" where the field is missing. Paths are those of Conflict, but links and
// sources are whole, as links/RELATION/TARGET and sources/URI.
type Change struct {
	Path   string `json:"path"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Difference is what differs between two documents.
type Difference struct {
	Body   string   `json:"body"`   // as a unified diff with three lines of context, "" where the bodies are the same
	Fields []Change `json:"fields"` // by path
}

// Empty reports whether nothing differs.
func (d Difference) Empty() bool { return d.Body == "" && len(d.Fields) == 0 }

// Diff compares two documents; nil is one that does not exist. The same documents give the same bytes.
func Diff(a, b *knowledge.Document) (Difference, error) {
	before, err := leaves(a)
	if err != nil {
		return Difference{}, err
	}
	after, err := leaves(b)
	if err != nil {
		return Difference{}, err
	}
	out := Difference{Body: Unified(bodyOf(a), bodyOf(b))}
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if before[path] != after[path] {
			out.Fields = append(out.Fields, Change{Path: path, Before: before[path], After: after[path]})
		}
	}
	return out, nil
}

func bodyOf(d *knowledge.Document) string {
	if d == nil {
		return ""
	}
	return d.Body
}

// leaves returns the fields of a document but its body as canonical JSON by path. Objects are taken apart, lists are not.
func leaves(d *knowledge.Document) (map[string]string, error) {
	out := map[string]string{}
	if d == nil {
		return out, nil
	}
	add := func(path string, v any) error {
		text, err := canonical(v)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for first, n := path, 2; ; n++ { // the same link or source may stand twice
			if _, ok := out[path]; !ok {
				break
			}
			path = fmt.Sprintf("%s~%d", first, n)
		}
		out[path] = text
		return nil
	}
	var walk func(path string, v any) error
	walk = func(path string, v any) error {
		m, ok := v.(map[string]any)
		if !ok || len(m) == 0 {
			return add(path, v)
		}
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if err := walk(path+"/"+escape(key), m[key]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := add("schema", d.Schema); err != nil {
		return nil, err
	}
	if err := add("title", d.Title); err != nil {
		return nil, err
	}
	if len(d.Metadata) > 0 {
		if err := walk("metadata", d.Metadata); err != nil {
			return nil, err
		}
	}
	for _, l := range d.Links {
		if err := add("links/"+escape(l.Relation)+"/"+escape(l.Target), l); err != nil {
			return nil, err
		}
	}
	for _, s := range d.Sources {
		if err := add("sources/"+escape(s.URI), s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// context is how many equal lines a unified diff shows around a change.
const context = 3

// Unified returns the hunks of a unified diff, which patch and git apply understand below a header that names the files, and
// "" for equal texts. Hunks are git's without the indent heuristic.
func Unified(a, b string) string {
	old, now := markdown.Lines(a), markdown.Lines(b)
	all := differences(old, now)
	var out strings.Builder
	line := func(sign byte, text string) {
		out.WriteByte(sign)
		out.WriteString(text)
		if !strings.HasSuffix(text, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].a-all[n-1].a-all[n-1].del <= 2*context {
			n++
		}
		group := all[:n]
		all = all[n:]
		first, last := group[0], group[n-1]
		lead := min(context, first.a)
		end := min(len(old), last.a+last.del+context)
		shift := last.b + last.ins - last.a - last.del
		fmt.Fprintf(&out, "@@ -%s +%s @@\n", span(first.a-lead, end), span(first.b-lead, end+shift))
		at := first.a - lead
		for _, h := range group {
			for ; at < h.a; at++ {
				line(' ', old[at])
			}
			for _, text := range old[h.a : h.a+h.del] {
				line('-', text)
			}
			for _, text := range now[h.b : h.b+h.ins] {
				line('+', text)
			}
			at = h.a + h.del
		}
		for ; at < end; at++ {
			line(' ', old[at])
		}
	}
	return out.String()
}

// span writes the lines [start, end) as a unified diff does.
func span(start, end int) string {
	switch end - start {
	case 0:
		return fmt.Sprintf("%d,0", start)
	case 1:
		return fmt.Sprint(start + 1)
	}
	return fmt.Sprintf("%d,%d", start+1, end-start)
}
