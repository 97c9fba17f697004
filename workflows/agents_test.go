package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

const vibration = `{"name":"vibration","version":"1.0.0","description":"Features.","task_queue":"agent.vibration","scopes":["pattern:read"],"tools":["recognize"],
	"limits":{"concurrency":4,"memory_mb":100},"activities":[{"name":"vibration.features","description":"Them.","input":{"type":"object"},"output":{"type":"object"}}]}`

// change runs a workflow that changes an agent, with the real activities.
func (w *world) change(keeper *access.Keeper, workflow, in any) error {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(&activities.Agents{Pool: w.db.Pool, Keeper: keeper})
	env.RegisterActivity(&activities.Runs{Pool: w.db.Pool, Bucket: w.bucket})
	env.ExecuteWorkflow(workflow, in)
	require.True(w.t, env.IsWorkflowCompleted())
	return env.GetWorkflowError()
}

func tokenOf(t *testing.T) (access.Credential, activities.NewToken) {
	t.Helper()
	c, err := access.NewCredential()
	require.NoError(t, err)
	return c, activities.NewToken{Prefix: c.Prefix, Digest: c.Digest, Expires: time.Now().Add(time.Hour)}
}

func refusal(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable())
	return app
}

func TestAnAgentIsRegisteredRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := access.NewKey()
	require.NoError(t, err)
	keeper, err := access.NewKeeper(key)
	require.NoError(t, err)
	check := func(c access.Credential) error {
		var kept access.Kept
		require.NoError(t, postgres.ReadAsService(t.Context(), w.db.Pool, func(tx pgx.Tx) (err error) {
			kept, err = postgres.CredentialByPrefix(t.Context(), tx, c.Prefix)
			return err
		}))
		return keeper.Check(c, kept, time.Now())
	}
	first, asked := tokenOf(t)
	register := workflows.RegisterAgentInput{Caller: w.caller, Manifest: json.RawMessage(vibration), Token: &asked}
	body, err := json.Marshal(register)
	require.NoError(t, err)
	require.NotContains(t, string(body), first.Token[21:], "the secret would be in the history")
	require.NoError(t, w.change(keeper, workflows.RegisterAgent, register))
	require.NoError(t, w.change(keeper, workflows.RegisterAgent, register), "a retry does no harm")
	require.NoError(t, check(first))

	second, asked2 := tokenOf(t)
	rotate := workflows.RotateAgentInput{Caller: w.caller, Agent: "vibration", Token: asked2}
	require.NoError(t, w.change(keeper, workflows.RotateAgent, rotate))
	require.NoError(t, check(first))
	require.NoError(t, check(second))
	third, asked3 := tokenOf(t)
	rotate.Token = asked3
	require.NoError(t, w.change(keeper, workflows.RotateAgent, rotate))
	require.ErrorIs(t, check(first), access.ErrRevoked)
	require.NoError(t, check(second))

	revoke := workflows.RevokeAgentInput{Caller: w.caller, Agent: "vibration", Prefix: second.Prefix}
	require.NoError(t, w.change(keeper, workflows.RevokeAgent, revoke))
	require.ErrorIs(t, check(second), access.ErrRevoked)
	require.NoError(t, check(third))
	revoke.Prefix = ""
	require.NoError(t, w.change(keeper, workflows.RevokeAgent, revoke))
	require.ErrorIs(t, check(third), access.ErrRevoked)
	require.Equal(t, activities.AgentRefused, refusal(t, w.change(keeper, workflows.RotateAgent, rotate)).Type(), "no token for one that is revoked")

	call := workflows.CallAgentInput{Caller: w.caller, Agent: "vibration", Activity: "vibration.features", Input: json.RawMessage("{}")}
	app := refusal(t, w.change(keeper, workflows.CallAgent, call))
	require.Equal(t, activities.AgentRefused, app.Type(), "a revoked agent is given no work")
	require.Contains(t, app.Message(), "was revoked")
}

func TestAgentsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := access.NewKey()
	require.NoError(t, err)
	keeper, err := access.NewKeeper(key)
	require.NoError(t, err)
	for name, c := range map[string]struct{ from, to, says string }{
		"one of Tartan's own":  {`"vibration",`, `"pattern",`, "belongs to an agent of Tartan itself"},
		"queue of another":     {`agent.vibration`, `agent.spectral`, "agent.vibration"},
		"activity of another":  {`vibration.features`, `spectral.features`, "its name begins with vibration."},
		"scope":                {`pattern:read`, `everything`, "write it as pattern:read"},
		"no version":           {`1.0.0`, `new`, "write it as 1.2.3"},
		"unknown key":          {`"limits"`, `"limit"`, "unknown field"},
		"activity without one": {`"input":{"type":"object"},`, ``, "has no JSON Schema"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(vibration, c.from, c.to, 1)
			require.NotEqual(t, vibration, text)
			app := refusal(t, w.change(keeper, workflows.RegisterAgent, workflows.RegisterAgentInput{Caller: w.caller, Manifest: json.RawMessage(text)}))
			require.Equal(t, activities.AgentRefused, app.Type())
			require.Contains(t, app.Message(), c.says)
		})
	}
	t.Run("by who is no admin", func(t *testing.T) {
		editor := access.Caller{UserID: w.db.Workspace(t, "two").UserID, WorkspaceID: w.caller.WorkspaceID}
		require.NoError(t, postgres.AsService(t.Context(), w.db.Pool, func(tx pgx.Tx) error {
			return postgres.SaveMember(t.Context(), tx, editor.WorkspaceID, editor.UserID, access.Operator)
		}))
		in := workflows.RegisterAgentInput{Caller: editor, Manifest: json.RawMessage(vibration)}
		require.Equal(t, activities.Denied, refusal(t, w.change(keeper, workflows.RegisterAgent, in)).Type())
		_, token := tokenOf(t)
		require.Equal(t, activities.Denied, refusal(t, w.change(keeper, workflows.RotateAgent, workflows.RotateAgentInput{Caller: editor, Agent: "vibration", Token: token})).Type())
		require.Equal(t, activities.Denied, refusal(t, w.change(keeper, workflows.RevokeAgent, workflows.RevokeAgentInput{Caller: editor, Agent: "vibration"})).Type())
	})
	t.Run("without the key of tokens", func(t *testing.T) {
		_, token := tokenOf(t)
		in := workflows.RegisterAgentInput{Caller: w.caller, Manifest: json.RawMessage(vibration), Token: &token}
		require.Contains(t, refusal(t, w.change(nil, workflows.RegisterAgent, in)).Message(), "TARTAN_GRANT_KEY")
	})
}
