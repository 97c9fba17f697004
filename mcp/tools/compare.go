package tools

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type compareArgs struct {
	Library  string  `json:"library" default:"default"`
	From     instant `json:"from" doc:"RFC 3339 or age, like 24h" note:"Start of the window; 24 h before its end if not given"`
	To       instant `json:"to" note:"End of the window; now if not given"`
	BaseFrom instant `json:"base_from" note:"Start of what it is compared with; as long before base_to as the window is if not given"`
	BaseTo   instant `json:"base_to" note:"Its end; from if not given"`
	MinLines int     `json:"min_lines" min:"1" max:"1000000000" default:"1" note:"Leave out patterns with fewer lines in both windows"`
	Limit    int     `json:"limit" min:"1" max:"200" default:"15"`
}

type window struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type comparison struct {
	Library string         `json:"library"`
	Base    window         `json:"base"`
	Window  window         `json:"window"`
	Changes []windowChange `json:"changes"` // the most significant first
	More    bool           `json:"more,omitempty"`
}

type windowChange struct {
	Kind      string     `json:"kind"` // new, gone, up or down
	ID        pattern.ID `json:"id"`
	Name      string     `json:"name,omitempty"`
	Template  string     `json:"template"`
	Before    int64      `json:"before"`
	After     int64      `json:"after"`
	Ratio     float64    `json:"ratio,omitempty"`      // of the rates; absent when new or gone
	FirstSeen string     `json:"first_seen,omitempty"` // ever; new means new in the window
	LastSeen  string     `json:"last_seen,omitempty"`
	Example   string     `json:"example,omitempty"`
	Page      string     `json:"page,omitempty"` // of the workflow that brought the example in, in Temporal's web UI
	Resource  string     `json:"resource"`
}

func (s *Suite) compareWindows() Tool {
	return define[compareArgs, comparison](Tool{
		Name: "compare_windows", Title: "Compare windows", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "What is unusual: patterns new, gone or changed in rate between windows; default: the last 24 h against the 24 before.",
	}, func(ctx context.Context, c Call, in compareArgs) (comparison, string, error) {
		query, err := in.windows(time.Now())
		if err != nil {
			return comparison{}, "", err
		}
		out := comparison{
			Library: in.Library, Changes: []windowChange{},
			Base: window{stamp(query.BaseFrom), stamp(query.BaseTo)}, Window: window{stamp(query.From), stamp(query.To)},
		}
		err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			lib, err := s.libraryByName(ctx, tx, c, in.Library)
			if err != nil {
				return err
			}
			query.Library, query.Limit = lib.ID, in.Limit+1
			found, err := postgres.CompareWindows(ctx, tx, query)
			if err != nil {
				return err
			}
			if out.More = len(found) > in.Limit; out.More {
				found = found[:in.Limit]
			}
			return s.addChanges(ctx, tx, lib, found, &out)
		})
		return out, out.text(), err
	})
}

// windows applies the defaults: the window is the last day, and the base as long a time just before it.
func (in *compareArgs) windows(now time.Time) (q postgres.Compare, err error) {
	q = postgres.Compare{From: in.From.from(now), To: in.To.from(now), BaseFrom: in.BaseFrom.from(now), BaseTo: in.BaseTo.from(now), MinLines: int64(in.MinLines)}
	if !in.To.set() {
		q.To = now
	}
	if !in.From.set() {
		q.From = q.To.Add(-24 * time.Hour)
	}
	if !in.BaseTo.set() {
		q.BaseTo = q.From
	}
	if !in.BaseFrom.set() {
		q.BaseFrom = q.BaseTo.Add(-q.To.Sub(q.From))
	}
	if !q.From.Before(q.To) || !q.BaseFrom.Before(q.BaseTo) {
		return q, invalid("a window ends before it starts: from %s to %s, base from %s to %s", stamp(q.From), stamp(q.To), stamp(q.BaseFrom), stamp(q.BaseTo))
	}
	return q, nil
}

func (s *Suite) addChanges(ctx context.Context, tx pgx.Tx, lib postgres.Library, found []postgres.WindowChange, out *comparison) error {
	from := origins{suite: s, tx: tx, found: map[uuid.UUID]postgres.Source{}}
	for _, f := range found {
		change := windowChange{
			Kind: f.Kind, ID: f.ID, Name: f.Name, Template: cut(f.Template, maxExample), Before: f.Before, After: f.After, FirstSeen: stamp(f.FirstSeen), LastSeen: stamp(f.LastSeen),
			Resource: PatternURI(lib.Name, f.ID),
		}
		if !math.IsInf(f.Ratio, 0) && !math.IsNaN(f.Ratio) {
			change.Ratio = round(f.Ratio)
		}
		examples, err := postgres.Examples(ctx, tx, lib.ID, f.ID, 1)
		if err != nil {
			return err
		}
		if len(examples) > 0 {
			line, err := from.example(ctx, examples[0])
			if err != nil {
				return err
			}
			change.Example, change.Page = cut(line.Line, maxValue), line.Page
		}
		out.Changes = append(out.Changes, change)
	}
	return nil
}

func (c comparison) text() string {
	counts := map[string]int{}
	for _, change := range c.Changes {
		counts[change.Kind]++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d new, %d gone, %d up, %d down", counts["new"], counts["gone"], counts["up"], counts["down"])
	for i, change := range c.Changes {
		if i == 10 {
			b.WriteString("\n...")
			break
		}
		fmt.Fprintf(&b, "\n%-4s %s %d -> %d  %s", change.Kind, change.ID, change.Before, change.After, cut(change.Template, 100))
	}
	return b.String()
}
