package local

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// canPassFolder says that a folder can be handed to a child as an open descriptor and named by
// /proc/self/fd, which works where the child's user may not search the folders above it.
const canPassFolder = true

// setParentDeath makes the system signal the child when its parent dies.
func setParentDeath(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// processesIn lists the live postgres processes whose working directory is dir: for a data folder those are
// exactly its postmaster and backends, and not the shell of somebody who looks into it. known is false where
// the system cannot tell.
func processesIn(dir string) (pids []int, known bool) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, true
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, false
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		name, err := os.ReadFile("/proc/" + e.Name() + "/comm")
		if err != nil || strings.TrimSpace(string(name)) != "postgres" {
			continue
		}
		if cwd, err := os.Readlink("/proc/" + e.Name() + "/cwd"); err == nil && cwd == resolved && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, true
}

// hasSyncfs says that a server can write a whole file system to disk in one call.
const hasSyncfs = true
