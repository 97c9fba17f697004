package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// defaultLibrary is where patterns go when no library is named.
const defaultLibrary = "default"

// sparkWidth is how many characters a sparkline has.
const sparkWidth = 24

// patternView is a pattern in JSON.
type patternView struct {
	ID          pattern.ID     `json:"id"`
	Name        string         `json:"name,omitempty"`
	Description string         `json:"description,omitempty"`
	Tags        []string       `json:"tags,omitempty"`
	Owner       string         `json:"owner,omitempty"`
	Severity    string         `json:"severity,omitempty"`
	Ignored     bool           `json:"ignored,omitempty"`
	Origin      pattern.Origin `json:"origin,omitempty"` // own, merged, split or pinned; left out for mined
	Template    string         `json:"template"`
	Slots       []pattern.Slot `json:"slots"`
	State       string         `json:"state,omitempty"`
	Lines       int64          `json:"lines"`
	FirstSeen   *time.Time     `json:"first_seen,omitempty"`
	LastSeen    *time.Time     `json:"last_seen,omitempty"`
	Version     int            `json:"version,omitempty"`
	// CountedSince is since when lines are told apart by a value that shapes mask, where the pattern needs one.
	CountedSince *time.Time    `json:"counted_since,omitempty"`
	Aliases      []pattern.ID  `json:"aliases,omitempty"`
	Histogram    []bucketView  `json:"histogram,omitempty"`
	Examples     []exampleView `json:"examples,omitempty"`
	Values       []slotView    `json:"values,omitempty"`
}

type bucketView struct {
	Start time.Time `json:"start"`
	Lines int64     `json:"lines"`
}

type exampleView struct {
	Line string    `json:"line"`
	At   time.Time `json:"at"`
}

func viewOf(r postgres.PatternRow, histogram []postgres.Bucket) patternView {
	v := patternView{
		ID: r.ID, Name: r.Name, Description: r.Description, Tags: r.Tags, Owner: r.Owner, Severity: r.Severity, Ignored: r.Ignored,
		Origin: r.Origin, Template: r.Template, Slots: r.Slots, State: r.State,
		Lines: r.Lines, FirstSeen: instant(r.FirstSeen), LastSeen: instant(r.LastSeen), Version: r.Version, Aliases: r.Aliases,
	}
	for _, b := range histogram {
		v.Histogram = append(v.Histogram, bucketView{b.Start, b.Lines})
	}
	return v
}

// instant is t for JSON, where the zero time is left out.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *app) patternsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "patterns",
		Short: "Mine, cluster, list, show, compare and edit patterns",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.mineCommand(), a.listCommand(), a.showCommand(), a.compareCommand(), a.valuesCommand(), a.sequencesCommand())
	c.AddCommand(a.drawCommand(), a.exportCommand(), a.tryCommand(), a.similarCommand(), a.clusterCommand())
	c.AddCommand(a.editCommands()...)
	return c
}

// query runs fn in a transaction as the caller, with the library found by its name.
func (a *app) query(ctx context.Context, library string, fn func(tx pgx.Tx, caller access.Caller, lib postgres.Library) error) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	return postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, caller.WorkspaceID, library)
		if err != nil {
			return notFound(err, fmt.Sprintf("library %q", library), "tartan patterns mine FILE --library "+library)
		}
		return fn(tx, caller, lib)
	})
}

func (a *app) listCommand() *cobra.Command {
	var (
		library, since, until string
		l                     postgres.ListPatterns
	)
	c := &cobra.Command{
		Use:   "list",
		Short: "List patterns with their counts",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if l.Since, l.Until, err = window(since, until, time.Now()); err != nil {
				return err
			}
			var (
				rows       []postgres.PatternRow
				histograms map[pattern.ID][]postgres.Bucket
				next       string
			)
			err = a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) error {
				l.Library = lib.ID
				if rows, next, err = postgres.Patterns(c.Context(), tx, l); err != nil {
					return err
				}
				histograms, err = histogramsOf(c.Context(), tx, lib.ID, rows, l.Since, l.Until)
				return err
			})
			if err != nil {
				return err
			}
			return a.printPatterns(library, rows, histograms, next)
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", defaultLibrary, "the library")
	f.StringVarP(&l.Query, "query", "q", "", "only patterns whose template or name has this text, or that have this tag")
	f.StringVar(&l.Sort, "sort", "lines", "lines, recent, new or name")
	f.StringVar(&since, "since", "", "seen at or after: a time, or a span back from now (90m, 2d)")
	f.StringVar(&until, "until", "", "first seen before")
	f.StringVar(&l.State, "state", "", "active (default) or retired")
	f.IntVarP(&l.Limit, "limit", "n", 50, "at most so many (1 to 1000)")
	f.StringVar(&l.After, "after", "", "the cursor that the page before ended with")
	f.BoolVar(&l.Ignored, "ignored", false, "ignored patterns too")
	return c
}

// window reads a time range; both ends may be open.
func window(since, until string, now time.Time) (from, to time.Time, err error) {
	if from, err = parseTime(since, now); err != nil {
		return from, to, err
	}
	if to, err = parseTime(until, now); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, usage("the time range ends (%s) before it begins (%s)", shown(to), shown(from))
	}
	return from, to, nil
}

func histogramsOf(ctx context.Context, tx pgx.Tx, library uuid.UUID, rows []postgres.PatternRow, since, until time.Time) (map[pattern.ID][]postgres.Bucket, error) {
	ids := make([]pattern.ID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return postgres.Histograms(ctx, tx, library, ids, since, until, sparkWidth)
}

func (a *app) printPatterns(library string, rows []postgres.PatternRow, histograms map[pattern.ID][]postgres.Bucket, next string) error {
	if a.json() {
		out := struct {
			Library  string        `json:"library"`
			Patterns []patternView `json:"patterns"`
			Next     string        `json:"next,omitempty"`
		}{library, []patternView{}, next}
		for _, r := range rows {
			out.Patterns = append(out.Patterns, viewOf(r, histograms[r.ID]))
		}
		return a.printJSON(out)
	}
	room := max(width(a.out, 160)-70, 30)
	table := [][]string{{"PATTERN", "LINES", "LAST SEEN", "OVER TIME", "TEMPLATE"}}
	for _, r := range rows {
		table = append(table, []string{string(r.ID), count(r.Lines), shown(r.LastSeen), line(histograms[r.ID]), clip(title(r.Name, r.Template), room)})
	}
	if err := a.table(table); err != nil {
		return err
	}
	if next != "" {
		a.say("more: tartan patterns list%s --library %s --after %s", a.here(), library, next)
	}
	return nil
}

// title is the name of a pattern, or its template where it has none.
func title(name, template string) string {
	if name == "" {
		return template
	}
	return name + ": " + template
}

func line(buckets []postgres.Bucket) string {
	counts := make([]int64, len(buckets))
	for i, b := range buckets {
		counts[i] = b.Lines
	}
	return sparkline(counts)
}

func (a *app) showCommand() *cobra.Command {
	var library, since, until string
	c := &cobra.Command{
		Use:   "show PATTERN",
		Short: "Show one pattern: slots, counts over time, examples",
		Args:  exactly(1, "a pattern id"),
		RunE: func(c *cobra.Command, args []string) error {
			from, to, err := window(since, until, time.Now())
			if err != nil {
				return err
			}
			var v patternView
			err = a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) error {
				row, err := postgres.PatternByID(c.Context(), tx, lib.ID, pattern.ID(args[0]))
				if err != nil {
					return notFound(err, fmt.Sprintf("pattern %s in library %q", args[0], library), "tartan patterns list --library "+library)
				}
				histogram, err := postgres.Histogram(c.Context(), tx, lib.ID, row.ID, from, to, sparkWidth)
				if err != nil {
					return err
				}
				since, err := postgres.CountedSince(c.Context(), tx, lib.ID, row)
				if err != nil {
					return err
				}
				examples, err := postgres.Examples(c.Context(), tx, lib.ID, row.ID, 5)
				v = viewOf(row, histogram)
				if !since.IsZero() {
					v.CountedSince = &since
				}
				for _, e := range examples {
					v.Examples = append(v.Examples, exampleView{e.Line, e.At.UTC()})
				}
				return err
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(v)
			}
			return a.printPattern(v)
		},
	}
	c.Flags().StringVarP(&library, "library", "l", defaultLibrary, "the library")
	c.Flags().StringVar(&since, "since", "", "counts from this time on")
	c.Flags().StringVar(&until, "until", "", "counts up to this time")
	return c
}

func (a *app) printPattern(v patternView) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", v.ID, v.Template)
	if v.Name != "" {
		fmt.Fprintf(&b, "name      %s\n", v.Name)
	}
	ignored := ""
	if v.Ignored {
		ignored = "yes"
	}
	for _, f := range [][2]string{
		{"about", v.Description}, {"tags", strings.Join(v.Tags, ", ")}, {"owner", v.Owner}, {"severity", v.Severity}, {"origin", string(v.Origin)}, {"ignored", ignored},
	} {
		if f[1] != "" {
			fmt.Fprintf(&b, "%-9s %s\n", f[0], f[1])
		}
	}
	fmt.Fprintf(&b, "lines     %s\nseen      %s to %s\n", count(v.Lines), shownPointer(v.FirstSeen), shownPointer(v.LastSeen))
	if v.CountedSince != nil {
		fmt.Fprintf(&b, "counted   since %s: of what was read before, its lines are with the patterns they had then\n", shown(*v.CountedSince))
	}
	counts := make([]int64, len(v.Histogram))
	for i, h := range v.Histogram {
		counts[i] = h.Lines
	}
	fmt.Fprintf(&b, "over time %s\n", sparkline(counts))
	if len(v.Aliases) > 0 {
		fmt.Fprintf(&b, "earlier   %s\n", strings.Trim(fmt.Sprint(v.Aliases), "[]"))
	}
	for _, s := range v.Slots {
		fmt.Fprintf(&b, "slot      %s (%s)\n", s.Name, s.Type)
	}
	for _, e := range v.Examples {
		fmt.Fprintf(&b, "example   %s\n", strings.ReplaceAll(e.Line, "\n", "\n          ")) // a stack trace has several lines
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

func shownPointer(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return shown(*t)
}

// exactly wants n arguments and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s wants %s, got %d arguments", c.CommandPath(), what, len(args))
		}
		return nil
	}
}
