package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// The states of a change set. The last four are its ends.
const (
	ChangeDraft      = "draft" // stored, and no workflow has taken it up
	ChangeValidating = "validating"
	ChangeInReview   = "in_review"
	ChangeConflicted = "conflicted"
	ChangeApproved   = "approved"
	ChangePublished  = "published"
	ChangeRejected   = "rejected"
	ChangeExpired    = "expired"
	ChangeWithdrawn  = "withdrawn"
)

// The kinds of change sets: where they come from.
const (
	KindChange       = "change"
	KindRestore      = "restore"
	KindImport       = "import"
	KindExcise       = "excise"
	KindHousekeeping = "housekeeping"
)

// Change is a change set.
type Change struct {
	ID            uuid.UUID
	WorkspaceID   uuid.UUID
	SpaceID       uuid.UUID
	Kind          string
	State         string
	Author        uuid.UUID
	Reason        string
	WorkflowID    string // "" while it is a draft
	Round         int    // grows when it is amended: earlier approvals do not count
	Validated     int    // the last round that was validated
	Quarantined   bool   // a check asked for a person
	Error         string // why it ended unpublished
	SpaceRevision int64  // that it brought; 0 unless published, or if it changed nothing
	CreatedAt     time.Time
	UpdatedAt     time.Time
	PublishedAt   *time.Time
}

// Ended reports whether the change set will not change any more.
func (c Change) Ended() bool {
	return c.State == ChangePublished || c.State == ChangeRejected || c.State == ChangeExpired || c.State == ChangeWithdrawn
}

const changeColumns = `id, workspace_id, space_id, kind, state, author, reason, workflow_id, round, validated, quarantined, error, coalesce(space_revision, 0),
	created_at, updated_at, published_at`

func scanChange(row pgx.CollectableRow) (c Change, err error) {
	err = row.Scan(&c.ID, &c.WorkspaceID, &c.SpaceID, &c.Kind, &c.State, &c.Author, &c.Reason, &c.WorkflowID, &c.Round, &c.Validated, &c.Quarantined, &c.Error,
		&c.SpaceRevision, &c.CreatedAt, &c.UpdatedAt, &c.PublishedAt)
	return c, err
}

// The operations of proposals.
const (
	OpPut    = "put"
	OpDelete = "delete"
)

// Proposal is the change of one entry in a change set.
type Proposal struct {
	Seq        int
	Slug       string
	Op         string
	Base       int        // number of the revision that was changed; 0 where there was none
	Hash       string     // of the document; "" to delete
	MergedHash string     // of what it became when merged; "" if it was not
	MergedOnto int        // the revision it was merged with; 0 if it was not
	ValidFrom  *time.Time // nil is since ever
	ValidTo    *time.Time // nil is for ever
	Reverts    int        // the revision that it takes back or brings again; 0 is none
}

// Result returns the hash of what is to be published, "" to delete.
func (p Proposal) Result() string {
	if p.MergedHash != "" {
		return p.MergedHash
	}
	return p.Hash
}

// Onto returns the number of the revision that what is to be published goes on from.
func (p Proposal) Onto() int {
	if p.MergedOnto > 0 {
		return p.MergedOnto
	}
	return p.Base
}

const proposalColumns = `seq, slug, op, base, coalesce(hash, ''), coalesce(merged_hash, ''), coalesce(merged_onto, 0), valid_from, valid_to, coalesce(reverts, 0)`

func scanProposal(row pgx.CollectableRow) (p Proposal, err error) {
	err = row.Scan(&p.Seq, &p.Slug, &p.Op, &p.Base, &p.Hash, &p.MergedHash, &p.MergedOnto, &p.ValidFrom, &p.ValidTo, &p.Reverts)
	return p, err
}

// Body is a document with its address.
type Body struct {
	Hash  string
	Type  string
	Title string
	Text  string // canonical
}

// BodyOf makes the body of a document.
func BodyOf(d knowledge.Document) (Body, error) {
	hash, text, err := d.Hash()
	return Body{Hash: hash.String(), Type: d.Schema, Title: d.Title, Text: string(text)}, err
}

// SaveBodies stores documents; those that the space has already stay as they are.
func SaveBodies(ctx context.Context, q Querier, workspaceID, spaceID uuid.UUID, bodies []Body) error {
	if len(bodies) == 0 {
		return nil
	}
	hashes, types, titles, texts := make([]string, len(bodies)), make([]string, len(bodies)), make([]string, len(bodies)), make([]string, len(bodies))
	for i, b := range bodies {
		hashes[i], types[i], titles[i], texts[i] = b.Hash, stored(b.Type), stored(b.Title), b.Text
	}
	_, err := q.Exec(ctx, `insert into tartan.knowledge_bodies (workspace_id, space_id, hash, type, title, text)
		select $1, $2, b.hash, b.type, b.title, b.text from unnest($3::text[], $4::text[], $5::text[], $6::text[]) b (hash, type, title, text)
		order by b.hash on conflict (space_id, hash) do nothing`, workspaceID, spaceID, hashes, types, titles, texts)
	if err != nil {
		return fmt.Errorf("store %d documents: %w", len(bodies), known(err))
	}
	return nil
}

// Bodies returns the texts of documents of a space by hash. Those that are not there, such as excised ones, are absent.
func Bodies(ctx context.Context, q Querier, spaceID uuid.UUID, hashes []string) (map[string]string, error) {
	rows, _ := q.Query(ctx, `select hash, text from tartan.knowledge_bodies where space_id = $1 and hash = any ($2)`, spaceID, hashes)
	out := map[string]string{}
	var hash, text string
	_, err := pgx.ForEachRow(rows, []any{&hash, &text}, func() error { out[hash] = text; return nil })
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", known(err))
	}
	return out, nil
}

// StageChange stores a change set with its proposals and the documents they name, as a draft or in the state given. Of the
// change, ID, WorkspaceID, SpaceID and Author must be set. One that is there already stays as it is: then fresh is false.
func StageChange(ctx context.Context, tx pgx.Tx, c Change, proposals []Proposal, bodies []Body) (fresh bool, err error) {
	if c.Kind == "" {
		c.Kind = KindChange
	}
	if c.State == "" {
		c.State = ChangeDraft
	}
	tag, err := tx.Exec(ctx, `insert into tartan.knowledge_changes (id, workspace_id, space_id, kind, state, author, reason, workflow_id, quarantined)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing`,
		c.ID, c.WorkspaceID, c.SpaceID, c.Kind, c.State, c.Author, stored(c.Reason), c.WorkflowID, c.Quarantined)
	if fresh = err == nil && tag.RowsAffected() > 0; fresh {
		if err = SaveBodies(ctx, tx, c.WorkspaceID, c.SpaceID, bodies); err == nil {
			err = saveProposals(ctx, tx, c, proposals)
		}
	}
	if err != nil {
		return false, fmt.Errorf("store change set %s: %w", c.ID, known(err))
	}
	return fresh, nil
}

func saveProposals(ctx context.Context, tx pgx.Tx, c Change, proposals []Proposal) error {
	rows := make([][]any, len(proposals))
	for i, p := range proposals {
		rows[i] = []any{c.WorkspaceID, c.SpaceID, c.ID, i, p.Slug, p.Op, p.Base, null(p.Hash), null(p.MergedHash), null(p.MergedOnto), p.ValidFrom, p.ValidTo, null(p.Reverts)}
	}
	columns := []string{"workspace_id", "space_id", "change_id", "seq", "slug", "op", "base", "hash", "merged_hash", "merged_onto", "valid_from", "valid_to", "reverts"}
	return insertRows(ctx, tx, "knowledge_proposals", columns, rows)
}

// null makes nothing of a zero value.
func null[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// AmendChange puts other proposals in the place of those of a change set that has not ended, and begins its next round.
func AmendChange(ctx context.Context, tx pgx.Tx, c Change, proposals []Proposal) error {
	_, err := tx.Exec(ctx, `delete from tartan.knowledge_proposals where change_id = $1`, c.ID)
	if err == nil {
		err = saveProposals(ctx, tx, c, proposals)
	}
	if err == nil {
		err = NextRound(ctx, tx, c.ID)
	}
	if err != nil {
		return fmt.Errorf("amend change set %s: %w", c.ID, known(err))
	}
	return nil
}

// NextRound makes earlier approvals of a change set count no more.
func NextRound(ctx context.Context, tx pgx.Tx, changeID uuid.UUID) error {
	_, err := tx.Exec(ctx, `update tartan.knowledge_changes set round = round + 1, updated_at = clock_timestamp() where id = $1`, changeID)
	return known(err)
}

// ChangeByID returns a change set, or ErrNotFound, which it also is for who may not see it.
func ChangeByID(ctx context.Context, q Querier, id uuid.UUID) (Change, error) {
	c, err := one(ctx, q, scanChange, `select `+changeColumns+` from tartan.knowledge_changes where id = $1`, id)
	if err != nil {
		return c, fmt.Errorf("change set %s: %w", id, err)
	}
	return c, nil
}

// LockChange returns a change set, locked until the transaction ends. ErrDenied says that the caller may read it only.
func LockChange(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Change, error) {
	c, err := one(ctx, tx, scanChange, `select `+changeColumns+` from tartan.knowledge_changes where id = $1 for update`, id)
	if errors.Is(err, ErrNotFound) {
		if _, err = ChangeByID(ctx, tx, id); err == nil {
			err = ErrDenied
		}
	}
	if err != nil {
		return c, fmt.Errorf("lock change set %s: %w", id, err)
	}
	return c, nil
}

// Proposals returns the proposals of a change set in order.
func Proposals(ctx context.Context, q Querier, changeID uuid.UUID) ([]Proposal, error) {
	rows, _ := q.Query(ctx, `select `+proposalColumns+` from tartan.knowledge_proposals where change_id = $1 order by seq`, changeID)
	found, err := pgx.CollectRows(rows, scanProposal)
	if err != nil {
		return nil, fmt.Errorf("proposals of change set %s: %w", changeID, known(err))
	}
	return found, nil
}

// SetChangeState moves a change set that has not ended to a state, with the reason for an end.
func SetChangeState(ctx context.Context, q Querier, id uuid.UUID, state, why string) error {
	_, err := q.Exec(ctx, `update tartan.knowledge_changes set state = $2, error = $3, updated_at = clock_timestamp()
		where id = $1 and (state <> $2 or error <> $3)`, id, state, stored(why))
	if err != nil {
		return fmt.Errorf("change set %s becomes %s: %w", id, state, known(err))
	}
	return nil
}

// SaveValidation notes that the workflow has validated the round of the change set, with what it found.
func SaveValidation(ctx context.Context, tx pgx.Tx, c Change, workflowID string, quarantined bool, found []Finding) error {
	_, err := tx.Exec(ctx, `update tartan.knowledge_changes set workflow_id = $2, validated = round, quarantined = $3, updated_at = clock_timestamp(),
		state = case state when 'draft' then 'validating' else state end where id = $1`, c.ID, workflowID, quarantined)
	if err == nil {
		err = SaveFindings(ctx, tx, c, found)
	}
	if err != nil {
		return fmt.Errorf("note the validation of change set %s: %w", c.ID, known(err))
	}
	return nil
}

// ListChanges says which change sets are wanted.
type ListChanges struct {
	Space  uuid.UUID // uuid.Nil is all that the caller may see
	States []string  // none is all
	Author uuid.UUID // uuid.Nil is all
	Limit  int
	After  string // the page after the one that returned it
}

// Changes returns change sets, the newest first, and what to pass for the next page, "" at the end.
func Changes(ctx context.Context, q Querier, workspaceID uuid.UUID, l ListChanges) (found []Change, next string, err error) {
	at, err := readCursor(l.After, "changes")
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(l.Limit)
	rows, _ := q.Query(ctx, `select `+changeColumns+` from tartan.knowledge_changes
		where workspace_id = $1 and ($2::uuid is null or space_id = $2) and (cardinality($3::text[]) = 0 or state = any ($3)) and ($4::uuid is null or author = $4)
			and ($5 = '' or (created_at, id) < ($5::timestamptz, $6::uuid))
		order by created_at desc, id desc limit $7`, workspaceID, null(l.Space), append([]string{}, l.States...), null(l.Author), at.Value, null(at.ID), limit+1)
	found, err = pgx.CollectRows(rows, scanChange)
	if err != nil {
		return nil, "", fmt.Errorf("list change sets: %w", known(err))
	}
	if len(found) > limit {
		found = found[:limit]
		last := found[limit-1]
		next = cursor{Sort: "changes", Value: last.CreatedAt.UTC().Format(time.RFC3339Nano), ID: last.ID.String()}.String()
	}
	return found, next, nil
}

// MaxProposals bounds a change set.
const MaxProposals = 500
