package main

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/windows"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type windowView struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

type changeView struct {
	Kind         string     `json:"kind"` // new, gone, up, down, rare, silent; or drift or values, of a slot
	ID           pattern.ID `json:"id"`
	Name         string     `json:"name,omitempty"`
	Template     string     `json:"template"`
	Before       int64      `json:"before"`
	After        int64      `json:"after"`
	Expected     float64    `json:"expected"`        // lines in the later range, by the base
	Spread       float64    `json:"spread"`          // standard deviation of what was to be expected
	Ratio        float64    `json:"ratio,omitempty"` // rate after / rate before; left out where one is none
	Significance float64    `json:"significance"`    // in standard deviations
	QuietSeconds int64      `json:"quiet_seconds,omitempty"`
	Slot         *slotShift `json:"slot,omitempty"` // of drift and values
}

type slotShift struct {
	Name   string     `json:"name"`
	Held   string     `json:"held"`           // how its numbers went, or which values are new, in a line
	Unit   string     `json:"unit,omitempty"` // of the numbers: ms or bytes
	PSI    float64    `json:"psi,omitempty"`  // population stability index of the numbers
	Before slotSide   `json:"before"`
	After  slotSide   `json:"after"`
	New    []newValue `json:"new,omitempty"` // the most frequent first
}

type slotSide struct {
	Values   int64   `json:"values"`
	Distinct int64   `json:"distinct"`
	P50      float64 `json:"p50,omitempty"`
	P95      float64 `json:"p95,omitempty"`
}

type newValue struct {
	Value string `json:"value"`
	Lines int64  `json:"lines"`
}

func shift(c *postgres.SlotChange) *slotShift {
	if c == nil {
		return nil
	}
	side := func(s postgres.SlotSide) slotSide {
		return slotSide{s.Count, s.Distinct, hundredths(s.P50), hundredths(s.P95)}
	}
	out := &slotShift{Name: c.Slot.Name, Held: c.Held(), Unit: c.Unit.String(), PSI: hundredths(c.PSI), Before: side(c.Before), After: side(c.After)}
	for _, v := range c.New {
		out.New = append(out.New, newValue{v.Text(), v.Count})
	}
	return out
}

type comparisonView struct {
	Library  string       `json:"library"`
	Baseline string       `json:"baseline"` // that was used
	Base     []windowView `json:"base"`
	Window   windowView   `json:"window"`
	Past     int          `json:"past"` // comparable ranges that the spread comes from
	Changes  []changeView `json:"changes"`
}

func (a *app) compareCommand() *cobra.Command {
	var (
		library, from, to, baseFrom, baseTo string
		q                                   postgres.Compare
	)
	c := &cobra.Command{
		Use:   "compare",
		Short: "What is new, gone, up, down, rare or silent in a time range, and which slots hold something else",
		Long: "What is new, gone, up, down, rare or silent in a time range, and the slots whose numbers drifted or that hold new\n" +
			"values, the most significant first.\n" +
			"By default the last day is compared with the day before it; --baseline seasonal compares with the same hours of\n" +
			"the same weekday in the last up to 4 weeks. How it is decided: docs/analysis.md.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := ranges(&q, from, to, baseFrom, baseTo, time.Now()); err != nil {
				return err
			}
			entry, err := a.index(c.Context(), library)
			if err != nil && !errors.Is(err, errTexts) {
				return err
			}
			if err == nil {
				q.Index = entry.Index
			}
			var found *postgres.Comparison
			err = a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) (err error) {
				q.Library = lib.ID
				found, err = postgres.CompareWindows(c.Context(), tx, q)
				return err
			})
			if err != nil {
				return err
			}
			return a.printChanges(library, q.Baseline, found)
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", defaultLibrary, "the library")
	f.StringVar(&from, "from", "24h", "begin of the later range: a time, or a span back from now (90m, 2d)")
	f.StringVar(&to, "to", "", "end of the later range (default now)")
	f.StringVar(&baseFrom, "base-from", "", "begin of the base range (default as long as the later range)")
	f.StringVar(&baseTo, "base-to", "", "end of the base range (default the begin of the later range)")
	f.StringVar(&q.Baseline, "baseline", postgres.BaselinePrevious, "previous or seasonal")
	f.Int64Var(&q.MinLines, "min-lines", 0, "floor on volume (default 10 lines seen or expected, 1 for new ones)")
	f.Float64Var(&q.MinRatio, "min-ratio", windows.DefaultMinRatio, "the factor by which a rate must have changed")
	f.BoolVar(&q.Ignored, "ignored", false, "ignored patterns too")
	f.IntVarP(&q.Limit, "limit", "n", 50, "at most so many (1 to 1000)")
	return c
}

// ranges fills the two ranges of q.
func ranges(q *postgres.Compare, from, to, baseFrom, baseTo string, now time.Time) (err error) {
	if q.Baseline != postgres.BaselinePrevious && q.Baseline != postgres.BaselineSeasonal {
		return usage("--baseline %q: want previous or seasonal", q.Baseline)
	}
	if q.Baseline == postgres.BaselineSeasonal && baseFrom+baseTo != "" {
		return usage("--base-from and --base-to go with --baseline previous")
	}
	if q.From, err = parseTime(from, now); err != nil {
		return err
	}
	if q.To, err = parseTime(to, now); err != nil {
		return err
	}
	if q.To.IsZero() {
		q.To = now
	}
	if q.BaseTo, err = parseTime(baseTo, now); err != nil {
		return err
	}
	if q.BaseTo.IsZero() {
		q.BaseTo = q.From
	}
	if q.BaseFrom, err = parseTime(baseFrom, now); err != nil {
		return err
	}
	if q.BaseFrom.IsZero() {
		q.BaseFrom = q.BaseTo.Add(q.From.Sub(q.To))
	}
	if !q.From.Before(q.To) || !q.BaseFrom.Before(q.BaseTo) {
		return usage("a time range must begin before it ends: %s to %s, base %s to %s", shown(q.From), shown(q.To), shown(q.BaseFrom), shown(q.BaseTo))
	}
	return nil
}

func (a *app) printChanges(library, asked string, found *postgres.Comparison) error {
	out := comparisonView{
		Library: library, Baseline: found.Baseline, Window: windowView{found.Window.From, found.Window.To}, Past: found.Past, Changes: []changeView{},
	}
	for _, b := range found.Base {
		out.Base = append(out.Base, windowView{b.From, b.To})
	}
	for _, c := range found.Changes {
		out.Changes = append(out.Changes, changeView{
			Kind: string(c.Kind), ID: c.ID, Name: c.Name, Template: c.Template, Before: c.Before, After: c.After, Expected: hundredths(c.Expected),
			Spread: hundredths(c.Spread), Ratio: hundredths(c.Ratio), Significance: hundredths(c.Significance), QuietSeconds: int64(c.Quiet / time.Second),
			Slot: shift(c.Slot),
		})
	}
	if found.Baseline != asked {
		a.say("no line in the same hours of the weeks before: compared with the previous range")
	}
	if found.SlotsCut {
		a.say("slots compared of the 1,000 patterns with the most lines")
	}
	if a.json() {
		return a.printJSON(out)
	}
	a.say("%s to %s, against %s (UTC)", shown(out.Window.From), shown(out.Window.To), against(out.Base))
	table := [][]string{{"CHANGE", "EXPECTED", "AFTER", "RATIO", "Z", "PATTERN", "TEMPLATE"}}
	for _, c := range out.Changes {
		ratio := "-"
		if c.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", c.Ratio)
		}
		expected := fmt.Sprintf("%.4g ± %.3g", c.Expected, c.Spread)
		text := title(c.Name, c.Template)
		if c.Slot != nil {
			text = c.Slot.Name + ": " + c.Slot.Held + "  " + text
		}
		if c.Kind == string(postgres.SlotDrift) {
			expected = "-"
		}
		table = append(table, []string{
			c.Kind, expected, count(c.After), ratio, fmt.Sprintf("%.1f", c.Significance), string(c.ID),
			clip(text, max(width(a.out, 160)-76, 30)),
		})
	}
	return a.table(table)
}

func against(base []windowView) string {
	if len(base) == 1 {
		return shown(base[0].From) + " to " + shown(base[0].To)
	}
	return fmt.Sprintf("the same hours of %d weeks before", len(base))
}

func hundredths(f float64) float64 { return math.Round(f*100) / 100 }
