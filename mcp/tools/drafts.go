package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/merge"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

// maxDrafts bounds the entries of one change set that is sent as an argument; more are imported.
const maxDrafts = 100

// draftList is an argument of changes to entries: an array of objects, or one object.
type draftList []draft

// draft is what is to become of an entry. Members that are left out stay as they are in the revision it is based on.
type draft struct {
	Entry     string              `json:"entry"`
	Base      *int                `json:"base"` // number of the revision it was decided on; nil is the current one
	Delete    bool                `json:"delete"`
	Type      *string             `json:"type"`
	Title     *string             `json:"title"`
	Body      *string             `json:"body"`
	Replace   []replacement       `json:"replace"` // in the body, one after the other
	Metadata  *map[string]any     `json:"metadata"`
	Links     *[]knowledge.Link   `json:"links"`
	Sources   *[]knowledge.Source `json:"sources"`
	ValidFrom *time.Time          `json:"valid_from"`
	ValidTo   *time.Time          `json:"valid_to"`
}

// replacement is a part of the body, which occurs once, and what comes in its place.
type replacement struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// draftMembers are the members of a draft, for error messages.
var draftMembers = func() (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[draft]()) {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}()

func (l *draftList) schema() string { return `"type":"array","items":{"type":"object"}` }

func (l *draftList) parse(value []byte) error {
	*l = nil
	add := func(element []byte) error {
		if len(*l) == maxDrafts {
			return fmt.Errorf("has more than %d entries; import them with tartan knowledge import", maxDrafts)
		}
		d, err := parseDraft(element)
		if err != nil {
			return fmt.Errorf("entry %d: %w", len(*l)+1, err)
		}
		if slices.ContainsFunc(*l, func(o draft) bool { return o.Entry == d.Entry }) {
			return fmt.Errorf("names %s twice", d.Entry)
		}
		*l = append(*l, d)
		return nil
	}
	switch value[0] {
	case '{':
		return add(value)
	case '[':
		return jsonrpc.Elements(value, add)
	}
	return errors.New("must be an array of objects with " + strings.Join(draftMembers, ", "))
}

func parseDraft(text []byte) (d draft, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&d); err != nil {
		return d, draftProblem(err)
	}
	if _, _, err := splitAddress(d.Entry); err != nil {
		return d, err
	}
	for name, s := range map[string]*string{"type": d.Type, "title": d.Title, "body": d.Body} {
		if s != nil && strings.ContainsRune(*s, 0) {
			return d, fmt.Errorf("%q holds a NUL byte", name)
		}
	}
	switch {
	case d.Base != nil && *d.Base < 0:
		return d, errors.New(`"base" is the number of a revision, or 0 for a new entry`)
	case d.Body != nil && d.Replace != nil:
		return d, errors.New(`give either "body" or "replace"`)
	case d.ValidFrom != nil && d.ValidTo != nil && !d.ValidFrom.Before(*d.ValidTo):
		return d, errors.New(`"valid_to" is not after "valid_from"`)
	}
	return d, nil
}

// draftProblem says what is wrong in words without Go in them.
func draftProblem(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return errors.New("must be an object")
		}
		return fmt.Errorf("%q must not be a %s", wrong.Field, wrong.Value)
	}
	if rest, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name := strings.Trim(rest, `"`)
		if near := nearest(name, draftMembers); near != "" {
			return fmt.Errorf("unknown member %s: did you mean %q?", short(name), near)
		}
		return fmt.Errorf("unknown member %s: there are %s", short(name), strings.Join(draftMembers, ", "))
	}
	var at *time.ParseError
	if errors.As(err, &at) {
		return fmt.Errorf("%s is no time such as 2026-11-23T08:00:00Z", short(strings.Trim(at.Value, `"`)))
	}
	return errors.New("is not valid JSON")
}

// splitAddress takes the address of an entry apart.
func splitAddress(address string) (space, slug string, err error) {
	space, slug, ok := strings.Cut(address, "/")
	if !ok || space == "" {
		return "", "", fmt.Errorf("%s is no address of an entry: want space/slug", short(address))
	}
	if err := knowledge.CheckSlug(slug); err != nil {
		return "", "", fmt.Errorf("%s is no address of an entry: a slug is lower case letters and digits joined by - . _ or /", short(address))
	}
	return space, slug, nil
}

// over is the document that the draft makes of the one it is based on.
func (d *draft) over(base knowledge.Document) (knowledge.Document, error) {
	out := base
	for _, f := range []struct {
		to   *string
		from *string
	}{{&out.Schema, d.Type}, {&out.Title, d.Title}, {&out.Body, d.Body}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	for _, r := range d.Replace {
		switch n := strings.Count(out.Body, r.Old); {
		case r.Old == "" || n == 0:
			return out, invalid("%s: the body has no %s to replace; get_knowledge shows it", d.Entry, short(r.Old))
		case n > 1:
			return out, invalid("%s: the body has %s %d times; give more of what is around the one meant", d.Entry, short(r.Old), n)
		}
		out.Body = strings.Replace(out.Body, r.Old, r.New, 1)
	}
	if d.Metadata != nil {
		out.Metadata = *d.Metadata
	}
	if d.Links != nil {
		out.Links = *d.Links
	}
	if d.Sources != nil {
		out.Sources = *d.Sources
	}
	return out, nil
}

// choiceList is an argument of decisions about conflicts: an array of objects, or one object.
type choiceList []merge.Choice

func (l *choiceList) schema() string { return `"type":"array","items":{"type":"object"}` }

func (l *choiceList) parse(value []byte) error {
	*l = nil
	add := func(element []byte) error {
		dec := json.NewDecoder(bytes.NewReader(element))
		dec.DisallowUnknownFields()
		var c struct {
			Path string  `json:"path"`
			Take string  `json:"take"`
			Text *string `json:"text"`
		}
		if dec.Decode(&c) != nil || (c.Take == "") == (c.Text == nil) || c.Text != nil && strings.ContainsRune(*c.Text, 0) {
			return fmt.Errorf("choice %d: must be {path, take} with take base, ours or theirs, or {path, text}", len(*l)+1)
		}
		out := merge.Choice{Path: c.Path, Take: c.Take}
		if c.Text != nil {
			out.Take, out.Text = merge.TakeText, *c.Text
		}
		*l = append(*l, out)
		return nil
	}
	switch value[0] {
	case '{':
		return add(value)
	case '[':
		return jsonrpc.Elements(value, add)
	}
	return errors.New("must be an array of {path, take} or {path, text}")
}
