package edit

import (
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Library is what an edit needs to know of a library whose patterns have no templates: clusters of texts and classes of series.
type Library struct {
	Kind     string // of what its patterns are, for people
	Has      func(pattern.ID) bool
	Versions int // the highest of its recognisers of series; 0 for a library without
}

// Say makes an edit of such a library: it describes, ignores and undoes, and says which recogniser answers. It returns the entry that follows
// the ledger's, complete but for who, why and when. The error wraps ErrRefused or ErrNeeded.
func Say(lib Library, ledger Ledger, e Edit) (Entry, error) {
	entry := Entry{Number: 1, Edit: e, Subjects: e.Patterns}
	if n := len(ledger); n > 0 {
		entry.Number = ledger[n-1].Number + 1
	}
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	switch e.Action {
	case Undo:
		return entry, entry.undo(ledger, e.Undo)
	case Use:
		return entry, entry.use(lib, ledger)
	case Describe, Ignore, Unignore:
		if len(e.Patterns) != 1 {
			return Entry{}, refuse("%s wants one pattern", e.Action)
		}
		if id := e.Patterns[0]; !lib.Has(id) {
			return Entry{}, refuse("there is no pattern %s; list_patterns or tartan patterns list shows them", id)
		}
		return entry, entry.say()
	}
	return Entry{}, refuse("patterns of %s have no templates: they are described, ignored and unignored, not changed by %s", lib.Kind, e.Action)
}

// say finds the note of a description, or of what is ignored.
func (e *Entry) say() error {
	e.Noted = e.Edit.Patterns[0]
	if e.Edit.Action == Describe {
		if e.Edit.Note.Empty() {
			return refuse("say a name, description, tags, owner or severity")
		}
		return nil
	}
	ignored := e.Edit.Action == Ignore
	e.Edit.Note = Note{Ignored: &ignored}
	return nil
}

func (e *Entry) use(lib Library, ledger Ledger) error {
	switch v := e.Edit.Version; {
	case lib.Versions == 0:
		return refuse("only a library of series that has been trained has versions that answer")
	case v < 1 || v > lib.Versions:
		return refuse("there is no version %d: the library has versions 1 to %d", v, lib.Versions)
	case v == lib.Versions && ledger.InUse(lib.Versions) == 0, v == ledger.InUse(lib.Versions):
		return refuse("version %d answers already", v)
	}
	e.Edit.Over = lib.Versions
	return nil
}

// InUse returns the version of the recogniser that the entries that hold say answers, of so many; 0 is the highest. A version that was trained
// after somebody chose an earlier one answers again.
func (l Ledger) InUse(versions int) int {
	live := l.Live()
	for _, e := range slices.Backward(l) {
		if e.Edit.Action == Use && live[e.Number] && e.Edit.Over == versions {
			if e.Edit.Version == versions {
				return 0
			}
			return e.Edit.Version
		}
	}
	return 0
}
