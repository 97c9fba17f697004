package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// postmaster is what postmaster.pid says.
type postmaster struct {
	pid   int
	port  int
	ready bool
}

// postmaster reads the pid file. Its lines are: process id, data folder, start time, port, socket folder,
// listen address, shared memory, status.
func (c *cluster) postmaster() (postmaster, error) {
	body, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return postmaster{}, err
	}
	lines := strings.Split(string(body), "\n")
	var pm postmaster
	if pm.pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil {
		return postmaster{}, fmt.Errorf("read postmaster.pid: %w", err)
	}
	if len(lines) > 3 {
		pm.port, _ = strconv.Atoi(strings.TrimSpace(lines[3]))
	}
	pm.ready = len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
	return pm, nil
}

// stopOrphan stops a server that a killed process left behind. The caller holds the lock of the folder, so
// no live Tartan owns it. It is stopped rather than adopted: it has the settings, the port and the parent of
// another start, and ending it takes a tenth of a second.
func (c *cluster) stopOrphan(ctx context.Context) error {
	pids, known := processesIn(c.data())
	pm, err := c.postmaster()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		// A crash of the machine can leave the file empty; Postgres replaces it when nobody runs.
		c.log.Warn("unreadable postmaster.pid", zap.Error(err))
	}
	found := err == nil && alive(pm.pid)
	if known {
		found = found && contains(pids, pm.pid)
	} else {
		found = found && c.looksLikePostmaster(pm.pid)
	}
	if !found && len(pids) == 0 {
		if err == nil && alive(pm.pid) {
			// The number now belongs to another program, for which Postgres would refuse to start.
			c.log.Info("stale postmaster.pid removed", zap.Int("pid", pm.pid))
			_ = os.Remove(filepath.Join(c.data(), "postmaster.pid"))
		}
		return nil
	}
	c.progress("stopping a postgres that was left behind")
	c.log.Warn("postgres left behind is stopped", zap.Int("pid", pm.pid), zap.Int("port", pm.port), zap.Ints("pids", pids))
	if !found {
		pm.pid = 0
	} else {
		all := append([]int{pm.pid}, pids...)
		for _, s := range pgStop {
			_ = syscall.Kill(pm.pid, s.signal)
			if waitGone(ctx, s.wait, all...) {
				return nil
			}
		}
		_ = syscall.Kill(pm.pid, syscall.SIGKILL)
	}
	if !waitGone(ctx, 5*time.Second, pm.pid) || !endBackends(ctx, c.data()) {
		return fmt.Errorf("stop the postgres left behind in %s (process %d): it does not end", c.data(), pm.pid)
	}
	return nil
}

// endBackends ends what is left of a server whose postmaster is dead. Backends notice that by themselves,
// unless they are busy; until the last has gone, no new server may start.
func endBackends(ctx context.Context, data string) bool {
	pids, _ := processesIn(data)
	if len(pids) == 0 || waitGone(ctx, 2*time.Second, pids...) {
		return true
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return waitGone(ctx, 5*time.Second, pids...)
}

// looksLikePostmaster asks ps, where the system has no /proc.
func (c *cluster) looksLikePostmaster(pid int) bool {
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres") && strings.Contains(string(out), c.data())
}

func contains(pids []int, pid int) bool {
	for _, p := range pids {
		if p == pid {
			return true
		}
	}
	return false
}
