package server_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/server"
)

// agentStack is a server that knows agents, with what issues their tokens.
type agentStack struct {
	*stack
	keeper *access.Keeper
	admin  access.Caller
}

func newAgentStack(t *testing.T) *agentStack {
	t.Helper()
	key, err := access.NewKey()
	require.NoError(t, err)
	keeper, err := access.NewKeeper(key)
	require.NoError(t, err)
	k := newStack(t, func(c *server.Config) { c.Keeper = keeper })
	return &agentStack{k, keeper, k.db.Workspace(t, "one")}
}

func (k *agentStack) inWorkspace(t *testing.T, fn func(pgx.Tx) error) {
	t.Helper()
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, k.admin, fn))
}

func (k *agentStack) register(t *testing.T, scopes, tools []string) (id uuid.UUID) {
	t.Helper()
	k.inWorkspace(t, func(tx pgx.Tx) (err error) {
		id, err = postgres.SaveAgent(t.Context(), tx, k.admin.WorkspaceID, &postgres.RegisteredAgent{
			Name: "vibration", Version: "1.0.0", TaskQueue: "agent.vibration", Manifest: json.RawMessage("{}"), Scopes: scopes, Tools: tools, OwnerID: k.admin.UserID,
		})
		return err
	})
	return id
}

func (k *agentStack) issue(t *testing.T, agent uuid.UUID, life time.Duration) access.Credential {
	t.Helper()
	c, err := access.NewCredential()
	require.NoError(t, err)
	k.inWorkspace(t, func(tx pgx.Tx) error {
		return postgres.SaveCredential(t.Context(), tx, k.admin.WorkspaceID, agent,
			postgres.AgentCredential{Prefix: c.Prefix, WorkflowID: "test", ExpiresAt: time.Now().Add(life)}, k.keeper.Keep(c.Digest))
	})
	return c
}

// status is what the server answers to a list of tools with the token.
func (k *agentStack) status(t *testing.T, token string) int {
	t.Helper()
	c := &client{k: k.stack, token: token, modern: true}
	status, _, _ := c.post(t, c.message("tools/list", ""), "tools/list", "")
	return status
}

func (k *agentStack) revokedWithinASecond(t *testing.T, token string, revoke func(pgx.Tx) error) {
	t.Helper()
	require.Equal(t, http.StatusOK, k.status(t, token), "it is in memory now")
	k.inWorkspace(t, revoke)
	require.Eventually(t, func() bool { return k.status(t, token) == http.StatusUnauthorized }, time.Second, 10*time.Millisecond)
}

// An agent with its own token is held to the tools of its manifest and to its scopes, and a tool that it may not call is not entered.
func TestAgentIsHeldToItsManifest(t *testing.T) {
	t.Parallel()
	k := newAgentStack(t)
	k.learn(t, k.admin, "default", time.Now(), sample...)
	agent := k.register(t, []string{"pattern:read"}, []string{"list_patterns", "edit_pattern", "health"})
	c := &client{k: k.stack, token: k.issue(t, agent, time.Hour).Token, modern: true, headers: map[string]string{}}

	require.False(t, c.tool(t, "list_patterns", `{}`).IsError)
	var listed struct{ Tools []struct{ Name string } }
	require.NoError(t, json.Unmarshal(c.call(t, "tools/list", "", "").Result, &listed))
	require.Len(t, listed.Tools, 1)
	require.Equal(t, "list_patterns", listed.Tools[0].Name)

	before := k.handlers()
	for tool, says := range map[string]string{
		"recognize":    "does not name the tool recognize",
		"edit_pattern": "lacks the scope pattern:write",
		"health":       "lacks the scope tartan:read",
	} {
		r := c.tool(t, tool, `{}`)
		require.True(t, r.IsError, tool)
		require.Contains(t, r.Content[0].Text, says)
	}
	for _, uri := range []string{"tartan://knowledge/a/b", "tartan://workflows/process/a/b/c"} {
		a := c.call(t, "resources/read", `"uri":"`+uri+`"`, uri)
		require.NotNil(t, a.Error, uri)
		require.Contains(t, a.Error.Message, "lacks the scope")
	}
	prompt := c.call(t, "prompts/get", `"name":"explain_pattern","arguments":{"pattern":"p0000000000000000"}`, "explain_pattern")
	require.NotNil(t, prompt.Error)
	require.Contains(t, prompt.Error.Message, "prompts are for people")
	require.Equal(t, before, k.handlers(), "a handler was entered")

	other := k.db.Workspace(t, "two")
	for _, workspace := range []string{"two", other.WorkspaceID.String()} {
		c.headers[server.WorkspaceHeader] = workspace
		r := c.tool(t, "list_patterns", `{}`)
		require.True(t, r.IsError)
		require.Contains(t, r.Content[0].Text, "one workspace only")
	}
	require.Equal(t, before, k.handlers(), "a handler was entered for another workspace")

	// What an admin takes away is gone within a second, as a revoked token is.
	delete(c.headers, server.WorkspaceHeader)
	k.register(t, []string{"pattern:read"}, []string{})
	require.Eventually(t, func() bool { return c.tool(t, "list_patterns", `{}`).IsError }, time.Second, 10*time.Millisecond)
}

func TestTokensOfAgents(t *testing.T) {
	t.Parallel()
	k := newAgentStack(t)
	agent := k.register(t, []string{"pattern:read"}, []string{"list_patterns"})
	first := k.issue(t, agent, time.Hour)
	require.Equal(t, http.StatusOK, k.status(t, first.Token))

	t.Run("forged", func(t *testing.T) {
		other, err := access.NewCredential()
		require.NoError(t, err)
		before := k.handlers()
		for _, bad := range []string{other.Token, first.Token[:21] + other.Token[21:], first.Token + "0", first.Token[:len(first.Token)-1], "tta_", "tta_" + first.Prefix + "_"} {
			require.Equal(t, http.StatusUnauthorized, k.status(t, bad), bad)
		}
		require.Equal(t, before, k.handlers())
	})
	t.Run("written by hand into the database", func(t *testing.T) {
		c, err := access.NewCredential()
		require.NoError(t, err)
		k.inWorkspace(t, func(tx pgx.Tx) error { // the admin has no key to keep it with
			return postgres.SaveCredential(t.Context(), tx, k.admin.WorkspaceID, agent, postgres.AgentCredential{Prefix: c.Prefix, ExpiresAt: time.Now().Add(time.Hour)}, c.Digest)
		})
		require.Equal(t, http.StatusUnauthorized, k.status(t, c.Token))
		k.inWorkspace(t, func(tx pgx.Tx) error {
			return postgres.RevokeCredential(t.Context(), tx, k.admin.WorkspaceID, agent, c.Prefix)
		})
	})
	t.Run("expired", func(t *testing.T) {
		short := k.issue(t, agent, 1200*time.Millisecond)
		require.Equal(t, http.StatusOK, k.status(t, short.Token))
		require.Eventually(t, func() bool { return k.status(t, short.Token) == http.StatusUnauthorized }, 5*time.Second, 20*time.Millisecond)
		k.inWorkspace(t, func(tx pgx.Tx) error {
			return postgres.RevokeCredential(t.Context(), tx, k.admin.WorkspaceID, agent, short.Prefix)
		})
	})
	second := k.issue(t, agent, time.Hour)
	t.Run("rotated: both good, and with the third the first not", func(t *testing.T) {
		require.Equal(t, http.StatusOK, k.status(t, first.Token))
		require.Equal(t, http.StatusOK, k.status(t, second.Token))
		third := k.issue(t, agent, time.Hour)
		require.Eventually(t, func() bool { return k.status(t, first.Token) == http.StatusUnauthorized }, time.Second, 10*time.Millisecond)
		require.Equal(t, http.StatusOK, k.status(t, second.Token))
		require.Equal(t, http.StatusOK, k.status(t, third.Token))
		k.revokedWithinASecond(t, second.Token, func(tx pgx.Tx) error {
			return postgres.RevokeCredential(t.Context(), tx, k.admin.WorkspaceID, agent, second.Prefix)
		})
		require.Equal(t, http.StatusOK, k.status(t, third.Token))
		k.revokedWithinASecond(t, third.Token, func(tx pgx.Tx) error {
			return postgres.RevokeAgent(t.Context(), tx, k.admin.WorkspaceID, agent)
		})
	})
}
