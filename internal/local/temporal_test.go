package local

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartTemporal(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		begun := time.Now()
		srv, err := StartTemporal(t.Context(), TemporalOptions{DataDir: dir, Progress: func(s string) { t.Log(s) }})
		require.NoError(t, err)
		t.Log("started", time.Since(begun), srv.Ready, srv.Address, srv.UIURL, srv.Bin, srv.File)
		begun = time.Now()
		require.NoError(t, srv.Stop(t.Context()))
		t.Log("stopped", time.Since(begun))
	}
}
