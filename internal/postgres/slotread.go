package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/values"
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

// SlotCompare asks how what slots held differs between a base window and a later one.
type SlotCompare struct {
	Library  uuid.UUID
	BaseFrom time.Time
	BaseTo   time.Time
	From     time.Time
	To       time.Time
	MinLines int64 // a pattern needs so many lines, and a slot so many values, in both windows; 0 is 50
	Limit    int   // 1 to 1,000; 0 is 50
}

// The kinds of SlotChange.
const (
	SlotDrift  = "drift"  // the numbers of the slot are spread differently
	SlotValued = "values" // the slot holds values that it never held in the base window
)

// SlotChange is a slot that differs between two windows.
type SlotChange struct {
	PatternRow
	Slot          pattern.Slot
	Unit          values.Unit // of the numbers
	Kind          string      // SlotDrift or SlotValued
	Score         float64     // 0 to 1: PSI / (1 + PSI), and for values e / (10 + e) with e the lines beyond those expected
	PSI           float64     // of drift; 0 for values
	Before, After SlotSide
	New           []values.Frequent // of values: up to 10 of the new ones, the most frequent first
	NewLines      int64             // lines with new values
}

// SlotSide is one of the two windows of a SlotChange.
type SlotSide struct {
	Count    int64 // values
	Distinct int64
	P50, P95 float64 // of the numbers
}

// maxCompared bounds the patterns whose slots are compared: those with the most lines in the later window.
const maxCompared = 1000

// SlotChanges returns the slots whose numbers drifted or that hold new values, the highest score first. ix must be an index of the library.
//
// Numbers drift if they differ by the population stability index both materially and beyond chance (see values.Numbers.Compare), unless they look
// like a counter. Values are new if the base window dropped none of the slot's values, so that it is known which there were, and more lines
// hold new ones than the base lets expect by Good and Turing: n lines after a base in which a share u of the values came once should hold u n, give
// or take three times the root of that.
//
// A period that both windows touch belongs to the later one. At most 1,000 patterns are compared, those with the most lines in the later window;
// more says that there were more.
func SlotChanges(ctx context.Context, q Querier, ix *template.Index, c SlotCompare) (changes []SlotChange, more bool, err error) {
	if !c.BaseFrom.Before(c.BaseTo) || !c.From.Before(c.To) {
		return nil, false, errors.New("compare slots: each window must end after it starts")
	}
	if c.MinLines <= 0 {
		c.MinLines = 50
	}
	s := slotComparison{SlotCompare: c, index: ix}
	if err := s.read(ctx, q); err != nil {
		return nil, false, fmt.Errorf("compare slots: %w", known(err))
	}
	slices.SortFunc(s.found, func(a, b SlotChange) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Slot.Name, b.Slot.Name), cmp.Compare(a.Kind, b.Kind))
	})
	s.found = s.found[:min(len(s.found), pageSize(c.Limit))]
	ids := make([]pattern.ID, len(s.found))
	for i := range s.found {
		ids[i] = s.found[i].ID
	}
	rows, err := PatternsByID(ctx, q, c.Library, ids)
	if err != nil {
		return nil, false, err
	}
	for i := range s.found {
		s.found[i].PatternRow = rows[s.found[i].ID]
	}
	return s.found, s.patterns > maxCompared, nil
}

// slotComparison compares one pattern after the other.
type slotComparison struct {
	SlotCompare
	index       *template.Index
	current     pattern.ID
	before, now *template.Collector
	patterns    int
	found       []SlotChange
}

func (s *slotComparison) read(ctx context.Context, q Querier) error {
	const touches = `v.start + v.span * interval '1 second' > %s and v.start < %s`
	inLater, inBase := fmt.Sprintf(touches, "$4", "$5"), fmt.Sprintf(touches, "$2", "$3")
	rows, _ := q.Query(ctx, `
		with touched as (
			select s.pattern_id, v.shape_id, v.span, v.start, v.lines, (`+inLater+`) as later
			from tartan.shapes s join tartan.slot_values v on v.library_id = s.library_id and v.shape_id = s.id
			where s.library_id = $1 and s.pattern_id is not null and s.last_seen >= least($2::timestamptz, $4::timestamptz) and s.first_seen < greatest($3::timestamptz, $5::timestamptz)
				and ((`+inLater+`) or (`+inBase+`))
		), counted as (
			select pattern_id, sum(lines) filter (where later) as after from touched group by pattern_id
			having sum(lines) filter (where later) >= $6 and sum(lines) filter (where not later) >= $6
			order by after desc, pattern_id limit $7
		)
		select t.shape_id, t.span, t.start, t.lines, v.body, t.pattern_id, t.later
		from counted c join touched t on t.pattern_id = c.pattern_id
		join tartan.slot_values v on v.library_id = $1 and v.shape_id = t.shape_id and v.span = t.span and v.start = t.start
		order by c.after desc, t.pattern_id, t.shape_id, t.start, t.span`,
		s.Library, s.BaseFrom, s.BaseTo, s.From, s.To, s.MinLines, maxCompared+1)
	var r periodRow
	var id pattern.ID
	var later bool
	_, err := pgx.ForEachRow(rows, append(r.targets(), &id, &later), func() error {
		if id != s.current {
			s.compare()
			s.turn(id)
		}
		p, err := r.period()
		switch {
		case err != nil || s.now == nil:
			return err
		case later:
			s.now.Add(template.ShapeID(r.shape), &p)
		default:
			s.before.Add(template.ShapeID(r.shape), &p)
		}
		return nil
	})
	s.compare()
	return err
}

// turn goes on to a pattern.
func (s *slotComparison) turn(id pattern.ID) {
	s.current, s.before, s.now = id, nil, nil
	if s.patterns++; s.patterns > maxCompared {
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
		if min(a.Count(), b.Count()) < s.MinLines || a.Type == pattern.Time {
			continue
		}
		change := SlotChange{PatternRow: PatternRow{ID: s.current}, Slot: a.Slot, Before: side(a.Summary), After: side(b.Summary)}
		s.drift(change, a.Summary, b.Summary)
		s.fresh(change, a.Summary, b.Summary)
	}
}

func side(s *values.Summary) SlotSide {
	out := SlotSide{Count: s.Count()}
	out.Distinct, _ = s.Distinct()
	if n, _ := s.Numbers(); n != nil {
		out.P50, out.P95 = n.Quantile(.5), n.Quantile(.95)
	}
	return out
}

func (s *slotComparison) drift(c SlotChange, a, b *values.Summary) {
	x, unit := a.Numbers()
	y, other := b.Numbers()
	if x == nil || y == nil || unit != other || min(x.Count(), y.Count()) < s.MinLines || values.Counter(a, b) {
		return
	}
	d := x.Compare(y)
	if !d.Material || !d.Significant {
		return
	}
	c.Kind, c.Unit, c.PSI, c.Score = SlotDrift, unit, d.PSI, d.PSI/(1+d.PSI)
	s.found = append(s.found, c)
}

func (s *slotComparison) fresh(c SlotChange, a, b *values.Summary) {
	fresh, lines, ok := a.Fresh(b)
	expected := a.Unseen() * float64(b.Count())
	if excess := float64(lines) - expected; ok && lines > 0 && excess > 3*math.Sqrt(expected) {
		c.Kind, c.Score, c.New, c.NewLines = SlotValued, excess/(10+excess), fresh[:min(len(fresh), 10)], lines
		s.found = append(s.found, c)
	}
}
