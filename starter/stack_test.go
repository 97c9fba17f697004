package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/local"
)

// asCommand makes this test binary the tartan command: the local stack starts itself again as worker and MCP server.
const asCommand = "TARTAN_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// shell runs commands in this process against one data folder.
type shell struct {
	t      *testing.T
	dir    string
	editor string
	token  string // of another than the owner of the data folder
}

func (s shell) run(in string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	var out, errs bytes.Buffer
	env := environment{
		lookup: func(k string) (string, bool) {
			switch k {
			case "TARTAN_DATA_DIR":
				return s.dir, true
			case "TEMPORAL_CONFIG_FILE":
				return filepath.Join(s.dir, "none.toml"), true
			case "EDITOR":
				return s.editor, s.editor != ""
			case "TARTAN_TOKEN":
				return s.token, s.token != ""
			}
			return "", false
		},
		environ: os.Environ,
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	code = run(ctx, args, streams{in: strings.NewReader(in), out: &out, err: &errs}, env)
	return out.String(), errs.String(), code
}

// ok runs a command that must work and decodes its JSON.
func (s shell) ok(value any, in string, args ...string) string {
	s.t.Helper()
	if value != nil {
		args = append(args, "--output", "json")
	}
	out, errs, code := s.run(in, args...)
	require.Zero(s.t, code, "tartan %s\n%s", strings.Join(args, " "), errs)
	if value != nil {
		require.NoError(s.t, json.Unmarshal([]byte(out), value), out)
	}
	return out
}

// up starts the stack in the background and returns how long it took.
func (s shell) up() (local.State, time.Duration) {
	s.t.Helper()
	begun := time.Now()
	s.ok(nil, "", "up", "--detach", "--postgres-port", "0", "--temporal-port", "0", "--temporal-ui-port", "0", "--mcp-port", "0")
	took := time.Since(begun)
	state, err := local.ReadState(s.dir)
	require.NoError(s.t, err)
	require.True(s.t, state.Ready)
	return state, took
}

// gone waits until none of the processes lives.
func gone(t *testing.T, s local.State) {
	t.Helper()
	for name, pid := range s.PIDs {
		require.Eventually(t, func() bool { return !alive(pid) || zombie(pid) }, 15*time.Second, 20*time.Millisecond, "%s (process %d) still runs", name, pid)
	}
}

// zombie reports whether a process has ended and only waits for its parent to notice.
func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(raw, []byte(") Z "))
}

// TestStack follows the README on a real stack: up, mine, list, show, compare, recognise, control, kill, up again, down.
func TestStack(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres and Temporal; run without -short")
	}
	t.Setenv(asCommand, "1")
	dir, err := os.MkdirTemp("", "tartan-stack-*")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := shell{t: t, dir: filepath.Join(dir, "data")}

	state, took := s.up()
	t.Logf("first start: %s", took.Round(time.Millisecond))
	t.Cleanup(func() { shell{t: t, dir: s.dir}.run("", "down") })

	logFile := filepath.Join(dir, "app.log")
	require.NoError(t, os.WriteFile(logFile, sampleLog(3000), 0o644))
	mineTwice(t, s, logFile)
	id := read(t, s)
	editAndUndo(t, s, id)
	recogniseAndControl(t, s, id)
	trainAndRecognise(t, s, dir)
	clusterAndCompare(t, s, id)
	compareSlots(t, s)
	analyse(t, s, id, logFile)
	writeKnowledge(t, s, dir, id)
	keepKnowledge(t, s, dir)

	var findings []finding
	out, errs, code := s.run("", "doctor", "--output", "json")
	require.NoError(t, json.Unmarshal([]byte(out), &findings))
	require.Zero(t, code, "%s\n%s", out, errs)

	killServers(t, s)
	speakStdio(t, s)

	// What was acknowledged is there after SIGKILL, and the stack starts again over what the killed one left behind.
	require.NoError(t, syscall.Kill(state.PID, syscall.SIGKILL))
	gone(t, state)
	again, err := local.ReadState(s.dir)
	require.NoError(t, err)
	gone(t, again)
	state, took = s.up()
	t.Logf("start after SIGKILL: %s", took.Round(time.Millisecond))
	require.Less(t, took, 30*time.Second)
	var list struct{ Patterns []patternView }
	s.ok(&list, "", "patterns", "list")
	require.EqualValues(t, 3005, total(list.Patterns))

	s.ok(nil, "", "down")
	gone(t, state)
	_, _, code = s.run("", "status")
	require.Equal(t, codeUnavailable, code)
}

// killServers kills each process of the stack in turn: it comes back by itself, and commands work again.
func killServers(t *testing.T, s shell) {
	t.Helper()
	for i, name := range []string{"postgres", "temporal", "worker", "mcp"} {
		before, err := local.ReadState(s.dir)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(before.PIDs[name], syscall.SIGKILL), name)
		begun := time.Now()
		require.Eventually(t, func() bool {
			now, err := local.ReadState(s.dir)
			return err == nil && now.PIDs[name] != before.PIDs[name]
		}, 20*time.Second, 20*time.Millisecond, "%s did not come back", name)
		var mined struct{ Results []struct{ State string } }
		require.Eventually(t, func() bool {
			out, errs, code := s.run(fmt.Sprintf("2026-11-20T10:00:0%dZ worker 3 finished batch %d\n", i, 90000+i), "patterns", "mine", "-", "--output", "json")
			if code != 0 {
				t.Logf("%s killed %s ago: %s", name, time.Since(begun).Round(10*time.Millisecond), errs)
				return false
			}
			return json.Unmarshal([]byte(out), &mined) == nil && mined.Results[0].State == "completed"
		}, 30*time.Second, 100*time.Millisecond, name)
		t.Logf("%s killed: mined again after %s", name, time.Since(begun).Round(time.Millisecond))
	}
	// A compressed file is counted as what is in it.
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("2026-11-20T10:00:09Z worker 3 finished batch 99999\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	s.ok(nil, packed.String(), "patterns", "mine", "-")
	var list struct{ Patterns []patternView }
	s.ok(&list, "", "patterns", "list")
	require.EqualValues(t, 3005, total(list.Patterns), "nothing is lost and nothing counted twice")
}

// speakStdio starts tartan mcp as an MCP client does and calls a tool.
func speakStdio(t *testing.T, s shell) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c, err := client.NewStdioMCPClient(self, append(os.Environ(), asCommand+"=1"), "mcp", "--data-dir", s.dir)
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req := mcp.InitializeRequest{}
	req.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	req.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	_, err = c.Initialize(ctx, req)
	require.NoError(t, err)
	var over recognition
	require.NoError(t, (&mcpClient{c}).call(ctx, "recognize", map[string]any{"lines": "worker 5 finished batch 12"}, &over))
	require.Len(t, over.Results, 1)
	require.NotNil(t, over.Results[0].Pattern)
}

// TestTour is make run: from nothing to recognised lines of this machine's own logs; the second time counts only what
// was added since.
func TestTour(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres and Temporal; run without -short")
	}
	t.Setenv(asCommand, "1")
	dir, err := os.MkdirTemp("", "tartan-tour-*")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := shell{t: t, dir: filepath.Join(dir, "data")}
	var lines [2]int64
	for i := range lines {
		begun := time.Now()
		out, errs, code := s.run("", "tour", "--exit", "--postgres-port", "0", "--temporal-port", "0", "--temporal-ui-port", "0", "--mcp-port", "0")
		require.Zero(t, code, errs)
		t.Logf("tour %d: %s", i+1, time.Since(begun).Round(100*time.Millisecond))
		for _, want := range []string{"recognised over MCP", "OVER TIME", "  unknown", "Temporal web UI  http://127.0.0.1:", `"mcpServers"`, "Bearer "} {
			require.Contains(t, out, want)
		}
		marks, err := readMarks(s.dir)
		require.NoError(t, err)
		require.NotEmpty(t, marks)
		for _, m := range marks {
			lines[i] += m.Size
		}
		_, err = local.ReadState(s.dir)
		require.ErrorIs(t, err, os.ErrNotExist, "nothing runs afterwards")
	}
	require.GreaterOrEqual(t, lines[1], lines[0])
}

// TestTakenPortIsSaidPlainly starts a stack on a port that something else has.
func TestTakenPortIsSaidPlainly(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres and Temporal; run without -short")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	dir, err := os.MkdirTemp("", "tartan-port-*")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := shell{t: t, dir: filepath.Join(dir, "data")}
	for _, flag := range []string{"--temporal-port", "--mcp-port"} {
		_, errs, code := s.run("", "up", "--postgres-port=0", "--temporal-port=0", "--temporal-ui-port=0", "--mcp-port=0", flag+"="+port)
		require.Equal(t, codeUnavailable, code, errs)
		require.Contains(t, errs, port)
		require.Contains(t, errs, "next: ")
	}
}

// sampleLog is n lines of three statements, one a second.
func sampleLog(n int) []byte {
	var b bytes.Buffer
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	for i := range n {
		fmt.Fprintf(&b, "%s ", at.Add(time.Duration(i)*time.Second).Format(time.RFC3339))
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "request %d from 10.0.0.%d took %dms\n", i, i%250, i%97)
		case 1:
			fmt.Fprintf(&b, "cache miss for key %08x\n", i*2654435761)
		default:
			fmt.Fprintf(&b, "worker %d finished batch %d\n", i%7, i)
		}
	}
	return b.Bytes()
}

func total(patterns []patternView) (lines int64) {
	for _, p := range patterns {
		lines += p.Lines
	}
	return lines
}

// mineTwice mines a file, and again: the second time counts nothing.
func mineTwice(t *testing.T, s shell, file string) {
	t.Helper()
	var mined struct {
		Library string
		Results []struct {
			State      string
			Lines      int64
			Already    bool
			WorkflowID string `json:"workflow_id"`
		}
	}
	for i := range 2 {
		s.ok(&mined, "", "patterns", "mine", file)
		require.Len(t, mined.Results, 1)
		require.Equal(t, "completed", mined.Results[0].State)
		require.EqualValues(t, 3000, mined.Results[0].Lines)
		require.Equal(t, i == 1, mined.Results[0].Already)
	}
	_, errs, code := s.run("", "patterns", "mine", filepath.Join(t.TempDir(), "absent.log"))
	require.Equal(t, codeNotFound, code, errs)
}

// read lists, shows and compares, and returns a pattern's id.
func read(t *testing.T, s shell) string {
	t.Helper()
	var list struct{ Patterns []patternView }
	s.ok(&list, "", "patterns", "list")
	require.EqualValues(t, 3000, total(list.Patterns), "every line is counted once")
	id := string(list.Patterns[0].ID)

	var one patternView
	s.ok(&one, "", "patterns", "show", id)
	require.Equal(t, list.Patterns[0].Template, one.Template)
	require.NotEmpty(t, one.Examples)
	require.Contains(t, s.ok(nil, "", "patterns", "list"), id)
	require.Contains(t, s.ok(nil, "", "patterns", "show", id), one.Template)

	var held valuesView
	s.ok(&held, "", "patterns", "values", id)
	require.Equal(t, one.Lines, held.Lines, "every line is summed up once")
	require.Len(t, held.Slots, len(one.Slots))
	require.Equal(t, one.Lines, held.Slots[0].Count)
	require.Contains(t, s.ok(nil, "", "patterns", "values", id, "--slot", one.Slots[0].Name), one.Slots[0].Name)
	_, errs, code := s.run("", "patterns", "values", id, "--slot", "none")
	require.Equal(t, codeUsage, code, errs)

	var changes struct{ Changes []changeView }
	s.ok(&changes, "", "patterns", "compare", "--base-from", "2026-11-19", "--base-to", "2026-11-20", "--from", "2026-11-20", "--to", "2026-11-21")
	require.Len(t, changes.Changes, len(list.Patterns))
	require.Equal(t, "new", changes.Changes[0].Kind)

	_, errs, code = s.run("", "patterns", "show", "p0000000000000000")
	require.Equal(t, codeNotFound, code, errs)
	_, errs, code = s.run("", "patterns", "list", "--library", "absent")
	require.Equal(t, codeNotFound, code, errs)
	_, errs, code = s.run("", "patterns", "list", "--workspace", "elsewhere")
	require.Equal(t, codeDenied, code, errs)
	return id
}

// analyse asks for what goes beyond reading: exports, pictures, explanations, sequences.
func analyse(t *testing.T, s shell, id, log string) {
	t.Helper()
	for _, format := range []string{"regex", "grok", "otel"} {
		var v exportView
		s.ok(&v, "", "patterns", "export", id, "--format", format)
		require.Equal(t, v.Examples, v.Matched, v.Text)
		require.NotZero(t, v.Examples)
	}
	require.Contains(t, s.ok(nil, "", "patterns", "export", "--all"), "# "+id)
	_, errs, code := s.run("", "patterns", "export", id, "--format", "yaml")
	require.Equal(t, codeUsage, code, errs)
	file := filepath.Join(t.TempDir(), "out.svg")
	s.ok(nil, "", "patterns", "draw", id, "-f", file)
	svg, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(svg), "</svg>")
	require.Contains(t, s.ok(nil, "", "patterns", "draw"), "library default")
	require.Contains(t, s.ok(nil, "no such thing was ever said\n", "recognize", "--explain"), "unknown")
	var tried triedReport
	s.ok(&tried, "", "patterns", "try", log, "--library", "default")
	require.Equal(t, 3000, tried.Lines)
	require.NotEmpty(t, tried.Patterns[0].Known)
	var found, durable sequencesView
	s.ok(&found, "", "patterns", "sequences", log)
	s.ok(&durable, "", "patterns", "sequences")
	require.Equal(t, found.SessionKey, durable.SessionKey)
	require.Equal(t, found.Report, durable.Report, "in this process and by the workflow")
}

// editAndUndo makes each edit of the command line and takes it back.
func editAndUndo(t *testing.T, s shell, id string) {
	t.Helper()
	list := func(args ...string) (out []patternView) {
		var l struct{ Patterns []patternView }
		s.ok(&l, "", append([]string{"patterns", "list"}, args...)...)
		for i := range l.Patterns { // the past is not undone: versions, and ids that were given out meanwhile
			l.Patterns[i].Version, l.Patterns[i].Aliases = 0, nil
		}
		return l.Patterns
	}
	before := list()
	var made editView
	var last int64
	do := func(args ...string) {
		t.Helper()
		s.ok(&made, "", append([]string{"patterns"}, args...)...)
		require.Equal(t, "completed", made.State)
		require.Len(t, made.Edits, 1)
		last = made.Edits[0].Number
	}
	undo := func() {
		t.Helper()
		do("undo", fmt.Sprint(last), "--reason", "only a test")
		require.Equal(t, before, list())
	}
	do("define", "<what:word> <n:number> from <rest>", "--name", "mine", "--severity", "warning", "--tag", "a,b", "--reason", "a test")
	require.Equal(t, []patternView{{Name: "mine", Severity: "warning", Tags: []string{"a", "b"}, Origin: "own"}}, notes(list("--query", "mine")))
	undo()
	do("define", "<what:word> 500 from <rest>")
	require.False(t, made.Edits[0].Patterns[0].CountedSince.IsZero())
	var own patternView
	s.ok(&own, "", "patterns", "show", string(made.Edits[0].Patterns[0].ID))
	require.Equal(t, made.Edits[0].Patterns[0].CountedSince, *own.CountedSince)
	undo()
	do("describe", id, "--owner", "team", "--description", "words")
	require.Equal(t, []patternView{{Owner: "team", Description: "words"}}, notes(list("--query", id)))
	undo()
	do("ignore", id)
	require.Empty(t, list("--query", id))
	require.Len(t, list("--query", id, "--ignored"), 1)
	do("unignore", id)
	require.Equal(t, before, list())
	do("undo", fmt.Sprint(last)) // ignored again
	require.Empty(t, list("--query", id))
	do("undo", fmt.Sprint(last)) // and not
	require.Equal(t, before, list())
	do("pin", id)
	require.Equal(t, []patternView{{Origin: "pinned"}}, notes(list("--query", id)))
	do("unpin", id)
	require.Equal(t, before, list())
	do("merge", id, string(before[1].ID), "--into", "all in <one>")
	require.Len(t, list(), len(before)-1)
	require.Contains(t, s.ok(nil, "", "patterns", "show", id), "all in <*>", "an earlier id")
	undo()
	var history historyView
	s.ok(&history, "", "patterns", "history", id)
	require.NotEmpty(t, history.Edits)
	require.Equal(t, "only a test", history.Edits[0].Reason)
	require.True(t, history.Edits[1].Undone)
	require.Contains(t, s.ok(nil, "", "patterns", "history"), "undone")
	_, errs, code := s.run("", "patterns", "split", id, "--slot", "nonsense")
	require.Equal(t, codeUsage, code, errs)
	require.Contains(t, errs, "slot")
	_, errs, code = s.run("", "patterns", "undo", "999")
	require.Equal(t, codeUsage, code, errs)
	_, errs, code = s.run("", "patterns", "pin", id, "--base-revision", "1")
	require.Equal(t, codeUsage, code, errs)
	require.Contains(t, errs, "is at revision")
}

// notes are what people said of patterns, and nothing else of them.
func notes(all []patternView) (out []patternView) {
	for _, p := range all {
		out = append(out, patternView{Name: p.Name, Description: p.Description, Tags: p.Tags, Owner: p.Owner, Severity: p.Severity, Origin: p.Origin})
	}
	return out
}

// recogniseAndControl asks what lines are, in this process and over MCP, and looks at the workflows.
func recogniseAndControl(t *testing.T, s shell, id string) {
	t.Helper()
	lines := "2026-11-23T09:00:00Z request 4711 from 10.9.8.7 took 3ms\nthe loom has stopped\n"
	out := s.ok(nil, lines, "recognize", "--output", "json")
	var got []answer
	for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
		var a answer
		require.NoError(t, dec.Decode(&a))
		got = append(got, a)
	}
	require.Len(t, got, 2)
	require.True(t, got[0].Known)
	require.False(t, got[1].Known)
	require.Len(t, got[0].Values, 3)

	token := strings.TrimSpace(s.ok(nil, "", "token", "--ttl", "10m"))
	var status stackView
	s.ok(&status, "", "status")
	require.Len(t, status.Processes, 5)
	for _, p := range status.Processes {
		require.True(t, p.Alive, p.Name)
	}
	c, err := dialMCP(context.Background(), status.MCPURL, token)
	require.NoError(t, err)
	defer c.close()
	var over recognition
	require.NoError(t, c.call(context.Background(), "recognize", map[string]any{"lines": lines}, &over))
	require.Len(t, over.Results, 2)
	require.NotNil(t, over.Results[0].Pattern)
	require.Nil(t, over.Results[1].Pattern)
	require.Equal(t, string(got[0].PatternID), over.Patterns[0].ID, "the CLI and MCP agree")

	var runs struct{ Workflows []runView }
	s.ok(&runs, "", "workflows", "list")
	require.Len(t, runs.Workflows, 1)
	var run runView
	s.ok(&run, "", "workflows", "show", runs.Workflows[0].WorkflowID)
	require.Equal(t, "completed", run.State)
	_, errs, code := s.run("", "workflows", "pause", run.WorkflowID)
	require.Equal(t, codeFailure, code, "a finished workflow cannot be paused: %s", errs)
	_, errs, code = s.run("", "workflows", "show", "process/none")
	require.Equal(t, codeNotFound, code, errs)
	require.NotEmpty(t, id)
}
