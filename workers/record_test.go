package workers_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/workflows"
)

var record = flag.Bool("record", false, "record the histories in workflows/testdata/histories anew")

// TestRecordHistories runs every branch of ProcessPatterns on a real server and keeps the histories for the replay
// test. Give the files of a released version other names than those of the next.
func TestRecordHistories(t *testing.T) {
	if !*record {
		t.Skip("histories are recorded with -record only: those that are there must go on replaying")
	}
	s := newStack(t)
	s.suggestContinueAsNewAfter(80)
	s.worker()
	all := messages(t)

	done := func(name string, in workflows.ProcessPatternsInput) {
		status, _ := s.mine(in)
		s.save(name, status.WorkflowID)
	}
	done("one_chunk", s.input("one", s.put(generate(all, 0, 300))))
	inline := workflows.ProcessPatternsInput{Caller: s.caller, Library: "inline", Source: workflows.SourceRef{Name: "paste", Inline: []byte("one line 1\n")}}
	done("inline", inline)

	in := s.input("happy", s.put(generate(all, 0, 800)))
	in.ChunkBytes = 20_000
	done("chunks", in)

	missing := s.input("bad", s.put(generate(all, 0, 10)))
	missing.Source.ObjectKey, missing.Source.SHA256 = "", fmt.Sprintf("%064x", 1)
	s.save("missing_source", s.until(missing, activities.StateFailed))
	missing.Source.Bytes, missing.Source.SHA256 = 0, fmt.Sprintf("%064x", 2)
	s.save("missing_source_of_unknown_size", s.until(missing, activities.StateFailed))

	in = s.input("paused", s.put(generate(all, 0, 4000)))
	in.ChunkBytes, in.Window = 40_000, 1
	id := s.start(in)
	s.control(id, workflows.ActionPause)
	eventually(t, "the run is paused", func() bool {
		d, err := workflows.Describe(context.Background(), s.client, id)
		return err == nil && d.State == activities.StatePaused && d.Progress.ChunksRunning == 0
	})
	s.control(id, workflows.ActionResume)
	s.save("paused_and_resumed", s.until(in, activities.StateCompleted))

	in = s.input("cancelled", s.put(generate(all, 0, 4001)))
	in.ChunkBytes, in.Window = 40_000, 2
	id = s.start(in)
	eventually(t, "a chunk is done", func() bool {
		d, err := workflows.Describe(context.Background(), s.client, id)
		return err == nil && d.Progress != nil && d.Progress.ChunksDone > 0
	})
	s.control(id, workflows.ActionCancel)
	_, err := workflows.Wait(context.Background(), s.client, id, 100*time.Millisecond, nil)
	require.NoError(t, err)
	s.save("cancelled", id)
	s.start(in)
	s.save("continued_after_cancel", s.until(in, activities.StateCompleted))

	in = s.input("long", s.put(generate(all, 0, 4002)))
	in.ChunkBytes = 20_000
	id = s.start(in)
	runs := []string{s.runID(id)}
	eventually(t, "the runs end", func() bool {
		if run := s.runID(id); run != runs[len(runs)-1] {
			runs = append(runs, run)
		}
		d, err := workflows.Describe(context.Background(), s.client, id)
		return err == nil && d.Finished()
	})
	require.Greater(t, len(runs), 1)
	s.saveRun("continued_as_new_first", id, runs[0])
	s.saveRun("continued_as_new_last", id, runs[len(runs)-1])
}

// TestRecordEdits keeps the histories of EditLibrary: one that was made, one that was refused.
func TestRecordEdits(t *testing.T) {
	if !*record {
		t.Skip("histories are recorded with -record only: those that are there must go on replaying")
	}
	s := newStack(t)
	s.worker()
	s.mine(s.input("edited", s.put(generate(messages(t), 0, 300))))
	for name, e := range map[string]edit.Edit{
		"edit_made":    {Action: edit.Define, Template: "a line of <name>"},
		"edit_refused": {Action: edit.Define, Template: "status=500"},
	} {
		id, existed, err := workflows.StartEdit(context.Background(), s.client, workflows.EditLibraryInput{Caller: s.caller, Library: "edited", Edits: []edit.Edit{e}}, name)
		require.NoError(t, err)
		require.False(t, existed)
		out, failed, err := workflows.EditResult(context.Background(), s.client, id, time.Minute)
		require.NoError(t, err)
		require.Equal(t, name == "edit_made", out != nil && failed == nil, "%+v", failed)
		s.save(name, id)
	}
}

// suggestContinueAsNewAfter puts a server beside the stack's that thinks a history of so many events long.
func (s *stack) suggestContinueAsNewAfter(events int) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(s.t, l.Close())
	cmd := exec.Command(s.temporal.Bin, "server", "start-dev", "--headless", "--port", fmt.Sprint(port),
		"--dynamic-config-value", fmt.Sprintf("limit.historyCount.suggestContinueAsNew=%d", events))
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() }) //nolint:errcheck // in memory only
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s.temporal = &local.Temporal{Address: address, Bin: s.temporal.Bin}
	eventually(s.t, "the server answers", func() bool {
		c, err := client.Dial(client.Options{HostPort: address, Identity: "recorder"})
		if err != nil {
			return false
		}
		s.client = c
		_, err = c.DescribeWorkflowExecution(context.Background(), "none", "")
		return err != nil && workflowMissing(c)
	})
	s.t.Cleanup(s.client.Close)
}

func workflowMissing(c client.Client) bool {
	_, err := workflows.Describe(context.Background(), c, "none")
	return err != nil && isNotFound(err)
}

func (s *stack) start(in workflows.ProcessPatternsInput) string {
	s.t.Helper()
	id, _, existed, err := workflows.StartProcess(context.Background(), s.client, in)
	require.NoError(s.t, err)
	require.False(s.t, existed)
	return id
}

func (s *stack) control(id, action string) {
	s.t.Helper()
	require.NoError(s.t, workflows.Control(context.Background(), s.client, id, action))
}

// until starts or finds a workflow and waits until it ends in the state.
func (s *stack) until(in workflows.ProcessPatternsInput, state string) string {
	s.t.Helper()
	id, _, _, err := workflows.StartProcess(context.Background(), s.client, in)
	require.NoError(s.t, err)
	status, err := workflows.Wait(context.Background(), s.client, id, 100*time.Millisecond, nil)
	require.NoError(s.t, err)
	require.Equal(s.t, state, status.State, "%+v", status)
	return id
}

func (s *stack) runID(id string) string {
	d, err := s.client.DescribeWorkflowExecution(context.Background(), id, "")
	require.NoError(s.t, err)
	return d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

func (s *stack) save(name, id string) { s.saveRun(name, id, "") }

func (s *stack) saveRun(name, id, run string) {
	s.t.Helper()
	var h historypb.History
	events := s.client.GetWorkflowHistory(context.Background(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(s.t, err)
		h.Events = append(h.Events, e)
	}
	text, err := protojson.MarshalOptions{Indent: " "}.Marshal(&h)
	require.NoError(s.t, err)
	folder := filepath.Join("..", "workflows", "testdata", "histories")
	require.NoError(s.t, os.MkdirAll(folder, 0o755))
	require.NoError(s.t, os.WriteFile(filepath.Join(folder, name+".json"), append(text, '\n'), 0o644))
	s.t.Logf("%s: %d events, %d bytes", name, len(h.Events), len(text))
}
