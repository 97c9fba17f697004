package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/pattern/series/table"
)

// benchCommand groups measurements that run in this process, without a server.
func (a *app) benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure recognition, search and the choice of models on data of your own",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.benchSeriesCommand(), a.benchRetrievalCommand(), a.benchRoutingCommand())
	return c
}

func (a *app) benchSeriesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "series DIR",
		Short: "Train and test on sets of labelled series, as the UCR archive has them",
		Long: "Train on DIR/<set>/<set>_TRAIN.tsv and test on DIR/<set>/<set>_TEST.tsv, for each set in DIR: one series a line, its\n" +
			"class first, values separated by tabs, NaN where one is missing or the series has ended. The accuracy is the share of\n" +
			"the test series whose most likely class is theirs; p50_ms is the median time of one recognition on one core.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s wants one DIR, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.benchSeries(c.Context(), args[0]) },
	}
}

// seriesScore is the result of one set.
type seriesScore struct {
	Accuracy float64 `json:"accuracy"` // [0, 1]
	P50      float64 `json:"p50_ms"`   // milliseconds
}

// seriesScores is what --output json prints; sets are in the order of their names.
type seriesScores struct {
	Sets map[string]seriesScore `json:"sets"`
	Mean float64                `json:"mean"` // accuracy
}

func (a *app) benchSeries(ctx context.Context, dir string) error {
	names, err := seriesSets(dir)
	if err != nil {
		return err
	}
	out := seriesScores{Sets: map[string]seriesScore{}}
	for _, name := range names {
		score, err := a.benchSet(ctx, dir, name)
		if err != nil {
			return err
		}
		out.Sets[name] = score
		out.Mean += score.Accuracy / float64(len(names))
	}
	if a.json() {
		return a.printJSON(out)
	}
	rows := [][]string{{"SET", "ACCURACY", "P50 MS"}}
	for _, name := range names {
		rows = append(rows, []string{name, fmt.Sprintf("%.4f", out.Sets[name].Accuracy), fmt.Sprintf("%.3f", out.Sets[name].P50)})
	}
	return a.table(append(rows, []string{"mean", fmt.Sprintf("%.4f", out.Mean), ""}))
}

// seriesSets are the folders of dir that hold a training file named after them.
func seriesSets(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, readFailure(dir, err)
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(setFile(dir, e.Name(), "TRAIN")); err == nil {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, &failure{
			code: codeNotFound, what: "no set of series in " + dir,
			next: "name a folder that holds <set>/<set>_TRAIN.tsv and <set>/<set>_TEST.tsv",
		}
	}
	return names, nil
}

func setFile(dir, set, part string) string {
	return filepath.Join(dir, set, set+"_"+part+".tsv")
}

// benchSet trains and tests on one set.
func (a *app) benchSet(ctx context.Context, dir, name string) (seriesScore, error) {
	train, err := a.examples(setFile(dir, name, "TRAIN"), table.Limits{})
	if err != nil {
		return seriesScore{}, err
	}
	test, err := a.examples(setFile(dir, name, "TEST"), table.Limits{})
	if err != nil {
		return seriesScore{}, err
	}
	begun := time.Now()
	r, err := series.Train(ctx, train, series.Options{})
	if err != nil {
		return seriesScore{}, fmt.Errorf("train on %s: %w", name, err)
	}
	a.say("%s: %d examples of %d classes, %s, trained in %.1f s", name, len(train), len(r.Classes()), r.Method(), time.Since(begun).Seconds())
	score, err := testSeries(ctx, r, test)
	if err != nil {
		return seriesScore{}, fmt.Errorf("%s: %w", setFile(dir, name, "TEST"), err)
	}
	a.say("%s: %d tested, accuracy %.4f, %.3f ms each", name, len(test), score.Accuracy, score.P50)
	return score, nil
}

func testSeries(ctx context.Context, r *series.Recogniser, test []series.Example) (seriesScore, error) {
	var (
		times = make([]time.Duration, 0, len(test))
		right int
	)
	for i, e := range test {
		if err := ctx.Err(); err != nil {
			return seriesScore{}, err
		}
		begun := time.Now()
		got, err := r.Recognise(e.Values)
		times = append(times, time.Since(begun))
		if err != nil {
			return seriesScore{}, fmt.Errorf("example %d: %w", i+1, err)
		}
		if got.Class == e.Class {
			right++
		}
	}
	slices.Sort(times)
	return seriesScore{Accuracy: float64(right) / float64(len(test)), P50: float64(times[len(times)/2]) / float64(time.Millisecond)}, nil
}

// examples reads labelled series from a file, or from stdin for "-".
func (a *app) examples(name string, limits table.Limits) ([]series.Example, error) {
	in, done, err := a.open(name)
	if err != nil {
		return nil, readFailure(name, err)
	}
	defer done()
	out, err := table.Read(bufio.NewReaderSize(in, 1<<16), limits)
	if err != nil {
		f := classify(err, true)
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		return nil, &failure{code: f.code, what: "read " + name, why: err, next: "one series a line: its class, then its values, separated by tabs or commas"}
	}
	return out, nil
}
