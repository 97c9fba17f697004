package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/pattern/series/survey"
	"github.com/tartan-ai/tartan/internal/pattern/series/table"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// seriesLibrary is the library of series where none is named.
const seriesLibrary = "series"

// seriesCommand groups what is done with series of numbers.
func (a *app) seriesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "series",
		Short: "Recognise shapes in series of numbers, and find what recurs",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.seriesTrainCommand(), a.seriesShowCommand(), a.seriesUseCommand(), a.seriesRecognizeCommand(), a.seriesMotifsCommand())
	return c
}

// oneFile wants one FILE, or at most one where stdin will do.
func oneFile(stdin bool) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 || len(args) == 0 && !stdin {
			return fmt.Errorf("%s wants one FILE, got %d", c.CommandPath(), len(args))
		}
		return nil
	}
}

func fileOf(args []string) string {
	if len(args) == 0 {
		return "-"
	}
	return args[0]
}

func (a *app) seriesTrainCommand() *cobra.Command {
	var library string
	c := &cobra.Command{
		Use:   "train FILE",
		Short: "Teach a library the shapes of named examples",
		Long: "Teach a library the shapes of named examples, one a line: its class, then its values, separated by tabs or commas, or\n" +
			"{\"class\":\"name\",\"values\":[1,2,null]}; plain, gzip or zstd. The file is stored by its content and a workflow trains on\n" +
			"it, once for the same file. What it learns is the library's next version; earlier ones stay stored.",
		Args: oneFile(false),
		RunE: func(c *cobra.Command, args []string) error { return a.seriesTrain(c.Context(), library, args[0]) },
	}
	c.Flags().StringVarP(&library, "library", "l", seriesLibrary, "the library that learns")
	return c
}

// trainReport is what --output json prints.
type trainReport struct {
	File       string `json:"file"`
	WorkflowID string `json:"workflow_id"`
	Existed    bool   `json:"existed"`
	*workflows.TrainSeriesResult
}

func (a *app) seriesTrain(ctx context.Context, library, name string) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	in, done, err := a.open(name)
	if err != nil {
		return readFailure(name, err)
	}
	defer done()
	objects, err := a.objects(ctx)
	if err != nil {
		return err
	}
	object, err := objects.Put(ctx, in)
	if err != nil {
		return fmt.Errorf("store %s in the bucket: %w", name, err)
	}
	begun := time.Now()
	source := workflows.SourceRef{Name: filepath.Base(name), ObjectKey: object.Key, SHA256: object.SHA256, Bytes: object.Size}
	id, _, existed, err := workflows.StartTraining(ctx, temporal, workflows.TrainSeriesInput{Caller: caller, Library: library, Source: source})
	if err != nil {
		return fmt.Errorf("start the workflow for %s: %w", name, err)
	}
	status, err := workflows.Wait(ctx, temporal, id, pollEvery, nil)
	if ctx.Err() != nil {
		a.say("\ndetached: the workflow goes on\n  come back: tartan workflows show%s %s", a.here(), id)
		return nil
	}
	if err != nil {
		return err
	}
	if status.Trained == nil {
		return trainFailure(name, status)
	}
	return a.printTrained(trainReport{name, id, existed, status.Trained}, time.Since(begun))
}

func trainFailure(name string, s workflows.Status) error {
	f := &failure{code: codeFailure, what: fmt.Sprintf("train on %s: %s", name, s.State), next: "tartan workflows show " + s.WorkflowID}
	if s.Failure != nil {
		f.why = errors.New(s.Failure.Message)
		if s.Failure.Type == activities.Denied {
			f.code = codeDenied
		}
	}
	return f
}

func (a *app) printTrained(r trainReport, took time.Duration) error {
	if a.json() {
		return a.printJSON(r)
	}
	err := a.table([][]string{
		{"LIBRARY", "VERSION", "METHOD", "CLASSES", "EXAMPLES", "POINTS", "LEFT-OUT ACCURACY", "SIZE"},
		{
			r.Library, fmt.Sprint(r.Version), r.Method, fmt.Sprint(r.Classes), count(r.Examples), fmt.Sprint(r.Length),
			fmt.Sprintf("%.4f", r.Accuracy), size(r.Bytes),
		},
	})
	a.say("%.1f s%s\nnext: tartan series recognize%s --library %s FILE", took.Seconds(), map[bool]string{true: ", trained before"}[r.Existed], a.here(), r.Library)
	return err
}

func (a *app) seriesShowCommand() *cobra.Command {
	var library string
	c := &cobra.Command{
		Use:   "show",
		Short: "Show what a library of series has learnt",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return a.seriesShow(c.Context(), library) },
	}
	c.Flags().StringVarP(&library, "library", "l", seriesLibrary, "the library")
	return c
}

func (a *app) seriesUseCommand() *cobra.Command {
	var e editing
	c := &cobra.Command{
		Use:   "use VERSION",
		Short: "Let another version of a library's recogniser answer, until it is trained again",
		Long: "Let another version of a library's recogniser answer, until it is trained again. It is an edit of the library: tartan patterns undo takes it\n" +
			"back, and tartan patterns history shows it.",
		Args: exactly(1, "the number of a version"),
		RunE: func(c *cobra.Command, args []string) error {
			version, err := strconv.Atoi(args[0])
			if err != nil || version < 1 {
				return usage("%q is not the number of a version; tartan series show says which there are", args[0])
			}
			return a.edit(c.Context(), &e, edit.Edit{Action: edit.Use, Version: version})
		},
	}
	e.flags(c.Flags(), false)
	c.Flags().Lookup("library").DefValue, e.library = seriesLibrary, seriesLibrary
	return c
}

// learntReport is what --output json prints.
type learntReport struct {
	Library  string        `json:"library"`
	Version  int           `json:"version"`  // that answers
	Versions int           `json:"versions"` // the highest there is
	Source   string        `json:"source"`
	Method   string        `json:"method"`
	Length   int           `json:"length"`
	Examples int64         `json:"examples"`
	Accuracy float64       `json:"accuracy"` // of left-out examples, [0, 1]
	Trained  time.Time     `json:"trained_at"`
	Patterns []learntClass `json:"patterns"`
}

type learntClass struct {
	ID       pattern.ID `json:"id"`
	Name     string     `json:"name"`            // in the training data
	Given    string     `json:"given,omitempty"` // name that a person gave
	Examples int64      `json:"examples"`
}

func (a *app) seriesShow(ctx context.Context, library string) error {
	var (
		model   postgres.SeriesModel
		classes []postgres.SeriesClass
		notes   map[pattern.ID]postgres.Note
		highest int
	)
	err := a.query(ctx, library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) (err error) {
		if model, err = latestModel(ctx, tx, lib); err == nil {
			classes, err = postgres.SeriesClasses(ctx, tx, lib.ID, model.Version)
		}
		if err == nil {
			notes, err = postgres.PatternNotes(ctx, tx, lib.ID)
		}
		if err == nil {
			highest, err = postgres.SeriesVersions(ctx, tx, lib.ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	r := learntReport{
		Library: library, Version: model.Version, Versions: highest, Source: model.SourceName, Method: model.Method, Length: model.Length,
		Examples: model.Examples, Accuracy: model.Accuracy, Trained: model.CreatedAt,
	}
	rows := [][]string{{"PATTERN", "CLASS", "NAME", "EXAMPLES"}}
	for _, c := range classes {
		r.Patterns = append(r.Patterns, learntClass{c.PatternID, c.Name, notes[c.PatternID].Name, c.Examples})
		rows = append(rows, []string{string(c.PatternID), c.Name, cmp.Or(notes[c.PatternID].Name, "-"), count(c.Examples)})
	}
	if a.json() {
		return a.printJSON(r)
	}
	a.say("version %d (the highest is %d) of %s from %s, %s: method %s, windows of %d points, left-out accuracy %.4f", r.Version, r.Versions, library, r.Source, shown(r.Trained), r.Method, r.Length, r.Accuracy)
	return a.table(rows)
}

func latestModel(ctx context.Context, tx pgx.Tx, lib postgres.Library) (postgres.SeriesModel, error) {
	model, err := postgres.SeriesModelInUse(ctx, tx, lib.ID)
	return model, notFound(err, fmt.Sprintf("a recogniser in library %q", lib.Name), "tartan series train FILE --library "+lib.Name)
}

func (a *app) seriesRecognizeCommand() *cobra.Command {
	var library string
	c := &cobra.Command{
		Use:   "recognize [FILE]",
		Short: "Say which known shape each window is (windows from FILE or stdin)",
		Long: "Say which known shape each window is. A line is a window: its numbers, separated by spaces or commas, NaN where one is\n" +
			"missing, or a JSON list. The answer is one line each, in order: pattern or unknown, confidence, why. With --output\n" +
			"json it is one JSON object a line.",
		Args: oneFile(true),
		RunE: func(c *cobra.Command, args []string) error {
			return a.seriesRecognize(c.Context(), library, fileOf(args))
		},
	}
	c.Flags().StringVarP(&library, "library", "l", seriesLibrary, "the library to recognise with")
	return c
}

func (a *app) seriesRecognize(ctx context.Context, library, name string) error {
	r, err := a.recogniser(ctx, library)
	if err != nil {
		return err
	}
	in, done, err := a.open(name)
	if err != nil {
		return readFailure(name, err)
	}
	defer done()
	windows, err := table.Windows(bufio.NewReaderSize(in, 1<<16), table.Limits{})
	if err != nil {
		return readFailure(name, err)
	}
	out := bufio.NewWriter(a.out)
	for i, w := range windows {
		got, err := r.Recognise(w)
		if err != nil {
			return &failure{code: codeFailure, what: fmt.Sprintf("window %d of %s", i+1, name), why: err}
		}
		if err := a.printShape(out, got); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (a *app) printShape(w *bufio.Writer, got series.Recognition) error {
	if a.json() {
		return json.NewEncoder(w).Encode(got)
	}
	name := got.Class
	if !got.Known {
		name = "unknown"
	}
	_, err := fmt.Fprintf(w, "%s\t%.2f\t%s\n", name, got.Confidence, got.Why())
	return err
}

// recogniser reads the one that a library answers with, after the database has said that the caller may.
func (a *app) recogniser(ctx context.Context, library string) (*series.Recogniser, error) {
	var model postgres.SeriesModel
	err := a.query(ctx, library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) (err error) {
		model, err = latestModel(ctx, tx, lib)
		return err
	})
	if err != nil {
		return nil, err
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return nil, err
	}
	data, err := objects.ReadAll(ctx, model.ModelKey, series.MaxEncoded)
	if err != nil {
		return nil, fmt.Errorf("read the recogniser: %w", err)
	}
	return series.Decode(data)
}

func (a *app) seriesMotifsCommand() *cobra.Command {
	var o survey.Options
	c := &cobra.Command{
		Use:   "motifs [FILE]",
		Short: "Find what recurs, what stands out and what changes in one long series",
		Long: "Find what recurs in one long series (motifs), which windows are unlike all others (discords), and where its level,\n" +
			"spread or shape changes. Numbers come from FILE or stdin, separated by spaces, commas or lines, NaN where one is\n" +
			"missing. It runs in this process, without a server.",
		Args: oneFile(true),
		RunE: func(_ *cobra.Command, args []string) error { return a.seriesMotifs(fileOf(args), o) },
	}
	c.Flags().IntVarP(&o.Window, "window", "w", 0, "points of a shape; 0 chooses the length at which something recurs most clearly")
	c.Flags().IntVarP(&o.Top, "top", "n", 3, "the most motifs and discords")
	return c
}

func (a *app) seriesMotifs(name string, o survey.Options) error {
	in, done, err := a.open(name)
	if err != nil {
		return readFailure(name, err)
	}
	defer done()
	values, err := table.Series(bufio.NewReaderSize(in, 1<<16), survey.MaxPoints)
	if err != nil {
		return readFailure(name, err)
	}
	r, err := survey.Of(values, o)
	if err != nil {
		return &failure{code: codeFailure, what: "look over " + name, why: err, next: "tartan series motifs --help"}
	}
	if a.json() {
		return a.printJSON(r)
	}
	rows := [][]string{{"KIND", "AT", "LIKENESS", ""}}
	for _, m := range r.Motifs {
		rows = append(rows, []string{"motif", fmt.Sprint(m.Starts), fmt.Sprintf("%.3f", m.Likeness), fmt.Sprintf("%d times, distance %.3f", len(m.Starts), m.Distance)})
	}
	for _, d := range r.Discords {
		rows = append(rows, []string{"discord", fmt.Sprint(d.Start), fmt.Sprintf("%.3f", d.Likeness), fmt.Sprintf("distance %.3f", d.Distance)})
	}
	for _, c := range r.Changes {
		rows = append(rows, []string{"change", fmt.Sprint(c.At), "-", fmt.Sprintf("median %.4g to %.4g, deviation %.4g to %.4g, p %.1g", c.Median[0], c.Median[1], c.Deviation[0], c.Deviation[1], c.P)})
	}
	a.say("%s values, %s missing, window %d", count(int64(len(values))), count(int64(r.Missing)), r.Window)
	return a.table(rows)
}
