package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/workflows"
)

func (s *stack) startPostgres(ctx context.Context, port int) error {
	begun := time.Now()
	pg, err := local.StartPostgres(ctx, s.postgresOptions(port))
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.pg = pg
	s.mu.Unlock()
	s.a.say("postgres %s on 127.0.0.1:%d in %.1f s", pg.Version, pg.Port, time.Since(begun).Seconds())
	return nil
}

func (s *stack) postgresOptions(port int) local.PostgresOptions {
	return local.PostgresOptions{
		DataDir: s.a.cfg.DataDir, BinDir: s.a.cfg.PGBin, Port: port, Fsync: true, Log: s.log.Named("postgres"),
		Progress: func(text string) { s.a.say("postgres: %s", text) }, HideSystem: s.o.hideSystem, MavenURL: s.a.cfg.MavenURL,
	}
}

func (s *stack) startTemporal(ctx context.Context, port, uiPort int) error {
	begun := time.Now()
	t, err := local.StartTemporal(ctx, s.temporalOptions(port, uiPort))
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.temporal = t
	s.mu.Unlock()
	s.a.say("temporal on %s in %.1f s", t.Address, time.Since(begun).Seconds())
	return nil
}

func (s *stack) temporalOptions(port, uiPort int) local.TemporalOptions {
	return local.TemporalOptions{
		DataDir: s.a.cfg.DataDir, Bin: s.a.cfg.TemporalBin, Port: port, UIPort: uiPort, Log: s.log.Named("temporal"),
		Progress: func(text string) { s.a.say("temporal: %s", text) },
	}
}

// startRoles starts the worker and the MCP server as children of this process, which find the rest in the state file.
func (s *stack) startRoles(ctx context.Context, mcpAddress string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, r := range []struct {
		name string
		args []string
	}{{"worker", []string{"worker"}}, {"mcp", []string{"mcp", "--http=" + mcpAddress}}} {
		c, err := local.StartChild(ctx, local.ChildOptions{
			Name: r.name, Path: self, Args: append(r.args, "--data-dir", s.a.cfg.DataDir, "--stop-with-input"), Env: s.a.env.environ(),
			DataDir: s.a.cfg.DataDir, Log: s.log.Named(r.name), OnStart: func(pid int) { s.note(r.name, pid) },
		})
		if err != nil {
			return fmt.Errorf("start the %s: %w", r.name, err)
		}
		s.children = append(s.children, c)
	}
	return nil
}

// watch starts Postgres and Temporal again when they end by themselves, on the same ports; the roles, which know the
// ports, only wait. The roles are watched by their own supervisor.
func (s *stack) watch(ctx context.Context) {
	for {
		select {
		case <-s.stopped:
			return
		case <-s.pg.Done():
			s.revive(ctx, "postgres", func() error { return s.startPostgres(ctx, s.pg.Port) })
		case <-s.temporal.Done():

			s.revive(ctx, "temporal", func() error { return s.startTemporal(ctx, portOf(s.temporal.Address), portOf(s.temporal.UIURL)) })
		}
	}
}

// revive tries until it works or the stack is told to stop.
func (s *stack) revive(ctx context.Context, name string, start func() error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		select {
		case <-s.stopped:
			return
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		s.log.Warn("server ended, starting it again", zap.String(telemetry.KeyComponent, name))
		s.a.say("%s ended, starting it again", name)
		err := start()
		if err == nil {
			_ = s.writeState()
			return
		}
		s.log.Error("start again", zap.String(telemetry.KeyComponent, name), zap.Error(err))
	}
}

// polled reports whether a worker waits for workflows.
func polled(ctx context.Context, temporal client.Client) bool {
	d, err := temporal.DescribeTaskQueue(ctx, workflows.TaskQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	return err == nil && len(d.GetPollers()) > 0
}

// listenAddress is where a child will listen: the port, or a free one for 0. A taken port is an error now, before the
// child would find out.
func listenAddress(port int) (string, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", &failure{code: codeUnavailable, what: fmt.Sprintf("port %d for the MCP server is taken", port), next: "tartan up --mcp-port 0 takes a free one"}
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// note keeps the process id of a role in the state, also when it was started again.
func (s *stack) note(name string, pid int) {
	s.mu.Lock()
	s.roles[name] = pid
	s.mu.Unlock()
	_ = s.writeState() // a stale process id is only shown, never used
}

// writeState writes what runs, and where, for the other commands and for the children.
func (s *stack) writeState() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.PID = os.Getpid()
	s.state.PIDs = map[string]int{"postgres": s.pg.PID, "temporal": s.temporal.PID}
	maps.Copy(s.state.PIDs, s.roles)
	return local.WriteState(s.a.cfg.DataDir, s.state)
}

// portOf is the port of a URL or an address, 0 where there is none.
func portOf(address string) int {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		u = &url.URL{Host: address}
	}
	n, _ := strconv.Atoi(u.Port())
	return n
}
