package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/mcp/server"
	"github.com/tartan-ai/tartan/workers"
)

type mined struct {
	WorkflowID string `json:"workflow_id"`
	Existed    bool
	Page       string
}

type workflowState struct {
	State, Error, Page string
	Progress           struct{ Lines int64 }
	Result             *struct{ Lines, Revision, Patterns int64 }
}

// TestDurablePath mines, follows, recognizes and controls through the tools against a real Temporal server and a worker.
func TestDurablePath(t *testing.T) {
	folder := t.TempDir()
	temporal, err := local.StartTemporal(context.Background(), local.TemporalOptions{
		DataDir: filepath.Join(folder, "temporal"), Bin: os.Getenv("TARTAN_TEMPORAL_BIN"), Headless: true, Progress: func(line string) { t.Log(line) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = temporal.Stop(context.Background()) })
	dialled, err := temporalclient.Dial(temporalclient.Options{HostPort: temporal.Address, Logger: telemetry.Temporal(zap.NewNop())})
	require.NoError(t, err)
	t.Cleanup(dialled.Close)
	store, err := bucket.Open(t.Context(), "file://"+filepath.Join(folder, "bucket"))
	require.NoError(t, err)
	k := newStack(t, func(c *server.Config) {
		c.Temporal, c.Bucket, c.TemporalUIURL = dialled, store, "http://127.0.0.1:8233"
	})
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")

	// Without a worker a workflow only waits, so it can be controlled at leisure.
	c := k.client(t, one, true)
	var waiting mined
	c.into(t, &waiting, "mine_patterns", `{"library":"other","lines":"one line\nanother line"}`)
	require.False(t, waiting.Existed)
	require.Contains(t, waiting.Page, "http://127.0.0.1:8233/namespaces/default/workflows/process%2F")
	var state workflowState
	c.into(t, &state, "get_workflow", `{"id":"`+waiting.WorkflowID+`"}`)
	require.Equal(t, "running", state.State)
	thief := k.client(t, two, true)
	for _, tool := range []string{"get_workflow", "control_workflow"} {
		r := thief.tool(t, tool, `{"id":"`+waiting.WorkflowID+`"`+map[bool]string{true: `,"action":"cancel"`}[tool == "control_workflow"]+`}`)
		require.True(t, r.IsError)
		require.Contains(t, r.Content[0].Text, "no workflow")
	}
	for _, action := range []string{"pause", "resume", "cancel"} {
		require.False(t, c.tool(t, "control_workflow", `{"id":"`+waiting.WorkflowID+`","action":"`+action+`"}`).IsError)
	}

	ctx, cancel := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	libraries := feed.NewLibraries(k.db.Pool, zap.NewNop())
	go func() { _ = libraries.Run(ctx) }()
	go func() {
		worked <- workers.Run(ctx, workers.Config{Client: dialled, Pool: k.db.Pool, Bucket: store, Libraries: libraries, Log: zap.NewNop()})
	}()
	t.Cleanup(func() { cancel(); <-worked })

	c.into(t, &state, "get_workflow", `{"id":"`+waiting.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, "cancelled", state.State)
	r := c.tool(t, "control_workflow", `{"id":"`+waiting.WorkflowID+`","action":"pause"}`)
	require.Contains(t, r.Content[0].Text, "ended already")

	for _, transport := range []string{"http", "stdio"} {
		var call func(out any, tool, args string)
		if transport == "http" {
			h := k.client(t, one, false)
			call = func(out any, tool, args string) { h.into(t, out, tool, args) }
		} else {
			s := k.stdio(t, k.token(t, one.UserID))
			call = func(out any, tool, args string) {
				s.send(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":`+args+`}}`)
				var res toolResult
				require.NoError(t, json.Unmarshal(parse(t, []byte(s.next(t))).Result, &res))
				require.False(t, res.IsError, "%s: %s", tool, res.Content[0].Text)
				require.NoError(t, json.Unmarshal(res.Structured, out))
			}
		}
		lines := append([]string{}, sample...)
		if transport == "stdio" { // more than fits inline goes through the bucket
			for len(strings.Join(lines, "\n")) < 100<<10 {
				lines = append(lines, sample...)
			}
		}
		args := `{"library":"` + transport + `","lines":` + string(must(json.Marshal(lines))) + `}`
		var first, again mined
		call(&first, "mine_patterns", args)
		require.False(t, first.Existed)
		var done workflowState
		call(&done, "get_workflow", `{"id":"`+first.WorkflowID+`","wait_seconds":20}`)
		require.Equal(t, "completed", done.State, done.Error)
		require.EqualValues(t, len(lines), done.Progress.Lines)
		require.NotNil(t, done.Result)
		require.EqualValues(t, len(lines), done.Result.Lines)
		var got recognized
		call(&got, "recognize", `{"library":"`+transport+`","after_revision":`+string(must(json.Marshal(done.Result.Revision)))+`,"lines":["`+sample[5]+`"]}`)
		require.Equal(t, 1, got.Known, "a caller sees its own write")
		if transport == "stdio" {
			// The key of an object follows from its content alone; knowing it opens nothing in another workspace.
			sum := sha256.Sum256([]byte(strings.Join(lines, "\n") + "\n"))
			object := `{"library":"other","object_key":"` + bucket.Key(hex.EncodeToString(sum[:])) + `"}`
			r := thief.tool(t, "mine_patterns", object)
			require.True(t, r.IsError)
			require.Contains(t, r.Content[0].Text, "this workspace has no object")
			call(&again, "mine_patterns", object)
			require.False(t, again.Existed)
		}
		call(&again, "mine_patterns", args)
		require.True(t, again.Existed)
		require.Equal(t, first.WorkflowID, again.WorkflowID)
		var changed struct {
			Changes []struct{ Kind, Example, Page string }
		}
		call(&changed, "compare_windows", `{"library":"`+transport+`"}`)
		require.NotEmpty(t, changed.Changes)
		for _, change := range changed.Changes {
			require.Equal(t, "new", change.Kind)
			require.NotEmpty(t, change.Example)
			require.Contains(t, change.Page, "http://127.0.0.1:8233/namespaces/default/workflows/process%2F", "a link to the run that brought it in")
		}
		var all struct {
			Workflows []struct{ ID, State, Library, Started string }
		}
		call(&all, "list_workflows", `{"state":"completed"}`)
		var listed []string
		for i, w := range all.Workflows {
			require.Equal(t, "completed", w.State)
			require.True(t, i == 0 || w.Started <= all.Workflows[i-1].Started, "the latest first")
			if w.Library == transport {
				listed = append(listed, w.ID)
			}
		}
		require.Equal(t, []string{first.WorkflowID}, listed)
	}
	minesRecords(t, c)
	editOverMCP(t, c, thief)
	splitOverMCP(t, c)
	valueOverMCP(t, c)
	// Sequences of the sources of a library, through a workflow.
	var requests mined
	c.into(t, &requests, "mine_patterns", `{"library":"requests","lines":`+string(must(json.Marshal(requestLines())))+`}`)
	c.into(t, &state, "get_workflow", `{"id":"`+requests.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, "completed", state.State)
	var found sequencesFound
	c.into(t, &found, "find_sequences", `{"library":"requests"}`)
	require.Contains(t, found.Next, "get_workflow")
	c.into(t, &state, "get_workflow", `{"id":"`+found.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, "completed", state.State, state.Error)
	require.EqualValues(t, 180, state.Progress.Lines)
	c.into(t, &found, "find_sequences", `{"library":"requests"}`)
	require.NotEmpty(t, found.Found)
	require.Equal(t, "trace_id", found.SessionKey)
	require.Len(t, found.Breaks, 1)
	require.Contains(t, found.Breaks[0].Text, "permission refused")

	trainOverMCP(t, c)
	var health struct{ Temporal string }
	c.into(t, &health, "health", `{}`)
	require.Equal(t, "ok", health.Temporal)
	a := c.call(t, "resources/read", `"uri":"tartan://workflows/`+waiting.WorkflowID+`"`, "tartan://workflows/"+waiting.WorkflowID)
	require.Nil(t, a.Error)
	require.Contains(t, string(a.Result), `\"state\":\"cancelled\"`)

	viewer := k.client(t, k.db.Member(t, one.WorkspaceID, access.Viewer), true)
	r = viewer.tool(t, "mine_patterns", `{"lines":"x"}`)
	require.Contains(t, r.Content[0].Text, "needs the role editor")
}

// minesRecords mines a stack trace, JSON events, and what does not fit.
func minesRecords(t *testing.T, c *client) {
	t.Helper()
	mine := func(args string) (done struct {
		State, Error string
		Result       *struct{ Lines, Continued, Patterns, Revision int64 }
	},
	) {
		var m mined
		c.into(t, &m, "mine_patterns", args)
		c.into(t, &done, "get_workflow", `{"id":"`+m.WorkflowID+`","wait_seconds":20}`)
		return done
	}
	done := mine(`{"library":"traces","lines":"2026-11-23T08:00:00Z ERROR failed\nValueError: no\n"}`)
	require.Equal(t, "completed", done.State, done.Error)
	require.EqualValues(t, 1, done.Result.Lines)
	require.EqualValues(t, 1, done.Result.Continued)

	done = mine(`{"library":"events","kind":"record","lines":["{\"msg\":\"hi\",\"user\":{\"id\":7}}","{\"user\":{\"id\":8},\"msg\":\"hi\"}"]}`)
	require.Equal(t, "completed", done.State, done.Error)
	require.EqualValues(t, 1, done.Result.Patterns)
	var got struct {
		Known    int
		Patterns []struct{ Slots []string }
		Results  []struct{ Values []string }
	}
	c.into(t, &got, "recognize", `{"library":"events","after_revision":`+string(must(json.Marshal(done.Result.Revision)))+`,"lines":["{\"user\":{\"id\":9},\"msg\":\"hi\"}"]}`)
	require.Equal(t, 1, got.Known)
	require.Equal(t, []string{"user.id"}, got.Patterns[0].Slots)
	require.Equal(t, []string{"9"}, got.Results[0].Values)

	done = mine(`{"library":"events","kind":"lines","lines":"a line"}`)
	require.Equal(t, "failed", done.State)
	require.Contains(t, done.Error, `library "events" is of kind record`)
	r := c.tool(t, "mine_patterns", `{"library":"events","kind":"series","lines":"a line"}`)
	require.True(t, r.IsError)
	require.Contains(t, r.Content[0].Text, "must be one of lines, record")
}

type edited struct {
	WorkflowID string `json:"workflow_id"`
	State      string
	Number     int64
	Revision   int64
	Existed    bool
	Patterns   []struct {
		ID           string
		Lines        int64
		CountedSince string `json:"counted_since"`
	}
}

// splitOverMCP splits a pattern of logins by the name of one who logged in, and takes it back.
func splitOverMCP(t *testing.T, c *client) {
	t.Helper()
	var lines []string
	for i := range 60 {
		name := []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"}[i%10]
		lines = append(lines, fmt.Sprintf("Accepted publickey for %s from 10.0.0.%d port %d ssh2", name, i, 4000+i))
	}
	var m mined
	c.into(t, &m, "mine_patterns", `{"library":"logins","lines":`+string(must(json.Marshal(lines)))+`}`)
	var done workflowState
	c.into(t, &done, "get_workflow", `{"id":"`+m.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, "completed", done.State, done.Error)
	list := func() map[string]int64 {
		t.Helper()
		var all struct {
			Patterns []struct {
				Template string
				Lines    int64
			}
		}
		c.into(t, &all, "list_patterns", `{"library":"logins"}`)
		out := map[string]int64{}
		for _, p := range all.Patterns {
			out[p.Template] = p.Lines
		}
		return out
	}
	const any, alice = "Accepted publickey for <*> from <*> port <*> ssh2", "Accepted publickey for alice from <*> port <*> ssh2"
	require.Equal(t, map[string]int64{any: 60}, list())
	recognize := func(revision int64) (id, slot string) {
		t.Helper()
		var got struct {
			Patterns []struct {
				ID    string
				Slots []string
			}
			Results []struct{ Values []string }
		}
		c.into(t, &got, "recognize", fmt.Sprintf(`{"library":"logins","after_revision":%d,"lines":[%q]}`, revision, lines[0]))
		if i := slices.Index(got.Results[0].Values, "alice"); i >= 0 {
			slot = got.Patterns[0].Slots[i]
		}
		return got.Patterns[0].ID, slot
	}
	whole, slot := recognize(done.Result.Revision)
	require.NotEmpty(t, slot)
	var e edited
	c.into(t, &e, "edit_pattern", `{"library":"logins","action":"split","patterns":["`+whole+`"],"slot":"`+slot+`","words":["alice"]}`)
	require.Equal(t, "completed", e.State)
	require.Equal(t, map[string]int64{any: 54, alice: 6}, list())
	part, none := recognize(e.Revision)
	require.NotEqual(t, whole, part)
	require.Empty(t, none, "the name is a constant now")

	c.into(t, &e, "edit_pattern", fmt.Sprintf(`{"library":"logins","action":"undo","edit":%d}`, e.Number))
	require.Equal(t, "completed", e.State)
	require.Equal(t, map[string]int64{any: 60}, list())
	id, again := recognize(e.Revision)
	require.Equal(t, []string{whole, slot}, []string{id, again})
}

// valueOverMCP writes a pattern with a value and splits another by one: lines that are mined then are told apart.
func valueOverMCP(t *testing.T, c *client) {
	t.Helper()
	mine := func(lines ...string) {
		t.Helper()
		var m mined
		c.into(t, &m, "mine_patterns", `{"library":"http-values","lines":`+string(must(json.Marshal(lines)))+`}`)
		var done workflowState
		c.into(t, &done, "get_workflow", `{"id":"`+m.WorkflowID+`","wait_seconds":20}`)
		require.Equal(t, "completed", done.State, done.Error)
	}
	list := func() map[string]int64 {
		t.Helper()
		var all struct {
			Patterns []struct {
				Template string
				Lines    int64
			}
		}
		c.into(t, &all, "list_patterns", `{"library":"http-values"}`)
		out := map[string]int64{}
		for _, p := range all.Patterns {
			out[p.Template] = p.Lines
		}
		return out
	}
	mine("GET /a status=500 took 3ms", "GET /b status=200 took 4ms", "disk 3 full", "disk 4 full")
	const get, failed, disk, third = "GET <*> status=<*> took <*>", "GET <*> status=500 took <*>", "disk <*> full", "disk 3 full"
	require.Equal(t, map[string]int64{get: 2, disk: 2}, list())
	var own, split edited
	c.into(t, &own, "edit_pattern", `{"library":"http-values","action":"define","template":"GET <*> status=500 took <*>"}`)
	c.into(t, &split, "edit_pattern", `{"library":"http-values","action":"split","patterns":["`+string(pattern.Fingerprint(disk))+`"],"slot":"number","words":["3"]}`)
	require.Equal(t, "completed", split.State)
	require.NotEmpty(t, own.Patterns[0].CountedSince)
	require.NotEmpty(t, split.Patterns[0].CountedSince)
	require.Equal(t, map[string]int64{get: 2, failed: 0, disk: 2, third: 0}, list(), "what was counted stays")
	recognized := func(line string) string {
		t.Helper()
		var got struct{ Patterns []struct{ Template string } }
		c.into(t, &got, "recognize", fmt.Sprintf(`{"library":"http-values","header":false,"after_revision":%d,"lines":[%q]}`, split.Revision, line))
		return got.Patterns[0].Template
	}
	require.Equal(t, failed, recognized("GET /c status=500 took 9ms"), "at once")
	require.Equal(t, get, recognized("GET /c status=501 took 9ms"))
	mine("GET /a status=500 took 5ms", "GET /b status=200 took 4ms", "disk 3 full", "disk 3 full", "disk 4 full")
	require.Equal(t, map[string]int64{get: 3, failed: 1, disk: 3, third: 2}, list())
	var detail struct {
		CountedSince string `json:"counted_since"`
	}
	c.into(t, &detail, "get_pattern", `{"library":"http-values","id":"`+string(pattern.Fingerprint(failed))+`"}`)
	require.Equal(t, own.Patterns[0].CountedSince[:19], detail.CountedSince[:19])
	r := c.tool(t, "recognize", `{"library":"http-values","header":false,"detail":"explain","lines":["GET /c status=500 took 9ms"]}`)
	require.Contains(t, string(r.Structured), "among them the value 500")
	for _, e := range []edited{split, own} {
		c.into(t, &edited{}, "edit_pattern", fmt.Sprintf(`{"library":"http-values","action":"undo","edit":%d}`, e.Number))
	}
	require.Equal(t, map[string]int64{get: 4, disk: 5}, list(), "as without them")
}

// editOverMCP makes edits in the library http, sees them in what the reading tools say, and takes them back.
func editOverMCP(t *testing.T, c, thief *client) {
	t.Helper()
	list := func() string { return string(c.tool(t, "list_patterns", `{"library":"http"}`).Structured) }
	var all struct {
		Patterns []struct {
			ID, Name, Template, Severity, Owner, Origin string
			Tags                                        []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(list()), &all))
	first, second := all.Patterns[0], all.Patterns[1]
	before := all.Patterns
	var e edited
	do := func(tool, args string) {
		t.Helper()
		e = edited{}
		c.into(t, &e, tool, strings.Replace(args, "{", `{"library":"http",`, 1))
		require.Equal(t, "completed", e.State)
	}
	undo := func() {
		t.Helper()
		do("edit_pattern", `{"action":"undo","edit":`+string(must(json.Marshal(e.Number)))+`}`)
		require.NoError(t, json.Unmarshal([]byte(list()), &all))
		require.Equal(t, before, all.Patterns)
	}
	do("describe_pattern", `{"pattern":"`+first.ID+`","name":"a name","severity":"error","owner":"team","tags":["x","y"],"reason":"to know it"}`)
	var got struct {
		Patterns []struct {
			Name, Note string
		}
	}
	var detail struct{ Examples []struct{ Line string } }
	c.into(t, &detail, "get_pattern", `{"library":"http","id":"`+first.ID+`"}`)
	line := string(must(json.Marshal(detail.Examples[0].Line)))
	c.into(t, &got, "recognize", `{"library":"http","after_revision":`+string(must(json.Marshal(e.Revision)))+`,"lines":[`+line+`]}`)
	require.Equal(t, "a name: severity error; owner team; tags x, y", got.Patterns[0].Name+": "+got.Patterns[0].Note)
	undo()
	do("describe_pattern", `{"pattern":"`+first.ID+`","ignored":true}`)
	require.NotContains(t, list(), first.ID)
	compared := func(args string) string { return string(c.tool(t, "compare_windows", args).Structured) }
	require.NotContains(t, compared(`{"library":"http"}`), first.ID)
	require.Contains(t, compared(`{"library":"http"}`), second.ID)
	require.Contains(t, compared(`{"library":"http","ignored":true}`), first.ID)
	c.into(t, &got, "recognize", `{"library":"http","after_revision":`+string(must(json.Marshal(e.Revision)))+`,"lines":[`+line+`]}`)
	require.Equal(t, "ignored", got.Patterns[0].Note, "still recognised")
	undo()
	do("edit_pattern", `{"action":"merge","patterns":["`+first.ID+`","`+second.ID+`"],"template":"both of <them>","key":"once"}`)
	merged := e
	do("edit_pattern", `{"action":"merge","patterns":["`+first.ID+`","`+second.ID+`"],"template":"both of <them>","key":"once"}`)
	require.Equal(t, merged.Number, e.Number)
	require.True(t, e.Existed)
	c.into(t, &all, "list_patterns", `{"library":"http"}`)
	require.Len(t, all.Patterns, len(before)-1)
	undo()
	do("edit_pattern", `{"action":"define","template":"something <else:word> entirely"}`)
	c.into(t, &got, "recognize", `{"library":"http","header":false,"after_revision":`+string(must(json.Marshal(e.Revision)))+`,"lines":["something new entirely"]}`)
	require.Len(t, got.Patterns, 1, "also what nobody has seen")
	undo()
	do("edit_pattern", `{"action":"pin","patterns":["`+first.ID+`"]}`)
	do("edit_pattern", `{"action":"unpin","patterns":"`+first.ID+`"}`)
	require.NoError(t, json.Unmarshal([]byte(list()), &all))
	require.Equal(t, before, all.Patterns)

	var history struct {
		Edits []struct {
			Number, Undoes   int64
			Action, Reason   string
			Undone, Undoable bool
		}
	}
	c.into(t, &history, "list_edits", `{"library":"http","pattern":"`+first.ID+`"}`)
	last := history.Edits[len(history.Edits)-1]
	require.Equal(t, "to know it", last.Reason)
	require.True(t, last.Undone)
	for want, args := range map[string]string{
		"undone already":              `{"action":"undo","edit":1}`,
		"as one value":                `{"action":"define","template":"at 10:20:30"}`,
		"has no slot":                 `{"action":"split","patterns":["` + first.ID + `"],"slot":"nonsense"}`,
		"no pattern p000000000000000": `{"action":"pin","patterns":["p0000000000000000"]}`,
	} {
		r := c.tool(t, "edit_pattern", strings.Replace(args, "{", `{"library":"http",`, 1))
		require.True(t, r.IsError)
		require.Contains(t, r.Content[0].Text, want)
	}
	r := thief.tool(t, "edit_pattern", `{"library":"http","action":"pin","patterns":["`+first.ID+`"]}`)
	require.True(t, r.IsError)
	require.Contains(t, r.Content[0].Text, "no library")
}
