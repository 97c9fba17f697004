package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/naming"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const (
	// histogramSpan and histogramBuckets are what get_pattern shows of the past.
	histogramSpan    = 24 * time.Hour
	histogramBuckets = 24
)

type listPatternsArgs struct {
	Library string  `json:"library" default:"default"`
	Query   string  `json:"query" doc:"Template, name or tag" note:"A part of the template or name, the beginning of an id, or a whole tag"`
	Since   instant `json:"since" doc:"RFC 3339 or age, like 24h" note:"Only patterns seen since"`
	Sort    string  `json:"sort" enum:"lines|recent|new|name" default:"lines"`
	Limit   int     `json:"limit" min:"1" max:"500" default:"25"`
	After   string  `json:"after" doc:"next of last page"`
	Ignored bool    `json:"ignored" note:"Show ignored patterns too"`
}

type patternSummary struct {
	ID        pattern.ID `json:"id"`
	Name      string     `json:"name,omitempty"`
	Template  string     `json:"template"`
	Lines     int64      `json:"lines"`
	FirstSeen string     `json:"first_seen,omitempty"`
	LastSeen  string     `json:"last_seen,omitempty"`
	patternNote
}

// patternNote is what people said of a pattern, and how it came about where it was not mined.
type patternNote struct {
	Severity string         `json:"severity,omitempty"`
	Owner    string         `json:"owner,omitempty"`
	Tags     []string       `json:"tags,omitempty"`
	Origin   pattern.Origin `json:"origin,omitempty"`
	Ignored  bool           `json:"ignored,omitempty"`
}

func noteOf(row postgres.PatternRow) patternNote {
	return patternNote{Severity: row.Severity, Owner: row.Owner, Tags: row.Tags, Origin: row.Origin, Ignored: row.Ignored}
}

type patternList struct {
	Library  string           `json:"library"`
	Revision int64            `json:"revision"`
	Total    int64            `json:"total"` // patterns in the library
	Patterns []patternSummary `json:"patterns"`
	Next     string           `json:"next,omitempty"` // cursor of the next page
}

func (s *Suite) listPatterns() Tool {
	return define[listPatternsArgs, patternList](Tool{
		Name: "list_patterns", Title: "List patterns", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "List patterns with counts.",
	}, func(ctx context.Context, c Call, in listPatternsArgs) (patternList, string, error) {
		out := patternList{Library: in.Library, Patterns: []patternSummary{}}
		err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			lib, err := s.libraryByName(ctx, tx, c, in.Library)
			if err != nil {
				return err
			}
			out.Revision, out.Total = lib.Revision, lib.Patterns
			rows, next, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{
				Library: lib.ID, Query: in.Query, Since: in.Since.from(time.Now()), Sort: in.Sort, Limit: in.Limit, After: in.After,
				Ignored: in.Ignored,
			})
			if errors.Is(err, postgres.ErrBadCursor) {
				return invalid("argument \"after\" is not the next of a page with this sort")
			}
			for _, row := range rows {
				out.Patterns = append(out.Patterns, summaryOf(row))
			}
			out.Next = next
			return err
		})
		return out, out.text(), err
	})
}

func summaryOf(row postgres.PatternRow) patternSummary {
	return patternSummary{
		ID: row.ID, Name: row.Name, Template: cut(row.Template, maxExample), Lines: row.Lines, FirstSeen: stamp(row.FirstSeen), LastSeen: stamp(row.LastSeen),
		patternNote: noteOf(row),
	}
}

func (l patternList) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %s in library %s", len(l.Patterns), plural(int(l.Total), "pattern"), l.Library)
	for i, p := range l.Patterns {
		if i == 10 {
			b.WriteString("\n...")
			break
		}
		fmt.Fprintf(&b, "\n%s %8d  %s", p.ID, p.Lines, cut(p.Template, 100))
	}
	return b.String()
}

type getPatternArgs struct {
	ID       string `json:"id" required:"true" doc:"Pattern id, current or former"`
	Library  string `json:"library" default:"default"`
	Examples int    `json:"examples" min:"0" max:"20" default:"3" note:"Example lines to show"`
}

type patternDetail struct {
	ID          pattern.ID     `json:"id"`
	Name        string         `json:"name,omitempty"`
	Suggested   string         `json:"suggested_name,omitempty"` // by rule, where nobody has named it
	Description string         `json:"description,omitempty"`
	Template    string         `json:"template"`
	Slots       []pattern.Slot `json:"slots"`
	State       string         `json:"state"`
	Lines       int64          `json:"lines"`
	FirstSeen   string         `json:"first_seen,omitempty"`
	LastSeen    string         `json:"last_seen,omitempty"`
	// CountedSince is since when lines are told apart by a value that shapes mask, where the pattern needs one.
	CountedSince string        `json:"counted_since,omitempty"`
	Version      int           `json:"version"`
	Aliases      []pattern.ID  `json:"aliases,omitempty"` // former ids
	Examples     []exampleLine `json:"examples"`
	Hours        []int64       `json:"hours"`          // lines in each of the 24 h up to last_seen, the last hour last
	Held         []string      `json:"held,omitempty"` // what each slot held in these hours, in the order of slots
	Library      string        `json:"library"`
	Resource     string        `json:"resource"`
	patternNote
}

type exampleLine struct {
	Line     string `json:"line"`
	At       string `json:"at,omitempty"`
	Source   string `json:"source,omitempty"`
	Workflow string `json:"workflow,omitempty"` // that brought it in
	Page     string `json:"page,omitempty"`     // of the workflow, in Temporal's web UI
}

// origins finds what brought an example in; several examples often share a source.
type origins struct {
	suite *Suite
	tx    pgx.Tx
	found map[uuid.UUID]postgres.Source
}

func (o *origins) example(ctx context.Context, e postgres.Example) (exampleLine, error) {
	source, ok := o.found[e.SourceID]
	if !ok {
		var err error
		if source, err = postgres.SourceByID(ctx, o.tx, e.SourceID); err != nil && !errors.Is(err, postgres.ErrNotFound) {
			return exampleLine{}, err
		}
		o.found[e.SourceID] = source
	}
	out := exampleLine{Line: cut(e.Line, maxExample), At: stamp(e.At), Source: cut(source.Name, maxValue), Workflow: source.WorkflowID}
	if source.WorkflowID != "" {
		out.Page = o.suite.page(source.WorkflowID, "")
	}
	return out, nil
}

func (s *Suite) getPattern() Tool {
	return define[getPatternArgs, patternDetail](Tool{
		Name: "get_pattern", Title: "Get a pattern", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Show one pattern: template, slots, counts, the last 24 h it was seen, example lines.",
	}, func(ctx context.Context, c Call, in getPatternArgs) (patternDetail, string, error) {
		out, err := s.patternDetail(ctx, c, in.Library, pattern.ID(in.ID), in.Examples)
		if err == nil {
			err = s.addHeld(ctx, c, &out)
		}
		text := fmt.Sprintf("%s: %s, last seen %s\n%s", out.ID, plural(int(out.Lines), "line"), out.LastSeen, cut(out.Template, maxExample))
		if out.CountedSince != "" {
			text += "\ncounts lines read since " + out.CountedSince
		}
		return out, text, err
	})
}

func (s *Suite) patternDetail(ctx context.Context, c Call, library string, id pattern.ID, examples int) (out patternDetail, err error) {
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		lib, err := s.libraryByName(ctx, tx, c, library)
		if err != nil {
			return err
		}
		row, err := s.patternRow(ctx, tx, lib.ID, library, id)
		if err != nil {
			return err
		}
		out = detailOf(row, library)
		since, err := postgres.CountedSince(ctx, tx, lib.ID, row)
		if err != nil {
			return err
		}
		out.CountedSince = stamp(since)
		return s.addHistory(ctx, tx, lib, row, examples, &out)
	})
	return out, err
}

// patternRow is postgres.PatternByID with an error that says where to look.
func (s *Suite) patternRow(ctx context.Context, tx pgx.Tx, libraryID uuid.UUID, library string, id pattern.ID) (postgres.PatternRow, error) {
	row, err := postgres.PatternByID(ctx, tx, libraryID, id)
	if errors.Is(err, postgres.ErrNotFound) {
		return row, notFound("Find its id with list_patterns", "no pattern %s in library %s", short(string(id)), short(library))
	}
	return row, err
}

func detailOf(row postgres.PatternRow, library string) patternDetail {
	slots := row.Slots
	if slots == nil {
		slots = []pattern.Slot{}
	}
	suggested := ""
	if row.Name == "" {
		suggested = naming.Of(pattern.Pattern{Template: row.Template, Slots: slots}).Name
	}
	return patternDetail{
		Suggested: suggested,
		ID:        row.ID, Name: row.Name, Description: cut(row.Description, 2000), Template: cut(row.Template, 4000), Slots: slots, State: row.State, Lines: row.Lines,
		FirstSeen: stamp(row.FirstSeen), LastSeen: stamp(row.LastSeen), Version: row.Version, Aliases: row.Aliases[:min(len(row.Aliases), 20)],
		Examples: []exampleLine{}, Hours: []int64{}, Library: library, Resource: PatternURI(library, row.ID),
		patternNote: noteOf(row),
	}
}

func (s *Suite) addHistory(ctx context.Context, tx pgx.Tx, lib postgres.Library, row postgres.PatternRow, examples int, out *patternDetail) error {
	if examples > 0 {
		found, err := postgres.Examples(ctx, tx, lib.ID, row.ID, examples)
		if err != nil {
			return err
		}
		from := origins{suite: s, tx: tx, found: map[uuid.UUID]postgres.Source{}}
		for _, e := range found {
			line, err := from.example(ctx, e)
			if err != nil {
				return err
			}
			out.Examples = append(out.Examples, line)
		}
	}
	if row.LastSeen.IsZero() {
		return nil
	}
	until := row.LastSeen.Truncate(time.Hour).Add(time.Hour)
	buckets, err := postgres.Histogram(ctx, tx, lib.ID, row.ID, until.Add(-histogramSpan), until, histogramBuckets)
	for _, b := range buckets {
		out.Hours = append(out.Hours, b.Lines)
	}
	return err
}

// instant is an argument of time: RFC 3339, or how long ago.
type instant struct {
	at  time.Time
	ago time.Duration
}

func (i *instant) schema() string { return `"type":"string"` }

func (i *instant) parse(value []byte) error {
	var text string
	if json.Unmarshal(value, &text) == nil {
		if at, err := time.Parse(time.RFC3339, text); err == nil && at.Year() > 1 && at.Year() < 9999 {
			i.at = at
			return nil
		}
		days := strings.HasSuffix(text, "d")
		if days {
			text = strings.TrimSuffix(text, "d") + "h"
		}
		if ago, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil && ago >= 0 && ago <= 36500*time.Hour {
			if days {
				ago *= 24
			}
			i.ago = ago
			return nil
		}
	}
	return fmt.Errorf("must be a time such as 2026-11-23T08:00:00Z, or an age such as 90m, 24h or 7d, not %s", short(string(value)))
}

func (i *instant) set() bool { return !i.at.IsZero() || i.ago > 0 }

// from is the time meant, now being now; the zero time where the argument was not given.
func (i *instant) from(now time.Time) time.Time {
	if i.ago > 0 {
		return now.Add(-i.ago)
	}
	return i.at
}
