package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// editor makes edits through the workflow, with activities of its own.
type editor struct {
	*world
	edits *activities.Edits
}

func (w *world) editor() *editor {
	return &editor{w, &activities.Edits{Pool: w.db.Pool, Libraries: feed.NewLibraries(w.db.Pool, zap.NewNop())}}
}

func (e *editor) env(key string, in workflows.EditLibraryInput) *testsuite.TestWorkflowEnvironment {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.EditID(in.Caller.WorkspaceID, in.Library, key), TaskQueue: workflows.TaskQueue})
	workflows.Register(env)
	env.RegisterActivity(e.edits)
	return env
}

func (e *editor) input(edits ...edit.Edit) workflows.EditLibraryInput {
	return workflows.EditLibraryInput{Caller: e.caller, Library: "web", Edits: edits, Reason: "because"}
}

func (e *editor) try(key string, in workflows.EditLibraryInput) (*workflows.EditLibraryResult, error) {
	env := e.env(key, in)
	env.ExecuteWorkflow(workflows.EditLibrary, in)
	if err := env.GetWorkflowError(); err != nil {
		return nil, err
	}
	var out workflows.EditLibraryResult
	require.NoError(e.t, env.GetWorkflowResult(&out))
	return &out, nil
}

func (e *editor) edit(edits ...edit.Edit) *workflows.EditLibraryResult {
	e.t.Helper()
	out, err := e.try(uuid.NewString(), e.input(edits...))
	require.NoError(e.t, err)
	return out
}

func (e *editor) refused(kind, words string, edits ...edit.Edit) {
	e.t.Helper()
	_, err := e.try(uuid.NewString(), e.input(edits...))
	var app *temporal.ApplicationError
	require.ErrorAs(e.t, err, &app)
	require.Equal(e.t, kind, app.Type(), "%v", err)
	require.ErrorContains(e.t, err, words)
}

// dump is the state of a library as text: patterns and what is said of them, shapes, counts, aliases of the ids that are known,
// checksum. What only tells of the past, versions and revisions, is left out; so are retired ids that are not among known.
func (w *world) dump(library string, known map[pattern.ID]bool) string {
	w.t.Helper()
	ctx := context.Background()
	var out strings.Builder
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, w.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		if err := postgres.CheckLibrary(ctx, tx, lib.ID); err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x %d %d %d %d\n", lib.Checksum, lib.Shapes, lib.Patterns, lib.Lines, lib.OtherLines)
		for _, sql := range []string{
			`select jsonb_build_array(id, name, description, tags, owner, severity, ignored, noted, origin, template, slots, lines, first_seen, last_seen)::text
				from tartan.patterns where library_id = $1 and state = 'active' order by id`,
			`select jsonb_build_array(id, text, pattern_id, folded_into, lines, first_seen, last_seen)::text from tartan.shapes where library_id = $1 order by id`,
			`select to_jsonb(n)::text from tartan.pattern_notes n where library_id = $1 order by pattern_id`,
			`select jsonb_build_array(shape_id, bucket, lines)::text from tartan.pattern_counts where library_id = $1 order by shape_id, bucket`,
			`select jsonb_build_array(old_id, new_id)::text from tartan.pattern_aliases where library_id = $1 and old_id = any ($2) order by old_id`,
		} {
			args := []any{lib.ID}
			if strings.Contains(sql, "$2") {
				ids := []string{}
				for id := range known {
					ids = append(ids, string(id))
				}
				args = append(args, ids)
			}
			rows, _ := tx.Query(ctx, sql, args...)
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			out.WriteString(strings.Join(lines, "\n") + "\n")
		}
		return nil
	})
	return out.String()
}

// ids returns all ids that the library ever handed out.
func (w *world) ids(library string) map[pattern.ID]bool {
	out := map[pattern.ID]bool{}
	w.as(func(tx pgx.Tx) error {
		rows, _ := tx.Query(context.Background(), `select p.id from tartan.patterns p join tartan.libraries l on l.id = p.library_id where l.name = $1`, library)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[pattern.ID])
		for _, id := range ids {
			out[id] = true
		}
		return err
	})
	return out
}

// byTemplate returns the row of the active pattern with the template.
func (w *world) byTemplate(library, template string) (row postgres.PatternRow) {
	w.t.Helper()
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(context.Background(), tx, w.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		row, err = postgres.PatternByID(context.Background(), tx, lib.ID, pattern.Fingerprint(template))
		return err
	})
	return row
}

const sessions = `session opened for user ada in 3ms
session opened for user bob in 4ms
session opened for user ada in 5ms
session closed for user ada in 5ms
session closed for user kim in 6ms
session renewed for user kim
disk 3 full
disk 4 full
login of ada ok
login of bob ok
`

// newSessions is a world with the sessions mined into the library web.
func newSessions(t *testing.T) *editor {
	w := newWorld(t)
	w.mine(w.agents(), w.input("web", []byte(sessions), 0))
	return w.editor()
}

func ptr[T any](v T) *T { return &v }

func TestEveryEditIsUndoneWithoutATrace(t *testing.T) {
	t.Parallel()
	e := newSessions(t)
	opened, closed := e.byTemplate("web", "session opened for user <*> in <*>"), e.byTemplate("web", "session closed for user <*> in <*>")
	disk := e.byTemplate("web", "disk <*> full")
	require.EqualValues(t, 3, opened.Lines)
	require.Equal(t, postgres.StateActive, disk.State)
	// Something said beforehand moves with the ids, and comes back with them.
	e.edit(edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{closed.ID}, Note: edit.Note{Name: ptr("closing"), Tags: ptr([]string{"auth", "x"})}})
	note := edit.Note{Name: ptr("a name"), Description: ptr("words"), Tags: ptr([]string{"t"}), Owner: ptr("team"), Severity: ptr("warning")}
	for _, c := range []struct {
		edit edit.Edit
		then func(out *workflows.EditLibraryResult)
	}{
		{edit.Edit{Action: edit.Define, Template: "session <what:word> for user <rest>", Note: note}, func(out *workflows.EditLibraryResult) {
			p := e.byTemplate("web", "session <*> for user <*>")
			require.EqualValues(t, 6, p.Lines, "also what was counted before")
			require.Equal(t, pattern.Own, p.Origin)
			require.Equal(t, "a name", p.Name)
			require.Equal(t, []string{"t"}, p.Tags)
			require.Equal(t, []activities.EditedPattern{{ID: p.ID, Template: p.Template, Lines: 6}}, out.Edits[0].Patterns)
			require.Equal(t, p.ID, e.byTemplate("web", opened.Template).ID, "the old id means it")
		}},
		{edit.Edit{Action: edit.Define, Template: "never seen <n:number>"}, func(*workflows.EditLibraryResult) {
			p := e.byTemplate("web", "never seen <*>")
			require.Equal(t, pattern.Own, p.Origin)
			require.Zero(t, p.Lines)
		}},
		{edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{opened.ID}, Note: note}, func(*workflows.EditLibraryResult) {
			p := e.byTemplate("web", opened.Template)
			require.Equal(t, []any{"a name", "words", []string{"t"}, "team", "warning"}, []any{p.Name, p.Description, p.Tags, p.Owner, p.Severity})
			require.Greater(t, p.Version, opened.Version)
		}},
		{edit.Edit{Action: edit.Merge, Patterns: []pattern.ID{opened.ID, closed.ID}}, func(*workflows.EditLibraryResult) {
			p := e.byTemplate("web", "session <*> for user <*> in <*>")
			require.EqualValues(t, 5, p.Lines)
			require.Equal(t, pattern.Merged, p.Origin)
			require.Equal(t, "closing", p.Name, "what was said of one of them")
			require.Equal(t, []string{"auth", "x"}, p.Tags)
		}},
		{edit.Edit{Action: edit.Merge, Patterns: []pattern.ID{closed.ID}, Template: string(opened.ID)}, func(*workflows.EditLibraryResult) {
			p := e.byTemplate("web", opened.Template)
			require.EqualValues(t, 5, p.Lines)
			require.Equal(t, p.ID, e.byTemplate("web", closed.Template).ID)
		}},
		{edit.Edit{Action: edit.Split, Patterns: []pattern.ID{opened.ID}, Slot: "word", Words: []string{"ada"}}, func(*workflows.EditLibraryResult) {
			require.EqualValues(t, 2, e.byTemplate("web", "session opened for user ada in <*>").Lines)
			require.EqualValues(t, 1, e.byTemplate("web", opened.Template).Lines)
		}},
		{edit.Edit{Action: edit.Pin, Patterns: []pattern.ID{opened.ID}}, func(*workflows.EditLibraryResult) {
			p := e.byTemplate("web", opened.Template)
			require.Equal(t, pattern.Pinned, p.Origin)
			require.EqualValues(t, 3, p.Lines)
		}},
		{edit.Edit{Action: edit.Ignore, Patterns: []pattern.ID{disk.ID}}, func(*workflows.EditLibraryResult) {
			require.True(t, e.byTemplate("web", disk.Template).Ignored)
			require.NotContains(t, e.counts("web"), disk.ID, "not in lists")
		}},
	} {
		known := e.ids("web")
		before := e.dump("web", known)
		out := e.edit(c.edit)
		require.Len(t, out.Edits, 1)
		after := e.dump("web", known)
		require.NotEqual(t, before, after, "%+v", c.edit)
		c.then(out)
		undone := e.edit(edit.Edit{Action: edit.Undo, Undo: out.Edits[0].Number})
		require.Equal(t, before, e.dump("web", known), "%+v", c.edit)
		e.edit(edit.Edit{Action: edit.Undo, Undo: undone.Edits[0].Number})
		require.Equal(t, after, e.dump("web", known), "done again: %+v", c.edit)
		switch c.edit.Action {
		case edit.Pin:
			e.edit(edit.Edit{Action: edit.Unpin, Patterns: c.edit.Patterns})
		default:
			e.edit(edit.Edit{Action: edit.Undo, Undo: out.Edits[0].Number})
		}
		require.Equal(t, before, e.dump("web", known), "%+v", c.edit)
	}
}

func TestEditsThatAreRefused(t *testing.T) {
	t.Parallel()
	e := newSessions(t)
	opened, disk := e.byTemplate("web", "session opened for user <*> in <*>").ID, e.byTemplate("web", "disk <*> full").ID
	known := e.ids("web")
	before := e.dump("web", known)
	for _, c := range []struct {
		kind, words string
		edit        edit.Edit
	}{
		{activities.EditRefused, "no action", edit.Edit{Action: "paint"}},
		{activities.EditRefused, "is a part of what lines have as one value", edit.Edit{Action: edit.Define, Template: "at 10:20:30"}},
		{activities.EditRefused, "there is no pattern", edit.Edit{Action: edit.Pin, Patterns: []pattern.ID{"p0000000000000000"}}},
		{activities.EditRefused, "wants one pattern", edit.Edit{Action: edit.Ignore}},
		{activities.EditRefused, "name those to split off", edit.Edit{Action: edit.Split, Patterns: []pattern.ID{disk}, Slot: "number"}},
		{activities.EditRefused, "no word in common", edit.Edit{Action: edit.Merge, Patterns: []pattern.ID{disk, opened}}},
		{activities.EditRefused, "say a name", edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{disk}}},
		{activities.EditRefused, "severity", edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{disk}, Note: edit.Note{Severity: ptr("bad")}}},
		{activities.EditRefused, "no edit 77", edit.Edit{Action: edit.Undo, Undo: 77}},
		{activities.EditRefused, "not pinned", edit.Edit{Action: edit.Unpin, Patterns: []pattern.ID{disk}}},
	} {
		e.refused(c.kind, c.words, c.edit)
	}
	// A batch is made together or not at all.
	e.refused(activities.EditRefused, "edit 2 of 2", edit.Edit{Action: edit.Ignore, Patterns: []pattern.ID{disk}}, edit.Edit{Action: edit.Undo, Undo: 9})
	require.Equal(t, before, e.dump("web", known))

	// What later edits build on is not undone before them.
	e.edit(edit.Edit{Action: edit.Define, Template: "disk <n:number> full"}, edit.Edit{Action: edit.Define, Template: "login of <who:word> ok"})
	login := pattern.Fingerprint("login of <*> ok")
	e.edit(edit.Edit{Action: edit.Merge, Patterns: []pattern.ID{login, opened}, Template: "something with <*>"})
	last := e.edit(edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{pattern.Fingerprint("something with <*>")}, Note: edit.Note{Name: ptr("x")}})
	require.EqualValues(t, 4, last.Edits[0].Number)
	e.refused(activities.EditNeeded, "undo 4 first", edit.Edit{Action: edit.Undo, Undo: 3})
	e.edit(edit.Edit{Action: edit.Undo, Undo: 1}) // in the middle, and nothing needs it
	e.refused(activities.EditRefused, "undone already", edit.Edit{Action: edit.Undo, Undo: 1})
	e.edit(edit.Edit{Action: edit.Undo, Undo: 4}, edit.Edit{Action: edit.Undo, Undo: 3}, edit.Edit{Action: edit.Undo, Undo: 2})
	require.Equal(t, before, e.dump("web", known))

	// Who may not, and where there is nothing.
	in := e.input(edit.Edit{Action: edit.Ignore, Patterns: []pattern.ID{disk}})
	in.Caller = e.db.Member(t, e.caller.WorkspaceID, access.Viewer)
	_, err := e.try("k", in)
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, activities.Denied, app.Type())
	in = e.input(in.Edits...)
	in.Library = "none"
	_, err = e.try("k", in)
	require.ErrorAs(t, err, &app)
	require.Equal(t, activities.WrongLibrary, app.Type())
	in.Edits = []edit.Edit{{Action: edit.Define, Template: "the first <*>"}}
	out, err := e.try("first", in)
	require.NoError(t, err, "own patterns may be the first")
	require.EqualValues(t, 1, out.Revision)

	// Decided on a revision that is no more.
	in = e.input(edit.Edit{Action: edit.Ignore, Patterns: []pattern.ID{disk}})
	in.Base = 1
	_, err = e.try("stale", in)
	require.ErrorAs(t, err, &app)
	require.Equal(t, activities.StaleRevision, app.Type())
	require.ErrorContains(t, err, "is at revision")
}

func TestAnEditIsMadeOnce(t *testing.T) {
	t.Parallel()
	e := newSessions(t)
	in := e.input(edit.Edit{Action: edit.Define, Template: "disk <n:number> full"}, edit.Edit{Action: edit.Define, Template: "login of <who> ok"})
	env, calls := e.env("key", in), atomic.Int32{}
	env.OnActivity(e.edits.EditPatterns, mock.Anything, mock.Anything).Return(func(ctx context.Context, in workflows.EditLibraryInput) (*workflows.EditLibraryResult, error) {
		out, err := e.edits.EditPatterns(ctx, in)
		if calls.Add(1) < 3 {
			return nil, temporal.NewApplicationError("the answer was lost", activities.Unavailable)
		}
		return out, err
	})
	env.ExecuteWorkflow(workflows.EditLibrary, in)
	require.NoError(t, env.GetWorkflowError())
	var out workflows.EditLibraryResult
	require.NoError(t, env.GetWorkflowResult(&out))
	require.EqualValues(t, 3, calls.Load())
	require.True(t, out.Already)
	require.Len(t, out.Edits, 2)
	require.EqualValues(t, 2, out.Edits[1].Number)
	known := e.ids("web")
	state := e.dump("web", known)
	again, err := e.try("key", in) // as if Temporal had forgotten it
	require.NoError(t, err)
	require.Equal(t, &out, again)
	require.Equal(t, state, e.dump("web", known))
	var ledger edit.Ledger
	e.as(func(tx pgx.Tx) (err error) { ledger, err = postgres.Edits(t.Context(), tx, out.LibraryID); return err })
	require.Len(t, ledger, 2)
	require.Equal(t, e.caller.UserID, ledger[1].Author)
	require.Equal(t, "because", ledger[1].Reason)
}

// Edits and mining at the same time, by workers of their own: every line is counted once, every edit is made, and all
// agree on the patterns.
func TestEditsWhileMining(t *testing.T) {
	t.Parallel()
	e := newSessions(t)
	var all sync.WaitGroup
	for k := range 3 {
		all.Go(func() {
			body := someLog(rand.New(rand.NewPCG(uint64(k), 5)), 700)
			e.mine(e.agents(), e.world.input("web", body, 12_000))
		})
	}
	for k := range 2 {
		all.Go(func() {
			by := e.editor()
			for i := range 6 {
				by.edit(edit.Edit{Action: edit.Define, Template: fmt.Sprintf("%s <id:number> %s by <*>", []string{"connection", "session"}[k], []string{"opened", "closed", "refused", "reset", "accepted", "dropped"}[i])})
			}
		})
	}
	all.Wait()
	p := e.byTemplate("web", "session <*> opened by <*>")
	require.Equal(t, pattern.Own, p.Origin)
	require.Positive(t, p.Lines)
	e.agrees()
}

// agrees compares the database with a library made anew from its shapes and rules.
func (e *editor) agrees() {
	e.t.Helper()
	ctx := context.Background()
	e.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, e.caller.WorkspaceID, "web")
		require.NoError(e.t, err)
		require.NoError(e.t, postgres.CheckLibrary(ctx, tx, lib.ID))
		stored, err := postgres.ShapesSince(ctx, tx, lib.ID, 0)
		require.NoError(e.t, err)
		rules, err := postgres.Rules(ctx, tx, lib.ID)
		require.NoError(e.t, err)
		fresh := template.NewLibrary(template.Options{})
		var shapes []template.Shape
		for _, s := range stored {
			if s.FoldedInto == nil {
				shapes = append(shapes, template.Shape{ID: s.ID, Text: s.Text})
			}
		}
		fresh.Learn(shapes)
		fresh.SetRules(rules)
		require.Equal(e.t, fresh.Checksum(), lib.Checksum)
		active := map[pattern.ID]pattern.Pattern{}
		rows, _, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: lib.ID, Limit: 1000, Ignored: true})
		require.NoError(e.t, err)
		for _, r := range rows {
			active[r.ID] = pattern.Pattern{ID: r.ID, Template: r.Template, Slots: r.Slots, Origin: r.Origin}
		}
		for _, p := range fresh.Patterns() {
			want, err := json.Marshal(p.Slots)
			require.NoError(e.t, err)
			got, err := json.Marshal(active[p.ID].Slots)
			require.NoError(e.t, err)
			require.Equal(e.t, strings.Replace(string(want), "null", "[]", 1), strings.Replace(string(got), "null", "[]", 1))
			require.Equal(e.t, p.Origin, active[p.ID].Origin, p.Template)
		}
		require.Len(e.t, active, len(fresh.Patterns()))
		for _, s := range stored {
			if id, ok := fresh.PatternOf(s.ID); ok {
				require.Equal(e.t, id, s.Pattern, s.Text)
			}
		}
		follower, err := feed.NewLibraries(e.db.Pool, zap.NewNop()).Entry(ctx, lib.ID)
		require.NoError(e.t, err)
		require.Equal(e.t, lib.Revision, follower.Revision)
		return nil
	})
}

// Random edits, undos and mining: the database is at all times what its shapes and the edits that hold make of it, and
// undoing all edits leaves what mining alone would have made.
func TestEditsAtRandom(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{11, 12} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			editAtRandom(t, seed)
		})
	}
}

func editAtRandom(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	e := newSessions(t)
	agents := e.agents()
	var bodies [][]byte
	pick := func() pattern.ID {
		var ids []pattern.ID
		for id := range e.counts("web") {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return ids[rng.IntN(len(ids))]
	}
	made := 0
	for step := range 60 {
		var next edit.Edit
		switch rng.IntN(9) {
		case 0:
			body := someLog(rand.New(rand.NewPCG(uint64(step), seed)), 40)
			bodies = append(bodies, body)
			e.mine(agents, e.world.input("web", body, 0))
			e.agrees()
			continue
		case 1:
			next = edit.Edit{Action: edit.Merge, Patterns: []pattern.ID{pick(), pick()}}
		case 2:
			next = edit.Edit{Action: edit.Define, Template: []string{"session <*>", "<a> <*> user <who:word>", "login of <*> ok", "job <n:number> <*>", "<*> by <ip>"}[rng.IntN(5)]}
		case 3:
			next = edit.Edit{Action: edit.Pin, Patterns: []pattern.ID{pick()}}
		case 4:
			next = edit.Edit{Action: edit.Split, Patterns: []pattern.ID{pick()}, Slot: "word"}
		case 5:
			next = edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{pick()}, Note: edit.Note{Name: ptr(fmt.Sprint("name ", step)), Severity: ptr("info")}}
		case 6:
			next = edit.Edit{Action: edit.Merge, Patterns: []pattern.ID{pick()}, Template: string(pick())}
		default:
			next = edit.Edit{Action: edit.Undo, Undo: int64(1 + rng.IntN(made+1))}
		}
		if out, err := e.try(uuid.NewString(), e.input(next)); err == nil {
			made += len(out.Edits)
			e.agrees()
		} else {
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.Contains(t, []string{activities.EditRefused, activities.EditNeeded}, app.Type(), "seed %d step %d: %v", seed, step, err)
		}
	}
	require.Greater(t, made, 20)
	for undone := true; undone; { // whatever stands, the latest first
		undone = false
		var ledger edit.Ledger
		e.as(func(tx pgx.Tx) error {
			lib, err := postgres.LibraryByName(t.Context(), tx, e.caller.WorkspaceID, "web")
			require.NoError(t, err)
			ledger, err = postgres.Edits(t.Context(), tx, lib.ID)
			return err
		})
		live := ledger.Live()
		for i := len(ledger) - 1; i >= 0; i-- {
			if f := ledger[i]; live[f.Number] && f.Undoes == 0 && ledger.Undoable(f.Number) == nil {
				e.edit(edit.Edit{Action: edit.Undo, Undo: f.Number})
				undone = true
				break
			}
		}
	}
	e.agrees()
	want := oracle(t, append(bodies, []byte(sessions))...)
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(e.counts("web"))))
	require.Equal(t, want, e.counts("web"))
	var noted int
	require.NoError(t, e.db.Pool.QueryRow(t.Context(), `select count(*) from tartan.patterns where noted or name <> '' or severity <> ''`).Scan(&noted))
	require.Zero(t, noted)
}
