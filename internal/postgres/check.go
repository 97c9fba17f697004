package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// checks return one text for each number that does not add up.
var checks = []string{
	`select format('shape %s has %s lines and %s in its buckets', s.id, s.lines, coalesce(c.lines, 0))
	from tartan.shapes s left join (select shape_id, sum(lines) as lines from tartan.pattern_counts where library_id = $1 group by shape_id) c on c.shape_id = s.id
	where s.library_id = $1 and s.lines <> coalesce(c.lines, 0)`,

	`select format('shape %s has %s lines in buckets and is not stored', shape_id, sum(lines)) from tartan.pattern_counts c
	where library_id = $1 and not exists (select from tartan.shapes s where s.library_id = $1 and s.id = c.shape_id) group by shape_id`,

	// Lines counted before there were slot values have none.
	`select format('shape %s has %s lines and the values of %s', v.shape_id, s.lines, v.lines)
	from (select shape_id, sum(lines) as lines from tartan.slot_values where library_id = $1 group by shape_id) v
	left join tartan.shapes s on s.library_id = $1 and s.id = v.shape_id where v.lines > coalesce(s.lines, 0)`,

	`select format('pattern %s has %s lines from %s to %s, and its shapes %s from %s to %s', p.id, p.lines, p.first_seen, p.last_seen, coalesce(s.lines, 0), s.first_seen, s.last_seen)
	from tartan.patterns p left join (select pattern_id, sum(lines) as lines, min(first_seen) as first_seen, max(last_seen) as last_seen
		from tartan.shapes where library_id = $1 group by pattern_id) s on s.pattern_id = p.id
	where p.library_id = $1 and (select kind from tartan.libraries where id = $1) <> 'series' and (p.lines, p.first_seen, p.last_seen) is distinct from (coalesce(s.lines, 0)::bigint, s.first_seen, s.last_seen)`,

	`select format('shape %s belongs to the retired pattern %s', s.id, p.id) from tartan.shapes s join tartan.patterns p on p.library_id = s.library_id and p.id = s.pattern_id
	where s.library_id = $1 and p.state = 'retired'`,

	`select format('pattern %s is active and has no shape', p.id) from tartan.patterns p
	where p.library_id = $1 and (select kind from tartan.libraries where id = $1) <> 'series' and p.state = 'active' and p.origin = '' and not exists (select from tartan.shapes s where s.library_id = $1 and s.pattern_id = p.id)`,

	`select format('retired pattern %s is no alias', p.id) from tartan.patterns p
	where p.library_id = $1 and (select kind from tartan.libraries where id = $1) <> 'series' and p.state = 'retired' and p.origin = '' and not exists (select from tartan.pattern_aliases a where a.library_id = $1 and a.old_id = p.id)`,

	`select format('alias %s means %s, which is not an active pattern', a.old_id, a.new_id) from tartan.pattern_aliases a
	left join tartan.patterns p on p.library_id = $1 and p.id = a.new_id
	where a.library_id = $1 and p.state is distinct from 'active'`,

	`select format('pattern %s has no version %s', p.id, p.version) from tartan.patterns p
	where p.library_id = $1 and not exists (select from tartan.pattern_versions v where v.library_id = $1 and v.pattern_id = p.id and v.version = p.version)`,

	`select format('the library has %s lines, its shapes %s and its ledger %s', l.lines, s.n, c.n)
	from tartan.libraries l,
		lateral (select coalesce(sum(lines), 0) as n from tartan.shapes where library_id = l.id) s,
		lateral (select (select coalesce(sum(c.lines), 0) from tartan.chunks c join tartan.sources o on o.id = c.source_id where o.library_id = l.id)
			+ (select coalesce(sum(b.matched), 0) from tartan.observation_batches b where b.counted_in = l.id) as n) c
	where l.id = $1 and (l.lines <> s.n or l.lines <> c.n)`,

	`select format('the library has %s shapes, %s patterns and %s other lines, and really %s, %s and %s', l.shapes, l.patterns, l.other_lines, s.n, p.n, o.n)
	from tartan.libraries l,
		lateral (select count(*) as n from tartan.shapes where library_id = l.id and id <> 0 and folded_into is null) s,
		lateral (select count(*) as n from tartan.patterns where library_id = l.id and state = 'active') p,
		lateral (select coalesce(sum(lines), 0) as n from tartan.shapes where library_id = l.id and id = 0) o
	where l.id = $1 and (l.shapes, l.patterns, l.other_lines) is distinct from (s.n, p.n, o.n)`,

	`select format('run %s has %s lines and %s continued in %s chunks, and the ledger %s and %s in %s', r.workflow_id, r.lines, r.continued, r.chunks_done, c.lines, c.continued, c.n)
	from tartan.runs r, lateral (select count(*) as n, coalesce(sum(lines), 0) as lines, coalesce(sum(continued), 0) as continued from tartan.chunks where source_id = r.source_id) c
	where r.library_id = $1 and r.source_id is not null and (r.lines, r.continued, r.chunks_done) is distinct from (c.lines, c.continued, c.n)`,
}

// CheckLibrary compares the library's numbers with each other and returns an error that names each one that does not
// add up: counts per shape = shape, shapes per pattern = pattern, shapes = library = ledger = runs. It reads all rows
// of the library.
func CheckLibrary(ctx context.Context, q Querier, libraryID uuid.UUID) error {
	if _, err := LibraryByID(ctx, q, libraryID); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	var faults []error
	for _, sql := range checks {
		rows, _ := q.Query(ctx, sql+" limit 20", libraryID)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("check library %s: %w", libraryID, err)
		}
		for _, t := range texts {
			faults = append(faults, errors.New(t))
		}
	}
	return errors.Join(faults...)
}
