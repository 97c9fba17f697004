package postgres_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/migrations"
)

// TestTheSchemaIsUpgradedAndRolledBackByTheEngine upgrades an earlier release's schema with data in it and goes back.
func TestTheSchemaIsUpgradedAndRolledBackByTheEngine(t *testing.T) {
	t.Parallel()
	_, versions := numbered(t)
	for name, version := range map[string]int{"the release before": versions[len(versions)-2], "an old release": 9} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, db := t.Context(), testdb.Empty(t)
			_, err := postgres.MigrateFiles(ctx, db.URL, upTo(t, version), zap.NewNop())
			require.NoError(t, err)
			conn, err := pgx.Connect(ctx, db.URL)
			require.NoError(t, err)
			defer conn.Close(context.Background())
			fill := func(from, to int) {
				for v := from; v <= to; v++ {
					for _, sql := range rows[v] {
						_, err := conn.Exec(ctx, sql)
						require.NoError(t, err, sql)
					}
				}
			}
			fill(1, version)
			self, err := target.Open(ctx, db.URL)
			require.NoError(t, err)
			catalogue, err := self.Catalogue(ctx)
			require.NoError(t, err)
			before := content(t, conn)
			plan, err := postgres.SelfPlan(ctx, db.URL, migrations.Files)
			require.NoError(t, err)
			require.Len(t, plan.Steps, len(versions)-1-slices.Index(versions, version), "numbers may have gaps")
			mig := uuid.New()
			require.NoError(t, self.Begin(ctx, mig, plan))
			for i := range plan.Steps {
				require.NoError(t, self.Apply(ctx, mig, plan, i, func(target.Progress) {}))
			}
			have, want, drift, err := postgres.Schema(ctx, db.URL)
			require.NoError(t, err)
			require.Equal(t, want, have)
			require.Empty(t, drift)
			applied, err := postgres.Migrate(ctx, db.URL, zap.NewNop())
			require.NoError(t, err)
			require.Empty(t, applied, "goose sees nothing left to do")
			nothing, err := postgres.SelfPlan(ctx, db.URL, migrations.Files)
			require.NoError(t, err)
			require.Empty(t, nothing.Steps)
			for i := len(plan.Steps) - 1; i >= 0; i-- {
				left, err := self.Undo(ctx, mig, plan, i, func(target.Progress) {})
				require.NoError(t, err, plan.Steps[i].Name)
				require.Empty(t, left, plan.Steps[i].Name)
			}
			now, err := self.Catalogue(ctx)
			require.NoError(t, err)
			require.Empty(t, migration.Diff(catalogue.Structure(), now.Structure()))
			require.Equal(t, before, content(t, conn))
			have, _, _, err = postgres.Schema(ctx, db.URL)
			require.NoError(t, err)
			require.EqualValues(t, version, have)
		})
	}
	_, err := postgres.SelfPlan(t.Context(), testdb.Empty(t).URL, migrations.Files)
	require.ErrorContains(t, err, "the database has no schema of Tartan: make it first")
}
