package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func TestTextClusters(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	lib := fill(t, db, caller) // has one of the embedder "test", of the pattern next
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		merged := cluster.Cluster{ID: tight.ID, Pattern: next.ID, Text: tight.Template, Centre: []float32{0.6, 0.8}, Texts: 7, Threshold: 0.25, Examples: []string{"a", "b\x00\xff"}}
		require.NoError(t, postgres.SaveTextClusters(ctx, tx, lib, 9, "test", []cluster.Cluster{merged}))
		got, err := postgres.TextClusters(ctx, tx, lib.ID, "test")
		require.NoError(t, err)
		require.ElementsMatch(t, []cluster.Cluster{
			{ID: next.ID, Pattern: next.ID, Text: next.Template, Centre: []float32{1, 0}, Texts: 1, Threshold: 0.5, Examples: []string{"x"}},
			merged, // its pattern was merged into next: texts near it count as that
		}, got)

		merged.Texts, merged.Centre = 8, []float32{0, 1}
		require.NoError(t, postgres.SaveTextClusters(ctx, tx, lib, 10, "test", []cluster.Cluster{merged}))
		require.NoError(t, postgres.SaveTextClusters(ctx, tx, lib, 10, "other", []cluster.Cluster{{ID: next.ID, Centre: []float32{1}, Texts: 3, Threshold: 0.75, Examples: []string{"y"}}}))
		got, err = postgres.TextClusters(ctx, tx, lib.ID, "other")
		require.NoError(t, err)
		require.Len(t, got, 2)
		for _, c := range got {
			if c.ID == next.ID {
				require.Equal(t, []float32{1}, c.Centre)
				continue
			}
			require.Nil(t, c.Centre, "the other embedder has none of this one")
			require.EqualValues(t, 8, c.Texts)
			require.Equal(t, float32(0.25), c.Threshold)
		}
		return nil
	}))
}
