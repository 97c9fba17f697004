package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// Whatever bytes a line holds come back as they were, and text that can be read stays readable in the database.
func TestAnyBytesComeBack(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	lines := []string{"plain", "naïve ✓ 日本", "nul \x00 in", "bad \xff\xfe utf8", "cut \xe2\x82", "private \U0010FF41 and \U0010FFFF", "\xf4\x8f\xbc", "� itself", "tab\tand \x1b[31mred\x1b[0m"}
	var counts []template.Counted
	var ch template.Change
	p := pat("x <*>")
	ch.Patterns = append(ch.Patterns, p)
	for i, line := range lines {
		id := template.ShapeID(i + 1)
		counts = append(counts, template.Counted{
			Shape: template.Shape{ID: id, Text: line}, Lines: int64(len(lines) - i), First: noon.UnixNano(), Last: noon.UnixNano(),
			Buckets: []template.Bucket{{Start: noon.Unix(), Lines: int64(len(lines) - i)}}, Example: line, ExampleAt: noon.UnixNano(),
		})
		ch.Added = append(ch.Added, template.Shape{ID: id, Text: line})
		ch.Moved = append(ch.Moved, move(id, p))
		ch.Assigned = append(ch.Assigned, assign(id, id, p))
	}
	m.do(t, func(tx pgx.Tx) error {
		lib, err := postgres.LockLibrary(ctx, tx, m.lib.ID)
		require.NoError(t, err)
		revision, err := postgres.SaveChange(ctx, tx, lib, ch, "process/test", noon)
		require.NoError(t, err)
		require.NoError(t, postgres.AddCounts(ctx, tx, lib, revision, counts, ch.Assigned, m.source.ID))
		examples, err := postgres.Examples(ctx, tx, m.lib.ID, p.ID, 100)
		require.NoError(t, err)
		shapes, err := postgres.ShapesSince(ctx, tx, m.lib.ID, 0)
		require.NoError(t, err)
		for i, line := range lines {
			require.Equal(t, line, examples[i].Line)
			require.Equal(t, line, shapes[i].Text)
		}
		var readable int
		require.NoError(t, tx.QueryRow(ctx, "select count(*) from tartan.examples where line = any ($1)", []string{lines[0], lines[1], lines[7], lines[8]}).Scan(&readable))
		require.Equal(t, 4, readable)
		return nil
	})
}

// Numbers that would be lost are refused, and nothing of the commit stays.
func TestAddCountsRefusesToLoseLines(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	counted := tally(noon, "server started")
	for name, assigned := range map[string][]template.Assignment{
		"not assigned":       nil,
		"not stored":         {assign(counted[0].ID, 4711, pat("x"))},
		"pattern not stored": {assign(counted[0].ID, counted[0].ID, pat("x"))},
	} {
		err := postgres.InWorkspace(ctx, db.Pool, m.caller, func(tx pgx.Tx) error {
			lib, err := postgres.LockLibrary(ctx, tx, m.lib.ID)
			require.NoError(t, err)
			return postgres.AddCounts(ctx, tx, lib, 1, counted, assigned, m.source.ID)
		})
		require.Error(t, err, name)
	}
	require.Zero(t, m.check(t).Lines)
}

func TestRuns(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	began := noon
	m := newMiner(t, db, caller, "app")
	m.do(t, func(tx pgx.Tx) error {
		for i := range 5 {
			require.NoError(t, postgres.SaveRun(ctx, tx, postgres.Run{
				WorkspaceID: caller.WorkspaceID, WorkflowID: fmt.Sprintf("process/%d", i), RunID: "a", Kind: "ProcessPatterns", State: postgres.RunRunning,
				Library: "app", SourceName: "x\xff.log", StartedAt: began.Add(time.Duration(i/2) * time.Minute), // some start together
			}))
		}
		require.NoError(t, postgres.AddRunProgress(ctx, tx, "process/3", postgres.Run{Lines: 600, Bytes: 9, ChunksDone: 1, Patterns: 4, NewPatterns: 4}))
		require.NoError(t, postgres.AddRunProgress(ctx, tx, "process/3", postgres.Run{Lines: 600, Bytes: 9, ChunksDone: 1, Patterns: 6, NewPatterns: 2}))
		for _, state := range []string{postgres.RunPaused, postgres.RunRunning, postgres.RunCancelling} {
			require.NoError(t, postgres.SaveRun(ctx, tx, postgres.Run{WorkspaceID: caller.WorkspaceID, WorkflowID: "process/3", Kind: "ProcessPatterns", State: state}))
		}
		end := began.Add(3 * time.Minute)
		require.NoError(t, postgres.SaveRun(ctx, tx, postgres.Run{
			WorkspaceID: caller.WorkspaceID, WorkflowID: "process/3", RunID: "b", Kind: "ProcessPatterns", State: postgres.RunCancelled, FinishedAt: &end, ChunksTotal: 7,
		}))
		r, err := postgres.RunByID(ctx, tx, caller.WorkspaceID, "process/3")
		require.NoError(t, err)
		require.Equal(t, postgres.RunCancelled, r.State)
		require.Equal(t, "b", r.RunID)
		require.Equal(t, "x\xff.log", r.SourceName)
		require.EqualValues(t, 1200, r.Lines, "saving a state does not touch progress")
		require.EqualValues(t, 6, r.Patterns)
		require.EqualValues(t, 6, r.NewPatterns)
		require.Equal(t, 7, r.ChunksTotal)
		require.InDelta(t, 10, r.LinesPerSecond(time.Now()), 1e-9) // 1,200 lines in the 2 minutes from 12:01 to 12:03
		require.True(t, r.Finished())
		_, err = postgres.RunByID(ctx, tx, caller.WorkspaceID, "process/none")
		require.ErrorIs(t, err, postgres.ErrNotFound)
		require.ErrorIs(t, postgres.AddRunProgress(ctx, tx, "process/none", postgres.Run{Lines: 1}), postgres.ErrNotFound)

		var seen []string
		for after, pages := "", 0; ; pages++ {
			page, next, err := postgres.Runs(ctx, tx, postgres.ListRuns{WorkspaceID: caller.WorkspaceID, Limit: 2, After: after})
			require.NoError(t, err)
			for _, r := range page {
				seen = append(seen, r.WorkflowID)
			}
			if after = next; next == "" {
				break
			}
		}
		require.Equal(t, []string{"process/4", "process/3", "process/2", "process/1", "process/0"}, seen)
		running, _, err := postgres.Runs(ctx, tx, postgres.ListRuns{WorkspaceID: caller.WorkspaceID, State: postgres.RunRunning})
		require.NoError(t, err)
		require.Len(t, running, 4)
		return nil
	})
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	require.NoError(t, err)
	defer pool.Close()
	err = postgres.AsService(t.Context(), pool, nil)
	require.True(t, postgres.Unavailable(err), "%v", err)
	require.False(t, postgres.Unavailable(errors.New("other")))
	require.False(t, postgres.Unavailable(nil))
	require.False(t, postgres.Unavailable(context.DeadlineExceeded))
}
