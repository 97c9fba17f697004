package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/merge"
)

// Finding is what a check found in a proposal.
type Finding struct {
	Seq      int    `json:"seq"` // of the proposal
	Round    int    `json:"round,omitempty"`
	Check    string `json:"check"`
	Version  int    `json:"version"`
	Severity string `json:"severity"`
	Path     string `json:"path,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	Fix      string `json:"fix,omitempty"`
}

// SaveFindings stores what the checks found in the current round of a change set.
func SaveFindings(ctx context.Context, tx pgx.Tx, c Change, found []Finding) error {
	rows := make([][]any, len(found))
	for i, f := range found {
		rows[i] = []any{c.WorkspaceID, c.SpaceID, c.ID, f.Seq, c.Round, f.Check, f.Version, f.Severity, stored(f.Path), stored(f.Evidence), stored(f.Fix), time.Now().UTC()}
	}
	columns := []string{"workspace_id", "space_id", "change_id", "seq", "round", "check_id", "version", "severity", "path", "evidence", "fix", "created_at"}
	if err := insertRows(ctx, tx, "knowledge_checks", columns, rows); err != nil {
		return fmt.Errorf("store findings of change set %s: %w", c.ID, known(err))
	}
	return nil
}

// Findings returns what the checks found in a change set, the latest round first, in the order it was found.
func Findings(ctx context.Context, q Querier, changeID uuid.UUID) ([]Finding, error) {
	rows, _ := q.Query(ctx, `select seq, round, check_id, version, severity, path, evidence, fix from tartan.knowledge_checks
		where change_id = $1 order by round desc, id`, changeID)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Finding, err error) {
		err = row.Scan(&f.Seq, &f.Round, &f.Check, &f.Version, &f.Severity, &f.Path, &f.Evidence, &f.Fix)
		f.Path, f.Evidence, f.Fix = plain(f.Path), plain(f.Evidence), plain(f.Fix)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("findings of change set %s: %w", changeID, known(err))
	}
	return found, nil
}

// Conflict is where a proposal and what was published since its base differ.
type Conflict struct {
	Seq        int // of the proposal
	N          int // place in the document
	Onto       int // number of the revision that the proposal meets
	Path       string
	Base       string // "" where there was nothing
	Ours       string // of the author; "" where it was taken away
	Theirs     string // published meanwhile; "" where it was taken away
	Resolution string // "" while it is open; TakeBase, TakeOurs, TakeTheirs or TakeDocument
	ResolvedBy uuid.UUID
	ResolvedAt *time.Time
}

// The resolutions of conflicts.
const (
	TakeBase     = "base"
	TakeOurs     = "ours"
	TakeTheirs   = "theirs"
	TakeDocument = "document" // the entry was written anew
)

// SaveConflicts stores the conflicts that the proposals of a change set have with the heads of today; those known already
// stay as they are.
func SaveConflicts(ctx context.Context, tx pgx.Tx, c Change, conflicts []Conflict) error {
	for _, f := range conflicts {
		_, err := tx.Exec(ctx, `insert into tartan.knowledge_conflicts (workspace_id, space_id, change_id, seq, n, onto, path, base, ours, theirs)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing`,
			c.WorkspaceID, c.SpaceID, c.ID, f.Seq, f.N, f.Onto, stored(f.Path), stored(f.Base), stored(f.Ours), stored(f.Theirs))
		if err != nil {
			return fmt.Errorf("store conflicts of change set %s: %w", c.ID, known(err))
		}
	}
	return nil
}

// Conflicts returns the conflicts of a change set by proposal, revision met and place: all, or only the open ones.
func Conflicts(ctx context.Context, q Querier, changeID uuid.UUID, open bool) ([]Conflict, error) {
	rows, _ := q.Query(ctx, `select seq, n, onto, path, base, ours, theirs, resolution, coalesce(resolved_by, '00000000-0000-0000-0000-000000000000'), resolved_at
		from tartan.knowledge_conflicts where change_id = $1 and (not $2 or resolution = '') order by seq, onto, n`, changeID, open)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Conflict, err error) {
		err = row.Scan(&f.Seq, &f.N, &f.Onto, &f.Path, &f.Base, &f.Ours, &f.Theirs, &f.Resolution, &f.ResolvedBy, &f.ResolvedAt)
		f.Path, f.Base, f.Ours, f.Theirs = plain(f.Path), plain(f.Base), plain(f.Ours), plain(f.Theirs)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("conflicts of change set %s: %w", changeID, known(err))
	}
	return found, nil
}

// OpenConflicts returns the open conflicts of a proposal, all met at the same revision, and the proposal. ErrNotFound says
// that there are none.
func OpenConflicts(ctx context.Context, q Querier, changeID uuid.UUID, seq int) (met []Conflict, p Proposal, err error) {
	all, err := Conflicts(ctx, q, changeID, true)
	for _, c := range all {
		if c.Seq == seq && (len(met) == 0 || c.Onto == met[0].Onto) {
			met = append(met, c)
		}
	}
	if err == nil && len(met) == 0 {
		err = ErrNotFound
	}
	if err == nil {
		p, err = one(ctx, q, scanProposal, `select `+proposalColumns+` from tartan.knowledge_proposals where change_id = $1 and seq = $2`, changeID, seq)
	}
	if err != nil {
		return nil, p, fmt.Errorf("open conflicts of proposal %d of change set %s: %w", seq, changeID, err)
	}
	return met, p, nil
}

// ResolveConflict marks a conflict as resolved.
func ResolveConflict(ctx context.Context, tx pgx.Tx, changeID uuid.UUID, c Conflict, resolution string, by uuid.UUID) error {
	_, err := tx.Exec(ctx, `update tartan.knowledge_conflicts set resolution = $5, resolved_by = $6, resolved_at = clock_timestamp()
		where change_id = $1 and seq = $2 and onto = $3 and n = $4`, changeID, c.Seq, c.Onto, c.N, resolution, by)
	if err != nil {
		return fmt.Errorf("resolve a conflict of change set %s: %w", changeID, known(err))
	}
	return nil
}

// ResolveProposal returns what a proposal becomes on the revision it met when conflicts are resolved by choices; nil is a
// deletion. The errors of merge.Resolve say what is wrong with the choices.
func ResolveProposal(ctx context.Context, q Querier, spaceID uuid.UUID, p Proposal, onto int, choices []merge.Choice) (*knowledge.Document, error) {
	var sides [3]*knowledge.Document
	for i, number := range []int{p.Onto(), -1, onto} {
		hash := p.Result()
		if number == 0 {
			continue
		}
		if number > 0 {
			r, err := RevisionOf(ctx, q, spaceID, p.Slug, number)
			if err != nil {
				return nil, err
			}
			hash = r.Hash
		}
		if hash == "" {
			continue
		}
		text, err := BodyText(ctx, q, spaceID, hash)
		if err != nil {
			return nil, err
		}
		d, err := knowledge.Parse([]byte(text))
		if err != nil {
			return nil, err
		}
		sides[i] = &d
	}
	return merge.Resolve(sides[0], sides[1], sides[2], choices)
}

// StageResolution resolves the conflicts of a proposal by choices, which may hold texts, and stores the document, so that
// its hash can be given to the workflow of the change set. "" is a deletion.
func StageResolution(ctx context.Context, tx pgx.Tx, changeID uuid.UUID, seq int, choices []merge.Choice) (hash string, err error) {
	c, err := ChangeByID(ctx, tx, changeID)
	if err != nil {
		return "", err
	}
	met, p, err := OpenConflicts(ctx, tx, changeID, seq)
	if err != nil {
		return "", err
	}
	d, err := ResolveProposal(ctx, tx, c.SpaceID, p, met[0].Onto, choices)
	if err != nil || d == nil {
		return "", err
	}
	body, err := BodyOf(*d)
	if err == nil {
		err = SaveBodies(ctx, tx, c.WorkspaceID, c.SpaceID, []Body{body})
	}
	return body.Hash, err
}

// SaveMerge notes what a proposal became when it was merged with a revision or resolved against it; "" is a deletion.
func SaveMerge(ctx context.Context, tx pgx.Tx, changeID uuid.UUID, p Proposal) error {
	_, err := tx.Exec(ctx, `update tartan.knowledge_proposals set op = $3, hash = $4, merged_hash = $5, merged_onto = $6 where change_id = $1 and seq = $2`,
		changeID, p.Seq, p.Op, null(p.Hash), null(p.MergedHash), null(p.MergedOnto))
	if err != nil {
		return fmt.Errorf("note the merge of %s in change set %s: %w", p.Slug, changeID, known(err))
	}
	return nil
}

// The decisions of reviews.
const (
	Approve = "approve"
	Reject  = "reject"
)

// Review is what a reviewer decided.
type Review struct {
	Round    int
	Reviewer uuid.UUID
	Decision string
	Note     string
	At       time.Time
}

// ErrOwnChange says that the author of a change set may not approve it.
var ErrOwnChange = errors.New("the author of a change set does not approve it")

// SaveReview stores a decision about the current round of a change set, once, and returns how many approvals it has. The
// author's own does not count, and is ErrOwnChange, unless the space allows it.
func SaveReview(ctx context.Context, tx pgx.Tx, s Space, c Change, r Review) (approvals int, err error) {
	if r.Decision == Approve && r.Reviewer == c.Author && !s.SelfReview {
		return 0, fmt.Errorf("review change set %s: %w", c.ID, ErrOwnChange)
	}
	_, err = tx.Exec(ctx, `insert into tartan.knowledge_reviews (workspace_id, space_id, change_id, round, reviewer, decision, note) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict do nothing`, c.WorkspaceID, c.SpaceID, c.ID, c.Round, r.Reviewer, r.Decision, stored(r.Note))
	if err == nil {
		err = tx.QueryRow(ctx, `select count(distinct reviewer) from tartan.knowledge_reviews where change_id = $1 and round = $2 and decision = 'approve'`,
			c.ID, c.Round).Scan(&approvals)
	}
	if err != nil {
		return 0, fmt.Errorf("review change set %s: %w", c.ID, known(err))
	}
	return approvals, nil
}

// Reviews returns what was decided about a change set, in order.
func Reviews(ctx context.Context, q Querier, changeID uuid.UUID) ([]Review, error) {
	rows, _ := q.Query(ctx, `select round, reviewer, decision, note, created_at from tartan.knowledge_reviews where change_id = $1 order by created_at, reviewer`, changeID)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Review])
	for i := range found {
		found[i].Note = plain(found[i].Note)
	}
	if err != nil {
		return nil, fmt.Errorf("reviews of change set %s: %w", changeID, known(err))
	}
	return found, nil
}
