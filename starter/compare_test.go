package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// compareSlots mines two hours, of which the second has longer times and a new status.
func compareSlots(t *testing.T, s shell) {
	t.Helper()
	from := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	for i := range 600 {
		status, took := []int{200, 200, 404}[i%3], 20+i*7%40
		if i >= 300 {
			took *= 2
			if i%30 == 0 {
				status = 503
			}
		}
		fmt.Fprintf(&log, "%s request served: status=%d took %dms\n", from.Add(time.Duration(i)*12*time.Second).Format(time.RFC3339), status, took)
	}
	file := filepath.Join(t.TempDir(), "served.log")
	require.NoError(t, os.WriteFile(file, log.Bytes(), 0o644))
	s.ok(nil, "", "patterns", "mine", file, "--library", "served")

	ask := []string{"patterns", "compare", "--library", "served", "--from", "2026-11-20T09:00:00Z", "--to", "2026-11-20T10:00:00Z"}
	var found struct{ Changes []changeView }
	s.ok(&found, "", ask...)
	require.Len(t, found.Changes, 2)
	drift, fresh := found.Changes[0], found.Changes[1]
	require.Equal(t, "drift", drift.Kind)
	require.Equal(t, "duration", drift.Slot.Name)
	require.Equal(t, "ms", drift.Slot.Unit)
	require.InDelta(t, 2, drift.Slot.After.P50/drift.Slot.Before.P50, .3)
	require.Equal(t, "values", fresh.Kind)
	require.Equal(t, []newValue{{"503", 10}}, fresh.Slot.New)
	require.Contains(t, s.ok(nil, "", ask...), "status: 2 -> 3 different, new: 503 x10")

	for _, none := range []string{"shapes", "texts"} { // their patterns have no slots
		s.ok(&found, "", "patterns", "compare", "--library", none)
		for _, c := range found.Changes {
			require.Nil(t, c.Slot)
		}
	}
	s.ok(nil, "", "patterns", "ignore", string(drift.ID), "--library", "served")
	s.ok(&found, "", ask...)
	require.Empty(t, found.Changes)
	s.ok(&found, "", append(ask, "--ignored")...)
	require.Len(t, found.Changes, 2)
}
