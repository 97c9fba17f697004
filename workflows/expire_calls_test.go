package workflows_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/workflows"
)

// A dead caller gets back what it held, or is charged the worst where it had sent; whoever lives keeps what it holds.
func TestExpireCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.as(func(tx pgx.Tx) error {
		return postgres.SetBudget(t.Context(), tx, w.caller.WorkspaceID, postgres.Budget{Scope: "workspace", Period: "total", Limit: 1000})
	})
	reserve := func(key string, worst routing.Money, sent bool) {
		_, err := postgres.Reserve(t.Context(), w.db.Pool, postgres.Spend{Caller: w.caller, Key: key, Model: "a/b", Worst: worst, Sent: sent, Live: time.Hour})
		require.NoError(t, err)
	}
	change := func(sql string, args ...any) {
		_, err := w.db.Pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	reserve("held", 100, false)
	reserve("sent", 20, true)
	reserve("alive", 3, true)
	change("update tartan.model_calls set expires_at = now() - interval '1 second' where key in ('held', 'sent')")
	const more = postgres.MaxExpired + 500
	change(`insert into tartan.model_calls (workspace_id, user_id, key, agent, task, model, state, budget_ids, worst_micros, expires_at)
		select workspace_id, user_id, 'more' || n, '', '', model, 'reserved', '{}', 1, now() - interval '1 minute' from tartan.model_calls, generate_series(1, $1) n where key = 'held'`, more)
	for key, age := range map[string]string{"old": "8 days", "new": "1 day"} {
		change("insert into tartan.model_results (workspace_id, key, model, cost_micros, answer, created_at) values ($1, $2, 'a/b', 1, '{}', now() - $3::interval)", w.caller.WorkspaceID, key, age)
	}
	expire := func() int {
		env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
		workflows.Register(env)
		env.RegisterActivity(&activities.Models{Engine: &completion.Engine{Pool: w.db.Pool}})
		env.ExecuteWorkflow(workflows.ExpireCalls)
		require.NoError(t, env.GetWorkflowError())
		var out activities.Expired
		require.NoError(t, env.GetWorkflowResult(&out))
		return out.Calls
	}
	require.Equal(t, more+2, expire())
	require.Zero(t, expire(), "again")
	states := map[string]string{}
	rows, err := w.db.Pool.Query(t.Context(), "select key, state::text from tartan.model_calls where key not like 'more%'")
	require.NoError(t, err)
	var key, state string
	_, err = pgx.ForEachRow(rows, []any{&key, &state}, func() error {
		states[key] = state
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"held": "released", "sent": "lost", "alive": "sent"}, states)
	w.as(func(tx pgx.Tx) error {
		all, err := postgres.Budgets(t.Context(), tx, w.caller.WorkspaceID)
		require.Len(t, all, 1)
		require.EqualValues(t, []routing.Money{20, 3}, []routing.Money{all[0].Spent, all[0].Reserved})
		return err
	})
	var kept string
	require.NoError(t, w.db.Pool.QueryRow(t.Context(), "select string_agg(key, ' ') from tartan.model_results").Scan(&kept))
	require.Equal(t, "new", kept)
}
