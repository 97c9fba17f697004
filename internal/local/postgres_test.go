package local

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestPostgresStartsAgainWithItsData(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	first := startPostgres(t, PostgresOptions{DataDir: dir, Fsync: true})
	for setting, want := range map[string]string{
		"wal_level": "logical", "data_checksums": "on", "listen_addresses": "127.0.0.1", "fsync": "on",
		"password_encryption": "scram-sha-256", "max_slot_wal_keep_size": "1GB", "server_encoding": "UTF8",
	} {
		require.Equal(t, want, query[string](t, first.URL, "select current_setting($1)", setting), setting)
	}
	require.Equal(t, int64(0), query[int64](t, first.URL, "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'"))
	info, err := os.Stat(filepath.Join(dir, passwordFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Less(t, len(first.SocketDir), 90)
	u, err := url.Parse(first.URL)
	require.NoError(t, err)
	u.RawQuery = url.Values{"host": {first.SocketDir}, "port": {strconv.Itoa(first.Port)}}.Encode()
	u.Host = ""
	require.Equal(t, 1, query[int](t, u.String(), "select 1"), "over the Unix socket")

	// A change read through a logical slot: the level is right and the plugin is there.
	execute(t, first.URL, "create table kept (v text); insert into kept values ('zwölf')")
	execute(t, first.URL, "select pg_create_logical_replication_slot('s', 'pgoutput')")
	require.Equal(t, "ZWÖLF", strings.ToUpper(query[string](t, first.URL, "select v from kept")))

	stopPostgres(t, first)
	require.NoError(t, first.Err())
	stopPostgres(t, first) // twice does no harm
	second := startPostgres(t, PostgresOptions{DataDir: dir, Fsync: true, Settings: map[string]string{"work_mem": "7MB"}})
	require.Equal(t, "zwölf", query[string](t, second.URL, "select v from kept"))
	require.Equal(t, "7MB", query[string](t, second.URL, "show work_mem"))
	require.Less(t, second.Ready, 5*time.Second)
	t.Logf("first start %s, warm start %s", first.Ready, second.Ready)
}

func TestPostgresRefusesAWrongPassword(t *testing.T) {
	t.Parallel()
	dir := folderWithDatabase(t)
	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	u, err := url.Parse(pg.URL)
	require.NoError(t, err)
	u.User = url.UserPassword("postgres", "wrong")
	_, err = pgx.Connect(t.Context(), u.String())
	require.ErrorContains(t, err, "28P01")
	stopPostgres(t, pg)

	require.NoError(t, os.WriteFile(filepath.Join(dir, passwordFile), []byte("other\n"), 0o600))
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorContains(t, err, "is not the database's")
	require.NoError(t, os.Remove(filepath.Join(dir, passwordFile)))
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorContains(t, err, "password is missing")
}

// A data folder below a private one is reached by root's Postgres all the same.
func TestPostgresBelowAPrivateFolder(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	require.NoError(t, os.Chmod(dir, 0o700))
	inside := filepath.Join(dir, "clone", "with a blank", ".tartan")
	pg := startPostgres(t, PostgresOptions{DataDir: inside})
	execute(t, pg.URL, "create table t (v int); insert into t values (1)")
	require.Equal(t, "private", query[string](t, pg.URL, "select case when pg_reload_conf() then 'private' end"))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "folders of others are left as they are")
	require.NoError(t, syscall.Kill(pg.PID, syscall.SIGKILL))
	<-pg.Done()
	again := startPostgres(t, PostgresOptions{DataDir: inside, Port: pg.Port})
	require.Equal(t, 1, query[int](t, again.URL, "select v from t"))
}

func TestPostgresPort(t *testing.T) {
	t.Parallel()
	needsServers(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	dir := folderWithDatabase(t)
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir, Port: port})
	var taken *PortTakenError
	require.ErrorAs(t, err, &taken)
	require.Equal(t, port, taken.Port)
	require.ErrorContains(t, err, strconv.Itoa(port))
	require.NoError(t, l.Close())
	pg := startPostgres(t, PostgresOptions{DataDir: dir, Port: port})
	require.Equal(t, port, pg.Port)

	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, strconv.Itoa(os.Getpid()))
}

func TestPostgresWhoseParentIsKilled(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"postgres", "postgres-survives"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			dir := folderWithDatabase(t)
			parent := startActor(t, role, dir)
			execute(t, parent.addr, "create table t (v int)")
			execute(t, parent.addr, "insert into t values (7)")
			began := query[time.Time](t, parent.addr, "select pg_postmaster_start_time()")
			parent.kill()
			if role == "postgres" {
				require.True(t, waitGone(t.Context(), 5*time.Second, parent.pid), "it ends with its parent")
			} else {
				time.Sleep(200 * time.Millisecond)
				require.True(t, alive(parent.pid), "an orphan")
			}
			pg := startPostgres(t, PostgresOptions{DataDir: dir, Fsync: true})
			require.NotEqual(t, parent.pid, pg.PID)
			require.False(t, alive(parent.pid))
			require.True(t, query[time.Time](t, pg.URL, "select pg_postmaster_start_time()").After(began))
			require.Equal(t, 7, query[int](t, pg.URL, "select v from t"))
			t.Logf("started in %s", pg.Ready)
		})
	}
}

// The number in a stale postmaster.pid may belong to any program: it is neither killed nor in the way.
func TestPostgresWithAStalePidFile(t *testing.T) {
	t.Parallel()
	dir := folderWithDatabase(t)
	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	stopPostgres(t, pg)
	other, err := start(spec{name: "other", path: "/bin/sleep", args: []string{"1000"}, onParentDeath: syscall.SIGKILL})
	require.NoError(t, err)
	defer func() { _ = other.stop(t.Context(), []step{{syscall.SIGKILL, time.Second}}) }()
	stale := strconv.Itoa(other.pid) + "\n" + pg.DataDir + "\n1\n5432\n\n\n\nready\n"
	require.NoError(t, os.WriteFile(filepath.Join(pg.DataDir, "postmaster.pid"), []byte(stale), 0o644))
	again := startPostgres(t, PostgresOptions{DataDir: dir})
	require.True(t, alive(other.pid))
	require.NotEqual(t, other.pid, again.PID)
}

// What is acknowledged survives SIGKILL of the postmaster under load, round after round.
func TestPostgresKilledUnderLoad(t *testing.T) {
	t.Parallel()
	dir := folderWithDatabase(t)
	pg := startPostgres(t, PostgresOptions{DataDir: dir, Fsync: true})
	execute(t, pg.URL, "create table acked (id bigint generated always as identity, writer int, n int, filler text)")
	var mu sync.Mutex
	acked := map[[2]int]bool{}
	for round := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				conn, err := pgx.Connect(ctx, pg.URL)
				if err != nil {
					return
				}
				defer conn.Close(context.WithoutCancel(ctx))
				for n := round * 1_000_000; ; n++ {
					if _, err := conn.Exec(ctx, "insert into acked (writer, n, filler) values ($1, $2, repeat('x', 500))", w, n); err != nil {
						return
					}
					mu.Lock()
					acked[[2]int{w, n}] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(400 * time.Millisecond)
		require.NoError(t, syscall.Kill(pg.PID, syscall.SIGKILL))
		<-pg.Done()
		require.Error(t, pg.Err())
		cancel()
		writers.Wait()
		pg = startPostgres(t, PostgresOptions{DataDir: dir, Fsync: true, Port: pg.Port})
		require.Less(t, pg.Ready, 5*time.Second)
		t.Logf("round %d: %d rows acknowledged, up again in %s", round, len(acked), pg.Ready)
	}
	conn, err := pgx.Connect(t.Context(), pg.URL)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "select writer, n from acked")
	require.NoError(t, err)
	var w, n int
	_, err = pgx.ForEachRow(rows, []any{&w, &n}, func() error { delete(acked, [2]int{w, n}); return nil })
	require.NoError(t, err)
	require.Empty(t, acked, "acknowledged rows are missing")
}

// A first start that is killed leaves nothing that the next one takes for a database.
func TestPostgresFirstStartInterrupted(t *testing.T) {
	t.Parallel()
	needsServers(t)
	dir := openFolder(t)
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	if pg, err := StartPostgres(ctx, PostgresOptions{DataDir: dir}); err == nil {
		stopPostgres(t, pg)
		t.Skip("skipped: this machine makes a database in a quarter of a second, so nothing was interrupted")
	}
	require.NoDirExists(t, filepath.Join(dir, pgFolder, "data"))
	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	require.Equal(t, 1, query[int](t, pg.URL, "select 1"))
}

func TestPostgresLogOfAFailedStart(t *testing.T) {
	t.Parallel()
	needsServers(t)
	_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: folderWithDatabase(t), Settings: map[string]string{"shared_buffers": "nonsense"}})
	require.ErrorContains(t, err, "shared_buffers", "the error shows what the server logged")
}

func TestSocketFolderOfSomebodyElse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openFolder(t), strings.Repeat("long/", 20))
	path := filepath.Join("/tmp", "tartan-"+shortHash(dir))
	require.NoError(t, os.Mkdir(path, 0o777))
	defer os.Remove(path)
	require.NoError(t, os.Chmod(path, 0o777))
	_, err := socketDir(dir, nil)
	require.ErrorContains(t, err, "not a private folder")
}

func TestFreePortsDiffer(t *testing.T) {
	t.Parallel()
	ports, err := choosePorts(portWish{"a", 0}, portWish{"b", 0}, portWish{"c", 0})
	require.NoError(t, err)
	require.NotEqual(t, ports[0], ports[1])
	require.NotEqual(t, ports[1], ports[2])
	_, err = choosePorts(portWish{"a", ports[0]}, portWish{"b", ports[0]})
	var taken *PortTakenError
	require.True(t, errors.As(err, &taken))
	require.Equal(t, "b", taken.What)
}
