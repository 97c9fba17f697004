package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/mcp/server"
)

const issuer = "tartan-test"

// stack is a server on loopback over a database of its own, with the key that its tokens are signed with.
type stack struct {
	db        *testdb.DB
	libraries *feed.Libraries
	server    *server.Server
	key       *access.Key
	url       string // of the endpoint
	config    server.Config

	mu      sync.Mutex
	entered []string
}

func newStack(t testing.TB, change ...func(*server.Config)) *stack {
	t.Helper()
	k := &stack{db: testdb.New(t)}
	log := zap.NewNop()
	if testing.Verbose() {
		log = zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
	}
	k.libraries = feed.NewLibraries(k.db.Pool, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = k.libraries.Run(ctx)
	}()
	var err error
	k.key, err = access.NewKey()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	k.url = "http://" + listener.Addr().String() + server.Path
	k.config = server.Config{
		Pool: k.db.Pool, Libraries: k.libraries, Log: log, Keys: k.key.Public(), Expect: access.Expect{Issuer: issuer, Audience: k.url},
		ResourceURL: k.url, AllowedOrigins: []string{"https://app.example"},
	}
	for _, fn := range change {
		fn(&k.config)
	}
	k.server, err = server.New(k.config)
	require.NoError(t, err)
	k.server.OnEntered(func(what string) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.entered = append(k.entered, what)
	})
	served := make(chan error, 1)
	go func() { served <- k.server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		k.server.Close()
		cancel()
		require.NoError(t, <-served)
		<-done
	})
	return k
}

// handlers is how many handlers have been entered.
func (k *stack) handlers() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.entered)
}

func (k *stack) token(t testing.TB, user uuid.UUID, change ...func(*access.Claims)) string {
	t.Helper()
	now := time.Now()
	claims := access.Claims{Subject: user, Issuer: issuer, Audience: []string{k.url}, ClientID: "test", Expires: now.Add(time.Hour)}
	for _, fn := range change {
		fn(&claims)
	}
	token, err := access.Issue(k.key, claims, now)
	require.NoError(t, err)
	return token
}

// learn mines lines into a library as one committed chunk, at the time of now where a line has none.
func (k *stack) learn(t testing.TB, caller access.Caller, library string, now time.Time, lines ...string) int64 {
	t.Helper()
	tally := template.NewTally(template.TallyOptions{Values: true})
	parser := header.NewParser(now)
	for _, line := range lines {
		h := parser.Parse([]byte(line))
		at := now.UnixNano()
		if h.HasTime {
			at = h.Time
		}
		tally.Add(h.Message, []byte(line), at)
	}
	counted := tally.Counted()
	var shapes []template.Shape
	for _, c := range counted {
		shapes = append(shapes, c.Shape)
	}
	var lib postgres.Library
	var revision int64
	err := postgres.InWorkspace(t.Context(), k.db.Pool, caller, func(tx pgx.Tx) error {
		found, err := postgres.EnsureLibrary(t.Context(), tx, caller.WorkspaceID, library, "lines")
		if err != nil {
			return err
		}
		source, err := postgres.SaveSource(t.Context(), tx, postgres.Source{
			WorkspaceID: caller.WorkspaceID, LibraryID: found.ID, SHA256: strings.Repeat("0", 32) + strings.ReplaceAll(uuid.NewString(), "-", ""),
			Name: "test", ObjectKey: "x", Bytes: 1, PlainBytes: 1, ChunkBytes: 1, Chunks: 1, ReceivedAt: now,
		})
		if err != nil {
			return err
		}
		if lib, err = postgres.LockLibrary(t.Context(), tx, found.ID); err != nil {
			return err
		}
		change, err := k.libraries.Learn(t.Context(), tx, lib, shapes)
		if err != nil {
			return err
		}
		if revision, err = postgres.SaveChange(t.Context(), tx, lib, change, "test", now); err != nil {
			return err
		}
		return postgres.AddCounts(t.Context(), tx, lib, revision, counted, change.Assigned, source.ID)
	})
	require.NoError(t, err)
	k.libraries.Committed(lib.ID, revision)
	return revision
}

// client speaks JSON-RPC over HTTP in one era.
type client struct {
	k       *stack
	token   string
	modern  bool
	session string
	headers map[string]string
	query   string
	nextID  int
}

func (k *stack) client(t testing.TB, caller access.Caller, modern bool) *client {
	t.Helper()
	c := &client{k: k, token: k.token(t, caller.UserID), modern: modern, headers: map[string]string{}}
	if !modern {
		c.initialize(t)
	}
	return c
}

func (c *client) initialize(t testing.TB) {
	t.Helper()
	_, h, body := c.post(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`, "initialize", "")
	c.session = h.Get("Mcp-Session-Id")
	require.NotEmpty(t, c.session, string(body))
}

func (c *client) request(t testing.TB, ctx context.Context, method, body, rpc, name string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.k.url+c.query, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.modern {
		r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		r.Header.Set("Mcp-Method", rpc)
		if name != "" {
			r.Header.Set("Mcp-Name", name)
		}
	} else if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
		r.Header.Set("Mcp-Protocol-Version", "2025-06-18")
	}
	for k, v := range c.headers {
		r.Header.Set(k, v)
	}
	return r
}

func (c *client) post(t testing.TB, body, rpc, name string) (int, http.Header, []byte) {
	t.Helper()
	resp, err := http.DefaultClient.Do(c.request(t, context.Background(), http.MethodPost, body, rpc, name))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, text
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// message builds a request with params given as the members of a JSON object.
func (c *client) message(method, params string) string {
	c.nextID++
	if c.modern {
		if params != "" {
			params += ","
		}
		params += modernMeta
	}
	return `{"jsonrpc":"2.0","id":` + string(must(json.Marshal(c.nextID))) + `,"method":"` + method + `","params":{` + params + `}}`
}

type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int            `json:"code"`
		Message string         `json:"message"`
		Data    map[string]any `json:"data"`
	} `json:"error"`
}

func (c *client) call(t testing.TB, method, params, name string) answer {
	t.Helper()
	_, _, body := c.post(t, c.message(method, params), method, name)
	return parse(t, body)
}

func parse(t testing.TB, body []byte) (a answer) {
	t.Helper()
	if i := bytes.Index(body, []byte("data: ")); i >= 0 && body[0] != '{' {
		body = body[i+6:]
	}
	require.NoError(t, json.Unmarshal(bytes.TrimSpace(body), &a), string(body))
	return a
}

type toolResult struct {
	Content []struct {
		Type, Text string
	} `json:"content"`
	Structured json.RawMessage `json:"structuredContent"`
	IsError    bool            `json:"isError"`
}

func (c *client) tool(t testing.TB, name, args string) (r toolResult) {
	t.Helper()
	a := c.call(t, "tools/call", `"name":"`+name+`","arguments":`+args, name)
	require.Nil(t, a.Error, name)
	require.NoError(t, json.Unmarshal(a.Result, &r))
	require.NotEmpty(t, r.Content)
	return r
}

// into calls a tool that must succeed and decodes its structured content.
func (c *client) into(t testing.TB, out any, name, args string) string {
	t.Helper()
	r := c.tool(t, name, args)
	require.False(t, r.IsError, "%s: %s", name, r.Content[0].Text)
	require.NoError(t, json.Unmarshal(r.Structured, out))
	return r.Content[0].Text
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
