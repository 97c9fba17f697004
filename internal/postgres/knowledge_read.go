package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Revision is what an entry was from one publication to the next.
type Revision struct {
	SpaceID       uuid.UUID
	Space         string
	EntryID       uuid.UUID
	Slug          string
	Number        int
	Hash          string // "" is a tombstone
	Type          string // "" for a tombstone and where the text is gone
	Title         string // "" for a tombstone and where the text is gone
	Gone          bool   // the text was excised
	Parents       []int
	Author        uuid.UUID
	Reason        string
	WorkflowID    string
	ChangeID      uuid.UUID
	Seq           int // of the proposal in the change set
	SpaceRevision int64
	RecordedAt    time.Time
	ValidFrom     *time.Time // nil is since ever
	ValidTo       *time.Time // nil is for ever
	Reverts       int        // 0 is none
}

// Address returns "space/slug".
func (r Revision) Address() string { return r.Space + "/" + r.Slug }

// Deleted reports whether it is a tombstone.
func (r Revision) Deleted() bool { return r.Hash == "" }

const revisionColumns = `r.space_id, s.name, r.entry_id, e.slug, r.number, coalesce(r.hash, ''), coalesce(b.type, ''), coalesce(b.title, ''),
	r.hash is not null and b.hash is null, r.parents, r.author, r.reason, r.workflow_id, r.change_id, r.seq, r.space_revision, r.recorded_at,
	r.valid_from, r.valid_to, coalesce(r.reverts, 0)`

const revisionJoins = ` join tartan.knowledge_entries e on e.id = r.entry_id join tartan.knowledge_spaces s on s.id = r.space_id
	left join tartan.knowledge_bodies b on b.space_id = r.space_id and b.hash = r.hash `

func scanRevision(row pgx.CollectableRow) (r Revision, err error) {
	err = row.Scan(&r.SpaceID, &r.Space, &r.EntryID, &r.Slug, &r.Number, &r.Hash, &r.Type, &r.Title, &r.Gone, &r.Parents, &r.Author, &r.Reason,
		&r.WorkflowID, &r.ChangeID, &r.Seq, &r.SpaceRevision, &r.RecordedAt, &r.ValidFrom, &r.ValidTo, &r.Reverts)
	r.Type, r.Title, r.Reason, r.RecordedAt = plain(r.Type), plain(r.Title), plain(r.Reason), r.RecordedAt.UTC()
	return r, err
}

// Moment is a point on both clocks. The zero time of either is no restriction: what was recorded last, valid whenever.
type Moment struct {
	Recorded time.Time // what was published until then
	Valid    time.Time // of that, what holds then
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// at is the condition by which the last revision of an entry is the one of a moment in $2 and $3.
const at = `($2::timestamptz is null or r.recorded_at <= $2) and ($3::timestamptz is null or coalesce(r.valid_from <= $3, true) and coalesce($3 < r.valid_to, true))`

// EntryAt returns the revision of an entry at a moment. ErrNotFound says that there was none, that it was deleted then,
// or that the caller may not see it.
func EntryAt(ctx context.Context, q Querier, spaceID uuid.UUID, slug string, when Moment) (Revision, error) {
	r, err := one(ctx, q, scanRevision, `select `+revisionColumns+` from tartan.knowledge_revisions r`+revisionJoins+
		`where r.space_id = $1 and e.space_id = $1 and e.slug = $4 and `+at+` order by r.number desc limit 1`, spaceID, moment(when.Recorded), moment(when.Valid), slug)
	if err == nil && r.Deleted() {
		err = fmt.Errorf("deleted at revision %d: %w", r.Number, ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("entry %s: %w", slug, err)
	}
	return r, nil
}

// RevisionOf returns a revision of an entry by its number, tombstones too; 0 is the last.
func RevisionOf(ctx context.Context, q Querier, spaceID uuid.UUID, slug string, number int) (Revision, error) {
	r, err := one(ctx, q, scanRevision, `select `+revisionColumns+` from tartan.knowledge_revisions r`+revisionJoins+
		`where e.space_id = $1 and e.slug = $2 and ($3 = 0 or r.number = $3) order by r.number desc limit 1`, spaceID, slug, number)
	if err != nil {
		return r, fmt.Errorf("revision %d of entry %s: %w", number, slug, err)
	}
	return r, nil
}

// ListEntries says which entries of a space are wanted.
type ListEntries struct {
	Space  uuid.UUID
	Prefix string // of the slug
	Type   string // "" is all
	When   Moment
	Limit  int
	After  string // the page after the one that returned it
}

// Entries returns the living entries at a moment by slug, and what to pass for the next page, "" at the end.
func Entries(ctx context.Context, q Querier, l ListEntries) (found []Revision, next string, err error) {
	from, err := readCursor(l.After, "entries")
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(l.Limit)
	rows, _ := q.Query(ctx, `select `+revisionColumns+` from tartan.knowledge_entries i cross join lateral (
			select r.* from tartan.knowledge_revisions r where r.entry_id = i.id and `+at+` order by r.number desc limit 1) r`+revisionJoins+`
		where i.space_id = $1 and starts_with(i.slug, $4) and i.slug > $5 and r.hash is not null and ($6 = '' or b.type = $6)
		order by i.slug limit $7`, l.Space, moment(l.When.Recorded), moment(l.When.Valid), l.Prefix, from.Value, l.Type, limit+1)
	found, err = pgx.CollectRows(rows, scanRevision)
	if err != nil {
		return nil, "", fmt.Errorf("list entries: %w", known(err))
	}
	if len(found) > limit {
		found = found[:limit]
		next = cursor{Sort: "entries", Value: found[limit-1].Slug}.String()
	}
	return found, next, nil
}

// History returns revisions of an entry, the newest first: those before a number, or all with 0.
func History(ctx context.Context, q Querier, spaceID uuid.UUID, slug string, before, limit int) ([]Revision, error) {
	rows, _ := q.Query(ctx, `select `+revisionColumns+` from tartan.knowledge_revisions r`+revisionJoins+
		`where e.space_id = $1 and e.slug = $2 and ($3 = 0 or r.number < $3) order by r.number desc limit $4`, spaceID, slug, before, pageSize(limit))
	found, err := pgx.CollectRows(rows, scanRevision)
	if err != nil {
		return nil, fmt.Errorf("history of entry %s: %w", slug, known(err))
	}
	return found, nil
}

// RevisionsSince returns the revisions of a space after one of its revisions, in the order of publication: what a reader
// that holds the space in memory lacks. A change set is returned whole, so there may be more than limit.
func RevisionsSince(ctx context.Context, q Querier, spaceID uuid.UUID, after int64, limit int) ([]Revision, error) {
	rows, _ := q.Query(ctx, `select `+revisionColumns+` from tartan.knowledge_revisions r`+revisionJoins+`
		where r.space_id = $1 and r.space_revision > $2 and r.space_revision <= coalesce((select n.space_revision from tartan.knowledge_revisions n
			where n.space_id = $1 and n.space_revision > $2 order by n.space_revision offset $3 limit 1), 9223372036854775807)
		order by r.space_revision, r.seq`, spaceID, after, pageSize(limit)-1)
	found, err := pgx.CollectRows(rows, scanRevision)
	if err != nil {
		return nil, fmt.Errorf("revisions of space %s after %d: %w", spaceID, after, known(err))
	}
	return found, nil
}

// RevisionsOfChange returns the revisions that a change set became, in its order.
func RevisionsOfChange(ctx context.Context, q Querier, changeID uuid.UUID) ([]Revision, error) {
	rows, _ := q.Query(ctx, `select `+revisionColumns+` from tartan.knowledge_revisions r`+revisionJoins+`where r.change_id = $1 order by r.seq`, changeID)
	found, err := pgx.CollectRows(rows, scanRevision)
	if err != nil {
		return nil, fmt.Errorf("revisions of change set %s: %w", changeID, known(err))
	}
	return found, nil
}

// BodyText returns the text of a document of a space, or ErrNotFound where it is not there any more.
func BodyText(ctx context.Context, q Querier, spaceID uuid.UUID, hash string) (string, error) {
	text, err := one(ctx, q, pgx.RowTo[string], `select text from tartan.knowledge_bodies where space_id = $1 and hash = $2`, spaceID, hash)
	if err != nil {
		return "", fmt.Errorf("document %s: %w", hash, err)
	}
	return text, nil
}
