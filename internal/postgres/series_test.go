package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func someModel() postgres.SeriesModel {
	return postgres.SeriesModel{
		SHA256: strings.Repeat("1", 64), SourceName: "a\x00b.tsv", SourceKey: "objects/11/11", ModelKey: "objects/22/22", ModelBytes: 100, FeaturesVersion: 1,
		Method: "features", Length: 50, Classes: 2, Examples: 7, TrainedOn: 6, Accuracy: .9, LogLoss: .2, WorkflowID: "train/test",
	}
}

func TestSeriesModelsAreVersionsAndStoredOnce(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	classes := []postgres.SeriesClass{{"down", pattern.Fingerprint("down"), 3}, {"up", pattern.Fingerprint("up"), 4}}
	save := func(caller access.Caller, m postgres.SeriesModel) (saved postgres.SeriesModel, fresh bool, err error) {
		err = postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
			lib, err := postgres.EnsureLibrary(ctx, tx, caller.WorkspaceID, "shapes", "series")
			if err != nil {
				return err
			}
			if lib, err = postgres.LockLibrary(ctx, tx, lib.ID); err != nil {
				return err
			}
			saved, fresh, err = postgres.SaveSeriesModel(ctx, tx, lib, m, classes)
			return err
		})
		return saved, fresh, err
	}
	first, fresh, err := save(caller, someModel())
	require.NoError(t, err)
	require.True(t, fresh)
	require.Equal(t, 1, first.Version)
	require.Equal(t, someModel().SourceName, first.SourceName)
	again, fresh, err := save(caller, someModel())
	require.NoError(t, err)
	require.False(t, fresh)
	require.Equal(t, first, again)
	other := someModel()
	other.SHA256 = strings.Repeat("2", 64)
	second, fresh, err := save(caller, other)
	require.NoError(t, err)
	require.True(t, fresh)
	require.Equal(t, 2, second.Version)

	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		latest, err := postgres.SeriesModelInUse(ctx, tx, first.LibraryID)
		require.NoError(t, err)
		require.Equal(t, second, latest)
		got, err := postgres.SeriesClasses(ctx, tx, first.LibraryID, 1)
		require.NoError(t, err)
		require.Equal(t, classes, got)
		has, err := postgres.HasObject(ctx, tx, first.SourceKey)
		require.NoError(t, err)
		require.True(t, has)
		var events int
		require.NoError(t, tx.QueryRow(ctx, `select count(*) from tartan.outbox where topic = 'library' and payload ? 'model'`).Scan(&events))
		require.Equal(t, 2, events, "none for what was there already")
		_, err = postgres.SeriesModelInUse(ctx, tx, caller.WorkspaceID)
		require.ErrorIs(t, err, postgres.ErrNotFound)
		return nil
	}))
	_, _, err = save(db.Member(t, caller.WorkspaceID, access.Viewer), other)
	require.ErrorIs(t, err, postgres.ErrDenied)
}
