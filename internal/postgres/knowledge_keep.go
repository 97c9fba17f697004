package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Served is a text that was given to a reader.
type Served struct {
	TextHash string // SHA-256 of the text, hexadecimal
	EntryID  uuid.UUID
	Number   int
	Prints   []int64 // as validate.Prints makes them
}

// SaveServed notes texts that were given to a reader, so that they do not come back as new knowledge.
func SaveServed(ctx context.Context, q Querier, workspaceID, spaceID uuid.UUID, texts []Served) error {
	b := &pgx.Batch{}
	for _, t := range texts {
		b.Queue(`insert into tartan.knowledge_served as s (workspace_id, space_id, text_hash, entry_id, number, prints) values ($1, $2, $3, $4, $5, $6)
			on conflict (space_id, text_hash) do update set served_at = excluded.served_at where s.served_at < excluded.served_at - interval '1 hour'`,
			workspaceID, spaceID, t.TextHash, t.EntryID, t.Number, append([]int64{}, t.Prints...))
	}
	if err := q.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("note %d texts served: %w", len(texts), known(err))
	}
	return nil
}

// ServedPassage is what was served of an entry.
type ServedPassage struct {
	Address string
	Prints  []int64
}

// ServedSince returns the texts served since a time that share a fingerprint, at most limit.
func ServedSince(ctx context.Context, q Querier, workspaceID uuid.UUID, prints []int64, since time.Time, limit int) ([]ServedPassage, error) {
	rows, _ := q.Query(ctx, `select s.name || '/' || e.slug, v.prints from tartan.knowledge_served v
		join tartan.knowledge_entries e on e.id = v.entry_id join tartan.knowledge_spaces s on s.id = v.space_id
		where v.workspace_id = $1 and v.prints && $2 and v.served_at >= $3 order by v.served_at desc, v.text_hash limit $4`, workspaceID, prints, since, limit)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ServedPassage])
	if err != nil {
		return nil, fmt.Errorf("texts served: %w", known(err))
	}
	return found, nil
}

// Excision tells what was destroyed, and why.
type Excision struct {
	Hash        string
	Kind        string // ExciseLegal or ExciseRetention
	Reason      string
	RequestedBy uuid.UUID
	ApprovedBy  uuid.UUID
	WorkflowID  string
	CreatedAt   time.Time
}

// The kinds of excisions.
const (
	ExciseLegal     = "legal"
	ExciseRetention = "retention"
)

// Excise destroys the texts of documents of a space and what was copied of them; hash and reason stay. The database refuses
// where the space is under legal hold, where a document is current, and where one person does all of a legal one.
func Excise(ctx context.Context, tx pgx.Tx, s Space, hashes []string, e Excision) (int, error) {
	tag, err := tx.Exec(ctx, `insert into tartan.knowledge_excisions (workspace_id, space_id, hash, kind, reason, requested_by, approved_by, workflow_id)
		select $1, $2, h, $4, $5, $6, $7, $8 from unnest($3::text[]) h on conflict (space_id, hash) do nothing`,
		s.WorkspaceID, s.ID, hashes, e.Kind, stored(e.Reason), e.RequestedBy, e.ApprovedBy, e.WorkflowID)
	if err == nil && tag.RowsAffected() > 0 {
		err = AppendOutbox(ctx, tx, s.WorkspaceID, TopicKnowledge, s.ID.String(), KnowledgeChange{State: StateExcised})
	}
	if err != nil {
		return 0, fmt.Errorf("excise %d documents: %w", len(hashes), known(err))
	}
	return int(tag.RowsAffected()), nil
}

// Excisions returns what was destroyed in a space, the newest first.
func Excisions(ctx context.Context, q Querier, spaceID uuid.UUID, limit int) ([]Excision, error) {
	rows, _ := q.Query(ctx, `select hash, kind, reason, requested_by, approved_by, workflow_id, created_at from tartan.knowledge_excisions
		where space_id = $1 order by created_at desc, hash limit $2`, spaceID, pageSize(limit))
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Excision])
	if err != nil {
		return nil, fmt.Errorf("list excisions: %w", known(err))
	}
	return found, nil
}

// CurrentWith returns the slugs and heads of living entries whose document is one of these.
func CurrentWith(ctx context.Context, q Querier, spaceID uuid.UUID, hashes []string) (map[string]Head, error) {
	rows, _ := q.Query(ctx, `select h.entry_id, e.slug, h.number, h.hash from tartan.knowledge_heads h join tartan.knowledge_entries e on e.id = h.entry_id
		where h.space_id = $1 and h.hash = any ($2)`, spaceID, hashes)
	return headsOf(rows)
}

// SaveReport stores what long work in a space has done so far.
func SaveReport(ctx context.Context, q Querier, s Space, kind, workflowID, runID string, dryRun bool, report any) error {
	body, err := json.Marshal(report)
	if err == nil {
		_, err = q.Exec(ctx, `insert into tartan.knowledge_reports (workspace_id, space_id, workflow_id, run_id, kind, dry_run, report) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (space_id, workflow_id, run_id) do update set report = excluded.report, updated_at = clock_timestamp()`,
			s.WorkspaceID, s.ID, workflowID, runID, kind, dryRun, body)
	}
	if err != nil {
		return fmt.Errorf("store the report of %s: %w", workflowID, known(err))
	}
	return nil
}

// Report is what long work in a space did.
type Report struct {
	WorkflowID string
	RunID      string
	Kind       string
	DryRun     bool
	Report     json.RawMessage
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// The kinds of reports.
const (
	ReportImport       = "import"
	ReportHousekeeping = "housekeeping"
)

// Reports returns reports of a kind about a space, the newest first.
func Reports(ctx context.Context, q Querier, spaceID uuid.UUID, kind string, limit int) ([]Report, error) {
	rows, _ := q.Query(ctx, `select workflow_id, run_id, kind, dry_run, report, created_at, updated_at from tartan.knowledge_reports
		where space_id = $1 and kind = $2 order by created_at desc limit $3`, spaceID, kind, pageSize(limit))
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Report])
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", known(err))
	}
	return found, nil
}

// RemoveProposals takes proposals out of a change set that has not ended.
func RemoveProposals(ctx context.Context, tx pgx.Tx, changeID uuid.UUID, proposals []Proposal) error {
	var seqs []int
	for _, p := range proposals {
		seqs = append(seqs, p.Seq)
	}
	_, err := tx.Exec(ctx, `delete from tartan.knowledge_proposals where change_id = $1 and seq = any ($2)`, changeID, seqs)
	if err != nil {
		return fmt.Errorf("take proposals out of change set %s: %w", changeID, known(err))
	}
	return nil
}

// BatchSums are what became of a batch of an import.
type BatchSums struct {
	Kept      int // proposals that were published or found unchanged
	Published int
	Waiting   int
	Refused   int
	Findings  int // in what was kept
	Revision  int64
}

// BatchTotals adds up the three change sets of a batch: what was published, what waits, and what was refused.
func BatchTotals(ctx context.Context, q Querier, main, review, refused uuid.UUID) (BatchSums, error) {
	sums, err := one(ctx, q, pgx.RowToStructByPos[BatchSums], `select
			(select count(*) from tartan.knowledge_proposals where change_id = $1)::int, (select count(*) from tartan.knowledge_revisions where change_id = $1)::int,
			(select count(*) from tartan.knowledge_proposals where change_id = $2)::int, (select count(*) from tartan.knowledge_proposals where change_id = $3)::int,
			(select count(*) from tartan.knowledge_checks where change_id = $1)::int, coalesce((select space_revision from tartan.knowledge_changes where id = $1), 0)`,
		main, review, refused)
	if err != nil {
		return sums, fmt.Errorf("add up a batch: %w", err)
	}
	return sums, nil
}

// StagedBy returns which of the slugs a workflow has stored documents for, in change sets that are not refused.
func StagedBy(ctx context.Context, q Querier, spaceID uuid.UUID, workflowID string, slugs []string) (map[string]bool, error) {
	rows, _ := q.Query(ctx, `select distinct p.slug from tartan.knowledge_changes c join tartan.knowledge_proposals p on p.change_id = c.id
		where c.space_id = $1 and c.workflow_id = $2 and c.state in ('draft', 'approved') and p.op = 'put' and p.slug = any ($3)`, spaceID, workflowID, slugs)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look up what is stored: %w", known(err))
	}
	out := make(map[string]bool, len(found))
	for _, s := range found {
		out[s] = true
	}
	return out, nil
}
