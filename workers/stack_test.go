package workers_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/workers"
)

// The variables by which a test binary starts itself as a worker process, which can be killed and weighed.
const (
	roleVar     = "TARTAN_TEST_ROLE"
	databaseVar = "TARTAN_TEST_WORKER_DATABASE"
	temporalVar = "TARTAN_TEST_WORKER_TEMPORAL"
	bucketVar   = "TARTAN_TEST_WORKER_BUCKET"
	targetVar   = "TARTAN_TEST_WORKER_TARGET"  // url of a server whose databases are targets
	profileVar  = "TARTAN_TEST_WORKER_PROFILE" // a file for the CPU profile of the worker
	binVar      = "TARTAN_TEMPORAL_BIN"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleVar) == "worker" {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// work is what `tartan worker` does.
func work() error {
	debug.SetMemoryLimit(80 << 20)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if path := os.Getenv(profileVar); path != "" {
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	log, err := telemetry.New(os.Stderr, telemetry.Options{Level: "warn"})
	if err != nil {
		return err
	}
	c, err := client.NewLazyClient(client.Options{HostPort: os.Getenv(temporalVar), Identity: "worker", Logger: telemetry.Temporal(log), ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}}})
	if err != nil {
		return err
	}
	defer c.Close()
	pool, err := postgres.Open(ctx, os.Getenv(databaseVar))
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := bucket.Open(ctx, os.Getenv(bucketVar))
	if err != nil {
		return err
	}
	libraries := feed.NewLibraries(pool, log)
	go libraries.Run(ctx) //nolint:errcheck // ends with ctx
	fmt.Println("ready")
	return workers.Run(ctx, workers.Config{Client: c, Pool: pool, Bucket: store, Libraries: libraries, Log: log, Targets: func(name string) (string, error) {
		return os.Getenv(targetVar) + "/" + name, nil
	}})
}

// stack is the real thing: Postgres that syncs to disk, a Temporal server with its file, a bucket.
type stack struct {
	t        testing.TB
	db       *testdb.DedicatedServer
	temporal *local.Temporal
	client   client.Client
	folder   string
	bucket   *bucket.Bucket
	caller   access.Caller
	targets  string    // url of the server of the databases that are migrated; "" is that of the stack
	log      io.Writer // of the workers, beside stderr
}

func newStack(t testing.TB) *stack {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Postgres, Temporal and workers, which takes seconds")
	}
	s := &stack{t: t, db: testdb.Server(t), folder: t.TempDir()}
	var err error
	s.temporal, err = local.StartTemporal(context.Background(), local.TemporalOptions{
		DataDir: filepath.Join(s.folder, "temporal"), Bin: os.Getenv(binVar), Headless: true, Progress: func(line string) { t.Log(line) },
	})
	require.NoError(t, err)
	temporal := s.temporal
	t.Cleanup(func() { temporal.Stop(context.Background()) }) //nolint:errcheck // the folder goes with it
	s.client = s.dial()
	s.bucket, err = bucket.Open(context.Background(), s.bucketURL())
	require.NoError(t, err)
	s.caller = s.db.Workspace(t, "acme")
	return s
}

func (s *stack) bucketURL() string { return "file://" + filepath.Join(s.folder, "bucket") }

// server is the url of the Postgres without a database.
func (s *stack) server() string { return s.db.URL[:strings.LastIndexByte(s.db.URL, '/')] }

func (s *stack) dial() client.Client {
	c, err := client.Dial(client.Options{HostPort: s.temporal.Address, Logger: telemetry.Temporal(zap.NewNop()), ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}}})
	require.NoError(s.t, err)
	s.t.Cleanup(c.Close)
	return c
}

// process is a worker in a process of its own.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
}

func (s *stack) worker() *process {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"=worker", databaseVar+"="+s.db.URL, temporalVar+"="+s.temporal.Address, bucketVar+"="+s.bucketURL(), targetVar+"="+cmp.Or(s.targets, s.server()))
	cmd.Stderr = os.Stderr
	if s.log != nil {
		cmd.Stderr = io.MultiWriter(os.Stderr, s.log)
	}
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(s.t, err)
	go io.Copy(io.Discard, out) //nolint:errcheck // nothing more is said
	p := &process{s.t, cmd}
	s.t.Cleanup(p.stop)
	return p
}

func (p *process) kill() {
	require.NoError(p.t, p.cmd.Process.Kill())
	p.cmd.Wait() //nolint:errcheck // killed
}

func (p *process) stop() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // may be gone
		p.cmd.Wait()                          //nolint:errcheck // ends either way
	}
}

// peak returns the largest resident set of the process so far in MB, 0 where /proc is absent.
func (p *process) peak() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kb / 1024
}

// cpu returns the seconds of processor time the process has used so far, 0 where /proc is absent. Unlike the time on
// the wall they say something on a busy machine.
func (p *process) cpu() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // USER_HZ
}

// eventually waits for a condition that needs other processes. Its bound is for a machine that is busy with the race detector.
func eventually(t testing.TB, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		require.Less(t, time.Since(began), 6*time.Minute, what)
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}
