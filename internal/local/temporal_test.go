package local

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// startTemporal starts a server that is stopped when the test ends; the first test that runs on a machine builds it.
func startTemporal(t *testing.T, o TemporalOptions) *Temporal {
	t.Helper()
	needsServers(t)
	o.Progress = func(text string) { t.Log(text) }
	srv, err := StartTemporal(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { stopTemporal(t, srv) })
	return srv
}

func stopTemporal(t *testing.T, srv *Temporal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, srv.Stop(ctx))
}

// Echo answers at once.
func Echo(_ workflow.Context, v string) (string, error) { return v, nil }

// Wait answers with what it is told by signal.
func Wait(ctx workflow.Context) (v string, err error) {
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &v)
	return v, nil
}

func connect(t *testing.T, address string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: address, Namespace: Namespace, Logger: quiet{}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	w := worker.New(c, "q", worker.Options{})
	w.RegisterWorkflow(Echo)
	w.RegisterWorkflow(Wait)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return c
}

func TestTemporalWithItsWebUI(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	srv := startTemporal(t, TemporalOptions{DataDir: dir, HideSystem: true, Retention: 30 * time.Hour})
	require.Equal(t, "temporal-"+minorOf(srv.Version)+".db", filepath.Base(srv.File))
	require.FileExists(t, srv.File+"-wal", "a write-ahead log is kept")
	c := connect(t, srv.Address)
	ns, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: Namespace})
	require.NoError(t, err)
	require.Equal(t, 30*time.Hour, ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	for path, want := range map[string]string{"/": "<html", "/api/v1/namespaces": `"default"`, "/api/v1/settings": `"DisableNewsFetch":true`} {
		var body string
		require.Eventually(t, func() bool {
			res, err := http.Get(srv.UIURL + path)
			if err != nil {
				return false
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			body = string(b)
			return res.StatusCode == http.StatusOK
		}, 10*time.Second, 20*time.Millisecond, path)
		require.Contains(t, strings.ReplaceAll(body, " ", ""), want, path)
	}

	_, err = StartTemporal(t.Context(), TemporalOptions{DataDir: dir, HideSystem: true})
	require.ErrorIs(t, err, ErrInUse)
	var taken *PortTakenError
	_, err = StartTemporal(t.Context(), TemporalOptions{DataDir: openFolder(t), HideSystem: true, UIPort: portIn(t, srv.UIURL)})
	require.ErrorAs(t, err, &taken)
	require.Equal(t, "Temporal's web UI", taken.What)
	t.Logf("new store: ready in %s", srv.Ready)
}

func portIn(t *testing.T, url string) int {
	t.Helper()
	var port int
	for _, d := range url[strings.LastIndexByte(url, ':')+1:] {
		port = port*10 + int(d-'0')
	}
	return port
}

// The dynamic configuration reaches the server: with 20 queue reads a second, nine of ten starts take 50 ms.
func TestTemporalIsNotHeldTo20ReadsASecond(t *testing.T) {
	t.Parallel()
	srv := startTemporal(t, TemporalOptions{DataDir: openFolder(t), HideSystem: true, Headless: true})
	require.Empty(t, srv.UIURL)
	c := connect(t, srv.Address)
	// A busy machine makes starts slow, but only the bound on reads keeps all of them from being quick.
	quarter := quickestQuarter(t, c)
	for try := 1; quarter >= 45*time.Millisecond && try < 20; try++ {
		quarter = min(quarter, quickestQuarter(t, c))
	}
	t.Logf("no activity: a quarter in %s", quarter)
	require.Less(t, quarter, 45*time.Millisecond)
}

// The temporal CLI is started by the same code, where there is one.
func TestTemporalCLI(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("temporal")
	if err != nil {
		t.Skip("skipped: there is no temporal CLI on PATH")
	}
	dir := openFolder(t)
	for range 2 {
		srv := startTemporal(t, TemporalOptions{DataDir: dir})
		require.Equal(t, cli, srv.Bin)
		c := connect(t, srv.Address)
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "q"}, Echo, "v")
		require.NoError(t, err)
		require.NoError(t, run.Get(t.Context(), nil))
		t.Logf("ready in %s, a quarter of workflows in %s", srv.Ready, quickestQuarter(t, c))
		stopTemporal(t, srv)
	}
}

// quickestQuarter is how long the quicker quarter of workflows without an activity takes at most: what the server
// makes each wait shows in it, and what the machine does besides does not.
func quickestQuarter(t *testing.T, c client.Client) time.Duration {
	t.Helper()
	var took []time.Duration
	for range 60 {
		began := time.Now()
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "q"}, Echo, "v")
		require.NoError(t, err)
		require.NoError(t, run.Get(t.Context(), nil))
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/4]
}

// A workflow goes on after the server is killed and started again on the same port.
func TestTemporalKilled(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	srv := startTemporal(t, TemporalOptions{DataDir: dir, HideSystem: true, Headless: true})
	c := connect(t, srv.Address)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: "q"}, Wait)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, syscall.Kill(srv.PID, syscall.SIGKILL))
		<-srv.Done()
		require.Error(t, srv.Err())
		port := portIn(t, srv.Address)
		srv = startTemporal(t, TemporalOptions{DataDir: dir, HideSystem: true, Headless: true, Port: port})
		t.Logf("up again in %s", srv.Ready)
		require.Less(t, srv.Ready, 10*time.Second)
		d, err := c.DescribeWorkflowExecution(t.Context(), "w", run.GetRunID())
		require.NoError(t, err)
		require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())
	}
	require.NoError(t, c.SignalWorkflow(t.Context(), "w", "", "go", "on"))
	var got string
	require.NoError(t, run.Get(t.Context(), &got))
	require.Equal(t, "on", got)
	stopTemporal(t, srv)
	require.NoError(t, srv.Err())
}

func TestTemporalWhoseParentIsKilled(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"temporal", "temporal-survives"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			needsServers(t)
			dir := openFolder(t)
			_, err := findTemporal(t.Context(), TemporalOptions{HideSystem: true, Progress: func(text string) { t.Log(text) }})
			require.NoError(t, err)
			parent := startActor(t, role, dir)
			c := connect(t, parent.addr)
			_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: "q"}, Wait)
			require.NoError(t, err)
			parent.kill()
			if role == "temporal" {
				require.True(t, waitGone(t.Context(), 10*time.Second, parent.pid), "it ends with its parent")
			} else {
				time.Sleep(200 * time.Millisecond)
				require.True(t, alive(parent.pid), "an orphan")
			}
			srv := startTemporal(t, TemporalOptions{DataDir: dir, HideSystem: true, Headless: true})
			require.False(t, alive(parent.pid))
			again := connect(t, srv.Address)
			require.NoError(t, again.SignalWorkflow(t.Context(), "w", "", "go", "on"))
			require.NoError(t, again.GetWorkflow(t.Context(), "w", "").Get(t.Context(), nil))
		})
	}
}

// The sources in the binary are those of the module devserver: go generate ./internal/local brings them over.
func TestEmbeddedSourcesAreCurrent(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	root := filepath.Join("..", "..", "devserver")
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		want[name] = string(body)
		return err
	}))
	dir := t.TempDir()
	require.NoError(t, writeSources(dir))
	got := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		got[name] = string(body)
		return err
	}))
	require.Equal(t, want, got)
}

func TestDynamicConfig(t *testing.T) {
	t.Parallel()
	values, err := DynamicConfig()
	require.NoError(t, err)
	require.Equal(t, 200, values["history.transferProcessorMaxPollRPS"])
	require.Equal(t, "1s", values["history.longPollExpirationInterval"])
}

// fakeGo puts a go tool on PATH that prints what the real one prints.
func fakeGo(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

// Two builds at once make one, and both get it.
func TestBuildTemporalOnce(t *testing.T) {
	cache, count := t.TempDir(), filepath.Join(t.TempDir(), "count")
	unused, used := filepath.Join(cache, "temporal-v0.1.0-aaaa"), filepath.Join(cache, "temporal-v0.2.0-bbbb")
	require.NoError(t, os.Mkdir(unused, 0o755))
	require.NoError(t, os.Mkdir(used, 0o755))
	long := time.Now().Add(-unusedAfter - time.Hour)
	require.NoError(t, os.Chtimes(unused, long, long))
	fakeGo(t, `echo x >> `+count+`
echo "go: downloading a v1" >&2; echo "go.temporal.io/server/temporal" >&2; sleep 0.3
while [ "$1" != -o ]; do shift; done
test -f main.go && test -f go.sum && printf '#!/bin/sh\necho "tartan-temporal (Server 1.2.3, UI 4.5.6)"\n' > "$2" && chmod +x "$2"`)
	var mu sync.Mutex
	var said []string
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			path, version, err := buildTemporal(t.Context(), cache, func(text string) { mu.Lock(); said = append(said, text); mu.Unlock() })
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(path); err != nil || !strings.Contains(path, version) {
				t.Error(path, version, err)
			}
		})
	}
	both.Wait()
	body, err := os.ReadFile(count)
	require.NoError(t, err)
	require.Equal(t, "x\n", string(body))
	require.NoDirExists(t, unused)
	require.DirExists(t, used)
	all := strings.Join(said, "\n")
	require.Contains(t, all, "temporal CLI", "it names the quick way")
	require.Contains(t, all, "waiting for another build")
	path, _, err := buildTemporal(t.Context(), cache, func(string) { t.Error("nothing is built again") })
	require.NoError(t, err)
	bin, err := askTemporal(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, temporalBinary{path: path, server: "1.2.3", own: true}, bin)
}

func TestBuildTemporalFails(t *testing.T) {
	cache := t.TempDir()
	fakeGo(t, `echo "main.go:1: no such thing" >&2; exit 1`)
	_, _, err := buildTemporal(t.Context(), cache, func(string) {})
	require.ErrorContains(t, err, "no such thing")
	t.Setenv("PATH", t.TempDir())
	_, _, err = buildTemporal(t.Context(), cache, func(string) {})
	require.ErrorContains(t, err, "install the temporal CLI")
}

func TestBuildProgress(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, strings.Repeat("some/package\n", 20)+"last\n")
		w.Close()
	}()
	last := followBuild(r, func(string) {})
	require.Len(t, last, 12)
	require.Equal(t, "last", last[11])
}
