package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// identity is the user a child runs as; nil means the user of this process.
type identity struct {
	name     string
	uid, gid uint32
}

// spec is one child process to start.
type spec struct {
	name  string // as in errors and logs
	path  string
	args  []string
	env   []string
	dir   string
	user  *identity
	out   *os.File   // stdout and stderr; nil discards them
	files []*os.File // from descriptor 3 on
	// stdin, when set, is a pipe that ends when this process does: a child that reads it notices even
	// where the system cannot signal it.
	stdin bool
	// onParentDeath is the signal that the system sends the child when this process dies (Linux).
	onParentDeath syscall.Signal
}

// process is a running child, in a process group of its own so that Ctrl-C on a terminal reaches only the
// parent, which stops its children in order.
type process struct {
	name  string
	pid   int
	stdin *os.File
	done  chan struct{}
	err   error // why it ended; valid after done
}

// start runs a child. The thread that forks it is kept until the child ends, because Linux sends the
// parent-death signal when that thread ends, not when the process does.
func start(s spec) (*process, error) {
	cmd := exec.Command(s.path, s.args...)
	cmd.Env, cmd.Dir, cmd.ExtraFiles = s.env, s.dir, s.files
	if s.out != nil {
		cmd.Stdout, cmd.Stderr = s.out, s.out
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if s.user != nil {
		// Groups stays empty: setgroups(0) drops root's supplementary groups.
		attr.Credential = &syscall.Credential{Uid: s.user.uid, Gid: s.user.gid}
	}
	setParentDeath(attr, s.onParentDeath)
	cmd.SysProcAttr = attr
	p := &process{name: s.name, done: make(chan struct{})}
	if s.stdin {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", s.name, err)
		}
		defer r.Close()
		cmd.Stdin, p.stdin = r, w
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		if p.stdin != nil {
			p.stdin.Close()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		if p.stdin != nil {
			p.stdin.Close()
		}
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	return p, nil
}

// exited reports whether the child has ended.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// step is one stage of stopping a process: a signal and how long it may take to work.
type step struct {
	signal syscall.Signal
	wait   time.Duration
}

// stop escalates through the steps and ends with SIGKILL of the whole group. A context that ends makes it
// go to SIGKILL at once, so that nothing is left running.
func (p *process) stop(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if p.exited() {
			return nil
		}
		_ = syscall.Kill(p.pid, s.signal)
		t := time.NewTimer(s.wait)
		select {
		case <-p.done:
			t.Stop()
			return nil
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		if ctx.Err() != nil {
			break
		}
	}
	if p.exited() {
		return nil
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	_ = syscall.Kill(p.pid, syscall.SIGKILL)
	select {
	case <-p.done:
		return fmt.Errorf("stop %s: process %d had to be killed", p.name, p.pid)
	case <-time.After(10 * time.Second):
		return fmt.Errorf("stop %s: process %d survived SIGKILL", p.name, p.pid)
	}
}

// alive reports whether a process exists and is not a zombie. In a container without an init process a
// dead orphan stays a zombie for ever, and signal 0 still succeeds.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	if err := syscall.Kill(pid, 0); err != nil && err != syscall.EPERM {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	// The command name in parentheses may hold anything, so the state is what follows the last one.
	rest := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
	fields := strings.Fields(rest)
	return len(fields) == 0 || (fields[0] != "Z" && fields[0] != "X")
}

// waitGone waits until none of the processes is alive.
func waitGone(ctx context.Context, limit time.Duration, pids ...int) bool {
	deadline := time.Now().Add(limit)
	for {
		live := false
		for _, pid := range pids {
			live = live || alive(pid)
		}
		if !live {
			return true
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
}
