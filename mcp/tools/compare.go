package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/windows"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type compareArgs struct {
	Library  string  `json:"library" default:"default"`
	From     instant `json:"from" doc:"Like 24h" note:"Time or age. Start of the window; 24 h before its end if not given"`
	To       instant `json:"to" note:"End of the window; now if not given"`
	Baseline string  `json:"baseline" enum:"previous|seasonal" default:"previous" note:"seasonal is the same hours of the same weekday in the last up to 4 weeks; without any, previous, and the answer says so"`
	BaseFrom instant `json:"base_from" note:"Start of the previous baseline; as long before base_to as the window is if not given"`
	BaseTo   instant `json:"base_to" note:"Its end; from if not given"`
	MinLines int     `json:"min_lines" min:"0" max:"1000000000" note:"Floor on volume: by default 10 lines seen or expected for up, down and gone, and 1 for new"`
	Ignored  bool    `json:"ignored" note:"Ignored patterns too"`
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
	Kind         string     `json:"kind"` // new, gone, up, down, rare, silent; or drift or values, of a slot
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
	Slot         string     `json:"slot,omitempty"`    // of drift and values: its name
	Held         string     `json:"held,omitempty"`    // how its numbers went, or which values are new
	FirstSeen    string     `json:"first_seen,omitempty"`
	LastSeen     string     `json:"last_seen,omitempty"`
	Example      string     `json:"example,omitempty"`
	Page         string     `json:"page,omitempty"` // of the workflow that brought the example in, in Temporal's web UI
	Resource     string     `json:"resource"`
}

func (s *Suite) compareWindows() Tool {
	return define[compareArgs, comparison](Tool{
		Name: "compare_windows", Title: "Compare", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Unusual: new, gone, up, down, rare, silent; drift, new values.",
	}, func(ctx context.Context, c Call, in compareArgs) (comparison, string, error) {
		query, err := in.windows(time.Now())
		if err != nil {
			return comparison{}, "", err
		}
		out := comparison{Library: in.Library, Changes: []windowChange{}}
		if query.Index, err = s.slotIndex(ctx, c, in.Library); err != nil {
			return out, "", err
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

// slotIndex is the index of a library whose patterns have slots, and nil for any other.
func (s *Suite) slotIndex(ctx context.Context, c Call, library string) (*template.Index, error) {
	ref, err := s.libraryID(ctx, c, library)
	if err != nil || ref.kind == kindOfSeries || ref.kind == kindOfTexts {
		return nil, err
	}
	entry, err := s.entry(ctx, c, library, 0)
	switch {
	case errors.Is(err, errTexts): // made again under its name just now
		return nil, nil
	case err != nil:
		return nil, err
	}
	return entry.Index, nil
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
	if found.SlotsCut {
		c.Note = strings.TrimPrefix(c.Note+"; slots compared of the 1,000 patterns with the most lines", "; ")
	}
}

// windows applies the defaults: the window is the last day, and the base as long a time just before it.
func (in *compareArgs) windows(now time.Time) (q postgres.Compare, err error) {
	q = postgres.Compare{
		From: in.From.from(now), To: in.To.from(now), Baseline: in.Baseline, BaseFrom: in.BaseFrom.from(now), BaseTo: in.BaseTo.from(now), MinLines: int64(in.MinLines),
		Ignored: in.Ignored,
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
		if f.Slot != nil {
			change.Slot, change.Held = f.Slot.Slot.Name, cut(f.Slot.Held(), maxExample)
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
	for _, kind := range []windows.Kind{windows.New, windows.Gone, windows.Up, windows.Down, windows.Rare, windows.Silent, postgres.SlotDrift, postgres.SlotValued} {
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
		if change.Slot != "" {
			fmt.Fprintf(&b, "\n%-6s %s %s: %s  %s", change.Kind, change.ID, change.Slot, cut(change.Held, 120), cut(change.Template, 100))
			continue
		}
		fmt.Fprintf(&b, "\n%-6s %s %.4g -> %d  %s", change.Kind, change.ID, change.Expected, change.After, cut(change.Template, 100))
	}
	return b.String()
}
