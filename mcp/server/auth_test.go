package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/server"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// badTokens are tokens that must open nothing, by what is wrong with them. "" as value stands for no Authorization header.
func badTokens(t *testing.T, k *stack, user uuid.UUID) map[string]string {
	t.Helper()
	text, err := k.key.PEM()
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	private := parsed.(*ecdsa.PrivateKey)
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	require.NoError(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sign := func(method jwt.SigningMethod, key any, kid string, change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{"sub": user.String(), "iss": issuer, "aud": k.url, "exp": time.Now().Add(time.Hour).Unix(), "client_id": "test"}
		if change != nil {
			change(claims)
		}
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"] = kid
		return must(token.SignedString(key))
	}
	es := func(change func(jwt.MapClaims)) string {
		return sign(jwt.SigningMethodES256, private, k.key.ID(), change)
	}
	good := k.token(t, user)
	parts := strings.Split(good, ".")
	return map[string]string{
		"none":                  "",
		"malformed":             "x.y",
		"alg none":              sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, k.key.ID(), nil),
		"HS256 with public key": sign(jwt.SigningMethodHS256, public, k.key.ID(), nil),
		"wrong kid":             sign(jwt.SigningMethodES256, private, "other", nil),
		"other key":             sign(jwt.SigningMethodES256, other, k.key.ID(), nil),
		"wrong issuer":          es(func(c jwt.MapClaims) { c["iss"] = "evil" }),
		"wrong audience":        es(func(c jwt.MapClaims) { c["aud"] = "authenticated" }),
		"no client":             es(func(c jwt.MapClaims) { delete(c, "client_id") }),
		"no expiry":             es(func(c jwt.MapClaims) { delete(c, "exp") }),
		"expired":               es(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-2 * time.Minute).Unix() }),
		"not yet":               es(func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(2 * time.Minute).Unix() }),
		"no subject":            es(func(c jwt.MapClaims) { delete(c, "sub") }),
		"cut signature":         parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString([]byte("x")),
		"other payload":         parts[0] + "." + strings.Split(es(func(c jwt.MapClaims) { c["sub"] = uuid.NewString() }), ".")[1] + "." + parts[2],
	}
}

// requests are messages for every method of the protocol, every tool, every prompt and every kind of resource.
func requests(t *testing.T) map[string][3]string { // body with %s for _meta, method, name
	t.Helper()
	out := map[string][3]string{}
	add := func(label, method, name, params string) {
		if params != "" {
			params += ","
		}
		out[label] = [3]string{`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + modernMeta + `}}`, method, name}
	}
	for _, method := range []string{
		"initialize", "ping", "server/discover", "tools/list", "resources/list", "resources/templates/list", "prompts/list", "logging/setLevel",
		"completion/complete", "subscriptions/listen", "tasks/get", "tasks/list", "tasks/cancel", "tasks/update", "notifications/initialized",
		"notifications/cancelled", "no/such/method",
	} {
		add(method, method, "", "")
	}
	for _, tool := range (&tools.Suite{}).Tools() {
		add("tool "+tool.Name, "tools/call", tool.Name, `"name":"`+tool.Name+`","arguments":{"lines":["a"],"id":"p0000000000000000","action":"cancel"}`)
	}
	for _, prompt := range new(tools.Suite).Prompts() {
		add("prompt "+prompt.Name, "prompts/get", prompt.Name, `"name":"`+prompt.Name+`","arguments":{"pattern":"p0000000000000000"}`)
	}
	for _, uri := range []string{"tartan://patterns/default/p0000000000000000", "tartan://workflows/process/a/b/c", "tartan://knowledge/a/b", "tartan://knowledge/a/b@1", "file:///etc/passwd"} {
		for _, method := range []string{"resources/read", "resources/subscribe", "resources/unsubscribe"} {
			add(method+" "+uri, method, uri, `"uri":"`+uri+`"`)
		}
	}
	return out
}

// TestNothingWithoutAToken is the matrix: every route and HTTP method, every message, in both eras, with every bad token. None is
// let in, none enters a handler, and each is told where to get a token.
func TestNothingWithoutAToken(t *testing.T) {
	t.Parallel()
	k := newStack(t, func(c *server.Config) { c.Expect.RequireClientID = true })
	caller := k.db.Workspace(t, "one")
	k.learn(t, caller, "default", time.Now(), sample...)
	session := k.client(t, caller, false).session
	before := k.handlers()
	tried := 0
	for kind, token := range badTokens(t, k, caller.UserID) {
		for label, m := range requests(t) {
			for _, modern := range []bool{true, false} {
				c := &client{k: k, token: token, modern: modern, session: session}
				status, h, body := c.post(t, m[0], m[1], m[2])
				require.Equal(t, http.StatusUnauthorized, status, "%s, %s: %s", kind, label, body)
				require.Contains(t, h.Get("WWW-Authenticate"), `resource_metadata="`+strings.TrimSuffix(k.url, "/mcp")+`/.well-known/oauth-protected-resource/mcp"`)
				tried++
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut, http.MethodHead, http.MethodPatch, http.MethodOptions} {
			c := &client{k: k, token: token, session: session}
			resp, err := http.DefaultClient.Do(c.request(t, t.Context(), method, "", "", ""))
			require.NoError(t, err)
			_ = resp.Body.Close()
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode, "%s, %s", kind, method)
			tried++
		}
	}
	require.Equal(t, before, k.handlers(), "a handler was entered without a token")
	t.Logf("%d combinations refused", tried)

	// The same messages with a good token do enter handlers, so the probe works.
	c := k.client(t, caller, true)
	for _, m := range requests(t) {
		if m[1] != "subscriptions/listen" {
			c.post(t, m[0], m[1], m[2])
		}
	}
	entered := map[string]bool{}
	for _, what := range k.entered {
		entered[what] = true
	}
	for _, tool := range (&tools.Suite{}).Tools() {
		require.True(t, entered[tool.Name], "%s is not covered by the probe", tool.Name)
	}
	for _, prompt := range new(tools.Suite).Prompts() {
		require.True(t, entered["prompt "+prompt.Name], "%s is not covered by the probe", prompt.Name)
	}
	require.True(t, entered["resource"])
}

func TestTokenInTheWrongPlace(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	good := k.token(t, caller.UserID)
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + modernMeta + `}}`
	for name, c := range map[string]struct {
		query, header string
		want          int
	}{
		"query":             {"?access_token=" + good, "", http.StatusBadRequest},
		"query beside":      {"?token=" + good, "Bearer " + good, http.StatusBadRequest},
		"unknown parameter": {"?worksapce=one", "Bearer " + good, http.StatusBadRequest},
		"two workspaces":    {"?workspace=one&workspace=two", "Bearer " + good, http.StatusBadRequest},
		"basic":             {"", "Basic " + good, http.StatusUnauthorized},
		"empty bearer":      {"", "Bearer ", http.StatusBadRequest},
		"two tokens":        {"", "Bearer " + good + "," + good, http.StatusBadRequest},
		"good":              {"?workspace=one", "bearer " + good, http.StatusOK},
	} {
		cl := &client{k: k, modern: true, query: c.query, headers: map[string]string{}}
		if c.header != "" {
			cl.headers["Authorization"] = c.header
		}
		status, _, body := cl.post(t, list, "tools/list", "")
		require.Equal(t, c.want, status, "%s: %s", name, body)
		require.NotContains(t, string(body), good)
	}
}

func TestExpiredTokenIsForgotten(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	c := k.client(t, caller, true)
	c.token = k.token(t, caller.UserID, func(c *access.Claims) { c.Expires = time.Now().Add(1500 * time.Millisecond) })
	status, _, _ := c.post(t, c.message("tools/list", ""), "tools/list", "")
	require.Equal(t, http.StatusOK, status)
	require.Eventually(t, func() bool {
		status, _, _ := c.post(t, c.message("tools/list", ""), "tools/list", "")
		return status == http.StatusUnauthorized
	}, 5*time.Second, 50*time.Millisecond)
}

func TestOriginHostAndSize(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	own := strings.TrimSuffix(k.url, "/mcp")
	for origin, want := range map[string]int{
		"https://evil.example": 403, "null": 403, "http://localhost:1": 403, "https://app.example.evil": 403, own + ".evil": 403,
		own: 200, "https://app.example": 200,
	} {
		c := k.client(t, caller, true)
		c.headers["Origin"] = origin
		status, _, body := c.post(t, c.message("tools/list", ""), "tools/list", "")
		require.Equal(t, want, status, "%s: %s", origin, body)
	}
	c := k.client(t, caller, true)
	r := c.request(t, t.Context(), http.MethodPost, c.message("tools/list", ""), "tools/list", "")
	r.Host = "evil.example"
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, 403, resp.StatusCode)

	large := c.message("tools/call", `"name":"recognize","arguments":{"lines":["`+strings.Repeat("a", 4<<20)+`"]}`)
	status, _, _ := c.post(t, large, "tools/call", "recognize")
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	r = c.request(t, t.Context(), http.MethodPost, "", "tools/call", "recognize")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(large)), -1
	if resp, err = http.DefaultClient.Do(r); err == nil {
		_ = resp.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	}
}

func TestPublicRoutesAreExactlyThese(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	base := strings.TrimSuffix(k.url, "/mcp")
	for path, want := range map[string]int{
		"/healthz": 200, "/.well-known/oauth-protected-resource": 200, "/.well-known/oauth-protected-resource/mcp": 200,
		"/mcp": 401, "/mcp/": 404, "/": 404, "/metrics": 404, "/debug/pprof/": 404,
	} {
		resp, err := http.Get(base + path)
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		require.Equal(t, want, resp.StatusCode, path)
		if strings.HasPrefix(path, "/.well-known") {
			var doc map[string]any
			require.NoError(t, json.Unmarshal(body, &doc))
			require.Equal(t, k.url, doc["resource"])
		}
	}
}

// TestASecondWorkspaceSeesNothing asks for everything of one workspace through every tool and resource as a member of another.
func TestASecondWorkspaceSeesNothing(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")
	secret := "the secret of workspace one is 42"
	k.learn(t, one, "default", time.Now().Add(-time.Hour), secret)
	k.learn(t, one, "private", time.Now().Add(-time.Hour), secret)
	var list struct{ Patterns []struct{ ID string } }
	k.client(t, one, true).into(t, &list, "list_patterns", `{}`)
	id := list.Patterns[0].ID
	workflow := "process/" + one.WorkspaceID.String() + "/default/00"
	for _, populated := range []bool{false, true} {
		if populated {
			k.learn(t, two, "default", time.Now().Add(-time.Hour), "something else entirely")
		}
		for _, modern := range []bool{true, false} {
			c := k.client(t, two, modern)
			for _, tool := range (&tools.Suite{}).Tools() {
				for _, args := range []string{
					`{}`, `{"library":"private"}`, `{"lines":["` + secret + `"]}`, `{"library":"private","lines":["` + secret + `"]}`, `{"id":"` + id + `"}`,
					`{"library":"private","id":"` + id + `"}`, `{"id":"` + workflow + `"}`, `{"id":"` + workflow + `","action":"cancel"}`,
				} {
					r := c.tool(t, tool.Name, args)
					seen := strings.ReplaceAll(string(r.Structured)+r.Content[0].Text, secret, "")
					if tool.Name == "try_patterns" { // mines what it is given: the caller's own words come back masked
						masked := strings.TrimSuffix(secret, "42")
						seen = strings.NewReplacer(masked+`\u003c*\u003e`, "", masked+"<*>", "").Replace(seen)
					}
					require.NotContains(t, seen, "workspace one is", "%s %s", tool.Name, args)
					require.NotContains(t, seen, one.WorkspaceID.String()+"/private")
					require.NotContains(t, seen, `"id":"`+id, "%s %s", tool.Name, args)
				}
			}
			for _, uri := range []string{"tartan://patterns/default/" + id, "tartan://patterns/private/" + id, "tartan://workflows/" + workflow} {
				for _, method := range []string{"resources/read", "resources/subscribe"} {
					if modern && method != "resources/read" {
						continue
					}
					a := c.call(t, method, `"uri":"`+uri+`"`, uri)
					require.NotNil(t, a.Error, "%s %s", method, uri)
					want := -32002
					if modern {
						want = -32602
					}
					require.Equal(t, want, a.Error.Code, a.Error.Message)
					require.Equal(t, uri, a.Error.Data["uri"])
				}
			}
			for _, workspace := range []string{"one", one.WorkspaceID.String(), "nope"} {
				c.headers[server.WorkspaceHeader] = workspace
				r := c.tool(t, "list_patterns", `{}`)
				require.True(t, r.IsError)
				require.Contains(t, r.Content[0].Text, "not a member")
			}
		}
	}
}

func TestSessionsBelongToTheirUser(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")
	c := k.client(t, one, false)
	thief := &client{k: k, token: k.token(t, two.UserID), session: c.session, headers: map[string]string{}}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		resp, err := http.DefaultClient.Do(thief.request(t, t.Context(), method, c.message("tools/list", ""), "", ""))
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, http.StatusNotFound, resp.StatusCode, method)
	}
	forged := &client{k: k, token: c.token, session: "tartan-" + uuid.NewString(), headers: map[string]string{}}
	status, _, _ := forged.post(t, c.message("tools/list", ""), "", "")
	require.Equal(t, http.StatusNotFound, status)
	require.Nil(t, c.call(t, "tools/list", "", "").Error, "the owner still can")
	resp, err := http.DefaultClient.Do(c.request(t, t.Context(), http.MethodDelete, "", "", ""))
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	status, _, _ = c.post(t, c.message("tools/list", ""), "", "")
	require.Equal(t, http.StatusNotFound, status, "an ended session is gone")
}

func TestRolesAndWorkspaces(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	admin := k.db.Workspace(t, "one")
	k.learn(t, admin, "default", time.Now(), sample...)
	viewer := k.db.Member(t, admin.WorkspaceID, access.Viewer)
	c := k.client(t, viewer, true)
	require.False(t, c.tool(t, "list_patterns", `{}`).IsError)
	require.False(t, c.tool(t, "list_edits", `{}`).IsError)
	for _, tool := range []string{"mine_patterns", "control_workflow", "edit_pattern", "describe_pattern"} {
		r := c.tool(t, tool, `{"lines":["a"],"id":"x","action":"cancel"}`)
		require.True(t, r.IsError)
		require.Contains(t, r.Content[0].Text, tool+" needs the role editor in workspace one; you have viewer")
	}
	stranger := k.client(t, access.Caller{UserID: uuid.New()}, true)
	require.Contains(t, stranger.tool(t, "health", `{}`).Content[0].Text, "not a member of any workspace")

	// A member of two must choose, by header or by URL.
	other := k.db.Workspace(t, "two")
	require.NoError(t, postgres.AsService(t.Context(), k.db.Pool, func(tx pgx.Tx) error {
		return postgres.SaveMember(t.Context(), tx, other.WorkspaceID, viewer.UserID, access.Editor)
	}))
	require.Eventually(t, func() bool {
		return strings.Contains(c.tool(t, "list_patterns", `{}`).Content[0].Text, "several workspaces: one, two")
	}, 5*time.Second, 50*time.Millisecond)
	var h struct{ Workspace, Role string }
	c.query = "?workspace=two"
	c.into(t, &h, "health", `{}`)
	require.Equal(t, "two/editor", h.Workspace+"/"+h.Role)
	c.headers[server.WorkspaceHeader] = "one"
	c.into(t, &h, "health", `{}`)
	require.Equal(t, "one/viewer", h.Workspace+"/"+h.Role)

	// A token for one workspace is good for no other.
	c.query = ""
	c.token = k.token(t, viewer.UserID, func(c *access.Claims) { c.WorkspaceID = other.WorkspaceID })
	require.Contains(t, c.tool(t, "health", `{}`).Content[0].Text, "good for one workspace only")
	delete(c.headers, server.WorkspaceHeader)
	c.into(t, &h, "health", `{}`)
	require.Equal(t, "two", h.Workspace)
}

// changing are the tools that change something.
var changing = []string{
	"mine_patterns", "control_workflow", "edit_pattern", "describe_pattern",
	"propose_change", "review_change", "resolve_conflict", "link_knowledge", "restore_knowledge",
}

func TestReadOnlyServer(t *testing.T) {
	t.Parallel()
	k := newStack(t, func(c *server.Config) { c.ReadOnly = true })
	c := k.client(t, k.db.Workspace(t, "one"), true)
	var list struct{ Tools []struct{ Name string } }
	require.NoError(t, json.Unmarshal(c.call(t, "tools/list", "", "").Result, &list))
	reading := 0
	for _, tool := range new(tools.Suite).Tools() {
		if tool.ReadOnly {
			reading++
		}
	}
	require.Len(t, list.Tools, reading)
	for _, tool := range list.Tools {
		require.NotContains(t, changing, tool.Name)
	}
	require.Contains(t, list.Tools, struct{ Name string }{"list_edits"})
	for _, tool := range changing {
		a := c.call(t, "tools/call", `"name":"`+tool+`","arguments":{}`, tool)
		require.NotNil(t, a.Error, tool)
	}
}

func TestCancellationIsNotSharedBetweenUsers(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")
	k.learn(t, one, "default", time.Now(), sample...)
	c := k.client(t, one, true)
	done := make(chan toolResult, 1)
	// This call waits for a revision that does not come, so it runs until its own limit of 5 s unless it is cancelled.
	go func() { done <- c.tool(t, "recognize", `{"lines":["a"],"after_revision":99999}`) }()
	time.Sleep(300 * time.Millisecond)
	thief := k.client(t, two, true)
	for i := range 20 {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d,%s}}`, i, modernMeta)
		status, _, _ := thief.post(t, body, "notifications/cancelled", "")
		require.Equal(t, http.StatusAccepted, status)
	}
	require.Contains(t, (<-done).Content[0].Text, "did not reach revision 99999")
}

func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	c := k.client(t, caller, false)
	c.token = k.token(t, caller.UserID, func(c *access.Claims) { c.Expires = time.Now().Add(1500 * time.Millisecond) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	resp, err := http.DefaultClient.Do(c.request(t, ctx, http.MethodGet, "", "", ""))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	_, _ = io.ReadAll(resp.Body)
	require.NoError(t, ctx.Err(), "the stream outlived its token")
}
