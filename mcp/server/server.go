// Package server is Tartan's MCP server: streamable HTTP and stdio in front of the tools. Messages and tokens come in; each is
// checked against limits, origin, token and membership before any handler sees it. mcp-go is used here and nowhere else. The
// package knows no tool by name.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// Path is where the MCP endpoint is mounted.
const Path = "/mcp"

// Config is what a server needs. Pool, Libraries, Keys and Expect are required; without Temporal or Bucket the tools that need
// them say so.
type Config struct {
	Pool      *pgxpool.Pool
	Temporal  client.Client
	Libraries *feed.Libraries
	Bucket    *bucket.Bucket
	Log       *zap.Logger
	Embedder  embed.Embedder // of texts; nil is the built-in one

	// Linter reads plans of migrations; nil reads none.
	Linter func(ctx context.Context, files []migration.File) (tools.Linted, error)

	Keys           access.Keys
	Keeper         *access.Keeper // that tokens of agents are kept with; nil refuses them
	Expect         access.Expect  // Audience is what tokens must name, normally ResourceURL
	ResourceURL    string         // where clients reach the endpoint, such as http://127.0.0.1:7017/mcp
	AuthServers    []string       // where clients get a token, for the metadata document; nil is Expect.Issuer where that is a URL
	AllowedOrigins []string       // web origins beside ResourceURL's own
	TemporalUIURL  string         // for links to a workflow's page; "" for none
	ReadOnly       bool           // serve only tools that change nothing

	// OnCall is told of every tool call, for metrics; it may be nil. It must return quickly.
	OnCall   func(CallInfo)
	Fixtures *Fixtures // for the official conformance suite only; nil otherwise
}

// Fixtures are what the official conformance suite calls, behind the same layers. A server with fixtures asks for no token, takes
// everybody for nobody, and answers loopback connections only.
type Fixtures struct {
	Mount    func(*mcpserver.MCPServer)
	Requires map[string]string     // by tool, the client capability without which it must not be called
	Serves   func(uri string) bool // whether there is such a resource
}

// CallInfo is what happened in one tool call.
type CallInfo struct {
	Tool      string
	Caller    access.Caller
	Outcome   string // "ok", a tools.Kind, or "internal"
	Duration  time.Duration
	Reference string // of an internal error, as logged and as told to the client
}

// Server serves MCP. It is safe for concurrent use.
type Server struct {
	config   Config
	log      *zap.Logger
	tools    map[string]*tools.Tool
	prompts  map[string]*tools.Prompt
	suite    *tools.Suite
	members  *members
	auth     *access.Verifier
	mcp      *mcpserver.MCPServer
	sessions *sessions
	watch    *watchers
	stop     context.CancelFunc
	streams  context.Context // ends when streams must, before the requests under way
	cut      context.CancelFunc
	mounting sync.Mutex // guards mounted
	mounted  []*mcpserver.StreamableHTTPServer
	now      func() time.Time
	entered  func(what string) // told when a handler starts, so that tests can prove that none did
}

// New makes a server. Close it when done.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Fixtures == nil && (c.Pool == nil || c.Libraries == nil || c.Keys == nil || c.Expect.Issuer == "" || c.Expect.Audience == "") {
		return nil, errors.New("make MCP server: pool, libraries, keys, issuer and audience are required")
	}
	if _, err := url.Parse(c.ResourceURL); err != nil {
		return nil, fmt.Errorf("make MCP server: resource URL: %w", err)
	}
	s := &Server{
		config: c, log: c.Log.Named("mcp"), tools: map[string]*tools.Tool{}, prompts: map[string]*tools.Prompt{}, now: time.Now, entered: func(string) {},
		members: newMembers(c.Pool, c.Libraries), sessions: newSessions(),
	}
	s.auth = access.NewVerifier(c.Keys, c.Expect)
	s.suite = &tools.Suite{
		Pool: c.Pool, Temporal: c.Temporal, Libraries: c.Libraries, Bucket: c.Bucket, TemporalUIURL: c.TemporalUIURL, Version: Version(),
		Embedder: c.Embedder, Log: s.log, Linter: c.Linter, Ask: ask,
	}
	all := s.suite.Tools()
	for i := range all {
		if !c.ReadOnly || all[i].ReadOnly {
			s.tools[all[i].Name] = &all[i]
		}
	}
	prompts := s.suite.Prompts()
	for i := range prompts {
		s.prompts[prompts[i].Name] = &prompts[i]
	}
	s.mcp = s.newLibraryServer(all)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.streams, s.cut = context.WithCancel(ctx)
	s.watch = newWatchers(s)
	if c.Libraries != nil {
		unsubscribe := c.Libraries.Subscribe(s.watch.note)
		go func() {
			defer unsubscribe()
			s.watch.run(ctx)
		}()
	}
	return s, nil
}

// Close ends streams and what the server does in the background. Other requests under way go on.
func (s *Server) Close() {
	s.stop()
	s.mounting.Lock()
	defer s.mounting.Unlock()
	for _, m := range s.mounted {
		_ = m.Shutdown(context.Background()) // it only ends sessions: the listener is ours
	}
}

// Version is the version of the module that the binary was built from.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// Handler makes a handler that serves Path, the metadata document of RFC 9728 and /healthz. Everything but the last two needs a token.
func (s *Server) Handler() http.Handler {
	streamable := mcpserver.NewStreamableHTTPServer(s.mcp,
		mcpserver.WithSessionIdManagerResolver(s.sessions),
		mcpserver.WithSessionIdleTTL(sessionTTL),
		mcpserver.WithHeartbeatInterval(30*time.Second),
		// The host is checked by guard, which knows the name that a proxy in front may use.
		mcpserver.WithDisableLocalhostProtection(true),
		mcpserver.WithStreamableHTTPLogger(slog.New(zapslog.NewHandler(s.log.Core()))),
	)
	s.mounting.Lock()
	s.mounted = append(s.mounted, streamable)
	s.mounting.Unlock()
	mux := http.NewServeMux()
	mux.Handle(Path, s.authenticated(s.routed(streamable)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET "+metadataPath, s.serveMetadata)
	mux.HandleFunc("GET "+metadataPath+Path, s.serveMetadata)
	return s.guarded(mux)
}

// Serve answers on l until ctx ends, then lets requests under way finish for up to five seconds. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests := context.WithoutCancel(ctx)
	h := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return requests },
		ErrorLog:    zap.NewStdLog(s.log),
	}
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve MCP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.cut() // streams never finish by themselves
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := h.Shutdown(wait); err != nil {
		_ = h.Close()
	}
	return nil
}

// nobody is the caller of a server with fixtures.
var nobody = Identity{Claims: access.Claims{Subject: uuid.MustParse("00000000-0000-4000-8000-000000000000")}}
