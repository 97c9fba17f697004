package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/windows"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// miner commits chunks of lines as the pattern agent does, with one in-memory library.
type miner struct {
	db     *testdb.DB
	caller access.Caller
	lib    postgres.Library
	source postgres.Source
	known  *template.Library
	seq    int
}

func newMiner(t testing.TB, db *testdb.DB, caller access.Caller, library string) *miner {
	t.Helper()
	m := &miner{db: db, caller: caller, known: template.NewLibrary(template.Options{})}
	m.do(t, func(tx pgx.Tx) (err error) {
		if m.lib, err = postgres.EnsureLibrary(t.Context(), tx, caller.WorkspaceID, library, "text"); err != nil {
			return err
		}
		m.source, err = postgres.SaveSource(t.Context(), tx, postgres.Source{
			WorkspaceID: caller.WorkspaceID, LibraryID: m.lib.ID, SHA256: strings.Repeat("ab", 32), Name: "test.log",
			Bytes: 1, PlainBytes: 1, ChunkBytes: 1 << 20, WorkflowID: "process/test",
		})
		return err
	})
	return m
}

func (m *miner) do(t testing.TB, fn func(pgx.Tx) error) {
	t.Helper()
	require.NoError(t, postgres.InWorkspace(t.Context(), m.db.Pool, m.caller, fn))
}

// commit stores one chunk; it is what the agent's transaction does.
func (m *miner) commit(t testing.TB, counts []template.Counted) {
	t.Helper()
	m.seq++
	m.do(t, func(tx pgx.Tx) error { return m.commitIn(t, tx, counts) })
}

func (m *miner) commitIn(t testing.TB, tx pgx.Tx, counts []template.Counted) error {
	ctx := t.Context()
	var lines int64
	shapes := make([]template.Shape, len(counts))
	for i, c := range counts {
		shapes[i] = c.Shape
		lines += c.Lines
	}
	fresh, _, err := postgres.InsertChunk(ctx, tx, m.caller.WorkspaceID, postgres.Chunk{SourceID: m.source.ID, Seq: m.seq, Lines: lines})
	if err != nil || !fresh {
		return err
	}
	lib, err := postgres.LockLibrary(ctx, tx, m.lib.ID)
	if err != nil {
		return err
	}
	ch := m.known.Learn(shapes)
	revision, err := postgres.SaveChange(ctx, tx, lib, ch, "process/test", time.Now())
	if err != nil {
		return err
	}
	return postgres.AddCounts(ctx, tx, lib, revision, counts, ch.Assigned, m.source.ID)
}

func (m *miner) check(t testing.TB) postgres.Library {
	t.Helper()
	var lib postgres.Library
	m.do(t, func(tx pgx.Tx) (err error) {
		if err := postgres.CheckLibrary(t.Context(), tx, m.lib.ID); err != nil {
			return err
		}
		lib, err = postgres.LibraryByID(t.Context(), tx, m.lib.ID)
		return err
	})
	return lib
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// tally counts messages, one a second from the time on.
func tally(at time.Time, messages ...string) []template.Counted {
	tl := template.NewTally(template.TallyOptions{})
	for i, m := range messages {
		tl.Add([]byte(m), []byte(m), at.Add(time.Duration(i)*time.Second).UnixNano())
	}
	return tl.Counted()
}

func repeat(n int, format string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}

func TestCommitAndRead(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	m.commit(t, tally(noon, append(repeat(90, "connection from 10.0.0.%d closed"), "server started\x00 \xff")...))
	m.commit(t, tally(noon.Add(time.Hour), repeat(10, "connection from 10.0.1.%d closed")...))
	lib := m.check(t)
	require.EqualValues(t, 101, lib.Lines)
	require.EqualValues(t, 2, lib.Patterns)
	m.do(t, func(tx pgx.Tx) error {
		rows, next, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: m.lib.ID, Limit: 1})
		require.NoError(t, err)
		require.NotEmpty(t, next)
		require.EqualValues(t, 100, rows[0].Lines)
		require.Equal(t, noon, rows[0].FirstSeen)
		require.Equal(t, noon.Add(time.Hour+9*time.Second), rows[0].LastSeen)
		second, next, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: m.lib.ID, Limit: 1, After: next})
		require.NoError(t, err)
		require.Empty(t, next)
		require.EqualValues(t, 1, second[0].Lines)
		_, _, err = postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: m.lib.ID, Sort: "new", After: "junk"})
		require.ErrorIs(t, err, postgres.ErrBadCursor)
		for _, sort := range []string{"lines", "recent", "new", "name"} {
			var all []postgres.PatternRow
			for after := ""; ; {
				page, next, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: m.lib.ID, Sort: sort, Limit: 1, After: after})
				require.NoError(t, err)
				all = append(all, page...)
				if after = next; next == "" {
					break
				}
			}
			require.Len(t, all, 2, sort)
		}
		found, _, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: m.lib.ID, Query: "CLOSED", Since: noon, Until: noon.Add(time.Second)})
		require.NoError(t, err)
		require.Len(t, found, 1)
		e, err := postgres.Examples(ctx, tx, m.lib.ID, second[0].ID, 3)
		require.NoError(t, err)
		require.Equal(t, "server started\x00 \xff", e[0].Line)
		h, err := postgres.Histogram(ctx, tx, m.lib.ID, rows[0].ID, noon, noon.Add(90*time.Minute), 3)
		require.NoError(t, err)
		require.Equal(t, []postgres.Bucket{{Start: noon, Lines: 90}, {Start: noon.Add(30 * time.Minute)}, {Start: noon.Add(time.Hour), Lines: 10}}, h)
		_, err = postgres.PatternByID(ctx, tx, m.lib.ID, "p0000000000000000")
		require.ErrorIs(t, err, postgres.ErrNotFound)
		compared, err := postgres.CompareWindows(ctx, tx, postgres.Compare{
			Library: m.lib.ID, BaseFrom: noon, BaseTo: noon.Add(30 * time.Minute), From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour),
		})
		require.NoError(t, err)
		changes := compared.Changes
		require.Len(t, changes, 1, "the one line of the other is too little to be missed")
		require.Equal(t, windows.Down, changes[0].Kind)
		require.EqualValues(t, 90, changes[0].Before)
		require.InDelta(t, 10./3600/(90./1800), changes[0].Ratio, 1e-9)
		return nil
	})
	_ = uuid.Nil
}
