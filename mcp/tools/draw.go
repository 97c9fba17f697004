package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/chart"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// PictureType is the MIME type of pictures.
const PictureType = "image/svg+xml"

const (
	pictureSuffix = ".svg"
	// timelinePoints is how many points a timeline has at most; sparkPoints how many a sparkline.
	timelinePoints = 96
	sparkPoints    = 40
	overviewRows   = 12
)

type drawArgs struct {
	ID      string  `json:"id" doc:"Pattern id" note:"Without it, an overview of the library's most frequent patterns"`
	Kind    string  `json:"kind" enum:"timeline|sparkline" default:"timeline"`
	Since   instant `json:"since" doc:"Time or age, like 24h" note:"From the first line if not given"`
	Until   instant `json:"until" note:"To the last line if not given"`
	Library string  `json:"library" default:"default"`
}

type drawn struct {
	Library  string     `json:"library"`
	ID       pattern.ID `json:"id,omitempty"`
	Lines    int64      `json:"lines"` // drawn
	From     string     `json:"from,omitempty"`
	To       string     `json:"to,omitempty"`
	Resource string     `json:"resource"` // address of the picture as it is now
}

// drawing is what is asked for.
type drawing struct {
	library, kind string
	id            pattern.ID
	since, until  time.Time
}

func (s *Suite) drawPattern() Tool {
	return defineRaw[drawArgs, drawn](Tool{
		Name: "draw_pattern", Title: "Draw a pattern", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Draw a pattern's lines over time as SVG, or an overview of the library.",
	}, func(ctx context.Context, c Call, in drawArgs) (Result, error) {
		now := time.Now()
		d := drawing{in.Library, in.Kind, pattern.ID(in.ID), in.Since.from(now), in.Until.from(now)}
		if !d.since.IsZero() && !d.until.IsZero() && !d.since.Before(d.until) {
			return Result{}, invalid("since must be before until")
		}
		svg, out, err := s.draw(ctx, c, d)
		if err != nil {
			return Result{}, err
		}
		structured, err := encodeResource(out.Resource, out, nil)
		if err != nil {
			return Result{}, err
		}
		what := "the most frequent patterns of " + in.Library
		if d.id != "" {
			what = string(out.ID)
		}
		return Result{
			Text: fmt.Sprintf("%s: %d lines from %s to %s", what, out.Lines, out.From, out.To), Structured: structured,
			Attached: &Attachment{URI: out.Resource, Type: PictureType, Text: string(svg)},
		}, nil
	})
}

// draw makes the picture and says what is in it.
func (s *Suite) draw(ctx context.Context, c Call, d drawing) (svg []byte, out drawn, err error) {
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		lib, err := s.libraryByName(ctx, tx, c, d.library)
		if err != nil {
			return err
		}
		out = drawn{Library: lib.Name, Resource: PictureURI(lib.Name, d.id)}
		if d.id == "" {
			svg, err = s.drawOverview(ctx, tx, lib, d, &out)
			return err
		}
		row, err := s.patternRow(ctx, tx, lib.ID, d.library, d.id)
		if err != nil {
			return err
		}
		out.ID, out.Resource = row.ID, PictureURI(lib.Name, row.ID)
		most := timelinePoints
		if d.kind == "sparkline" {
			most = sparkPoints
		}
		buckets, err := postgres.Histogram(ctx, tx, lib.ID, row.ID, d.since, d.until, most)
		if err != nil {
			return err
		}
		out.add(buckets)
		if d.kind == "sparkline" {
			svg = chart.Sparkline(row.Template, points(buckets))
		} else {
			svg = chart.Timeline(row.Name, row.Template, points(buckets))
		}
		return nil
	})
	return svg, out, err
}

func (s *Suite) drawOverview(ctx context.Context, tx pgx.Tx, lib postgres.Library, d drawing, out *drawn) ([]byte, error) {
	rows, histograms, err := postgres.BusiestPatterns(ctx, tx, lib.ID, d.since, d.until, overviewRows, sparkPoints)
	if err != nil {
		return nil, err
	}
	drawnRows := make([]chart.Row, len(rows))
	for i, row := range rows {
		drawnRows[i] = chart.Row{Name: row.Name, Template: row.Template, Points: points(histograms[row.ID])}
		out.add(histograms[row.ID])
	}
	return chart.Overview("library "+lib.Name, drawnRows), nil
}

func (d *drawn) add(buckets []postgres.Bucket) {
	for _, b := range buckets {
		d.Lines += b.Lines
	}
	if n := len(buckets); n > 0 {
		d.From = stamp(buckets[0].Start)
		end := buckets[n-1].Start
		if n > 1 {
			end = end.Add(buckets[1].Start.Sub(buckets[0].Start))
		}
		d.To = stamp(end)
	}
}

// points are buckets to draw.
func points(buckets []postgres.Bucket) []chart.Point {
	out := make([]chart.Point, len(buckets))
	for i, b := range buckets {
		out[i] = chart.Point(b)
	}
	return out
}

// PictureURI is the address of a pattern's timeline, or of a library's overview where there is no id.
func PictureURI(library string, id pattern.ID) string {
	if id == "" {
		id = "overview"
	}
	return PatternURI(library, id) + pictureSuffix
}

// TypeOf is the MIME type of a resource.
func TypeOf(uri string) string {
	if strings.HasPrefix(uri, patternPrefix) && strings.HasSuffix(uri, pictureSuffix) {
		return PictureType
	}
	return ResourceType
}
