package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// EntryStates returns which of the addresses are of entries that the caller may see: true of those that live, false of
// those that are deleted.
func EntryStates(ctx context.Context, q Querier, workspaceID uuid.UUID, addresses []string) (map[string]bool, error) {
	rows, _ := q.Query(ctx, `select t.address, h.hash is not null from unnest($2::text[]) t (address)
		join tartan.knowledge_spaces s on s.workspace_id = $1 and s.name = split_part(t.address, '/', 1)
		join tartan.knowledge_entries e on e.space_id = s.id and e.slug = substr(t.address, length(s.name) + 2)
		join tartan.knowledge_heads h on h.entry_id = e.id`, workspaceID, addresses)
	out := map[string]bool{}
	var address string
	var lives bool
	if _, err := pgx.ForEachRow(rows, []any{&address, &lives}, func() error { out[address] = lives; return nil }); err != nil {
		return nil, fmt.Errorf("look up %d entries: %w", len(addresses), known(err))
	}
	return out, nil
}

// StatedFact is a fact with the entry that states it.
type StatedFact struct {
	Fact
	Address string
}

// FactsAbout returns the facts of living entries of a space about any of these: subjects, predicates and scopes go together
// by their place.
func FactsAbout(ctx context.Context, q Querier, spaceID uuid.UUID, subjects, predicates, scopes []string) ([]StatedFact, error) {
	for _, list := range [][]string{subjects, predicates, scopes} {
		for i := range list {
			list[i] = stored(list[i])
		}
	}
	rows, _ := q.Query(ctx, `select f.subject, f.predicate, f.scope, f.value, not f.single, lower(f.validity), upper(f.validity), s.name || '/' || e.slug
		from (select distinct * from unnest($2::text[], $3::text[], $4::text[]) k (subject, predicate, scope)) k
		join tartan.knowledge_facts f on f.space_id = $1 and md5(f.subject) = md5(k.subject) and md5(f.predicate) = md5(k.predicate) and md5(f.scope) = md5(k.scope)
		join tartan.knowledge_entries e on e.id = f.entry_id join tartan.knowledge_spaces s on s.id = f.space_id order by 8, f.seq`, spaceID, subjects, predicates, scopes)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f StatedFact, err error) {
		err = row.Scan(&f.Subject, &f.Predicate, &f.Scope, &f.Value, &f.Many, &f.From, &f.To, &f.Address)
		f.Subject, f.Predicate, f.Scope, f.Value = plain(f.Subject), plain(f.Predicate), plain(f.Scope), plain(f.Value)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("look up facts: %w", known(err))
	}
	return found, nil
}

// EntryText is an entry as it is now, with its document.
type EntryText struct {
	EntryID       uuid.UUID
	Slug          string
	Number        int
	Hash          string // "" where it is deleted
	Text          string // canonical; "" where it is deleted or excised
	SpaceRevision int64  // that brought it
	RecordedAt    time.Time
	ValidFrom     *time.Time
	ValidTo       *time.Time
}

const entryTextColumns = `h.entry_id, e.slug, h.number, coalesce(h.hash, ''), coalesce(b.text, ''), r.space_revision, r.recorded_at, r.valid_from, r.valid_to
	from tartan.knowledge_heads h join tartan.knowledge_revisions r on r.entry_id = h.entry_id and r.number = h.number
	join tartan.knowledge_entries e on e.id = h.entry_id left join tartan.knowledge_bodies b on b.space_id = h.space_id and b.hash = h.hash `

// EntriesSince returns the entries of a space that changed after one of its revisions, as they are now, deleted ones too, in
// the order of the revisions that brought them. The next page starts after the revision and the entry of the last.
func EntriesSince(ctx context.Context, q Querier, spaceID uuid.UUID, after int64, afterEntry uuid.UUID, limit int) ([]EntryText, error) {
	rows, _ := q.Query(ctx, `select `+entryTextColumns+`where r.space_id = $1 and (r.space_revision, r.entry_id) > ($2, $3) and r.space_revision >= $2
		order by r.space_revision, r.entry_id limit $4`, spaceID, after, afterEntry, pageSize(limit))
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[EntryText])
	if err != nil {
		return nil, fmt.Errorf("entries of space %s after revision %d: %w", spaceID, after, known(err))
	}
	return found, nil
}

// EntryTexts returns living entries by id, as they are now.
func EntryTexts(ctx context.Context, q Querier, ids []uuid.UUID) ([]EntryText, error) {
	rows, _ := q.Query(ctx, `select `+entryTextColumns+`where h.entry_id = any ($1) and b.text is not null`, ids)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[EntryText])
	if err != nil {
		return nil, fmt.Errorf("read %d entries: %w", len(ids), known(err))
	}
	return found, nil
}
