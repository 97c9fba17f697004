// Package local runs what Tartan needs on one machine as child processes: Postgres, a Temporal server
// with its web UI, and Tartan's own worker and MCP server.
//
// In come a data folder and a few settings; out come addresses that answer. Everything the children own
// is in the data folder, they listen on loopback only, they die with the process that started them, and
// a folder left behind by a killed process is made usable again at the next start. What the children are
// used for is not this package's business: it knows nothing of patterns, schemas or tools.
package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The files and folders in a data folder. Those of Postgres belong to the user that runs it.
const (
	lockFile     = "lock"
	stateFile    = "stack.json"
	logFolder    = "logs"
	pgFolder     = "postgres"
	pgBinFolder  = "postgres-bin"
	pgLockFile   = "postgres.lock"
	passwordFile = "postgres.password"

	temporalFolder   = "temporal"
	temporalLockFile = "temporal.lock"
)

// LogPath is where the child with the given name writes its output: postgres, temporal, worker or mcp.
func LogPath(dataDir, name string) string {
	return filepath.Join(dataDir, logFolder, name+".log")
}

// ErrInUse says that another live process works on the same data folder. Lock and the Start functions return it.
var ErrInUse = errors.New("data folder is in use")

// Lock takes the data folder for this process until release is called or the process ends. It makes the
// folder where there is none. It returns ErrInUse, with the process id of the holder, when another process has it.
func Lock(dataDir string) (release func(), err error) {
	if err := makeDataDir(dataDir); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		release, err = lockPath(filepath.Join(dataDir, lockFile), "tartan")
		// State.Alive holds the lock for a moment when it is free.
		if err == nil || !errors.Is(err, ErrInUse) || try == 5 {
			return release, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lockPath locks one file; what names the holder in the error.
func lockPath(path, what string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, fmt.Errorf("%w: another %s runs on %s (process %s); stop it first, or use another data folder",
			ErrInUse, what, filepath.Dir(path), strings.TrimSpace(string(holder)))
	}
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return func() { f.Close() }, nil
}

// makeDataDir makes the data folder private to its owner. Root's is searchable by all, because Postgres
// runs as another user; every secret in it is a file of mode 0600.
func makeDataDir(dataDir string) error {
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if _, err := os.Stat(dataDir); err == nil {
		return makeLogDir(dataDir)
	}
	if err := os.MkdirAll(dataDir, mode); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := os.Chmod(dataDir, mode); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	return makeLogDir(dataDir)
}

func makeLogDir(dataDir string) error {
	if err := os.MkdirAll(filepath.Join(dataDir, logFolder), 0o700); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	return nil
}

// absolute resolves the data folder so that children with another working directory find it.
func absolute(dataDir string) (string, error) {
	if dataDir == "" {
		return "", errors.New("no data folder given")
	}
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return "", fmt.Errorf("resolve data folder %s: %w", dataDir, err)
	}
	return abs, nil
}

// writeFile replaces a file in one step, so that a reader or a crash never sees half of it.
func writeFile(path string, body []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err = tmp.Write(body); err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
