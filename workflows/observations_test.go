package workflows_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

func (w *world) observer() *activities.Observations {
	return &activities.Observations{Pool: w.db.Pool, Bucket: w.bucket, Libraries: feed.NewLibraries(w.db.Pool, zap.NewNop())}
}

func (w *world) library(name, kind string) {
	w.as(func(tx pgx.Tx) error {
		_, err := postgres.EnsureLibrary(context.Background(), tx, w.caller.WorkspaceID, name, kind)
		return err
	})
}

// observe inserts one row; column and value say what is observed.
func (w *world) observe(library, key, column, value string) {
	w.as(func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), fmt.Sprintf("insert into tartan.observations (workspace_id, library, key, %s) values ($1, $2, $3, %s)", column, value), w.caller.WorkspaceID, library, key)
		return err
	})
}

// finishObserved claims what waits and runs the workflow of each batch; prepare may inject faults.
func (w *world) finishObserved(prepare func(*testsuite.TestWorkflowEnvironment, *activities.Observations)) {
	w.t.Helper()
	var claimed []postgres.ObservationBatch
	require.NoError(w.t, postgres.AsService(context.Background(), w.db.Pool, func(tx pgx.Tx) (err error) {
		claimed, err = postgres.ClaimObservations(context.Background(), tx)
		return err
	}))
	require.NotEmpty(w.t, claimed)
	for _, b := range claimed {
		env, o := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment(), w.observer()
		env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ObservationsID(b.WorkspaceID, b.ID), TaskQueue: workflows.TaskQueue})
		workflows.Register(env)
		env.RegisterActivity(o)
		if prepare != nil {
			prepare(env, o)
		}
		env.ExecuteWorkflow(workflows.AnalyzeObservations, workflows.AnalyzeObservationsInput{
			Caller: access.Caller{WorkspaceID: b.WorkspaceID}, BatchID: b.ID, Library: b.Library, First: b.First, Last: b.Last,
		})
		require.NoError(w.t, env.GetWorkflowError())
		var out workflows.AnalyzeObservationsResult
		require.NoError(w.t, env.GetWorkflowResult(&out))
		require.True(w.t, out.Closed)
		require.Equal(w.t, b.Observations, out.Matched+out.Quarantined)
	}
}

// became returns what became of the observations of a library: a verdict or the code of a fault, by key.
func (w *world) became(library string) map[string]string {
	out := map[string]string{}
	w.as(func(tx pgx.Tx) error {
		rows, err := tx.Query(context.Background(), `select key, verdict from tartan.observation_matches where library = $1
			union all select key, code from tartan.observation_quarantine where library = $1`, library)
		if err != nil {
			return err
		}
		var key, what string
		_, err = pgx.ForEachRow(rows, []any{&key, &what}, func() error {
			require.NotContains(w.t, out, key, "finished twice")
			out[key] = what
			return nil
		})
		return err
	})
	return out
}

// Each observation is matched, or quarantined with its own reason, and those beside it go on.
func TestObservationsOfEveryKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, kind := range map[string]string{"log": "lines", "events": "record", "desk": "text", "turbines": "series"} {
		w.library(name, kind)
	}
	w.observe("log", "first", "body", "'disk 7 is full'")
	w.finishObserved(nil)
	w.observe("log", "again", "body", "'disk 9 is full'")
	w.observe("log", "trace", "body", `E'ERROR cannot save\n\tat shop.Store.save(Store.java:12)'`)
	w.observe("log", "blank", "body", "'  '")
	w.observe("log", "large", "body", "repeat('x', 70000)")
	w.observe("log", "other", "record", "'{}'")
	w.observe("log", "none", "observed_at", "now()")
	w.observe("log", "both", "body, record", "'x', '{}'")
	w.observe("log", "never", "body, observed_at", "'disk 7 is full', 'infinity'")
	w.observe("nowhere", "lost", "body", "'x'")
	w.observe("events", "event", "record", `'{"msg":"paid","order":7}'`)
	w.observe("events", "text", "body", `'{"msg":"paid","order":8}'`)
	w.observe("events", "list", "record", "'[1]'")
	w.observe("events", "prose", "body", "'paid 7'")
	w.observe("desk", "one", "body", "'the printer has no paper'")
	w.observe("desk", "same", "body", "'the printer has no paper'")
	w.observe("turbines", "early", "series", "array[1,2,3]")
	w.observe("turbines", "nan", "series", "array[1,'NaN',3]::float8[]")
	w.observe("turbines", "square", "series", "array[[1,2],[3,4]]")
	w.finishObserved(nil)
	require.Equal(t, map[string]string{
		"first": "new", "again": "known", "trace": "new", "blank": "empty", "large": "too_large", "other": "wrong_kind", "none": "not_one_body", "both": "not_one_body", "never": "bad_time",
	}, w.became("log"))
	require.Equal(t, map[string]string{"lost": "unknown_library"}, w.became("nowhere"))
	require.Equal(t, map[string]string{"event": "new", "text": "new", "list": "not_an_object", "prose": "not_an_object"}, w.became("events"))
	require.Equal(t, map[string]string{"one": "new", "same": "new"}, w.became("desk"))
	require.Equal(t, map[string]string{"early": "untrained", "nan": "not_finite", "square": "not_a_list"}, w.became("turbines"))
	var lines int64
	for _, n := range w.counts("log") {
		lines += n
	}
	require.EqualValues(t, 3, lines, "what is matched is counted, once")
	var slots []string
	w.as(func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), "select slots from tartan.observation_matches where key = 'again'").Scan(&slots)
	})
	require.Equal(t, []string{"9"}, slots)
}

// An observation that nothing can be done with is found by halving, and stands alone in quarantine.
func TestOneBadObservationStandsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.library("log", "lines")
	want := map[string]string{}
	for i := range 40 {
		key := fmt.Sprint(i)
		w.observe("log", key, "body", fmt.Sprintf("'disk %d is full'", i))
		want[key] = "new"
	}
	want["17"] = "failed"
	var bad int64
	require.NoError(t, w.db.Pool.QueryRow(t.Context(), "select id from tartan.observations where key = '17'").Scan(&bad))
	w.finishObserved(func(env *testsuite.TestWorkflowEnvironment, o *activities.Observations) {
		env.OnActivity("AnalyzeBatch", mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.AnalyzeInput) (*activities.Analyzed, error) {
			if in.First <= bad && bad <= in.Last {
				return nil, temporal.NewNonRetryableApplicationError("the database refuses it", activities.Refused, nil)
			}
			return o.AnalyzeBatch(ctx, in)
		})
	})
	got := w.became("log")
	for key, what := range got {
		if what == "known" { // the first half of the batch brought the pattern
			got[key] = "new"
		}
	}
	require.Equal(t, want, got)
	var lines []int64
	for _, n := range w.counts("log") {
		lines = append(lines, n)
	}
	require.Equal(t, []int64{39}, lines)
}

// An attempt whose answer is lost is made again and counts nothing twice.
func TestObservationsOfALostAnswerCountOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.library("log", "lines")
	for i := range 5 {
		w.observe("log", fmt.Sprint(i), "body", fmt.Sprintf("'disk %d is full'", i))
	}
	attempts := 0
	w.finishObserved(func(env *testsuite.TestWorkflowEnvironment, o *activities.Observations) {
		env.OnActivity("AnalyzeBatch", mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.AnalyzeInput) (*activities.Analyzed, error) {
			out, err := o.AnalyzeBatch(ctx, in)
			if attempts++; attempts < 3 && err == nil {
				return nil, temporal.NewApplicationError("the answer is lost", activities.Unavailable)
			}
			return out, err
		})
	})
	require.Equal(t, 3, attempts)
	require.Len(t, w.became("log"), 5)
	for _, n := range w.counts("log") {
		require.EqualValues(t, 5, n)
	}
}
