package workers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/workflows"
)

// TestRecordSequences runs the branches of AnalyzeSequences on a real server, as TestRecordHistories does for ProcessPatterns.
func TestRecordSequences(t *testing.T) {
	if !*record {
		t.Skip("histories are recorded with -record only: those that are there must go on replaying")
	}
	s := newStack(t)
	s.suggestContinueAsNewAfter(60)
	s.worker()
	var b strings.Builder
	for i := range 900 {
		for k, step := range []string{"request opened", "row read", "request closed"} {
			fmt.Fprintf(&b, "%s %s trace_id=%032x in %dms\n", time.Date(2026, 11, 1, 10, 0, 3*i+k, 0, time.UTC).Format(time.RFC3339), step, 7919*(i+1), i%50)
		}
	}
	s.mine(s.input("requests", s.put(strings.NewReader(b.String()))))
	analyse := func(name, state string, in workflows.AnalyzeSequencesInput) {
		in.Caller = s.caller
		id, runID, _, err := workflows.StartSequences(context.Background(), s.client, in)
		require.NoError(t, err)
		status, err := workflows.Wait(context.Background(), s.client, id, 100*time.Millisecond, nil)
		require.NoError(t, err)
		require.Equal(t, state, status.State, "%+v", status)
		s.saveRun(name+"_first", id, runID)
		if last := s.runID(id); last != runID {
			s.saveRun(name+"_last", id, last)
		}
	}
	analyse("sequences", activities.StateCompleted, workflows.AnalyzeSequencesInput{Library: "requests", ChunkBytes: 60_000})
	analyse("sequences_continued_as_new", activities.StateCompleted, workflows.AnalyzeSequencesInput{Library: "requests", ChunkBytes: 10_000, SessionKey: "trace_id"})
	analyse("sequences_missing_library", activities.StateFailed, workflows.AnalyzeSequencesInput{Library: "none"})
}
