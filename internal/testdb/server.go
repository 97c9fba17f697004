package testdb

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/local"
)

// DedicatedServer is a Postgres of a single test, which may kill it. It syncs to disk as in production.
type DedicatedServer struct {
	*DB
	folder string
	pg     *local.Postgres
}

// Server starts a Postgres of the test's own with one migrated database. It is started here even where
// TARTAN_TEST_DATABASE_URL is set, because nobody else's server may be killed.
func Server(t testing.TB) *DedicatedServer {
	t.Helper()
	folder, unguard, err := guardedFolder()
	require.NoError(t, err)
	t.Cleanup(unguard)
	s := &DedicatedServer{folder: folder}
	s.pg, err = local.StartPostgres(t.Context(), options(folder, 0, true))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = s.pg.Stop(ctx)
	})
	one := &server{url: s.pg.URL}
	template, err := one.makeTemplate(t.Context())
	require.NoError(t, err)
	s.DB = one.clone(t, template)
	return s
}

// Kill ends the server with SIGKILL and returns when it is gone.
func (s *DedicatedServer) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, syscall.Kill(s.pg.PID, syscall.SIGKILL))
	<-s.pg.Done()
}

// Restart starts the killed server again on the same port and returns when it accepts connections.
func (s *DedicatedServer) Restart(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	_ = s.pg.Stop(ctx) // lets go of the folder
	pg, err := local.StartPostgres(ctx, options(s.folder, s.pg.Port, true))
	require.NoError(t, err)
	s.pg = pg
}

func options(folder string, port int, fsync bool) local.PostgresOptions {
	o := local.PostgresOptions{
		DataDir: filepath.Join(folder, "data"), Port: port, Fsync: fsync,
		Settings: map[string]string{"max_connections": "300"},
	}
	// Where no Postgres is installed it is downloaded, once for all test binaries.
	if cache, err := os.UserCacheDir(); err == nil {
		o.UnpackDir = filepath.Join(cache, "tartan", "postgres")
	}
	return o
}

func startServer(ctx context.Context, fsync bool) (*server, error) {
	folder, unguard, err := guardedFolder()
	if err != nil {
		return nil, err
	}
	pg, err := local.StartPostgres(ctx, options(folder, 0, fsync))
	if err != nil {
		unguard()
		return nil, err
	}
	return &server{url: pg.URL, remove: func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = pg.Stop(ctx)
		unguard()
	}}, nil
}

// guard waits until its input ends, which is when the test binary does, however it ends, and then clears away. A test
// binary has no hook of its own for that: it may be killed, and a package's tests do not know which is the last.
const guard = `cat > /dev/null
pidfile="$1/data/postgres/data/postmaster.pid"
pid=$(head -n 1 "$pidfile" 2> /dev/null)
if [ -n "$pid" ]; then
	kill -QUIT "$pid" 2> /dev/null
	n=0
	while [ -e "$pidfile" ] && kill -0 "$pid" 2> /dev/null && [ $n -lt 60 ]; do sleep 0.05; n=$((n + 1)); done
	kill -KILL "$pid" 2> /dev/null
fi
rm -rf "$1"`

// guardedFolder makes a folder that is removed, with the server in it ended, by unguard or when this process ends.
func guardedFolder() (folder string, unguard func(), err error) {
	if folder, err = os.MkdirTemp("", "tartan-testdb-"); err != nil {
		return "", nil, fmt.Errorf("make a folder for the test server: %w", err)
	}
	// Postgres runs as another user when this is root, and must get through to its folder.
	if err := os.Chmod(folder, 0o711); err != nil {
		return "", nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", guard, "sh", folder)
	// Held open so that "go test" does not end before everything is cleared away.
	cmd.Stderr = os.Stderr
	// An interrupt on the terminal goes to the whole group, and the guard must outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = os.RemoveAll(folder)
		return "", nil, fmt.Errorf("guard the test server's folder: %w", err)
	}
	return folder, func() {
		_ = in.(io.Closer).Close()
		_ = cmd.Wait()
	}, nil
}
