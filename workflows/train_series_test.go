package workflows_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// waves writes labelled examples: sines of one, two and three turns with noise.
func waves(seed uint64, each int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	for i := range each * 3 {
		fmt.Fprintf(&b, "turns %d", i%3+1)
		for j := range 40 {
			fmt.Fprintf(&b, "\t%.4f", math.Sin(2*math.Pi*float64(j)*float64(i%3+1)/40)+.15*random.NormFloat64())
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// lesson is one run of TrainSeries with real activities.
type lesson struct {
	*testsuite.TestWorkflowEnvironment
	w      *world
	in     workflows.TrainSeriesInput
	series *activities.Series
}

func (w *world) lesson(library string, body []byte, inline bool) *lesson {
	in := workflows.TrainSeriesInput{Caller: w.caller, Library: library, Source: workflows.SourceRef{Name: "waves.tsv"}}
	if inline {
		in.Source.Inline = body
	} else {
		o, err := w.bucket.PutBytes(context.Background(), body)
		require.NoError(w.t, err)
		in.Source.ObjectKey, in.Source.SHA256, in.Source.Bytes = o.Key, o.SHA256, o.Size
	}
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	sum := sha256.Sum256(body)
	id := workflows.TrainID(w.caller.WorkspaceID, library, hex.EncodeToString(sum[:]))
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue})
	workflows.Register(env)
	l := &lesson{env, w, in, &activities.Series{Pool: w.db.Pool, Bucket: w.bucket}}
	env.RegisterActivity(&activities.Runs{Pool: w.db.Pool, Bucket: w.bucket})
	env.RegisterActivity(l.series)
	return l
}

func (l *lesson) run() *workflows.TrainSeriesResult {
	l.w.t.Helper()
	l.ExecuteWorkflow(workflows.TrainSeries, l.in)
	require.NoError(l.w.t, l.GetWorkflowError())
	var out workflows.TrainSeriesResult
	require.NoError(l.w.t, l.GetWorkflowResult(&out))
	return &out
}

// refused runs to a failure and returns its type.
func (l *lesson) refused() string {
	l.w.t.Helper()
	l.ExecuteWorkflow(workflows.TrainSeries, l.in)
	var app *temporal.ApplicationError
	require.ErrorAs(l.w.t, l.GetWorkflowError(), &app)
	return app.Type()
}

// models counts the recognisers of a library.
func (w *world) models(library string) (out []postgres.SeriesModel, classes []postgres.SeriesClass) {
	w.t.Helper()
	ctx := context.Background()
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, w.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		require.Equal(w.t, activities.KindSeries, lib.Kind)
		latest, err := postgres.SeriesModelInUse(ctx, tx, lib.ID)
		if err != nil {
			return err
		}
		out = make([]postgres.SeriesModel, latest.Version)
		out[latest.Version-1] = latest
		classes, err = postgres.SeriesClasses(ctx, tx, lib.ID, latest.Version)
		return err
	})
	return out, classes
}

func TestTrainedLibraryRecognises(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := waves(1, 20)
	for _, compressed := range [][]byte{body, gzipped(t, body), zstandard(t, body)} {
		l := w.lesson("waves", compressed, false)
		got := l.run()
		require.Equal(t, 3, got.Classes)
		require.EqualValues(t, 60, got.Examples)
		require.Equal(t, string(series.Features), got.Method)
		require.Greater(t, got.Accuracy, .9)
		require.False(t, got.Already)
	}
	models, classes := w.models("waves")
	require.Len(t, models, 3)
	require.Equal(t, postgres.SeriesClass{Name: "turns 2", PatternID: pattern.Fingerprint("turns 2"), Examples: 20}, classes[1])
	data, err := w.bucket.ReadAll(context.Background(), models[2].ModelKey, series.MaxEncoded)
	require.NoError(t, err)
	require.EqualValues(t, models[2].ModelBytes, len(data))
	r, err := series.Decode(data)
	require.NoError(t, err)
	x := make([]float64, 80) // twice as many points of the same shape
	for i := range x {
		x[i] = 5 + 3*math.Sin(2*math.Pi*float64(i)*2/80)
	}
	answer, err := r.Recognise(x)
	require.NoError(t, err)
	require.Equal(t, "turns 2", answer.Class)
	run := w.projection(models[2].WorkflowID)
	require.Equal(t, postgres.RunCompleted, run.State)
	require.Equal(t, "TrainSeries", run.Kind)
	require.EqualValues(t, 3, run.Patterns)
}

// TestTrainingIsDoneOnce loses answers, fails attempts and runs again: one recogniser comes of it.
func TestTrainingIsDoneOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := waves(2, 4)
	l := w.lesson("waves", body, true)
	fits, keeps := 0, 0
	l.OnActivity(l.series.FitSeries, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.FitInput) (*activities.Fitted, error) {
		fits++
		if fits == 1 {
			return nil, errors.New("the connection was reset")
		}
		out, err := l.series.FitSeries(ctx, in)
		if fits == 2 && err == nil {
			return nil, errors.New("the answer was lost")
		}
		return out, err
	})
	l.OnActivity(l.series.KeepSeries, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.KeepInput) (*activities.Kept, error) {
		keeps++
		out, err := l.series.KeepSeries(ctx, in)
		if keeps < 3 && err == nil {
			return nil, errors.New("the answer was lost")
		}
		return out, err
	})
	got := l.run()
	require.Equal(t, 3, fits)
	require.Equal(t, 3, keeps)
	require.Equal(t, 1, got.Version)
	require.Equal(t, string(series.Nearest), got.Method)
	again := w.lesson("waves", body, true).run()
	require.True(t, again.Already)
	again.Already = got.Already
	require.Equal(t, got, again)
	models, _ := w.models("waves")
	require.Len(t, models, 1)
}

// TestALostRecogniserIsTrainedAgain takes the object away between the two steps.
func TestALostRecogniserIsTrainedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.lesson("waves", waves(3, 3), true)
	fits := 0
	l.OnActivity(l.series.FitSeries, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.FitInput) (*activities.Fitted, error) {
		fits++
		out, err := l.series.FitSeries(ctx, in)
		if fits == 1 {
			out.ModelKey = "objects/00/" + fmt.Sprintf("%064x", 0)
		}
		return out, err
	})
	require.Equal(t, 1, l.run().Version)
	require.Equal(t, 2, fits)
}

func TestTrainingIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, activities.Untrainable, w.lesson("a", []byte("up\t1\t2\nup\tx\n"), true).refused())
	require.Equal(t, activities.Untrainable, w.lesson("a", []byte("only\t1\t2\n"), false).refused())
	many := &bytes.Buffer{}
	for i := range activities.MaxTrainingClasses + 1 {
		fmt.Fprintf(many, "c%d,1,2,3\n", i)
	}
	require.Equal(t, activities.Untrainable, w.lesson("a", many.Bytes(), true).refused())
	require.Equal(t, activities.WrongLibrary, w.lesson("no such name", waves(1, 1), true).refused())
	require.Equal(t, activities.SourceUnreadable, w.lesson("a", append([]byte{0x1f, 0x8b, 8}, make([]byte, 100)...), false).refused())
	missing := w.lesson("a", waves(1, 1), true)
	missing.in.Source.Inline, missing.in.Source.SHA256 = nil, fmt.Sprintf("%064x", 7)
	require.Equal(t, activities.SourceMissing, missing.refused())

	w.as(func(tx pgx.Tx) error {
		_, err := postgres.EnsureLibrary(context.Background(), tx, w.caller.WorkspaceID, "logs", activities.KindLines)
		return err
	})
	l := w.lesson("logs", waves(1, 1), true)
	require.Equal(t, activities.WrongLibrary, l.refused())
	w.caller = w.db.Member(t, w.caller.WorkspaceID, access.Viewer)
	require.Equal(t, activities.Denied, w.lesson("a", waves(1, 2), true).refused())
}

func TestTrainingIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.lesson("waves", waves(4, 3), true)
	l.OnActivity(l.series.FitSeries, mock.Anything, mock.Anything).Return(func(ctx context.Context, _ activities.FitInput) (*activities.Fitted, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	l.RegisterDelayedCallback(l.CancelWorkflow, 100*time.Millisecond)
	l.ExecuteWorkflow(workflows.TrainSeries, l.in)
	require.True(t, temporal.IsCanceledError(l.GetWorkflowError()), "%v", l.GetWorkflowError())
	sum := sha256.Sum256(l.in.Source.Inline)
	run := w.projection(workflows.TrainID(w.caller.WorkspaceID, "waves", hex.EncodeToString(sum[:])))
	require.Equal(t, postgres.RunCancelled, run.State)
}
