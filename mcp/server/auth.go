package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/telemetry"
)

const (
	metadataPath = "/.well-known/oauth-protected-resource"
	// WorkspaceHeader chooses the workspace of a request, as does the query parameter workspace.
	WorkspaceHeader = "X-Tartan-Workspace"
)

// Identity is who sent a request and which workspace they chose.
type Identity struct {
	Claims    access.Claims
	Workspace string // slug or id as the client gave it, "" for the only one

	Agent *access.Agent // nil for people; its scopes and tools bound what it may do
	token string        // of an agent, to be looked at again by what outlives a request
}

type identityKey struct{}

func withIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

func identityOf(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok && id.Claims.Subject != uuid.Nil
}

// authenticated lets only requests with a valid bearer token through, with their identity in the context.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.config.Fixtures != nil {
			next.ServeHTTP(w, r.WithContext(withIdentity(r.Context(), nobody)))
			return
		}
		workspace, ok := s.query(w, r)
		if !ok {
			return
		}
		token, problem := access.Bearer(r.Header.Values("Authorization"))
		if problem != "" {
			s.challenge(w, http.StatusBadRequest, "invalid_request", problem)
			return
		}
		if token == "" {
			s.challenge(w, http.StatusUnauthorized, "", "send a bearer token; `tartan token` makes one for the local stack")
			return
		}
		id, err := s.verify(r.Context(), token)
		if err != nil && access.IsAgentToken(token) && postgres.Unavailable(err) { // which says nothing about the token
			writeProblem(w, http.StatusServiceUnavailable, "the database is not reachable; try again in a moment")
			return
		}
		if err != nil {
			s.log.Debug("token refused", zap.Error(err), zap.String(telemetry.KeyPath, r.URL.Path))
			s.challenge(w, http.StatusUnauthorized, "invalid_token", access.TokenProblem(err))
			return
		}
		if h := r.Header.Get(WorkspaceHeader); h != "" {
			workspace = h
		}
		id.Workspace = workspace
		next.ServeHTTP(w, r.WithContext(withIdentity(r.Context(), id)))
	})
}

// query refuses parameters that are not known: a mistyped one would silently do nothing, and a token would end up in logs.
func (s *Server) query(w http.ResponseWriter, r *http.Request) (workspace string, ok bool) {
	if r.URL.RawQuery == "" {
		return "", true
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	for name := range values {
		if name != "workspace" || len(values[name]) > 1 {
			err = errors.New("unknown")
		}
	}
	if err != nil {
		s.challenge(w, http.StatusBadRequest, "invalid_request", "the only query parameter is workspace; a token belongs in the Authorization header")
		return "", false
	}
	return values.Get("workspace"), true
}

// challenge answers in the form of RFC 6750 and RFC 9728.
func (s *Server) challenge(w http.ResponseWriter, status int, code, description string) {
	header := `Bearer resource_metadata="` + s.metadataURL() + `"`
	if code != "" {
		header += `, error="` + code + `", error_description="` + description + `"`
	}
	w.Header().Set("WWW-Authenticate", header)
	writeProblem(w, status, description)
}

func writeProblem(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}

func (s *Server) metadataURL() string {
	u, err := url.Parse(s.config.ResourceURL)
	if err != nil || u.Host == "" {
		return metadataPath + Path
	}
	return u.Scheme + "://" + u.Host + metadataPath + u.Path
}

func (s *Server) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	servers := s.config.AuthServers
	if servers == nil {
		servers = []string{}
		// Supabase's issuer is also the address of its authorization server; the local stack's is only a name.
		if strings.HasPrefix(s.config.Expect.Issuer, "https://") || strings.HasPrefix(s.config.Expect.Issuer, "http://") {
			servers = append(servers, s.config.Expect.Issuer)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"resource": s.config.ResourceURL, "authorization_servers": servers,
		"bearer_methods_supported": []string{"header"}, "resource_name": "Tartan",
	})
}
