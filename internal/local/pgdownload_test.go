package local

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
)

// mavenReachable skips a test, with the reason, where Maven Central cannot be reached; in CI that is a failure.
func mavenReachable(t *testing.T) {
	t.Helper()
	needsServers(t)
	conn, err := net.DialTimeout("tcp", "repo1.maven.org:443", 5*time.Second)
	if err == nil {
		conn.Close()
		return
	}
	if os.Getenv("CI") != "" {
		require.NoError(t, err, "CI must reach Maven Central")
	}
	t.Skipf("skipped: Maven Central cannot be reached: %v", err)
}

// The whole way of a machine without Postgres: download, verify, unpack, start, and start again without the network.
func TestPostgresFromMavenCentral(t *testing.T) {
	t.Parallel()
	mavenReachable(t)
	dir := openFolder(t)
	o := PostgresOptions{DataDir: dir, HideSystem: true, Fsync: true}
	pg := startPostgres(t, o)
	require.Equal(t, downloadVersion, pg.Version+".0")
	execute(t, pg.URL, "create table t (v text); insert into t values ('ä')")
	execute(t, pg.URL, "select pg_create_logical_replication_slot('s', 'pgoutput')")
	require.Equal(t, "Ä", query[string](t, pg.URL, "select upper(v) from t"))
	require.Equal(t, "on", query[string](t, pg.URL, "show data_checksums"))
	stopPostgres(t, pg)
	t.Logf("first start %s", pg.Ready)
	o.MavenURL = "http://127.0.0.1:1"
	again := startPostgres(t, o)
	t.Logf("second start %s", again.Ready)
	leftovers, err := filepath.Glob(filepath.Join(dir, pgBinFolder, "*.jar*"))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

// The pins are what Maven Central publishes, for every platform.
func TestPinnedChecksumsArePublished(t *testing.T) {
	t.Parallel()
	mavenReachable(t)
	for platform, d := range downloads {
		res, err := http.Get(d.url(mavenCentral) + ".sha256")
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		require.NoError(t, err)
		require.Equal(t, d.sum, strings.TrimSpace(string(body)), platform)
	}
}

func TestPostgresOffline(t *testing.T) {
	t.Parallel()
	needsServers(t)
	_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: openFolder(t), HideSystem: true, MavenURL: "http://127.0.0.1:1", UnpackDir: openFolder(t)})
	require.ErrorIs(t, err, ErrNoPostgres)
	require.ErrorContains(t, err, "apt install postgresql")
}

func TestFetchGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("postgres"), 100_000)
	sum := sha256.Sum256(body)
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 { // breaks off after a third
			w.Header().Set("Content-Length", "800000")
			_, _ = w.Write(body[:300_000])
			panic(http.ErrAbortHandler)
		}
		require.NotEmpty(t, r.Header.Get("Range"))
		http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(body))
	}))
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "x.jar")
	require.NoError(t, fetch(t.Context(), srv.URL, path, hex.EncodeToString(sum[:]), func(string) {}))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, got))
	require.Equal(t, int32(2), requests.Load())
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("something else"))
	}))
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "x.jar")
	err := fetch(t.Context(), srv.URL, path, strings.Repeat("0", 64), func(string) {})
	require.ErrorContains(t, err, "it is not used")
	require.NoFileExists(t, path)
	require.NoFileExists(t, path+".part")
	require.ErrorContains(t, fetch(t.Context(), srv.URL+"/missing", path, "", func(string) {}), "404")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, fetch(ctx, srv.URL, path, "", func(string) {}), context.Canceled)
}

// An archive cannot write outside of its folder, neither by name nor through a link.
func TestUnpackStaysInItsFolder(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]tar.Header{
		"name": {{Name: "../out", Typeflag: tar.TypeReg, Mode: 0o644}},
		"link": {{Name: "in", Linkname: "..", Typeflag: tar.TypeSymlink}, {Name: "in/out", Typeflag: tar.TypeReg, Mode: 0o644}},
		"kind": {{Name: "pipe", Typeflag: tar.TypeFifo}},
	} {
		dir := t.TempDir()
		jar := filepath.Join(dir, "x.jar")
		writeJar(t, jar, headers...)
		require.Error(t, unpackJar(jar, filepath.Join(dir, "home")), name)
		require.NoFileExists(t, filepath.Join(dir, "out"), name)
	}
	dir := t.TempDir()
	jar := filepath.Join(dir, "x.jar")
	writeJar(t, jar, tar.Header{Name: "bin/run", Typeflag: tar.TypeReg, Mode: 0o700}, tar.Header{Name: "lib/a.so", Linkname: "a.so.1", Typeflag: tar.TypeSymlink})
	require.NoError(t, unpackJar(jar, filepath.Join(dir, "home")))
	info, err := os.Stat(filepath.Join(dir, "home", "bin", "run"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
}

func writeJar(t *testing.T, path string, headers ...tar.Header) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	z := zip.NewWriter(f)
	entry, err := z.Create("postgres.txz")
	require.NoError(t, err)
	packed, err := xz.NewWriter(entry)
	require.NoError(t, err)
	tw := tar.NewWriter(packed)
	for _, h := range headers {
		require.NoError(t, tw.WriteHeader(&h))
	}
	require.NoError(t, tw.Close())
	require.NoError(t, packed.Close())
	require.NoError(t, z.Close())
}

// fakePostgres makes a folder of programs that say a version.
func fakePostgres(t *testing.T, dir, version string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"initdb", "postgres"} {
		script := "#!/bin/sh\necho \"postgres (PostgreSQL) " + version + " (Debian)\"\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestFindPostgres(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := fakePostgres(t, filepath.Join(dir, "13"), "13.9")
	fifteen := fakePostgres(t, filepath.Join(dir, "15"), "15.18")
	seventeen := fakePostgres(t, filepath.Join(dir, "17"), "17beta2")
	all := []string{filepath.Join(dir, "none"), old, fifteen, seventeen}

	b, err := findPostgres("", 0, nil, all)
	require.NoError(t, err)
	require.Equal(t, pgBinaries{dir: seventeen, major: 17, full: "17beta2"}, b, "the newest")
	b, err = findPostgres("", 15, nil, all)
	require.NoError(t, err)
	require.Equal(t, fifteen, b.dir, "the one that made the data folder")
	_, err = findPostgres("", 16, nil, all)
	require.ErrorIs(t, err, ErrNoPostgres)
	_, err = findPostgres("", 0, nil, []string{old})
	require.ErrorIs(t, err, ErrNoPostgres, "too old")
	b, err = findPostgres(fifteen, 0, nil, nil)
	require.NoError(t, err)
	require.Equal(t, "15.18", b.full, "the setting")
	_, err = findPostgres(fifteen, 17, nil, all)
	require.ErrorContains(t, err, "made by postgres 17")
	_, err = findPostgres(filepath.Join(dir, "none"), 0, nil, all)
	require.Error(t, err, "a wrong setting is no reason to take another")
}

func TestMajorInPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{
		"/usr/lib/postgresql/17/bin": 17, "/opt/homebrew/opt/postgresql@16/bin": 16, "/usr/pgsql-15/bin": 15,
		"/Applications/Postgres.app/Contents/Versions/latest/bin": 0,
	} {
		require.Equal(t, want, majorIn(path), path)
	}
	require.Contains(t, downloads, runtime.GOOS+"/"+runtime.GOARCH)
}
