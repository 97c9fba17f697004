package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// findUV returns the uv that `make deps` installs, or the one on PATH.
func findUV(t *testing.T) string {
	t.Helper()
	if path, err := filepath.Abs("../../.cache/uv/bin/uv"); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("uv")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("uv is missing, and CI has it: make deps")
		}
		t.Skip("uv is missing: agents in Python are left out (make deps installs it as root)")
	}
	return path
}

// runAgent starts the agent of a project that uv has synced.
func runAgent(t *testing.T, uv, dir, name string, env []string) *exec.Cmd {
	t.Helper()
	c := exec.Command(filepath.Join(dir, ".venv", "bin", name))
	c.Dir, c.Env, c.Stderr = dir, env, os.Stderr
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_, _ = c.Process.Wait()
		}
	})
	return c
}

// TestNewAgentWorks makes an agent as its author does and has it work: its tests pass, it is seen, what workflows ask of it is
// done, what its contract forbids is refused, and where it is killed at work another one of it does that work.
func TestNewAgentWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a stack and Python, which takes seconds")
	}
	uv := findUV(t)
	s := newStack(t)
	dir := filepath.Join(t.TempDir(), "vibration")
	s.run(t, "agent", "new", "vibration", "--dir", dir)
	slow := "\n    import time\n\n    if given.windows and given.windows[0].name == \"slow\":\n        time.sleep(3)\n"
	source := filepath.Join(dir, "src", "vibration", "activities.py")
	text, err := os.ReadFile(source)
	require.NoError(t, err)
	marked := strings.Replace(string(text), "    rows: list[list[float]] = []\n", slow+"    rows: list[list[float]] = []\n", 1)
	require.NotEqual(t, string(text), marked)

	var stack map[string]string
	require.NoError(t, json.Unmarshal(s.run(t, "agent", "env", "-o", "json"), &stack))
	env := os.Environ()
	for name, value := range stack {
		env = append(env, name+"="+value)
	}
	test := exec.Command(uv, "run", "pytest", "-q")
	test.Dir, test.Env = dir, env
	out, err := test.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "3 passed")

	require.NoError(t, os.WriteFile(source, []byte(marked), 0o644))
	first := runAgent(t, uv, dir, "vibration", env)
	require.Eventually(t, func() bool { return s.agentState(t, "vibration") == "live" }, 30*time.Second, 200*time.Millisecond)

	require.Contains(t, string(s.run(t, "agents", "call", "vibration.features", `{"windows": [{"values": [1, 2, 6]}]}`)), `"highest"`)
	for input, says := range map[string]string{
		`{"windows": 3}`:                "$.windows: a list is wanted, not int",
		`{"windows": [{"values": []}]}`: "$.windows[0].values is empty",
		`{}`:                            "$.windows is missing",
	} {
		_, err := s.try("agents", "call", "vibration.features", input)
		require.ErrorContains(t, err, says)
	}

	done := make(chan string, 1) // what the call whose agent is killed ends with
	go func() {
		out, err := s.try("agents", "call", "vibration.features", `{"windows": [{"values": [4, 5], "name": "slow"}]}`)
		if err != nil {
			out = []byte(err.Error())
		}
		done <- string(out)
	}()
	time.Sleep(1500 * time.Millisecond)
	require.NoError(t, first.Process.Signal(syscall.SIGKILL))
	_, _ = first.Process.Wait()
	require.Eventually(t, func() bool { return s.agentState(t, "vibration") == "lost" }, 30*time.Second, 200*time.Millisecond)
	second := runAgent(t, uv, dir, "vibration", env)
	require.Contains(t, <-done, "4.5")

	require.NoError(t, second.Process.Signal(syscall.SIGTERM))
	require.NoError(t, second.Wait(), "an agent that is told to stop ends well")
}

func (s *stack) agentState(t *testing.T, name string) string {
	var got struct {
		Agents []struct{ Agent, State string } `json:"agents"`
	}
	out, err := s.try("agents", "list", "-o", "json")
	if err != nil {
		return ""
	}
	require.NoError(t, json.Unmarshal(out, &got))
	for _, a := range got.Agents {
		if a.Agent == name {
			return a.State
		}
	}
	return ""
}
