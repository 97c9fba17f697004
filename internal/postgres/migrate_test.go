package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func TestMigrateTwiceAndDown(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)
	ctx := t.Context()
	have, _, _, err := postgres.Schema(ctx, db.URL)
	require.NoError(t, err)
	require.Zero(t, have)
	applied, err := postgres.Migrate(ctx, db.URL, zap.NewNop())
	require.NoError(t, err)
	_, versions := numbered(t)
	require.Len(t, applied, len(versions))
	applied, err = postgres.Migrate(ctx, db.URL, zap.NewNop())
	require.NoError(t, err)
	require.Empty(t, applied)
	have, want, drift, err := postgres.Schema(ctx, db.URL)
	require.NoError(t, err)
	require.Equal(t, want, have)
	require.Empty(t, drift)
}

func TestRolesOfAMember(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	err := postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		role, err := postgres.RoleOf(t.Context(), tx, caller)
		require.Equal(t, access.Admin, role)
		return err
	})
	require.NoError(t, err)
	ws, err := postgres.Workspaces(t.Context(), db.Pool, caller.UserID)
	require.NoError(t, err)
	require.Len(t, ws, 1)
	require.Equal(t, access.Admin, ws[0].Role)
}
