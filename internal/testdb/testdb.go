// Package testdb gives each test a migrated database of its own on a real Postgres, and leaves nothing behind: no
// process, no file, no database. It is for tests and for the generator of the schema document.
package testdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/migrations"
)

// EnvURL names the variable with the url of a superuser on a server to use instead of one started here.
const EnvURL = "TARTAN_TEST_DATABASE_URL"

// DB is a fresh, migrated database. URL is a superuser's.
type DB struct {
	URL  string
	Pool *pgxpool.Pool
}

// New returns a fresh database, dropped when the test ends. The server is started once per test binary; with
// TARTAN_TEST_DATABASE_URL set, that server is used. A test that cannot have its database fails.
func New(t testing.TB) *DB {
	t.Helper()
	s, err := sharedServer()
	require.NoError(t, err, "no Postgres for the tests")
	return s.clone(t, s.template)
}

// Empty returns a database without any schema, dropped when the test ends.
func Empty(t testing.TB) *DB {
	t.Helper()
	s, err := sharedServer()
	require.NoError(t, err, "no Postgres for the tests")
	return s.clone(t, "template0")
}

// Workspace makes a workspace with a fresh admin user.
func (d *DB) Workspace(t testing.TB, slug string) access.Caller {
	t.Helper()
	user := uuid.New()
	id, err := postgres.CreateWorkspace(t.Context(), d.Pool, slug, slug, user)
	require.NoError(t, err)
	return access.Caller{UserID: user, WorkspaceID: id}
}

// Member makes a fresh user a member of the workspace.
func (d *DB) Member(t testing.TB, workspaceID uuid.UUID, role access.Role) access.Caller {
	t.Helper()
	user := uuid.New()
	err := postgres.AsService(t.Context(), d.Pool, func(tx pgx.Tx) error {
		return postgres.SaveMember(t.Context(), tx, workspaceID, user, role)
	})
	require.NoError(t, err)
	return access.Caller{UserID: user, WorkspaceID: workspaceID}
}

// Start is New outside of a test: it returns the url of a migrated database and what removes it.
func Start(ctx context.Context) (databaseURL string, stop func(), err error) {
	s, err := startServer(ctx, false)
	if err != nil {
		return "", nil, err
	}
	if s.template, err = s.makeTemplate(ctx); err != nil {
		s.remove()
		return "", nil, err
	}
	return withDatabase(s.url, s.template), s.remove, nil
}

// server is a Postgres and, where it is shared, the migrated database that tests get clones of.
type server struct {
	url      string // superuser, database postgres
	template string
	remove   func()
}

var sharedServer = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	s := &server{url: os.Getenv(EnvURL)}
	if s.url == "" {
		var err error
		if s, err = startServer(ctx, false); err != nil {
			return nil, err
		}
	}
	var err error
	s.template, err = s.makeTemplate(ctx)
	return s, err
})

// makeTemplate makes the migrated database unless another test binary on the same server has. Its name says which
// migrations it has.
func (s *server) makeTemplate(ctx context.Context) (string, error) {
	digest := sha256.New()
	names, _ := fs.Glob(migrations.Files, "*.sql")
	for _, name := range names {
		body, _ := migrations.Files.ReadFile(name)
		digest.Write(body)
	}
	digest.Write([]byte(migrations.Compat))
	name := "tartan_template_" + hex.EncodeToString(digest.Sum(nil)[:6])
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return "", fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "select pg_advisory_lock(hashtext('tartan test template'))"); err != nil {
		return "", err
	}
	var done bool
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1 and datistemplate)", name).Scan(&done)
	if err != nil || done {
		return name, err
	}
	if _, err := conn.Exec(ctx, "drop database if exists "+name); err != nil {
		return "", err
	}
	if _, err := conn.Exec(ctx, "create database "+name+" template template0"); err != nil {
		return "", err
	}
	if _, err := postgres.Migrate(ctx, withDatabase(s.url, name), zap.NewNop()); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "alter database "+name+" is_template true")
	return name, err
}

// clone makes a database like the template and opens a pool on it.
func (s *server) clone(t testing.TB, template string) *DB {
	t.Helper()
	ctx := t.Context()
	name := "tartan_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	conn, err := pgx.Connect(ctx, s.url)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(ctx))
	create := "create database " + name + " template " + template + " strategy file_copy"
	_, err = conn.Exec(ctx, create)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42601" { // strategies came with Postgres 15
		_, err = conn.Exec(ctx, strings.TrimSuffix(create, " strategy file_copy"))
	}
	require.NoError(t, err)
	db := &DB{URL: withDatabase(s.url, name)}
	db.Pool, err = postgres.Open(ctx, db.URL)
	require.NoError(t, err)
	t.Cleanup(func() {
		db.Pool.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, s.url)
		if err != nil {
			return // the test killed the server; its folder is removed whole
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "drop database if exists "+name+" with (force)")
		if err != nil {
			t.Logf("drop the test's database: %v", err)
		}
	})
	return db
}

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic("testdb: " + EnvURL + " must be of the form postgres://user:password@host/name")
	}
	u.Path = "/" + name
	return u.String()
}
