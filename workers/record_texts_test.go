package workers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/workflows"
)

// TestRecordTextHistories does for ClusterTexts what TestRecordHistories does for ProcessPatterns.
func TestRecordTextHistories(t *testing.T) {
	if !*record {
		t.Skip("histories are recorded with -record only: those that are there must go on replaying")
	}
	s := newStack(t)
	s.suggestContinueAsNewAfter(60)
	s.worker()
	cluster := func(library, body, state string, chunk int64) string {
		in := workflows.ClusterTextsInput{
			Caller: s.caller, Library: library, Source: workflows.SourceRef{Name: "paste", Inline: []byte(body)}, ChunkBytes: chunk,
			Options: workflows.TextOptions{Threshold: 0.5},
		}
		id, _, _, err := workflows.StartCluster(context.Background(), s.client, in)
		require.NoError(t, err)
		status, err := workflows.Wait(context.Background(), s.client, id, 50*time.Millisecond, nil)
		require.NoError(t, err)
		require.Equal(t, state, status.State, "%+v", status)
		return id
	}
	s.save("cluster_texts", cluster("desk", "the printer has no paper\nprinter out of paper\nI forgot my password\n", activities.StateCompleted, 0))
	s.save("cluster_texts_wrong_library", func() string {
		s.mine(workflows.ProcessPatternsInput{Caller: s.caller, Library: "logs", Source: workflows.SourceRef{Name: "paste", Inline: []byte("one line 1\n")}})
		return cluster("logs", "a text\n", activities.StateFailed, 0)
	}())
	long := strings.Repeat("a text of several words\n", 20)
	s.save("cluster_texts_continued_last", cluster("long", long, activities.StateCompleted, 24))
}
