package local_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/local"
)

func TestStartPostgres(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		begun := time.Now()
		pg, err := local.StartPostgres(t.Context(), local.PostgresOptions{DataDir: dir, Fsync: true})
		require.NoError(t, err)
		t.Log("started", time.Since(begun), pg.URL)
		begun = time.Now()
		require.NoError(t, pg.Stop(t.Context()))
		t.Log("stopped", time.Since(begun))
	}
}
