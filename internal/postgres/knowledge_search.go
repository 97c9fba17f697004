package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
)

// IndexKnowledge cuts documents of a space that revisions name, and that are not cut yet, into terms for RankKnowledge, at most so
// many at a time. It returns how many it cut: call it until that is 0.
func IndexKnowledge(ctx context.Context, tx pgx.Tx, workspaceID, spaceID uuid.UUID, limit int) (int, error) {
	rows, _ := tx.Query(ctx, `select b.hash, b.text from tartan.knowledge_bodies b
		where b.space_id = $1 and exists (select from tartan.knowledge_revisions r where r.space_id = $1 and r.hash = b.hash)
			and not exists (select from tartan.knowledge_searchable s where s.space_id = $1 and s.hash = b.hash and s.analysis = $2)
		order by b.hash limit $3`, spaceID, search.Analysis, limit)
	texts := map[string]string{}
	var hash, text string
	_, err := pgx.ForEachRow(rows, []any{&hash, &text}, func() error { texts[hash] = text; return nil })
	if err != nil {
		return 0, fmt.Errorf("documents to index: %w", known(err))
	}
	for hash, text := range texts {
		d, err := knowledge.Parse([]byte(text))
		if err != nil {
			return 0, fmt.Errorf("index document %s: %w", hash, err)
		}
		terms, err := search.TermsOf(search.Of(d))
		if err != nil {
			return 0, fmt.Errorf("index document %s: %w", hash, err)
		}
		if err := saveTerms(ctx, tx, workspaceID, spaceID, hash, terms); err != nil {
			return 0, fmt.Errorf("index document %s: %w", hash, known(err))
		}
	}
	return len(texts), nil
}

// saveTerms writes the terms of a document in place of those of an earlier way to cut it.
func saveTerms(ctx context.Context, q Querier, workspaceID, spaceID uuid.UUID, hash string, t search.Terms) error {
	terms, frequencies := make([]string, len(t.Terms)), make([]int, len(t.Terms))
	for i, term := range t.Terms {
		terms[i], frequencies[i] = term.Text, term.Frequency
	}
	if _, err := q.Exec(ctx, `delete from tartan.knowledge_searchable where space_id = $1 and hash = $2`, spaceID, hash); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, `insert into tartan.knowledge_searchable (workspace_id, space_id, hash, analysis, language, length, length_code)
		values ($1, $2, $3, $4, $5, $6, $7)`, workspaceID, spaceID, hash, search.Analysis, t.Language, t.Length, int16(t.LengthCode)); err != nil {
		return err
	}
	_, err := q.Exec(ctx, `insert into tartan.knowledge_postings (workspace_id, space_id, term, hash, frequency)
		select $1, $2, t.term, $3, t.frequency from unnest($4::text[], $5::int[]) t (term, frequency)`, workspaceID, spaceID, hash, terms, frequencies)
	return err
}

// seen are the documents of the collection that is ranked: those of each entry's last revision, or of the one of a moment. $1 is the
// workspace, $4 the names of spaces; row level security leaves those that the caller may read.
const seen = `with seen as (
		select r.space_id, r.entry_id, r.number, d.hash, d.language, d.length, d.length_code
		from (select distinct on (r.entry_id) r.space_id, r.entry_id, r.number, r.hash
			from tartan.knowledge_revisions r join tartan.knowledge_spaces s on s.id = r.space_id
			where s.workspace_id = $1 and s.name = any ($4) and ` + at + `
			order by r.entry_id, r.number desc) r
		join tartan.knowledge_searchable d on d.space_id = r.space_id and d.hash = r.hash)`

// RankKnowledge ranks as a search.Index of the same entries does with LexicalOnly, bit by bit, from tables: for a server that has no
// index yet, and for moments that its index does not reach back to. It wants what IndexKnowledge writes, and reads every posting of
// every term asked for: some 20 ms for 5,000 entries. The error is search.ErrFiltered for a query with more than words.
func RankKnowledge(ctx context.Context, q Querier, workspaceID uuid.UUID, r search.Request) ([]search.Hit, error) {
	fail := func(err error) ([]search.Hit, error) { return nil, fmt.Errorf("rank knowledge: %w", known(err)) }
	args := []any{workspaceID, moment(r.AsOf), moment(r.ValidAt), r.Spaces}
	var (
		n         int
		length    int64
		languages []string
	)
	err := q.QueryRow(ctx, seen+` select count(*), coalesce(sum(length), 0)::bigint, coalesce(array_agg(distinct language), '{}') from seen`, args...).Scan(&n, &length, &languages)
	if err != nil {
		return fail(err)
	}
	asked, err := r.Query.Asked(languages)
	if err != nil || len(asked) == 0 || n == 0 {
		return nil, err
	}
	terms := make([]string, len(asked))
	for i, t := range asked {
		terms[i] = t.Text
	}
	rows, _ := q.Query(ctx, seen+` select p.term, count(*) from seen v join tartan.knowledge_postings p on p.space_id = v.space_id and p.hash = v.hash
		where p.term = any ($5) group by p.term`, append(args, terms)...)
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
		weights[i] = search.Weight(t.Frequency, frequencies[t.Text], n)
	}
	// Points are whole numbers, so the order in which rows are added up makes no difference.
	rows, _ = q.Query(ctx, seen+`, scores as (
			select v.entry_id, v.number, sum(round(t.weight * p.frequency / (p.frequency + ($7::float8[])[v.length_code + 1]) * $8::float8)::bigint) points
			from unnest($5::text[], $6::float8[]) t (term, weight)
			join tartan.knowledge_postings p on p.term = t.term
			join seen v on v.space_id = p.space_id and v.hash = p.hash
			group by v.entry_id, v.number)
		select s.name, e.slug, c.number, c.points::bigint from scores c
		join tartan.knowledge_entries e on e.id = c.entry_id join tartan.knowledge_spaces s on s.id = e.space_id
		where c.points > 0 order by c.points desc, s.name collate "C", e.slug limit $9`, append(args, terms, weights, search.Norms(n, length), float64(search.Points), r.K)...)
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
