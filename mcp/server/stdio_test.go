package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
)

// console is a client of a stdio server.
type console struct {
	in    io.WriteCloser
	lines chan string
	ended chan error
}

func (k *stack) stdio(t *testing.T, token string) *console {
	t.Helper()
	serverIn, clientOut := io.Pipe()
	clientIn, serverOut := io.Pipe()
	c := &console{in: clientOut, lines: make(chan string, 100), ended: make(chan error, 1)}
	go func() { c.ended <- k.server.ServeStdio(context.Background(), serverIn, serverOut, token, "") }()
	go func() {
		r := bufio.NewScanner(clientIn)
		r.Buffer(nil, 8<<20)
		for r.Scan() {
			c.lines <- r.Text()
		}
	}()
	t.Cleanup(func() { _ = clientOut.Close(); _ = serverOut.Close() })
	return c
}

func (c *console) send(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(c.in, line+"\n")
	require.NoError(t, err)
}

func (c *console) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-c.lines:
		return line
	case <-time.After(10 * time.Second):
		require.Fail(t, "no answer")
		return ""
	}
}

func TestStdio(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	k.learn(t, caller, "default", time.Now(), sample...)
	c := k.stdio(t, k.token(t, caller.UserID))
	c.send(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	require.Contains(t, c.next(t), `"protocolVersion":"2025-06-18"`)
	c.send(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	c.send(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recognize","arguments":{"lines":["`+sample[0]+`"]}}}`)
	require.Contains(t, c.next(t), `"known":1`)
	c.send(t, `{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{`+modernMeta+`}}`)
	require.Contains(t, c.next(t), `"resultType":"complete"`)
	c.send(t, `not json`)
	require.Contains(t, c.next(t), `-32700`)
	c.send(t, `[{"jsonrpc":"2.0","id":3,"method":"ping"}]`)
	require.Contains(t, c.next(t), `-32600`)
	c.send(t, strings.Repeat("x", 5<<20))
	require.Contains(t, c.next(t), `-32700`)
	for i := range 100 {
		c.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i+10))
	}
	for range 100 {
		require.Contains(t, c.next(t), `"result"`)
	}
	require.NoError(t, c.in.Close())
	require.NoError(t, <-c.ended)
}

func TestStdioNeedsAToken(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	for kind, token := range badTokens(t, k, caller.UserID) {
		if kind == "no client" {
			continue // accepted by this server, which does not ask for one
		}
		c := k.stdio(t, token)
		require.Error(t, <-c.ended, kind)
	}
	c := k.stdio(t, k.token(t, caller.UserID, func(c *access.Claims) { c.Expires = time.Now().Add(time.Second) }))
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"health","arguments":{}}}`
	c.send(t, list)
	require.Contains(t, c.next(t), `"result"`)
	before := k.handlers()
	time.Sleep(1200 * time.Millisecond)
	c.send(t, list)
	require.Contains(t, c.next(t), "no longer accepted")
	require.Equal(t, before, k.handlers())
}

// TestSubscribersAreToldOfChanges covers both eras over HTTP and stdio: a change in the subscriber's workspace is told, one of the same
// address in another workspace is not.
func TestSubscribersAreToldOfChanges(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")
	k.learn(t, one, "default", time.Now(), sample...)
	k.learn(t, two, "default", time.Now(), sample...)
	var list struct{ Patterns []struct{ ID string } }
	k.client(t, one, true).into(t, &list, "list_patterns", `{"query":"disk"}`)
	uri := "tartan://patterns/default/" + list.Patterns[0].ID
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	streams := map[string]<-chan string{}
	modern := k.client(t, one, true)
	listen := modern.message("subscriptions/listen", `"notifications":{"resourceSubscriptions":["`+uri+`"]}`)
	streams["modern"] = stream(t, modern.request(t, ctx, http.MethodPost, listen, "subscriptions/listen", ""))
	require.Contains(t, <-streams["modern"], "acknowledged")

	legacy := k.client(t, one, false)
	streams["legacy"] = stream(t, legacy.request(t, ctx, http.MethodGet, "", "", ""))
	require.Nil(t, legacy.call(t, "resources/subscribe", `"uri":"`+uri+`"`, "").Error)

	c := k.stdio(t, k.token(t, one.UserID))
	c.send(t, `{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["`+uri+`"]},`+modernMeta+`}}`)
	require.Contains(t, c.next(t), "acknowledged")
	streams["stdio"] = c.lines

	k.learn(t, two, "default", time.Now(), "disk sda1 is full")
	select {
	case got := <-streams["modern"]:
		require.Fail(t, "told of another workspace's change: "+got)
	case <-time.After(1500 * time.Millisecond):
	}
	k.learn(t, one, "default", time.Now(), "disk sda1 is full")
	for name, lines := range streams {
		select {
		case got := <-lines:
			require.Contains(t, got, "notifications/resources/updated", name)
			require.Contains(t, got, uri, name)
			var n struct {
				Params struct {
					Meta map[string]any `json:"_meta"`
				} `json:"params"`
			}
			require.NoError(t, json.Unmarshal([]byte(got), &n))
			require.Equal(t, name != "legacy", n.Params.Meta["io.modelcontextprotocol/subscriptionId"] != nil, got)
		case <-time.After(10 * time.Second):
			require.Fail(t, "not told", name)
		}
	}

	// Of what one may not see there is no subscription.
	thief := k.client(t, two, true)
	hidden := "tartan://patterns/other/" + list.Patterns[0].ID
	a := thief.call(t, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["`+hidden+`"]}`, "")
	require.NotNil(t, a.Error)
	require.Equal(t, hidden, a.Error.Data["uri"])
}

// stream sends a request and gives the data of the events that come back.
func stream(t *testing.T, r *http.Request) <-chan string {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	out := make(chan string, 100)
	go func() {
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				out <- data
			}
		}
	}()
	return out
}
