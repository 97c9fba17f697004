package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/internal/testdb"
)

var someModels = []routing.Model{
	{ID: "a/small", Provider: "a", Name: "small", Capabilities: routing.Chat, ContextTokens: 8000, Price: routing.Price{InputPerMTok: 100_000, OutputPerMTok: 400_000}},
	{ID: "b/org/large", Provider: "b", Name: "org/large", Capabilities: routing.Chat | routing.Tools, MaxOutput: 4000, Latency: 1500 * time.Millisecond},
}

// fillModels makes a row in each table of routing, and returns the decision.
func fillModels(t testing.TB, db *testdb.DB, caller access.Caller) routing.Decision {
	t.Helper()
	ctx := t.Context()
	req := routing.Request{ID: uuid.NewString(), Task: "summarize\x00", Needs: routing.Chat, Features: routing.Featurize("sum this up, please")}
	d := routing.Decide(&routing.Snapshot{Models: someModels}, &req, noon)
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		if _, err := postgres.SaveModels(ctx, tx, caller.WorkspaceID, someModels); err != nil {
			return err
		}
		if err := postgres.SaveDecision(ctx, tx, caller.WorkspaceID, &req, &d); err != nil {
			return err
		}
		_, err := postgres.AddOutcome(ctx, tx, caller.WorkspaceID, &routing.Outcome{Decision: d.ID, Model: "a/small", Source: "reported", Quality: 1, Judged: true, Cost: 7, Latency: time.Second})
		return err
	}))
	require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error {
		return postgres.SaveLearned(ctx, tx, caller.WorkspaceID, []byte{1}, 1, postgres.Position{XID: 1, ID: 1})
	}))
	return d
}

func TestOutcomesComeBackInOrderAndOnce(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	d := fillModels(t, db, caller)
	add := func(o routing.Outcome) (fresh bool, err error) {
		err = postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
			fresh, err = postgres.AddOutcome(ctx, tx, caller.WorkspaceID, &o)
			return err
		})
		return fresh, err
	}
	fresh, err := add(routing.Outcome{Decision: d.ID, Model: "a/small", Source: "reported", Quality: 0, Judged: true})
	require.NoError(t, err)
	require.False(t, fresh, "the same source again")
	fresh, err = add(routing.Outcome{Decision: d.ID, Model: "b/org/large", Source: "call", Class: routing.Silent})
	require.NoError(t, err)
	require.True(t, fresh)
	_, err = add(routing.Outcome{Decision: uuid.NewString(), Model: "a/small", Source: "reported"})
	require.ErrorIs(t, err, postgres.ErrNotFound)
	_, err = add(routing.Outcome{Decision: d.ID, Model: "a/small", Source: "test", Quality: 1.5, Judged: true})
	require.ErrorContains(t, err, "model_outcomes_quality_range")

	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		models, err := postgres.Models(ctx, tx, caller.WorkspaceID)
		require.NoError(t, err)
		require.Equal(t, someModels, models)
		got, err := postgres.DecisionByID(ctx, tx, caller.WorkspaceID, d.ID)
		require.NoError(t, err)
		require.Equal(t, d.Explain(), got.Explain(), "a decision is explained from what was recorded")
		_, err = postgres.DecisionByID(ctx, tx, caller.WorkspaceID, "another")
		require.ErrorIs(t, err, postgres.ErrNotFound)

		for until := time.Now().Add(20 * time.Second); time.Now().Before(until); { // transactions of other tests hold the horizon
			if all, _, err := postgres.OutcomesAfter(ctx, tx, caller.WorkspaceID, postgres.Position{}, 10); err != nil || len(all) == 2 {
				break
			}
		}
		first, at, err := postgres.OutcomesAfter(ctx, tx, caller.WorkspaceID, postgres.Position{}, 1)
		require.NoError(t, err)
		require.Len(t, first, 1)
		require.Equal(t, "summarize\x00", first[0].Task)
		require.Equal(t, routing.Featurize("sum this up, please"), first[0].Features)
		require.True(t, first[0].Judged)
		require.Equal(t, time.Second, first[0].Latency)
		rest, at, err := postgres.OutcomesAfter(ctx, tx, caller.WorkspaceID, at, 10)
		require.NoError(t, err)
		require.Len(t, rest, 1)
		require.Equal(t, routing.Silent, rest[0].Class)
		require.False(t, rest[0].Judged)
		none, same, err := postgres.OutcomesAfter(ctx, tx, caller.WorkspaceID, at, 10)
		require.NoError(t, err)
		require.Empty(t, none)
		require.Equal(t, at, same)

		stats, err := postgres.StatsOfModels(ctx, tx, caller.WorkspaceID, time.Now().Add(-time.Hour))
		require.NoError(t, err)
		require.Len(t, stats, 2)
		require.Equal(t, postgres.ModelStats{Model: "a/small", Task: "summarize\x00", Calls: 1, Judged: 1, Quality: 1, Cost: 7, Latency: time.Second}, stats[0])
		return nil
	}))
}

func TestModelsThatAreGoneAreDisabled(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		for _, step := range []struct {
			models  []routing.Model
			changed int64
		}{{someModels, 2}, {someModels, 0}, {someModels[:1], 1}, {someModels[:1], 0}, {someModels, 1}} {
			changed, err := postgres.SaveModels(ctx, tx, caller.WorkspaceID, step.models)
			require.NoError(t, err)
			require.Equal(t, step.changed, changed)
		}
		return nil
	}))
}

// A state that has learned more is not replaced by one that has learned less.
func TestLearnedStateOnlyAdvances(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error {
		for _, s := range []struct {
			at   postgres.Position
			want byte
		}{{postgres.Position{XID: 5, ID: 5}, 0}, {postgres.Position{XID: 4, ID: 9}, 0}, {postgres.Position{XID: 6, ID: 1}, 2}} {
			require.NoError(t, postgres.SaveLearned(ctx, tx, caller.WorkspaceID, []byte{s.want}, 1, s.at))
		}
		state, at, err := postgres.Learned(ctx, tx, caller.WorkspaceID)
		require.Equal(t, []byte{2}, state)
		require.Equal(t, postgres.Position{XID: 6, ID: 1}, at)
		return err
	}))
}
