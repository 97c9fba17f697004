package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Tag is a named snapshot of a space.
type Tag struct {
	Name          string
	Note          string
	Author        uuid.UUID
	SpaceRevision int64
	CreatedAt     time.Time
	Entries       int
}

// CreateTag names what lives in the space now. The error is ErrExists where there is a tag of that name.
func CreateTag(ctx context.Context, tx pgx.Tx, s Space, name, note string, author uuid.UUID) (t Tag, err error) {
	t = Tag{Name: name, Note: note, Author: author}
	clock, err := LockClock(ctx, tx, s.ID)
	if err != nil {
		return t, fmt.Errorf("tag %s: %w", name, err)
	}
	t.SpaceRevision, t.CreatedAt = clock.Revision-1, clock.RecordedAt
	tag, err := tx.Exec(ctx, `insert into tartan.knowledge_tags (workspace_id, space_id, name, note, author, space_revision, created_at)
		values ($1, $2, $3, $4, $5, $6, $7) on conflict (space_id, name) do nothing`, s.WorkspaceID, s.ID, name, stored(note), author, t.SpaceRevision, t.CreatedAt)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrExists
	}
	if err == nil {
		tag, err = tx.Exec(ctx, `insert into tartan.knowledge_tag_entries (workspace_id, space_id, tag, entry_id, number)
			select workspace_id, space_id, $2, entry_id, number from tartan.knowledge_heads where space_id = $1 and hash is not null`, s.ID, name)
		t.Entries = int(tag.RowsAffected())
	}
	if err != nil {
		return t, fmt.Errorf("tag %s: %w", name, known(err))
	}
	return t, nil
}

// Tags returns the tags of a space, the newest first.
func Tags(ctx context.Context, q Querier, spaceID uuid.UUID) ([]Tag, error) {
	rows, _ := q.Query(ctx, `select name, note, author, space_revision, created_at,
			(select count(*) from tartan.knowledge_tag_entries e where e.space_id = t.space_id and e.tag = t.name)::int
		from tartan.knowledge_tags t where space_id = $1 order by created_at desc, name`, spaceID)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Tag])
	for i := range found {
		found[i].Note = plain(found[i].Note)
	}
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", known(err))
	}
	return found, nil
}

// TagEntries returns the revisions that a tag names, by slug; ErrNotFound where there is no such tag.
func TagEntries(ctx context.Context, q Querier, spaceID uuid.UUID, name, prefix string) ([]Revision, error) {
	if _, err := one(ctx, q, pgx.RowTo[string], `select name from tartan.knowledge_tags where space_id = $1 and name = $2`, spaceID, name); err != nil {
		return nil, fmt.Errorf("tag %s: %w", name, err)
	}
	rows, _ := q.Query(ctx, `select `+revisionColumns+` from tartan.knowledge_tag_entries t
		join tartan.knowledge_revisions r on r.entry_id = t.entry_id and r.number = t.number`+revisionJoins+`
		where t.space_id = $1 and t.tag = $2 and starts_with(e.slug, $3) order by e.slug`, spaceID, name, prefix)
	found, err := pgx.CollectRows(rows, scanRevision)
	if err != nil {
		return nil, fmt.Errorf("entries of tag %s: %w", name, known(err))
	}
	return found, nil
}
