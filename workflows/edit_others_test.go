package workflows_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// of makes edits of another library than web.
func (e *editor) of(library string) func(edits ...edit.Edit) (*workflows.EditLibraryResult, error) {
	return func(edits ...edit.Edit) (*workflows.EditLibraryResult, error) {
		in := e.input(edits...)
		in.Library = library
		return e.try(uuid.NewString(), in)
	}
}

var fullNote = edit.Note{Name: ptr("a name"), Description: ptr("words"), Tags: ptr([]string{"t"}), Owner: ptr("team"), Severity: ptr("warning")}

func TestClustersOfTextsAreDescribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster(w.clusterInput("desk", []byte(tickets[0][0]+"\n"+tickets[0][0]+"\n"+tickets[1][0]+"\n"), 0))
	do, id := w.editor().of("desk"), pattern.Fingerprint(tickets[0][0])
	known := w.ids("desk")
	for _, x := range []edit.Edit{{Action: edit.Describe, Patterns: []pattern.ID{id}, Note: fullNote}, {Action: edit.Ignore, Patterns: []pattern.ID{id}}} {
		before := w.dump("desk", known)
		out, err := do(x)
		require.NoError(t, err)
		require.Equal(t, []activities.EditedPattern{{ID: id, Template: tickets[0][0], Lines: 2}}, out.Edits[0].Patterns)
		after := w.dump("desk", known)
		row := w.byTemplate("desk", tickets[0][0])
		if x.Action == edit.Ignore {
			require.True(t, row.Ignored)
		} else {
			require.Equal(t, []any{"a name", "words", []string{"t"}, "team", "warning"}, []any{row.Name, row.Description, row.Tags, row.Owner, row.Severity})
		}
		undone, err := do(edit.Edit{Action: edit.Undo, Undo: out.Edits[0].Number})
		require.NoError(t, err)
		require.Equal(t, before, w.dump("desk", known))
		_, err = do(edit.Edit{Action: edit.Undo, Undo: undone.Edits[0].Number})
		require.NoError(t, err)
		require.Equal(t, after, w.dump("desk", known))
	}
	// What was said stays when more texts come.
	w.cluster(w.clusterInput("desk", []byte(tickets[0][0]+"\n"), 0))
	row := w.byTemplate("desk", tickets[0][0])
	require.Equal(t, []any{"a name", true, int64(3)}, []any{row.Name, row.Ignored, row.Lines})
	for want, x := range map[string]edit.Edit{
		"described, ignored and unignored, not changed by merge": {Action: edit.Merge, Patterns: []pattern.ID{id}},
		"there is no pattern":     {Action: edit.Ignore, Patterns: []pattern.ID{"p0000000000000000"}},
		"that has been trained":   {Action: edit.Use, Version: 1},
		"wants one pattern":       {Action: edit.Describe, Note: fullNote},
		"say a name, description": {Action: edit.Describe, Patterns: []pattern.ID{id}},
	} {
		_, err := do(x)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, activities.EditRefused, app.Type())
		require.ErrorContains(t, err, want)
	}
}

// listed returns the classes that a library of series lists, with their examples, and the version that answers.
func (w *world) listed(library string) (classes map[string]int64, version int) {
	w.t.Helper()
	ctx := context.Background()
	classes = map[string]int64{}
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, w.caller.WorkspaceID, library)
		require.NoError(w.t, err)
		require.NoError(w.t, postgres.CheckLibrary(ctx, tx, lib.ID))
		rows, _, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: lib.ID})
		require.NoError(w.t, err)
		require.EqualValues(w.t, len(rows), lib.Patterns)
		for _, row := range rows {
			classes[row.Template] = row.Lines
		}
		model, err := postgres.SeriesModelInUse(ctx, tx, lib.ID)
		version = model.Version
		return err
	})
	return classes, version
}

func TestAnEarlierRecogniserAnswersAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lesson("waves", waves(1, 8), false).run()
	w.lesson("waves", append(waves(2, 9), strings.ReplaceAll("odd,1,5,2,8,3,9,1,7,2,8,1,9,3\nodd,1,5,2,8,3,9,1,7,2,8,1,9,4\n", ",", "\t")...), false).run()
	first := map[string]int64{"turns 1": 8, "turns 2": 8, "turns 3": 8}
	second := map[string]int64{"turns 1": 9, "turns 2": 9, "turns 3": 9, "odd": 2}
	classes, version := w.listed("waves")
	require.Equal(t, second, classes)
	require.Equal(t, 2, version)
	do := w.editor().of("waves")
	must := func(x edit.Edit) int64 {
		t.Helper()
		out, err := do(x)
		require.NoError(t, err)
		return out.Edits[0].Number
	}
	odd := pattern.Fingerprint("odd")
	must(edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{odd}, Note: fullNote})
	known := w.ids("waves")
	before := w.dump("waves", known)
	used := must(edit.Edit{Action: edit.Use, Version: 1})
	classes, version = w.listed("waves")
	require.Equal(t, first, classes)
	require.Equal(t, 1, version)
	after := w.dump("waves", known)
	undone := must(edit.Edit{Action: edit.Undo, Undo: used})
	require.Equal(t, before, w.dump("waves", known))
	classes, version = w.listed("waves")
	require.Equal(t, second, classes)
	require.Equal(t, 2, version)
	require.Equal(t, "a name", w.byTemplate("waves", "odd").Name, "what was said of a class rests while it is not told apart")
	must(edit.Edit{Action: edit.Undo, Undo: undone})
	require.Equal(t, after, w.dump("waves", known))
	must(edit.Edit{Action: edit.Use, Version: 2})
	_, version = w.listed("waves")
	require.Equal(t, 2, version)
	must(edit.Edit{Action: edit.Use, Version: 1})

	// Training anew answers by itself, and what was chosen before can still be undone.
	w.lesson("waves", waves(3, 10), false).run()
	classes, version = w.listed("waves")
	require.Equal(t, map[string]int64{"turns 1": 10, "turns 2": 10, "turns 3": 10}, classes)
	require.Equal(t, 3, version)
	must(edit.Edit{Action: edit.Undo, Undo: used})
	_, version = w.listed("waves")
	require.Equal(t, 3, version)
	for want, x := range map[string]edit.Edit{
		"version 3 answers already":          {Action: edit.Use, Version: 3},
		"has versions 1 to 3":                {Action: edit.Use, Version: 4},
		"not changed by define":              {Action: edit.Define, Template: "a <b>"},
		"there is no pattern " + string(odd): {Action: edit.Ignore, Patterns: []pattern.ID{odd}},
	} {
		_, err := do(x)
		require.ErrorContains(t, err, want)
	}
}
