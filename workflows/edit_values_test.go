package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const requests = `GET /a status=500 took 3ms
GET /b status=200 took 4ms
POST /a status=500 took 3ms
`

// linesOf returns the lines of the patterns that have some, by template.
func (w *world) linesOf(library string) map[string]int64 {
	out := map[string]int64{}
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(context.Background(), tx, w.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		rows, _, err := postgres.Patterns(context.Background(), tx, postgres.ListPatterns{Library: lib.ID, Ignored: true})
		for _, row := range rows {
			if row.Lines > 0 {
				out[row.Template] = row.Lines
			}
		}
		return err
	})
	return out
}

// Own patterns and splits may ask for a value that shapes mask: lines that are read later are told apart by it, an undo gives the counts that there
// would have been without the edit, and doing it again those with it.
func TestAValueIsToldFromTheEditOn(t *testing.T) {
	t.Parallel()
	const get, post, failed, posted = "GET <*> status=<*> took <*>", "POST <*> status=<*> took <*>", "GET <*> status=500 took <*>", "POST <*> status=500 took <*>"
	w := newWorld(t)
	a, e := w.agents(), w.editor()
	w.mine(a, w.input("web", []byte(requests), 0))
	known := e.ids("web")
	start := e.dump("web", known)
	began := time.Now().Add(-time.Second)
	out := e.edit(
		edit.Edit{Action: edit.Define, Template: failed, Note: edit.Note{Name: ptr("failed")}},
		edit.Edit{Action: edit.Split, Patterns: []pattern.ID{pattern.Fingerprint(post)}, Slot: "status", Words: []string{"500", "503"}})
	require.Len(t, out.Edits[1].Patterns, 2)
	for _, made := range out.Edits {
		for _, p := range made.Patterns {
			require.Zero(t, p.Lines, "what was counted stays where it was")
			require.WithinRange(t, p.CountedSince, began, time.Now())
		}
	}
	require.Equal(t, map[string]int64{get: 2, post: 1}, w.linesOf("web"))
	// Nothing was read meanwhile: an undo leaves no trace.
	after := e.dump("web", known)
	undone := e.edit(edit.Edit{Action: edit.Undo, Undo: 2}, edit.Edit{Action: edit.Undo, Undo: 1})
	require.Equal(t, start, e.dump("web", known))
	e.edit(edit.Edit{Action: edit.Undo, Undo: undone.Edits[1].Number}, edit.Edit{Action: edit.Undo, Undo: undone.Edits[0].Number})
	require.Equal(t, after, e.dump("web", known))

	// Another process reads lines, in small chunks, and knows the rules that were there when the run began.
	lines := strings.Repeat("GET /x status=500 took 3ms\nGET /x status=404 took 3ms\nPOST /y status=500 took 5ms\nPOST /y status=200 took 5ms\n", 25)
	w.mine(w.agents(), w.input("web", []byte(lines), 700))
	told := map[string]int64{get: 27, failed: 25, post: 26, posted: 25}
	require.Equal(t, told, w.linesOf("web"))
	row := w.byTemplate("web", failed)
	require.Equal(t, []any{"failed", pattern.Own}, []any{row.Name, row.Origin})
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(context.Background(), tx, w.caller.WorkspaceID, "web")
		require.NoError(t, err)
		since, err := postgres.CountedSince(context.Background(), tx, lib.ID, row)
		require.NoError(t, err)
		require.WithinRange(t, since, began, time.Now())
		entry, err := a.patterns.Libraries.WaitFor(context.Background(), lib.ID, lib.Revision)
		require.NoError(t, err)
		var m template.Match
		require.True(t, entry.Index.Recognise([]byte("GET /z status=500 took 1ms"), &m))
		require.Equal(t, row.ID, m.Pattern)
		return nil
	})

	// A library that never had the edits has the counts that this one has without them.
	w.mine(w.agents(), w.input("other", []byte(requests), 0))
	w.mine(w.agents(), w.input("other", []byte(lines), 500))
	made := e.ids("web")
	before := e.dump("web", made)
	undone = e.edit(edit.Edit{Action: edit.Undo, Undo: 2}, edit.Edit{Action: edit.Undo, Undo: 1})
	require.Equal(t, map[string]int64{get: 52, post: 51}, w.linesOf("web"))
	require.Equal(t, w.linesOf("other"), w.linesOf("web"))
	require.Equal(t, pattern.Fingerprint(get), w.byTemplate("web", failed).ID, "the id goes on to mean where its lines are")
	e.edit(edit.Edit{Action: edit.Undo, Undo: undone.Edits[1].Number}, edit.Edit{Action: edit.Undo, Undo: undone.Edits[0].Number})
	require.Equal(t, told, w.linesOf("web"))
	require.Equal(t, before, e.dump("web", made))
}
