// Package knowledge is what an entry of the knowledge base is: documents that are never changed, addressed by their
// content. How they are merged, checked, found, and brought in and out is in the packages below it. It does no I/O and reads no clock.
package knowledge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/gowebpki/jcs"
)

// Document is what an entry says at one revision. Two documents that say the same have the same Hash.
type Document struct {
	Schema   string         `json:"schema"`   // type of the entry, the name of a JSON Schema: note, runbook, fact, ...
	Title    string         `json:"title"`    // one line
	Body     string         `json:"body"`     // Markdown
	Metadata map[string]any `json:"metadata"` // what else the schema asks for; numbers are json.Number
	Links    []Link         `json:"links"`
	Sources  []Source       `json:"sources"`
}

// Link leads from an entry to another thing.
type Link struct {
	Relation string `json:"relation"` // explains, supersedes, depends_on, ...
	Target   string `json:"target"`   // "space/slug" of an entry, "pattern:library/id", or a URL
}

// Source is where a document has something from.
type Source struct {
	URI         string `json:"uri"`
	Hash        string `json:"hash,omitempty"`         // SHA-256 of the source as it was read, hexadecimal
	Quote       string `json:"quote,omitempty"`        // the words relied on
	RetrievedAt string `json:"retrieved_at,omitempty"` // RFC 3339
}

// FileKey is the key of the metadata under which a document keeps how its file was written. It is no part of what the
// document says, so it is not worth a conflict.
const FileKey = "_vault"

// Hash is the SHA-256 of a document's canonical form.
type Hash [sha256.Size]byte

// String returns the hash in 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads 64 hexadecimal digits.
func ParseHash(s string) (h Hash, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("%q is no hash: want %d hexadecimal digits", s, 2*len(h))
	}
	copy(h[:], b)
	return h, nil
}

// ErrDocument is wrapped by the errors of documents that cannot be read.
var ErrDocument = errors.New("no document")

// Canonical returns the document as RFC 8785 canonical JSON, which Parse reads back and which Hash is computed of.
func (d Document) Canonical() ([]byte, error) {
	if d.Metadata == nil {
		d.Metadata = map[string]any{}
	}
	if d.Links == nil {
		d.Links = []Link{}
	}
	if d.Sources == nil {
		d.Sources = []Source{}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	out, err := jcs.Transform(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return out, nil
}

// Hash returns the address of the document, with its canonical form.
func (d Document) Hash() (Hash, []byte, error) {
	text, err := d.Canonical()
	if err != nil {
		return Hash{}, nil, err
	}
	return sha256.Sum256(text), text, nil
}

// Parse reads a document. An unknown key and anything after it are errors.
func Parse(text []byte) (Document, error) {
	var d Document
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&d); err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Document{}, fmt.Errorf("%w: there is something after it, at byte %d", ErrDocument, dec.InputOffset())
	}
	return d, nil
}

// slugForm is the form of names in a reference: lower case letters and digits of any script, joined by - . _ and single /.
var slugForm = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{Lm}\p{M}\p{N}]+(?:(?:/|[-._]+)[\p{Ll}\p{Lo}\p{Lm}\p{M}\p{N}]+)*$`)

// MaxSlug bounds a slug, in bytes.
const MaxSlug = 200

// CheckSlug says what is wrong with the slug of an entry. Slugs may have folders: "db/restore-from-backup".
func CheckSlug(slug string) error {
	if len(slug) > MaxSlug || !slugForm.MatchString(slug) {
		return fmt.Errorf("%q is no slug: want lower case letters and digits joined by - . _ or /, at most %d bytes", slug, MaxSlug)
	}
	return nil
}
