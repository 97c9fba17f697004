package main

import (
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/chart"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// drawnView is what --output json prints of a picture.
type drawnView struct {
	Library string     `json:"library"`
	ID      pattern.ID `json:"id,omitempty"` // absent for an overview
	File    string     `json:"file,omitempty"`
	SVG     string     `json:"svg,omitempty"` // where no file is written
}

func (a *app) drawCommand() *cobra.Command {
	var (
		library, since, until, file string
		small                       bool
		points, limit               int
	)
	c := &cobra.Command{
		Use:   "draw [PATTERN]",
		Short: "Draw a pattern's lines over time, or an overview of the library, as SVG",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s wants at most one pattern id, got %d arguments", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			from, to, err := window(since, until, time.Now())
			if err != nil {
				return err
			}
			view := drawnView{Library: library, File: file}
			var svg []byte
			err = a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) error {
				if len(args) == 0 {
					rows, histograms, err := postgres.BusiestPatterns(c.Context(), tx, lib.ID, from, to, limit, points)
					svg = overview(library, rows, histograms)
					return err
				}
				row, err := postgres.PatternByID(c.Context(), tx, lib.ID, pattern.ID(args[0]))
				if err != nil {
					return notFound(err, fmt.Sprintf("pattern %s in library %q", args[0], library), "tartan patterns list --library "+library)
				}
				histogram, err := postgres.Histogram(c.Context(), tx, lib.ID, row.ID, from, to, points)
				view.ID = row.ID
				if svg = chart.Timeline(row.Name, row.Template, drawable(histogram)); small {
					svg = chart.Sparkline(row.Template, drawable(histogram))
				}
				return err
			})
			if err != nil {
				return err
			}
			return a.deliver(view, svg)
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", defaultLibrary, "the library")
	f.StringVarP(&file, "file", "f", "", "write to this file instead of stdout")
	f.StringVar(&since, "since", "", "from this time on (default the first line): a time, or a span back from now (90m, 2d)")
	f.StringVar(&until, "until", "", "up to this time (default the last line)")
	f.BoolVar(&small, "sparkline", false, "without axes, 160 by 28")
	f.IntVar(&points, "points", 96, "at most so many points")
	f.IntVarP(&limit, "limit", "n", 12, "patterns of an overview (1 to 1000)")
	return c
}

func overview(library string, rows []postgres.PatternRow, histograms map[pattern.ID][]postgres.Bucket) []byte {
	out := make([]chart.Row, len(rows))
	for i, row := range rows {
		out[i] = chart.Row{Name: row.Name, Template: row.Template, Points: drawable(histograms[row.ID])}
	}
	return chart.Overview("library "+library, out)
}

func drawable(buckets []postgres.Bucket) []chart.Point {
	out := make([]chart.Point, len(buckets))
	for i, b := range buckets {
		out[i] = chart.Point(b)
	}
	return out
}

// deliver writes a picture to its file, or to stdout.
func (a *app) deliver(view drawnView, svg []byte) error {
	if view.File != "" {
		if err := os.WriteFile(view.File, svg, 0o644); err != nil {
			return fmt.Errorf("write the picture: %w", err)
		}
	}
	switch {
	case a.json():
		if view.File == "" {
			view.SVG = string(svg)
		}
		return a.printJSON(view)
	case view.File != "":
		a.say("%s: %d bytes", view.File, len(svg))
		return nil
	}
	_, err := a.out.Write(svg)
	return err
}
