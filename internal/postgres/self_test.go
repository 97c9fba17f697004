package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/internal/postgres/upgrade"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/migrations"
)

// release is a database as an earlier release left it, with data in every table.
type release struct {
	t      *testing.T
	conn   *pgx.Conn
	target *target.Target
	upgrade.Schema
}

func earlier(t *testing.T, version int) *release {
	t.Helper()
	ctx, db := t.Context(), testdb.Empty(t)
	_, err := postgres.MigrateFiles(ctx, db.URL, upTo(t, version), zap.NewNop())
	require.NoError(t, err)
	conn, err := pgx.Connect(ctx, db.URL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	for v := 1; v <= version; v++ {
		for _, sql := range rows[v] {
			_, err := conn.Exec(ctx, sql)
			require.NoError(t, err, sql)
		}
	}
	for table, n := range content(t, conn) {
		require.NotZero(t, n, "no row in %s", table)
	}
	self, err := target.Open(ctx, db.URL)
	require.NoError(t, err)
	return &release{t, conn, self, upgrade.Schema{URL: db.URL, Files: migrations.Files, Log: zap.NewNop(), Tell: func(string) {}}}
}

// state is the catalogue, and every row of every table as text.
func (r *release) state() (migration.Catalogue, map[string][]string) {
	r.t.Helper()
	ctx := r.t.Context()
	c, err := r.target.Catalogue(ctx)
	require.NoError(r.t, err)
	data := map[string][]string{}
	for table := range content(r.t, r.conn) {
		rows, err := r.conn.Query(ctx, "select t::text from tartan."+table+" t order by 1")
		require.NoError(r.t, err)
		data[table], err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(r.t, err)
	}
	return c, data
}

func (r *release) version(want int) {
	r.t.Helper()
	have, _, drift, err := postgres.Schema(r.t.Context(), r.URL)
	require.NoError(r.t, err)
	require.EqualValues(r.t, want, have)
	require.Empty(r.t, drift)
}

// back undoes the upgrades down to a version.
func (r *release) back(to int64) upgrade.Result {
	r.t.Helper()
	ways, err := r.Ways(r.t.Context(), to)
	require.NoError(r.t, err)
	out, err := r.Back(r.t.Context(), ways)
	require.NoError(r.t, err)
	require.Empty(r.t, out.Differences)
	return out
}

// An earlier release's schema with data in it is upgraded by the engine, goes back to the byte, and is upgraded again.
func TestTheSchemaIsUpgradedAndRolledBackByTheEngine(t *testing.T) {
	t.Parallel()
	_, versions := numbered(t)
	newest := versions[len(versions)-1]
	for name, version := range map[string]int{"the release before": versions[len(versions)-2], "one whose table is dropped": 17, "an old release": 9, "one whose rows are rewritten": 6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := earlier(t, version)
			catalogue, data := r.state()
			steps := len(versions) - 1 - slices.Index(versions, version) // numbers may have gaps
			for range 2 {
				out, err := r.Up(t.Context(), 0)
				require.NoError(t, err)
				require.Len(t, out.Applied, steps)
				require.EqualValues(t, version, out.From)
				require.EqualValues(t, newest, out.To)
				r.version(newest)
				applied, err := postgres.Migrate(t.Context(), r.URL, zap.NewNop())
				require.NoError(t, err)
				require.Empty(t, applied, "goose sees nothing left to do")
				out, err = r.Up(t.Context(), 0)
				require.NoError(t, err)
				require.Empty(t, out.Applied)

				require.Len(t, r.back(-1).Undone, steps)
				r.version(version)
				now, nowData := r.state()
				require.Empty(t, migration.Diff(catalogue.Structure(), now.Structure()))
				require.Equal(t, data, nowData)
			}
			_, err := r.Ways(t.Context(), -1)
			require.ErrorIs(t, err, upgrade.ErrNoWay)
		})
	}
}

// Several upgrades lead back one by one, or to a version named.
func TestUpgradesLeadBackInOrder(t *testing.T) {
	t.Parallel()
	_, versions := numbered(t)
	newest := versions[len(versions)-1]
	r := earlier(t, 15)
	catalogue, data := r.state()
	for _, to := range []int64{16, 18, 0} {
		_, err := r.Up(t.Context(), to)
		require.NoError(t, err)
	}
	r.version(newest)
	_, err := r.Ways(t.Context(), 17)
	require.ErrorIs(t, err, upgrade.ErrNoWay)
	require.ErrorContains(t, err, "lead back to [18 16 15]")
	r.back(-1)
	r.version(18)
	r.back(15)
	r.version(15)
	now, nowData := r.state()
	require.Empty(t, migration.Diff(catalogue.Structure(), now.Structure()))
	require.Equal(t, data, nowData)
	_, err = r.Up(t.Context(), 21)
	require.ErrorIs(t, err, upgrade.ErrVersion)
	older := r.Schema
	older.Files = upTo(t, 12)
	_, err = older.Up(t.Context(), 0)
	require.ErrorContains(t, err, "the schema has version 15, and this tartan knows up to 12")
}

// An upgrade that is interrupted goes on where it was, or goes back from there.
func TestAnInterruptedUpgradeGoesOnOrBack(t *testing.T) {
	t.Parallel()
	_, versions := numbered(t)
	newest := versions[len(versions)-1]
	for _, goesOn := range []bool{true, false} {
		t.Run(fmt.Sprint(goesOn), func(t *testing.T) {
			t.Parallel()
			r := earlier(t, 16)
			catalogue, data := r.state()
			ctx, cancel := context.WithCancel(t.Context())
			s := r.Schema
			s.Tell = func(what string) {
				if strings.HasPrefix(what, "applies 00018") {
					cancel()
				}
			}
			out, err := s.Up(ctx, 0)
			require.ErrorIs(t, err, upgrade.ErrInterrupted)
			require.Equal(t, []string{"00017_knowledge_access.sql"}, out.Applied)
			r.version(17)
			if goesOn {
				_, err := r.Up(t.Context(), 0)
				require.NoError(t, err)
				r.version(newest)
			}
			r.back(16)
			r.version(16)
			now, nowData := r.state()
			require.Empty(t, migration.Diff(catalogue.Structure(), now.Structure()))
			require.Equal(t, data, nowData)
		})
	}
}

// A release whose last step is refused leaves the schema as it was.
func TestARefusedUpgradeIsUndone(t *testing.T) {
	t.Parallel()
	_, versions := numbered(t)
	r := earlier(t, 17)
	catalogue, data := r.state()
	files := upTo(t, versions[len(versions)-1])
	files["99999_refused.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nalter table tartan.workspaces add constraint nobody check (slug = 'nobody');\n-- +goose Down\nalter table tartan.workspaces drop constraint nobody;\n")}
	s := r.Schema
	s.Files = files
	out, err := s.Up(t.Context(), 0)
	require.ErrorIs(t, err, upgrade.ErrUndone)
	require.ErrorContains(t, err, `step "99999_refused.sql" (99999_refused.sql:2)`)
	require.Empty(t, out.Differences)
	require.EqualValues(t, 17, out.To)
	r.version(17)
	now, nowData := r.state()
	require.Empty(t, migration.Diff(catalogue.Structure(), now.Structure()))
	require.Equal(t, data, nowData)
	_, err = r.Up(t.Context(), 0)
	require.NoError(t, err, "the release without that file")
	_, err = postgres.SelfPlan(migrations.Files, 9, 9)
	require.ErrorContains(t, err, "version 9 is not before 9")
	changed := upTo(t, versions[len(versions)-1])
	changed["00020_target_migrations.sql"].Data = append(changed["00020_target_migrations.sql"].Data, "\n-- edited\n"...)
	s.Files = changed
	ways, err := s.Ways(t.Context(), -1)
	require.NoError(t, err)
	_, err = s.Back(t.Context(), ways)
	require.ErrorIs(t, err, target.ErrChanged)
}

// What an upgrade rewrites comes back from the archive, also where the file's own way down does not bring it back.
func TestWhatAnUpgradeRewritesComesBack(t *testing.T) {
	t.Parallel()
	_, versions := numbered(t)
	newest := versions[len(versions)-1]
	r := earlier(t, newest)
	catalogue, data := r.state()
	files := upTo(t, newest)
	files["99999_rewrite.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nupdate tartan.libraries set name = name || '-old';\n-- +goose Down\nselect 1;\n")}
	r.Files = files
	_, err := r.Up(t.Context(), 0)
	require.NoError(t, err)
	_, upgraded := r.state()
	require.NotEqual(t, data["libraries"], upgraded["libraries"])
	r.back(-1)
	now, nowData := r.state()
	require.Empty(t, migration.Diff(catalogue.Structure(), now.Structure()))
	require.Equal(t, data, nowData)
}
