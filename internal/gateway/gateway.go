// Package gateway speaks the OpenAI dialect to any client and has each call done by completion: a bearer token of Tartan
// says who pays, the model "auto" leaves the choice to routing, and budgets hold whatever the path. It knows no provider.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/internal/telemetry"
)

// The headers by which a client says more than the dialect has words for, all optional.
const (
	WorkspaceHeader = "X-Tartan-Workspace" // slug or id; needed by members of several
	AgentHeader     = "X-Tartan-Agent"
	TaskHeader      = "X-Tartan-Task"
	DialHeader      = "X-Tartan-Dial"     // 0 cost to 1 quality; 0.5
	CacheHeader     = "X-Tartan-Cache"    // off, exact, or a similarity such as 0.95
	MaxCostHeader   = "X-Tartan-Max-Cost" // micro-dollars
)

const (
	maxBody     = 8 << 20
	maxTexts    = 2048
	listFor     = 10 * time.Second
	usualDial   = 0.5
	pieceWithin = 30 * time.Second // a client that takes no piece for so long is gone
)

// Config is what a gateway needs; all is required but Log.
type Config struct {
	Pool   *pgxpool.Pool
	Engine *completion.Engine
	Models func() []routing.Model
	Keys   access.Keys
	Expect access.Expect
	Log    *zap.Logger
}

// Gateway serves the OpenAI dialect. It is safe for concurrent use.
type Gateway struct {
	config Config
	log    *zap.Logger
	auth   *access.Verifier

	mu    sync.Mutex
	lists map[uuid.UUID]workspaces
}

type workspaces struct {
	all []postgres.Workspace
	at  time.Time
}

// New makes a gateway.
func New(c Config) (*Gateway, error) {
	if c.Pool == nil || c.Engine == nil || c.Models == nil || c.Keys == nil || c.Expect.Issuer == "" || c.Expect.Audience == "" {
		return nil, errors.New("make gateway: pool, engine, models, keys, issuer and audience are required")
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return &Gateway{config: c, log: c.Log.Named("gateway"), auth: access.NewVerifier(c.Keys, c.Expect), lists: map[uuid.UUID]workspaces{}}, nil
}

// Handler serves the paths of the dialect and /healthz. All but the last need a token.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", g.serve(g.chat))
	mux.HandleFunc("POST /v1/embeddings", g.serve(g.embed))
	mux.HandleFunc("GET /v1/models", g.serve(g.models))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, &problem{http.StatusNotFound, "invalid_request_error", "not_found", "there is no " + r.Method + " " + r.URL.Path + " here: POST /v1/chat/completions, POST /v1/embeddings, GET /v1/models", 0})
	})
	return mux
}

// Serve answers on l until ctx ends, then lets calls under way finish for up to five seconds. It closes l.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	h := &http.Server{
		Handler: g.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return calls }, ErrorLog: zap.NewStdLog(g.log),
	}
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	defer g.config.Engine.Wait()
	select {
	case err := <-done:
		return fmt.Errorf("serve the gateway on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if h.Shutdown(wait) != nil {
		cut() // calls settle what they have used
		settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = h.Shutdown(settle)
		_ = h.Close()
	}
	return nil
}

// problem is a refusal in the form of the dialect.
type problem struct {
	status     int
	kind, code string
	message    string
	retryAfter time.Duration
}

func (p *problem) Error() string { return p.message }

func refuse(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body())
}

func (p *problem) body() []byte {
	body, _ := json.Marshal(map[string]any{"error": map[string]any{"message": p.message, "type": p.kind, "code": p.code, "param": nil}})
	return body
}

// serve lets a request with a valid token through, as its user in one workspace.
func (g *Gateway) serve(next func(http.ResponseWriter, *http.Request, access.Caller) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, err := g.identify(r)
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			err = next(w, r, caller)
		}
		if err != nil {
			refuse(w, g.explain(err, r.URL.Path))
		}
	}
}

func (g *Gateway) identify(r *http.Request) (access.Caller, error) {
	// A page of another site must not spend: browsers send an origin, programs do not.
	if r.Header.Get("Origin") != "" {
		return access.Caller{}, &problem{http.StatusForbidden, "invalid_request_error", "origin", "the gateway is not for browsers", 0}
	}
	token, fault := access.Bearer(r.Header.Values("Authorization"))
	if fault != "" {
		return access.Caller{}, &problem{http.StatusBadRequest, "invalid_request_error", "invalid_token", fault, 0}
	}
	if token == "" {
		return access.Caller{}, &problem{http.StatusUnauthorized, "authentication_error", "invalid_api_key", "send a token of Tartan as the API key; `tartan token` makes one for the local stack", 0}
	}
	claims, err := g.auth.Verify(token, time.Now())
	if err != nil {
		return access.Caller{}, &problem{http.StatusUnauthorized, "authentication_error", "invalid_api_key", access.TokenProblem(err), 0}
	}
	id, err := g.workspace(r.Context(), claims.Subject, r.Header.Get(WorkspaceHeader))
	return access.Caller{UserID: claims.Subject, WorkspaceID: id}, err
}

// workspace resolves a name; whether its member may spend is asked of the database at each call.
func (g *Gateway) workspace(ctx context.Context, user uuid.UUID, want string) (uuid.UUID, error) {
	g.mu.Lock()
	known, ok := g.lists[user]
	g.mu.Unlock()
	if !ok || time.Since(known.at) > listFor {
		all, err := postgres.Workspaces(ctx, g.config.Pool, user)
		if err != nil {
			return uuid.Nil, err
		}
		known = workspaces{all, time.Now()}
		g.mu.Lock()
		if len(g.lists) > 10_000 {
			clear(g.lists)
		}
		g.lists[user] = known
		g.mu.Unlock()
	}
	for _, w := range known.all {
		if want != "" && (w.Slug == want || w.ID.String() == want) || want == "" && len(known.all) == 1 {
			return w.ID, nil
		}
	}
	if want == "" && len(known.all) > 1 {
		return uuid.Nil, &problem{http.StatusBadRequest, "invalid_request_error", "workspace", "you are a member of several workspaces: choose one with the header " + WorkspaceHeader, 0}
	}
	return uuid.Nil, &problem{http.StatusForbidden, "permission_error", "workspace", "you are not a member of this workspace", 0}
}

// explain says what went wrong in the words of the dialect; what is not known is logged and told by a reference only.
func (g *Gateway) explain(err error, path string) *problem {
	var p *problem
	var over *postgres.OverBudgetError
	var failed *completion.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &over):
		return &problem{http.StatusPaymentRequired, "insufficient_quota", "budget_exceeded", over.Error(), 0}
	case errors.As(err, &large):
		return &problem{http.StatusRequestEntityTooLarge, "invalid_request_error", "too_large", "the body is larger than 8 MiB", 0}
	case errors.Is(err, postgres.ErrDenied):
		return &problem{http.StatusForbidden, "permission_error", "denied", "spending needs the role editor: ask an admin of the workspace", 0}
	case errors.As(err, &failed):
		return explainFailed(failed)
	}
	reference := uuid.NewString()[:8]
	g.log.Error("request failed", zap.Error(err), zap.String(telemetry.KeyPath, path), zap.String(telemetry.KeyReference, reference))
	return &problem{http.StatusInternalServerError, "api_error", "internal", "internal error, reference " + reference, 0}
}

func explainFailed(e *completion.Error) *problem {
	p := &problem{message: e.Error(), code: string(e.Class), kind: "api_error"}
	if n := len(e.Attempts); n > 0 {
		p.retryAfter = e.Attempts[n-1].RetryAfter
	}
	switch e.Class {
	case routing.BadRequest:
		p.status, p.kind = http.StatusBadRequest, "invalid_request_error"
	case routing.ContextLength:
		p.status, p.kind, p.code = http.StatusBadRequest, "invalid_request_error", "context_length_exceeded"
	case routing.ContentFilter:
		p.status, p.kind = http.StatusBadRequest, "invalid_request_error"
	case routing.Throttled:
		p.status, p.kind = http.StatusTooManyRequests, "rate_limit_error"
	case routing.Silent:
		p.status = http.StatusGatewayTimeout
	case routing.Cancelled:
		p.status = 499
	case routing.Auth, routing.Quota, routing.Unverified:
		p.status = http.StatusBadGateway
	default:
		p.status = http.StatusServiceUnavailable
	}
	return p
}

// call reads what the headers say.
func (g *Gateway) call(r *http.Request, caller access.Caller) (*completion.Call, error) {
	c := &completion.Call{Caller: caller, Key: uuid.NewString(), Agent: r.Header.Get(AgentHeader), Task: r.Header.Get(TaskHeader), Dial: usualDial}
	bad := func(header, want string) error {
		return &problem{http.StatusBadRequest, "invalid_request_error", "header", header + ": want " + want, 0}
	}
	if len(c.Agent) > 200 || len(c.Task) > 200 {
		return nil, bad(AgentHeader+" and "+TaskHeader, "at most 200 characters")
	}
	if v := r.Header.Get(DialHeader); v != "" {
		dial, err := strconv.ParseFloat(v, 64)
		if err != nil || !(dial >= 0 && dial <= 1) {
			return nil, bad(DialHeader, "a number from 0 (cost) to 1 (quality)")
		}
		c.Dial = dial
	}
	if v := r.Header.Get(MaxCostHeader); v != "" {
		most, err := strconv.ParseInt(v, 10, 64)
		if err != nil || most <= 0 {
			return nil, bad(MaxCostHeader, "micro-dollars, 1 or more")
		}
		c.MaxCost = routing.Money(most)
	}
	switch v := r.Header.Get(CacheHeader); v {
	case "":
	case "off":
		c.Cache.Off = true
	case "exact":
		c.Cache.Exact = true
	default:
		similar, err := strconv.ParseFloat(v, 64)
		if err != nil || !(similar >= 0.5 && similar <= 1) {
			return nil, bad(CacheHeader, "off, exact, or a similarity from 0.5 to 1")
		}
		c.Cache.Similar = similar
	}
	return c, nil
}

func (g *Gateway) models(w http.ResponseWriter, _ *http.Request, _ access.Caller) error {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int    `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	list := []model{{completion.Auto, "model", 0, "tartan"}}
	for _, m := range g.config.Models() {
		if !m.Disabled {
			list = append(list, model{m.ID, "model", 0, m.Provider})
		}
	}
	return answer(w, map[string]any{"object": "list", "data": list})
}

func answer(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
	return nil
}
