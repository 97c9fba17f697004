package activities

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// SpacesInput asks for the spaces that a caller keeps in order.
type SpacesInput struct {
	Caller access.Caller `json:"caller"`
	Space  string        `json:"space,omitempty"` // one of them; "" is all
}

// KeptSpace is a space to be kept in order.
type KeptSpace struct {
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
}

// ListSpaces returns the spaces in which the caller is a reviewer.
func (k *Knowledge) ListSpaces(ctx context.Context, in SpacesInput) (out []KeptSpace, err error) {
	err = k.as(ctx, in.Caller, "list spaces", func(tx pgx.Tx) error {
		all, err := postgres.Spaces(ctx, tx, in.Caller.WorkspaceID)
		if err != nil {
			return err
		}
		for _, s := range all {
			role, err := postgres.SpaceRole(ctx, tx, s.ID)
			if err != nil {
				return err
			}
			if role == postgres.SpaceReviewer && (in.Space == "" || in.Space == s.Name) {
				out = append(out, KeptSpace{s.ID, s.Name})
			}
		}
		return nil
	})
	return out, err
}

// HousekeepInput asks for a space to be kept in order.
type HousekeepInput struct {
	Caller  access.Caller `json:"caller"`
	SpaceID uuid.UUID     `json:"space_id"`
	Now     time.Time     `json:"now"`
	DryRun  bool          `json:"dry_run,omitempty"`
	Before  *Housekept    `json:"before,omitempty"` // what earlier steps of the run did
}

// Housekept is what was done in a space, or would be.
type Housekept struct {
	Space   string               `json:"space"`
	Due     []string             `json:"due"`     // entries that became due for review, at most 100
	Expired int                  `json:"expired"` // drafts that nothing took up
	Retired int                  `json:"retired"` // texts past their retention that were destroyed
	Orphans int                  `json:"orphans"` // texts that nothing needs
	Served  int                  `json:"served"`  // texts served that are forgotten
	Broken  []postgres.Reference `json:"broken"`  // links that lead nowhere, at most 50
	Held    bool                 `json:"held"`    // legal hold: no text was destroyed
	More    bool                 `json:"more"`    // there is more to do than one step does
}

// What one step does at most, and how long things are kept that nothing needs.
const (
	maxDue      = 100
	maxDestroy  = 1000
	keepOrphans = 7 * 24 * time.Hour
	keepServed  = 30 * 24 * time.Hour
	keepDrafts  = 24 * time.Hour
)

// errDry ends the transaction of a dry run; it does not leave the activity.
var errDry = errors.New(dryRun)

const dryRun = "dry run"

// Housekeep does one step of what a space needs, in one transaction; a dry run takes it back. Called again it goes on.
func (k *Knowledge) Housekeep(ctx context.Context, in HousekeepInput) (*Housekept, error) {
	var alive progress
	defer alive.beating(ctx)()
	out := &Housekept{}
	err := k.as(ctx, in.Caller, "keep a space in order", func(tx pgx.Tx) error {
		s, err := postgres.SpaceByID(ctx, tx, in.SpaceID)
		if err != nil {
			return err
		}
		if _, err := postgres.LockClock(ctx, tx, s.ID); err != nil { // what is to go is not published meanwhile
			return err
		}
		if err := out.keep(ctx, tx, s, in); err != nil {
			return err
		}
		out.add(in.Before)
		if in.DryRun {
			return final(dryRun, errDry, "nothing was changed")
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDry) {
		return nil, err
	}
	info := activity.GetInfo(ctx)
	err = k.as(ctx, in.Caller, "store the report", func(tx pgx.Tx) error {
		s, err := postgres.SpaceByID(ctx, tx, in.SpaceID)
		if err == nil {
			err = postgres.SaveReport(ctx, tx, s, postgres.ReportHousekeeping, info.WorkflowExecution.ID, info.WorkflowExecution.RunID, in.DryRun, out)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// add counts in what earlier steps did.
func (out *Housekept) add(b *Housekept) {
	if b == nil {
		return
	}
	out.Due = append(b.Due, out.Due...)
	out.Due = out.Due[:min(len(out.Due), maxDue)]
	out.Expired, out.Retired, out.Orphans, out.Served = out.Expired+b.Expired, out.Retired+b.Retired, out.Orphans+b.Orphans, out.Served+b.Served
}

func (out *Housekept) keep(ctx context.Context, tx pgx.Tx, s postgres.Space, in HousekeepInput) (err error) {
	out.Space, out.Held = s.Name, s.LegalHold
	if out.Due, err = postgres.MarkDue(ctx, tx, s, in.Now, maxDue); err != nil {
		return err
	}
	if len(out.Due) > 0 {
		event := postgres.KnowledgeChange{State: postgres.StateDue, Waiting: true}
		if err = postgres.AppendOutbox(ctx, tx, s.WorkspaceID, postgres.TopicKnowledge, s.ID.String(), event); err != nil {
			return err
		}
	}
	if out.Expired, err = postgres.ExpireDrafts(ctx, tx, s.ID, in.Now.Add(-keepDrafts)); err != nil {
		return err
	}
	gone, err := postgres.Retirable(ctx, tx, s, in.Now, maxDestroy)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		out.Retired, err = postgres.Excise(ctx, tx, s, gone, postgres.Excision{
			Kind: postgres.ExciseRetention, Reason: "past the retention of the space", RequestedBy: in.Caller.UserID, ApprovedBy: in.Caller.UserID,
			WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
		})
		if err != nil {
			return err
		}
	}
	if out.Orphans, err = postgres.SweepBodies(ctx, tx, s, in.Now.Add(-keepOrphans), maxDestroy); err != nil {
		return err
	}
	if out.Served, err = postgres.TrimServed(ctx, tx, s.ID, in.Now.Add(-keepServed)); err != nil {
		return err
	}
	out.More = len(out.Due) == maxDue || len(gone) == maxDestroy || out.Orphans == maxDestroy
	out.Broken, err = postgres.BrokenLinks(ctx, tx, s, 50)
	return err
}
