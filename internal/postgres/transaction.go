package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tartan-ai/tartan/internal/access"
)

// InWorkspace runs fn in a transaction as the caller: role authenticated, with claims that name the user and the one
// workspace, all of them local to the transaction. It commits when fn returns nil and rolls back otherwise. A
// statement that row level security refuses comes back as ErrDenied.
func InWorkspace(ctx context.Context, pool *pgxpool.Pool, caller access.Caller, fn func(pgx.Tx) error) error {
	return errUnfinished
}

// AsService runs fn in a transaction as service_role, which sees every workspace. It is for the change feed and for
// setting up the local stack, never for a request.
func AsService(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) error {
	return errUnfinished
}

// EnsureAppRole makes the login role tartan_app with the password, which may become authenticated and service_role
// and has no rights of its own, and returns adminURL rewritten for it.
func EnsureAppRole(ctx context.Context, adminURL, password string) (appURL string, err error) {
	return "", errUnfinished
}

var _ = uuid.Nil
