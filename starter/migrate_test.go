package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/upgrade"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/mcp/tools"
	"github.com/tartan-ai/tartan/migrations"
)

// commandOn runs a command with a database and no stack.
func commandOn(t *testing.T, url string, args ...string) (code int, out, said string) {
	t.Helper()
	set := map[string]string{"TARTAN_DATABASE_URL": url, "TARTAN_DATA_DIR": t.TempDir(), "TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TARTAN_TARGETS": "shop=env:SHOP_URL", "SHOP_URL": url}
	env := environment{
		lookup:  func(k string) (string, bool) { v, ok := set[k]; return v, ok },
		environ: func() []string { return nil },
	}
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), args, streams{in: strings.NewReader(""), out: &stdout, err: &stderr}, env)
	return code, stdout.String(), stderr.String()
}

// TestMigrateSelf makes a schema, upgrades that of an earlier release, and goes back.
func TestMigrateSelf(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Postgres")
	}
	db := testdb.Empty(t)
	code, _, said := commandOn(t, db.URL, "migrate", "self", "--rollback")
	require.Equal(t, codeNotFound, code, said)
	require.Contains(t, said, "the database has no schema of Tartan")
	code, out, said := commandOn(t, db.URL, "migrate", "self")
	require.Zero(t, code, said)
	require.Contains(t, out, "applied 00001_workspaces.sql\n")
	code, _, said = commandOn(t, db.URL, "migrate", "self")
	require.Zero(t, code, said)
	require.Contains(t, said, "nothing to do")
	code, _, said = commandOn(t, db.URL, "migrate", "self", "--rollback", "--yes")
	require.Equal(t, codeNotFound, code, said)
	require.Contains(t, said, "no archive to go back with")

	db, old := testdb.Empty(t), fstest.MapFS{}
	names, err := fs.Glob(migrations.Files, "*.sql")
	require.NoError(t, err)
	for _, name := range names[:18] {
		body, err := migrations.Files.ReadFile(name)
		require.NoError(t, err)
		old[name] = &fstest.MapFile{Data: body}
	}
	_, err = postgres.MigrateFiles(t.Context(), db.URL, old, zap.NewNop())
	require.NoError(t, err)
	code, out, said = commandOn(t, db.URL, "migrate", "self", "--output", "json")
	require.Zero(t, code, said)
	var r upgrade.Result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.EqualValues(t, 18, r.From)
	require.Equal(t, names[18:], r.Applied)
	require.NotNil(t, r.ArchiveUntil)
	code, out, said = commandOn(t, db.URL, "migrate", "self", "--rollback")
	require.Equal(t, codeUsage, code)
	require.Empty(t, out)
	require.Contains(t, said, "--rollback --to 18 --yes")
	code, _, said = commandOn(t, db.URL, "migrate", "self", "--rollback", "--to", "17", "--yes")
	require.Equal(t, codeNotFound, code)
	require.Contains(t, said, "lead back to [18]")
	code, out, said = commandOn(t, db.URL, "migrate", "self", "--rollback", "--to", "18", "--yes")
	require.Zero(t, code, said)
	require.Contains(t, out, "undone  "+names[18])
	require.NotContains(t, out, "differs")
	have, _, _, err := postgres.Schema(t.Context(), db.URL)
	require.NoError(t, err)
	require.EqualValues(t, 18, have)
}

// TestMigrateLintEstimatesByTheTarget asks a database for the sizes of its tables.
func TestMigrateLintEstimatesByTheTarget(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Postgres")
	}
	db := testdb.Empty(t)
	_, err := db.Pool.Exec(t.Context(), `create schema shop; create table shop.orders (id bigint primary key, note text);
insert into shop.orders select i, repeat('x', 200) from generate_series(1, 60000) i; analyze shop.orders`)
	require.NoError(t, err)
	plan := filepath.Join(t.TempDir(), "plan.sql")
	require.NoError(t, os.WriteFile(plan, []byte(`-- tartan:plan p
-- tartan:step fill [backfill]
update shop.orders set note = 'x' where :batch;
-- tartan:step find [index]
create index concurrently orders_note on shop.orders (note);
`), 0o600))
	code, out, said := commandOn(t, db.URL, "migrate", "lint", plan, "--output", "json")
	require.Zero(t, code, said)
	require.NotContains(t, out, `"duration"`)
	code, out, said = commandOn(t, db.URL, "migrate", "lint", plan, "--target", "shop", "--output", "json")
	require.Zero(t, code, said)
	var got tools.Linted
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Len(t, got.Report.Statements, 2)
	for _, w := range got.Report.Statements {
		require.InEpsilon(t, 60000, w.Rows, 0.05)
	}
	require.InEpsilon(t, 3*time.Second, got.Report.Statements[0].Duration, 0.05, "20,000 rows/s")
	require.Greater(t, got.Report.Statements[1].Duration, 2*60000*time.Second/300e3)
	code, _, said = commandOn(t, db.URL, "migrate", "lint", plan, "--target", "nowhere")
	require.NotZero(t, code)
	require.Contains(t, said, `no target "nowhere"`)
	code, out, said = commandOn(t, db.URL, "migrate", "plan", plan, "--target", "shop")
	require.Zero(t, code, said)
	require.Contains(t, out, "estimated from the sizes of the tables: 3s")
}
