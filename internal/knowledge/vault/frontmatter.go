package vault

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gowebpki/jcs"
	"gopkg.in/yaml.v3"

	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

const byteOrderMark = "\ufeff"

// What of a front matter is read. The values are bounded since aliases of aliases can fill the memory, the depth since
// reading takes time by its square.
const (
	maxFrontMatter = 256 << 10
	maxNodes       = 50000
	maxDepth       = 200
)

// nesting is a line that opens one block in another, and what opens and closes in a line.
var (
	nesting  = regexp.MustCompile(`(?m)^[ \t]*(?:[-?:][ \t]+){2,}`)
	brackets = regexp.MustCompile(`[\[\]{}]`)
)

// tooDeep is an estimate that no front matter of a person comes near.
func tooDeep(inner string) bool {
	for _, line := range nesting.FindAllString(inner, -1) {
		if len(strings.Fields(line)) > maxDepth {
			return true
		}
	}
	depth := 0
	for _, b := range brackets.FindAllString(inner, -1) {
		if b == "[" || b == "{" {
			depth++
		} else {
			depth = max(0, depth-1)
		}
		if depth > maxDepth {
			return true
		}
	}
	return false
}

// split cuts a note into what stands before its body (a byte order mark, and a front matter between lines of ---) and the
// body. inner is what is between these lines, found is false where there are none.
func split(content string) (prefix, inner, body string, found bool) {
	rest := strings.TrimPrefix(content, byteOrderMark)
	mark := len(content) - len(rest)
	first, after, ok := strings.Cut(rest, "\n")
	if !ok || strings.TrimRight(first, " \t\r") != "---" {
		return content[:mark], "", rest, false
	}
	start := mark + len(first) + 1
	for at := start; after != ""; {
		line, next, _ := strings.Cut(after, "\n")
		if strings.TrimRight(line, " \t\r") == "---" {
			end := min(at+len(line)+1, len(content))
			return content[:end], content[start:at], content[end:], true
		}
		at += len(line) + 1
		after = next
	}
	return content[:mark], "", rest, false
}

var (
	errFrontMatter = errors.New("the front matter is no YAML object")
	errTooMuch     = fmt.Errorf("the front matter has more than %d bytes or is nested more than %d deep", maxFrontMatter, maxDepth)
)

// field is a key of a front matter.
type field struct {
	key   string
	value any    // as JSON: maps, lists, strings, json.Number, bool, nil
	text  string // of a scalar, as it is written
	line  int    // of inner, from 0
}

// readYAML reads the fields of a front matter in their order. Dates, and numbers that a float64 does not hold, are strings.
func readYAML(inner string) ([]field, error) {
	if len(inner) > maxFrontMatter || tooDeep(inner) {
		return nil, errTooMuch
	}
	dec := yaml.NewDecoder(strings.NewReader(inner))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, errFrontMatter
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) || len(doc.Content) != 1 {
		return nil, errFrontMatter
	}
	root, nodes := doc.Content[0], 0
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Value == "" {
		return nil, nil // comments alone
	}
	if root.Kind != yaml.MappingNode {
		return nil, errFrontMatter
	}
	var out []field
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		value, ok := fromYAML(node, &nodes)
		if !ok || key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || seen[key.Value] {
			return nil, errFrontMatter
		}
		seen[key.Value] = true
		f := field{key: key.Value, value: normalised(key.Value, value), line: key.Line - 1}
		if node.Kind == yaml.ScalarNode {
			f.text = node.Value
		}
		out = append(out, f)
	}
	return out, nil
}

// fromYAML is the value of a node as JSON; ok is false for what JSON cannot say, and for too much.
func fromYAML(n *yaml.Node, nodes *int) (any, bool) {
	if *nodes++; *nodes > maxNodes {
		return nil, false
	}
	switch n.Kind {
	case yaml.AliasNode:
		return fromYAML(n.Alias, nodes)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, ok := fromYAML(c, nodes)
			if !ok {
				return nil, false
			}
			out = append(out, v)
		}
		return out, true
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			v, ok := fromYAML(n.Content[i+1], nodes)
			if _, twice := out[key.Value]; !ok || twice || key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				return nil, false
			}
			out[key.Value] = v
		}
		return out, true
	case yaml.ScalarNode:
		return scalar(n), true
	}
	return nil, false
}

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int", "!!float":
		var f float64
		if n.Decode(&f) == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && holds(f, n.Value) {
			if text, err := jcs.NumberToJSON(f); err == nil {
				return json.Number(text)
			}
		}
	}
	return n.Value
}

// holds reports whether the number is the one that is written, if that is a whole one.
func holds(f float64, written string) bool {
	return math.Abs(f) < 1<<53 || strings.ContainsAny(written, ".eE") || strconv.FormatFloat(f, 'f', -1, 64) == written
}

var listKeys = []string{"tags", "aliases"}

// normalised makes a list of what Obsidian takes for one: tags and aliases that are written "a, b".
func normalised(key string, value any) any {
	if !slices.Contains(listKeys, key) {
		return value
	}
	switch v := value.(type) {
	case nil:
		return []any{}
	case json.Number:
		return []any{v.String()}
	case string:
		out := []any{}
		for _, part := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || key == "tags" && (r == ' ' || r == '\t') }) {
			if part = strings.TrimSpace(part); key == "tags" {
				part = strings.TrimPrefix(part, "#")
			}
			if part != "" {
				out = append(out, part)
			}
		}
		return out
	}
	return value
}

// first are the keys that a front matter begins with; the others follow by name, and last what is our own.
var first = []string{"title", "type", "tags", "aliases"}

func rank(key string) int {
	if key == ownKey {
		return len(first) + 1
	}
	if i := slices.Index(first, key); i >= 0 {
		return i
	}
	return len(first)
}

// render writes a front matter with its lines of ---. What YAML in its block form does not bring back unharmed is written as
// JSON, which is YAML too.
func render(fields map[string]any) (string, error) {
	keys := slices.SortedFunc(maps.Keys(fields), func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	text, ok := block(keys, fields)
	if !ok {
		text = ""
		for _, key := range keys {
			one, ok := block([]string{key}, fields)
			if !ok {
				name, err := asciiJSON(key)
				if err != nil {
					return "", err
				}
				value, err := asciiJSON(fields[key])
				if err != nil {
					return "", err
				}
				one = name + ": " + value + "\n"
			}
			text += one
		}
	}
	return "---\n" + text + "---\n", nil
}

// block writes keys in YAML's block form; ok is false where that would not be read as the same.
func block(keys []string, fields map[string]any) (text string, ok bool) {
	if len(keys) == 0 {
		return "", true
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range keys {
		root.Content = append(root.Content, stringNode(key), toYAML(fields[key]))
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if enc.Encode(root) != nil || enc.Close() != nil {
		return "", false
	}
	text = b.String()
	back, err := readYAML(text)
	if err != nil || len(back) != len(keys) || !unmarked(text) {
		return "", false
	}
	for i, f := range back {
		if f.key != keys[i] || !same(f.value, fields[f.key]) {
			return "", false
		}
	}
	return text, true
}

// unmarked reports whether no line would end the front matter.
func unmarked(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimRight(line, " \t\r") == "---" {
			return false
		}
	}
	return true
}

func stringNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	if n.ShortTag() == "!!timestamp" { // a date needs no quotes: it is read as it is written
		n.Tag = n.ShortTag()
		return n
	}
	n.SetString(s)
	return n
}

func toYAML(value any) *yaml.Node {
	switch v := value.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, stringNode(key), toYAML(v[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, e := range v {
			n.Content = append(n.Content, toYAML(e))
		}
		return n
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case string:
		return stringNode(v)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

// asciiJSON writes JSON in which everything but ASCII is escaped.
func asciiJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case r < 0x7f:
			out.WriteRune(r)
		case r > 0xffff:
			out.WriteString(`\U` + leftPad(strconv.FormatInt(int64(r), 16), 8)) // of YAML: it joins no surrogates
		default:
			out.WriteString(`\u` + leftPad(strconv.FormatInt(int64(r), 16), 4))
		}
	}
	return out.String(), nil
}

func leftPad(s string, n int) string { return strings.Repeat("0", n-len(s)) + s }

// patch changes those lines of a front matter whose keys say something else than they should, and leaves the others, their
// order and their comments as they are. ok is false where that cannot be.
func patch(prefix, inner string, want map[string]any) (string, bool) {
	have, err := readYAML(inner)
	if err != nil {
		return "", false
	}
	lines, ending := markdown.Lines(inner), "\n"
	if strings.Contains(prefix, "\r\n") {
		ending = "\r\n"
	}
	var b strings.Builder
	at := strings.Index(prefix, "\n") + 1
	b.WriteString(prefix[:at])
	done := 0
	missing := maps.Clone(want)
	for i, f := range have {
		end := len(lines)
		if i+1 < len(have) {
			end = have[i+1].line
		}
		if f.line < done || f.line >= end {
			return "", false // several keys in a line
		}
		for end > f.line+1 && aside(lines[end-1]) {
			end-- // a comment above the next key is the next key's
		}
		b.WriteString(strings.Join(lines[done:f.line], ""))
		value, ok := want[f.key]
		switch {
		case ok && same(value, f.value):
			b.WriteString(strings.Join(lines[f.line:end], ""))
		case ok:
			text, err := renderLines(map[string]any{f.key: value}, ending)
			if err != nil {
				return "", false
			}
			b.WriteString(text)
		}
		delete(missing, f.key)
		done = end
	}
	b.WriteString(strings.Join(lines[done:], ""))
	if len(missing) > 0 {
		text, err := renderLines(missing, ending)
		if err != nil {
			return "", false
		}
		b.WriteString(text)
	}
	b.WriteString(prefix[at+len(inner):])
	return b.String(), true
}

// renderLines writes keys without the lines of ---, with the given line ends.
func renderLines(fields map[string]any, ending string) (string, error) {
	text, err := render(fields)
	text = strings.TrimSuffix(strings.TrimPrefix(text, "---\n"), "---\n")
	return strings.ReplaceAll(text, "\n", ending), err
}

// aside reports whether a line is blank or a comment at the margin.
func aside(line string) bool {
	return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#")
}
