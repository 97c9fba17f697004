package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/provider/faulty"
	"github.com/tartan-ai/tartan/workers"
)

// TestAModelIsAskedOverMCP asks models of a real HTTP provider through the tool, the workflow and a real Temporal server.
func TestAModelIsAskedOverMCP(t *testing.T) {
	fake := faulty.New()
	t.Cleanup(fake.Close)
	config, err := provider.ParseConfig(fmt.Sprintf(`
		[[provider]]
		name = "p"
		dialect = "openai"
		base_url = %q
		[[model]]
		provider = "p"
		name = "a"
		capabilities = ["chat", "json"]
		max_output = 1000
		input_usd_per_mtok = 1
		output_usd_per_mtok = 1
		[[model]]
		provider = "p"
		name = "b"
		capabilities = ["chat", "json"]
		max_output = 1000
		input_usd_per_mtok = 2
		output_usd_per_mtok = 2`, fake.URL))
	require.NoError(t, err)
	registry, err := provider.NewRegistry(config, nil)
	require.NoError(t, err)
	k := newDurable(t, func(k *stack, c *workers.Config) {
		c.Models = &completion.Engine{Pool: k.db.Pool, Registry: registry}
	})
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")
	c, thief := k.client(t, one, true), k.client(t, two, false)
	type ran struct {
		State, Answer, Finish, Model, Decision, Key string
		Cost                                        int64
		Failed                                      int    `json:"failed_attempts"`
		Workflow                                    string `json:"workflow_id"`
	}
	var got ran
	text := c.into(t, &got, "run_model", `{"prompt":"What is wrong?","task":"diagnose","key":"k"}`)
	require.Equal(t, ran{
		State: "completed", Answer: faulty.Text, Finish: "stop", Model: "p/a", Decision: got.Workflow, Key: "k", Cost: faulty.InputTokens + faulty.OutputTokens, Workflow: got.Workflow,
	}, got)
	require.Contains(t, text, faulty.Text)

	// The same key is the same call. How it was is told by its decision.
	var again ran
	c.into(t, &again, "run_model", `{"prompt":"What is wrong?","task":"diagnose","key":"k"}`)
	require.Equal(t, got, again)
	require.Len(t, fake.Seen(""), 1)
	var told struct{ New bool }
	c.into(t, &told, "report_outcome", `{"decision":"`+got.Decision+`","quality":90}`)
	require.True(t, told.New)
	var status struct{ State, Text string }
	c.into(t, &status, "get_workflow", `{"id":"`+got.Workflow+`"}`)
	require.Equal(t, faulty.Text, status.Text)
	require.True(t, thief.tool(t, "get_workflow", `{"id":"`+got.Workflow+`"}`).IsError, "another workspace sees nothing of it")

	// An answer without its schema is paid for, and another model is asked.
	fake.Always("b", faulty.Answer(`{"cause":"disk"}`, 1, 1))
	schema := `{"type":"object","required":["cause"],"properties":{"cause":{"type":"string"}}}`
	c.into(t, &got, "run_model", `{"messages":[{"role":"system","content":"Be short."},{"role":"user","content":"Why?"}],"schema":`+schema+`}`)
	require.Equal(t, `{"cause":"disk"}`, got.Answer)
	require.Equal(t, "p/b", got.Model)
	require.Equal(t, 1, got.Failed)
	require.EqualValues(t, faulty.InputTokens+faulty.OutputTokens+2*2, got.Cost, "both are paid for")

	asked := len(fake.Seen(""))
	for args, want := range map[string]string{
		`{}`: "either prompt or messages", `{"prompt":"a","messages":[{"role":"user","content":"b"}]}`: "either prompt or messages",
		`{"messages":[{"role":"boss","content":"b"}]}`: "with role system, user or assistant", `{"messages":"b"}`: "must be an array",
		`{"prompt":"a","schema":[]}`: "must be an object", `{"prompt":"a","schema":{"type":7}}`: "schema of response_format cannot be used",
		`{"prompt":"a","model":"p/none"}`: `there is no model "p/none"`, `{"prompt":"a","max_cost":1}`: "is the limit",
	} {
		refused(t, c, "run_model", args, want)
	}
	refused(t, k.client(t, k.db.Member(t, one.WorkspaceID, access.Viewer), true), "run_model", `{"prompt":"a"}`, "needs the role editor")
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, one, func(tx pgx.Tx) error {
		return postgres.SetBudget(t.Context(), tx, one.WorkspaceID, postgres.Budget{Scope: "workspace", Period: "total", Limit: 1})
	}))
	refused(t, c, "run_model", `{"prompt":"a"}`, "An admin may raise it: tartan models budget set")
	require.Len(t, fake.Seen(""), asked, "what is refused asks nobody")

	// A call that takes long can be cancelled.
	fake.Always("a", fake.Hang)
	answered := make(chan toolResult, 1)
	go func() { answered <- thief.tool(t, "run_model", `{"prompt":"a","model":"p/a","key":"slow"}`) }()
	require.Eventually(t, func() bool { return len(fake.Seen("")) > asked }, time.Minute, 20*time.Millisecond)
	other := k.client(t, two, true)
	require.False(t, other.tool(t, "control_workflow", `{"action":"cancel","id":"complete/`+two.WorkspaceID.String()+`/slow"}`).IsError)
	require.True(t, (<-answered).IsError)
}

func TestNoModelIsConfigured(t *testing.T) {
	k := newDurable(t)
	refused(t, k.client(t, k.db.Workspace(t, "one"), true), "run_model", `{"prompt":"a"}`, "no model is configured: name some in the file that TARTAN_MODELS names")
}
