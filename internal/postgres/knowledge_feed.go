package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ReadableSpaces returns the spaces that the caller may read.
func ReadableSpaces(ctx context.Context, q Querier) ([]uuid.UUID, error) {
	ids, err := one(ctx, q, pgx.RowTo[[]uuid.UUID], `select tartan.my_spaces('reader')`)
	if err != nil {
		return nil, fmt.Errorf("readable spaces: %w", err)
	}
	return ids, nil
}

// LinkedEntry is a living entry that links to a pattern, at its last revision.
type LinkedEntry struct {
	SpaceID    uuid.UUID
	Space      string
	EntryID    uuid.UUID
	Slug       string
	Number     int
	Type       string
	Title      string
	Author     uuid.UUID
	RecordedAt time.Time
	ValidFrom  *time.Time // nil is since ever
	ValidTo    *time.Time // nil is for ever
	Relation   string
	Target     string // pattern:library/id
}

// Address returns "space/slug".
func (l LinkedEntry) Address() string { return l.Space + "/" + l.Slug }

// LinkedToPatterns returns the links of a space to patterns, by entry: those of some entries, or of all with nil.
func LinkedToPatterns(ctx context.Context, q Querier, spaceID uuid.UUID, entries []uuid.UUID) ([]LinkedEntry, error) {
	rows, _ := q.Query(ctx, `select l.space_id, s.name, l.entry_id, e.slug, h.number, b.type, b.title, r.author, r.recorded_at, r.valid_from, r.valid_to, l.relation, l.target
		from tartan.knowledge_links l join tartan.knowledge_spaces s on s.id = l.space_id join tartan.knowledge_entries e on e.id = l.entry_id
		join tartan.knowledge_heads h on h.entry_id = l.entry_id join tartan.knowledge_revisions r on r.entry_id = h.entry_id and r.number = h.number
		join tartan.knowledge_bodies b on b.space_id = l.space_id and b.hash = h.hash
		where l.space_id = $1 and starts_with(l.target, 'pattern:') and ($2::uuid[] is null or l.entry_id = any ($2)) order by e.slug, l.seq`, spaceID, entries)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LinkedEntry])
	if err != nil {
		return nil, fmt.Errorf("links of space %s to patterns: %w", spaceID, known(err))
	}
	for i := range found {
		f := &found[i]
		f.Type, f.Title, f.Relation, f.Target, f.RecordedAt = plain(f.Type), plain(f.Title), plain(f.Relation), plain(f.Target), f.RecordedAt.UTC()
	}
	return found, nil
}

// Address names a revision of an entry.
type Address struct {
	Space, Slug string
	Number      int
}

// RevisionText is a revision with its document.
type RevisionText struct {
	Revision
	Text string // canonical; "" for a tombstone, and where the text is gone
}

// RevisionTexts returns those of the revisions that are there and that the caller may see, in the order asked for.
func RevisionTexts(ctx context.Context, q Querier, workspaceID uuid.UUID, wanted []Address) ([]RevisionText, error) {
	spaces, slugs, numbers := make([]string, len(wanted)), make([]string, len(wanted)), make([]int, len(wanted))
	for i, a := range wanted {
		spaces[i], slugs[i], numbers[i] = a.Space, a.Slug, a.Number
	}
	rows, _ := q.Query(ctx, `select w.i, coalesce(b.text, ''), `+revisionColumns+` from unnest($2::text[], $3::text[], $4::int[]) with ordinality w (space, slug, number, i)
		join tartan.knowledge_spaces s on s.workspace_id = $1 and s.name = w.space join tartan.knowledge_entries e on e.space_id = s.id and e.slug = w.slug
		join tartan.knowledge_revisions r on r.entry_id = e.id and r.number = w.number
		left join tartan.knowledge_bodies b on b.space_id = r.space_id and b.hash = r.hash order by w.i`, workspaceID, spaces, slugs, numbers)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t RevisionText, err error) {
		var i int
		t.Revision, err = scanRevision(prefixed{row, []any{&i, &t.Text}})
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read %d revisions: %w", len(wanted), known(err))
	}
	return found, nil
}

// prefixed is a row with columns before those that its scanner knows.
type prefixed struct {
	pgx.CollectableRow
	first []any
}

func (p prefixed) Scan(dest ...any) error { return p.CollectableRow.Scan(append(p.first, dest...)...) }
