package workflows_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// A dry run says what would be done and does nothing; the run does it, once; under legal hold no text is destroyed, by an excision neither.
func TestHousekeeping(t *testing.T) {
	t.Parallel()
	b := newWorld(t).base(postgres.Space{StaleAfter: 24 * time.Hour, Retention: 24 * time.Hour})
	b.publish(b.caller, put{slug: "disk", body: "What it said at first.\n"})
	b.publish(b.caller, put{slug: "disk", base: 1, body: "What it says now, in other words.\n"})
	keep := func(dry bool) activities.Housekept {
		env := b.env(uuid.New())
		env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "housekeeping/" + uuid.NewString(), TaskQueue: workflows.TaskQueue})
		env.SetStartTime(time.Now().Add(72 * time.Hour))
		env.ExecuteWorkflow(workflows.Housekeeping, workflows.HousekeepingInput{Caller: b.caller, DryRun: dry})
		require.NoError(t, env.GetWorkflowError())
		var out workflows.HousekeepingResult
		require.NoError(t, env.GetWorkflowResult(&out))
		require.Len(t, out.Reports, 1)
		return out.Reports[0]
	}
	texts := func() (n int) {
		require.NoError(t, b.db.Pool.QueryRow(t.Context(), `select count(*) from tartan.knowledge_bodies`).Scan(&n))
		return n
	}
	hold := func(is bool) {
		s := b.space
		s.LegalHold = is
		b.as(func(tx pgx.Tx) error { return postgres.UpdateSpace(t.Context(), tx, s) })
	}
	does := func(h activities.Housekept) []any { return []any{h.Due, h.Retired, h.Held} }

	hold(true)
	require.Equal(t, []any{[]string{"disk"}, 0, true}, does(keep(true)))
	in := workflows.ExciseInput{ExciseInput: activities.ExciseInput{Caller: b.caller, Space: "ops", Slug: "disk", Reason: "request 17"}, ChangeID: uuid.New()}
	env := b.env(in.ChangeID)
	env.ExecuteWorkflow(workflows.Excise, in)
	require.ErrorContains(t, env.GetWorkflowError(), "legal hold")
	hold(false)
	for range 2 {
		require.Equal(t, []any{[]string{"disk"}, 1, false}, does(keep(true)), "a dry run changes nothing")
		require.Equal(t, 2, texts())
	}
	require.Equal(t, []any{[]string{"disk"}, 1, false}, does(keep(false)))
	require.Equal(t, 1, texts())
	again := keep(false)
	require.Empty(t, again.Due)
	require.Zero(t, again.Retired)
	b.as(func(tx pgx.Tx) error {
		reports, err := postgres.Reports(t.Context(), tx, b.space.ID, postgres.ReportHousekeeping, 10)
		dry := 0
		for _, r := range reports {
			if r.DryRun {
				dry++
			}
		}
		require.Equal(t, []int{5, 3}, []int{len(reports), dry}, "each run is reported")
		return err
	})
}
