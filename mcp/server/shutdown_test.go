package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/supabase"
	"github.com/tartan-ai/tartan/mcp/server"
)

// TestShutdownLetsRequestsFinish ends a server with a stream open and a call under way: the stream ends at once, the call is answered.
func TestShutdownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	k.learn(t, caller, "default", time.Now(), sample...)
	other, err := server.New(k.config)
	require.NoError(t, err)
	defer other.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- other.Serve(ctx, listener) }()
	c := k.client(t, caller, true)
	on := "http://" + listener.Addr().String() + server.Path
	send := func(body, method, name string) *http.Response {
		r := c.request(t, t.Context(), http.MethodPost, body, method, name)
		moved, err := http.NewRequestWithContext(t.Context(), http.MethodPost, on, strings.NewReader(body))
		require.NoError(t, err)
		moved.Header = r.Header
		resp, err := http.DefaultClient.Do(moved)
		require.NoError(t, err)
		return resp
	}
	var list struct{ Patterns []struct{ ID string } }
	c.into(t, &list, "list_patterns", `{}`)
	stream := send(c.message("subscriptions/listen", `"notifications":{"resourceSubscriptions":["tartan://patterns/default/`+list.Patterns[0].ID+`"]}`), "subscriptions/listen", "")
	answered := make(chan string, 1)
	go func() {
		resp := send(c.message("tools/call", `"name":"recognize","arguments":{"lines":["disk sda1 is full"],"after_revision":3}`), "tools/call", "recognize")
		text, _ := io.ReadAll(resp.Body)
		answered <- string(text)
	}()
	time.Sleep(500 * time.Millisecond)
	stop()
	ended := time.Now()
	_, _ = io.ReadAll(stream.Body)
	_ = stream.Body.Close()
	require.Less(t, time.Since(ended), 2*time.Second)
	k.learn(t, caller, "default", time.Now(), "a kind of line that is new")
	k.learn(t, caller, "default", time.Now(), "another kind")
	require.Contains(t, <-answered, `"known":1`)
	require.NoError(t, <-served)
}

// TestSupabaseTokens verifies against a key set over HTTP, as with Supabase: a web session's token is refused, and metadata names the issuer.
func TestSupabaseTokens(t *testing.T) {
	t.Parallel()
	key, err := access.NewKey()
	require.NoError(t, err)
	set, err := access.JWKS(key)
	require.NoError(t, err)
	project := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) })}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = project.Serve(listener) }()
	t.Cleanup(func() { _ = project.Close() })
	address := "http://" + listener.Addr().String()
	k := newStack(t, func(c *server.Config) {
		c.Keys = supabase.NewJWKS(supabase.KeySetURL(address), nil)
		c.Expect.Issuer, c.Expect.RequireClientID = supabase.AuthURL(address), true
	})
	caller := k.db.Workspace(t, "one")
	c := &client{k: k, modern: true, headers: map[string]string{}}
	for _, try := range []struct {
		client string
		aud    []string
		want   int
	}{
		{"client", []string{"authenticated", k.url}, http.StatusOK},
		{"", []string{"authenticated", k.url}, http.StatusUnauthorized},
		{"client", []string{"authenticated"}, http.StatusUnauthorized},
	} {
		claims := access.Claims{Subject: caller.UserID, Issuer: supabase.AuthURL(address), Audience: try.aud, ClientID: try.client, Expires: time.Now().Add(time.Hour)}
		c.token, err = access.Issue(key, claims, time.Now())
		require.NoError(t, err)
		status, _, body := c.post(t, c.message("tools/list", ""), "tools/list", "")
		require.Equal(t, try.want, status, string(body))
	}
	resp, err := http.Get(strings.TrimSuffix(k.url, "/mcp") + "/.well-known/oauth-protected-resource/mcp")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	require.Contains(t, string(text), `"authorization_servers":["`+supabase.AuthURL(address)+`"]`)
}
