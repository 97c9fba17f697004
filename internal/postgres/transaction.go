package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tartan-ai/tartan/internal/access"
)

// Each transaction starts with one round trip that takes the role and the limits, all local to it. A statement of a
// request takes milliseconds; one that takes 20 s is stuck, and so is a transaction that leaves the connection idle. Compiling such a statement takes longer than running it.
const (
	limits       = "set local statement_timeout = '20s'; set local lock_timeout = '10s'; set local idle_in_transaction_session_timeout = '15s'; set local jit = off"
	asCaller     = "begin; set local role authenticated; " + limits + "; select set_config('request.jwt.claims', '%s', true)"
	asService    = "begin; set local role service_role; " + limits
	readService  = "begin isolation level repeatable read read only; set local role service_role; " + limits
	workspaceJWT = `{"sub":"%s","workspace_id":"%s","role":"authenticated"}`
	userJWT      = `{"sub":"%s","role":"authenticated"}`
)

// InWorkspace runs fn in a transaction as the caller: role authenticated, with claims that name the user and the one
// workspace, all of them local to the transaction. It commits when fn returns nil and rolls back otherwise. A
// statement that row level security refuses comes back as ErrDenied.
func InWorkspace(ctx context.Context, pool *pgxpool.Pool, caller access.Caller, fn func(pgx.Tx) error) error {
	if caller.UserID == uuid.Nil || caller.WorkspaceID == uuid.Nil {
		return fmt.Errorf("begin without a user and a workspace: %w", ErrDenied)
	}
	// Only UUIDs go into the text, so there is nothing to quote.
	claims := fmt.Sprintf(workspaceJWT, caller.UserID, caller.WorkspaceID)
	return transact(ctx, pool, fmt.Sprintf(asCaller, claims), fn)
}

// AsService runs fn in a transaction as service_role, which sees every workspace. It is for the change feed and for
// setting up the local stack, never for a request.
func AsService(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) error {
	return transact(ctx, pool, asService, fn)
}

// ReadAsService is AsService for reading only, with all statements seeing the database as of the first one.
func ReadAsService(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) error {
	return transact(ctx, pool, readService, fn)
}

// asUser is InWorkspace without a workspace: the user sees all that she is a member of.
func asUser(ctx context.Context, pool *pgxpool.Pool, user uuid.UUID, fn func(pgx.Tx) error) error {
	if user == uuid.Nil {
		return fmt.Errorf("begin without a user: %w", ErrDenied)
	}
	return transact(ctx, pool, fmt.Sprintf(asCaller, fmt.Sprintf(userJWT, user)), fn)
}

func transact(ctx context.Context, pool *pgxpool.Pool, begin string, fn func(pgx.Tx) error) error {
	conn, tx, err := beginOn(ctx, pool, begin)
	if err != nil {
		return err
	}
	defer conn.Release()
	// The rollback must reach the server although ctx may have ended; after a commit it does nothing.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := fn(tx); err != nil {
		return known(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return known(fmt.Errorf("commit: %w", err))
	}
	return nil
}

// beginOn begins on a connection that works. After a restart of the database the pool is full of connections that do
// not, and each is found out only by using it; nothing has been done yet, so it is safe to take the next.
func beginOn(ctx context.Context, pool *pgxpool.Pool, begin string) (*pgxpool.Conn, pgx.Tx, error) {
	for try := 0; ; try++ {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("connect to the database: %w", err)
		}
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
		if err == nil {
			return conn, tx, nil
		}
		broken := conn.Conn().IsClosed()
		if !broken {
			// The begin may have worked and a setting after it failed.
			_, _ = conn.Exec(context.WithoutCancel(ctx), "rollback")
		}
		conn.Release()
		if !broken || try == 1 || ctx.Err() != nil {
			return nil, nil, known(fmt.Errorf("begin: %w", err))
		}
		pool.Reset()
	}
}

// known maps what the database says to the errors that callers decide by.
func known(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" && !errors.Is(err, ErrDenied) { // insufficient_privilege
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

// Unavailable reports whether the error says that the database could not be reached or went away, so that the same
// call may work in a moment. Of a commit that ended so it is unknown whether it happened.
func Unavailable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// 08 connection exception, 57P01-03 shutdown, crash, starting up, 53300 too many connections.
		return pg.Code[:2] == "08" || pg.Code == "57P01" || pg.Code == "57P02" || pg.Code == "57P03" || pg.Code == "53300"
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || (errors.As(err, &network) && !network.Timeout()) || pgconn.SafeToRetry(err)
}
