package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/migrations"
)

const versionTable = "tartan.schema_versions"

// Migrate brings the schema at url up to the newest version and returns the names of the files it applied, in order.
// On a database that is not Supabase's it first adds the roles and functions that Supabase has. The url must be of a
// role that bypasses row level security (a superuser, or Supabase's postgres), on a direct or session connection.
// Applied files whose content has changed since are logged by name. Several processes may call it at once.
func Migrate(ctx context.Context, url string, log *zap.Logger) (applied []string, err error) {
	return MigrateFiles(ctx, url, migrations.Files, log)
}

// MigrateFiles is Migrate with other files, so that a test can stop half way or carry a changed file.
func MigrateFiles(ctx context.Context, url string, files fs.FS, log *zap.Logger) (applied []string, err error) {
	m, err := openMigrator(ctx, url, files)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	defer m.close()
	if err := m.prepare(ctx); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	results, err := m.provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	for _, r := range results {
		applied = append(applied, path.Base(r.Source.Path))
		log.Info("migration applied", zap.String("migration", path.Base(r.Source.Path)), zap.Int64("duration_ms", r.Duration.Milliseconds()))
	}
	if sumErr := m.recordChecksums(ctx); sumErr != nil && err == nil {
		err = sumErr
	}
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	drift, err := m.drift(ctx)
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	for _, name := range drift {
		log.Warn("applied migration differs from the file in this binary", zap.String("migration", name))
	}
	return applied, nil
}

// MigrateDown takes the schema at url down to toVersion; 0 removes all of Tartan's tables with their content.
func MigrateDown(ctx context.Context, url string, toVersion int64) error {
	m, err := openMigrator(ctx, url, migrations.Files)
	if err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	defer m.close()
	if err := m.prepare(ctx); err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	if _, err := m.provider.DownTo(ctx, toVersion); err != nil {
		return fmt.Errorf("migrate down to %d: %w", toVersion, err)
	}
	if err := m.recordChecksums(ctx); err != nil {
		return fmt.Errorf("migrate down to %d: %w", toVersion, err)
	}
	return nil
}

// Schema returns the version the database has, 0 where Tartan has none, the one this binary wants, and the names of
// applied files whose content is not what this binary carries, or which it does not know at all. It changes nothing
// and any role that can log in may call it.
func Schema(ctx context.Context, url string) (have, want int64, drift []string, err error) {
	return SchemaFiles(ctx, url, migrations.Files)
}

// SchemaFiles is Schema with other files.
func SchemaFiles(ctx context.Context, url string, files fs.FS) (have, want int64, drift []string, err error) {
	m, err := openMigrator(ctx, url, files)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("read the schema version: %w", err)
	}
	defer m.close()
	if n := len(m.files); n > 0 {
		want = m.files[n-1].version
	}
	if have, err = m.have(ctx); err != nil {
		return 0, 0, nil, fmt.Errorf("read the schema version: %w", err)
	}
	if have == 0 {
		return 0, want, nil, nil
	}
	if drift, err = m.drift(ctx); err != nil {
		return 0, 0, nil, fmt.Errorf("read the schema version: %w", err)
	}
	return have, want, drift, nil
}

type migrationFile struct {
	version int64
	name    string
	sha256  string
}

type migrator struct {
	db       *sql.DB
	provider *goose.Provider
	files    []migrationFile // by version
}

func openMigrator(ctx context.Context, url string, files fs.FS) (*migrator, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database url: %w", err)
	}
	cfg.RuntimeParams["application_name"] = "tartan migrate"
	m := &migrator{db: stdlib.OpenDB(*cfg)}
	if m.files, err = readMigrations(files); err != nil {
		m.close()
		return nil, err
	}
	if err := m.db.PingContext(ctx); err != nil {
		m.close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	// Another process may be migrating; a minute is far more than all files together take on tables of today's size.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err == nil {
		m.provider, err = goose.NewProvider(goose.DialectPostgres, m.db, files,
			goose.WithTableName(versionTable), goose.WithSessionLocker(locker), goose.WithLogger(goose.NopLogger()))
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *migrator) close() { _ = m.db.Close() }

func readMigrations(files fs.FS) ([]migrationFile, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var out []migrationFile
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		out = append(out, migrationFile{version, name, hex.EncodeToString(sum[:])})
	}
	return out, nil
}

// prepare makes what the first migration needs: Supabase's parts where they are absent, and the schema for goose's
// own table.
func (m *migrator) prepare(ctx context.Context) error {
	var bypass bool
	err := m.db.QueryRowContext(ctx, "select rolsuper or rolbypassrls from pg_roles where rolname = current_user").Scan(&bypass)
	if err != nil {
		return err
	}
	if !bypass {
		return errors.New("the role of the database url must be a superuser or have bypassrls: functions that look up membership run as it")
	}
	// Two databases of one cluster may make the same role at once; Postgres then refuses one of them outright.
	for try := 1; ; try++ {
		_, err = m.db.ExecContext(ctx, migrations.Compat)
		var pg *pgconn.PgError
		concurrent := errors.As(err, &pg) && (pg.Code == "XX000" || pg.Code == "23505" || strings.HasPrefix(pg.Code, "427") || pg.Code == "42P06")
		if err == nil {
			break
		}
		if !concurrent || try == 10 {
			return fmt.Errorf("add what Supabase has: %w", err)
		}
		time.Sleep(time.Duration(try) * 20 * time.Millisecond)
	}
	_, err = m.db.ExecContext(ctx, "create schema if not exists tartan")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" { // two processes at once; the other one made it
		err = nil
	}
	return err
}

func (m *migrator) exists(ctx context.Context, table string) (bool, error) {
	var found bool
	err := m.db.QueryRowContext(ctx, "select to_regclass($1) is not null", table).Scan(&found)
	return found, err
}

func (m *migrator) have(ctx context.Context) (int64, error) {
	if found, err := m.exists(ctx, versionTable); err != nil || !found {
		return 0, err
	}
	var have int64
	err := m.db.QueryRowContext(ctx, "select coalesce(max(version_id), 0) from "+versionTable).Scan(&have)
	return have, err
}

// recordChecksums makes the table of checksums say what is applied. A file applied by a process that died before it
// came here is recorded by the next one.
func (m *migrator) recordChecksums(ctx context.Context) error {
	if found, err := m.exists(ctx, "tartan.schema_checksums"); err != nil || !found {
		return err
	}
	have, err := m.have(ctx)
	if err != nil {
		return err
	}
	if _, err := m.db.ExecContext(ctx, "delete from tartan.schema_checksums where version > $1", have); err != nil {
		return err
	}
	for _, f := range m.files {
		if f.version > have {
			break
		}
		_, err := m.db.ExecContext(ctx,
			"insert into tartan.schema_checksums (version, name, sha256) values ($1, $2, $3) on conflict (version) do nothing",
			f.version, f.name, f.sha256)
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *migrator) drift(ctx context.Context) ([]string, error) {
	if found, err := m.exists(ctx, "tartan.schema_checksums"); err != nil || !found {
		return nil, err
	}
	want := map[int64]migrationFile{}
	for _, f := range m.files {
		want[f.version] = f
	}
	rows, err := m.db.QueryContext(ctx, "select version, name, sha256 from tartan.schema_checksums order by version")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	drift := map[int64]string{}
	for rows.Next() {
		var f migrationFile
		if err := rows.Scan(&f.version, &f.name, &f.sha256); err != nil {
			return nil, err
		}
		if want[f.version].sha256 != f.sha256 {
			drift[f.version] = f.name
		}
	}
	var names []string
	for _, v := range slices.Sorted(maps.Keys(drift)) {
		names = append(names, drift[v])
	}
	return names, rows.Err()
}
