package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/local"
)

// readyWithin bounds a start of the whole stack. A cold one may have to build the Temporal server first.
const readyWithin = 20 * time.Minute

var logsFlag = flag.String("logs", "", "a folder where the logs of a test that failed are kept, as a whole")

// bin is the built command; TestMain makes it.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tartan-e2e-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = filepath.Join(dir, "tartan")
		build := exec.Command("go", "build", "-o", bin, "../../starter")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does, which has filled the build cache
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build tartan:", err)
			return 1
		}
		return m.Run()
	}())
}

// logged is what a child said so far.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// stack is one `tartan up` in a folder of its own.
type stack struct {
	dir string
	cmd *exec.Cmd
	log *logged

	token string // for MCP
}

// newStack starts a stack and stops it when the test ends.
func newStack(t *testing.T) *stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "tartan-e2e-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &stack{dir: dir}
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("tartan up said:\n%s", s.log)
			s.showLogs(t)
		}
		require.NoError(t, os.RemoveAll(dir))
	})
	s.up(t)
	return s
}

// up starts `tartan up` and waits until it says that it is ready.
func (s *stack) up(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	s.log = &logged{}
	s.cmd = exec.Command(bin, "up", "--data-dir", s.dir, "--postgres-port", "0", "--temporal-port", "0", "--temporal-ui-port", "0", "--mcp-port", "0")
	s.cmd.Stderr = s.log
	s.cmd.Env = cleanEnv()
	require.NoError(t, s.cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- s.cmd.Wait() }()
	deadline := time.After(readyWithin)
	for {
		if st, err := local.ReadState(s.dir); err == nil && st.Ready && st.PID == s.cmd.Process.Pid {
			return time.Since(began)
		}
		select {
		case err := <-exited:
			t.Fatalf("tartan up ended before it was ready: %v\n%s", err, s.log)
		case <-deadline:
			t.Fatalf("tartan up was not ready within %s\n%s", readyWithin, s.log)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// stop ends the stack as Ctrl-C does and checks that nothing is left running.
func (s *stack) stop(t *testing.T) {
	t.Helper()
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	st, _ := local.ReadState(s.dir)
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	for _, p := range append(pids(st), s.cmd.Process.Pid) {
		waitGone(t, p, 30*time.Second)
	}
	s.cmd = nil
}

// showLogs shows the end of what each process said, and keeps all of it in the folder that -logs names.
func (s *stack) showLogs(t *testing.T) {
	folder := filepath.Dir(local.LogPath(s.dir, ""))
	if *logsFlag != "" {
		kept := filepath.Join(*logsFlag, t.Name())
		if err := os.CopyFS(kept, os.DirFS(folder)); err != nil {
			t.Errorf("keep the logs: %v", err)
		} else {
			t.Logf("the logs are kept in %s", kept)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Errorf("read the logs: %v", err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(filepath.Join(folder, f.Name())); err == nil {
			t.Logf("%s:\n%s", f.Name(), tail(text, 8000))
		}
	}
}

func tail(text []byte, n int) []byte {
	if len(text) > n {
		return text[len(text)-n:]
	}
	return text
}

// pid is the process of a role, as the stack itself names it.
func (s *stack) pid(t *testing.T, role string) int {
	t.Helper()
	st, err := local.ReadState(s.dir)
	require.NoError(t, err)
	require.Positive(t, st.PIDs[role], "the stack names no process for %s", role)
	return st.PIDs[role]
}

func pids(st local.State) []int {
	return slices.Collect(maps.Values(st.PIDs))
}

// kill ends the process of a role as a power failure would.
func (s *stack) kill(t *testing.T, role string) {
	t.Helper()
	pid := s.pid(t, role)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

// try runs a tartan command against the stack and returns its stdout.
func (s *stack) try(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, append(args, "--data-dir", s.dir)...)
	cmd.Env = cleanEnv()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("tartan %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out, err
}

func (s *stack) run(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := s.try(args...)
	require.NoError(t, err)
	return out
}

// cleanEnv is the environment without settings of another stack.
func cleanEnv() []string {
	var out []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "TARTAN_") && !strings.HasPrefix(kv, "TEMPORAL_") || strings.HasPrefix(kv, "TARTAN_PG_BIN=") || strings.HasPrefix(kv, "TARTAN_TEMPORAL_BIN=") {
			out = append(out, kv)
		}
	}
	return out
}

func waitGone(t *testing.T, pid int, within time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool { return !alive(pid) }, within, 20*time.Millisecond, "process %d is still running", pid)
}

// alive reports whether pid runs; a zombie, which nobody may have reaped in a container, does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(bytes.TrimSpace(after), []byte("Z"))
}
