package postgres

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/values"
	"github.com/tartan-ai/tartan/internal/pattern/windows"
)

// SlotReport is what the slots of a pattern held in a window.
type SlotReport struct {
	Pattern  PatternRow
	From, To time.Time // what the stored periods cover, which may be wider than what was asked for; zero if there are none
	Lines    int64     // summed up in Slots
	Unplaced int64     // lines of the window that the index does not place: it is of another revision
	Slots    []template.SlotValues
}

// SlotValues returns what each slot of the pattern held from one time to another; zero is no bound. Values are stored by the hour for the last two days
// before the last line of a shape, then by the day for 30 days, then by 30 days, and a period that the window touches is taken as a whole: From and To
// of the report say so. ix must be an index of the library. The id may be an earlier one; an unknown one is ErrNotFound.
func SlotValues(ctx context.Context, q Querier, ix *template.Index, library uuid.UUID, id pattern.ID, from, to time.Time) (*SlotReport, error) {
	row, err := PatternByID(ctx, q, library, id)
	if err != nil {
		return nil, err
	}
	rows, _ := q.Query(ctx, `
		select v.shape_id, v.span, v.start, v.lines, v.body
		from tartan.shapes s join tartan.slot_values v on v.library_id = s.library_id and v.shape_id = s.id
		where s.library_id = $1 and s.pattern_id = $2 and ($3::timestamptz is null or v.start + v.span * interval '1 second' > $3) and ($4::timestamptz is null or v.start < $4)
		order by v.shape_id, v.start, v.span`, library, string(row.ID), unbounded(from), unbounded(to))
	out := &SlotReport{Pattern: row}
	c := ix.Collect(pattern.Pattern{ID: row.ID, Template: row.Template, Slots: row.Slots})
	var r periodRow
	_, err = pgx.ForEachRow(rows, r.targets(), func() error {
		p, err := r.period()
		if err != nil {
			return err
		}
		if start := r.start.UTC(); out.From.IsZero() || start.Before(out.From) {
			out.From = start
		}
		if end := time.Unix(p.End(), 0).UTC(); end.After(out.To) {
			out.To = end
		}
		c.Add(template.ShapeID(r.shape), &p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read slot values of pattern %s: %w", id, known(err))
	}
	out.Lines, out.Unplaced, out.Slots = c.Lines, c.Unplaced, c.Slots()
	return out, nil
}

func unbounded(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// periodRow is a row of slot_values being read.
type periodRow struct {
	shape, span, lines int64
	start              time.Time
	body               []byte
}

func (r *periodRow) targets() []any { return []any{&r.shape, &r.span, &r.start, &r.lines, &r.body} }

func (r *periodRow) period() (values.Period, error) {
	p := values.Period{Span: r.span, Start: r.start.Unix(), Lines: r.lines}
	if err := p.ReadBody(r.body); err != nil {
		return p, fmt.Errorf("values of shape %x: %w", uint64(r.shape), err)
	}
	return p, nil
}

// The kinds of changes of slots, beside those of package windows.
const (
	SlotDrift  windows.Kind = "drift"  // the numbers of the slot are spread differently
	SlotValued windows.Kind = "values" // the slot holds values that it never held in the base
)

// SlotChange is how a slot differs between two windows.
type SlotChange struct {
	Slot          pattern.Slot
	Unit          values.Unit // of the numbers
	PSI           float64     // of drift; 0 for values
	Before, After SlotSide
	New           []values.Frequent // of values: up to 10 of the new ones, the most frequent first
}

// SlotSide is what a slot held in one of the two windows of a SlotChange.
type SlotSide struct {
	Count    int64 // values
	Distinct int64
	P50, P95 float64 // of the numbers
}

// Held says in a line how the numbers of the slot went, or which values are new and in how many lines each.
func (c *SlotChange) Held() string {
	if len(c.New) == 0 {
		unit := strings.TrimSuffix(" "+c.Unit.String(), " ")
		return fmt.Sprintf("median %.4g -> %.4g%s, 95 %% %.4g -> %.4g%s", c.Before.P50, c.After.P50, unit, c.Before.P95, c.After.P95, unit)
	}
	parts := make([]string, len(c.New))
	for i, v := range c.New {
		parts[i] = fmt.Sprintf("%s x%d", v.Text(), v.Count)
	}
	return fmt.Sprintf("%d -> %d different, new: %s", c.Before.Distinct, c.After.Distinct, strings.Join(parts, ", "))
}

const (
	// maxCompared bounds the patterns whose slots are compared: those with the most lines in the window.
	maxCompared = 1000
	// minSlotValues is how many values a slot must have on both sides to be compared.
	minSlotValues = 50
)

// slotComparison compares the slots of one pattern after the other.
//
// Numbers drift if they differ by the population stability index both materially and beyond chance (see values.Numbers.Compare), unless they look
// like a counter. Values are new if the base dropped none of the slot's values, so that it is known which there were, and more lines hold new
// ones than the base lets expect by Good and Turing: n lines after a base in which a share u of the values came once should hold u n, give or
// take three times the root of that.
//
// A period that both sides touch belongs to the window.
type slotComparison struct {
	library     uuid.UUID
	index       *template.Index // of the library
	window      windows.Window
	base        []windows.Window
	minLines    int64 // a pattern needs so many lines, and a slot so many values, on both sides
	leave       func(pattern.ID) bool
	current     pattern.ID
	before, now *template.Collector
	patterns    int
	found       []WindowChange // without their PatternRow
}

func (s *slotComparison) read(ctx context.Context, q Querier) error {
	froms, tos := make([]time.Time, len(s.base)), make([]time.Time, len(s.base))
	first, last := s.window.From, s.window.To
	for i, b := range s.base {
		froms[i], tos[i] = b.From, b.To
		first, last = earlier(first, b.From), later(last, b.To)
	}
	rows, _ := q.Query(ctx, `
		with touched as (
			select s.pattern_id, v.shape_id, v.span, v.start, v.lines, w.later
			from tartan.shapes s join tartan.slot_values v on v.library_id = s.library_id and v.shape_id = s.id
			cross join lateral (select v.start + v.span * interval '1 second' as stop) e
			cross join lateral (select e.stop > $4 and v.start < $5 as later) w
			where s.library_id = $1 and s.pattern_id is not null and s.last_seen >= $6 and s.first_seen < $7
				and (w.later or exists (select from unnest($2::timestamptz[], $3::timestamptz[]) b (since, until) where e.stop > b.since and v.start < b.until))
		), counted as (
			select pattern_id, sum(lines) filter (where later) as after from touched group by pattern_id
			having sum(lines) filter (where later) >= $8 and sum(lines) filter (where not later) >= $8
			order by after desc, pattern_id limit $9
		)
		select t.shape_id, t.span, t.start, t.lines, v.body, t.pattern_id, t.later
		from counted c join touched t on t.pattern_id = c.pattern_id
		join tartan.slot_values v on v.library_id = $1 and v.shape_id = t.shape_id and v.span = t.span and v.start = t.start
		order by c.after desc, t.pattern_id, t.shape_id, t.start, t.span`,
		s.library, froms, tos, s.window.From, s.window.To, first, last, s.minLines, maxCompared+1)
	var r periodRow
	var id pattern.ID
	var inWindow bool
	_, err := pgx.ForEachRow(rows, append(r.targets(), &id, &inWindow), func() error {
		if id != s.current {
			s.compare()
			s.turn(id)
		}
		if s.now == nil {
			return nil
		}
		p, err := r.period()
		if err != nil {
			return err
		}
		side := s.before
		if inWindow {
			side = s.now
		}
		side.Add(template.ShapeID(r.shape), &p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("compare slots: %w", known(err))
	}
	s.compare()
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// turn goes on to a pattern.
func (s *slotComparison) turn(id pattern.ID) {
	s.current, s.before, s.now = id, nil, nil
	if s.patterns++; s.patterns > maxCompared || s.leave(id) {
		return
	}
	if p, ok := s.index.Pattern(id); ok {
		s.before, s.now = s.index.Collect(p), s.index.Collect(p)
	}
}

// compare finds the changes of the current pattern.
func (s *slotComparison) compare() {
	if s.now == nil {
		return
	}
	before, now := s.before.Slots(), s.now.Slots()
	for i := range now {
		a, b := before[i], now[i]
		if min(a.Count(), b.Count()) < s.minLines || a.Type == pattern.Time {
			continue
		}
		slot := SlotChange{Slot: a.Slot, Before: side(a.Summary), After: side(b.Summary)}
		s.drift(slot, a.Summary, b.Summary)
		s.fresh(slot, a.Summary, b.Summary)
	}
}

func (s *slotComparison) add(slot *SlotChange, c windows.Change) {
	c.Pattern = s.current
	s.found = append(s.found, WindowChange{Change: c, Slot: slot})
}

func side(s *values.Summary) SlotSide {
	out := SlotSide{Count: s.Count()}
	out.Distinct, _ = s.Distinct()
	if n, _ := s.Numbers(); n != nil {
		out.P50, out.P95 = n.Quantile(.5), n.Quantile(.95)
	}
	return out
}

func (s *slotComparison) drift(slot SlotChange, a, b *values.Summary) {
	x, unit := a.Numbers()
	y, other := b.Numbers()
	if x == nil || y == nil || unit != other || min(x.Count(), y.Count()) < s.minLines || values.Counter(a, b) {
		return
	}
	d := x.Compare(y)
	if !d.Material || !d.Significant {
		return
	}
	slot.Unit, slot.PSI = unit, d.PSI
	s.add(&slot, windows.Change{Kind: SlotDrift, Before: x.Count(), After: y.Count(), Significance: d.Deviate})
}

func (s *slotComparison) fresh(slot SlotChange, a, b *values.Summary) {
	fresh, lines, ok := a.Fresh(b)
	expected := a.Unseen() * float64(b.Count())
	if !ok || lines == 0 || float64(lines)-expected <= 3*math.Sqrt(expected) {
		return
	}
	slot.New = fresh[:min(len(fresh), 10)]
	r := float64(b.Count()) / float64(a.Count())
	s.add(&slot, windows.Change{
		Kind: SlotValued, After: lines, Expected: expected, Spread: math.Sqrt(expected * (1 + r)),
		Significance: math.Abs(windows.Deviate(lines, expected/r, r)),
	})
}
