package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/migration"
)

// The defaults of the plan's settings.
const (
	DefaultLockTimeout      = time.Second
	DefaultLockAttempts     = 30
	DefaultStatementTimeout = time.Minute
	DefaultRetention        = 30 * 24 * time.Hour
)

// LockError says that a step gave way to other sessions until its attempts were used up.
type LockError struct {
	Step     string
	Attempts int
	Blockers []Blocker // of the last attempt, as far as they were seen
	Err      error
}

func (e *LockError) Error() string {
	who := make([]string, len(e.Blockers))
	for i, b := range e.Blockers {
		who[i] = b.String()
	}
	if len(who) == 0 {
		who = []string{"a session that was gone before it could be named"}
	}
	return fmt.Sprintf("step %q got no lock in %d attempts; it waited for %s", e.Step, e.Attempts, strings.Join(who, ", "))
}

func (e *LockError) Unwrap() error { return e.Err }

// work is one step under way on one session.
type work struct {
	t       *Target
	conn    *pgx.Conn
	mig     uuid.UUID
	plan    *migration.Plan
	ordinal int
	step    *migration.Step

	tell     func(Progress)
	mu       sync.Mutex // of what follows
	progress Progress
}

// open takes the session of the migration and looks whether the ledger knows the plan.
func (t *Target) open(ctx context.Context, mig uuid.UUID, plan *migration.Plan, ordinal int, tell func(Progress)) (*work, error) {
	if ordinal < 0 || ordinal >= len(plan.Steps) {
		return nil, fmt.Errorf("the plan has %d steps: there is no step %d", len(plan.Steps), ordinal)
	}
	conn, err := t.session(ctx, mig)
	if err != nil {
		return nil, err
	}
	w := &work{t: t, conn: conn, mig: mig, plan: plan, ordinal: ordinal, step: &plan.Steps[ordinal], tell: tell}
	var sha, state string
	err = conn.QueryRow(ctx, "select sha256, state from tartan_migrate.migrations where id = $1", mig).Scan(&sha, &state)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = fmt.Errorf("%w: %s", ErrUnknown, mig)
	case err == nil && sha != plan.SHA256:
		err = fmt.Errorf("%w: it was %.12s and is %.12s", ErrChanged, sha, plan.SHA256)
	case err == nil && state != Running:
		err = fmt.Errorf("migration %s is %s", mig, state)
	}
	if err != nil {
		w.close(ctx)
		return nil, err
	}
	return w, nil
}

func (w *work) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = w.conn.Close(ctx)
}

// report changes the progress and tells it.
func (w *work) report(change func(*Progress)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.progress)
	if w.tell != nil {
		w.tell(w.progress)
	}
}

// watch looks who blocks the session, from another one, until stop is called.
func (w *work) watch(ctx context.Context, look func(ctx context.Context, conn *pgx.Conn, pid uint32)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	pid := w.conn.PgConn().PID()
	go func() {
		defer close(ended)
		if sleep(ctx, 150*time.Millisecond) != nil {
			return
		}
		conn, err := w.t.connect(ctx)
		if err != nil {
			return // it is only for the eyes
		}
		defer conn.Close(context.WithoutCancel(ctx))
		for ctx.Err() == nil && !conn.IsClosed() {
			w.lookAtBlockers(ctx, conn, pid)
			if look != nil {
				look(ctx, conn, pid)
			}
			_ = sleep(ctx, 250*time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func (w *work) lookAtBlockers(ctx context.Context, conn *pgx.Conn, pid uint32) {
	rows, err := conn.Query(ctx, `select a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''), coalesce(a.state, a.backend_type, ''),
  coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::bigint
from unnest(pg_blocking_pids($1)) b(pid) join pg_stat_activity a using (pid) order by a.xact_start limit 5`, int32(pid))
	if err != nil {
		return
	}
	blockers, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Blocker])
	if err != nil {
		return
	}
	if len(blockers) > 0 {
		w.report(func(p *Progress) { p.Blockers, p.Phase = blockers, "waits for a lock" })
	}
}

// transaction does something in a transaction, with the plan's timeouts. Where it has to give way to others it rolls back,
// waits a while that differs from one attempt to the next, and tries again: meanwhile those that queued behind it go on.
func (w *work) transaction(ctx context.Context, limit time.Duration, options pgx.TxOptions, do func(tx pgx.Tx) error) error {
	s := w.plan.Settings
	attempts := orDefault(s.LockAttempts, DefaultLockAttempts)
	for attempt := 1; ; attempt++ {
		err := pgx.BeginTxFunc(ctx, w.conn, options, func(tx pgx.Tx) error {
			if err := w.timeouts(ctx, tx, limit); err != nil {
				return err
			}
			if err := do(tx); err != nil || w.t.held == nil {
				return err
			}
			return w.t.held(ctx, tx)
		})
		if err == nil {
			w.report(func(p *Progress) { p.Blockers, p.Phase, p.Attempt = nil, "", 0 })
			return nil
		}
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "55P03" && pg.Code != "40P01" && pg.Code != "40001" {
			return err
		}
		w.report(func(p *Progress) { p.Attempt = attempt })
		if attempt == attempts {
			w.mu.Lock()
			defer w.mu.Unlock()
			return &LockError{Step: w.step.Name, Attempts: attempts, Blockers: w.progress.Blockers, Err: err}
		}
		if err := sleep(ctx, jitter(attempt)); err != nil {
			return err
		}
	}
}

// jitter is between a half and the whole of 100 ms, 200 ms and so on up to 5 s.
func jitter(attempt int) time.Duration {
	whole := min(100*time.Millisecond<<min(attempt-1, 10), 5*time.Second)
	return whole/2 + rand.N(whole/2)
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// timeouts sets those of a transaction; a limit below 0 is none.
func (w *work) timeouts(ctx context.Context, tx pgx.Tx, limit time.Duration) error {
	lock := orDefault(w.plan.Settings.LockTimeout, DefaultLockTimeout)
	_, err := tx.Exec(ctx, fmt.Sprintf("set local lock_timeout = %d; set local statement_timeout = %d", max(lock.Milliseconds(), 1), max(limit.Milliseconds(), 0)))
	return err
}

func (w *work) statementTimeout() time.Duration {
	return orDefault(w.plan.Settings.StatementTimeout, DefaultStatementTimeout)
}

// fault says which statement failed. What may pass, such as a lock or a lost connection, stays as it is.
func (w *work) fault(s migration.Statement, err error) error {
	var pg *pgconn.PgError
	if err == nil || !errors.As(err, &pg) || passing(pg.Code) {
		return err
	}
	return &StepError{Step: w.step.Name, Statement: migration.Statement{File: s.File, Line: s.Line}, Err: err}
}

// Passing reports whether the same call may work in a moment: the connection was lost, the server restarts, or others were
// in the way.
func Passing(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return passing(pg.Code)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err)
}

// passing reports whether a SQLSTATE speaks of the state of the server or of other sessions, not of the statement.
func passing(code string) bool {
	switch code[:2] {
	case "08", "40", "53", "58", "XX":
		return true
	}
	return code == "55P03" || strings.HasPrefix(code, "57P")
}

// exec runs the statements of a step inside its transaction.
func (w *work) exec(ctx context.Context, tx pgx.Tx, statements []migration.Statement) error {
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s.SQL); err != nil {
			return w.fault(s, err)
		}
		if tx.Conn().PgConn().TxStatus() != 'T' {
			return &StepError{
				Step: w.step.Name, Statement: migration.Statement{File: s.File, Line: s.Line},
				Err: errors.New("it ended the transaction of the step: take BEGIN and COMMIT out, or mark the step as without a transaction"),
			}
		}
	}
	// A constraint that is deferred is told now, with the step, and a role that was taken on is laid down.
	_, err := tx.Exec(ctx, "set constraints all immediate; reset role")
	return w.fault(migration.Statement{}, err)
}

// verify runs assertions.
func (w *work) verify(ctx context.Context, q querier) error {
	for _, s := range w.step.Verify {
		if err := assertion(ctx, q, s.SQL); err != nil {
			return &StepError{Step: w.step.Name, Statement: migration.Statement{File: s.File, Line: s.Line}, Err: err}
		}
	}
	return nil
}

// assertion holds when the query returns no rows, or one whose columns are all true. What it returned is not told, as it may
// be a user's data.
func assertion(ctx context.Context, q querier, sql string) error {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	n, boolean := 0, true
	var untrue []string
	for rows.Next() {
		n++
		values, err := rows.Values()
		if err != nil {
			return err
		}
		for i, v := range values {
			holds, is := v.(bool)
			boolean = boolean && (is || v == nil)
			if !holds && n == 1 {
				untrue = append(untrue, rows.FieldDescriptions()[i].Name)
			}
		}
	}
	switch {
	case rows.Err() != nil:
		return rows.Err()
	case n == 0 || n == 1 && boolean && len(untrue) == 0:
		return nil
	case n == 1 && boolean:
		return fmt.Errorf("an assertion does not hold: %s is not true", strings.Join(untrue, ", "))
	}
	return fmt.Errorf("an assertion does not hold: it returned %d rows where none are expected", n)
}
