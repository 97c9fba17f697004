package tools

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// kindOfSeries is the kind of the libraries that recognise series of numbers.
const kindOfSeries = "series"

// modelMemory bounds the recognisers that are kept decoded, in bytes: one weighs 120 KB and up to 51 KB a class, and
// another while it is read.
const modelMemory = 16 << 20

type trainSeriesArgs struct {
	Examples lineList `json:"examples" doc:"One a line: class,1,2.5,3. Or give object_key"`
	Object   string   `json:"object_key" note:"Key of training data of this workspace, as tartan series train uploads it"`
	Library  string   `json:"library" default:"series"`
	Name     string   `json:"name" max:"200" doc:"Of the source"`
}

func (s *Suite) trainSeries() Tool {
	return define[trainSeriesArgs, mining](Tool{
		Name: "train_series", Title: "Train on series", Role: editor, Idempotent: true,
		Description: "Start a durable workflow that learns named shapes of number series. Returns its id at once.",
	}, func(ctx context.Context, c Call, in trainSeriesArgs) (mining, string, error) {
		temporal, err := s.durable()
		if err != nil {
			return mining{}, "", err
		}
		if (len(in.Examples) > 0) == (in.Object != "") {
			return mining{}, "", invalid("give either examples or object_key")
		}
		source, err := s.source(ctx, c, mineArgs{Lines: in.Examples, Object: in.Object, Name: in.Name})
		if err != nil {
			return mining{}, "", err
		}
		id, runID, existed, err := workflows.StartTraining(ctx, temporal, workflows.TrainSeriesInput{Caller: c.Caller, Library: in.Library, Source: source})
		if err != nil {
			return mining{}, "", explainWorkflow(err, "")
		}
		out := mining{WorkflowID: id, Existed: existed, Next: "get_workflow with this id and wait_seconds 20", Resource: WorkflowURI(id), Page: s.page(id, runID)}
		text := "started " + id
		if existed {
			text = "trained before, or being trained: " + id
		}
		return out, text, nil
	})
}

type recognizeSeriesArgs struct {
	Values  windowList `json:"values" required:"true" doc:"Numbers of one window, or a list of windows; null is missing"`
	Library string     `json:"library" default:"series"`
}

type recognizedSeries struct {
	Library string         `json:"library"`
	Version int            `json:"version"` // of the recogniser
	Windows []seriesAnswer `json:"windows"`
}

type seriesAnswer struct {
	Pattern    string      `json:"pattern"` // "" for an unknown window
	ID         pattern.ID  `json:"id,omitempty"`
	Name       string      `json:"name,omitempty"` // that a person gave
	Confidence float64     `json:"confidence"`
	P          float64     `json:"p"` // chance that a window of a known pattern is as strange
	Nearest    []candidate `json:"nearest,omitempty"`
	Why        string      `json:"why,omitempty"`
	Error      string      `json:"error,omitempty"`

	Knowledge []knownEntry `json:"knowledge,omitempty"` // entries that link to it, the latest first; with the first window that is of it
}

type candidate struct {
	Pattern    string  `json:"pattern"`
	Confidence float64 `json:"confidence"`
}

// explained is how many windows of a call are answered with their reasons; of more, only the unknown ones.
const explained = 10

func (s *Suite) recognizeSeries() Tool {
	return define[recognizeSeriesArgs, recognizedSeries](Tool{
		Name: "recognize_series", Title: "Recognize series", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Say which known shape each window of numbers is, or that it is unknown. Any length.",
	}, func(ctx context.Context, c Call, in recognizeSeriesArgs) (recognizedSeries, string, error) {
		lib, model, r, notes, err := s.recogniser(ctx, c, in.Library)
		if err != nil {
			return recognizedSeries{}, "", err
		}
		out := recognizedSeries{Library: in.Library, Version: model.Version, Windows: []seriesAnswer{}}
		told := map[pattern.ID]bool{} // patterns of the recogniser; true for those whose entries were told
		for _, class := range r.Classes() {
			told[pattern.Fingerprint(class.Name)] = false
		}
		linked := s.linked(ctx, c, lib, func(id pattern.ID) bool {
			_, ok := told[id]
			return ok
		})
		for _, window := range in.Values {
			if err := ctx.Err(); err != nil {
				return out, "", err
			}
			a := answerSeries(r, window, len(in.Values) <= explained)
			a.Name = notes[a.ID].Name
			if a.ID != "" && !told[a.ID] {
				a.Knowledge, told[a.ID] = knownEntries(linked.About(a.ID)), true
			}
			out.Windows = append(out.Windows, a)
		}
		return out, out.text(), nil
	})
}

// answerSeries recognises one window. What is wrong with it is part of the answer, so that one does not spoil the others.
func answerSeries(r *series.Recogniser, window []float64, why bool) seriesAnswer {
	got, err := r.Recognise(window)
	if err != nil {
		return seriesAnswer{Error: err.Error()}
	}
	out := seriesAnswer{Confidence: rounded(got.Confidence), P: rounded(got.P)}
	if got.Known {
		out.Pattern, out.ID = got.Class, pattern.Fingerprint(got.Class)
	}
	if why || !got.Known {
		for _, n := range got.Nearest {
			out.Nearest = append(out.Nearest, candidate{n.Class, rounded(n.Confidence)})
		}
		out.Why = got.Why()
	}
	return out
}

// rounded keeps four digits, which is more than a confidence is worth.
func rounded(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func (r recognizedSeries) text() string {
	unknown := 0
	var b strings.Builder
	for i, w := range r.Windows {
		if w.Pattern == "" {
			unknown++
		}
		if i < explained {
			name := w.Pattern
			if name == "" {
				name = "unknown"
			}
			fmt.Fprintf(&b, "\n%s %.2f  %s%s", name, w.Confidence, w.Why, w.Error)
		}
	}
	return fmt.Sprintf("%s: %d known, %d unknown", plural(len(r.Windows), "window"), len(r.Windows)-unknown, unknown) + b.String()
}

// recogniser returns the one that a library answers with. Its row is looked up as the caller, so that nobody reads a
// library of another workspace from memory.
func (s *Suite) recogniser(ctx context.Context, c Call, library string) (lib postgres.Library, model postgres.SeriesModel, r *series.Recogniser, notes map[pattern.ID]postgres.Note, err error) {
	const train = "Train it with train_series"
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		if lib, err = s.libraryByName(ctx, tx, c, library); err != nil {
			return err
		}
		if lib.Kind != kindOfSeries {
			return invalid("library %s is of kind %s, not of series", short(library), lib.Kind)
		}
		if notes, err = postgres.PatternNotes(ctx, tx, lib.ID); err != nil {
			return err
		}
		model, err = postgres.SeriesModelInUse(ctx, tx, lib.ID)
		if errors.Is(err, postgres.ErrNotFound) {
			return notFound(train, "library %s has learnt no series yet", short(library))
		}
		return err
	})
	if err != nil {
		return lib, model, nil, nil, err
	}
	if s.Bucket == nil {
		return lib, model, nil, nil, unavailable("Set TARTAN_BUCKET_URL", "this server has no bucket to read recognisers from")
	}
	r, err = s.models().Get(model.ModelKey, func() ([]byte, error) { return s.Bucket.ReadAll(ctx, model.ModelKey, series.MaxEncoded) })
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		err = notFound("Train it again on changed examples", "the recogniser of library %s is gone from the bucket", short(library))
	case errors.Is(err, series.ErrVersion):
		err = invalid("the recogniser of library %s is of another version of Tartan; train it again", short(library))
	}
	return lib, model, r, notes, err
}

// models is the cache of recognisers, made at its first use.
func (s *Suite) models() *series.Cache {
	s.recognisersOnce.Do(func() { s.recognisers = &series.Cache{Limit: modelMemory} })
	return s.recognisers
}
