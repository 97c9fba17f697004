package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/telemetry"
)

// The ports of the local stack unless told otherwise.
const (
	defaultPostgresPort   = 54329
	defaultTemporalPort   = 7233
	defaultTemporalUIPort = 8233
	defaultMCPPort        = 7017
)

// stopTimeout is how long the stack may take to stop before what is left is killed.
const stopTimeout = 30 * time.Second

// maxRestarts is how often a role may end before the stack is ready; more is not a hiccup.
const maxRestarts = 4

// upOptions say how to run the local stack.
type upOptions struct {
	postgresPort, temporalPort, temporalUIPort, mcpPort int

	hideSystem bool // do not look for installed Postgres binaries
	detach     bool
}

func (o *upOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&o.postgresPort, "postgres-port", defaultPostgresPort, "port of Postgres (0 = a free one)")
	f.IntVar(&o.temporalPort, "temporal-port", defaultTemporalPort, "port of Temporal (0 = a free one)")
	f.IntVar(&o.temporalUIPort, "temporal-ui-port", defaultTemporalUIPort, "port of the Temporal web UI (0 = a free one)")
	f.IntVar(&o.mcpPort, "mcp-port", defaultMCPPort, "port of the MCP server (0 = a free one)")
	f.BoolVar(&o.hideSystem, "hide-system-postgres", false, "use downloaded Postgres binaries even where some are installed")
}

func (a *app) upCommand() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "up",
		Short: "Start the local stack and stay: Postgres, Temporal, a worker, the MCP server",
		Long: "Start the local stack and stay: Postgres, Temporal with its web UI, a worker and the MCP server, all on loopback.\n" +
			"One folder (--data-dir) holds everything. Ctrl-C stops it; so does: tartan down.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.detach {
				return a.detach(c.Context(), o)
			}
			limitMemory(upMemory)
			s, err := a.launch(c.Context(), o)
			if err != nil {
				return err
			}
			if err := a.printStack(s.state); err != nil {
				return err
			}
			a.say("Ctrl-C stops it too")
			<-c.Context().Done()
			a.say("stopping")
			return s.stop(context.WithoutCancel(c.Context()))
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&o.detach, "detach", false, "run in the background; stop it with tartan down")
	return c
}

// arguments are the flags that say the same to another process.
func (o *upOptions) arguments(dataDir string) []string {
	return []string{
		"up", "--data-dir", dataDir, "--postgres-port", strconv.Itoa(o.postgresPort), "--temporal-port", strconv.Itoa(o.temporalPort),
		"--temporal-ui-port", strconv.Itoa(o.temporalUIPort), "--mcp-port", strconv.Itoa(o.mcpPort), "--hide-system-postgres=" + strconv.FormatBool(o.hideSystem),
	}
}

// stack is the local stack while it runs in this process.
type stack struct {
	a     *app
	o     upOptions
	log   *zap.Logger
	state local.State

	mu       sync.Mutex
	pg       *local.Postgres
	temporal *local.Temporal
	children []*local.Child
	roles    map[string]int // process ids of the children
	release  func()
	stopped  chan struct{} // closed when stop begins: what ends from then on is not restarted
}

// launch starts everything and returns when it answers. What was started is stopped again when something fails.
func (a *app) launch(ctx context.Context, o upOptions) (*stack, error) {
	begun := time.Now()
	release, err := local.Lock(a.cfg.DataDir)
	if err != nil {
		if errors.Is(err, local.ErrInUse) {
			return nil, &failure{code: codeFailure, what: "start the local stack", why: err, next: "tartan status, or tartan down"}
		}
		return nil, err
	}
	log, err := a.stackLog()
	if err != nil {
		release()
		return nil, err
	}
	s := &stack{a: a, o: o, log: log, release: release, roles: map[string]int{}, stopped: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(s.explain(err), s.stop(context.WithoutCancel(ctx)))
	}
	a.say("ready in %.1f s", time.Since(begun).Seconds())
	return s, nil
}

// stackLog writes to a file in the data folder; the terminal is for what a person needs.
func (a *app) stackLog() (*zap.Logger, error) {
	path := local.LogPath(a.cfg.DataDir, "up")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return telemetry.New(f, telemetry.Options{Level: a.cfg.LogLevel})
}

// explain turns what the servers say into what to do.
func (s *stack) explain(err error) error {
	var said *failure
	if errors.As(err, &said) {
		return said
	}
	var taken *local.PortTakenError
	if errors.As(err, &taken) {
		return &failure{code: codeUnavailable, what: err.Error(), next: "choose another port, or 0 for a free one: tartan up --help"}
	}
	if errors.Is(err, context.Canceled) {
		return &failure{code: codeFailure, what: "stopped before the stack was ready"}
	}
	return &failure{code: codeFailure, what: "start the local stack", why: err, next: "tartan doctor; logs are in " + filepath.Join(s.a.cfg.DataDir, "logs")}
}

func (s *stack) start(ctx context.Context) error {
	dir := s.a.cfg.DataDir
	address, err := listenAddress(s.o.mcpPort)
	if err != nil {
		return err
	}
	id, err := ensureIdentity(dir)
	if err != nil {
		return err
	}
	bucketDir := filepath.Join(dir, "bucket")
	if err := os.MkdirAll(bucketDir, 0o700); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	var databaseURL string
	g.Go(func() (err error) {
		if err = s.startPostgres(gctx, s.o.postgresPort); err != nil {
			return err
		}
		databaseURL, err = s.prepareDatabase(gctx, id)
		return err
	})
	g.Go(func() error { return s.startTemporal(gctx, s.o.temporalPort, s.o.temporalUIPort) })
	if err := g.Wait(); err != nil {
		return err
	}
	s.state = local.State{
		DatabaseURL: databaseURL, TemporalAddress: s.temporal.Address, TemporalUIURL: s.temporal.UIURL,
		MCPURL: "http://" + address + "/mcp", BucketURL: "file://" + bucketDir, StartedAt: time.Now().UTC(),
	}
	if err := s.writeState(); err != nil {
		return err
	}
	if err := s.startRoles(ctx, address); err != nil {
		return err
	}
	if err := s.a.configure(); err != nil {
		return err
	}
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	s.state.Ready = true
	if err := s.writeState(); err != nil {
		return err
	}
	go s.watch(ctx)
	return nil
}

// prepareDatabase brings the schema up to date and makes the login role, the workspace and its user.
func (s *stack) prepareDatabase(ctx context.Context, id identity) (appURL string, err error) {
	applied, err := postgres.Migrate(ctx, s.pg.URL, s.log)
	if err != nil {
		return "", fmt.Errorf("bring the schema up to date: %w", err)
	}
	if len(applied) > 0 {
		s.a.say("schema: %d migrations applied", len(applied))
	}
	if appURL, err = postgres.EnsureAppRole(ctx, s.pg.URL, id.DatabasePassword); err != nil {
		return "", fmt.Errorf("make the login role: %w", err)
	}
	pool, err := postgres.Open(ctx, appURL)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	if _, err := postgres.CreateWorkspace(ctx, pool, "local", "Local", id.UserID); err != nil {
		return "", fmt.Errorf("make the workspace: %w", err)
	}
	return appURL, nil
}

// waitReady waits until the MCP server answers and the worker polls.
func (s *stack) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	temporal, err := s.a.workflowService(ctx)
	if err != nil {
		return err
	}
	for {
		if answers(ctx, s.state.MCPURL) && polled(ctx, temporal) {
			return nil
		}
		for _, c := range s.children {
			if c.Restarts() > maxRestarts {
				return fmt.Errorf("the %s ends again and again; its last words are in %s", c.Name(), local.LogPath(s.a.cfg.DataDir, c.Name()))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the worker or the MCP server did not answer: %w (see %s)", ctx.Err(), local.LogPath(s.a.cfg.DataDir, "mcp"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// answers reports whether an HTTP server is there, whatever it answers.
func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil
}

// stop ends everything in order: first what uses the servers, then the servers.
func (s *stack) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	close(s.stopped)
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = local.RemoveState(s.a.cfg.DataDir)
	s.a.close()
	s.a.pool, s.a.temporal = nil, nil
	var roles, servers errgroup.Group
	for _, c := range s.children {
		roles.Go(func() error { return c.Stop(ctx) })
	}
	err := roles.Wait()
	if s.temporal != nil {
		servers.Go(func() error { return s.temporal.Stop(ctx) })
	}
	if s.pg != nil {
		servers.Go(func() error { return s.pg.Stop(ctx) })
	}
	err = errors.Join(err, servers.Wait())
	s.release()
	if err == nil {
		s.log.Debug("stack stopped", zap.String(telemetry.KeyPath, s.a.cfg.DataDir))
	}
	return err
}
