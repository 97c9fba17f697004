package workers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/workflows"
)

// TestRecordSeriesHistories runs the branches of TrainSeries on a real server and keeps the histories for the replay test.
func TestRecordSeriesHistories(t *testing.T) {
	if !*record {
		t.Skip("histories are recorded with -record only: those that are there must go on replaying")
	}
	s := newStack(t)
	s.worker()
	s.save("train_inline", s.train("[1,2,3,4]", activities.StateCompleted))
	s.save("train_refused", s.train("[]", activities.StateFailed))
}

// train trains a library on two examples of two classes with these values, and waits until it ends in the state.
func (s *stack) train(values, state string) string {
	s.t.Helper()
	in := workflows.TrainSeriesInput{Caller: s.caller, Library: "shapes", Source: workflows.SourceRef{
		Name: "paste", Inline: fmt.Appendf(nil, "{\"class\":\"up\",\"values\":%s}\n{\"class\":\"down\",\"values\":[4,3,2,1]}\n", values),
	}}
	id, _, existed, err := workflows.StartTraining(context.Background(), s.client, in)
	require.NoError(s.t, err)
	require.False(s.t, existed)
	status, err := workflows.Wait(context.Background(), s.client, id, 100*time.Millisecond, nil)
	require.NoError(s.t, err)
	require.Equal(s.t, state, status.State, "%+v", status)
	if state == activities.StateCompleted {
		require.Equal(s.t, 2, status.Trained.Classes)
		require.Nil(s.t, status.Result)
		again, _, existed, err := workflows.StartTraining(context.Background(), s.client, in)
		require.NoError(s.t, err)
		require.True(s.t, existed)
		require.Equal(s.t, id, again)
	}
	return id
}
