package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// StoredShape is a shape as the library keeps it.
type StoredShape struct {
	ID         template.ShapeID
	Text       string
	Pattern    pattern.ID        // "" for a folded shape
	FoldedInto *template.ShapeID // the wider shape that took its lines
	Revision   int64             // of the library when the row last changed
}

// ShapesSince returns the shapes that changed after the revision, by id, without template.Other. 0 returns all.
func ShapesSince(ctx context.Context, q Querier, libraryID uuid.UUID, revision int64) ([]StoredShape, error) {
	rows, _ := q.Query(ctx, `
		select id, text, coalesce(pattern_id, ''), folded_into, revision from tartan.shapes
		where library_id = $1 and revision > $2 and id <> 0 order by id`, libraryID, revision)
	shapes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s StoredShape, err error) {
		var id int64
		var into *int64
		err = row.Scan(&id, &s.Text, &s.Pattern, &into, &s.Revision)
		s.ID, s.Text = template.ShapeID(id), plain(s.Text)
		if into != nil {
			wide := template.ShapeID(*into)
			s.FoldedInto = &wide
		}
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read shapes of library %s: %w", libraryID, known(err))
	}
	return shapes, nil
}

// EachShape yields the shapes that changed after the revision and were not folded, in no order, while they are read: all of them at once may
// be more than a process should hold. 0 yields all. It stops at the first error, which err then has.
func EachShape(ctx context.Context, q Querier, libraryID uuid.UUID, revision int64, err *error) iter.Seq[template.Shape] {
	return func(yield func(template.Shape) bool) {
		rows, failed := q.Query(ctx, `
			select id, text from tartan.shapes
			where library_id = $1 and revision > $2 and id <> 0 and folded_into is null`, libraryID, revision)
		for failed == nil && rows.Next() {
			var id int64
			var text string
			if failed = rows.Scan(&id, &text); failed == nil && !yield(template.Shape{ID: template.ShapeID(id), Text: plain(text)}) {
				break
			}
		}
		rows.Close()
		if failed == nil {
			failed = rows.Err()
		}
		if failed != nil {
			*err = fmt.Errorf("read shapes of library %s: %w", libraryID, known(failed))
		}
	}
}

// SaveChange stores what learning changed: shapes, patterns and their versions, aliases and folds, and moves the
// totals along. It returns the library's revision afterwards, which is one more if anything changed. The library must
// be locked by LockLibrary in the same transaction.
func SaveChange(ctx context.Context, tx pgx.Tx, lib Library, ch template.Change, workflowID string, at time.Time) (revision int64, err error) {
	if len(ch.Added)+len(ch.Folded)+len(ch.Moved)+len(ch.Patterns)+len(ch.Retired) == 0 && (lib.Full || !ch.Full) {
		return lib.Revision, nil
	}
	c, err := plan(lib, ch, workflowID, at)
	if err == nil {
		err = planFor(ctx, tx, len(ch.Added)+len(ch.Folded)+len(ch.Moved)+len(ch.Patterns)+len(ch.Retired))
	}
	if err == nil {
		err = c.look(ctx, tx)
	}
	if err == nil {
		err = c.save(ctx, tx)
	}
	if err == nil {
		err = foldValues(ctx, tx, lib, c.foldFrom, c.foldTo)
	}
	if err != nil {
		return 0, fmt.Errorf("save change of library %s: %w", lib.Name, known(err))
	}
	return c.revision, nil
}

// SaveChecksum stores the checksum of the library that followers compare theirs with.
func SaveChecksum(ctx context.Context, tx pgx.Tx, libraryID uuid.UUID, checksum uint64) error {
	_, err := tx.Exec(ctx, `update tartan.libraries set checksum = $2 where id = $1`, libraryID, int64(checksum))
	if err != nil {
		return fmt.Errorf("save checksum of library %s: %w", libraryID, known(err))
	}
	return nil
}

// change is a template.Change as columns, with chains of folds and aliases resolved to their ends. The order of rows does
// not matter for locks: the library's row is locked.
type change struct {
	lib        Library
	revision   int64
	workflowID string
	at         time.Time
	full       bool

	patternIDs, templates, slots      []string
	kinds                             []string // origins
	addedIDs                          []int64
	addedTexts                        []string
	addedPatterns                     []*string // nil for a shape that was folded at once
	addedInto                         []*int64
	foldFrom, foldTo                  []int64
	movedIDs                          []int64
	movedPatterns                     []string
	oldIDs, newIDs                    []string
	goneIDs                           []string // retired without an heir: they never had a shape
	edited                            bool     // by a person: what was retired before lives again as it was
	shapesBefore, patternsBefore, odd int64    // odd: lines that fold into template.Other
	affected                          []string
	said                              []saidOf
}

func plan(lib Library, ch template.Change, workflowID string, at time.Time) (*change, error) {
	c := &change{lib: lib, revision: lib.Revision + 1, workflowID: workflowID, at: at, full: ch.Full}
	into := map[int64]int64{}
	for _, f := range ch.Folded {
		into[int64(f.From)] = int64(f.To)
	}
	of := map[int64]string{}
	for _, a := range ch.Assigned {
		of[int64(a.Shape)] = string(a.Pattern)
	}
	for _, m := range ch.Moved {
		of[int64(m.Shape)] = string(m.Pattern)
	}
	added := map[int64]bool{}
	slices.SortFunc(ch.Added, func(a, b template.Shape) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range ch.Added {
		id := int64(s.ID)
		added[id] = true
		c.addedIDs = append(c.addedIDs, id)
		c.addedTexts = append(c.addedTexts, stored(s.Text))
		if _, folded := into[id]; folded {
			to := end(into, id)
			c.addedPatterns, c.addedInto = append(c.addedPatterns, nil), append(c.addedInto, &to)
		} else {
			p := of[id]
			if p == "" {
				return nil, fmt.Errorf("shape %x was added without a pattern", uint64(id))
			}
			c.addedPatterns, c.addedInto = append(c.addedPatterns, &p), append(c.addedInto, nil)
		}
	}
	for _, f := range ch.Folded {
		if id := int64(f.From); !added[id] {
			c.foldFrom, c.foldTo = append(c.foldFrom, id), append(c.foldTo, end(into, id))
		}
	}
	for _, m := range ch.Moved {
		id := int64(m.Shape)
		if _, folded := into[id]; !added[id] && !folded {
			c.movedIDs, c.movedPatterns = append(c.movedIDs, id), append(c.movedPatterns, string(m.Pattern))
		}
	}
	for _, p := range ch.Patterns {
		c.patternIDs = append(c.patternIDs, string(p.ID))
		c.templates = append(c.templates, stored(p.Template))
		c.slots = append(c.slots, slotsJSON(p.Slots))
		c.kinds = append(c.kinds, string(p.Origin))
	}
	heir := map[string]string{}
	for _, a := range ch.Retired {
		heir[string(a.Old)] = string(a.New)
	}
	for _, a := range ch.Retired {
		if next := end(heir, string(a.Old)); next != "" {
			c.oldIDs, c.newIDs = append(c.oldIDs, string(a.Old)), append(c.newIDs, next)
		} else {
			c.goneIDs = append(c.goneIDs, string(a.Old))
		}
	}
	return c, nil
}

// end follows the links from k to where they end.
func end[K comparable](links map[K]K, k K) K {
	for range links {
		next, ok := links[k]
		if !ok {
			break
		}
		k = next
	}
	return k
}

func slotsJSON(slots []pattern.Slot) string {
	clean := make([]pattern.Slot, len(slots))
	for i, s := range slots {
		clean[i] = pattern.Slot{Name: stored(s.Name), Type: s.Type}
	}
	body, _ := json.Marshal(clean) // strings cannot fail
	return string(body)
}

// look finds what the change will touch, before it does: the numbers of shapes and patterns that were there, and the
// patterns whose shapes fold or move.
func (c *change) look(ctx context.Context, tx pgx.Tx) error {
	return tx.QueryRow(ctx, `
		select (select count(*) from tartan.shapes where library_id = $1 and id = any ($2) and folded_into is null),
			(select count(*) from tartan.patterns where library_id = $1 and id = any ($3) and state = 'active'),
			(select coalesce(array_agg(distinct pattern_id), '{}') from tartan.shapes
				where library_id = $1 and id = any ($4) and pattern_id is not null),
			(select coalesce(sum(s.lines), 0)::bigint from tartan.shapes s join unnest($5::bigint[], $6::bigint[]) f (from_id, to_id)
				on s.library_id = $1 and s.id = f.from_id and f.to_id = 0)`,
		c.lib.ID, slices.Concat(c.addedIDs, c.foldFrom), slices.Concat(c.patternIDs, c.oldIDs, c.goneIDs),
		slices.Concat(c.foldFrom, c.foldTo, c.movedIDs), c.foldFrom, c.foldTo,
	).Scan(&c.shapesBefore, &c.patternsBefore, &c.affected, &c.odd)
}

// save writes the change in one round trip. Patterns come before the shapes that name them, and totals of patterns
// after all shapes are in their place.
func (c *change) save(ctx context.Context, tx pgx.Tx) error {
	b := &pgx.Batch{}
	w, l := c.lib.WorkspaceID, c.lib.ID
	if len(c.patternIDs) > 0 {
		b.Queue(`insert into tartan.patterns as p (workspace_id, library_id, id, template, slots, origin, revision, created_at)
			select $1, $2, u.id, u.template, u.slots::jsonb, u.origin, $3, $4 from unnest($5::text[], $6::text[], $7::text[], $8::text[]) u (id, template, slots, origin)
			on conflict (library_id, id) do update set slots = excluded.slots, origin = excluded.origin, state = 'active', version = p.version + 1, revision = excluded.revision
			where p.slots <> excluded.slots or p.origin <> excluded.origin or p.state <> 'active'`, w, l, c.revision, c.at, c.patternIDs, c.templates, c.slots, c.kinds)
		c.revive(b)
	}
	if len(c.addedIDs) > 0 {
		b.Queue(`insert into tartan.shapes (workspace_id, library_id, id, text, pattern_id, folded_into, revision)
			select $1, $2, u.id, u.text, u.pattern_id, u.folded_into, $3
			from unnest($4::bigint[], $5::text[], $6::text[], $7::bigint[]) u (id, text, pattern_id, folded_into)
			on conflict (library_id, id) do update set text = excluded.text, pattern_id = excluded.pattern_id,
				folded_into = excluded.folded_into, revision = excluded.revision`,
			w, l, c.revision, c.addedIDs, c.addedTexts, c.addedPatterns, c.addedInto)
	}
	c.fold(b)
	if len(c.movedIDs) > 0 {
		b.Queue(`update tartan.shapes s set pattern_id = u.pattern_id, revision = $2
			from unnest($3::bigint[], $4::text[]) u (id, pattern_id)
			where s.library_id = $1 and s.id = u.id and s.pattern_id is distinct from u.pattern_id`, l, c.revision, c.movedIDs, c.movedPatterns)
	}
	c.recount(b)
	c.retire(b)
	if len(c.patternIDs)+len(c.oldIDs) > 0 || c.edited {
		c.say(b)
		c.note(b)
		b.Queue(`insert into tartan.pattern_versions (`+versionColumns+`)
			select `+versionOf+` from tartan.patterns p where p.library_id = $1 and p.id = any ($5) and p.revision = $2 and p.state = 'active'
			on conflict do nothing`, l, c.revision, c.workflowID, c.at, c.patternIDs)
	}
	b.Queue(`update tartan.libraries set revision = $2, is_full = is_full or $3, other_lines = other_lines + $4, updated_at = clock_timestamp(),
			shapes = shapes - $5 + (select count(*) from tartan.shapes where library_id = $1 and id = any ($6) and folded_into is null),
			patterns = patterns - $7 + (select count(*) from tartan.patterns where library_id = $1 and id = any ($8) and state = 'active')
		where id = $1`, l, c.revision, c.full, c.odd, c.shapesBefore, slices.Concat(c.addedIDs, c.foldFrom),
		c.patternsBefore, slices.Concat(c.patternIDs, c.oldIDs, c.goneIDs))
	return tx.SendBatch(ctx, b).Close()
}

// fold moves the counts, the example and the totals of shapes into the wider ones.
func (c *change) fold(b *pgx.Batch) {
	if len(c.foldFrom) == 0 {
		return
	}
	w, l := c.lib.WorkspaceID, c.lib.ID
	if slices.Contains(c.foldTo, int64(template.Other)) {
		b.Queue(insertOther, w, l, c.revision)
	}
	b.Queue(`with gone as (
			delete from tartan.pattern_counts c using unnest($3::bigint[], $4::bigint[]) f (from_id, to_id)
			where c.library_id = $2 and c.shape_id = f.from_id returning f.to_id, c.bucket, c.lines)
		insert into tartan.pattern_counts as c (workspace_id, library_id, shape_id, bucket, lines)
		select $1, $2, to_id, bucket, sum(lines) from gone group by to_id, bucket order by to_id, bucket
		on conflict (library_id, shape_id, bucket) do update set lines = c.lines + excluded.lines`, w, l, c.foldFrom, c.foldTo)
	b.Queue(`with gone as (
			delete from tartan.examples e using unnest($3::bigint[], $4::bigint[]) f (from_id, to_id)
			where e.library_id = $2 and e.shape_id = f.from_id returning f.to_id, e.line, e.at, e.source_id)
		insert into tartan.examples as e (workspace_id, library_id, shape_id, line, at, source_id)
		select distinct on (to_id) $1, $2, to_id, line, at, source_id from gone order by to_id, at, line collate "C"
		`+keepLeastExample, w, l, c.foldFrom, c.foldTo)
	b.Queue(`update tartan.shapes s set lines = s.lines + g.lines, revision = $2,
			first_seen = least(s.first_seen, g.first_seen), last_seen = greatest(s.last_seen, g.last_seen)
		from (select f.to_id, sum(o.lines) as lines, min(o.first_seen) as first_seen, max(o.last_seen) as last_seen
			from tartan.shapes o join unnest($3::bigint[], $4::bigint[]) f (from_id, to_id) on o.library_id = $1 and o.id = f.from_id
			group by f.to_id) g
		where s.library_id = $1 and s.id = g.to_id`, l, c.revision, c.foldFrom, c.foldTo)
	b.Queue(`update tartan.shapes s set lines = 0, first_seen = null, last_seen = null, pattern_id = null, folded_into = f.to_id, revision = $2
		from unnest($3::bigint[], $4::bigint[]) f (from_id, to_id)
		where s.library_id = $1 and (s.id = f.from_id or s.folded_into = f.from_id)`, l, c.revision, c.foldFrom, c.foldTo)
}

// recount makes the totals of the patterns whose shapes changed hands the sums over their shapes again.
func (c *change) recount(b *pgx.Batch) {
	ids := c.affected
	if len(c.foldFrom)+len(c.movedIDs) > 0 {
		ids = slices.Concat(ids, c.movedPatterns, c.oldIDs, c.newIDs, c.patternIDs)
	}
	if len(ids) == 0 {
		return
	}
	b.Queue(`update tartan.patterns p set lines = coalesce(s.lines, 0), first_seen = s.first_seen, last_seen = s.last_seen
		from (select distinct unnest($2::text[]) as id) a
		left join (select pattern_id, sum(lines) as lines, min(first_seen) as first_seen, max(last_seen) as last_seen
			from tartan.shapes where library_id = $1 and pattern_id = any ($2) group by pattern_id) s on s.pattern_id = a.id
		where p.library_id = $1 and p.id = a.id`, c.lib.ID, ids)
}

// revive takes living patterns out of the aliases. What was an alias of one before it was retired means what it meant last,
// unless an edit brought it back: then it means the pattern again.
func (c *change) revive(b *pgx.Batch) {
	if !c.edited {
		b.Queue(`update tartan.pattern_aliases set heir_id = null where library_id = $1 and heir_id = any ($2) and heir_id <> new_id`, c.lib.ID, c.patternIDs)
	}
	b.Queue(`delete from tartan.pattern_aliases where library_id = $1 and old_id = any ($2)`, c.lib.ID, c.patternIDs)
	if c.edited {
		b.Queue(`with recursive chain as (
				select old_id, coalesce(heir_id, new_id) as at, 1 as depth from tartan.pattern_aliases where library_id = $1
				union all
				select c.old_id, coalesce(a.heir_id, a.new_id), c.depth + 1 from chain c join tartan.pattern_aliases a on a.library_id = $1 and a.old_id = c.at)
			update tartan.pattern_aliases a set new_id = e.at, revision = $2
			from (select distinct on (old_id) old_id, at from chain order by old_id, depth desc) e
			where a.library_id = $1 and a.old_id = e.old_id and a.new_id <> e.at`, c.lib.ID, c.revision)
	}
}

// retire turns patterns into aliases of their heirs.
func (c *change) retire(b *pgx.Batch) {
	w, l := c.lib.WorkspaceID, c.lib.ID
	if len(c.oldIDs)+len(c.goneIDs) > 0 {
		b.Queue(`update tartan.patterns set state = 'retired', revision = $2 where library_id = $1 and id = any ($3)`, l, c.revision, slices.Concat(c.oldIDs, c.goneIDs))
	}
	if len(c.oldIDs) == 0 {
		return
	}
	b.Queue(`insert into tartan.pattern_aliases (workspace_id, library_id, old_id, new_id, heir_id, revision, created_at)
		select $1, $2, r.old_id, r.new_id, r.new_id, $3, $4 from unnest($5::text[], $6::text[]) r (old_id, new_id)
		on conflict (library_id, old_id) do update set new_id = excluded.new_id, heir_id = excluded.heir_id, revision = excluded.revision`,
		w, l, c.revision, c.at, c.oldIDs, c.newIDs)
	b.Queue(`update tartan.pattern_aliases a set new_id = r.new_id, revision = $2 from unnest($3::text[], $4::text[]) r (old_id, new_id)
		where a.library_id = $1 and a.new_id = r.old_id and a.old_id <> r.new_id`, l, c.revision, c.oldIDs, c.newIDs)
}

// Columns of pattern_versions, and what they are of a row p of patterns; $3 is the workflow and $4 the time.
const (
	versionColumns = `workspace_id, library_id, pattern_id, version, template, slots, name, description, origin, tags, owner, severity, ignored, revision, workflow_id, created_at`
	versionOf      = `p.workspace_id, p.library_id, p.id, p.version, p.template, p.slots, p.name, p.description, p.origin, p.tags, p.owner, p.severity, p.ignored, p.revision, $3, $4`
)

// note lets patterns show their notes: their own, and where that says nothing those of their aliases, the oldest pattern's
// first. Only patterns that have or had notes are touched, and each that changes gets a version.
func (c *change) note(b *pgx.Batch) {
	b.Queue(`with said as (
			select coalesce(a.new_id, n.pattern_id) as id, n.name, n.description, n.tags, n.owner, n.severity, n.ignored,
				row_number() over (order by a.old_id is not null, o.created_at, n.pattern_id) as place
			from tartan.pattern_notes n join tartan.patterns o on o.library_id = n.library_id and o.id = n.pattern_id
			left join tartan.pattern_aliases a on a.library_id = n.library_id and a.old_id = n.pattern_id
			where n.library_id = $1
		), shown as (
			select id, (array_agg(name order by place) filter (where name is not null))[1] as name,
				(array_agg(description order by place) filter (where description is not null))[1] as description,
				(array_agg(tags order by place) filter (where tags is not null))[1] as tags,
				(array_agg(owner order by place) filter (where owner is not null))[1] as owner,
				(array_agg(severity order by place) filter (where severity is not null))[1] as severity,
				(array_agg(ignored order by place) filter (where ignored is not null))[1] as ignored
			from said group by id
		), now as (
			select p.id, coalesce(s.name, '') as name, coalesce(s.description, '') as description,
				array(select jsonb_array_elements_text(coalesce(s.tags, '[]'))) as tags, coalesce(s.owner, '') as owner,
				coalesce(s.severity, '') as severity, coalesce(s.ignored, false) as ignored, s.id is not null as noted
			from tartan.patterns p left join shown s on s.id = p.id
			where p.library_id = $1 and (p.noted or p.id in (select id from shown))
		), changed as (
			update tartan.patterns p set name = n.name, description = n.description, tags = n.tags, owner = n.owner, severity = n.severity,
				ignored = n.ignored, noted = n.noted, revision = $2,
				version = case when p.state = 'retired' then p.version else coalesce(
					(select max(v.version) + 1 from tartan.pattern_versions v where v.library_id = p.library_id and v.pattern_id = p.id), p.version) end
			from now n where p.library_id = $1 and p.id = n.id and (p.name, p.description, p.tags, p.owner, p.severity, p.ignored, p.noted)
				is distinct from (n.name, n.description, n.tags, n.owner, n.severity, n.ignored, n.noted)
			returning p.*)
		insert into tartan.pattern_versions (`+versionColumns+`) select `+versionOf+` from changed p where p.state = 'active'
		on conflict do nothing`, c.lib.ID, c.revision, c.workflowID, c.at)
}
