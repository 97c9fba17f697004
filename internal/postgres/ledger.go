package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/routing"
)

// Budget is a limit on what models may cost.
type Budget struct {
	ID          uuid.UUID     `json:"id" db:"id"`
	Scope       string        `json:"scope" db:"scope"` // workspace, agent or task
	Name        string        `json:"name,omitempty" db:"name"`
	Period      string        `json:"period" db:"period"` // total, day or month
	Limit       routing.Money `json:"limit_micros" db:"limit_micros"`
	Spent       routing.Money `json:"spent_micros" db:"spent_micros"`
	Reserved    routing.Money `json:"reserved_micros" db:"reserved_micros"`
	PeriodStart time.Time     `json:"period_start" db:"period_start"`
}

// OverBudgetError says which budget a call would pass.
type OverBudgetError struct {
	Budget string // such as "day agent triage"
	Left   routing.Money
	Worst  routing.Money
}

func (e *OverBudgetError) Error() string {
	return fmt.Sprintf("the budget %q has %s left, and the call may cost %s: raise the budget or ask for fewer tokens", e.Budget, e.Left.USD(), e.Worst.USD())
}

// Spend is a call that wants to be paid for.
type Spend struct {
	Caller  access.Caller
	Key     string // what the call is; a durable one is paid for once
	Agent   string
	Task    string
	Model   string
	Worst   routing.Money
	Sent    bool          // it is sent at once; otherwise it is only held
	Live    time.Duration // after which its caller counts as dead
	Durable bool          // look for the answer that the key has, and take over from a dead caller
}

// Reservation is what Reserve found.
type Reservation struct {
	Call   uuid.UUID
	Answer json.RawMessage // of a durable call that is done
	Model  string
	Cost   routing.Money
}

// Reserve holds the worst case of a call against every budget that it falls under, in the transaction that checks them. The
// error is ErrDenied for one who may not spend, or an *OverBudgetError.
func Reserve(ctx context.Context, pool *pgxpool.Pool, s Spend) (Reservation, error) {
	var (
		r       Reservation
		outcome string
		call    *uuid.UUID
		budget  *string
		left    *int64
		model   *string
		cost    *int64
	)
	var waits *string
	err := asLedger(ctx, pool, lasting(s.Durable), `select outcome, call_id, budget, left_micros, model, cost_micros, answer,
			(select set_config('synchronous_commit', 'on', true) from tartan.budgets where workspace_id = $1 limit 1)
		from tartan.reserve_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		[]any{s.Caller.WorkspaceID, s.Caller.UserID, s.Key, s.Agent, s.Task, s.Model, int64(s.Worst), s.Sent, int(s.Live.Seconds()), s.Durable},
		&outcome, &call, &budget, &left, &model, &cost, &r.Answer, &waits)
	if err != nil {
		return r, fmt.Errorf("reserve for a call of %s: %w", s.Model, err)
	}
	switch outcome {
	case "denied":
		return r, fmt.Errorf("reserve for a call of %s: spending needs the role editor: %w", s.Model, ErrDenied)
	case "refused":
		return r, &OverBudgetError{Budget: *budget, Left: routing.Money(*left), Worst: s.Worst}
	case "done":
		r.Model, r.Cost = *model, routing.Money(*cost)
	default:
		r.Call = *call
	}
	return r, nil
}

// Settlement is how a call ended.
type Settlement struct {
	Call          uuid.UUID
	Cost          routing.Money
	Input, Output int
	Class         routing.Class
	Answer        json.RawMessage // kept under the call's key; nil keeps none
}

// Settle charges a call what it cost, and keeps its answer in the same transaction. Settling again changes nothing.
func Settle(ctx context.Context, pool *pgxpool.Pool, s Settlement) error {
	var state string
	var answer any
	if s.Answer != nil {
		answer = s.Answer
	}
	err := asLedger(ctx, pool, lasting(s.Answer != nil), "select tartan.settle_call($1, $2, $3, $4, $5, $6)",
		[]any{s.Call, int64(s.Cost), s.Input, s.Output, string(s.Class), answer}, &state)
	if err != nil {
		return fmt.Errorf("settle call %s: %w", s.Call, err)
	}
	if state == "missing" {
		return fmt.Errorf("settle call %s: %w", s.Call, ErrNotFound)
	}
	return nil
}

// ReleaseHeld gives back what was held for a call that was not sent. A call that was sent is left alone: it settles, or expires.
func ReleaseHeld(ctx context.Context, pool *pgxpool.Pool, call uuid.UUID) error {
	var n int
	err := asLedger(ctx, pool, "on", "select count(tartan.end_call(id, 'released', 0, 0, 0, '')) from tartan.model_calls where id = $1 and state = 'reserved'", []any{call}, &n)
	if err != nil {
		return fmt.Errorf("release call %s: %w", call, err)
	}
	return nil
}

// MaxExpired is how many calls ExpireCalls ends at once.
const MaxExpired = 1000

// ExpireCalls ends the calls of callers that died, in every workspace, and forgets answers and cache entries past their time.
// There may be more where it ended MaxExpired.
func ExpireCalls(ctx context.Context, pool *pgxpool.Pool) (n int, err error) {
	if err = asLedger(ctx, pool, "on", "select tartan.expire_calls(null, $1)", []any{MaxExpired}, &n); err != nil {
		return 0, fmt.Errorf("expire calls: %w", err)
	}
	err = AsService(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "delete from tartan.model_results where created_at < now() - interval '7 days'")
		if err == nil {
			_, err = tx.Exec(ctx, "delete from tartan.model_cache where expires_at < now()")
		}
		return err
	})
	if err != nil {
		return n, fmt.Errorf("forget old answers: %w", err)
	}
	return n, nil
}

// Budgets lists the budgets of the caller's workspace.
func Budgets(ctx context.Context, q Querier, workspace uuid.UUID) ([]Budget, error) {
	rows, err := q.Query(ctx, `select id, scope, name, period, limit_micros, spent_micros, reserved_micros, period_start
		from tartan.budgets where workspace_id = $1 order by scope desc, name, period`, workspace)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Budget])
}

// SetBudget makes a budget or changes its limit. What was spent stays.
func SetBudget(ctx context.Context, q Querier, workspace uuid.UUID, b Budget) error {
	_, err := q.Exec(ctx, `insert into tartan.budgets (workspace_id, scope, name, period, limit_micros) values ($1, $2, $3, $4, $5)
		on conflict (workspace_id, scope, name, period) do update set limit_micros = excluded.limit_micros`,
		workspace, b.Scope, b.Name, b.Period, int64(b.Limit))
	if err != nil {
		return fmt.Errorf("set the budget of %s %s: %w", b.Scope, b.Name, err)
	}
	return nil
}

// RemoveBudget removes a budget, or returns ErrNotFound.
func RemoveBudget(ctx context.Context, q Querier, workspace uuid.UUID, scope, name, period string) error {
	tag, err := q.Exec(ctx, "delete from tartan.budgets where workspace_id = $1 and scope = $2 and name = $3 and period = $4", workspace, scope, name, period)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("remove the %s budget of %s %s: %w", period, scope, name, err)
	}
	return nil
}

// Cached is an answer that may be given again.
type Cached struct {
	Key    string // of the whole request
	Scope  string // of all but its last message
	Model  string
	Vector []float32 // of the last message; nil where only the same request is answered by it
	Answer json.RawMessage
	Live   time.Duration
}

// CachedAnswer finds the answer to a request, or returns ErrNotFound.
func CachedAnswer(ctx context.Context, pool *pgxpool.Pool, workspace uuid.UUID, key string) (c Cached, err error) {
	err = asLedger(ctx, pool, "off", "select model, answer from tartan.model_cache where workspace_id = $1 and key = $2 and expires_at > now()", []any{workspace, key}, &c.Model, &c.Answer)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return c, err
}

// SimilarAnswers lists the newest answers of a scope with their vectors, at most 200.
func SimilarAnswers(ctx context.Context, pool *pgxpool.Pool, workspace uuid.UUID, scope string) (out []Cached, err error) {
	err = AsService(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select model, vector, answer from tartan.model_cache
			where workspace_id = $1 and scope = $2 and vector is not null and expires_at > now() order by created_at desc limit 200`, workspace, scope)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Cached, err error) {
			err = row.Scan(&c.Model, &c.Vector, &c.Answer)
			return c, err
		})
		return err
	})
	return out, err
}

// SaveCached keeps an answer.
func SaveCached(ctx context.Context, pool *pgxpool.Pool, workspace uuid.UUID, c Cached) error {
	return AsService(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into tartan.model_cache (workspace_id, key, scope, model, vector, answer, expires_at)
			values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
			on conflict (workspace_id, key) do update set model = excluded.model, vector = coalesce(excluded.vector, tartan.model_cache.vector), answer = excluded.answer,
				created_at = now(), expires_at = excluded.expires_at`,
			workspace, c.Key, c.Scope, c.Model, c.Vector, c.Answer, c.Live.Seconds())
		return err
	})
}

// lasting says whether a commit waits for the disk. That of an interactive call does not, unless there is a budget: a reservation
// that a crash of the database forgot would let others spend the same money. Where the settlement is forgotten, the call is charged in full.
func lasting(durable bool) string {
	if durable {
		return "on"
	}
	return "off"
}

// asLedger runs one statement as service_role and reads its one row: a call to a model waits for it twice. A deadlock with the sweep of dead callers is tried again.
func asLedger(ctx context.Context, pool *pgxpool.Pool, commit, sql string, args []any, into ...any) error {
	for try := 0; ; try++ {
		err := onceAsLedger(ctx, pool, commit, sql, args, into)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "23505") && try < 5 { // deadlock, or a live call of the same key
			continue
		}
		return known(err)
	}
}

// onceAsLedger takes the role in a round trip of its own: a statement is prepared before the one ahead of it in a batch has run, and the
// role that connects may not even see the schema.
func onceAsLedger(ctx context.Context, pool *pgxpool.Pool, commit, sql string, args []any, into []any) error {
	conn, tx, err := beginOn(ctx, pool, asService+"; set local lock_timeout = '10s'; set local synchronous_commit = "+commit)
	if err != nil {
		return err
	}
	defer conn.Release()
	batch := &pgx.Batch{}
	batch.Queue(sql, args...)
	batch.Queue("commit")
	results := tx.SendBatch(ctx, batch)
	err = results.QueryRow().Scan(into...)
	if err == nil {
		_, err = results.Exec()
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil && !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "rollback")
	}
	return err
}
