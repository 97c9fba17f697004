package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

const (
	// fileKey holds "path" where the slug does not say it, and "front_matter" where it would be written otherwise.
	fileKey = knowledge.FileKey
	// ownKey is the key of a front matter that holds what else a document says.
	ownKey = "tartan"
)

// ErrNote is wrapped by the errors of notes that cannot be read or written.
var ErrNote = errors.New("no note")

// Entry is an entry of a space with what it says.
type Entry struct {
	Slug     string
	Document knowledge.Document
}

// own is what a document says that neither the Markdown nor the keys of the front matter do.
type own struct {
	Title    *string             `json:"title,omitempty"`
	Schema   *string             `json:"schema,omitempty"`
	Links    *[]knowledge.Link   `json:"links,omitempty"` // instead of those that are read from the body
	Sources  *[]knowledge.Source `json:"sources,omitempty"`
	Metadata map[string]any      `json:"metadata,omitempty"`
	Derived  *bool               `json:"derived,omitempty"` // false: nothing of the metadata is read from the body
}

// same reports whether two values are the same as JSON.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, err := canonical(a)
	if err != nil {
		return false
	}
	y, err := canonical(b)
	return err == nil && bytes.Equal(x, y)
}

func canonical(v any) ([]byte, error) {
	text, err := json.Marshal([]any{v})
	if err != nil {
		return nil, err
	}
	return jcs.Transform(text)
}

func decode(v, into any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	return dec.Decode(into)
}

// note is a file taken apart.
type note struct {
	prefix string
	own    own
	text   text
	doc    knowledge.Document // without links to notes of the vault and without fileKey
	broken error              // why the front matter is not read
}

// take takes a file apart, as far as it does not depend on others.
func take(path, content string, opts Options) note {
	prefix, inner, body, _ := split(content)
	fields, broken := readYAML(inner)
	n := note{prefix: prefix, broken: broken, text: scan(body)}
	n.doc = knowledge.Document{Title: n.text.title, Body: body, Metadata: map[string]any{}, Links: []knowledge.Link{}, Sources: []knowledge.Source{}}
	if n.doc.Title == "" {
		n.doc.Title = fileTitle(path)
	}
	for _, f := range fields {
		var said own
		switch {
		case f.key == ownKey && decode(f.value, &said) == nil:
			n.own = said
		case f.key == "title" && f.value != nil && isTitle(f.text):
			n.doc.Title = f.text
		case f.key == fileKey:
		default:
			n.doc.Metadata[f.key] = f.value
		}
	}
	delete(n.own.Metadata, fileKey)
	maps.Copy(n.doc.Metadata, n.own.Metadata)
	if n.own.Derived == nil || *n.own.Derived {
		for key, value := range n.text.derived {
			if _, ok := n.doc.Metadata[key]; !ok {
				n.doc.Metadata[key] = value
			}
		}
	}
	n.doc.Schema = schemaOf(n.doc.Metadata, opts)
	set(&n.doc.Title, n.own.Title)
	set(&n.doc.Schema, n.own.Schema)
	set(&n.doc.Sources, n.own.Sources)
	return n
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

func isTitle(s string) bool {
	return s != "" && strings.TrimSpace(s) == s && !strings.ContainsAny(s, "\r\n")
}

func schemaOf(metadata map[string]any, opts Options) string {
	if name, ok := metadata["type"].(string); ok && slices.Contains(opts.Schemas, name) {
		return name
	}
	return DefaultSchema
}

func headOf(path string, d knowledge.Document) Head {
	h := Head{Path: path, Title: d.Title}
	h.Permalink, _ = d.Metadata["permalink"].(string)
	if list, ok := d.Metadata["aliases"].([]any); ok {
		for _, v := range list {
			if alias, ok := v.(string); ok && alias != "" {
				h.Aliases = append(h.Aliases, alias)
			}
		}
	}
	return h
}

// links are the links of a text to notes of the index, once each, and the targets that are none.
func (x *Index) links(slug, path string, t text) (out []knowledge.Link, open []string) {
	out = []knowledge.Link{}
	seen := map[knowledge.Link]bool{}
	for _, r := range t.references {
		to, ok := x.resolve(path, r)
		link := knowledge.Link{Relation: r.relation, Target: x.opts.Space + "/" + to}
		if !ok {
			link = knowledge.Link{Target: r.target}
		}
		switch {
		case seen[link] || ok && to == slug:
		case ok:
			out = append(out, link)
		case !x.isKept(path, r):
			open = append(open, r.target)
		}
		seen[link] = true
	}
	return out, open
}

// CheckNote says why a file cannot be a note, although its name is that of one. Such a file is kept as it is.
func CheckNote(content []byte) error {
	if !utf8.Valid(content) {
		return fmt.Errorf("%w: it is not UTF-8", ErrNote)
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return fmt.Errorf("%w: it holds a NUL", ErrNote)
	}
	return nil
}

// ReadHead reads what a note may be called. The slug is the caller's to set: see AssignSlugs.
func ReadHead(path string, content []byte, opts Options) (Head, error) {
	if err := errors.Join(CheckPath(path), CheckNote(content)); err != nil {
		return Head{}, err
	}
	return headOf(path, take(path, string(content), opts).doc), nil
}

// Read makes a document of a note that the index knows. Notices say what of it means nothing: a front matter that is no YAML
// object, and links to notes that are not there. Write gives the bytes back.
func (x *Index) Read(slug string, content []byte) (d knowledge.Document, notices []string, err error) {
	h, ok := x.bySlug[slug]
	if !ok {
		return d, nil, fmt.Errorf("%w: the index does not know %s", ErrNote, slug)
	}
	if err := CheckNote(content); err != nil {
		return d, nil, fmt.Errorf("%s: %w", h.Path, err)
	}
	n := x.read(slug, h.Path, string(content))
	if n.broken != nil {
		notices = append(notices, n.broken.Error())
	}
	_, open := x.links(slug, h.Path, n.text)
	for _, target := range open {
		notices = append(notices, fmt.Sprintf("the link to %q leads nowhere", target))
	}
	d = n.doc
	file := map[string]any{}
	if h.Path != slug+".md" {
		file["path"] = h.Path
	}
	if written, err := x.render(slug, h.Path, d, n.text); err != nil || written != string(content) {
		file["front_matter"] = n.prefix
	}
	if len(file) > 0 {
		d.Metadata[fileKey] = file
	}
	return d, notices, nil
}

// read takes a file apart, with its links.
func (x *Index) read(slug, path, content string) note {
	n := take(path, content, x.opts)
	if n.own.Links != nil {
		n.doc.Links = *n.own.Links
	} else {
		n.doc.Links, _ = x.links(slug, path, n.text)
	}
	return n
}

// form is what fileKey holds.
type form struct {
	Path        string  `json:"path,omitempty"`
	FrontMatter *string `json:"front_matter,omitempty"`
}

func formOf(d knowledge.Document) (f form, err error) {
	v, ok := d.Metadata[fileKey]
	if !ok {
		return f, nil
	}
	if err := decode(v, &f); err != nil {
		return f, fmt.Errorf("%w: the key %s of the metadata is kept for vaults: %w", ErrNote, fileKey, err)
	}
	return f, nil
}

// Write returns the file of an entry that the index knows. It is the file that the document was read from, where that still
// says what the document says; else the lines of its front matter that say something else are changed, where they can be.
// Read gives the same document back, but for what it notes of the file.
func (x *Index) Write(e Entry) ([]byte, error) {
	h, ok := x.bySlug[e.Slug]
	if !ok {
		return nil, fmt.Errorf("%w: the index does not know %s", ErrNote, e.Slug)
	}
	text, err := e.Document.Canonical()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Slug, err)
	}
	d, err := knowledge.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Slug, err)
	}
	f, err := formOf(d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Slug, err)
	}
	delete(d.Metadata, fileKey)
	if f.FrontMatter != nil {
		if x.says(e.Slug, h.Path, *f.FrontMatter+d.Body, d) {
			return []byte(*f.FrontMatter + d.Body), nil
		}
		if prefix, inner, rest, found := split(*f.FrontMatter); found && rest == "" {
			if changed, ok := patch(prefix, inner, x.fields(e.Slug, h.Path, d, scan(d.Body))); ok && x.says(e.Slug, h.Path, changed+d.Body, d) {
				return []byte(changed + d.Body), nil
			}
		}
	}
	written, err := x.render(e.Slug, h.Path, d, scan(d.Body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Slug, err)
	}
	if !x.says(e.Slug, h.Path, written, d) {
		return nil, fmt.Errorf("%w: %s has no form that says the same: its metadata are too long or nested too deep for a front matter", ErrNote, e.Slug)
	}
	return []byte(written), nil
}

// says reports whether a file is read as the document.
func (x *Index) says(slug, path, content string, d knowledge.Document) bool {
	got, _, err := x.read(slug, path, content).doc.Hash()
	if err != nil {
		return false
	}
	want, _, err := d.Hash()
	return err == nil && got == want
}

// render makes the file of a document anew.
func (x *Index) render(slug, path string, d knowledge.Document, t text) (string, error) {
	fields := x.fields(slug, path, d, t)
	prefix := ""
	if _, _, body, found := split(d.Body); len(fields) > 0 || found || body != d.Body {
		var err error
		if prefix, err = render(fields); err != nil {
			return "", fmt.Errorf("%w: %w", ErrNote, err)
		}
	}
	return prefix + d.Body, nil
}

// fields are the keys of a front matter that makes a document of a body.
func (x *Index) fields(slug, path string, d knowledge.Document, t text) map[string]any {
	out, own := map[string]any{}, own{Metadata: map[string]any{}}
	derived := true
	for key, value := range t.derived {
		if have, ok := d.Metadata[key]; !ok || !same(have, value) {
			derived = false
		}
	}
	if !derived {
		own.Derived = &derived
	}
	for key, value := range d.Metadata {
		_, read := t.derived[key]
		switch {
		case read && derived:
		case key == "title" || key == ownKey || !same(normalised(key, value), value):
			own.Metadata[key] = value
		default:
			out[key] = value
		}
	}
	title := t.title
	if title == "" {
		title = fileTitle(path)
	}
	switch _, taken := own.Metadata["title"]; {
	case d.Title == title:
	case isTitle(d.Title) && !taken:
		out["title"] = d.Title
	default:
		own.Title = &d.Title
	}
	if d.Schema != schemaOf(d.Metadata, x.opts) {
		own.Schema = &d.Schema
	}
	if links, _ := x.links(slug, path, t); !slices.Equal(links, d.Links) {
		own.Links = &d.Links
	}
	if len(d.Sources) > 0 {
		own.Sources = &d.Sources
	}
	var value map[string]any
	if decode(own, &value) == nil && len(value) > 0 {
		out[ownKey] = value
	}
	return out
}
