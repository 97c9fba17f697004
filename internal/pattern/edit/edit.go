// Package edit is what people do to the patterns of a library: they write their own, merge, split, pin, describe and ignore
// them, and undo any of it. An edit and the edits before it come in; rules, notes and what changed go out. Nothing is ever
// changed that was written down: an undo is an edit too, and what holds is what no undo that holds has undone. It knows no
// database and no clock.
package edit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// The actions.
const (
	Define   = "define"   // a pattern of one's own, by its Template
	Describe = "describe" // Note of the one of Patterns
	Merge    = "merge"    // Patterns into one, which Template may name or write
	Split    = "split"    // the one of Patterns by the words of Slot
	Pin      = "pin"      // the one of Patterns, as it is
	Unpin    = "unpin"    // undoes the pin of the one of Patterns
	Ignore   = "ignore"   // the one of Patterns
	Unignore = "unignore" // the one of Patterns
	Undo     = "undo"     // the edit with the number Undo
	Use      = "use"      // the recogniser of series with the number Version answers
)

// Actions are all actions.
var Actions = []string{Define, Describe, Merge, Split, Pin, Unpin, Ignore, Unignore, Undo, Use}

// Severities are what a pattern's severity may be besides "", least first.
var Severities = []string{"debug", "info", "warning", "error", "critical"}

// The errors of Apply, whose text is for the person who edits.
var (
	ErrRefused = errors.New("this edit cannot be made")
	ErrNeeded  = errors.New("later edits build on this one")
)

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Note is what a person says of a pattern; nil says nothing.
type Note struct {
	Name        *string   `json:"name,omitempty"`
	Description *string   `json:"description,omitempty"`
	Tags        *[]string `json:"tags,omitempty"`
	Owner       *string   `json:"owner,omitempty"`
	Severity    *string   `json:"severity,omitempty"` // "" or one of Severities
	Ignored     *bool     `json:"ignored,omitempty"`
}

// Empty reports whether the note says nothing.
func (n Note) Empty() bool {
	return n.Name == nil && n.Description == nil && n.Tags == nil && n.Owner == nil && n.Severity == nil && n.Ignored == nil
}

// over returns the note with what later says instead.
func (n Note) over(later Note) Note {
	if later.Name != nil {
		n.Name = later.Name
	}
	if later.Description != nil {
		n.Description = later.Description
	}
	if later.Tags != nil {
		n.Tags = later.Tags
	}
	if later.Owner != nil {
		n.Owner = later.Owner
	}
	if later.Severity != nil {
		n.Severity = later.Severity
	}
	if later.Ignored != nil {
		n.Ignored = later.Ignored
	}
	return n
}

// The bounds of notes, in characters.
const (
	MaxName        = 200
	MaxDescription = 2000
	MaxTags        = 20
	MaxTag         = 50
)

func (n Note) check() error {
	for _, f := range []struct {
		name string
		text *string
		max  int
	}{{"name", n.Name, MaxName}, {"description", n.Description, MaxDescription}, {"owner", n.Owner, MaxName}} {
		if f.text == nil {
			continue
		}
		if !clean(*f.text) {
			return refuse("the %s must be UTF-8 without NUL", f.name)
		}
		if utf8.RuneCountInString(*f.text) > f.max {
			return refuse("the %s is longer than %d characters", f.name, f.max)
		}
	}
	if n.Tags != nil {
		if len(*n.Tags) > MaxTags {
			return refuse("more than %d tags", MaxTags)
		}
		for _, tag := range *n.Tags {
			if tag == "" || !clean(tag) || utf8.RuneCountInString(tag) > MaxTag || strings.ContainsAny(tag, ", \t\n") {
				return refuse("tag %q: tags have 1 to %d characters, no blank and no comma", tag, MaxTag)
			}
		}
	}
	if n.Severity != nil && *n.Severity != "" && !slices.Contains(Severities, *n.Severity) {
		return refuse("severity %q: use %s, or nothing", *n.Severity, strings.Join(Severities, ", "))
	}
	return nil
}

func clean(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// Edit is one thing that a person does.
type Edit struct {
	Action   string       `json:"action"`
	Patterns []pattern.ID `json:"patterns,omitempty"`
	Template string       `json:"template,omitempty"`
	Slot     string       `json:"slot,omitempty"`
	Words    []string     `json:"words,omitempty"` // to split off; none means all that were seen
	Undo     int64        `json:"undo,omitempty"`
	Version  int          `json:"version,omitempty"`
	Over     int          `json:"over,omitempty"` // of Use, the highest version then: a later one answers again by itself
	Note     Note         `json:"note,omitzero"`  // also with Define and Merge
}

// Detail says in one line what the edit is besides its action and patterns.
func (e *Edit) Detail() string {
	var parts []string
	add := func(name, text string) { parts = append(parts, name+" "+text) }
	if e.Template != "" {
		add("template", e.Template)
	}
	if e.Slot != "" {
		add("slot", e.Slot)
	}
	if len(e.Words) > 0 {
		add("words", strings.Join(e.Words, ", "))
	}
	if e.Undo > 0 {
		add("edit", fmt.Sprint(e.Undo))
	}
	if e.Version > 0 {
		add("version", fmt.Sprint(e.Version))
	}
	for _, f := range []struct {
		name string
		text *string
	}{{"name", e.Note.Name}, {"description", e.Note.Description}, {"owner", e.Note.Owner}, {"severity", e.Note.Severity}} {
		if f.text != nil {
			add(f.name, fmt.Sprintf("%q", *f.text))
		}
	}
	if e.Note.Tags != nil {
		add("tags", "["+strings.Join(*e.Note.Tags, ", ")+"]")
	}
	return strings.Join(parts, "; ")
}

// Entry is an edit as it was made. It never changes.
type Entry struct {
	Number     int64 // in its library, from 1
	Edit       Edit
	Subjects   []pattern.ID    // the patterns it was about, by their ids of then
	Rules      []template.Rule // with Number
	Created    []pattern.ID    // patterns that were not there before
	Noted      pattern.ID      // whose note Edit.Note adds to; "" if none
	Undoes     int64           // 0 if none
	Author     uuid.UUID
	Reason     string
	WorkflowID string
	Seq        int // in its workflow, from 0
	Revision   int64
	At         time.Time
}

// About reports whether the entry is about one of the patterns, or made it.
func (e *Entry) About(ids map[pattern.ID]bool) bool {
	is := func(id pattern.ID) bool { return ids[id] }
	return slices.ContainsFunc(e.Subjects, is) || slices.ContainsFunc(e.Created, is) || ids[e.Noted] ||
		slices.ContainsFunc(e.Rules, func(r template.Rule) bool { return ids[r.Target.ID] })
}

// Ledger is the entries of a library, by number.
type Ledger []Entry

// Of returns the entries that a workflow made, in its order.
func (l Ledger) Of(workflowID string) (made Ledger) {
	for _, e := range l {
		if e.WorkflowID == workflowID {
			made = append(made, e)
		}
	}
	return made
}

// Live returns which entries hold: those that no entry that holds undoes.
func (l Ledger) Live() map[int64]bool {
	live := make(map[int64]bool, len(l))
	undone := map[int64]bool{}
	for i := len(l) - 1; i >= 0; i-- {
		e := &l[i]
		if undone[e.Number] {
			continue
		}
		live[e.Number] = true
		if e.Undoes > 0 {
			undone[e.Undoes] = true
		}
	}
	return live
}

// Rules returns the rules of the entries that hold.
func (l Ledger) Rules() (rules []template.Rule) {
	live := l.Live()
	for _, e := range l {
		if live[e.Number] {
			rules = append(rules, e.Rules...)
		}
	}
	return rules
}

// CountedSince returns since when all lines are counted that a pattern takes by values which shapes mask: what was read before is
// counted to the patterns that it had then. It is zero for a pattern that asks for no such value.
func (l Ledger) CountedSince(id pattern.ID) (since time.Time) {
	live := l.Live()
	for i := range l {
		for k := range l[i].Rules {
			r := &l[i].Rules[k]
			if r.Target.ID != id || !live[l[i].Number] {
				continue
			}
			for _, text := range r.Asks() {
				if at := l.askedSince(text, live); at.After(since) {
					since = at
				}
			}
		}
	}
	return since
}

// askedSince returns since when some rule that holds has a matcher: one that goes into another rule asks on.
func (l Ledger) askedSince(matcher string, live map[int64]bool) (since time.Time) {
	for i := range l {
		has := func(r template.Rule) bool { return slices.Contains(r.Matchers, matcher) }
		if !live[l[i].Number] || !slices.ContainsFunc(l[i].Rules, has) {
			continue
		}
		if at := l.heldSince(&l[i], live); since.IsZero() || at.Before(since) {
			since = at
		}
	}
	return since
}

// heldSince returns when an entry that holds began to: when it was made, or when the last undo of it was undone.
func (l Ledger) heldSince(e *Entry, live map[int64]bool) time.Time {
	at := e.At
	for i := range l {
		if l[i].Undoes != e.Number {
			continue
		}
		for j := range l {
			if l[j].Undoes == l[i].Number && live[l[j].Number] {
				if again := l.heldSince(&l[j], live); again.After(at) {
					at = again
				}
			}
		}
	}
	return at
}

// NoteOf returns what the entries that hold say of a pattern by this id.
func (l Ledger) NoteOf(id pattern.ID) (n Note) {
	live := l.Live()
	for _, e := range l {
		if e.Noted == id && live[e.Number] {
			n = n.over(e.Edit.Note)
		}
	}
	return n
}

// Noted returns the patterns whose notes an entry may change, itself or by what it undoes.
func (l Ledger) Noted(e Entry) (ids []pattern.ID) {
	for {
		if e.Noted != "" {
			ids = append(ids, e.Noted)
		}
		i := slices.IndexFunc(l, func(o Entry) bool { return o.Number == e.Undoes })
		if e.Undoes == 0 || i < 0 {
			return ids
		}
		e = l[i]
	}
}

// needs returns the entries that hold and build on a pattern that entry e made.
func (l Ledger) needs(e Entry) (numbers []int64) {
	live := l.Live()
	for _, f := range l {
		if f.Number > e.Number && f.Undoes == 0 && live[f.Number] && slices.ContainsFunc(f.Subjects, func(id pattern.ID) bool { return slices.Contains(e.Created, id) }) {
			numbers = append(numbers, f.Number)
		}
	}
	return numbers
}

// Undoable returns nil where the entry can be undone now, and else the error that Apply would return.
func (l Ledger) Undoable(number int64) error {
	i := slices.IndexFunc(l, func(e Entry) bool { return e.Number == number })
	if i < 0 {
		return refuse("there is no edit %d; list_edits or tartan patterns history shows them", number)
	}
	if !l.Live()[number] {
		return refuse("edit %d is undone already", number)
	}
	if by := l.needs(l[i]); len(by) > 0 {
		return fmt.Errorf("%w: undo %s first", ErrNeeded, strings.Trim(strings.ReplaceAll(fmt.Sprint(by), " ", ", "), "[]"))
	}
	return nil
}
