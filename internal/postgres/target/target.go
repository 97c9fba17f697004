// Package target applies and undoes the steps of a migration in the database of its user, step by step, each with its row of
// a ledger in the same transaction. In come a connection URL and a plan; what a step changed or destroyed is kept there too,
// in the schemas tartan_migrate and tartan_archive. It needs no superuser: the owner of the tables is enough.
package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Errors a caller can decide by.
var (
	// ErrBusy says that another migration of this database has not ended.
	ErrBusy = errors.New("another migration is under way")
	// ErrChanged says that the plan is not the one that was started.
	ErrChanged = errors.New("the plan has changed since it started")
	// ErrIrreversible says that a step has no down section and cannot be undone from the archive.
	ErrIrreversible = errors.New("the step cannot be undone")
	// ErrUnknown says that the ledger of this database has no such migration.
	ErrUnknown = errors.New("no such migration in this database")
)

// StepError is a statement of a step that the database refused, or an assertion that did not hold.
type StepError struct {
	Step      string
	Statement migration.Statement
	Err       error
}

func (e *StepError) Error() string {
	at := ""
	if e.Statement.File != "" {
		at = fmt.Sprintf(" (%s:%d)", e.Statement.File, e.Statement.Line)
	}
	return fmt.Sprintf("step %q%s: %v", e.Step, at, e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }

// Progress is how far a step is.
type Progress struct {
	Rows     int64     `json:"rows"`            // done
	Total    int64     `json:"total"`           // estimated; 0 is not known
	PerSec   float64   `json:"rows_per_second"` // of the last few batches
	Phase    string    `json:"phase,omitempty"` // of an index, as the server names it, or "waits for a lock"
	LastKey  []string  `json:"last_key,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`  // at the locks
	Blockers []Blocker `json:"blockers,omitempty"` // who holds what the step waits for
}

// Blocker is a session that holds a lock a step waits for. Its statement is left out: it may hold a user's data.
type Blocker struct {
	PID         int32  `json:"pid"`
	User        string `json:"user"`
	Application string `json:"application"`
	State       string `json:"state"`
	Seconds     int64  `json:"seconds"` // since its transaction began
}

func (b Blocker) String() string {
	return fmt.Sprintf("pid %d of %s (%s, %s for %d s)", b.PID, b.User, b.Application, b.State, b.Seconds)
}

// Copier does what a copy step says.
type Copier interface {
	Copy(ctx context.Context, t *Target, mig uuid.UUID, plan *migration.Plan, ordinal int, progress func(Progress)) error
	Uncopy(ctx context.Context, t *Target, mig uuid.UUID, plan *migration.Plan, ordinal int, progress func(Progress)) ([]migration.Difference, error)
}

// Target is a database to migrate. It may be used from many goroutines.
type Target struct {
	Copier  Copier // of copy steps; nil refuses them
	cfg     *pgx.ConnConfig
	secret  string
	version int // such as 150004

	// held is called in the transaction of a step before it commits; nil does nothing.
	held func(ctx context.Context, tx pgx.Tx) error
}

// Open reads the URL and looks whether the database can be migrated: Postgres 13 or later, on a direct or session connection.
// No error of this package holds the password.
func Open(ctx context.Context, url string) (*Target, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the target's URL is not one of Postgres: want postgres://user:password@host:5432/name")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	// The plan's statements go to the server as they are written; nothing is prepared that a DDL statement could outdate.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	t := &Target{cfg: cfg, secret: cfg.Password}
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version string
	if err := conn.QueryRow(ctx, "select current_setting('server_version_num')").Scan(&version); err != nil {
		return nil, t.masked(err)
	}
	if _, err := fmt.Sscan(version, &t.version); err != nil || t.version < 130000 {
		return nil, fmt.Errorf("the target is Postgres %s: 13 or later is needed", version)
	}
	return t, nil
}

// connect opens a connection with settings that every session of a migration has.
func (t *Target) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, t.cfg.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect to the target: %w", t.masked(err))
	}
	// Set here and not as start-up parameters, which a pooler may refuse.
	_, err = conn.Exec(ctx, `set application_name = 'tartan migrate'; set timezone = 'UTC'; set standard_conforming_strings = on;
set statement_timeout = 0; set idle_in_transaction_session_timeout = '5min'; set extra_float_digits = 1; set client_min_messages = warning`)
	if err == nil && t.version >= 140000 {
		_, err = conn.Exec(ctx, "set client_connection_check_interval = '1s'") // a statement of a dead worker ends
		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			err = nil // not on every platform
		}
	}
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("connect to the target: %w", t.masked(err))
	}
	return conn, nil
}

// masked takes the password out of an error.
func (t *Target) masked(err error) error {
	if err == nil || len(t.secret) < 3 || !strings.Contains(err.Error(), t.secret) {
		return err
	}
	return &maskedError{strings.ReplaceAll(err.Error(), t.secret, "xxxxx"), err}
}

// maskedError is of the kind of another error, and cannot be unwrapped into it: who prints an error prints its causes too.
type maskedError struct {
	text string
	err  error
}

func (m *maskedError) Error() string { return m.text }

// Is implements what errors.Is asks for.
func (m *maskedError) Is(other error) bool { return errors.Is(m.err, other) }

// As implements what errors.As asks for.
func (m *maskedError) As(into any) bool { return errors.As(m.err, into) }

// fence is how long a session waits for an earlier one of the same migration to be gone.
const fence = 30 * time.Second

// session opens the one connection that may change the database for the migration. An earlier one, left by a worker that
// died or hangs, is ended first, so that two attempts never work beside each other.
func (t *Target) session(ctx context.Context, mig uuid.UUID) (*pgx.Conn, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.lock(ctx, conn, mig); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}

// lockKey is of the advisory lock, one for each database.
const lockKey = 0x7461727461 // "tarta"

// lock tries again and again instead of waiting: a session that waits inside a statement holds a snapshot, for which a
// concurrent index build of the earlier session would wait in turn.
func (t *Target) lock(ctx context.Context, conn *pgx.Conn, mig uuid.UUID) error {
	name := "tartan migrate " + mig.String()
	if _, err := conn.Exec(ctx, "select set_config('application_name', $1, false)", name); err != nil {
		return t.masked(err)
	}
	for deadline := time.Now().Add(fence); ; {
		var mine bool
		if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", int64(lockKey)).Scan(&mine); err != nil {
			return t.masked(err)
		}
		if mine {
			return nil
		}
		_, err := conn.Exec(ctx, `select pg_terminate_backend(a.pid) from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database where datname = current_database())
  and (l.classid::bigint << 32) + l.objid::bigint = $1 and a.application_name = $2 and a.pid <> pg_backend_pid()`, int64(lockKey), name)
		if err != nil {
			return t.masked(err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: its session holds the advisory lock of this database", ErrBusy)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
