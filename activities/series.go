package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/pattern/series/table"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// KindSeries is the kind of the libraries that recognise series of numbers.
const KindSeries = "series"

// The bounds of a training, which keep a worker under 100 MB: 16 MB of values, 12 MB of weights, 6 MB of inner products
// and 10 MB of features at once.
const (
	MaxTrainingExamples = 20_000
	MaxTrainingValues   = 2_000_000
	MaxTrainingClasses  = 100
	MaxTrainedOn        = 500 // an even part of each class where there are more
)

// Series are the activities that train recognisers of series and keep them.
type Series struct {
	Pool   *pgxpool.Pool
	Bucket *bucket.Bucket
}

// FitInput asks for a recogniser to be trained.
type FitInput struct {
	Source SourceRef `json:"source"`
}

// Fitted says where the recogniser is and how good it is.
type Fitted struct {
	SourceKey string  `json:"source_key"`
	SHA256    string  `json:"sha256"` // of the training data
	ModelKey  string  `json:"model_key"`
	Bytes     int64   `json:"bytes"`    // of the recogniser
	Examples  int64   `json:"examples"` // in the training data
	Accuracy  float64 `json:"accuracy"` // of left-out examples, [0, 1]
}

// FitSeries trains a recogniser from a source of examples and puts it into the bucket. The same source gives the same
// object, so a doubled or retried call costs time only.
func (s *Series) FitSeries(ctx context.Context, in FitInput) (*Fitted, error) {
	var alive progress
	defer alive.beating(ctx)()
	src, err := (&Runs{Pool: s.Pool, Bucket: s.Bucket}).object(ctx, in.Source)
	if err != nil {
		return nil, err
	}
	examples, err := s.examples(ctx, src.ObjectKey, &alive)
	if err != nil {
		return nil, err
	}
	r, err := series.Train(ctx, examples, series.Options{MaxExamples: MaxTrainedOn})
	if err != nil {
		if ctx.Err() != nil {
			return nil, typed("train", ctx.Err())
		}
		return nil, final(Untrainable, err, "correct the training data and train again")
	}
	if n := len(r.Classes()); n > MaxTrainingClasses {
		return nil, final(Untrainable, nil, fmt.Sprintf("the training data has %d classes: want at most %d, so use several libraries", n, MaxTrainingClasses))
	}
	o, err := s.Bucket.PutBytes(ctx, r.Encode())
	if err != nil {
		return nil, typed("store the recogniser", err)
	}
	return &Fitted{
		SourceKey: src.ObjectKey, SHA256: src.SHA256, ModelKey: o.Key, Bytes: o.Size,
		Examples: int64(len(examples)), Accuracy: r.Metrics().Accuracy,
	}, nil
}

// examples reads the training data.
func (s *Series) examples(ctx context.Context, key string, done *progress) ([]series.Example, error) {
	raw, err := s.Bucket.Range(ctx, key, 0, -1)
	if err != nil {
		return nil, typed("open the training data", err)
	}
	defer raw.Close()
	stored := &counter{r: raw, done: &progress{}}
	stream, _, err := lines.Decompress(stored)
	if stored.err != nil {
		return nil, typed("read the training data", stored.err)
	}
	if err != nil {
		return nil, final(SourceUnreadable, err, unzip)
	}
	defer stream.Close()
	plain := &counter{r: stream, done: done}
	out, err := table.Read(plain, table.Limits{Examples: MaxTrainingExamples, Values: MaxTrainingValues})
	switch {
	case stored.err != nil:
		return nil, typed("read the training data", stored.err)
	case plain.err != nil:
		return nil, final(SourceUnreadable, plain.err, unzip)
	case err != nil:
		return nil, final(Untrainable, err, "give one example a line: its class, then its values, separated by tabs or commas")
	}
	return out, nil
}

// KeepInput asks for a trained recogniser to become the library's.
type KeepInput struct {
	Mark   MarkInput `json:"mark"` // of the completed run
	Fitted Fitted    `json:"fitted"`
}

// Kept is the recogniser as the library has it.
type Kept struct {
	LibraryID uuid.UUID `json:"library_id"`
	Version   int       `json:"version"`
	ModelKey  string    `json:"model_key"`
	Method    string    `json:"method"`
	Classes   int       `json:"classes"`
	Examples  int64     `json:"examples"`
	TrainedOn int64     `json:"trained_on"`
	Length    int       `json:"length"`
	Accuracy  float64   `json:"accuracy"` // of left-out examples, [0, 1]
	LogLoss   float64   `json:"log_loss"`
	Bytes     int64     `json:"bytes"`
	Already   bool      `json:"already,omitempty"` // the same data had been trained before
}

// KeepSeries stores the recogniser as the next version of its library, which it makes if there is none, together with
// the end of the run. Done again it finds what is there.
func (s *Series) KeepSeries(ctx context.Context, in KeepInput) (*Kept, error) {
	r, err := s.model(ctx, in.Fitted.ModelKey)
	if err != nil {
		return nil, err
	}
	var out *Kept
	err = postgres.InWorkspace(ctx, s.Pool, in.Mark.Caller, func(tx pgx.Tx) error {
		lib, err := seriesLibrary(ctx, tx, in.Mark.Caller, in.Mark.Library)
		if err != nil {
			return err
		}
		if lib, err = postgres.LockLibrary(ctx, tx, lib.ID); err != nil {
			return err
		}
		stored, fresh, err := postgres.SaveSeriesModel(ctx, tx, lib, in.row(ctx, r), classRows(r))
		if err != nil {
			return err
		}
		out = &Kept{
			LibraryID: lib.ID, Version: stored.Version, ModelKey: stored.ModelKey, Method: stored.Method, Classes: stored.Classes,
			Examples: stored.Examples, TrainedOn: stored.TrainedOn, Length: stored.Length, Accuracy: stored.Accuracy, LogLoss: stored.LogLoss,
			Bytes: stored.ModelBytes, Already: !fresh,
		}
		run := in.Mark.run(ctx)
		run.LibraryID, run.Patterns, run.NewPatterns = lib.ID, int64(stored.Classes), int64(stored.Classes)
		return postgres.SaveRun(ctx, tx, run)
	})
	return out, typed("store the recogniser", err)
}

// seriesLibrary finds the library or makes it.
func seriesLibrary(ctx context.Context, tx pgx.Tx, caller access.Caller, name string) (postgres.Library, error) {
	lib, err := postgres.EnsureLibrary(ctx, tx, caller.WorkspaceID, name, KindSeries)
	if err == nil && lib.Kind != KindSeries {
		err = final(WrongLibrary, fmt.Errorf("library %q is of kind %s", lib.Name, lib.Kind), "train series into a library of kind "+KindSeries)
	}
	return lib, err
}

// model reads a recogniser back. One that is gone or torn is trained anew.
func (s *Series) model(ctx context.Context, key string) (*series.Recogniser, error) {
	body, err := s.Bucket.ReadAll(ctx, key, series.MaxEncoded)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, final(ModelLost, err, "train again")
	}
	if err != nil {
		return nil, typed("read the recogniser", err)
	}
	r, err := series.Decode(body)
	if err != nil {
		return nil, final(ModelLost, err, "train again")
	}
	return r, nil
}

func (in KeepInput) row(ctx context.Context, r *series.Recogniser) postgres.SeriesModel {
	m := r.Metrics()
	return postgres.SeriesModel{
		SHA256: in.Fitted.SHA256, SourceName: printable(in.Mark.SourceName), SourceKey: in.Fitted.SourceKey,
		ModelKey: in.Fitted.ModelKey, ModelBytes: in.Fitted.Bytes, FeaturesVersion: series.FeaturesVersion,
		Method: string(r.Method()), Length: r.Length(), Classes: len(r.Classes()), Examples: in.Fitted.Examples, TrainedOn: int64(m.Examples),
		Accuracy: m.Accuracy, LogLoss: m.LogLoss, WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
	}
}

func classRows(r *series.Recogniser) []postgres.SeriesClass {
	var out []postgres.SeriesClass
	for _, c := range r.Classes() {
		out = append(out, postgres.SeriesClass{Name: c.Name, PatternID: pattern.Fingerprint(c.Name), Examples: int64(c.Examples)})
	}
	return out
}

// BeginSeries checks, before any work is done, that the caller may train the library and that it is one of series, and
// records that the run goes on.
func (s *Series) BeginSeries(ctx context.Context, in MarkInput) error {
	if err := checkLibraryName(in.Library); err != nil {
		return err
	}
	err := postgres.InWorkspace(ctx, s.Pool, in.Caller, func(tx pgx.Tx) error {
		lib, err := seriesLibrary(ctx, tx, in.Caller, in.Library)
		if err != nil {
			return err
		}
		if _, err := postgres.LockLibrary(ctx, tx, lib.ID); err != nil {
			return err
		}
		run := in.run(ctx)
		run.LibraryID, run.UpdatedAt = lib.ID, time.Now()
		return postgres.SaveRun(ctx, tx, run)
	})
	return typed("begin the training", err)
}
