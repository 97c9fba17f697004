package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/workflows"
)

var callsFlag = flag.Int("calls", 0, "calls of agents to measure, in Python and in Go each; docs/benchmarks.md has 1,000")

// TestCallsToAgents measures CallAgent on the local stack: the workflow in Go, the activity in a new agent in Python and, by turns
// with it, in the core agent of knowledge, which asks the database. The times are those of the server's history.
func TestCallsToAgents(t *testing.T) {
	if *callsFlag <= 0 {
		t.Skip("a measurement: -calls 1000")
	}
	uv, s := findUV(t), newStack(t)
	dir := filepath.Join(t.TempDir(), "vibration")
	s.run(t, "agent", "new", "vibration", "--dir", dir)
	var stack map[string]string
	require.NoError(t, json.Unmarshal(s.run(t, "agent", "env", "-o", "json"), &stack))
	env := os.Environ()
	for name, value := range stack {
		env = append(env, name+"="+value)
	}
	sync := exec.Command(uv, "sync", "-q")
	sync.Dir, sync.Env = dir, env
	out, err := sync.CombinedOutput()
	require.NoError(t, err, "%s", out)
	agent := runAgent(t, uv, dir, "vibration", env)
	require.Eventually(t, func() bool { return s.agentState(t, "vibration") == "live" }, 2*time.Minute, 200*time.Millisecond)

	st, err := local.ReadState(s.dir)
	require.NoError(t, err)
	temporal, err := client.Dial(client.Options{HostPort: st.TemporalAddress, Logger: telemetry.Temporal(zap.NewNop())})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	caller := s.caller(t)
	python, core := &callTimes{}, &callTimes{}
	measure := func(into *callTimes, agent, activity string, input any) {
		body, err := json.Marshal(input)
		require.NoError(t, err)
		in := workflows.CallAgentInput{Caller: caller, Agent: agent, Activity: activity, Input: body}
		began := time.Now()
		run, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.CallWorkflowID(caller.WorkspaceID, agent, uuid.NewString()), TaskQueue: workflows.TaskQueue}, workflows.CallAgent, in)
		require.NoError(t, err)
		require.NoError(t, run.Get(t.Context(), nil))
		into.whole = append(into.whole, time.Since(began))
		into.add(t, temporal, run)
	}
	worked := map[string]int{"agent": agent.Process.Pid, "worker": s.pid(t, "worker"), "temporal": s.pid(t, "temporal")}
	before := map[string]time.Duration{}
	for role, pid := range worked {
		before[role] = processorTime(t, pid)
	}
	for i := range *callsFlag {
		measure(python, "vibration", "vibration.features", map[string]any{"caller": caller, "windows": []any{map[string]any{"values": []int{1, i, 6}}}})
		measure(core, "knowledge", "ListSpaces", map[string]any{"caller": caller})
	}
	for role, pid := range worked {
		t.Logf("processor time of %s, per round of two calls: %s", role, (processorTime(t, pid)-before[role])/time.Duration(*callsFlag))
	}
	load, err := os.ReadFile("/proc/loadavg")
	require.NoError(t, err)
	t.Logf("%d calls each, load %.14s; start to close, hop (scheduled to back in the workflow), whole (client to client), in ms", *callsFlag, load)
	t.Logf("Go to Python: %s; resident %d MB", python, resident(t, agent.Process.Pid))
	t.Logf("Go to Go:     %s; resident %d MB", core, resident(t, s.pid(t, "worker")))
}

// callTimes are the times of calls.
type callTimes struct{ closed, hop, whole []time.Duration }

// add reads the times of a call from its history.
func (c *callTimes) add(t *testing.T, temporal client.Client, run client.WorkflowRun) {
	t.Helper()
	var scheduled, started, completed time.Time
	history := temporal.GetWorkflowHistory(t.Context(), run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		e, err := history.Next()
		require.NoError(t, err)
		switch at := e.GetEventTime().AsTime(); e.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			require.Zero(t, scheduled, "a call is one activity")
			scheduled = at
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			require.EqualValues(t, 1, e.GetActivityTaskStartedEventAttributes().GetAttempt())
			started = at
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			completed = at
			c.closed = append(c.closed, at.Sub(started))
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED:
			if !completed.IsZero() {
				c.hop = append(c.hop, at.Sub(scheduled))
			}
		default:
		}
	}
	require.Len(t, c.closed, len(c.whole))
	require.Len(t, c.hop, len(c.whole))
}

func (c *callTimes) String() string {
	var out []string
	for _, x := range []struct {
		name string
		all  []time.Duration
	}{{"start to close", c.closed}, {"hop", c.hop}, {"whole", c.whole}} {
		slices.Sort(x.all)
		at := func(percent int) float64 { return float64(x.all[len(x.all)*percent/100].Microseconds()) / 1000 }
		out = append(out, fmt.Sprintf("%s p50 %.1f p95 %.1f", x.name, at(50), at(95)))
	}
	return strings.Join(out, ", ")
}

// caller is who the commands of the stack act as.
func (s *stack) caller(t *testing.T) (c access.Caller) {
	t.Helper()
	conn, err := s.database(t.Context())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	require.NoError(t, conn.QueryRow(t.Context(), "select user_id, workspace_id from tartan.members").Scan(&c.UserID, &c.WorkspaceID))
	return c
}

// resident is the memory of a process, in MB.
func resident(t *testing.T, pid int) (mb int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(status), "VmRSS:")
	require.True(t, found)
	_, err = fmt.Sscanf(rest, "%d kB", &mb)
	require.NoError(t, err)
	return mb / 1000
}

// processorTime is what a process has used, to the ten milliseconds that the system counts in.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	var user, system int
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the state on, the third
	require.Greater(t, len(fields), 12)
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	require.NoError(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}
