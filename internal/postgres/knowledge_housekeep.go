package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// MarkDue marks the living entries as due for review that are older than the space allows or whose validity has ended, and
// returns those that were not, by slug, at most limit.
func MarkDue(ctx context.Context, tx pgx.Tx, s Space, now time.Time, limit int) ([]string, error) {
	rows, _ := tx.Query(ctx, `with due as (
			select h.entry_id, e.slug from tartan.knowledge_heads h join tartan.knowledge_entries e on e.id = h.entry_id
			join tartan.knowledge_revisions r on r.entry_id = h.entry_id and r.number = h.number
			where h.space_id = $1 and h.hash is not null and h.due_since is null and (h.recorded_at <= $2 or r.valid_to <= $3)
			order by h.recorded_at, e.slug limit $4), marked as (
			update tartan.knowledge_heads h set due_since = $3 from due where h.entry_id = due.entry_id)
		select slug from due order by slug`, s.ID, before(now, s.StaleAfter), now, limit)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("mark entries as due: %w", known(err))
	}
	return found, nil
}

// before is the time a while before another; nil when the while is none.
func before(t time.Time, d time.Duration) *time.Time {
	if d <= 0 {
		return nil
	}
	t = t.Add(-d)
	return &t
}

// DueEntries returns the entries that are due for review, the longest first.
func DueEntries(ctx context.Context, q Querier, spaceID uuid.UUID, limit int) ([]Revision, error) {
	rows, _ := q.Query(ctx, `select `+revisionColumns+` from tartan.knowledge_heads h
		join tartan.knowledge_revisions r on r.entry_id = h.entry_id and r.number = h.number`+revisionJoins+`
		where h.space_id = $1 and h.hash is not null and h.due_since is not null order by h.due_since, e.slug limit $2`, spaceID, pageSize(limit))
	found, err := pgx.CollectRows(rows, scanRevision)
	if err != nil {
		return nil, fmt.Errorf("list entries that are due: %w", known(err))
	}
	return found, nil
}

// ExpireDrafts ends drafts of the space that no workflow has taken up since a time, and returns how many.
func ExpireDrafts(ctx context.Context, tx pgx.Tx, spaceID uuid.UUID, since time.Time) (int, error) {
	tag, err := tx.Exec(ctx, `update tartan.knowledge_changes set state = 'expired', error = 'no workflow took it up', updated_at = clock_timestamp()
		where space_id = $1 and state = 'draft' and updated_at < $2`, spaceID, since)
	if err != nil {
		return 0, fmt.Errorf("expire drafts: %w", known(err))
	}
	return int(tag.RowsAffected()), nil
}

// Retirable returns the hashes of documents that the retention of the space lets go: no revision that has them is current,
// tagged, or was within the retention, and no change set under way wants them.
func Retirable(ctx context.Context, tx pgx.Tx, s Space, now time.Time, limit int) ([]string, error) {
	if s.Retention <= 0 || s.LegalHold {
		return nil, nil
	}
	rows, _ := tx.Query(ctx, `select b.hash from tartan.knowledge_bodies b where b.space_id = $1
			and exists (select from tartan.knowledge_revisions r where r.space_id = $1 and r.hash = b.hash)
			and not exists (select from tartan.knowledge_revisions r left join tartan.knowledge_revisions n on n.entry_id = r.entry_id and n.number = r.number + 1
				where r.space_id = $1 and r.hash = b.hash and (n.number is null or n.recorded_at > $2
					or exists (select from tartan.knowledge_tag_entries t where t.entry_id = r.entry_id and t.number = r.number)))
			and not exists (select from tartan.knowledge_proposals p join tartan.knowledge_changes c on c.id = p.change_id
				where p.space_id = $1 and (p.hash = b.hash or p.merged_hash = b.hash) and c.state not in ('published', 'rejected', 'expired', 'withdrawn'))
		order by b.hash limit $3`, s.ID, before(now, s.Retention), limit)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find documents past their retention: %w", known(err))
	}
	return found, nil
}

// SweepBodies deletes documents that were given before a time and that no revision and no change set needs, at most limit,
// and returns how many. A change set that ended unpublished needs its documents until then too.
func SweepBodies(ctx context.Context, tx pgx.Tx, s Space, since time.Time, limit int) (int, error) {
	if s.LegalHold {
		return 0, nil
	}
	tag, err := tx.Exec(ctx, `delete from tartan.knowledge_bodies b where b.space_id = $1 and b.hash in (
			select o.hash from tartan.knowledge_bodies o where o.space_id = $1 and o.created_at < $2
				and not exists (select from tartan.knowledge_revisions r where r.space_id = $1 and r.hash = o.hash)
				and not exists (select from tartan.knowledge_proposals p join tartan.knowledge_changes c on c.id = p.change_id
					where p.space_id = $1 and (p.hash = o.hash or p.merged_hash = o.hash) and (c.updated_at >= $2 or c.state not in ('rejected', 'expired', 'withdrawn')))
			limit $3)`, s.ID, since, limit)
	if err != nil {
		return 0, fmt.Errorf("sweep documents: %w", known(err))
	}
	return int(tag.RowsAffected()), nil
}

// TrimServed forgets texts served before a time and returns how many.
func TrimServed(ctx context.Context, tx pgx.Tx, spaceID uuid.UUID, since time.Time) (int, error) {
	tag, err := tx.Exec(ctx, `delete from tartan.knowledge_served where space_id = $1 and served_at < $2`, spaceID, since)
	if err != nil {
		return 0, fmt.Errorf("forget texts served: %w", known(err))
	}
	return int(tag.RowsAffected()), nil
}

// BrokenLinks returns links of living entries of the space to entries that are not there, or that the caller may not see: who
// deletes an entry cannot know of links from spaces hidden from her. At most limit.
func BrokenLinks(ctx context.Context, q Querier, s Space, limit int) ([]Reference, error) {
	// Hashed sub-plans: the statistics of tables that were just filled mislead into nested loops.
	rows, _ := q.Query(ctx, `with living as materialized (
			select s.name || '/' || t.slug as address from tartan.knowledge_heads h join tartan.knowledge_entries t on t.id = h.entry_id
			join tartan.knowledge_spaces s on s.id = h.space_id where h.workspace_id = $4 and h.hash is not null)
		select $2 || '/' || e.slug, l.relation, l.target from tartan.knowledge_links l join tartan.knowledge_entries e on e.id = l.entry_id
		where l.space_id = $1 and strpos(l.target, ':') = 0 and strpos(l.target, '/') > 0 and l.target not in (select address from living)
		order by e.slug, l.seq limit $3`, s.ID, s.Name, limit, s.WorkspaceID)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Reference])
	if err != nil {
		return nil, fmt.Errorf("find broken links: %w", known(err))
	}
	return found, nil
}
