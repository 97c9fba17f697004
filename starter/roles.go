package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/mcp/server"
	"github.com/tartan-ai/tartan/workers"
)

// The soft memory limits of the long-running roles, in MiB.
const (
	workerMemory = 72
	mcpMemory    = 64
	upMemory     = 48
)

func (a *app) workerCommand() *cobra.Command {
	var (
		concurrency int
		child       bool
	)
	c := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker: the workflows and the agents of Tartan",
		Long:  "Run a worker: the workflows and the agents of Tartan, against any Postgres and any Temporal. More of them do more.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			limitMemory(workerMemory)
			return a.work(a.withInput(c.Context(), child), concurrency)
		},
	}
	c.Flags().IntVar(&concurrency, "concurrency", 0, "chunks read at once (0 = 2)")
	stopWithInput(c, &child)
	return c
}

func (a *app) work(ctx context.Context, concurrency int) error {
	pool, err := a.database(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return err
	}
	embedder, err := a.embedder()
	if err != nil {
		return err
	}
	grants, err := a.grants()
	if err != nil {
		return err
	}
	keeper, err := a.keeper()
	if err != nil {
		return err
	}
	log := a.log.Named("worker")
	libraries := feed.NewLibraries(pool, log.Named("feed"))
	models, err := a.modelEngine(ctx, pool, libraries)
	if err != nil {
		return err
	}
	log.Info("worker started", zap.Int(telemetry.KeyPID, os.Getpid()))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ended(ctx, libraries.Run(ctx)) })
	g.Go(func() error {
		return ended(ctx, workers.Run(ctx, workers.Config{
			Client: temporal, Pool: pool, Bucket: objects, Libraries: libraries, Log: log, Concurrency: concurrency,
			Embedder: embedder, Models: models, Grants: grants, Keeper: keeper, Targets: a.targetURL, Lint: lintStored,
		}))
	})
	return g.Wait()
}

// ended drops the error of something that was told to stop.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (a *app) mcpCommand() *cobra.Command {
	var (
		address         string
		readOnly, child bool
	)
	c := &cobra.Command{
		Use:   "mcp",
		Short: "Run the MCP server, on stdio or over HTTP",
		Long: "Run the MCP server. Without --http it speaks on stdin and stdout, as an MCP client starts it.\n" +
			"With --http it listens and wants a bearer token with every request; see tartan token.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			limitMemory(mcpMemory)
			if c.Flags().Changed("http") {
				return a.serveHTTP(a.withInput(c.Context(), child), address, readOnly)
			}
			return a.serveStdio(c.Context(), readOnly)
		},
	}
	c.Flags().StringVar(&address, "http", "", "listen on this address, host:port")
	c.Flags().Lookup("http").NoOptDefVal = "configured"
	c.Flags().BoolVar(&readOnly, "read-only", false, "offer only the tools that read")
	stopWithInput(c, &child)
	return c
}

// grown makes room for what an index of the knowledge base holds beside all else. It is few large pieces without pointers, which the collector
// need not look into; so it may run often, and little is left over.
func grown(indexed int64) {
	debug.SetMemoryLimit(mcpMemory<<20 + indexed + indexed/8)
	if indexed > mcpMemory<<19 {
		debug.SetGCPercent(10)
	}
}

// stopWithInput adds the flag by which tartan up starts its children: they end with it, whatever ends it.
func stopWithInput(c *cobra.Command, child *bool) {
	c.Flags().BoolVar(child, "stop-with-input", false, "stop when standard input ends")
	_ = c.Flags().MarkHidden("stop-with-input")
}

// withInput returns a context that also ends with standard input, if asked for.
func (a *app) withInput(ctx context.Context, asked bool) context.Context {
	if !asked {
		return ctx
	}
	ctx, stop := context.WithCancel(ctx)
	local.StopWithInput(a.in, stop)
	return ctx
}

// server makes the MCP server and the follower that feeds its index.
func (a *app) server(ctx context.Context, readOnly bool) (*server.Server, *feed.Libraries, error) {
	pool, err := a.database(ctx)
	if err != nil {
		return nil, nil, err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return nil, nil, err
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return nil, nil, err
	}
	embedder, err := a.embedder()
	if err != nil {
		return nil, nil, err
	}
	keeper, err := a.keeper()
	if err != nil {
		return nil, nil, err
	}
	log := a.log.Named("mcp")
	libraries := feed.NewLibrariesWith(pool, log.Named("feed"), feed.Options{Snapshots: a.snapshotFolder(), Embedder: a.configured(embedder), Grown: grown})
	s, err := server.New(server.Config{
		Pool: pool, Temporal: temporal, Libraries: libraries, Bucket: objects, Keys: a.keys(), Expect: a.expect(),
		AllowedOrigins: a.cfg.Origins(), ResourceURL: a.cfg.MCPURL, TemporalUIURL: a.stack.TemporalUIURL, Log: log, ReadOnly: readOnly,
		Embedder: embedder, Linter: lintFiles, Keeper: keeper,
	})
	return s, libraries, err
}

func (a *app) serveHTTP(ctx context.Context, address string, readOnly bool) error {
	if address == "" || address == "configured" {
		address = a.cfg.MCPAddr
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return &failure{code: codeUnavailable, what: "listen on " + address, why: err, next: "choose another address with --http, or port 0 for a free one"}
	}
	if a.cfg.MCPURL == "" {
		a.cfg.MCPURL = "http://" + listener.Addr().String() + "/mcp"
		if a.cfg.JWTAudience == "" {
			a.cfg.JWTAudience = a.cfg.MCPURL
		}
	}
	s, libraries, err := a.server(ctx, readOnly)
	if err != nil {
		listener.Close()
		return err
	}
	libraries.Warm(ctx)
	a.log.Info("mcp server listening", zap.String(telemetry.KeyAddress, listener.Addr().String()), zap.String(telemetry.KeyURL, a.cfg.MCPURL))
	defer s.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ended(ctx, libraries.Run(ctx)) })
	g.Go(func() error { return ended(ctx, s.Serve(ctx, listener)) })
	return g.Wait()
}

func (a *app) serveStdio(ctx context.Context, readOnly bool) error {
	token := a.cfg.Token
	if token == "" {
		var err error
		if token, err = a.issueToken(a.cfg.JWTAudience, 30*24*time.Hour); err != nil {
			return err
		}
	}
	s, libraries, err := a.server(ctx, readOnly)
	if err != nil {
		return err
	}
	defer s.Close()
	libraries.Warm(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ended(ctx, libraries.Run(ctx)) })
	g.Go(func() error {
		defer cancel() // the client has gone
		return ended(ctx, s.ServeStdio(ctx, a.in, a.out, token, a.cfg.Workspace))
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("serve MCP on stdio: %w", err)
	}
	return nil
}
