package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/values"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// slotView is what a slot held.
type slotView struct {
	Slot string       `json:"slot"`
	Type pattern.Type `json:"type"`
	values.Digest
}

// valuesView is what the slots of a pattern held, in JSON.
type valuesView struct {
	ID       pattern.ID `json:"id"`
	Library  string     `json:"library"`
	From     *time.Time `json:"from,omitempty"` // what the stored periods cover
	To       *time.Time `json:"to,omitempty"`
	Lines    int64      `json:"lines"`
	Unplaced int64      `json:"unplaced,omitempty"`
	Slots    []slotView `json:"slots"`
}

func slotViews(slots []template.SlotValues, most int) []slotView {
	out := []slotView{}
	for _, s := range slots {
		out = append(out, slotView{s.Name, s.Type, s.Digest(most)})
	}
	return out
}

func (a *app) valuesCommand() *cobra.Command {
	var (
		library, slot, from, to string
		limit                   int
	)
	c := &cobra.Command{
		Use:   "values PATTERN",
		Short: "Show what the slots of a pattern held: distinct values, the most frequent, quantiles of numbers",
		Long: "Show what the slots of a pattern held: how many different values, the most frequent ones, and how numbers are spread.\n" +
			"Values are kept by the hour for the two days before the last line, then by the day, then by 30 days; a time range is\n" +
			"widened to what is kept. Durations are in milliseconds and sizes in bytes.",
		Args: exactly(1, "a pattern id"),
		RunE: func(c *cobra.Command, args []string) error {
			since, until, err := window(from, to, time.Now())
			if err != nil {
				return err
			}
			entry, err := a.index(c.Context(), library)
			if err != nil {
				return err
			}
			var report *postgres.SlotReport
			err = a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) (err error) {
				report, err = postgres.SlotValues(c.Context(), tx, entry.Index, lib.ID, pattern.ID(args[0]), since, until)
				return notFound(err, fmt.Sprintf("pattern %s in library %q", args[0], library), "tartan patterns list --library "+library)
			})
			if err != nil {
				return err
			}
			if err := only(report, slot); err != nil {
				return err
			}
			return a.printValues(library, report, limit)
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", defaultLibrary, "the library")
	f.StringVar(&slot, "slot", "", "only the slot with this name")
	f.StringVar(&from, "from", "", "begin of the time range: a time, or a span back from now (90m, 2d)")
	f.StringVar(&to, "to", "", "end of the time range")
	f.IntVarP(&limit, "limit", "n", 8, "at most so many values of each slot (up to 32)")
	return c
}

// only leaves the slot with the name in the report, if one is named.
func only(r *postgres.SlotReport, slot string) error {
	if slot == "" {
		return nil
	}
	i := slices.IndexFunc(r.Slots, func(s template.SlotValues) bool { return s.Name == slot })
	if i < 0 {
		var names []string
		for _, s := range r.Slots {
			names = append(names, s.Name)
		}
		return usage("pattern %s has no slot %q; it has %s", r.Pattern.ID, slot, strings.Join(names, ", "))
	}
	r.Slots = r.Slots[i : i+1]
	return nil
}

func (a *app) printValues(library string, r *postgres.SlotReport, most int) error {
	slots := slotViews(r.Slots, most)
	if a.json() {
		return a.printJSON(valuesView{r.Pattern.ID, library, instant(r.From), instant(r.To), r.Lines, r.Unplaced, slots})
	}
	a.say("%s lines from %s to %s (UTC): %s", count(r.Lines), shown(r.From), shown(r.To), r.Pattern.Template)
	var b strings.Builder
	for _, s := range slots {
		fmt.Fprintf(&b, "%s (%s): %s\n", s.Slot, s.Type, s.Line())
		if s.Numeric() {
			fmt.Fprintf(&b, "  %s\n", s.Spark)
		}
		for _, v := range s.Top {
			fmt.Fprintf(&b, "  %12s %5.1f %%  %s\n", count(v.Count), 100*v.Share, v.Value)
		}
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
