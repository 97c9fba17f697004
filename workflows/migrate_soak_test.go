package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/workflows"
)

// client runs a statement some times, each in its transaction, and waits until the server has counted them.
func (m *migrating) client(n int, sql string) {
	m.t.Helper()
	ctx := context.Background()
	counted := func() (all int) {
		err := m.users.Pool.QueryRow(ctx, "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()").Scan(&all)
		require.NoError(m.t, err)
		return all
	}
	before := counted()
	conn, err := pgx.Connect(ctx, m.users.URL)
	require.NoError(m.t, err)
	for range n {
		_, _ = conn.Exec(ctx, sql) // a failing one is meant to
	}
	require.NoError(m.t, conn.Close(ctx))
	require.Eventually(m.t, func() bool { return counted() >= before+n }, 30*time.Second, 20*time.Millisecond)
}

// What becomes worse after the approval is found in the soak, and all of it is undone.
func TestMigrateSoakWatches(t *testing.T) {
	t.Parallel()
	const bad = 10*time.Minute + 30*time.Second
	for name, c := range map[string]struct {
		settings migration.Settings
		do       func(m *migrating, env *testsuite.TestWorkflowEnvironment)
		why      string // "" completes
	}{
		"a reference query becomes slow": {
			migration.Settings{Queries: []migration.NamedSQL{{Name: "pace", SQL: migration.Statement{SQL: "select pg_sleep(seconds) from pace"}}}},
			func(m *migrating, env *testsuite.TestWorkflowEnvironment) {
				env.RegisterDelayedCallback(func() { m.client(1, "update pace set seconds = 0.2") }, bad)
			}, `in the soak query "pace" takes`,
		},
		"transactions become slow": {
			migration.Settings{MaxActive: 50 * time.Millisecond},
			func(m *migrating, env *testsuite.TestWorkflowEnvironment) {
				env.RegisterDelayedCallback(func() { m.client(25, "select pg_sleep(0.15)") }, bad)
			}, "each since the last look, and 50ms is allowed",
		},
		"a burst of errors": {
			migration.Settings{MaxErrorRate: 0.2},
			func(m *migrating, env *testsuite.TestWorkflowEnvironment) {
				env.RegisterDelayedCallback(func() { m.client(400, "select 1") }, bad/2)
				env.RegisterDelayedCallback(func() { m.client(40, "select 1/0") }, bad)
			}, "were rolled back since the last look",
		},
		"nothing": {
			migration.Settings{MaxErrorRate: 0.2, MaxActive: 10 * time.Second, Queries: []migration.NamedSQL{{Name: "pace", SQL: migration.Statement{SQL: "select pg_sleep(seconds) from pace"}}}, MaxSlowdown: 1000},
			func(m *migrating, env *testsuite.TestWorkflowEnvironment) {
				env.RegisterDelayedCallback(func() { m.client(40, "select pg_sleep(0.01)") }, bad)
			}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := statusPlan()
			plan.Settings = c.settings
			plan.Settings.Soak = 20 * time.Minute
			m := newMigrating(t, plan)
			_, err := m.users.Pool.Exec(t.Context(), "create table pace (seconds float8); insert into pace values (0.01)")
			require.NoError(t, err)
			env := m.environment()
			started := env.Now()
			c.do(m, env)
			env.ExecuteWorkflow(workflows.Migrate, m.input)
			out := m.result(env)
			if c.why == "" {
				require.Equal(t, workflows.MigrationCompleted, out.State, out.Why)
				require.Equal(t, "id,status", m.columns())
				return
			}
			require.Equal(t, workflows.MigrationRolledBack, out.State)
			require.Contains(t, out.Why, c.why)
			require.Empty(t, out.Differences)
			require.Equal(t, "id,note", m.columns())
			require.Greater(t, env.Now().Sub(started), bad, "not before it became worse")
			require.Less(t, env.Now().Sub(started), bad+2*time.Minute, "at the next look")
		})
	}
}
