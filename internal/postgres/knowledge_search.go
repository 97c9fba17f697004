package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
)

// cut selects a document, and whether it is cut into terms, in whatever way.
const cut = `select b.hash, b.text, (select s.analysis from tartan.knowledge_searchable s where s.space_id = $1 and s.hash = b.hash) is not null`

// uncut are the documents of a space that revisions name and that are not cut into terms as $2 does it.
const uncut = ` from tartan.knowledge_bodies b where b.space_id = $1
	and not exists (select from tartan.knowledge_searchable s where s.space_id = $1 and s.hash = b.hash and s.analysis = $2)`

// IndexKnowledge cuts documents of a space that revisions name, and that are not cut yet, into terms for RankKnowledge, at most so
// many at a time. It returns how many it cut: call it until that is 0. Publish does it for what it publishes; the rest is from before.
func IndexKnowledge(ctx context.Context, tx pgx.Tx, workspaceID, spaceID uuid.UUID, limit int) (int, error) {
	return cutDocuments(ctx, tx, workspaceID, spaceID, cut+uncut+`
		and exists (select from tartan.knowledge_revisions r where r.space_id = $1 and r.hash = b.hash) order by b.hash limit $3`, limit)
}

// indexPublished is IndexKnowledge for documents that are published.
func indexPublished(ctx context.Context, tx pgx.Tx, workspaceID, spaceID uuid.UUID, hashes []string) error {
	if len(hashes) == 0 {
		return nil
	}
	// One look at the keys for each document: joins are planned for the few rows of a young space, and read all of a grown one. offset 0 keeps
	// the planner from making a join of it again.
	_, err := cutDocuments(ctx, tx, workspaceID, spaceID, cut+` from (select distinct unnest($3::text[])) p (hash)
		cross join lateral (select b.hash, b.text from tartan.knowledge_bodies b where b.space_id = $1 and b.hash = p.hash offset 0) b
		where (select s.analysis from tartan.knowledge_searchable s where s.space_id = $1 and s.hash = p.hash) is distinct from $2`, hashes)
	return err
}

func cutDocuments(ctx context.Context, tx pgx.Tx, workspaceID, spaceID uuid.UUID, query string, which any) (int, error) {
	rows, _ := tx.Query(ctx, query, spaceID, search.Analysis, which)
	var out [][]any
	var hash, text string
	var old bool
	var replaced []string // were cut in another way
	_, err := pgx.ForEachRow(rows, []any{&hash, &text, &old}, func() error {
		d, err := knowledge.Parse([]byte(text))
		if err != nil {
			return fmt.Errorf("document %s: %w", hash, err)
		}
		t, err := search.TermsOf(search.Of(d))
		if err != nil {
			return fmt.Errorf("document %s: %w", hash, err)
		}
		terms := make(map[string]int, len(t.Terms))
		for _, term := range t.Terms {
			terms[stored(term.Text)] = term.Frequency
		}
		if old {
			replaced = append(replaced, hash)
		}
		out = append(out, []any{workspaceID, spaceID, hash, search.Analysis, t.Language, t.Length, int(t.LengthCode), terms})
		return nil
	})
	if err == nil && len(replaced) > 0 {
		_, err = tx.Exec(ctx, `delete from tartan.knowledge_searchable where space_id = $1 and hash = any ($2)`, spaceID, replaced)
	}
	if err == nil {
		err = insertRows(ctx, tx, "knowledge_searchable", []string{"workspace_id", "space_id", "hash", "analysis", "language", "length", "length_code", "terms"}, out)
	}
	if err != nil {
		return 0, fmt.Errorf("cut documents into terms: %w", known(err))
	}
	return len(out), nil
}

// seen are the documents of the collection that is ranked: those of each entry's last revision, or of the one of a moment. $1 are the
// spaces; row level security leaves those that the caller may read. A text that was destroyed is as good as deleted.
const seen = `with seen as (
		select r.space_id, r.entry_id, r.number, d.hash, d.language, d.length, d.length_code, d.terms, d.analysis
		from (select distinct on (r.entry_id) r.space_id, r.entry_id, r.number, r.hash
			from tartan.knowledge_revisions r where r.space_id = any ($1) and ` + at + `
			order by r.entry_id, r.number desc) r
		join tartan.knowledge_bodies b on b.space_id = r.space_id and b.hash = r.hash
		left join tartan.knowledge_searchable d on d.space_id = r.space_id and d.hash = r.hash)`

// ErrUncut says that documents are not cut into terms yet.
var ErrUncut = errors.New("entries from before are still being indexed")

// RankKnowledge ranks the entries of spaces as a search.Index of the same entries does with LexicalOnly, bit by bit, from a table: for a
// server that has no index yet, and for moments that its index does not reach back to. It looks at every entry that the caller may
// read. The error is search.ErrFiltered for a query with more than words, and ErrUncut.
func RankKnowledge(ctx context.Context, q Querier, spaces []uuid.UUID, r search.Request) ([]search.Hit, error) {
	fail := func(err error) ([]search.Hit, error) { return nil, fmt.Errorf("rank knowledge: %w", known(err)) }
	args := []any{spaces, moment(r.AsOf), moment(r.ValidAt)}
	var (
		n, uncut  int
		length    int64
		languages []string
	)
	err := q.QueryRow(ctx, seen+` select count(*), coalesce(sum(length), 0)::bigint, coalesce(array_agg(distinct language) filter (where language is not null), '{}'),
		count(*) filter (where analysis is distinct from $4) from seen`, append(args, search.Analysis)...).Scan(&n, &length, &languages, &uncut)
	if err != nil {
		return fail(err)
	}
	if uncut > 0 {
		return nil, ErrUncut
	}
	asked, err := r.Query.Asked(languages)
	if err != nil || len(asked) == 0 || n == 0 {
		return nil, err
	}
	terms := make([]string, len(asked))
	for i, t := range asked {
		terms[i] = stored(t.Text)
	}
	rows, _ := q.Query(ctx, seen+` select t.term, count(*) from seen v join unnest($4::text[]) t (term) on v.terms ? t.term group by t.term`, append(args, terms)...)
	frequencies := map[string]int{}
	var (
		term      string
		frequency int
	)
	if _, err := pgx.ForEachRow(rows, []any{&term, &frequency}, func() error { frequencies[term] = frequency; return nil }); err != nil {
		return fail(err)
	}
	weights := make([]float64, len(asked))
	for i, t := range asked {
		weights[i] = search.Weight(t.Frequency, frequencies[terms[i]], n)
	}
	// Points are whole numbers, so the order in which rows are added up makes no difference.
	rows, _ = q.Query(ctx, seen+`, held as (
			select v.entry_id, v.number, v.length_code, t.weight, (v.terms -> t.term)::int frequency
			from unnest($4::text[], $5::float8[]) t (term, weight) join seen v on v.terms ? t.term),
		scores as (
			select entry_id, number, sum(round(weight * frequency / (frequency + ($6::float8[])[length_code + 1]) * $7::float8)::bigint) points
			from held group by entry_id, number)
		select s.name, e.slug, c.number, c.points::bigint from scores c
		join tartan.knowledge_entries e on e.id = c.entry_id join tartan.knowledge_spaces s on s.id = e.space_id
		where c.points > 0 order by c.points desc, s.name collate "C", e.slug limit $8`, append(args, terms, weights, search.Norms(n, length), float64(search.Points), r.K)...)
	hits, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h search.Hit, err error) {
		var points int64
		err = row.Scan(&h.Space, &h.Slug, &h.Revision, &points)
		h.Score = float64(points) / search.Points
		h.Lexical = h.Score
		return h, err
	})
	if err != nil {
		return fail(err)
	}
	return hits, nil
}

// ErrFuture says that a moment is still to come.
var ErrFuture = errors.New("the moment is still to come")

// SettleMoment waits until all that was published up to a moment in the spaces that the caller may read is committed, so that what is read of that
// moment afterwards, in another transaction, is the same for ever. It returns the revisions that the spaces have then. Call it in a transaction
// of its own: who publishes waits for its end.
func SettleMoment(ctx context.Context, q Querier, at time.Time) (map[uuid.UUID]int64, error) {
	rows, _ := q.Query(ctx, `select space_id, revision from tartan.settle_knowledge($1)`, at)
	out := map[uuid.UUID]int64{}
	var (
		space    uuid.UUID
		revision int64
	)
	_, err := pgx.ForEachRow(rows, []any{&space, &revision}, func() error { out[space] = revision; return nil })
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "22023" { // invalid_parameter_value
		return nil, fmt.Errorf("%w: %s", ErrFuture, at.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return nil, fmt.Errorf("settle what was published until %s: %w", at.UTC().Format(time.RFC3339Nano), known(err))
	}
	return out, nil
}
