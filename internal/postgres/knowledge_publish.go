package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// TopicKnowledge is the topic of what is published in a space; the key is the id of the space.
const TopicKnowledge = "knowledge"

// KnowledgeChange is the payload of a TopicKnowledge event.
type KnowledgeChange struct {
	Revision int64     `json:"revision,omitempty"` // of the space; 0 where nothing was published
	ChangeID uuid.UUID `json:"change_id"`
	State    string    `json:"state,omitempty"`   // of the change set, where nothing was published; or StateExcised
	Waiting  bool      `json:"waiting,omitempty"` // it still waits for a person
}

// StateExcised is the state in the event that tells that texts of a space were destroyed.
const StateExcised = "excised"

// StateDue is the state in the event that tells that entries of a space became due for review.
const StateDue = "due"

// Head is the last revision of an entry.
type Head struct {
	EntryID uuid.UUID
	Slug    string
	Number  int
	Hash    string // "" where the entry is deleted
}

// LockHeads returns the heads of those of the entries that exist, by slug, locked in the order of their ids until the
// transaction ends.
func LockHeads(ctx context.Context, tx pgx.Tx, spaceID uuid.UUID, slugs []string) (map[string]Head, error) {
	rows, _ := tx.Query(ctx, `select h.entry_id, e.slug, h.number, coalesce(h.hash, '') from tartan.knowledge_entries e
		join tartan.knowledge_heads h on h.entry_id = e.id where e.space_id = $1 and e.slug = any ($2) order by h.entry_id for update of h`, spaceID, slugs)
	return headsOf(rows)
}

// Heads is LockHeads without a lock.
func Heads(ctx context.Context, q Querier, spaceID uuid.UUID, slugs []string) (map[string]Head, error) {
	rows, _ := q.Query(ctx, `select h.entry_id, e.slug, h.number, coalesce(h.hash, '') from tartan.knowledge_entries e
		join tartan.knowledge_heads h on h.entry_id = e.id where e.space_id = $1 and e.slug = any ($2)`, spaceID, slugs)
	return headsOf(rows)
}

func headsOf(rows pgx.Rows) (map[string]Head, error) {
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Head])
	if err != nil {
		return nil, fmt.Errorf("read heads: %w", known(err))
	}
	out := make(map[string]Head, len(found))
	for _, h := range found {
		out[h.Slug] = h
	}
	return out, nil
}

// Fact is what an entry states.
type Fact struct {
	Subject, Predicate, Scope, Value string
	Many                             bool // the subject may have several values at a time
	From, To                         *time.Time
}

// NewRevision is a revision to be published.
type NewRevision struct {
	Proposal Proposal
	Head     Head  // that it goes on from; the zero Head makes an entry
	Parents  []int // numbers; none for the first revision
	Links    []knowledge.Link
	Facts    []Fact
}

// PublishedEntry is a revision that was published.
type PublishedEntry struct {
	EntryID uuid.UUID `json:"entry_id"`
	Slug    string    `json:"slug"`
	Number  int       `json:"number"`
	Hash    string    `json:"hash,omitempty"` // "" where it was deleted
}

// ErrLink is wrapped by the error of a change set that links to an entry that is not there, or deletes one that others
// link to.
var ErrLink = errors.New("broken link")

// Publish adds revisions and moves the heads of their entries, with their links and facts, the state of the change set and
// the event. The clock and the heads must be locked in the same transaction, the documents stored, and the change set
// be approved. Nothing of it happens when the error is not nil: ErrLink, or what Contradiction reports.
func Publish(ctx context.Context, tx pgx.Tx, space Space, c Change, clock Clock, revisions []NewRevision) (published []PublishedEntry, err error) {
	p := publication{space: space, change: c, clock: clock}
	for _, r := range revisions {
		p.add(r)
	}
	if len(revisions) > 0 {
		err = p.save(ctx, tx)
	}
	if err == nil {
		revision := clock.Revision
		if len(revisions) == 0 {
			revision = 0
		}
		_, err = tx.Exec(ctx, `update tartan.knowledge_changes set state = 'published', error = '', space_revision = $2, published_at = $3, updated_at = $3 where id = $1`,
			c.ID, null(revision), clock.RecordedAt)
	}
	if err != nil {
		return nil, fmt.Errorf("publish change set %s: %w", c.ID, known(err))
	}
	return p.published, nil
}

// Contradiction returns what the database says of facts that contradict each other, and false for any other error.
func Contradiction(err error) (string, bool) {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "23P01" { // exclusion_violation
		return "", false
	}
	return pg.Message, true
}

// publication collects the rows of a change set.
type publication struct {
	space     Space
	change    Change
	clock     Clock
	published []PublishedEntry

	entries, revisions, heads, links, facts [][]any
	moved                                   [][]any // entry, old number, new number, hash
	ids                                     []uuid.UUID
	targets, gone                           []string // internal targets of links; addresses of deleted entries
	hashes                                  []string // of documents
}

func (p *publication) add(r NewRevision) {
	w, s, at := p.space.WorkspaceID, p.space.ID, p.clock.RecordedAt
	id, number, hash := r.Head.EntryID, r.Head.Number+1, null(r.Proposal.Result())
	if r.Head.Number == 0 {
		id = uuid.New()
		p.entries = append(p.entries, []any{w, s, id, r.Proposal.Slug, at})
		p.heads = append(p.heads, []any{w, s, id, number, hash, at})
	} else {
		p.moved = append(p.moved, []any{id, r.Head.Number, hash})
	}
	p.ids = append(p.ids, id)
	p.revisions = append(p.revisions, []any{
		w, s, id, number, hash, append([]int{}, r.Parents...), p.change.Author, p.change.Reason, p.change.WorkflowID,
		p.change.ID, r.Proposal.Seq, p.clock.Revision, at, r.Proposal.ValidFrom, r.Proposal.ValidTo, null(r.Proposal.Reverts),
	})
	p.published = append(p.published, PublishedEntry{EntryID: id, Slug: r.Proposal.Slug, Number: number, Hash: r.Proposal.Result()})
	if hash == nil {
		p.gone = append(p.gone, p.space.Name+"/"+r.Proposal.Slug)
		return
	}
	p.hashes = append(p.hashes, r.Proposal.Result())
	for i, l := range r.Links {
		p.links = append(p.links, []any{w, s, id, i, stored(l.Relation), stored(l.Target)})
		if InternalTarget(l.Target) {
			p.targets = append(p.targets, l.Target)
		}
	}
	for i, f := range r.Facts {
		p.facts = append(p.facts, []any{w, s, id, i, stored(f.Subject), stored(f.Predicate), stored(f.Scope), stored(f.Value), !f.Many, rangeOf(f.From, f.To)})
	}
}

// InternalTarget reports whether a link leads to an entry, and not to a pattern or out.
func InternalTarget(target string) bool {
	return !strings.Contains(target, ":") && strings.Contains(target, "/")
}

// rangeOf is a time range as Postgres writes it.
func rangeOf(from, to *time.Time) string {
	bound := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	return "[" + bound(from) + "," + bound(to) + ")"
}

// save writes everything but the change set. The lock of the clock keeps others of the space out, and that of hold_entries
// those of other spaces from deleting what is linked to.
func (p *publication) save(ctx context.Context, tx pgx.Tx) error {
	if err := insertRows(ctx, tx, "knowledge_entries", []string{"workspace_id", "space_id", "id", "slug", "created_at"}, p.entries); err != nil {
		return err
	}
	if err := insertRows(ctx, tx, "knowledge_revisions", []string{
		"workspace_id", "space_id", "entry_id", "number", "hash", "parents", "author", "reason", "workflow_id",
		"change_id", "seq", "space_revision", "recorded_at", "valid_from", "valid_to", "reverts",
	}, p.revisions); err != nil {
		return err
	}
	if err := p.moveHeads(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from tartan.knowledge_links where entry_id = any ($1)`, p.ids); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from tartan.knowledge_facts where entry_id = any ($1)`, p.ids); err != nil {
		return err
	}
	if err := insertRows(ctx, tx, "knowledge_links", []string{"workspace_id", "space_id", "entry_id", "seq", "relation", "target"}, p.links); err != nil {
		return err
	}
	if err := insertRows(ctx, tx, "knowledge_facts", []string{"workspace_id", "space_id", "entry_id", "seq", "subject", "predicate", "scope", "value", "single", "validity"}, p.facts); err != nil {
		return err
	}
	if err := p.checkLinks(ctx, tx); err != nil {
		return err
	}
	if err := indexPublished(ctx, tx, p.space.WorkspaceID, p.space.ID, p.hashes); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update tartan.knowledge_clocks set revision = $2, recorded_at = $3 where space_id = $1`, p.space.ID, p.clock.Revision, p.clock.RecordedAt); err != nil {
		return err
	}
	return AppendOutbox(ctx, tx, p.space.WorkspaceID, TopicKnowledge, p.space.ID.String(), KnowledgeChange{Revision: p.clock.Revision, ChangeID: p.change.ID})
}

func (p *publication) moveHeads(ctx context.Context, tx pgx.Tx) error {
	if err := insertRows(ctx, tx, "knowledge_heads", []string{"workspace_id", "space_id", "entry_id", "number", "hash", "recorded_at"}, p.heads); err != nil {
		return err
	}
	if len(p.moved) == 0 {
		return nil
	}
	var ids []uuid.UUID
	var old []int
	var hashes []*string
	for _, m := range p.moved {
		ids, old, hashes = append(ids, m[0].(uuid.UUID)), append(old, m[1].(int)), append(hashes, m[2].(*string))
	}
	tag, err := tx.Exec(ctx, `update tartan.knowledge_heads h set number = m.old + 1, hash = m.hash, recorded_at = $4, due_since = null
		from unnest($1::uuid[], $2::int[], $3::text[]) m (id, old, hash) where h.entry_id = m.id and h.number = m.old`, ids, old, hashes, p.clock.RecordedAt)
	if err == nil && int(tag.RowsAffected()) != len(p.moved) {
		err = fmt.Errorf("%d of %d heads moved: the others are not at their revision, or not locked", tag.RowsAffected(), len(p.moved))
	}
	return err
}

// checkLinks looks at the links after all is written, so that entries of one change set may link to each other.
func (p *publication) checkLinks(ctx context.Context, tx pgx.Tx) error {
	if len(p.targets) > 0 {
		held, err := HoldEntries(ctx, tx, p.space.WorkspaceID, p.targets)
		if err != nil {
			return err
		}
		for _, t := range p.targets {
			if !held[t] && p.change.Kind != KindImport { // an import links to what it publishes yet, and reports at its end what leads nowhere
				return fmt.Errorf("%w: there is no entry %s", ErrLink, t)
			}
		}
	}
	if len(p.gone) == 0 || p.change.Kind == KindExcise { // what must go goes
		return nil
	}
	inbound, err := Inbound(ctx, tx, p.space.WorkspaceID, p.gone)
	if err == nil && len(inbound) > 0 {
		err = fmt.Errorf("%w: %s links to %s, which is to be deleted", ErrLink, inbound[0].From, inbound[0].Target)
	}
	return err
}

// HoldEntries returns which of the addresses are of living entries that the caller may see, and keeps these from being
// deleted until the transaction ends.
func HoldEntries(ctx context.Context, tx pgx.Tx, workspaceID uuid.UUID, addresses []string) (map[string]bool, error) {
	rows, _ := tx.Query(ctx, `select target from tartan.hold_entries($1, $2)`, workspaceID, addresses)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("resolve links: %w", known(err))
	}
	out := make(map[string]bool, len(found))
	for _, t := range found {
		out[t] = true
	}
	return out, nil
}

// Reference is a link from one entry to a target.
type Reference struct {
	From     string `json:"from"` // space/slug
	Relation string `json:"relation"`
	Target   string `json:"target"`
}

// Inbound returns the links of living entries to the targets: addresses of entries, or patterns as "pattern:library/id".
// Links of an entry to itself are left out.
func Inbound(ctx context.Context, q Querier, workspaceID uuid.UUID, targets []string) ([]Reference, error) {
	rows, _ := q.Query(ctx, `select s.name || '/' || e.slug, l.relation, l.target from tartan.knowledge_links l
		join tartan.knowledge_entries e on e.id = l.entry_id join tartan.knowledge_spaces s on s.id = e.space_id
		where l.workspace_id = $1 and md5(l.target) in (select md5(t) from unnest($2::text[]) t) and l.target = any ($2) and s.name || '/' || e.slug <> l.target
		order by 3, 1, 2`, workspaceID, targets)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Reference])
	if err != nil {
		return nil, fmt.Errorf("links to %d targets: %w", len(targets), known(err))
	}
	return found, nil
}

// insertRows inserts rows in one statement; a copy does not work under row level security.
func insertRows(ctx context.Context, q Querier, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	objects := make([]map[string]any, len(rows))
	for i, row := range rows {
		objects[i] = make(map[string]any, len(row))
		for j, v := range row {
			objects[i][columns[j]] = v
		}
	}
	body, err := json.Marshal(objects)
	if err == nil {
		list := strings.Join(columns, ", ")
		_, err = q.Exec(ctx, `insert into tartan.`+table+` (`+list+`) select `+list+` from json_populate_recordset(null::tartan.`+table+`, $1::json)`, string(body))
	}
	return err
}
