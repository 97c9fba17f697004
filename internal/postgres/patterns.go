package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// PatternRow is a pattern as the library keeps it.
type PatternRow struct {
	ID          pattern.ID
	Name        string
	Description string
	Tags        []string
	Owner       string
	Severity    string
	Ignored     bool
	Origin      pattern.Origin
	Template    string
	Slots       []pattern.Slot
	State       string // StateActive or StateRetired
	Lines       int64
	FirstSeen   time.Time // zero while Lines is 0
	LastSeen    time.Time
	Version     int
	Aliases     []pattern.ID // earlier ids that mean this pattern
	Revision    int64
}

// The states of a pattern.
const (
	StateActive  = "active"
	StateRetired = "retired"
)

const patternColumns = `p.id, p.name, p.description, p.tags, p.owner, p.severity, p.ignored, p.origin, p.template, p.slots, p.state, p.lines, p.first_seen, p.last_seen, p.version,
	coalesce((select array_agg(a.old_id order by a.old_id) from tartan.pattern_aliases a where a.library_id = p.library_id and a.new_id = p.id), '{}'),
	p.revision`

// scanPattern scans patternColumns and what comes after them.
func scanPattern(row pgx.CollectableRow, more ...any) (p PatternRow, err error) {
	var first, last *time.Time
	var aliases []string
	err = row.Scan(append([]any{
		&p.ID, &p.Name, &p.Description, &p.Tags, &p.Owner, &p.Severity, &p.Ignored, &p.Origin, &p.Template, &p.Slots, &p.State, &p.Lines, &first, &last, &p.Version, &aliases, &p.Revision,
	}, more...)...)
	if first != nil && last != nil {
		p.FirstSeen, p.LastSeen = first.UTC(), last.UTC()
	}
	for _, a := range aliases {
		p.Aliases = append(p.Aliases, pattern.ID(a))
	}
	p.Template = plain(p.Template)
	for i := range p.Slots {
		p.Slots[i].Name = plain(p.Slots[i].Name)
	}
	return p, err
}

// ListPatterns says which patterns to list, in which order and from where.
type ListPatterns struct {
	Library uuid.UUID
	Query   string    // substring of the template or the name, any case, or the beginning of an id, or a tag
	State   string    // "" is StateActive
	Ignored bool      // ignored patterns too
	Since   time.Time // seen at or after; zero is no bound
	Until   time.Time // first seen before; zero is no bound
	Sort    string    // "lines" (default), "recent", "new" or "name"
	Limit   int       // 1 to 1,000; 0 is 50
	After   string    // cursor returned with the page before
}

// orders are the sort keys of patterns, their types and their direction. Ties go by id, so that the order is total.
var orders = map[string]struct{ key, typ, dir, cmp string }{
	"lines":  {"p.lines", "bigint", "desc", "<"},
	"recent": {"coalesce(p.last_seen, '-infinity')", "timestamptz", "desc", "<"},
	"new":    {"coalesce(p.first_seen, '-infinity')", "timestamptz", "desc", "<"},
	"name":   {`lower(case when p.name = '' then p.template else p.name end) collate "C"`, "text", "asc", ">"},
}

// Patterns returns a page of patterns and the cursor of the next one, "" on the last page. A cursor of another order
// is ErrBadCursor. While lines are being counted a pattern may move across a page's edge.
func Patterns(ctx context.Context, q Querier, l ListPatterns) (rows []PatternRow, next string, err error) {
	if l.Sort == "" {
		l.Sort = "lines"
	}
	if l.State == "" {
		l.State = StateActive
	}
	o, ok := orders[l.Sort]
	if !ok {
		return nil, "", fmt.Errorf("list patterns: unknown order %q; use lines, recent, new or name", l.Sort)
	}
	after, err := readCursor(l.After, l.Sort)
	if err != nil {
		return nil, "", fmt.Errorf("list patterns: %w", err)
	}
	limit := pageSize(l.Limit)
	where, args := `p.library_id = $1 and p.state = $2`, []any{l.Library, l.State}
	add := func(condition string, values ...any) {
		numbers := make([]any, len(values))
		for i, v := range values {
			args = append(args, v)
			numbers[i] = len(args)
		}
		where += " and " + fmt.Sprintf(condition, numbers...)
	}
	if l.Query != "" {
		add(`(position(lower($%[1]d) in lower(p.template)) > 0 or position(lower($%[1]d) in lower(p.name)) > 0 or starts_with(p.id, $%[1]d) or $%[1]d = any (p.tags))`, stored(l.Query))
	}
	if !l.Ignored {
		where += " and not p.ignored"
	}
	if !l.Since.IsZero() {
		add(`p.last_seen >= $%d`, l.Since)
	}
	if !l.Until.IsZero() {
		add(`p.first_seen < $%d`, l.Until)
	}
	if after.ID != "" {
		add(`(`+o.key+`, p.id) `+o.cmp+` ($%d::text::`+o.typ+`, $%d)`, after.Value, after.ID)
	}
	// The page is cut before the aliases of its rows are looked up.
	found, _ := q.Query(ctx, fmt.Sprintf(`
		select %s, p.sort_key::text from (
			select p.*, %s as sort_key from tartan.patterns p where %s order by sort_key %s, p.id %s limit %d) p
		order by p.sort_key %s, p.id %s`, patternColumns, o.key, where, o.dir, o.dir, limit+1, o.dir, o.dir), args...)
	var keys []string
	rows, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (PatternRow, error) {
		var key string
		p, err := scanPattern(row, &key)
		keys = append(keys, key)
		return p, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list patterns: %w", known(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor{Sort: l.Sort, Value: keys[limit-1], ID: string(rows[limit-1].ID)}.String()
	}
	return rows, next, nil
}

// PatternByID returns the pattern that the id means today, following aliases, or ErrNotFound.
func PatternByID(ctx context.Context, q Querier, library uuid.UUID, id pattern.ID) (PatternRow, error) {
	found, err := PatternsByID(ctx, q, library, []pattern.ID{id})
	if err != nil {
		return PatternRow{}, err
	}
	p, ok := found[id]
	if !ok {
		return PatternRow{}, fmt.Errorf("pattern %s: %w", id, ErrNotFound)
	}
	return p, nil
}

// PatternsByID returns the patterns that the ids mean today, following aliases, keyed by the id asked for. Unknown
// ids are absent.
func PatternsByID(ctx context.Context, q Querier, library uuid.UUID, ids []pattern.ID) (map[pattern.ID]PatternRow, error) {
	rows, _ := q.Query(ctx, `
		select `+patternColumns+`, u.asked
		from (select distinct unnest($2::text[]) as asked) u
		left join tartan.pattern_aliases l on l.library_id = $1 and l.old_id = u.asked
		join tartan.patterns p on p.library_id = $1 and p.id = coalesce(l.new_id, u.asked)`, library, patternIDs(ids))
	found := make(map[pattern.ID]PatternRow, len(ids))
	_, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		var asked pattern.ID
		p, err := scanPattern(row, &asked)
		found[asked] = p
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("read %d patterns: %w", len(ids), known(err))
	}
	return found, nil
}

// Note is what people say of a pattern, in short.
type Note struct {
	Name     string
	Severity string
	Owner    string
	Tags     []string
	Ignored  bool
}

// PatternNotes returns the notes of the library's patterns that have one.
func PatternNotes(ctx context.Context, q Querier, library uuid.UUID) (map[pattern.ID]Note, error) {
	rows, _ := q.Query(ctx, `select id, name, severity, owner, tags, ignored from tartan.patterns where library_id = $1 and noted and state = 'active'`, library)
	notes := map[pattern.ID]Note{}
	var id pattern.ID
	var n Note
	if _, err := pgx.ForEachRow(rows, []any{&id, &n.Name, &n.Severity, &n.Owner, &n.Tags, &n.Ignored}, func() error {
		notes[id] = n
		n.Tags = nil
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read pattern notes: %w", known(err))
	}
	return notes, nil
}

// KnownPatterns returns which of the ids the library has or ever had.
func KnownPatterns(ctx context.Context, q Querier, libraryID uuid.UUID, ids []pattern.ID) (map[pattern.ID]bool, error) {
	rows, _ := q.Query(ctx, `select id from tartan.patterns where library_id = $1 and id = any ($2)`, libraryID, patternIDs(ids))
	out := map[pattern.ID]bool{}
	var id pattern.ID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { out[id] = true; return nil }); err != nil {
		return nil, fmt.Errorf("look up known patterns: %w", known(err))
	}
	return out, nil
}
