package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/vet"
)

// QueueKnowledge is the task queue of the agent that keeps the knowledge base.
const QueueKnowledge = "agent.knowledge"

// Knowledge are the activities of agent.knowledge. Documents go through the database by their hash: no input or result
// holds one.
type Knowledge struct {
	Pool    *pgxpool.Pool
	Bucket  *bucket.Bucket // where documents to import are
	Checker *vet.Checker
}

// ChangeRef names a change set, and who acts on it.
type ChangeRef struct {
	Caller   access.Caller `json:"caller"`
	ChangeID uuid.UUID     `json:"change_id"`
}

// Validated is what validation makes of the current round of a change set.
type Validated struct {
	State       string             `json:"state"` // of the change set; one of its ends where there is nothing left to do
	Space       string             `json:"space"`
	Approvals   int                `json:"approvals"` // that it needs: of the space, and one where a check asked for a person
	RemindAfter time.Duration      `json:"remind_after"`
	ExpireAfter time.Duration      `json:"expire_after"`
	Round       int                `json:"round"`
	Entries     int                `json:"entries"`
	Blocked     int                `json:"blocked"`             // findings that forbid to publish it
	Found       int                `json:"found"`               // all findings
	Findings    []postgres.Finding `json:"findings"`            // the gravest, at most maxFindings; the rest is in the database
	Published   *Published         `json:"published,omitempty"` // when it had been published before
}

// maxFindings and maxPublished bound what Temporal keeps.
const (
	maxFindings  = 20
	maxPublished = 64
	maxEvidence  = 400 // bytes
)

// Published is what a change set became.
type Published struct {
	State     string                    `json:"state"` // published, or conflicted where nothing was
	SpaceID   uuid.UUID                 `json:"space_id"`
	Revision  int64                     `json:"revision"`  // of the space, to wait for; 0 where nothing changed
	Total     int                       `json:"total"`     // entries that got a revision
	Unchanged int                       `json:"unchanged"` // entries that said so already
	Merged    int                       `json:"merged"`    // entries merged with what had been published since
	Entries   []postgres.PublishedEntry `json:"entries"`   // at most maxPublished
	Conflicts int                       `json:"conflicts,omitempty"`
	Why       string                    `json:"why,omitempty"` // it cannot be published
	Already   bool                      `json:"already,omitempty"`
}

// ReviewInput is a reviewer's decision.
type ReviewInput struct {
	ChangeRef
	Decision string `json:"decision"` // approve or reject
	Note     string `json:"note,omitempty"`
}

// Reviewed is how a change set stands after a decision.
type Reviewed struct {
	State     string `json:"state"`
	Approvals int    `json:"approvals"`
	Needed    int    `json:"needed"`
}

// MarkChangeInput tells in which state a change set is.
type MarkChangeInput struct {
	ChangeRef
	State   string `json:"state"`
	Why     string `json:"why,omitempty"`
	Waiting bool   `json:"waiting,omitempty"` // remind those who follow that it waits
}

// as runs fn as the caller and gives what goes wrong its type.
func (k *Knowledge) as(ctx context.Context, caller access.Caller, doing string, fn func(tx pgx.Tx) error) error {
	err := postgres.InWorkspace(ctx, k.Pool, caller, fn)
	contradiction, contradicts := postgres.Contradiction(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, postgres.ErrNotFound):
		return final(KnowledgeMissing, fmt.Errorf("%s: %w", doing, err), "check the name, or ask for access to its space")
	case errors.Is(err, postgres.ErrOwnChange):
		return final(Denied, err, "ask another reviewer of the space")
	case errors.Is(err, postgres.ErrLink):
		return final(KnowledgeRefused, err, "create what is linked to first or in the same change set, or take the link out")
	case contradicts:
		return final(KnowledgeRefused, nil, contradiction)
	}
	return typed(doing, err)
}

// open locks a change set with its space, for a step of its workflow.
func open(ctx context.Context, tx pgx.Tx, ref ChangeRef) (c postgres.Change, s postgres.Space, err error) {
	if c, err = postgres.LockChange(ctx, tx, ref.ChangeID); err == nil {
		s, err = postgres.SpaceByID(ctx, tx, c.SpaceID)
	}
	return c, s, err
}

// needed returns how many approvals a change set needs.
func needed(s postgres.Space, quarantined bool) int {
	if quarantined {
		return max(1, s.Approvals)
	}
	return s.Approvals
}

// ValidateChange checks the current round of a change set and stores what it finds. A round is checked once: called again,
// it tells what is stored.
func (k *Knowledge) ValidateChange(ctx context.Context, ref ChangeRef) (*Validated, error) {
	var alive progress
	defer alive.beating(ctx)()
	out := &Validated{}
	err := k.as(ctx, ref.Caller, "validate change set "+ref.ChangeID.String(), func(tx pgx.Tx) error {
		c, s, err := open(ctx, tx, ref)
		if err != nil {
			return err
		}
		proposals, err := postgres.Proposals(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		if !c.Ended() && c.Validated < c.Round {
			found, err := k.check(ctx, tx, s, c, ref.Caller, proposals)
			if err != nil {
				return err
			}
			c.Quarantined = hasSeverity(found, severityQuarantine)
			if err := postgres.SaveValidation(ctx, tx, c, activity.GetInfo(ctx).WorkflowExecution.ID, c.Quarantined, found); err != nil {
				return err
			}
		}
		*out = Validated{
			State: c.State, Space: s.Name, Approvals: needed(s, c.Quarantined), RemindAfter: s.RemindAfter, ExpireAfter: s.ExpireAfter,
			Round: c.Round, Entries: len(proposals), Findings: []postgres.Finding{},
		}
		if c.State == postgres.ChangePublished {
			out.Published, err = publishedBefore(ctx, tx, c)
			return err
		}
		return out.tell(ctx, tx, c)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// tell adds the findings of the current round.
func (out *Validated) tell(ctx context.Context, tx pgx.Tx, c postgres.Change) error {
	all, err := postgres.Findings(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	for _, severity := range severities {
		for _, f := range all {
			if f.Round != c.Round || f.Severity != severity {
				continue
			}
			out.Found++
			if severity == severityBlock {
				out.Blocked++
			}
			if len(out.Findings) < maxFindings {
				f.Path, f.Evidence, f.Fix = clip(f.Path, maxEvidence), clip(f.Evidence, maxEvidence), clip(f.Fix, maxEvidence)
				out.Findings = append(out.Findings, f)
			}
		}
	}
	return nil
}

func publishedBefore(ctx context.Context, tx pgx.Tx, c postgres.Change) (*Published, error) {
	revisions, err := postgres.RevisionsOfChange(ctx, tx, c.ID)
	if err != nil {
		return nil, err
	}
	out := &Published{State: c.State, SpaceID: c.SpaceID, Revision: c.SpaceRevision, Total: len(revisions), Already: true, Entries: []postgres.PublishedEntry{}}
	for _, r := range revisions {
		if len(r.Parents) > 1 {
			out.Merged++
		}
		if len(out.Entries) < maxPublished {
			out.Entries = append(out.Entries, postgres.PublishedEntry{EntryID: r.EntryID, Slug: r.Slug, Number: r.Number, Hash: r.Hash})
		}
	}
	return out, nil
}

// ReviewChange stores a reviewer's decision, once.
func (k *Knowledge) ReviewChange(ctx context.Context, in ReviewInput) (*Reviewed, error) {
	out := &Reviewed{}
	err := k.as(ctx, in.Caller, "review change set "+in.ChangeID.String(), func(tx pgx.Tx) error {
		c, s, err := open(ctx, tx, in.ChangeRef)
		if err != nil {
			return err
		}
		out.State, out.Needed = c.State, needed(s, c.Quarantined)
		if c.Ended() {
			return nil
		}
		r := postgres.Review{Reviewer: in.Caller.UserID, Decision: in.Decision, Note: in.Note}
		if out.Approvals, err = postgres.SaveReview(ctx, tx, s, c, r); err != nil || in.Decision != postgres.Reject {
			return err
		}
		out.State = postgres.ChangeRejected
		why := "rejected by a reviewer"
		if in.Note != "" {
			why += ": " + in.Note
		}
		return markChange(ctx, tx, c, out.State, why, false)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// MarkChange brings a change set to a state in which nothing is published, and tells those who follow.
func (k *Knowledge) MarkChange(ctx context.Context, in MarkChangeInput) error {
	return k.as(ctx, in.Caller, "mark change set "+in.ChangeID.String(), func(tx pgx.Tx) error {
		c, err := postgres.LockChange(ctx, tx, in.ChangeID)
		if err != nil || c.Ended() {
			return err
		}
		return markChange(ctx, tx, c, in.State, in.Why, in.Waiting)
	})
}

func markChange(ctx context.Context, tx pgx.Tx, c postgres.Change, state, why string, waiting bool) error {
	if err := postgres.SetChangeState(ctx, tx, c.ID, state, why); err != nil {
		return err
	}
	event := postgres.KnowledgeChange{ChangeID: c.ID, State: state, Waiting: waiting}
	return postgres.AppendOutbox(ctx, tx, c.WorkspaceID, postgres.TopicKnowledge, c.SpaceID.String(), event)
}
