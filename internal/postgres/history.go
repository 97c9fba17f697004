package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Example is a line that a pattern was seen in.
type Example struct {
	Line     string
	At       time.Time
	SourceID uuid.UUID
}

// Bucket is the number of lines in the time from Start to the Start of the next one.
type Bucket struct {
	Start time.Time
	Lines int64
}

// Examples returns at most limit example lines of the pattern, from its most frequent shapes first. The id may be an
// earlier one.
func Examples(ctx context.Context, q Querier, library uuid.UUID, id pattern.ID, limit int) ([]Example, error) {
	rows, _ := q.Query(ctx, `
		select e.line, e.at, coalesce(e.source_id, `+zeroUUID+`)
		from tartan.shapes s join tartan.examples e on e.library_id = s.library_id and e.shape_id = s.id
		where s.library_id = $1
		  and s.pattern_id = coalesce((select new_id from tartan.pattern_aliases where library_id = $1 and old_id = $2), $2)
		order by s.lines desc, s.id limit $3`, library, string(id), pageSize(limit))
	examples, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Example])
	if err != nil {
		return nil, fmt.Errorf("read examples of pattern %s: %w", id, known(err))
	}
	for i := range examples {
		examples[i].Line, examples[i].At = plain(examples[i].Line), examples[i].At.UTC()
	}
	return examples, nil
}

// Histogram returns the lines of one pattern from since to until in at most the given number of equal buckets, empty
// ones included. A bucket is a multiple of the library's own buckets wide, so a short time gives fewer. A zero since
// or until is the pattern's first or last line. An unknown pattern is ErrNotFound.
func Histogram(ctx context.Context, q Querier, library uuid.UUID, id pattern.ID, since, until time.Time, buckets int) ([]Bucket, error) {
	found, err := Histograms(ctx, q, library, []pattern.ID{id}, since, until, buckets)
	if err != nil {
		return nil, err
	}
	h, ok := found[id]
	if !ok {
		return nil, fmt.Errorf("pattern %s: %w", id, ErrNotFound)
	}
	return h, nil
}

// Histograms returns the histograms of several patterns over the same buckets, keyed by the id asked for; unknown ids
// are absent. A zero since or until is the first or last line of any of them.
func Histograms(ctx context.Context, q Querier, library uuid.UUID, ids []pattern.ID, since, until time.Time, buckets int) (map[pattern.ID][]Bucket, error) {
	lib, err := LibraryByID(ctx, q, library)
	if err != nil {
		return nil, err
	}
	found, err := PatternsByID(ctx, q, library, ids)
	if err != nil {
		return nil, err
	}
	start, width, n := grid(found, since, until, buckets, time.Duration(lib.BucketSeconds)*time.Second)
	rows, _ := q.Query(ctx, `
		select s.pattern_id, floor(extract(epoch from c.bucket - $3) / $5)::int as i, sum(c.lines)::bigint
		from tartan.shapes s join tartan.pattern_counts c on c.library_id = s.library_id and c.shape_id = s.id and c.bucket >= $3 and c.bucket < $4
		where s.library_id = $1 and s.pattern_id = any ($2) group by 1, 2`,
		library, patternIDs(mapIDs(found)), start, start.Add(time.Duration(n)*width), width.Seconds())
	counted := map[pattern.ID][]int64{}
	var id string
	var i int
	var lines int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &i, &lines}, func() error {
		if counted[pattern.ID(id)] == nil {
			counted[pattern.ID(id)] = make([]int64, n)
		}
		if i >= 0 && i < n {
			counted[pattern.ID(id)][i] += lines
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read histograms: %w", known(err))
	}
	out := make(map[pattern.ID][]Bucket, len(found))
	for asked, p := range found {
		h := make([]Bucket, n)
		for i := range h {
			h[i].Start = start.Add(time.Duration(i) * width)
			if c := counted[p.ID]; c != nil {
				h[i].Lines = c[i]
			}
		}
		out[asked] = h
	}
	return out, nil
}

// BusiestPatterns returns the patterns with the most lines ever, at most n, of those seen in the time, and their histograms.
// A zero since or until is the first or last line of any of them.
func BusiestPatterns(ctx context.Context, q Querier, library uuid.UUID, since, until time.Time, n, buckets int) ([]PatternRow, map[pattern.ID][]Bucket, error) {
	rows, _, err := Patterns(ctx, q, ListPatterns{Library: library, Since: since, Until: until, Limit: n})
	if err != nil || len(rows) == 0 {
		return nil, nil, err
	}
	ids := make([]pattern.ID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	histograms, err := Histograms(ctx, q, library, ids, since, until, buckets)
	return rows, histograms, err
}

// grid lays at most max buckets from since to until, each a multiple of the library's bucket wide and aligned with it.
func grid(found map[pattern.ID]PatternRow, since, until time.Time, most int, bucket time.Duration) (start time.Time, width time.Duration, n int) {
	var first, last time.Time
	for _, p := range found {
		if p.Lines > 0 && (first.IsZero() || p.FirstSeen.Before(first)) {
			first = p.FirstSeen
		}
		if p.LastSeen.After(last) {
			last = p.LastSeen
		}
	}
	if since.IsZero() {
		since = first
	}
	if until.IsZero() {
		until = last.Add(1)
	}
	most = max(1, min(most, 10_000))
	// Unix seconds instead of Truncate, which counts from year 1 and would not agree with the stored buckets.
	seconds := int64(bucket / time.Second)
	start = time.Unix(floorTo(since.Unix(), seconds), 0).UTC()
	span := max(until.Sub(start), bucket)
	width = (span + time.Duration(most) - 1) / time.Duration(most)
	width = (width + bucket - 1) / bucket * bucket
	return start, width, int((span + width - 1) / width)
}

func floorTo(v, step int64) int64 { return v - ((v%step)+step)%step }

func mapIDs(found map[pattern.ID]PatternRow) []pattern.ID {
	ids := make([]pattern.ID, 0, len(found))
	for _, p := range found {
		ids = append(ids, p.ID)
	}
	return ids
}
