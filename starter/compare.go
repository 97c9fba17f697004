package main

import (
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type windowView struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

type changeView struct {
	Kind         string     `json:"kind"` // new, gone, up or down
	ID           pattern.ID `json:"id"`
	Name         string     `json:"name,omitempty"`
	Template     string     `json:"template"`
	Before       int64      `json:"before"`
	After        int64      `json:"after"`
	Ratio        *float64   `json:"ratio,omitempty"` // rate after / rate before; left out for a new pattern
	Significance float64    `json:"significance"`
}

func (a *app) compareCommand() *cobra.Command {
	var (
		library, from, to, baseFrom, baseTo string
		q                                   postgres.Compare
	)
	c := &cobra.Command{
		Use:   "compare",
		Short: "What is new, gone or changed in rate between two time ranges",
		Long: "What is new, gone or changed in rate between two time ranges, the most significant first.\n" +
			"By default the last day is compared with the day before it.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := windows(&q, from, to, baseFrom, baseTo, time.Now()); err != nil {
				return err
			}
			var changes []postgres.WindowChange
			err := a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) (err error) {
				q.Library = lib.ID
				changes, err = postgres.CompareWindows(c.Context(), tx, q)
				return err
			})
			if err != nil {
				return err
			}
			return a.printChanges(library, q, changes)
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", defaultLibrary, "the library")
	f.StringVar(&from, "from", "24h", "begin of the later range: a time, or a span back from now (90m, 2d)")
	f.StringVar(&to, "to", "", "end of the later range (default now)")
	f.StringVar(&baseFrom, "base-from", "", "begin of the base range (default as long as the later range)")
	f.StringVar(&baseTo, "base-to", "", "end of the base range (default the begin of the later range)")
	f.Int64Var(&q.MinLines, "min-lines", 1, "leave out patterns with fewer lines in both ranges")
	f.Float64Var(&q.MinRatio, "min-ratio", 1.5, "the factor by which a rate must have changed")
	f.IntVarP(&q.Limit, "limit", "n", 50, "at most so many (1 to 1000)")
	return c
}

// windows fills the two ranges of q.
func windows(q *postgres.Compare, from, to, baseFrom, baseTo string, now time.Time) (err error) {
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

func (a *app) printChanges(library string, q postgres.Compare, changes []postgres.WindowChange) error {
	if a.json() {
		out := struct {
			Library string       `json:"library"`
			Base    windowView   `json:"base"`
			Window  windowView   `json:"window"`
			Changes []changeView `json:"changes"`
		}{library, windowView{q.BaseFrom.UTC(), q.BaseTo.UTC()}, windowView{q.From.UTC(), q.To.UTC()}, []changeView{}}
		for _, c := range changes {
			v := changeView{Kind: c.Kind, ID: c.ID, Name: c.Name, Template: c.Template, Before: c.Before, After: c.After, Significance: math.Round(c.Significance*100) / 100}
			if !math.IsInf(c.Ratio, 0) && !math.IsNaN(c.Ratio) {
				v.Ratio = &c.Ratio
			}
			out.Changes = append(out.Changes, v)
		}
		return a.printJSON(out)
	}
	a.say("%s to %s, against %s to %s (UTC)", shown(q.From), shown(q.To), shown(q.BaseFrom), shown(q.BaseTo))
	table := [][]string{{"CHANGE", "BEFORE", "AFTER", "RATIO", "PATTERN", "TEMPLATE"}}
	for _, c := range changes {
		ratio := "-"
		if !math.IsInf(c.Ratio, 0) && !math.IsNaN(c.Ratio) {
			ratio = fmt.Sprintf("%.2f", c.Ratio)
		}
		table = append(table, []string{c.Kind, count(c.Before), count(c.After), ratio, string(c.ID), clip(title(c.Name, c.Template), max(width(a.out, 160)-60, 30))})
	}
	return a.table(table)
}
