// Package postgres holds every SQL statement of Tartan, one file a table family. Functions take a Querier, which a pool,
// a connection and a transaction share; what a request does goes through InWorkspace, so that the database itself
// refuses what the caller may not do. It knows no workflow, no transport and no environment.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Errors a caller can decide by.
var (
	// ErrNotFound says that there is no such row, or none that the caller may see.
	ErrNotFound = errors.New("not found")
	// ErrDenied says that the caller's role does not allow the operation.
	ErrDenied = errors.New("denied")
	// ErrBadCursor says that a page cursor was not made by this list with this order.
	ErrBadCursor = errors.New("bad cursor")
)

// Querier is what a pool, a connection and a transaction have in common.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// Open returns a pool for the database at url, and does not connect yet. Pool sizes come from the url (pool_max_conns
// and so on); without them the pool holds at most 12 connections, enough for a worker whose writers of one library
// queue behind one row lock.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database url: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = 12
	}
	// A pooler in front of the database refuses start-up parameters it does not know; these two it knows. Timeouts
	// are therefore set per transaction.
	cfg.ConnConfig.RuntimeParams["application_name"] = "tartan"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database pool: %w", err)
	}
	return pool, nil
}
