package server_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/mcp/server"
)

// Rolling back asks the user of a client that can ask, and gives others a token; nothing is done without one or the other. The
// migration's archive is gone, so that what comes after the agreement is refused before any workflow is begun.
func TestRollbackIsConfirmed(t *testing.T) {
	t.Parallel()
	lazy, err := temporalclient.NewLazyClient(temporalclient.Options{HostPort: "127.0.0.1:1", Logger: telemetry.Temporal(zap.NewNop())})
	require.NoError(t, err)
	t.Cleanup(lazy.Close)
	k := newStack(t, func(c *server.Config) { c.Temporal = lazy })
	caller := k.db.Workspace(t, "one")
	gone := time.Now().Add(-time.Hour)
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, caller, func(tx pgx.Tx) error {
		return postgres.SaveTargetMigration(t.Context(), tx, postgres.TargetMigration{
			WorkspaceID: caller.WorkspaceID, ID: uuid.New(), WorkflowID: "w", Target: "shop", Plan: "status", State: postgres.MigrationCompleted, Phase: "done",
			StepsDone: 3, StepsTotal: 3, Author: caller.UserID, ArchiveUntil: &gone,
		})
	}))
	const after = "it cannot be undone any more"
	call := func(c *console, confirm string) {
		c.send(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rollback_migration","arguments":{"target":"shop"`+confirm+`}}}`)
	}
	begin := func(capabilities string) *console {
		c := k.stdio(t, k.token(t, caller.UserID))
		c.send(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":`+capabilities+`,"clientInfo":{"name":"test","version":"1"}}}`)
		require.Contains(t, c.next(t), `"protocolVersion"`)
		c.send(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		return c
	}
	c := begin(`{"elicitation":{}}`)
	for reply, want := range map[string]string{
		`"result":{"action":"accept","content":{"agree":true}}`:  after,
		`"result":{"action":"accept","content":{"agree":false}}`: "the user did not agree; nothing was undone",
		`"result":{"action":"decline"}`:                          "the user did not agree; nothing was undone",
		`"result":{"action":"cancel"}`:                           "the user did not agree; nothing was undone",
		`"error":{"code":-32603,"message":"no window"}`:          "Nothing is done yet. Ask the user",
	} {
		call(c, "")
		question := c.next(t)
		var asked struct {
			ID     json.RawMessage
			Method string
			Params struct{ Message string }
		}
		require.NoError(t, json.Unmarshal([]byte(question), &asked))
		require.Equal(t, "elicitation/create", asked.Method, question)
		require.Equal(t, "Undo migration status of shop (completed, 3 of 3 steps done)?", asked.Params.Message)
		c.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, asked.ID, reply))
		require.Contains(t, c.next(t), want, reply)
	}
	require.NoError(t, c.in.Close())
	require.NoError(t, <-c.ended)

	c = begin(`{}`)
	call(c, "")
	var res toolResult
	require.NoError(t, json.Unmarshal(parse(t, []byte(c.next(t))).Result, &res))
	require.False(t, res.IsError)
	require.Contains(t, res.Content[0].Text, "Nothing is done yet. Ask the user")
	var out struct{ Confirm string }
	require.NoError(t, json.Unmarshal(res.Structured, &out))
	require.NotEmpty(t, out.Confirm)
	call(c, `,"confirm":"000000000000"`)
	require.Contains(t, c.next(t), "confirm is not that of this migration")
	call(c, `,"confirm":"`+out.Confirm+`"`)
	require.Contains(t, c.next(t), after)
}
