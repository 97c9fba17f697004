package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A dead child that nobody waited for is a zombie: signals reach it, but it does not live.
func TestAZombieIsNotAlive(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/true")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return !alive(cmd.Process.Pid) }, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, syscall.Kill(cmd.Process.Pid, 0), "it still has its number")
	require.NoError(t, cmd.Wait())
	require.True(t, alive(os.Getpid()))
	require.False(t, alive(0))
}

// shell starts a shell script as a child that is stopped when the test ends.
func shell(t *testing.T, script string) *process {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	require.NoError(t, err)
	defer out.Close()
	p, err := start(spec{name: "script", path: "/bin/sh", args: []string{"-c", script}, out: out, onParentDeath: syscall.SIGKILL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Kill(-p.pid, syscall.SIGKILL); <-p.done })
	require.Eventually(t, func() bool { // the script says so when its traps are set
		body, err := os.ReadFile(out.Name())
		return err == nil && strings.Contains(string(body), "ready")
	}, 10*time.Second, 5*time.Millisecond)
	return p
}

func TestStopEscalates(t *testing.T) {
	t.Parallel()
	steps := []step{{syscall.SIGINT, 300 * time.Millisecond}, {syscall.SIGQUIT, 300 * time.Millisecond}}
	t.Run("first signal", func(t *testing.T) {
		t.Parallel()
		p := shell(t, `trap 'exit 0' INT; echo ready; while :; do sleep 0.02; done`)
		require.NoError(t, p.stop(t.Context(), steps))
		require.NoError(t, p.err)
		require.NoError(t, p.stop(t.Context(), steps), "twice does no harm")
	})
	t.Run("second signal", func(t *testing.T) {
		t.Parallel()
		p := shell(t, `trap '' INT; trap 'exit 3' QUIT; echo ready; while :; do sleep 0.02; done`)
		began := time.Now()
		require.NoError(t, p.stop(t.Context(), steps))
		require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
		require.ErrorContains(t, p.err, "3")
	})
	t.Run("the whole group", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "grandchild")
		p := shell(t, `trap '' INT QUIT; sleep 1000 & echo $! > `+file+`; echo ready; while :; do sleep 0.02; done`)
		require.ErrorContains(t, p.stop(t.Context(), steps), "had to be killed")
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		var grandchild int
		_, err = fmt.Sscan(string(body), &grandchild)
		require.NoError(t, err)
		require.True(t, waitGone(t.Context(), 5*time.Second, grandchild))
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		p := shell(t, `trap '' INT QUIT; echo ready; while :; do sleep 0.02; done`)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		require.Error(t, p.stop(ctx, []step{{syscall.SIGINT, time.Hour}}))
		require.Less(t, time.Since(began), 10*time.Second)
		require.True(t, p.exited())
	})
}

func TestChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	starts := make(chan int, 16)
	began := time.Now()
	c, err := StartChild(t.Context(), ChildOptions{
		Name: "worker", DataDir: dir, Path: "/bin/sh", Args: []string{"-c", "echo up; exec sleep 1000"}, OnStart: func(pid int) { starts <- pid },
	})
	require.NoError(t, err)
	said := func(times int) { // all write to one log
		require.Eventually(t, func() bool {
			body, err := os.ReadFile(LogPath(dir, "worker"))
			return err == nil && strings.Count(string(body), "up") == times
		}, 10*time.Second, 5*time.Millisecond)
	}
	first := <-starts
	require.Equal(t, first, c.PID())
	said(1)

	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	killed := time.Now()
	second := <-starts
	require.Less(t, time.Since(killed), time.Second)
	t.Logf("started in %s, again after a kill in %s", killed.Sub(began), time.Since(killed))
	require.NotEqual(t, first, second)
	said(2)
	require.Equal(t, 1, c.Restarts())

	// The next one waits, because this one did not run for long.
	require.NoError(t, syscall.Kill(second, syscall.SIGKILL))
	killed = time.Now()
	third := <-starts
	require.GreaterOrEqual(t, time.Since(killed), firstBackoff)
	said(3)
	require.NoError(t, c.Stop(t.Context()))
	require.NoError(t, c.Stop(t.Context()), "twice does no harm")
	require.False(t, alive(third))
	require.Empty(t, starts)
}

func TestChildThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := StartChild(t.Context(), ChildOptions{Name: "x", DataDir: dir, Path: filepath.Join(dir, "missing")})
	require.ErrorContains(t, err, "missing")

	c, err := StartChild(t.Context(), ChildOptions{Name: "x", DataDir: dir, Path: "/bin/sh", Args: []string{"-c", "exit 7"}})
	require.NoError(t, err)
	time.Sleep(700 * time.Millisecond)
	require.Less(t, c.Restarts(), 6, "it is not started in a tight loop")
	require.NoError(t, c.Stop(t.Context()))
}

func TestChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	a := startActor(t, "child", t.TempDir())
	require.True(t, alive(a.pid))
	a.kill()
	require.True(t, waitGone(t.Context(), 5*time.Second, a.pid))
}

func TestStopWithInput(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	stopped := make(chan struct{})
	StopWithInput(r, func() { close(stopped) })
	select {
	case <-stopped:
		t.Fatal("stopped while the parent lives")
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, w.Close())
	<-stopped
}

func TestLogIsRotated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "logs", "x.log")
	f, stop, err := openLog(path)
	require.NoError(t, err)
	defer f.Close()
	defer stop()
	_, err = f.WriteString(strings.Repeat("old\n", 100))
	require.NoError(t, err)
	require.NoError(t, rotateLog(path, 1000), "not yet")
	require.NoFileExists(t, path+".1")
	require.NoError(t, rotateLog(path, 100))
	_, err = f.WriteString("new\n")
	require.NoError(t, err)
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new\n", string(body), "the writer goes on at the start of the file")
	require.Equal(t, "new", logTail(path, 4000))
	body, err = os.ReadFile(path + ".1")
	require.NoError(t, err)
	require.Len(t, body, 400)
}

func TestLockAndState(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", ".tartan")
	_, err := ReadState(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	release, err := Lock(dir)
	require.NoError(t, err)
	_, err = Lock(dir)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, fmt.Sprint(os.Getpid()))

	want := State{PID: os.Getpid(), PIDs: map[string]int{"worker": 1}, DatabaseURL: "postgres://u:secret@h/d", StartedAt: time.Now().UTC().Round(0), Ready: true}
	require.NoError(t, WriteState(dir, want))
	info, err := os.Stat(filepath.Join(dir, stateFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds a password")
	got, err := ReadState(dir)
	require.NoError(t, err)
	require.True(t, got.Alive())
	got.dataDir = ""
	require.Equal(t, want, got)

	release()
	got, err = ReadState(dir)
	require.NoError(t, err)
	require.False(t, got.Alive(), "the number lives, but it is not the stack: the lock is free")
	require.NoError(t, RemoveState(dir))
	require.NoError(t, RemoveState(dir))
	again, err := Lock(dir)
	require.NoError(t, err)
	again()
}

func TestReaches(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	inside := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(inside, 0o755))
	stranger := &identity{name: "stranger", uid: 54321, gid: 54321}
	require.True(t, stranger.reaches(inside))
	require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0o700))
	require.False(t, stranger.reaches(inside))
	require.False(t, stranger.reaches(filepath.Join(dir, "none")))
	owner := &identity{name: "owner", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	require.True(t, owner.reaches(inside))
	require.True(t, (*identity)(nil).reaches(inside))
	require.Equal(t, "stranger", stranger.String())
}
