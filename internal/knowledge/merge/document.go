package merge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

// Conflict is a place that both sides changed, each in another way. Path is one of
//
//	document                  one side deleted the document and the other changed it: canonical JSON, "" for deleted
//	schema, title             the text itself
//	body:## Restore/3         lines in the third block below that heading of the base; body:## Restore is the heading
//	                          itself, body:/1 the first block of a body without headings, and ~2 behind it is the second
//	                          conflict with that path
//	metadata/owner/name       a key of the metadata, by an RFC 6901 pointer: canonical JSON, "" for missing
//	sources/URI/quote         a field of the source with that URI, escaped as in a pointer: as for metadata
//
// Paths are different within a merge.
type Conflict struct {
	Path   string `json:"path"`
	Base   string `json:"base"`
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
}

// Choices.
const (
	TakeBase   = "base"
	TakeOurs   = "ours"
	TakeTheirs = "theirs"
	TakeText   = "text" // Text instead, written as the conflict writes its sides
)

// Choice says what is to stand where there is a conflict.
type Choice struct {
	Path string `json:"path"`
	Take string `json:"take"`
	Text string `json:"text,omitempty"`
}

// The errors of Resolve, whose text is for the person who chooses.
var (
	ErrUnresolved = errors.New("there are conflicts without a choice")
	ErrChoice     = errors.New("this choice cannot be made")
)

// Result is a merge. Document is nil where the merge is a deletion; where there is a conflict it says what ours says.
type Result struct {
	Document  *knowledge.Document
	Conflicts []Conflict
}

// Documents merges what ours and theirs made of base; nil is a document that does not exist, or no longer. The body is merged
// by lines, metadata by key path (knowledge.FileKey without conflicts), links and sources as sets that keep the order of ours; a source is one by its URI, where
// that is enough. It is a function of what the documents say: what has the same hash is merged alike.
func Documents(base, ours, theirs *knowledge.Document) (Result, error) {
	s := &session{}
	d, err := s.documents(base, ours, theirs)
	if err != nil {
		return Result{}, err
	}
	return Result{Document: d, Conflicts: s.conflicts}, nil
}

// Resolve merges as Documents does, and puts the chosen text where there is a conflict; nil is a deletion. Choices without
// their conflict and conflicts without their choice are errors that name the paths.
func Resolve(base, ours, theirs *knowledge.Document, choices []Choice) (*knowledge.Document, error) {
	s := &session{choices: map[string]Choice{}}
	for _, c := range choices {
		if _, ok := s.choices[c.Path]; ok {
			return nil, fmt.Errorf("%w: %s is chosen twice", ErrChoice, c.Path)
		}
		s.choices[c.Path] = c
	}
	d, err := s.documents(base, ours, theirs)
	if err != nil {
		return nil, err
	}
	var open []string
	for _, c := range s.conflicts {
		if _, ok := s.choices[c.Path]; !ok {
			open = append(open, c.Path)
		}
		delete(s.choices, c.Path)
	}
	for _, c := range choices {
		if _, ok := s.choices[c.Path]; ok {
			return nil, fmt.Errorf("%w: there is no conflict at %q", ErrChoice, c.Path)
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnresolved, strings.Join(open, ", "))
	}
	return d, nil
}

// session is one merge.
type session struct {
	conflicts []Conflict
	choices   map[string]Choice
	err       error // the first choice that cannot be made
}

func (s *session) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// decide notes a conflict, and returns the chosen text where there is a choice.
func (s *session) decide(c Conflict) (string, bool) {
	s.conflicts = append(s.conflicts, c)
	choice, ok := s.choices[c.Path]
	if !ok {
		return "", false
	}
	switch choice.Take {
	case TakeBase:
		return c.Base, true
	case TakeOurs:
		return c.Ours, true
	case TakeTheirs:
		return c.Theirs, true
	case TakeText:
		return choice.Text, true
	}
	s.fail(fmt.Errorf("%w: %q for %s: want base, ours, theirs or text", ErrChoice, choice.Take, c.Path))
	return "", false
}

func (s *session) documents(base, ours, theirs *knowledge.Document) (*knowledge.Document, error) {
	sides, texts := [3]*knowledge.Document{base, ours, theirs}, [3]string{}
	for i, d := range sides {
		if d == nil {
			continue
		}
		text, err := d.Canonical()
		if err != nil {
			return nil, fmt.Errorf("merge %s: %w", [3]string{"base", "ours", "theirs"}[i], err)
		}
		same, err := knowledge.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("merge %s: %w", [3]string{"base", "ours", "theirs"}[i], err)
		}
		sides[i], texts[i] = &same, string(text)
	}
	switch {
	case texts[1] == texts[2], texts[0] == texts[2]:
		return sides[1], nil
	case texts[0] == texts[1]:
		return sides[2], nil
	case ours == nil || theirs == nil:
		return s.deleted(sides[1], Conflict{Path: "document", Base: texts[0], Ours: texts[1], Theirs: texts[2]})
	case base == nil:
		sides[0] = &knowledge.Document{}
	}
	out := s.fields(sides[0], sides[1], sides[2])
	return out, s.err
}

// deleted settles a deletion against a change.
func (s *session) deleted(ours *knowledge.Document, c Conflict) (*knowledge.Document, error) {
	text, decided := s.decide(c)
	if !decided {
		return ours, s.err
	}
	if text == "" {
		return nil, nil
	}
	d, err := knowledge.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: the text for %s: %w", ErrChoice, c.Path, err)
	}
	return &d, nil
}

func (s *session) fields(base, ours, theirs *knowledge.Document) *knowledge.Document {
	return &knowledge.Document{
		Schema:   s.scalar("schema", base.Schema, ours.Schema, theirs.Schema),
		Title:    s.scalar("title", base.Title, ours.Title, theirs.Title),
		Body:     s.body(base.Body, ours.Body, theirs.Body),
		Metadata: s.metadata(base.Metadata, ours.Metadata, theirs.Metadata),
		Links:    links(base.Links, ours.Links, theirs.Links),
		Sources:  s.sources(base.Sources, ours.Sources, theirs.Sources),
	}
}

// metadata merges by key path; how the file was written is of the side that changed it, or else of ours.
func (s *session) metadata(base, ours, theirs map[string]any) map[string]any {
	var files, rest [3]maybe
	for i, side := range []map[string]any{base, ours, theirs} {
		v, ok := side[knowledge.FileKey]
		files[i] = maybe{v, ok}
		others := map[string]any{}
		maps.Copy(others, side)
		delete(others, knowledge.FileKey)
		rest[i] = maybe{others, true}
	}
	merged, _ := s.value("metadata", rest[0], rest[1], rest[2]).value.(map[string]any)
	if file := (&session{}).value("", files[0], files[1], files[2]); file.ok {
		merged[knowledge.FileKey] = file.value
	}
	return merged
}

func (s *session) scalar(path, base, ours, theirs string) string {
	switch {
	case ours == theirs, base == theirs:
		return ours
	case base == ours:
		return theirs
	}
	if text, ok := s.decide(Conflict{Path: path, Base: base, Ours: ours, Theirs: theirs}); ok {
		return text
	}
	return ours
}

// body merges by lines, and names the conflicts by the block of the base in which they begin.
func (s *session) body(base, ours, theirs string) string {
	parts := Lines(base, ours, theirs)
	if parts.Clean() {
		return parts.String()
	}
	blocks, used := markdown.Blocks(markdown.Lines(base)), map[string]bool{}
	var b strings.Builder
	for i, p := range parts {
		if !p.Conflict {
			b.WriteString(p.Text)
			continue
		}
		first := "body:" + blockAt(blocks, p.Line)
		path := first
		for n := 2; used[path]; n++ {
			path = fmt.Sprintf("%s~%d", first, n)
		}
		used[path] = true
		text, ok := s.decide(Conflict{Path: path, Base: p.Base, Ours: p.Ours, Theirs: p.Theirs})
		if !ok {
			text = p.Ours
		}
		b.WriteString(text)
		if text != "" && !strings.HasSuffix(text, "\n") && i < len(parts)-1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// blockAt returns the path of the block that holds the line, or of the last one.
func blockAt(blocks []markdown.Block, line int) string {
	path := "/1"
	for _, b := range blocks {
		if b.Start > line {
			break
		}
		path = b.Path
	}
	return path
}

// links merges links as a set; where one side changed them it has their order too.
func links(base, ours, theirs []knowledge.Link) []knowledge.Link {
	if merged, ok := oneSide(base, ours, theirs); ok {
		return merged
	}
	values := map[string]knowledge.Link{}
	keys := func(list []knowledge.Link) []string {
		return keysOf(list, values, func(l knowledge.Link) string { return l.Relation + "\x00" + l.Target })
	}
	out := []knowledge.Link{}
	for _, key := range sets(keys(base), keys(ours), keys(theirs)) {
		out = append(out, values[key])
	}
	return out
}

// oneSide returns the list of the side that changed it, if no more than one did.
func oneSide[T comparable](base, ours, theirs []T) ([]T, bool) {
	switch {
	case slices.Equal(base, theirs), slices.Equal(ours, theirs):
		return slices.Concat([]T{}, ours), true
	case slices.Equal(base, ours):
		return slices.Concat([]T{}, theirs), true
	}
	return nil, false
}

// keysOf returns the key of each element, once, and notes the elements by it.
func keysOf[T any](list []T, values map[string]T, key func(T) string) (out []string) {
	seen := map[string]bool{}
	for _, v := range list {
		k := key(v)
		values[k] = v
		if !seen[k] {
			out = append(out, k)
		}
		seen[k] = true
	}
	return out
}

// sources merges field by field the sources that have the same URI, where every URI stands once on each side, and else as
// values that are there or not.
func (s *session) sources(base, ours, theirs []knowledge.Source) []knowledge.Source {
	if merged, ok := oneSide(base, ours, theirs); ok {
		return merged
	}
	key := func(src knowledge.Source) string { return src.URI }
	for _, list := range [][]knowledge.Source{base, ours, theirs} {
		if len(keysOf(list, map[string]knowledge.Source{}, key)) < len(list) {
			key = func(src knowledge.Source) string {
				return strings.Join([]string{src.URI, src.Hash, src.Quote, src.RetrievedAt}, "\x00")
			}
		}
	}
	b, o, t := map[string]knowledge.Source{}, map[string]knowledge.Source{}, map[string]knowledge.Source{}
	inBase, inOurs, inTheirs := keysOf(base, b, key), keysOf(ours, o, key), keysOf(theirs, t, key)
	settled, seen := map[string]knowledge.Source{}, map[string]bool{}
	for _, k := range slices.Concat(inBase, inOurs, inTheirs) {
		if seen[k] {
			continue
		}
		seen[k] = true
		get := func(m map[string]knowledge.Source) maybe {
			src, ok := m[k]
			if !ok {
				return maybe{}
			}
			return maybe{sourceFields(src), true}
		}
		if v := s.value("sources/"+escape(k), get(b), get(o), get(t)); v.ok {
			settled[k] = s.source(k, v)
		}
	}
	left := func(keys []string) []string {
		return slices.DeleteFunc(keys, func(k string) bool { _, ok := settled[k]; return !ok })
	}
	out := []knowledge.Source{}
	for _, k := range sets(nil, left(inOurs), left(inTheirs)) {
		out = append(out, settled[k])
	}
	return out
}

// sourceFields is the source as its JSON says it.
func sourceFields(src knowledge.Source) map[string]any {
	out := map[string]any{"uri": src.URI}
	for key, text := range map[string]string{"hash": src.Hash, "quote": src.Quote, "retrieved_at": src.RetrievedAt} {
		if text != "" {
			out[key] = text
		}
	}
	return out
}

func (s *session) source(key string, v maybe) (src knowledge.Source) {
	dec := json.NewDecoder(strings.NewReader(v.text()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&src); err != nil {
		s.fail(fmt.Errorf("%w: what is chosen for source %s: %w", ErrChoice, key, err))
	}
	return src
}
