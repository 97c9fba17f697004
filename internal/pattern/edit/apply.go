package edit

import (
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// maxMatchers bounds what one edit stores.
const maxMatchers = 4096

// Apply makes an edit: it returns the entry that follows the ledger's, complete but for who, why and when, and what it changed
// in the library, whose rules must be the ledger's. Ids in the edit must be those of today. An error leaves the library as it
// was; it wraps ErrRefused, ErrNeeded or template.ErrRule.
func Apply(lib *template.Library, ledger Ledger, e Edit) (Entry, template.Change, error) {
	entry := Entry{Number: 1, Edit: e, Subjects: e.Patterns}
	if n := len(ledger); n > 0 {
		entry.Number = ledger[n-1].Number + 1
	}
	if err := entry.plan(lib, ledger); err != nil {
		return Entry{}, template.Change{}, err
	}
	matchers := 0
	for i := range entry.Rules {
		r := &entry.Rules[i]
		r.Number = entry.Number
		matchers += len(r.Matchers)
		if _, there := lib.Pattern(r.Target.ID); !there && !slices.Contains(entry.Created, r.Target.ID) {
			entry.Created = append(entry.Created, r.Target.ID)
		}
	}
	if matchers > maxMatchers {
		return Entry{}, template.Change{}, refuse("the patterns have %d forms, more than %d: define a pattern of your own that takes them, or edit fewer at a time", matchers, maxMatchers)
	}
	if len(entry.Rules) == 0 && entry.Undoes == 0 {
		return entry, template.Change{}, nil
	}
	return entry, lib.SetRules(append(slices.Clone(ledger), entry).Rules()), nil
}

// plan finds the rules, the note or what is undone.
func (e *Entry) plan(lib *template.Library, ledger Ledger) error {
	if err := e.Edit.check(); err != nil {
		return err
	}
	switch e.Edit.Action {
	case Define:
		return e.define(lib)
	case Merge:
		return e.merge(lib)
	case Undo:
		return e.undo(ledger, e.Edit.Undo)
	case Use:
		return e.use(Library{}, ledger)
	}
	if len(e.Edit.Patterns) != 1 {
		return refuse("%s wants one pattern", e.Edit.Action)
	}
	id := e.Edit.Patterns[0]
	p, there := lib.Pattern(id)
	if !there {
		return refuse("there is no pattern %s; list_patterns or tartan patterns list shows them", id)
	}
	var err error
	switch e.Edit.Action {
	case Split:
		e.Rules, err = lib.Split(id, e.Edit.Slot, e.Edit.Words)
	case Pin:
		e.Rules = make([]template.Rule, 1)
		e.Rules[0], err = lib.Pin(id)
	case Unpin:
		return e.unpin(ledger, p)
	case Describe, Ignore, Unignore:
		return e.say()
	}
	return err
}

// check says what is wrong with an edit by itself.
func (e *Edit) check() error {
	if !slices.Contains(Actions, e.Action) {
		return refuse("there is no action %q", e.Action)
	}
	if e.Action != Define && e.Action != Merge && e.Action != Describe && !e.Note.Empty() {
		return refuse("describe the pattern in an edit of its own")
	}
	for _, text := range append([]string{e.Template, e.Slot}, e.Words...) {
		if !clean(text) {
			return refuse("text must be UTF-8 without NUL")
		}
	}
	return e.Note.check()
}

func (e *Entry) define(lib *template.Library) error {
	r, err := template.Define(e.Edit.Template)
	if err != nil {
		return err
	}
	if p, there := lib.Pattern(r.Target.ID); there && p.Origin != pattern.Mined {
		return refuse("pattern %s has this template and is %s already", p.ID, p.Origin)
	}
	e.Rules = []template.Rule{r}
	e.note(r.Target.ID)
	return nil
}

func (e *Entry) merge(lib *template.Library) error {
	r, err := lib.Merge(e.Edit.Patterns, e.Edit.Template)
	if err != nil {
		return err
	}
	e.Rules, e.Subjects = []template.Rule{r}, r.Replaces
	e.note(r.Target.ID)
	return nil
}

func (e *Entry) note(id pattern.ID) {
	if !e.Edit.Note.Empty() {
		e.Noted = id
	}
}

func (e *Entry) unpin(ledger Ledger, p pattern.Pattern) error {
	live := ledger.Live()
	for i := len(ledger) - 1; i >= 0; i-- {
		f := &ledger[i]
		if f.Edit.Action == Pin && live[f.Number] && f.Rules[0].Target.ID == p.ID {
			return e.undo(ledger, f.Number)
		}
	}
	return refuse("pattern %s is not pinned", p.ID)
}

func (e *Entry) undo(ledger Ledger, number int64) error {
	if err := ledger.Undoable(number); err != nil {
		return err
	}
	i := slices.IndexFunc(ledger, func(o Entry) bool { return o.Number == number })
	e.Undoes, e.Subjects = number, ledger[i].Subjects
	for _, r := range ledger[i].Rules {
		if !slices.Contains(e.Subjects, r.Target.ID) {
			e.Subjects = append(slices.Clone(e.Subjects), r.Target.ID)
		}
	}
	return nil
}
