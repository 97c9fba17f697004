package merge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gowebpki/jcs"
)

// maybe is a value that may be missing.
type maybe struct {
	value any
	ok    bool
}

// text returns the value as canonical JSON, "" where there is none. The value is one that normal returned.
func (m maybe) text() string {
	if !m.ok {
		return ""
	}
	text, err := canonical(m.value)
	if err != nil {
		panic(err) // normal has made it canonical before
	}
	return text
}

func canonical(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	text, err = jcs.Transform(append(append([]byte{'['}, text...), ']')) // it takes objects and lists only
	if err != nil {
		return "", err
	}
	return string(text[1 : len(text)-1]), nil
}

// normal returns a copy that consists of maps, lists, strings, json.Number, bool and nil.
func normal(v any) (any, error) {
	text, err := canonical(v)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

func parse(text string) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, fmt.Errorf("there is something after it, at byte %d", dec.InputOffset())
	}
	return v, nil
}

// JSON merges objects key by key, at any depth. Lists of different strings are merged as sets that keep their order, other
// lists element by element as Lines merges lines; a list that cannot be merged so is one conflict, as is a key that one side
// changed and the other removed. Paths are RFC 6901 pointers; what conflicts say is canonical JSON, or "" where the key is
// missing. Where there is a conflict the result says what ours says. An error is about a value that is no JSON.
func JSON(base, ours, theirs map[string]any) (map[string]any, []Conflict, error) {
	m := &session{}
	out, err := m.object("", base, ours, theirs)
	if err != nil {
		return nil, nil, err
	}
	return out, m.conflicts, m.err
}

func (s *session) object(path string, sides ...map[string]any) (map[string]any, error) {
	var in [3]maybe
	for i, side := range sides {
		if side == nil {
			side = map[string]any{}
		}
		v, err := normal(side)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", [3]string{"base", "ours", "theirs"}[i], err)
		}
		in[i] = maybe{v, true}
	}
	if out, ok := s.value(path, in[0], in[1], in[2]).value.(map[string]any); ok {
		return out, nil
	}
	return map[string]any{}, nil
}

// value merges one value.
func (s *session) value(path string, base, ours, theirs maybe) maybe {
	b, o, t := base.text(), ours.text(), theirs.text()
	switch {
	case o == t, b == t:
		return ours
	case b == o:
		return theirs
	}
	if om, tm, bm, ok := as[map[string]any](ours, theirs, base); ok {
		keys := maps.Clone(om)
		maps.Copy(keys, tm)
		maps.Copy(keys, bm)
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			get := func(m map[string]any) maybe { v, ok := m[key]; return maybe{v, ok} }
			if v := s.value(path+"/"+escape(key), get(bm), get(om), get(tm)); v.ok {
				out[key] = v.value
			}
		}
		return maybe{out, true}
	}
	if ol, tl, bl, ok := as[[]any](ours, theirs, base); ok {
		if out, ok := lists(bl, ol, tl); ok {
			return maybe{out, true}
		}
	}
	c := Conflict{Path: path, Base: b, Ours: o, Theirs: t}
	text, decided := s.decide(c)
	switch {
	case !decided:
		return ours
	case text == "":
		return maybe{}
	}
	v, err := parse(text)
	if err != nil {
		s.fail(fmt.Errorf("%w: the text for %s is no JSON: %w", ErrChoice, path, err))
	}
	return maybe{v, true}
}

// as returns the three values where ours and theirs are a T, and base is one or missing.
func as[T any](ours, theirs, base maybe) (o, t, b T, ok bool) {
	o, isO := ours.value.(T)
	t, isT := theirs.value.(T)
	b, isB := base.value.(T)
	return o, t, b, isO && isT && (isB || !base.ok)
}

// escape writes a key for an RFC 6901 pointer.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// lists merges lists as sets of strings, or else by element.
func lists(base, ours, theirs []any) ([]any, bool) {
	b, bSet := different(base)
	o, oSet := different(ours)
	t, tSet := different(theirs)
	if bSet && oSet && tSet {
		out := []any{}
		for _, text := range sets(b, o, t) {
			out = append(out, text)
		}
		return out, true
	}
	values := map[string]any{}
	texts := func(list []any) []string {
		out := make([]string, len(list))
		for i, v := range list {
			out[i] = maybe{v, true}.text()
			values[out[i]] = v
		}
		return out
	}
	out := []any{}
	for _, r := range regions(texts(base), texts(ours), texts(theirs)) {
		if r.conflict {
			return nil, false
		}
		for _, text := range r.merged {
			out = append(out, values[text])
		}
	}
	return out, true
}

// different returns the strings of a list in which every element is one and none is twice.
func different(list []any) ([]string, bool) {
	out, seen := make([]string, 0, len(list)), map[string]bool{}
	for _, v := range list {
		text, ok := v.(string)
		if !ok || seen[text] {
			return nil, false
		}
		seen[text] = true
		out = append(out, text)
	}
	return out, true
}

// sets returns ours without what theirs removed and with what theirs added, each behind what it follows there.
func sets(base, ours, theirs []string) []string {
	index := func(list []string) map[string]int {
		out := make(map[string]int, len(list))
		for i, key := range list {
			out[key] = i
		}
		return out
	}
	inBase, inOurs, inTheirs := index(base), index(ours), index(theirs)
	has := func(m map[string]int, key string) bool { _, ok := m[key]; return ok }
	// Additions of theirs stand behind the last element before them that the result has, and behind what ours added there.
	added, front := map[string][]string{}, []string(nil)
	place, placed := "", false
	for _, key := range theirs {
		switch {
		case has(inOurs, key):
			place, placed = key, true
		case !has(inBase, key) && placed:
			added[place] = append(added[place], key)
		case !has(inBase, key):
			front = append(front, key)
		}
	}
	var out, waiting []string
	waiting = front
	for _, key := range ours {
		if has(inBase, key) || has(inTheirs, key) {
			out, waiting = append(out, waiting...), nil
		}
		if !has(inBase, key) || has(inTheirs, key) {
			out = append(out, key)
		}
		waiting = append(waiting, added[key]...)
	}
	return append(out, waiting...)
}
