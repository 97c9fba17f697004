package edit_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

func learned(messages ...string) *template.Library {
	tally := template.NewTally(template.TallyOptions{})
	for _, m := range messages {
		tally.Add([]byte(m), []byte(m), 0)
	}
	var shapes []template.Shape
	for _, c := range tally.Counted() {
		shapes = append(shapes, c.Shape)
	}
	l := template.NewLibrary(template.Options{})
	l.Learn(shapes)
	return l
}

func ptr[T any](v T) *T { return &v }

// editor applies edits to a library and keeps the ledger.
type editor struct {
	t      *testing.T
	lib    *template.Library
	ledger edit.Ledger
}

func (e *editor) do(x edit.Edit) edit.Entry {
	e.t.Helper()
	entry, _, err := edit.Apply(e.lib, e.ledger, x)
	require.NoError(e.t, err)
	e.ledger = append(e.ledger, entry)
	return entry
}

func (e *editor) refused(want string, x edit.Edit) {
	e.t.Helper()
	before := e.lib.Checksum()
	_, _, err := edit.Apply(e.lib, e.ledger, x)
	require.ErrorContains(e.t, err, want)
	require.Equal(e.t, before, e.lib.Checksum())
}

func TestWithoutADatabase(t *testing.T) {
	t.Parallel()
	e := &editor{t: t, lib: learned("disk 3 full", "login of ada ok", "login of bob ok", "logout of ada ok")}
	start := e.lib.Checksum()
	disk := pattern.Fingerprint("disk <*> full")
	one := e.do(edit.Edit{Action: edit.Define, Template: "<what:word> of <who:word> ok", Note: edit.Note{Name: ptr("in and out")}})
	own := one.Created[0]
	require.Equal(t, []pattern.ID{own}, one.Created)
	require.Equal(t, "in and out", *e.ledger.NoteOf(own).Name)
	two := e.do(edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{own}, Note: edit.Note{Severity: ptr("info"), Tags: ptr([]string{"a"})}})
	n := e.ledger.NoteOf(own)
	require.Equal(t, []any{"in and out", "info", []string{"a"}}, []any{*n.Name, *n.Severity, *n.Tags})
	e.refused("undo 2 first", edit.Edit{Action: edit.Undo, Undo: one.Number})
	e.do(edit.Edit{Action: edit.Undo, Undo: two.Number})
	require.Nil(t, e.ledger.NoteOf(own).Severity)
	e.do(edit.Edit{Action: edit.Ignore, Patterns: []pattern.ID{disk}})
	e.do(edit.Edit{Action: edit.Unignore, Patterns: []pattern.ID{disk}})
	require.False(t, *e.ledger.NoteOf(disk).Ignored)
	e.do(edit.Edit{Action: edit.Undo, Undo: one.Number})
	require.Equal(t, start, e.lib.Checksum())
	require.True(t, e.ledger.NoteOf(own).Empty())
	last := e.do(edit.Edit{Action: edit.Undo, Undo: e.ledger[len(e.ledger)-1].Number})
	require.NotEqual(t, start, e.lib.Checksum(), "an undo is undone")
	require.Equal(t, []pattern.ID{own}, e.ledger.Noted(last), "through two undos")
	e.refused("is own already", edit.Edit{Action: edit.Define, Template: "<a> of <b> ok"})
	for want, note := range map[string]edit.Note{
		"longer than 200": {Name: ptr(strings.Repeat("é", 201))}, "more than 20 tags": {Tags: ptr(make([]string, 21))}, "no blank and no comma": {Tags: ptr([]string{"a b"})},
		`severity "bad"`: {Severity: ptr("bad")}, "without NUL": {Owner: ptr("a\x00")},
	} {
		e.refused(want, edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{disk}, Note: note})
	}
	e.refused("in an edit of its own", edit.Edit{Action: edit.Pin, Patterns: []pattern.ID{disk}, Note: edit.Note{Name: ptr("x")}})
	require.Equal(t, `template a <*>; slot s; words x, y; name "n"; tags [t]`, (&edit.Edit{
		Action: edit.Merge, Template: "a <*>", Slot: "s", Words: []string{"x", "y"}, Note: edit.Note{Name: ptr("n"), Tags: ptr([]string{"t"})},
	}).Detail())
}

// An edit holds unless an edit that holds undoes it.
func TestWhatHolds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 9))
		var ledger edit.Ledger
		for n := int64(1); n <= 30; n++ {
			e := edit.Entry{Number: n}
			if target := 1 + rng.Int64N(n); target < n && ledger.Live()[target] {
				e.Undoes = target
			}
			ledger = append(ledger, e)
			var holds func(k int64) bool
			holds = func(k int64) bool {
				for _, by := range ledger {
					if by.Undoes == k && holds(by.Number) {
						return false
					}
				}
				return true
			}
			live := ledger.Live()
			for k := int64(1); k <= n; k++ {
				require.Equal(t, holds(k), live[k], "seed %d edit %d after %d", seed, k, n)
			}
		}
	}
}
