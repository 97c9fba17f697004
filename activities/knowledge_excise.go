package activities

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// ExciseInput asks for texts of an entry to be destroyed.
type ExciseInput struct {
	Caller  access.Caller `json:"caller"` // who asks
	Space   string        `json:"space"`
	Slug    string        `json:"slug"`
	Numbers []int         `json:"numbers,omitempty"` // of revisions; none is all
	Reason  string        `json:"reason"`
}

// ExcisionPlan is what would be destroyed.
type ExcisionPlan struct {
	SpaceID     uuid.UUID     `json:"space_id"`
	Revisions   int           `json:"revisions"`
	ExpireAfter time.Duration `json:"expire_after"`
	RemindAfter time.Duration `json:"remind_after"`
}

// ExciseApproved is an excision with who approved it.
type ExciseApproved struct {
	ExciseInput
	Approver access.Caller `json:"approver"`
	ChangeID uuid.UUID     `json:"change_id"` // of the change set that deletes what is current
}

// Excised is what was destroyed.
type Excised struct {
	Hashes  int      `json:"hashes"`
	Deleted []string `json:"deleted"` // entries that were current with these texts, at most 64
	Already bool     `json:"already,omitempty"`
}

// maxExcised bounds the revisions of an excision.
const maxExcised = 10_000

// PlanExcision looks at what would be destroyed.
func (k *Knowledge) PlanExcision(ctx context.Context, in ExciseInput) (*ExcisionPlan, error) {
	out := &ExcisionPlan{}
	err := k.as(ctx, in.Caller, "excise "+in.Space+"/"+in.Slug, func(tx pgx.Tx) error {
		s, hashes, err := in.hashes(ctx, tx)
		*out = ExcisionPlan{SpaceID: s.ID, Revisions: len(hashes), ExpireAfter: s.ExpireAfter, RemindAfter: s.RemindAfter}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// hashes returns the space and the documents to be destroyed.
func (in ExciseInput) hashes(ctx context.Context, tx pgx.Tx) (s postgres.Space, hashes []string, err error) {
	if in.Reason == "" {
		return s, nil, final(KnowledgeRefused, nil, "say why: the reason is what is left")
	}
	if s, err = postgres.SpaceByName(ctx, tx, in.Caller.WorkspaceID, in.Space); err != nil {
		return s, nil, err
	}
	if s.LegalHold {
		return s, nil, final(KnowledgeRefused, nil, "space "+s.Name+" is under legal hold: nothing in it is destroyed")
	}
	for before := 0; len(hashes) < maxExcised; {
		page, err := postgres.History(ctx, tx, s.ID, in.Slug, before, 1000)
		if err != nil {
			return s, nil, err
		}
		for _, r := range page {
			if before = r.Number; !r.Deleted() && !r.Gone && (len(in.Numbers) == 0 || slices.Contains(in.Numbers, r.Number)) {
				hashes = append(hashes, r.Hash)
			}
		}
		if len(page) < 1000 {
			break
		}
	}
	slices.Sort(hashes)
	if hashes = slices.Compact(hashes); len(hashes) == 0 {
		return s, nil, fmt.Errorf("texts of %s/%s: %w", in.Space, in.Slug, postgres.ErrNotFound)
	}
	return s, hashes, nil
}

// ExciseTexts destroys texts as the approver, who is another than who asked. Entries that are current with one of them are
// deleted first, whatever links to them.
func (k *Knowledge) ExciseTexts(ctx context.Context, in ExciseApproved) (*Excised, error) {
	out := &Excised{Deleted: []string{}}
	if in.Approver.UserID == in.Caller.UserID || in.Approver.WorkspaceID != in.Caller.WorkspaceID {
		return nil, final(Denied, nil, "who asks for an excision does not approve it: ask another reviewer of the space")
	}
	err := k.as(ctx, in.Approver, "excise "+in.Space+"/"+in.Slug, func(tx pgx.Tx) error {
		s, err := postgres.SpaceByName(ctx, tx, in.Approver.WorkspaceID, in.Space)
		if err != nil {
			return err
		}
		clock, err := postgres.LockClock(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		c, err := postgres.ChangeByID(ctx, tx, in.ChangeID)
		if err == nil && c.Ended() {
			return out.before(ctx, tx, s, c)
		}
		s, hashes, err := in.hashes(ctx, tx)
		if err != nil {
			return err
		}
		if err := in.deleteCurrent(ctx, tx, s, clock, hashes, out); err != nil {
			return err
		}
		out.Hashes, err = postgres.Excise(ctx, tx, s, hashes, postgres.Excision{
			Kind: postgres.ExciseLegal, Reason: in.Reason, RequestedBy: in.Caller.UserID, ApprovedBy: in.Approver.UserID,
			WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// deleteCurrent publishes a change set that deletes the entries that are current with the texts; it also tells that the
// excision was done.
func (in ExciseApproved) deleteCurrent(ctx context.Context, tx pgx.Tx, s postgres.Space, clock postgres.Clock, hashes []string, out *Excised) error {
	current, err := postgres.CurrentWith(ctx, tx, s.ID, hashes)
	if err != nil {
		return err
	}
	var slugs []string
	for slug := range current {
		slugs = append(slugs, slug)
	}
	slices.Sort(slugs)
	c := postgres.Change{
		ID: in.ChangeID, WorkspaceID: s.WorkspaceID, SpaceID: s.ID, Kind: postgres.KindExcise, State: postgres.ChangeApproved,
		Author: in.Approver.UserID, Reason: in.Reason, WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
	}
	var proposals []postgres.Proposal
	var revisions []postgres.NewRevision
	for i, slug := range slugs {
		p := postgres.Proposal{Seq: i, Slug: slug, Op: postgres.OpDelete, Base: current[slug].Number}
		proposals = append(proposals, p)
		revisions = append(revisions, postgres.NewRevision{Proposal: p, Head: current[slug], Parents: []int{current[slug].Number}})
	}
	if _, err := postgres.StageChange(ctx, tx, c, proposals, nil); err != nil {
		return err
	}
	_, err = postgres.Publish(ctx, tx, s, c, clock, revisions)
	out.Deleted = append(out.Deleted, slugs[:min(len(slugs), maxPublished)]...)
	return err
}

// before tells what was done already.
func (out *Excised) before(ctx context.Context, tx pgx.Tx, s postgres.Space, c postgres.Change) error {
	out.Already = true
	revisions, err := postgres.RevisionsOfChange(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	for _, r := range revisions[:min(len(revisions), maxPublished)] {
		out.Deleted = append(out.Deleted, r.Slug)
	}
	all, err := postgres.Excisions(ctx, tx, s.ID, 1000)
	for _, e := range all {
		if e.WorkflowID == c.WorkflowID {
			out.Hashes++
		}
	}
	return err
}

// RejectExcision checks that the caller may, and that is all: nothing has been changed.
func (k *Knowledge) RejectExcision(ctx context.Context, in ExciseApproved) error {
	return k.as(ctx, in.Approver, "reject an excision", func(tx pgx.Tx) error {
		s, err := postgres.SpaceByName(ctx, tx, in.Approver.WorkspaceID, in.Space)
		if err != nil {
			return err
		}
		role, err := postgres.SpaceRole(ctx, tx, s.ID)
		if err == nil && role != postgres.SpaceReviewer {
			err = postgres.ErrDenied
		}
		return err
	})
}
