package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/windows"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type compareArgs struct {
	Library  string  `json:"library" default:"default"`
	From     instant `json:"from" doc:"Time or age, like 24h" note:"Start of the window; 24 h before its end if not given"`
	To       instant `json:"to" note:"End of the window; now if not given"`
	Baseline string  `json:"baseline" enum:"previous|seasonal" default:"previous" note:"seasonal is the same hours of the same weekday in the last up to 4 weeks; without any, previous, and the answer says so"`
	BaseFrom instant `json:"base_from" note:"Start of the previous baseline; as long before base_to as the window is if not given"`
	BaseTo   instant `json:"base_to" note:"Its end; from if not given"`
	MinLines int     `json:"min_lines" min:"0" max:"1000000000" note:"Floor on volume: by default 10 lines seen or expected for up, down and gone, and 1 for new"`
	Limit    int     `json:"limit" min:"1" max:"200" default:"15"`
}

type window struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type comparison struct {
	Library  string         `json:"library"`
	Baseline string         `json:"baseline"` // that was used
	Base     []window       `json:"base"`     // the latest first
	Window   window         `json:"window"`
	Past     int            `json:"past"`    // comparable windows that the spread comes from
	Changes  []windowChange `json:"changes"` // the most significant first
	More     bool           `json:"more,omitempty"`
	Note     string         `json:"note,omitempty"`
}

type windowChange struct {
	Kind         string     `json:"kind"` // new, gone, up, down, rare or silent
	ID           pattern.ID `json:"id"`
	Name         string     `json:"name,omitempty"`
	Template     string     `json:"template"`
	Before       int64      `json:"before"`
	After        int64      `json:"after"`
	Expected     float64    `json:"expected"`          // lines
	Spread       float64    `json:"spread"`            // standard deviation of what was to be expected
	Ratio        float64    `json:"ratio,omitempty"`   // of the rates; absent where one is none
	Significance float64    `json:"significance"`      // in standard deviations
	Quiet        int64      `json:"quiet_s,omitempty"` // silent ones: seconds without a line
	FirstSeen    string     `json:"first_seen,omitempty"`
	LastSeen     string     `json:"last_seen,omitempty"`
	Example      string     `json:"example,omitempty"`
	Page         string     `json:"page,omitempty"` // of the workflow that brought the example in, in Temporal's web UI
	Resource     string     `json:"resource"`
}

func (s *Suite) compareWindows() Tool {
	return define[compareArgs, comparison](Tool{
		Name: "compare_windows", Title: "Compare windows", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "What is unusual in a window: patterns new, gone, up, down, rare or silent.",
	}, func(ctx context.Context, c Call, in compareArgs) (comparison, string, error) {
		query, err := in.windows(time.Now())
		if err != nil {
			return comparison{}, "", err
		}
		out := comparison{Library: in.Library, Changes: []windowChange{}}
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
			changes := found.Changes
			if out.More = len(changes) > in.Limit; out.More {
				changes = changes[:in.Limit]
			}
			out.describe(found, in.Baseline)
			return s.addChanges(ctx, tx, lib, changes, &out)
		})
		return out, out.text(), err
	})
}

// describe tells what was compared with what.
func (c *comparison) describe(found *postgres.Comparison, asked string) {
	c.Baseline, c.Past, c.Window = found.Baseline, found.Past, window{stamp(found.Window.From), stamp(found.Window.To)}
	for _, b := range found.Base {
		c.Base = append(c.Base, window{stamp(b.From), stamp(b.To)})
	}
	if found.Baseline != asked {
		c.Note = "no line in the same hours of the weeks before: compared with the previous window"
	}
}

// windows applies the defaults: the window is the last day, and the base as long a time just before it.
func (in *compareArgs) windows(now time.Time) (q postgres.Compare, err error) {
	q = postgres.Compare{
		From: in.From.from(now), To: in.To.from(now), Baseline: in.Baseline, BaseFrom: in.BaseFrom.from(now), BaseTo: in.BaseTo.from(now), MinLines: int64(in.MinLines),
	}
	if in.Baseline == postgres.BaselineSeasonal && (in.BaseFrom.set() || in.BaseTo.set()) {
		return q, invalid("base_from and base_to go with the baseline previous")
	}
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
			Kind: string(f.Kind), ID: f.ID, Name: f.Name, Template: cut(f.Template, maxExample), Before: f.Before, After: f.After,
			Expected: round(f.Expected), Spread: round(f.Spread), Ratio: round(f.Ratio), Significance: round(f.Significance), Quiet: int64(f.Quiet / time.Second),
			FirstSeen: stamp(f.FirstSeen), LastSeen: stamp(f.LastSeen), Resource: PatternURI(lib.Name, f.ID),
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
	sep := ""
	for _, kind := range []windows.Kind{windows.New, windows.Gone, windows.Up, windows.Down, windows.Rare, windows.Silent} {
		fmt.Fprintf(&b, "%s%d %s", sep, counts[string(kind)], kind)
		sep = ", "
	}
	if c.Note != "" {
		b.WriteString("; " + c.Note)
	}
	for i, change := range c.Changes {
		if i == 10 {
			b.WriteString("\n...")
			break
		}
		fmt.Fprintf(&b, "\n%-6s %s %.4g -> %d  %s", change.Kind, change.ID, change.Expected, change.After, cut(change.Template, 100))
	}
	return b.String()
}
