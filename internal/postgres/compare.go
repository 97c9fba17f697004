package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/windows"
)

// The baselines of a comparison.
const (
	BaselinePrevious = "previous" // the window just before, or the one given
	BaselineSeasonal = "seasonal" // the same hours of the same weekday in the last weeks
)

// comparableWindows is how many windows of the past are looked at, for the base of a seasonal comparison and for the spread of any.
const comparableWindows = 4

// Compare asks how a window differs from its past. Windows include their start and exclude their end; they are widened to whole
// buckets of the library.
type Compare struct {
	Library  uuid.UUID
	From     time.Time
	To       time.Time
	Baseline string    // "" is BaselinePrevious
	BaseFrom time.Time // of BaselinePrevious; zero is as long before BaseTo as the window is
	BaseTo   time.Time // zero is From
	MinLines int64     // floor on volume; 0 is windows.DefaultMinLines
	MinRatio float64   // a rate must have changed by this factor; 0 is windows.DefaultMinRatio
	Limit    int       // 1 to 1,000; 0 is 50
	Offset   int
	Ignored  bool            // ignored patterns too
	Index    *template.Index // of the library; with one, slots are compared too
}

// Comparison is what CompareWindows found.
type Comparison struct {
	Baseline string           // that was used: where the library has no line in the windows of a season, it is BaselinePrevious
	Window   windows.Window   // widened to whole buckets
	Base     []windows.Window // one, or the weeks that were compared with, the latest first
	Past     int              // comparable windows that the spread comes from; with fewer than two, counts are taken for Poisson
	Changes  []WindowChange   // the most significant first
	SlotsCut bool             // slots were compared only of the 1,000 patterns with the most lines in the window
}

// WindowChange is a pattern that differs from its past, or one of its slots. Of a slot whose numbers drifted, Before and After count the
// numbers; of one with new values, After counts the lines that have one and Expected how many of them were to be expected.
type WindowChange struct {
	PatternRow
	windows.Change
	Slot *SlotChange // of SlotDrift and SlotValued
}

var errWindow = errors.New("each window must end after it starts")

// CompareWindows returns the patterns that are new, gone, up, down, rare or silent, and their slots that differ, the most significant
// first; package windows and slotComparison say when they are. Of the base and of the comparable windows only those count in which the library has any line. It reads two index
// ranges a shape and window.
//
// Slots are compared of up to 1,000 patterns, those with the most lines in the window, and both sides need 50 values, or MinLines if that is more. What
// slots held is stored by hours, and by days once it is old: the windows are widened to that.
func CompareWindows(ctx context.Context, q Querier, c Compare) (*Comparison, error) {
	lib, err := LibraryByID(ctx, q, c.Library)
	if err != nil {
		return nil, fmt.Errorf("compare windows: %w", err)
	}
	bucket := time.Duration(lib.BucketSeconds) * time.Second
	w := whole(windows.Window{From: c.From, To: c.To}, bucket)
	if w.Length() <= 0 {
		return nil, fmt.Errorf("compare windows: %w", errWindow)
	}
	if c.Baseline == BaselineSeasonal {
		past := windows.Seasonal(w, comparableWindows)
		found, err := countWindows(ctx, q, lib.ID, w, past, past)
		if err != nil || len(found.base) > 0 {
			return c.finish(ctx, q, found, bucket, BaselineSeasonal, err)
		}
	}
	base := whole(c.base(w), bucket)
	if base.Length() <= 0 {
		return nil, fmt.Errorf("compare windows: %w", errWindow)
	}
	found, err := countWindows(ctx, q, lib.ID, w, []windows.Window{base}, windows.Preceding(base, comparableWindows))
	if err == nil && len(found.base) == 0 {
		found.base = []windows.Window{base} // empty, and so everything is new
	}
	return c.finish(ctx, q, found, bucket, BaselinePrevious, err)
}

func (c *Compare) base(w windows.Window) windows.Window {
	base := windows.Window{From: c.BaseFrom, To: c.BaseTo}
	if base.To.IsZero() {
		base.To = w.From
	}
	if base.From.IsZero() {
		base.From = base.To.Add(-w.Length())
	}
	return base
}

// whole widens a window to whole buckets.
func whole(w windows.Window, bucket time.Duration) windows.Window {
	step := int64(bucket / time.Second)
	down := func(t time.Time) time.Time { return time.Unix(floorTo(t.Unix(), step), 0).UTC() }
	up := func(t time.Time) time.Time { return time.Unix(-floorTo(-t.Add(time.Second-1).Unix(), step), 0).UTC() }
	return windows.Window{From: down(w.From), To: up(w.To)}
}

// counted is what the database has of the windows.
type counted struct {
	window     windows.Window
	base, past []windows.Window // those with any line
	counts     []windows.Count
}

// countWindows counts the lines of each pattern in the window, and in those of base and past in which the library has any.
func countWindows(ctx context.Context, q Querier, library uuid.UUID, w windows.Window, base, past []windows.Window) (*counted, error) {
	all := append([]windows.Window{w}, base...)
	for _, p := range past {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	counts, lines, err := countEach(ctx, q, library, all)
	if err != nil {
		return nil, err
	}
	in := func(p windows.Window) int { return slices.Index(all, p) }
	hasLines := func(p windows.Window) bool {
		return slices.ContainsFunc(lines, func(n []int64) bool { return n[in(p)] > 0 })
	}
	out := &counted{window: w, base: kept(base, hasLines), past: kept(past, hasLines), counts: counts}
	for i := range counts {
		c := &counts[i]
		c.Window = lines[i][0]
		for _, p := range out.base {
			c.Base += lines[i][in(p)]
		}
		for _, p := range out.past {
			c.Past = append(c.Past, lines[i][in(p)])
		}
	}
	return out, nil
}

// countEach returns the patterns with lines in any of the windows, and the lines of each in each window. Last is before the end of
// the first window.
func countEach(ctx context.Context, q Querier, library uuid.UUID, all []windows.Window) (counts []windows.Count, lines [][]int64, err error) {
	froms, tos := make([]time.Time, len(all)), make([]time.Time, len(all))
	for i, p := range all {
		froms[i], tos[i] = p.From, p.To
	}
	rows, _ := q.Query(ctx, `
		with seen as (
			select s.pattern_id, p.i, sum(c.lines)::bigint as lines, max(c.last) as last
			from tartan.shapes s
			join unnest($2::timestamptz[], $3::timestamptz[]) with ordinality p (since, until, i) on s.last_seen >= p.since and s.first_seen < p.until
			cross join lateral (select sum(lines) as lines, max(bucket) as last from tartan.pattern_counts
				where library_id = $1 and shape_id = s.id and bucket >= p.since and bucket < p.until) c
			where s.library_id = $1 and s.pattern_id is not null and c.lines is not null
			group by s.pattern_id, p.i
		)
		select p.id, p.lines, p.first_seen, max(s.last) filter (where s.last < $4), array_agg(s.i::int), array_agg(s.lines)
		from seen s join tartan.patterns p on p.library_id = $1 and p.id = s.pattern_id
		group by p.id, p.lines, p.first_seen order by p.id`, library, froms, tos, tos[0])
	var (
		id    pattern.ID
		ever  int64
		first time.Time
		last  *time.Time
		at    []int32
		many  []int64
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &ever, &first, &last, &at, &many}, func() error {
		n := make([]int64, len(all))
		for k, i := range at {
			n[i-1] = many[k]
		}
		c := windows.Count{Pattern: id, Ever: ever, First: first.UTC()}
		if last != nil {
			c.Last = last.UTC()
		}
		lines, counts = append(lines, n), append(counts, c)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("count the lines of the windows: %w", known(err))
	}
	return counts, lines, nil
}

func kept(all []windows.Window, keep func(windows.Window) bool) (out []windows.Window) {
	for _, w := range all {
		if keep(w) {
			out = append(out, w)
		}
	}
	return out
}

// finish judges the counts, and the slots if there is an index.
func (c *Compare) finish(ctx context.Context, q Querier, found *counted, bucket time.Duration, baseline string, err error) (*Comparison, error) {
	if err != nil {
		return nil, fmt.Errorf("compare windows: %w", err)
	}
	out := &Comparison{Baseline: baseline, Window: found.window, Base: found.base, Past: len(found.past)}
	question := windows.Question{Window: found.window, Bucket: bucket, MinLines: c.MinLines, MinRatio: c.MinRatio}
	for _, b := range found.base {
		question.Base += b.Length()
	}
	leave, err := c.leave(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("compare windows: %w", err)
	}
	found.counts = slices.DeleteFunc(found.counts, func(n windows.Count) bool { return leave(n.Pattern) })
	if err := addGaps(ctx, q, c.Library, question, found); err != nil {
		return nil, fmt.Errorf("compare windows: %w", err)
	}
	var changes []WindowChange
	for _, change := range windows.Judge(question, found.counts) {
		changes = append(changes, WindowChange{Change: change})
	}
	if c.Index != nil {
		s := slotComparison{library: c.Library, index: c.Index, window: found.window, base: found.base, minLines: max(minSlotValues, c.MinLines), leave: leave}
		if err := s.read(ctx, q); err != nil {
			return nil, fmt.Errorf("compare windows: %w", err)
		}
		changes = append(changes, s.found...)
		out.SlotsCut = s.patterns > maxCompared
		windows.Rank(changes, func(w WindowChange) (float64, pattern.ID) { return w.Significance, w.Pattern })
	}
	out.Changes, err = c.page(ctx, q, changes)
	return out, err
}

// leave says which patterns are left out: those that are ignored.
func (c *Compare) leave(ctx context.Context, q Querier) (func(pattern.ID) bool, error) {
	if c.Ignored {
		return func(pattern.ID) bool { return false }, nil
	}
	notes, err := PatternNotes(ctx, q, c.Library)
	return func(id pattern.ID) bool { return notes[id].Ignored }, err
}

// page reads the patterns of the page asked for.
func (c *Compare) page(ctx context.Context, q Querier, changes []WindowChange) ([]WindowChange, error) {
	changes = changes[min(max(c.Offset, 0), len(changes)):]
	changes = changes[:min(pageSize(c.Limit), len(changes))]
	ids := make([]pattern.ID, len(changes))
	for i := range changes {
		ids[i] = changes[i].Pattern
	}
	rows, err := PatternsByID(ctx, q, c.Library, ids)
	if err != nil {
		return nil, fmt.Errorf("compare windows: %w", err)
	}
	for i := range changes {
		changes[i].PatternRow = rows[changes[i].Pattern]
	}
	return changes, nil
}

// addGaps looks up how long the patterns that may be late have been quiet at most, in the comparable windows and this one.
func addGaps(ctx context.Context, q Querier, library uuid.UUID, question windows.Question, found *counted) error {
	if len(found.past) == 0 {
		return nil
	}
	var span time.Duration
	since := found.window.From
	for _, p := range found.past {
		span += p.Length()
		if p.From.Before(since) {
			since = p.From
		}
	}
	late := map[pattern.ID]*windows.Count{}
	var ids []string
	for i := range found.counts {
		if c := &found.counts[i]; windows.MayBeLate(question, c, span) {
			late[c.Pattern] = c
			ids = append(ids, string(c.Pattern))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, _ := q.Query(ctx, `
		with seen as (
			select distinct s.pattern_id, c.bucket from tartan.shapes s
			join tartan.pattern_counts c on c.library_id = s.library_id and c.shape_id = s.id and c.bucket >= $3 and c.bucket < $4
			where s.library_id = $1 and s.pattern_id = any ($2)
		), gaps as (
			select pattern_id, bucket, bucket - lag(bucket) over (partition by pattern_id order by bucket) as gap from seen
		)
		select pattern_id, count(gap)::int, coalesce(extract(epoch from max(gap)), 0)::bigint, max(bucket) from gaps group by pattern_id`,
		library, ids, since, found.window.To)
	var (
		id      pattern.ID
		number  int
		longest int64
		last    time.Time
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &number, &longest, &last}, func() error {
		c := late[id]
		c.Gaps, c.Last = &windows.Gaps{Number: number, Longest: time.Duration(longest) * time.Second}, last.UTC()
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the gaps of %d patterns: %w", len(ids), known(err))
	}
	return nil
}
