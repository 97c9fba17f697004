package workflows_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/workflows"
)

// migrating is a workspace with an operator, and a database of hers.
type migrating struct {
	*world
	users *testdb.DB
	input workflows.MigrateInput
	md    string // the report
}

func sqlOf(lines ...string) (out []migration.Statement) {
	for _, l := range lines {
		out = append(out, migration.Statement{SQL: l})
	}
	return out
}

// statusPlan adds a column, fills it, and drops another one.
func statusPlan() migration.Plan {
	return migration.Plan{Name: "status", Format: migration.FormatTartan, Steps: []migration.Step{
		{Name: "add", Kind: migration.KindSQL, Up: sqlOf("alter table orders add column status text")},
		{
			Name: "fill", Kind: migration.KindBackfill, Up: sqlOf("update orders set status = 'old' where :batch"),
			Backfill: &migration.Backfill{Table: "orders", Columns: []string{"status"}, Rows: 100}, Verify: sqlOf("select count(*) = 0 as filled from orders where status is null"),
		},
		{Name: "index", Kind: migration.KindIndex, Up: sqlOf("create index concurrently orders_status on orders (status)"), Index: &migration.Index{Name: "orders_status", Table: "orders"}},
		{Name: "drop", Kind: migration.KindDrop, Up: sqlOf("alter table orders drop column note"), Drop: &migration.Drop{Table: "orders", Columns: []string{"note"}}},
	}}
}

func newMigrating(t *testing.T, plan migration.Plan) *migrating {
	t.Helper()
	m := &migrating{world: newWorld(t), users: testdb.Empty(t)}
	_, err := m.users.Pool.Exec(t.Context(), "create table orders (id bigint primary key, note text); create view seen as select id from orders; insert into orders select i, 'n' || i from generate_series(1, 1000) i")
	require.NoError(t, err)
	body, err := json.Marshal(plan)
	require.NoError(t, err)
	o, err := m.bucket.PutBytes(t.Context(), body)
	require.NoError(t, err)
	m.input = workflows.MigrateInput{Caller: m.caller, Migration: uuid.New(), Target: "shop", Plan: workflows.PlanRef{Name: plan.Name, Key: o.Key, SHA256: o.SHA256}}
	return m
}

func (m *migrating) environment() *testsuite.TestWorkflowEnvironment {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.MigrationWorkflowID(m.caller.WorkspaceID, "shop"), TaskQueue: workflows.TaskQueue})
	workflows.Register(env)
	env.RegisterActivity(&activities.Migrations{Pool: m.db.Pool, Bucket: m.bucket, Targets: func(string) (string, error) { return m.users.URL, nil }})
	return env
}

func (m *migrating) result(env *testsuite.TestWorkflowEnvironment) (out workflows.MigrateResult) {
	m.t.Helper()
	require.True(m.t, env.IsWorkflowCompleted())
	require.NoError(m.t, env.GetWorkflowError())
	require.NoError(m.t, env.GetWorkflowResult(&out))
	var stored postgres.TargetMigration
	m.as(func(tx pgx.Tx) (err error) {
		stored, err = postgres.TargetMigrationByID(context.Background(), tx, m.caller.WorkspaceID, out.Migration)
		return err
	})
	require.Equal(m.t, out.State, stored.State)
	require.Equal(m.t, out.Why, stored.Why)
	require.NotNil(m.t, stored.FinishedAt)
	m.md = m.reported(stored.ReportMD)
	require.Contains(m.t, m.md, "**State**: "+strings.ReplaceAll(out.State, "_", "\\_"))
	require.Contains(m.t, m.reported(stored.ReportHTML), "<svg")
	return out
}

// reported reads an object of the bucket.
func (m *migrating) reported(key string) string {
	m.t.Helper()
	body, err := m.bucket.ReadAll(context.Background(), key, 1<<20)
	require.NoError(m.t, err)
	return string(body)
}

// columns returns the columns of the table orders.
func (m *migrating) columns() (out string) {
	m.t.Helper()
	err := m.users.Pool.QueryRow(m.t.Context(), "select string_agg(column_name, ',' order by column_name) from information_schema.columns where table_name = 'orders'").Scan(&out)
	require.NoError(m.t, err)
	return out
}

type updates struct {
	done    *workflows.MigrationStatus
	refused error
}

func (u *updates) Accept()          {}
func (u *updates) Reject(err error) { u.refused = err }
func (u *updates) Complete(out any, err error) {
	u.refused = err
	if s, ok := out.(workflows.MigrationStatus); ok {
		u.done = &s
	}
}

func (m *migrating) direct(env *testsuite.TestWorkflowEnvironment, name string, caller access.Caller) *updates {
	u := &updates{}
	env.UpdateWorkflow(name, uuid.NewString(), u, workflows.ReviewMigrationInput{Caller: caller, Note: "because"})
	return u
}

func TestMigrateCompletes(t *testing.T) {
	t.Parallel()
	m := newMigrating(t, statusPlan())
	env := m.environment()
	env.ExecuteWorkflow(workflows.Migrate, m.input)
	out := m.result(env)
	require.Equal(t, workflows.MigrationCompleted, out.State)
	require.Equal(t, "id,status", m.columns())
	require.Contains(t, m.md, "| 1,000 |", "rows of the backfill, from the ledger")
	require.NotContains(t, m.md, "undone")

	// Undone from the archive.
	undo := m.input
	undo.Undo = true
	env = m.environment()
	env.ExecuteWorkflow(workflows.Migrate, undo)
	out = m.result(env)
	require.Equal(t, workflows.MigrationRolledBack, out.State)
	require.Equal(t, "id,note", m.columns())
	require.Contains(t, m.md, "Undoing")
	for _, s := range out.Steps {
		require.True(t, s.FinishedAt.Before(*s.UndoneFrom), "%s: what was done is told beside what was undone", s.Name)
		require.False(t, s.UndoneTo.Before(*s.UndoneFrom))
	}
	require.Equal(t, 4, strings.Count(m.md, "undone in "))
	require.Empty(t, out.Differences) // the column comes back as the last one, which it was
	var n int
	require.NoError(t, m.users.Pool.QueryRow(t.Context(), "select count(*) from orders where note = 'n' || id").Scan(&n))
	require.Equal(t, 1000, n)
}

// A migration that waits three days for its approval has but a timer.
func TestMigrateWaitsThreeDays(t *testing.T) {
	t.Parallel()
	plan := statusPlan()
	plan.Settings = migration.Settings{Approval: true, Soak: 24 * time.Hour, MaxErrorRate: 0.5}
	m := newMigrating(t, plan)
	other, viewer := m.db.Member(t, m.caller.WorkspaceID, access.Operator), m.db.Member(t, m.caller.WorkspaceID, access.Reviewer)
	env := m.environment()
	started := env.Now()
	var own, weak, good *updates
	env.RegisterDelayedCallback(func() { own = m.direct(env, workflows.UpdateApprove, m.caller) }, 71*time.Hour)
	env.RegisterDelayedCallback(func() { weak = m.direct(env, workflows.UpdateApprove, viewer) }, 71*time.Hour+time.Minute)
	env.RegisterDelayedCallback(func() {
		require.Equal(t, "id,note,status", m.columns(), "contract comes after approval and soak")
		good = m.direct(env, workflows.UpdateApprove, other)
	}, 72*time.Hour)
	env.ExecuteWorkflow(workflows.Migrate, m.input)
	out := m.result(env)
	require.Equal(t, workflows.MigrationCompleted, out.State)
	require.ErrorContains(t, own.refused, "another operator")
	require.ErrorContains(t, weak.refused, "operator")
	require.NoError(t, good.refused)
	require.Equal(t, other.UserID, *out.Approver)
	require.GreaterOrEqual(t, env.Now().Sub(started), 96*time.Hour)
}

func TestMigrateIsRolledBack(t *testing.T) {
	t.Parallel()
	waiting := statusPlan()
	waiting.Settings.Approval = true
	soaking := statusPlan()
	soaking.Settings.Soak = time.Hour
	failing := statusPlan()
	failing.Steps[3].Verify = sqlOf("select count(*) = 0 as empty from orders")
	late := waiting
	late.Settings.ApprovalTimeout = time.Hour
	checked := statusPlan()
	checked.Settings.Checks = []migration.NamedSQL{{Name: "no orders", SQL: migration.Statement{SQL: "select * from orders"}}}
	orphaned := statusPlan()
	orphaned.Steps = append(orphaned.Steps[:1:1], migration.Step{Name: "fk", Kind: migration.KindSQL, Up: sqlOf("alter table orders add column parent bigint", "update orders set parent = id + 1", "alter table orders add constraint parents foreign key (parent) references orders not valid")})
	slow := statusPlan()
	slow.Settings.Queries = []migration.NamedSQL{{Name: "all", SQL: migration.Statement{SQL: "select count(*) from seen"}}}
	slow.Steps = append(slow.Steps[:1:1], migration.Step{Name: "slow view", Kind: migration.KindSQL, Up: sqlOf("create view seen2 as select o.id, pg_sleep(0.02)::text as s from orders o limit 3", "drop view seen", "create view seen as select * from seen2 offset 0"), Down: sqlOf("drop view seen", "drop view seen2", "create view seen as select id from orders")})
	for name, c := range map[string]struct {
		plan migration.Plan
		do   func(m *migrating, env *testsuite.TestWorkflowEnvironment)
		why  string
	}{
		"rejected": {waiting, func(m *migrating, env *testsuite.TestWorkflowEnvironment) {
			m.direct(env, workflows.UpdateReject, m.caller)
		}, "rejected by"},
		"asked for in the soak": {soaking, func(m *migrating, env *testsuite.TestWorkflowEnvironment) {
			m.direct(env, workflows.UpdateRollback, m.caller)
		}, "asked for by"},
		"cancelled":   {soaking, func(_ *migrating, env *testsuite.TestWorkflowEnvironment) { env.CancelWorkflow() }, "cancelled"},
		"in contract": {failing, nil, "empty is not true"},
		"late":        {late, nil, "nobody approved it in time"},
		"orphans":     {orphaned, nil, "1 rows refer to a row that is not there"},
		"slower":      {slow, nil, "all"},
		"checks":      {checked, nil, "1000 rows where none are expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMigrating(t, c.plan)
			env := m.environment()
			if c.do != nil {
				env.RegisterDelayedCallback(func() { c.do(m, env) }, time.Minute)
			}
			env.ExecuteWorkflow(workflows.Migrate, m.input)
			out := m.result(env)
			require.Equal(t, workflows.MigrationRolledBack, out.State)
			require.Contains(t, out.Why, c.why)
			require.Empty(t, out.Differences)
			require.Equal(t, "id,note", m.columns())
		})
	}
}

func TestMigratePausesAnywhere(t *testing.T) {
	t.Parallel()
	plan := statusPlan()
	plan.Settings.Soak = time.Hour
	m := newMigrating(t, plan)
	env := m.environment()
	started := env.Now()
	env.RegisterDelayedCallback(func() { m.direct(env, workflows.UpdatePause, m.caller) }, time.Minute)
	env.RegisterDelayedCallback(func() {
		answer, err := env.QueryWorkflow(workflows.QueryMigration)
		require.NoError(t, err)
		var s workflows.MigrationStatus
		require.NoError(t, answer.Get(&s))
		require.True(t, s.Paused)
		require.Equal(t, "id,note,status", m.columns())
		m.direct(env, workflows.UpdateResume, m.caller)
	}, 5*time.Hour)
	env.ExecuteWorkflow(workflows.Migrate, m.input)
	require.Equal(t, workflows.MigrationCompleted, m.result(env).State)
	require.GreaterOrEqual(t, env.Now().Sub(started), 5*time.Hour)
}

// Where undoing fails a person is waited for; the database is not left as it is.
func TestMigrateStuckIsResumed(t *testing.T) {
	t.Parallel()
	plan := statusPlan()
	plan.Steps = append(plan.Steps[:2:2], migration.Step{Name: "rest", Kind: migration.KindSQL, Up: sqlOf("create table rest (id int)"), Down: sqlOf("select undo_me()", "drop table rest")},
		migration.Step{Name: "bad", Kind: migration.KindSQL, Up: sqlOf("select 1/0")})
	m := newMigrating(t, plan)
	env := m.environment()
	env.RegisterDelayedCallback(func() {
		answer, err := env.QueryWorkflow(workflows.QueryMigration)
		require.NoError(t, err)
		var s workflows.MigrationStatus
		require.NoError(t, answer.Get(&s))
		require.Equal(t, workflows.MigrationStuck, s.State)
		require.Contains(t, s.Why, "undo_me")
		require.Contains(t, s.Why, "division by zero")
		_, err = m.users.Pool.Exec(t.Context(), "create function undo_me() returns int language sql return 1")
		require.NoError(t, err)
		m.direct(env, workflows.UpdateResume, m.caller)
	}, time.Hour)
	env.ExecuteWorkflow(workflows.Migrate, m.input)
	out := m.result(env)
	require.Equal(t, workflows.MigrationRolledBack, out.State)
	require.Equal(t, "id,note", m.columns())
	require.Len(t, out.Differences, 1) // the function that the person made
	require.Contains(t, out.Differences[0].Path, "undo_me")
}

func TestMigrateRefusesToBegin(t *testing.T) {
	t.Parallel()
	m := newMigrating(t, statusPlan())
	for name, c := range map[string]struct {
		change func(in *workflows.MigrateInput)
		kind   string
	}{
		"no operator":    {func(in *workflows.MigrateInput) { in.Caller = m.db.Member(t, m.caller.WorkspaceID, access.Reviewer) }, activities.Denied},
		"another object": {func(in *workflows.MigrateInput) { in.Plan.SHA256 = strings.Repeat("0", 64) }, activities.MigrationRefused},
		"no object":      {func(in *workflows.MigrateInput) { in.Plan.Key = "objects/00/" + strings.Repeat("0", 64) }, activities.SourceMissing},
	} {
		t.Run(name, func(t *testing.T) {
			in := m.input
			c.change(&in)
			env := m.environment()
			env.ExecuteWorkflow(workflows.Migrate, in)
			var app *temporal.ApplicationError
			require.ErrorAs(t, env.GetWorkflowError(), &app)
			require.Equal(t, c.kind, app.Type(), app.Message())
			require.Equal(t, "id,note", m.columns())
		})
	}
	// One at a time in a database, whoever's.
	tgt, err := target.Open(t.Context(), m.users.URL)
	require.NoError(t, err)
	require.NoError(t, tgt.Begin(t.Context(), uuid.New(), &migration.Plan{Name: "other", SHA256: strings.Repeat("1", 64)}))
	env := m.environment()
	env.ExecuteWorkflow(workflows.Migrate, m.input)
	var app *temporal.ApplicationError
	require.ErrorAs(t, env.GetWorkflowError(), &app)
	require.Equal(t, activities.MigrationBusy, app.Type())
}
