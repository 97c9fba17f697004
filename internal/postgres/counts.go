package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

const (
	insertOther = `insert into tartan.shapes (workspace_id, library_id, id, text, revision) values ($1, $2, 0, '', $3) on conflict do nothing`

	// The least example is kept, so that the order in which chunks are committed does not matter.
	keepLeastExample = `on conflict (library_id, shape_id) do update set line = excluded.line, at = excluded.at, source_id = excluded.source_id
		where (excluded.at, excluded.line collate "C") < (e.at, e.line collate "C")`
)

// AddCounts adds one tally to the library: counts per shape and bucket, totals of shapes, patterns and library,
// examples, slot values, and the outbox event of the library at the revision. Every counted shape must be in assigned, except
// template.Other. The library must be locked by LockLibrary in the same transaction, and what was learned from the
// tally saved by SaveChange.
func AddCounts(ctx context.Context, tx pgx.Tx, lib Library, revision int64, counts []template.Counted, assigned []template.Assignment, sourceID uuid.UUID) error {
	a, err := addition(lib, counts, assigned)
	if err == nil {
		err = planFor(ctx, tx, len(counts))
	}
	if err == nil {
		err = a.save(ctx, tx, lib, revision, sourceID)
	}
	if err == nil {
		err = saveValues(ctx, tx, lib, counts, assigned)
	}
	if err != nil {
		return fmt.Errorf("add counts to library %s: %w", lib.Name, known(err))
	}
	return nil
}

// sums are the numbers to add to one row.
type sums struct {
	lines       int64
	first, last int64 // Unix nanoseconds
}

func (s *sums) add(c template.Counted) {
	if s.lines == 0 {
		s.first, s.last = c.First, c.Last
	}
	s.lines += c.Lines
	s.first, s.last = min(s.first, c.First), max(s.last, c.Last)
}

type bucketKey struct {
	shape int64
	start int64 // Unix seconds
}

type example struct {
	line string
	at   int64
}

// added is a tally by the shapes and patterns of today.
type added struct {
	shapes   map[int64]*sums
	patterns map[string]*sums
	buckets  map[bucketKey]int64
	examples map[int64]example
	lines    int64
	other    int64
}

func addition(lib Library, counts []template.Counted, assigned []template.Assignment) (*added, error) {
	to := make(map[template.ShapeID]template.Assignment, len(assigned))
	for _, a := range assigned {
		to[a.Given] = a
	}
	width := int64(lib.BucketSeconds)
	a := &added{
		shapes: make(map[int64]*sums, len(counts)), patterns: map[string]*sums{},
		buckets: make(map[bucketKey]int64, 3*len(counts)), examples: make(map[int64]example, len(counts)),
	}
	for _, c := range counts {
		where, ok := to[c.ID]
		if !ok && c.ID != template.Other {
			return nil, fmt.Errorf("shape %x was counted but not assigned", uint64(c.ID))
		}
		if c.Lines == 0 {
			continue
		}
		id := int64(where.Shape)
		into(a.shapes, id).add(c)
		a.lines += c.Lines
		if where.Shape == template.Other {
			a.other += c.Lines
		} else {
			into(a.patterns, string(where.Pattern)).add(c)
		}
		var inBuckets int64
		for _, b := range c.Buckets {
			start := floorTo(b.Start, width)
			a.buckets[bucketKey{id, start}] += b.Lines
			inBuckets += b.Lines
		}
		if inBuckets != c.Lines {
			return nil, fmt.Errorf("shape %x has %d lines but %d in its buckets", uint64(c.ID), c.Lines, inBuckets)
		}
		e, has := a.examples[id]
		if !has || c.ExampleAt < e.at || (c.ExampleAt == e.at && c.Example < e.line) {
			a.examples[id] = example{c.Example, c.ExampleAt}
		}
	}
	return a, nil
}

func into[K comparable](m map[K]*sums, k K) *sums {
	s := m[k]
	if s == nil {
		s = &sums{}
		m[k] = s
	}
	return s
}

// columns returns the sums as columns, sorted by key.
func columns[K cmp.Ordered](m map[K]*sums) (keys []K, lines []int64, first, last []time.Time) {
	keys = slices.Sorted(maps.Keys(m))
	for _, k := range keys {
		lines = append(lines, m[k].lines)
		first = append(first, time.Unix(0, m[k].first).UTC())
		last = append(last, time.Unix(0, m[k].last).UTC())
	}
	return keys, lines, first, last
}

var errLostCounts = errors.New("a shape or pattern that was counted is not stored")

// save writes everything in one round trip.
func (a *added) save(ctx context.Context, tx pgx.Tx, lib Library, revision int64, sourceID uuid.UUID) error {
	w, l := lib.WorkspaceID, lib.ID
	b := &pgx.Batch{}
	// An update that finds no row loses lines; the number of rows says so.
	expect := func(n int, sql string, args ...any) {
		b.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() != int64(n) {
				return fmt.Errorf("%w: %d of %d rows", errLostCounts, tag.RowsAffected(), n)
			}
			return nil
		})
	}
	if len(a.shapes) > 0 {
		if a.other > 0 {
			b.Queue(insertOther, w, l, revision)
		}
		ids, lines, first, last := columns(a.shapes)
		expect(len(ids), `update tartan.shapes s set lines = s.lines + u.lines, first_seen = least(s.first_seen, u.first), last_seen = greatest(s.last_seen, u.last)
			from unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[]) u (id, lines, first, last)
			where s.library_id = $1 and s.id = u.id and s.folded_into is null`, l, ids, lines, first, last)
		a.queueBuckets(b, lib)
		a.queueExamples(b, lib, ids, sourceID)
	}
	if len(a.patterns) > 0 {
		names, lines, first, last := columns(a.patterns)
		expect(len(names), `update tartan.patterns p set lines = p.lines + u.lines, first_seen = least(p.first_seen, u.first), last_seen = greatest(p.last_seen, u.last)
			from unnest($2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[]) u (id, lines, first, last)
			where p.library_id = $1 and p.id = u.id and p.state = 'active'`, l, names, lines, first, last)
	}
	expect(1, `update tartan.libraries set lines = lines + $2, other_lines = other_lines + $3, updated_at = clock_timestamp() where id = $1`, l, a.lines, a.other)
	event, err := json.Marshal(LibraryChange{Revision: revision, Lines: a.lines})
	if err != nil {
		return err
	}
	b.Queue(insertOutbox, w, TopicLibrary, l.String(), event)
	return tx.SendBatch(ctx, b).Close()
}

func (a *added) queueBuckets(b *pgx.Batch, lib Library) {
	keys := slices.SortedFunc(maps.Keys(a.buckets), func(x, y bucketKey) int {
		return cmp.Or(cmp.Compare(x.shape, y.shape), cmp.Compare(x.start, y.start))
	})
	ids, starts, lines := make([]int64, len(keys)), make([]time.Time, len(keys)), make([]int64, len(keys))
	for i, k := range keys {
		ids[i], starts[i], lines[i] = k.shape, time.Unix(k.start, 0).UTC(), a.buckets[k]
	}
	b.Queue(`insert into tartan.pattern_counts as c (workspace_id, library_id, shape_id, bucket, lines)
		select $1, $2, u.shape_id, u.bucket, u.lines from unnest($3::bigint[], $4::timestamptz[], $5::bigint[]) u (shape_id, bucket, lines)
		on conflict (library_id, shape_id, bucket) do update set lines = c.lines + excluded.lines`, lib.WorkspaceID, lib.ID, ids, starts, lines)
}

func (a *added) queueExamples(b *pgx.Batch, lib Library, ids []int64, sourceID uuid.UUID) {
	lines, at := make([]string, len(ids)), make([]time.Time, len(ids))
	for i, id := range ids {
		lines[i], at[i] = stored(a.examples[id].line), time.Unix(0, a.examples[id].at).UTC()
	}
	// Most examples are later than the one there is; leaving them out before the insert spares the conflict.
	b.Queue(`insert into tartan.examples as e (workspace_id, library_id, shape_id, line, at, source_id)
		select $1, $2, u.shape_id, u.line, u.at, nullif($6::uuid, `+zeroUUID+`) from unnest($3::bigint[], $4::text[], $5::timestamptz[]) u (shape_id, line, at)
		left join tartan.examples o on o.library_id = $2 and o.shape_id = u.shape_id
		where o.shape_id is null or (u.at, u.line collate "C") < (o.at, o.line collate "C")
		`+keepLeastExample, lib.WorkspaceID, lib.ID, ids, lines, at, sourceID)
}

// patternIDs converts ids to the text that the database has.
func patternIDs(ids []pattern.ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}
