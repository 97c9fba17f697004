package local

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// canPassFolder says that a folder can be handed to a child as an open descriptor and named by
// /proc/self/fd, which works where the child's user may not search the folders above it.
const canPassFolder = true

// setParentDeath makes the system signal the child when its parent dies.
func setParentDeath(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// processesIn lists the live processes whose working directory is dir: for a Postgres data folder those
// are exactly its postmaster and backends, whatever they call themselves. known is false where the system
// cannot tell.
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
		if cwd, err := os.Readlink("/proc/" + e.Name() + "/cwd"); err == nil && cwd == resolved && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, true
}

// syncFolder writes everything of the file system that holds dir to disk: one call instead of one fsync a file.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

const canSyncFolder = true
