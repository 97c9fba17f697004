package workers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/provider/faulty"
	"github.com/tartan-ai/tartan/workers"
	"github.com/tartan-ai/tartan/workflows"
)

// TestCompleteOnARealServer asks models through workflows of a real server: an answer, one after a failover, a filter, a budget
// that is used up. With -record it keeps the histories for the replay test.
func TestCompleteOnARealServer(t *testing.T) {
	s := newStack(t)
	fake := faulty.New()
	t.Cleanup(fake.Close)
	config, err := provider.ParseConfig(fmt.Sprintf(`
		[[provider]]
		name = "p"
		dialect = "openai"
		base_url = %q
		rpm = 600
		[[model]]
		provider = "p"
		name = "a"
		capabilities = ["chat"]
		max_output = 100
		input_usd_per_mtok = 1
		output_usd_per_mtok = 1
		[[model]]
		provider = "p"
		name = "b"
		capabilities = ["chat"]
		max_output = 100
		input_usd_per_mtok = 2
		output_usd_per_mtok = 2`, fake.URL))
	require.NoError(t, err)
	registry, err := provider.NewRegistry(config, nil)
	require.NoError(t, err)
	libraries := feed.NewLibraries(s.db.Pool, zap.NewNop())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- workers.Run(ctx, workers.Config{
			Client: s.client, Pool: s.db.Pool, Bucket: s.bucket, Libraries: libraries, Log: zap.NewNop(), Models: &completion.Engine{Pool: s.db.Pool, Registry: registry},
		})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	budget := func(limit int64) {
		require.NoError(t, postgres.InWorkspace(t.Context(), s.db.Pool, s.caller, func(tx pgx.Tx) error {
			return postgres.SetBudget(t.Context(), tx, s.caller.WorkspaceID, postgres.Budget{Scope: "workspace", Period: "total", Limit: 1_000_000})
		}))
		_, err := s.db.Pool.Exec(t.Context(), "update tartan.budgets set limit_micros = $1", limit)
		require.NoError(t, err)
	}
	ask := func(key string) (*workflows.CompleteResult, error) {
		id, _, _, err := workflows.StartComplete(t.Context(), s.client, workflows.CompleteInput{Call: completion.Call{
			Caller: s.caller, Key: key, Task: "test", Request: provider.Request{
				Model: completion.Auto, MaxTokens: 50, Messages: []provider.Message{{Role: "user", Content: provider.Content{Text: "What is wrong?"}}},
			},
		}})
		require.NoError(t, err)
		var got workflows.CompleteResult
		err = s.client.GetWorkflow(t.Context(), id, "").Get(t.Context(), &got)
		if *record {
			s.save("complete_"+key, id)
		}
		return &got, err
	}
	budget(1_000_000)
	got, err := ask("answer")
	require.NoError(t, err)
	require.Equal(t, faulty.Text, got.Text)
	require.Equal(t, "p/a", got.Model)

	fake.Script("a", faulty.Refuse(500, "server_error", "oops", nil), faulty.Refuse(500, "server_error", "oops", nil))
	got, err = ask("failover")
	require.NoError(t, err)
	require.Equal(t, "p/b", got.Model)
	require.Len(t, got.Attempts, 2)

	fake.Script("a", faulty.Refuse(400, "content_filter", "no", nil))
	_, err = ask("filter")
	require.ErrorContains(t, err, "content filter")

	budget(0)
	_, err = ask("over_budget")
	require.ErrorContains(t, err, "has $0.000000 left")

	// The same key again is the same call, and asks nobody.
	before := len(fake.Seen(""))
	got, err = ask("answer")
	require.NoError(t, err)
	require.Equal(t, faulty.Text, got.Text)
	require.Len(t, fake.Seen(""), before)

	// The worker has scheduled that dead calls are ended; here it happens at once.
	expiry := s.client.ScheduleClient().GetHandle(t.Context(), workflows.ExpireCallsID)
	eventually(t, "the schedule is there", func() bool { return expiry.Trigger(t.Context(), client.ScheduleTriggerOptions{}) == nil })
	require.NoError(t, workflows.ScheduleExpireCalls(t.Context(), s.client), "again, as the next worker does")
	var started string
	eventually(t, "the schedule starts a workflow", func() bool {
		d, err := expiry.Describe(t.Context())
		require.NoError(t, err)
		require.Equal(t, time.Minute, d.Schedule.Spec.Intervals[0].Every)
		if len(d.Info.RecentActions) > 0 {
			started = d.Info.RecentActions[0].StartWorkflowResult.WorkflowID
		}
		return started != ""
	})
	var expired activities.Expired
	require.NoError(t, s.client.GetWorkflow(t.Context(), started, "").Get(t.Context(), &expired))
	if *record {
		s.save("expired_calls", started)
	}
}
