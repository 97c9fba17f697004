package telemetry

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestTimesAreISO8601InUTC(t *testing.T) {
	var b bytes.Buffer
	l, err := New(&b, Options{Level: "info"})
	require.NoError(t, err)
	l.Named("worker").Info("pattern published", zap.String(KeyPatternID, "p1"))
	l.Debug("not written")

	var got map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &got))
	at, err := time.Parse("2006-01-02T15:04:05.000Z", got["time"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	require.Equal(t, "pattern published", got["message"])
	require.Equal(t, "p1", got[KeyPatternID])
	require.Equal(t, "worker", got["logger"])
}

func TestUnknownLevelIsRefused(t *testing.T) {
	_, err := New(&bytes.Buffer{}, Options{Level: "loud"})
	require.ErrorContains(t, err, `"loud"`)
}

func TestTemporalBridgeKeepsFields(t *testing.T) {
	var b bytes.Buffer
	l, err := New(&b, Options{Level: "info"})
	require.NoError(t, err)
	Temporal(l).Info("workflow started", "workflow_id", "process/1")
	require.Contains(t, b.String(), `"workflow_id":"process/1"`)
}
