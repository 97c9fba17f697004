package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Compare asks what differs between a base window and a later one. Windows include their start and exclude their end;
// both are widened to whole buckets of the library.
type Compare struct {
	Library  uuid.UUID
	BaseFrom time.Time
	BaseTo   time.Time
	From     time.Time
	To       time.Time
	MinLines int64   // patterns with fewer lines in each of the windows are left out; 0 is 1
	MinRatio float64 // a rate must have changed by this factor; 0 is 1.5
	Limit    int     // 1 to 1,000; 0 is 50
	Offset   int
}

// WindowChange is a pattern that differs between two windows.
type WindowChange struct {
	PatternRow
	Kind         string  // "new", "gone", "up" or "down"
	Before       int64   // lines in the base window
	After        int64   // lines in the later window
	Ratio        float64 // rate after / rate before; 0 when new or gone
	Significance float64 // how many standard deviations the rates are apart
}

// A change of rate of less than three standard deviations is taken for chance: of a thousand unchanged patterns, three
// would show one.
const minSignificance = 3

// CompareWindows returns the patterns that are new, gone or changed in rate, the most significant first. Rates are
// lines per second of window, and lines are taken to arrive independently (a Poisson process): for a lines in A
// seconds and b in B seconds, the significance is |a/A - b/B| / sqrt(a/A² + b/B²).
func CompareWindows(ctx context.Context, q Querier, c Compare) ([]WindowChange, error) {
	lib, err := LibraryByID(ctx, q, c.Library)
	if err != nil {
		return nil, fmt.Errorf("compare windows: %w", err)
	}
	step := int64(lib.BucketSeconds)
	down := func(t time.Time) time.Time { return time.Unix(floorTo(t.Unix(), step), 0).UTC() }
	up := func(t time.Time) time.Time { return time.Unix(-floorTo(-t.Add(time.Second-1).Unix(), step), 0).UTC() }
	c.BaseFrom, c.BaseTo, c.From, c.To = down(c.BaseFrom), up(c.BaseTo), down(c.From), up(c.To)
	base, later := c.BaseTo.Sub(c.BaseFrom).Seconds(), c.To.Sub(c.From).Seconds()
	if base <= 0 || later <= 0 {
		return nil, fmt.Errorf("compare windows: each window must end after it starts")
	}
	if c.MinRatio <= 1 {
		c.MinRatio = 1.5
	}
	// Only shapes seen in or around the windows are looked at; two index ranges each.
	rows, _ := q.Query(ctx, `
		with counted as (
			select s.pattern_id, sum(w.before)::float8 as before, sum(w.after)::float8 as after
			from tartan.shapes s, lateral (
				select coalesce((select sum(lines) from tartan.pattern_counts where library_id = $1 and shape_id = s.id and bucket >= $2 and bucket < $3), 0) as before,
					coalesce((select sum(lines) from tartan.pattern_counts where library_id = $1 and shape_id = s.id and bucket >= $4 and bucket < $5), 0) as after) w
			where s.library_id = $1 and s.pattern_id is not null and s.last_seen >= least($2, $4) and s.first_seen < greatest($3, $5)
			group by s.pattern_id
		), rated as (
			select pattern_id, before, after, before / $6 as rate_before, after / $7 as rate_after,
				abs(after / $7 - before / $6) / sqrt(after / ($7 * $7) + before / ($6 * $6)) as significance
			from counted where greatest(before, after) >= $8
		)
		select `+patternColumns+`, r.before::bigint, r.after::bigint, r.significance
		from rated r join tartan.patterns p on p.library_id = $1 and p.id = r.pattern_id
		where r.before = 0 or r.after = 0
			or (r.significance >= $9 and greatest(r.rate_before / r.rate_after, r.rate_after / r.rate_before) >= $10)
		order by r.significance desc, p.id limit $11 offset $12`,
		c.Library, c.BaseFrom, c.BaseTo, c.From, c.To, base, later, max(c.MinLines, 1), minSignificance, c.MinRatio,
		pageSize(c.Limit), max(c.Offset, 0))
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w WindowChange, err error) {
		w.PatternRow, err = scanPattern(row, &w.Before, &w.After, &w.Significance)
		switch {
		case w.Before == 0:
			w.Kind = "new"
		case w.After == 0:
			w.Kind = "gone"
		default:
			w.Ratio = (float64(w.After) / later) / (float64(w.Before) / base)
			w.Kind = "up"
			if w.Ratio < 1 {
				w.Kind = "down"
			}
		}
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("compare windows: %w", known(err))
	}
	return changes, nil
}
