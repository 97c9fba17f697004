package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// actor is another process that runs part of a stack.
type actor struct {
	cmd  *exec.Cmd
	pid  int    // of what it started
	addr string // where that answers
}

// needsServers leaves a test out of short runs.
func needsServers(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: a short run leaves out what starts servers")
	}
}

// startActor starts this test binary in a role and waits for its line.
func startActor(t *testing.T, role, dir string) *actor {
	t.Helper()
	needsServers(t)
	a := &actor{cmd: exec.Command(os.Args[0], dir)}
	a.cmd.Env = append(os.Environ(), "TARTAN_LOCAL_ROLE="+role)
	a.cmd.Stderr = os.Stderr
	out, err := a.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, a.cmd.Start())
	t.Cleanup(func() { a.kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, err = fmt.Sscan(line, &a.pid, &a.addr)
	require.NoError(t, err, line)
	return a
}

// kill ends the actor by SIGKILL.
func (a *actor) kill() {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

// openFolder is a data folder that every user can reach, as in a clone outside of a private folder.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tartan-local-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// seed is a data folder with an empty database, made once: a copy takes a tenth of the time of a new one.
var seed struct {
	once sync.Once
	dir  string
	err  error
}

// folderWithDatabase is a data folder after its first start.
func folderWithDatabase(t *testing.T) string {
	t.Helper()
	needsServers(t)
	seed.once.Do(func() {
		if seed.dir, seed.err = os.MkdirTemp("", "tartan-local-seed-"); seed.err != nil {
			return
		}
		var pg *Postgres
		if pg, seed.err = StartPostgres(context.Background(), PostgresOptions{DataDir: filepath.Join(seed.dir, "data")}); seed.err == nil {
			seed.err = pg.Stop(context.Background())
		}
	})
	require.NoError(t, seed.err)
	dir := filepath.Join(openFolder(t), "data")
	out, err := exec.Command("cp", "-a", filepath.Join(seed.dir, "data"), dir).CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// startPostgres starts a server that is stopped when the test ends.
func startPostgres(t *testing.T, o PostgresOptions) *Postgres {
	t.Helper()
	needsServers(t)
	if o.Progress == nil {
		o.Progress = func(text string) { t.Log(text) }
	}
	pg, err := StartPostgres(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { stopPostgres(t, pg) })
	return pg
}

func stopPostgres(t *testing.T, pg *Postgres) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, pg.Stop(ctx))
}

// query reads one value.
func query[T any](t *testing.T, url, sql string, args ...any) (v T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	require.NoError(t, conn.QueryRow(ctx, sql, args...).Scan(&v))
	return v
}

// execute runs a statement.
func execute(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql, args...)
	require.NoError(t, err)
}
