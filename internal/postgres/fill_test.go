package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/values"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// step is one commit made by hand: what was learned, and which shapes were counted with how many lines each.
type step struct {
	change template.Change
	lines  map[template.ShapeID]int64
}

func pat(text string) pattern.Pattern {
	return pattern.New(text, []pattern.Slot{{Name: "w", Type: pattern.Word}})
}

func move(shape template.ShapeID, p pattern.Pattern) template.Move {
	return template.Move{Shape: shape, Pattern: p.ID}
}

func assign(given, shape template.ShapeID, p pattern.Pattern) template.Assignment {
	return template.Assignment{Given: given, Shape: shape, Pattern: p.ID}
}

var (
	loose = pattern.New("user <*> in", nil)
	tight = pattern.New("user root in", nil)
	next  = pattern.New("user <*> <*>", nil)
)

// history takes two patterns apart and together again: each way in which a library changes occurs in it.
func history() []step {
	none := pattern.Pattern{}
	return []step{
		{template.Change{ // two shapes, two patterns; one line fits nothing
			Assigned: []template.Assignment{assign(1, 1, tight), assign(2, 2, loose), assign(9, 0, none)},
			Added:    []template.Shape{{ID: 1, Text: "user root in"}, {ID: 2, Text: "user kim in"}},
			Patterns: []pattern.Pattern{tight, loose}, Moved: []template.Move{move(1, tight), move(2, loose)}, Full: true,
		}, map[template.ShapeID]int64{1: 10, 2: 5, 9: 1}},
		{template.Change{ // the first is merged into the second
			Assigned: []template.Assignment{assign(1, 1, loose), assign(3, 3, loose)},
			Added:    []template.Shape{{ID: 3, Text: "user eve in"}},
			Moved:    []template.Move{move(1, loose), move(3, loose)}, Retired: []template.Alias{{Old: tight.ID, New: loose.ID}},
		}, map[template.ShapeID]int64{1: 2, 3: 4}},
		{template.Change{ // a column is absorbed: three shapes fold into a wide one, one of them new
			Assigned: []template.Assignment{assign(1, 7, loose), assign(4, 7, loose)},
			Added:    []template.Shape{{ID: 7, Text: "user \x02 in"}, {ID: 4, Text: "user ann in"}},
			Folded:   []template.Fold{{From: 1, To: 7}, {From: 2, To: 7}, {From: 4, To: 7}}, Moved: []template.Move{move(7, loose)},
		}, map[template.ShapeID]int64{1: 3, 4: 1}},
		{template.Change{ // everything becomes a wider pattern, through one that never lived
			Assigned: []template.Assignment{assign(3, 3, next)}, Patterns: []pattern.Pattern{next},
			Moved: []template.Move{move(3, next), move(7, next)}, Retired: []template.Alias{{Old: loose.ID, New: next.ID}},
		}, map[template.ShapeID]int64{3: 1}},
		{template.Change{ // an old pattern lives again, with another slot
			Assigned: []template.Assignment{assign(3, 3, pat(loose.Template))}, Patterns: []pattern.Pattern{pat(loose.Template)},
			Moved: []template.Move{move(3, loose)},
		}, map[template.ShapeID]int64{3: 2}},
		{template.Change{ // a wide shape folds into a still wider one
			Assigned: []template.Assignment{assign(7, 8, next)}, Added: []template.Shape{{ID: 8, Text: "user \x02 \x02"}},
			Folded: []template.Fold{{From: 7, To: 8}}, Moved: []template.Move{move(8, next)},
		}, map[template.ShapeID]int64{7: 1}},
	}
}

// play commits the steps, an hour apart, checking all numbers after each.
func play(t testing.TB, db *testdb.DB, caller access.Caller, steps []step) postgres.Library {
	t.Helper()
	ctx := t.Context()
	m := newMiner(t, db, caller, "app")
	m.do(t, func(tx pgx.Tx) error {
		return postgres.SaveRun(ctx, tx, postgres.Run{
			WorkspaceID: caller.WorkspaceID, WorkflowID: "process/test", Kind: "ProcessPatterns", State: postgres.RunRunning,
			LibraryID: m.lib.ID, SourceID: m.source.ID, Library: m.lib.Name, SourceName: "test.log", ChunksTotal: len(steps),
		})
	})
	for i, s := range steps {
		m.do(t, func(tx pgx.Tx) error {
			at := noon.Add(time.Duration(i) * time.Hour)
			var counts []template.Counted
			var lines int64
			for id, n := range s.lines {
				counts = append(counts, template.Counted{
					Shape: template.Shape{ID: id}, Lines: n, First: at.UnixNano(), Last: at.Add(time.Minute).UnixNano(),
					Buckets: []template.Bucket{{Start: at.Unix(), Lines: n}}, Example: strings.Repeat("x", int(id)), ExampleAt: at.UnixNano(),
					Values: []values.Period{{Span: values.Hour, Start: at.Unix(), Lines: n}},
				})
				lines += n
			}
			fresh, _, err := postgres.InsertChunk(ctx, tx, caller.WorkspaceID, postgres.Chunk{SourceID: m.source.ID, Seq: i, Lines: lines})
			require.NoError(t, err)
			require.True(t, fresh)
			lib, err := postgres.LockLibrary(ctx, tx, m.lib.ID)
			require.NoError(t, err)
			revision, err := postgres.SaveChange(ctx, tx, lib, s.change, "process/test", at)
			require.NoError(t, err)
			require.EqualValues(t, i+1, revision)
			require.NoError(t, postgres.AddCounts(ctx, tx, lib, revision, counts, s.change.Assigned, m.source.ID))
			return postgres.AddRunProgress(ctx, tx, "process/test", postgres.Run{Lines: lines, ChunksDone: 1})
		})
		m.check(t)
	}
	return m.check(t)
}

// fill leaves rows in every table.
func fill(t testing.TB, db *testdb.DB, caller access.Caller) postgres.Library {
	t.Helper()
	lib := play(t, db, caller, history())
	name := "a name"
	ledger := edit.Ledger{{
		Number: 1, Edit: edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{next.ID}, Note: edit.Note{Name: &name}},
		Subjects: []pattern.ID{next.ID}, Noted: next.ID, Author: caller.UserID, WorkflowID: "edit/test", At: noon,
	}}
	require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) (err error) {
		if lib, err = postgres.LockLibrary(t.Context(), tx, lib.ID); err != nil {
			return err
		}
		if _, err = postgres.SaveEdit(t.Context(), tx, lib, ledger, template.Change{}); err != nil {
			return err
		}
		if err = postgres.SaveTextClusters(t.Context(), tx, lib, lib.Revision, "test", []cluster.Cluster{
			{ID: next.ID, Centre: []float32{1, 0}, Texts: 1, Threshold: 0.5, Examples: []string{"x"}},
		}); err != nil {
			return err
		}
		if err = postgres.CheckLibrary(t.Context(), tx, lib.ID); err != nil {
			return err
		}
		turbines, err := postgres.EnsureLibrary(t.Context(), tx, caller.WorkspaceID, "turbines", "series")
		if err != nil {
			return err
		}
		if _, _, err = postgres.SaveSeriesModel(t.Context(), tx, turbines, someModel(), []postgres.SeriesClass{{Name: "up", PatternID: pattern.Fingerprint("up"), Examples: 3}}); err != nil {
			return err
		}
		if err = postgres.SaveSequenceReport(t.Context(), tx, postgres.SequenceReport{WorkspaceID: caller.WorkspaceID, LibraryID: lib.ID, WorkflowID: "sequences/test"}); err != nil {
			return err
		}
		if err = postgres.SaveTargetMigration(t.Context(), tx, postgres.TargetMigration{
			WorkspaceID: caller.WorkspaceID, ID: uuid.New(), WorkflowID: "migrate/test", Target: "shop", Plan: "status", State: postgres.MigrationRunning, Author: caller.UserID,
		}); err != nil {
			return err
		}
		lib, err = postgres.LibraryByID(t.Context(), tx, lib.ID)
		return err
	}))
	fillSpace(t, db, caller, postgres.Space{Name: "ops"})
	fillModels(t, db, caller)
	fillObservations(t, db, caller, lib)
	fillAgent(t, db, caller)
	setBudget(t, db, caller, "workspace", "", 1000)
	call, err := postgres.Reserve(t.Context(), db.Pool, postgres.Spend{Caller: caller, Key: "fill", Model: "a/b", Worst: 1, Sent: true, Live: time.Hour, Durable: true})
	require.NoError(t, err)
	require.NoError(t, postgres.Settle(t.Context(), db.Pool, postgres.Settlement{Call: call.Call, Cost: 1, Answer: []byte("{}")}))
	require.NoError(t, postgres.SaveCached(t.Context(), db.Pool, caller.WorkspaceID, postgres.Cached{
		Key: strings.Repeat("0", 64), Scope: strings.Repeat("0", 64), Model: "a/b", Answer: []byte("{}"), Live: time.Hour,
	}))
	return lib
}

func TestALibraryThroughAllItsChanges(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	lib := fill(t, db, caller)
	require.EqualValues(t, 30, lib.Lines)
	require.EqualValues(t, 1, lib.OtherLines)
	require.EqualValues(t, 2, lib.Shapes, "3 and 8; the rest is folded")
	require.EqualValues(t, 2, lib.Patterns, "next, and loose again")
	require.True(t, lib.Full)
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		p, err := postgres.PatternByID(ctx, tx, lib.ID, tight.ID)
		require.NoError(t, err)
		require.Equal(t, next.ID, p.ID, "an alias points straight at the pattern of today")
		require.EqualValues(t, 22, p.Lines)
		require.Equal(t, noon, p.FirstSeen)
		require.Equal(t, []pattern.ID{tight.ID}, p.Aliases)
		p, err = postgres.PatternByID(ctx, tx, lib.ID, loose.ID)
		require.NoError(t, err)
		require.Equal(t, postgres.StateActive, p.State, "no alias any more")
		require.Equal(t, 2, p.Version)
		require.EqualValues(t, 7, p.Lines)
		h, err := postgres.Histogram(ctx, tx, lib.ID, next.ID, noon, noon.Add(6*time.Hour), 6)
		require.NoError(t, err)
		var counted []int64
		for _, b := range h {
			counted = append(counted, b.Lines)
		}
		require.Equal(t, []int64{15, 2, 4, 0, 0, 1}, counted, "the counts of folded and moved shapes came along")
		all, err := postgres.ShapesSince(ctx, tx, lib.ID, 0)
		require.NoError(t, err)
		require.Len(t, all, 6)
		for _, s := range all {
			switch s.ID {
			case 3:
				require.Equal(t, loose.ID, s.Pattern)
			case 8:
				require.Equal(t, next.ID, s.Pattern)
			default:
				require.EqualValues(t, 8, *s.FoldedInto, "shape %d", s.ID)
			}
		}
		late, err := postgres.ShapesSince(ctx, tx, lib.ID, 5)
		require.NoError(t, err)
		require.Len(t, late, 5, "8, and all that now fold into it")
		e, err := postgres.Examples(ctx, tx, lib.ID, next.ID, 10)
		require.NoError(t, err)
		require.Equal(t, []postgres.Example{{Line: "x", At: noon, SourceID: e[0].SourceID}}, e, "the earliest")
		var valued int64
		var kept []int64
		require.NoError(t, tx.QueryRow(ctx, `select sum(lines), array_agg(distinct shape_id order by shape_id) from tartan.slot_values where library_id = $1`, lib.ID).Scan(&valued, &kept))
		require.EqualValues(t, 29, valued, "all but the one that fits nothing")
		require.Equal(t, []int64{3, 8}, kept, "what shapes held went along with their folds")
		run, err := postgres.RunByID(ctx, tx, caller.WorkspaceID, "process/test")
		require.NoError(t, err)
		require.EqualValues(t, 30, run.Lines)
		require.Equal(t, 6, run.ChunksDone)
		return nil
	}))
}

// fillAgent registers an agent with a token.
func fillAgent(t testing.TB, db *testdb.DB, caller access.Caller) {
	t.Helper()
	c, err := access.NewCredential()
	require.NoError(t, err)
	require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		id, err := postgres.SaveAgent(t.Context(), tx, caller.WorkspaceID, &postgres.RegisteredAgent{
			Name: "vibration", Version: "1.0.0", TaskQueue: "agent.vibration", Manifest: []byte("{}"), Scopes: []string{}, Tools: []string{}, OwnerID: caller.UserID,
		})
		if err != nil {
			return err
		}
		return postgres.SaveCredential(t.Context(), tx, caller.WorkspaceID, id,
			postgres.AgentCredential{Prefix: c.Prefix, WorkflowID: "fill", ExpiresAt: time.Now().Add(time.Hour)}, c.Digest)
	}))
}
