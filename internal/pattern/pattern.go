// Package pattern says what a pattern is: a template with typed slots, known by the fingerprint of its text.
// Mining and matching live in its subpackages. It knows no database, no clock and no transport.
package pattern

import (
	"crypto/sha256"
	"encoding/hex"
)

// Wildcard stands for a slot in the text of a template.
const Wildcard = "<*>"

// ID names a pattern: "p" and the first 16 hex digits of the SHA-256 of its template text, so that the same
// template has the same id on every run and machine.
type ID string

// Fingerprint returns the id of the template text, slots written as Wildcard.
func Fingerprint(template string) ID {
	sum := sha256.Sum256([]byte(template))
	return ID("p" + hex.EncodeToString(sum[:8]))
}

// Type is what the values of a slot look like.
type Type string

// The slot types. A slot whose values are of several types has Text.
const (
	Text       Type = "text"
	Word       Type = "word"
	Identifier Type = "identifier"
	Number     Type = "number"
	Hex        Type = "hex"
	UUID       Type = "uuid"
	IP         Type = "ip"
	Host       Type = "host"
	Path       Type = "path"
	URL        Type = "url"
	Email      Type = "email"
	Duration   Type = "duration"
	Size       Type = "size"
	Time       Type = "time"
	Quoted     Type = "quoted"
)

// Slot is one variable part of a template.
type Slot struct {
	Name string `json:"name"` // unique within the template, e.g. "ip", "path_2", or the key of key=value
	Type Type   `json:"type"`
}

// Origin says how a pattern came about.
type Origin string

// The origins. All but Mined are rules that a person made, and win over what is mined.
const (
	Mined  Origin = ""
	Own    Origin = "own"    // its template was written by hand
	Merged Origin = "merged" // several patterns were made one
	Split  Origin = "split"  // a pattern was told apart by the words of a slot
	Pinned Origin = "pinned" // a mined pattern was frozen as it was
)

// Pattern is a template and its slots, in the order in which they stand in it.
type Pattern struct {
	ID       ID     `json:"id"`
	Template string `json:"template"`
	Slots    []Slot `json:"slots"`
	Origin   Origin `json:"origin,omitempty"`
}

// New makes the pattern of a template text.
func New(template string, slots []Slot) Pattern {
	return Pattern{ID: Fingerprint(template), Template: template, Slots: slots}
}
