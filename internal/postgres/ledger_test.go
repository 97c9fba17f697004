package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func setBudget(t testing.TB, db *testdb.DB, caller access.Caller, scope, name string, limit routing.Money) {
	t.Helper()
	require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		return postgres.SetBudget(t.Context(), tx, caller.WorkspaceID, postgres.Budget{Scope: scope, Name: name, Period: "total", Limit: limit})
	}))
}

func budgets(t testing.TB, db *testdb.DB, caller access.Caller) map[string]postgres.Budget {
	t.Helper()
	out := map[string]postgres.Budget{}
	require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		all, err := postgres.Budgets(t.Context(), tx, caller.WorkspaceID)
		for _, b := range all {
			out[b.Scope+b.Name] = b
		}
		return err
	}))
	return out
}

// 64 callers share a budget of 1,000 calls; some die before they send, some after, some settle late, and some pay less than the
// worst case. Whatever happens, not a micro-dollar is spent over the limit, and at the end every one is accounted for.
func TestBudgetsAreExactUnderConcurrencyAndKills(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "acme")
	const worst, calls = 333, 1000
	setBudget(t, db, caller, "workspace", "", worst*calls)
	setBudget(t, db, caller, "agent", "triage", worst*calls)
	setBudget(t, db, caller, "task", "summarize", worst*calls)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var charged, served, over atomic.Int64
	var wg sync.WaitGroup
	for worker := range 64 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for refused := 0; refused < 3; {
				r, err := postgres.Reserve(t.Context(), db.Pool, postgres.Spend{
					Caller: caller, Key: uuid.NewString(), Agent: "triage", Task: "summarize", Model: "a/b", Worst: worst, Sent: random.IntN(3) > 0, Live: time.Second,
				})
				var no *postgres.OverBudgetError
				if errors.As(err, &no) {
					refused++
					time.Sleep(500 * time.Millisecond) // the dead are dead after a second
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if random.IntN(20) == 0 {
					continue // killed: what it held is given up after a second
				}
				if served.Add(1) > 4*calls {
					over.Add(1)
				}
				cost := routing.Money(worst)
				if random.IntN(2) == 0 {
					cost = routing.Money(random.IntN(worst))
				}
				if err := postgres.Settle(t.Context(), db.Pool, postgres.Settlement{Call: r.Call, Cost: cost, Input: 1, Output: 2}); err != nil {
					t.Error(err)
					return
				}
				charged.Add(int64(cost))
			}
		})
	}
	wg.Wait()
	require.Zero(t, over.Load())
	require.Eventually(t, func() bool {
		_, err := postgres.ExpireCalls(t.Context(), db.Pool)
		require.NoError(t, err)
		return budgets(t, db, caller)["workspace"].Reserved == 0
	}, 20*time.Second, 100*time.Millisecond)
	for { // what came back after the callers had given up is there for the next one
		r, err := postgres.Reserve(t.Context(), db.Pool, postgres.Spend{Caller: caller, Key: uuid.NewString(), Agent: "triage", Task: "summarize", Model: "a/b", Worst: worst, Sent: true, Live: time.Minute})
		var no *postgres.OverBudgetError
		if errors.As(err, &no) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, postgres.Settle(t.Context(), db.Pool, postgres.Settlement{Call: r.Call, Cost: worst}))
		charged.Add(worst)
	}
	var sum, lost int64
	require.NoError(t, db.Pool.QueryRow(t.Context(), "select sum(cost_micros), coalesce(sum(cost_micros) filter (where state = 'lost'), 0) from tartan.model_calls").Scan(&sum, &lost))
	for name, b := range budgets(t, db, caller) {
		require.Zero(t, b.Reserved, name)
		require.LessOrEqual(t, b.Spent, b.Limit, name)
		require.Greater(t, b.Spent+worst, b.Limit, "%s: a call was refused while there was money", name)
		require.EqualValues(t, sum, b.Spent, name)
	}
	require.Equal(t, charged.Load()+lost, sum)
}

// Exactly a thousand calls of the worst case fit a budget for a thousand.
func TestABudgetForAThousandCallsServesAThousand(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "acme")
	setBudget(t, db, caller, "workspace", "", 1000*7)
	var served atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for {
				r, err := postgres.Reserve(t.Context(), db.Pool, postgres.Spend{Caller: caller, Key: uuid.NewString(), Model: "a/b", Worst: 7, Sent: true, Live: time.Minute})
				var no *postgres.OverBudgetError
				if errors.As(err, &no) {
					return
				}
				if err == nil {
					err = postgres.Settle(t.Context(), db.Pool, postgres.Settlement{Call: r.Call, Cost: 7})
				}
				if err != nil {
					t.Error(err)
					return
				}
				served.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1000, served.Load())
	b := budgets(t, db, caller)["workspace"]
	require.Equal(t, b.Limit, b.Spent)
	require.Zero(t, b.Reserved)
}

// A crash of the database must not forget what is held against a budget: the commit has waited for the disk.
func TestWhatABudgetHoldsIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "acme")
	setBudget(t, db, caller, "workspace", "", 1000)
	for range 20 {
		var before, written uint64
		require.NoError(t, db.Pool.QueryRow(t.Context(), "select (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&before))
		_, err := postgres.Reserve(t.Context(), db.Pool, postgres.Spend{Caller: caller, Key: uuid.NewString(), Model: "a/b", Worst: 7, Sent: true, Live: time.Minute})
		require.NoError(t, err)
		require.NoError(t, db.Pool.QueryRow(t.Context(), "select (pg_current_wal_flush_lsn() - '0/0')::bigint").Scan(&written))
		require.Greater(t, written, before)
	}
}

func TestDurableCallsArePaidOnce(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "acme")
	setBudget(t, db, caller, "workspace", "", 100)
	ctx := context.Background()
	spend := postgres.Spend{Caller: caller, Key: "wf/1", Model: "a/b", Worst: 40, Live: time.Minute, Durable: true}
	held, err := postgres.Reserve(ctx, db.Pool, spend)
	require.NoError(t, err)
	require.EqualValues(t, 40, budgets(t, db, caller)["workspace"].Reserved)
	spend.Sent = true
	sent, err := postgres.Reserve(ctx, db.Pool, spend)
	require.NoError(t, err)
	require.Equal(t, held.Call, sent.Call, "what was held is sent")
	again, err := postgres.Reserve(ctx, db.Pool, spend)
	require.NoError(t, err)
	require.NotEqual(t, sent.Call, again.Call, "its caller died: the provider may have answered, so that is charged")
	b := budgets(t, db, caller)["workspace"]
	require.EqualValues(t, 40, b.Spent)
	require.EqualValues(t, 40, b.Reserved)
	answer := json.RawMessage(`{"text":"yes"}`)
	require.NoError(t, postgres.Settle(ctx, db.Pool, postgres.Settlement{Call: again.Call, Cost: 11, Answer: answer}))
	require.NoError(t, postgres.Settle(ctx, db.Pool, postgres.Settlement{Call: again.Call, Cost: 11, Answer: answer}), "settling again changes nothing")
	done, err := postgres.Reserve(ctx, db.Pool, spend)
	require.NoError(t, err)
	require.JSONEq(t, string(answer), string(done.Answer))
	require.EqualValues(t, 51, budgets(t, db, caller)["workspace"].Spent)
	require.NoError(t, postgres.Settle(ctx, db.Pool, postgres.Settlement{Call: sent.Call, Cost: 5}), "the one taken for dead comes back")
	b = budgets(t, db, caller)["workspace"]
	require.EqualValues(t, 16, b.Spent)
	require.Zero(t, b.Reserved)
}

func TestWhoMayWriteTheLedger(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	admin := db.Workspace(t, "acme")
	setBudget(t, db, admin, "workspace", "", 100)
	editor := db.Member(t, admin.WorkspaceID, access.Editor)
	viewer := db.Member(t, admin.WorkspaceID, access.Viewer)
	other := db.Workspace(t, "other")
	for _, who := range []access.Caller{viewer, {UserID: other.UserID, WorkspaceID: admin.WorkspaceID}} {
		_, err := postgres.Reserve(t.Context(), db.Pool, postgres.Spend{Caller: who, Key: "k", Model: "a/b", Worst: 1, Live: time.Minute})
		require.ErrorIs(t, err, postgres.ErrDenied)
	}
	for _, sql := range []string{
		"update tartan.budgets set limit_micros = 1000000",
		"select tartan.end_call(gen_random_uuid(), 'settled', 0, 0, 0, '')",
		"select tartan.settle_call(gen_random_uuid(), 0, 0, 0, '', null)",
		"select tartan.expire_calls(null, 1)",
		"insert into tartan.budgets (workspace_id, scope, name, limit_micros) values ('" + admin.WorkspaceID.String() + "', 'agent', 'x', 1)",
		"delete from tartan.model_calls",
		"delete from tartan.model_results",
		"update tartan.model_cache set answer = '{}'",
	} {
		err := postgres.InWorkspace(t.Context(), db.Pool, editor, func(tx pgx.Tx) error {
			tag, err := tx.Exec(t.Context(), sql)
			if err == nil && tag.RowsAffected() == 0 {
				err = fmt.Errorf("nothing done: %w", postgres.ErrDenied)
			}
			return err
		})
		require.ErrorIs(t, err, postgres.ErrDenied, sql)
	}
	err := postgres.InWorkspace(t.Context(), db.Pool, admin, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "update tartan.budgets set spent_micros = 0")
		return err
	})
	require.ErrorIs(t, err, postgres.ErrDenied, "what was spent is nobody's to write")
}

// Connections that died while they were idle are found out before a call is reserved on them, so that no caller sees it.
func TestReservingGoesOnAfterTheDatabaseDroppedItsConnections(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "acme")
	setBudget(t, db, caller, "workspace", "", 100)
	pool, err := postgres.Open(t.Context(), db.URL)
	require.NoError(t, err)
	defer pool.Close()
	conn, err := pgx.Connect(t.Context(), db.URL) // is not called tartan, and so not ended
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // only closes
	for round := range 3 {
		var wg sync.WaitGroup
		for range 8 { // several connections, on each the statement more than once
			wg.Go(func() {
				for range 3 {
					r, err := postgres.Reserve(t.Context(), pool, postgres.Spend{Caller: caller, Key: uuid.NewString(), Model: "a/b", Worst: 1, Sent: true, Live: time.Minute})
					if err == nil {
						err = postgres.Settle(t.Context(), pool, postgres.Settlement{Call: r.Call})
					}
					if err != nil {
						t.Error(round, err)
					}
				}
			})
		}
		wg.Wait()
		// A backend that was told to end answers for a moment more; only what is dead for sure is found out by beginning.
		const others = " from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name = 'tartan'"
		require.Eventually(t, func() bool {
			var left int
			_, err := conn.Exec(t.Context(), "select pg_terminate_backend(pid)"+others)
			require.NoError(t, err)
			require.NoError(t, conn.QueryRow(t.Context(), "select count(*)"+others).Scan(&left))
			return left == 0
		}, 20*time.Second, 20*time.Millisecond)
	}
	b := budgets(t, db, caller)["workspace"]
	require.Zero(t, b.Reserved)
	require.Zero(t, b.Spent)
	var calls int
	require.NoError(t, db.Pool.QueryRow(t.Context(), "select count(*) from tartan.model_calls where state = 'settled'").Scan(&calls))
	require.Equal(t, 3*8*3, calls)
}
