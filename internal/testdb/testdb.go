// Package testdb gives each test a migrated database of its own on a real Postgres, and leaves nothing behind.
package testdb

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tartan-ai/tartan/internal/access"
)

// DB is a fresh, migrated database. URL is a superuser's.
type DB struct {
	URL  string
	Pool *pgxpool.Pool
}

// New returns a fresh database, dropped when the test ends. The server is started once per test binary; with
// TARTAN_TEST_DATABASE_URL set, that server is used. A test that cannot have its database fails.
func New(t testing.TB) *DB { t.Fatal("unfinished"); return nil }

// Workspace makes a workspace with a fresh admin user.
func (d *DB) Workspace(t testing.TB, slug string) access.Caller {
	t.Fatal("unfinished")
	return access.Caller{}
}
