package feed_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// judge records decisions about models with outcomes: the first model is good at even numbers, the second at odd ones.
func judge(t *testing.T, db *testdb.DB, caller access.Caller, from, to int) {
	t.Helper()
	ctx := t.Context()
	models := []routing.Model{
		{ID: "a/even", Provider: "a", Name: "even", Capabilities: routing.Chat, Price: routing.Price{InputPerMTok: 1_000_000}},
		{ID: "b/odd", Provider: "b", Name: "odd", Capabilities: routing.Chat, Price: routing.Price{InputPerMTok: 1_000_000}},
	}
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		if _, err := postgres.SaveModels(ctx, tx, caller.WorkspaceID, models); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			task := []string{"even", "odd"}[i%2]
			req := routing.Request{ID: uuid.NewString(), Task: task, Needs: routing.Chat, Features: routing.Featurize(fmt.Sprint("question number ", i))}
			d := routing.Decide(&routing.Snapshot{Models: models}, &req, time.Now())
			if err := postgres.SaveDecision(ctx, tx, caller.WorkspaceID, &req, &d); err != nil {
				return err
			}
			for m, model := range models {
				quality := 0.0
				if m == i%2 {
					quality = 1
				}
				o := routing.Outcome{Decision: d.ID, Model: model.ID, Source: "test", Quality: quality, Judged: true, Latency: time.Second}
				if _, err := postgres.AddOutcome(ctx, tx, caller.WorkspaceID, &o); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

func first(t *testing.T, l *feed.Libraries, workspace uuid.UUID, task string) string {
	t.Helper()
	r, err := l.Router(t.Context(), workspace)
	require.NoError(t, err)
	d := r.Decide(&routing.Request{Task: task, Needs: routing.Chat, Dial: 1, Features: routing.Featurize("question number 7")}, time.Now())
	require.NotEmpty(t, d.Ranked, d.Reason)
	return d.Ranked[0].Model
}

func TestRouterLearnsSurvivesRestartAndFollows(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	judge(t, db, caller, 0, 150)
	before := feed.NewLibraries(db.Pool, zap.NewNop())
	require.Equal(t, "a/even", first(t, before, caller.WorkspaceID, "even"))
	require.Equal(t, "b/odd", first(t, before, caller.WorkspaceID, "odd"))
	var state []byte
	require.NoError(t, db.Pool.QueryRow(t.Context(), "select state from tartan.model_learned where workspace_id = $1", caller.WorkspaceID).Scan(&state))
	require.NotEmpty(t, state, "300 outcomes are saved")

	judge(t, db, caller, 150, 160)
	after := feed.NewLibraries(db.Pool, zap.NewNop()) // as another process does: saved state, then what came after it
	r, err := after.Router(t.Context(), caller.WorkspaceID)
	require.NoError(t, err)
	require.Equal(t, 320, r.Outcomes())
	_, health := r.Models()
	require.Equal(t, time.Second, health["a/even"].Latency)

	o := routing.Outcome{Decision: "complete/key of a call", Model: "a/even", Task: "even", Source: "schema", Quality: 1, Judged: true, At: time.Now()}
	require.NoError(t, after.RecordOutcome(t.Context(), caller.WorkspaceID, o))
	require.NoError(t, after.RecordOutcome(t.Context(), caller.WorkspaceID, o), "once more, as a retry does")

	// A damaged state costs time and nothing else.
	_, err = db.Pool.Exec(t.Context(), "update tartan.model_learned set state = 'x'")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // transactions of other tests hold the horizon of what is settled
		again, err := feed.NewLibraries(db.Pool, zap.NewNop()).Router(t.Context(), caller.WorkspaceID)
		require.NoError(t, err)
		return again.Outcomes() == 321
	}, 20*time.Second, 50*time.Millisecond)

	// A process that follows the outbox is told of the next outcome without asking anew by itself.
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- after.Run(ctx) }()
	defer func() { stop(); <-done }()
	judge(t, db, caller, 160, 161)
	require.Eventually(t, func() bool {
		r, err := after.Router(t.Context(), caller.WorkspaceID)
		return err == nil && r.Outcomes() == 323
	}, 10*time.Second, 20*time.Millisecond)
}

func TestRouterOfAWorkspaceKnowsNothingOfAnother(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	one, other := db.Workspace(t, "one"), db.Workspace(t, "other")
	judge(t, db, one, 0, 4)
	l := feed.NewLibraries(db.Pool, zap.NewNop())
	r, err := l.Router(t.Context(), other.WorkspaceID)
	require.NoError(t, err)
	require.Zero(t, r.Outcomes())
	require.Contains(t, r.Decide(&routing.Request{}, time.Now()).Reason, "none is registered")
}
