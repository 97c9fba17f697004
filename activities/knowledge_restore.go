package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/postgres"
)

// RestoreInput asks for what was there before: give one of Slug with Number, Change, Tag, or At.
type RestoreInput struct {
	ChangeRef           // the change set to make
	Space     string    `json:"space"`
	Slug      string    `json:"slug,omitempty"`   // of the entry to bring back to revision Number
	Number    int       `json:"number,omitempty"` //
	Change    uuid.UUID `json:"change,omitzero"`  // take this change set back, and keep what was published since
	Tag       string    `json:"tag,omitempty"`    // bring the entries back to what the tag names
	At        time.Time `json:"at,omitzero"`      // bring the entries back to what was recorded then
	Prefix    string    `json:"prefix,omitempty"` // with Tag and At: of the slugs of entries
	Reason    string    `json:"reason,omitempty"`
}

// StageRestore stores a change set that restores. What is as it was has no part in it.
func (k *Knowledge) StageRestore(ctx context.Context, in RestoreInput) error {
	return k.as(ctx, in.Caller, "restore in space "+in.Space, func(tx pgx.Tx) error {
		s, err := postgres.SpaceByName(ctx, tx, in.Caller.WorkspaceID, in.Space)
		if err != nil {
			return err
		}
		proposals, err := in.proposals(ctx, tx, s)
		if err != nil {
			return err
		}
		if len(proposals) > postgres.MaxProposals {
			return final(KnowledgeRefused, nil, fmt.Sprintf("%d entries would change, and a change set has at most %d: restore folder by folder, with a prefix", len(proposals), postgres.MaxProposals))
		}
		c := postgres.Change{
			ID: in.ChangeID, WorkspaceID: s.WorkspaceID, SpaceID: s.ID, Kind: postgres.KindRestore, Author: in.Caller.UserID, Reason: in.Reason,
			WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
		}
		_, err = postgres.StageChange(ctx, tx, c, proposals, nil)
		return err
	})
}

func (in RestoreInput) proposals(ctx context.Context, tx pgx.Tx, s postgres.Space) ([]postgres.Proposal, error) {
	asked := 0
	for _, given := range []bool{in.Slug != "" && in.Number > 0, in.Change != uuid.Nil, in.Tag != "", !in.At.IsZero()} {
		if given {
			asked++
		}
	}
	if asked != 1 {
		return nil, final(KnowledgeRefused, nil, "give the number of a revision with its entry, or a change set, or a tag, or a time")
	}
	switch {
	case in.Slug != "":
		r, err := postgres.RevisionOf(ctx, tx, s.ID, in.Slug, in.Number)
		if err != nil {
			return nil, err
		}
		return backTo(ctx, tx, s, []postgres.Revision{r}, nil)
	case in.Change != uuid.Nil:
		return takeBack(ctx, tx, s, in.Change)
	}
	var then []postgres.Revision
	var err error
	if in.Tag != "" {
		then, err = postgres.TagEntries(ctx, tx, s.ID, in.Tag, in.Prefix)
	} else {
		then, err = allEntries(ctx, tx, s, in.Prefix, postgres.Moment{Recorded: in.At})
	}
	if err != nil {
		return nil, err
	}
	now, err := allEntries(ctx, tx, s, in.Prefix, postgres.Moment{})
	if err != nil {
		return nil, err
	}
	return backTo(ctx, tx, s, then, now)
}

func allEntries(ctx context.Context, tx pgx.Tx, s postgres.Space, prefix string, when postgres.Moment) (all []postgres.Revision, err error) {
	for after := ""; ; {
		var page []postgres.Revision
		page, after, err = postgres.Entries(ctx, tx, postgres.ListEntries{Space: s.ID, Prefix: prefix, When: when, Limit: 1000, After: after})
		if all = append(all, page...); err != nil || after == "" {
			return all, err
		}
	}
}

// backTo proposes the revisions again, each as the heads are now, and to delete those of now that were not there then.
func backTo(ctx context.Context, tx pgx.Tx, s postgres.Space, then, now []postgres.Revision) (out []postgres.Proposal, err error) {
	var slugs []string
	for _, r := range append(then, now...) {
		slugs = append(slugs, r.Slug)
	}
	heads, err := postgres.Heads(ctx, tx, s.ID, slugs)
	if err != nil {
		return nil, err
	}
	was := map[string]bool{}
	for _, r := range then {
		was[r.Slug] = true
		if head := heads[r.Slug]; head.Hash != r.Hash {
			if r.Gone {
				return nil, final(KnowledgeRefused, nil, fmt.Sprintf("the text of revision %d of %s was destroyed", r.Number, r.Address()))
			}
			out = append(out, postgres.Proposal{Slug: r.Slug, Op: opOf(r.Hash), Base: head.Number, Hash: r.Hash, Reverts: r.Number, ValidFrom: r.ValidFrom, ValidTo: r.ValidTo})
		}
	}
	for _, r := range now {
		if !was[r.Slug] {
			out = append(out, postgres.Proposal{Slug: r.Slug, Op: postgres.OpDelete, Base: r.Number})
		}
	}
	if len(out) == 0 {
		return nil, final(KnowledgeRefused, nil, "everything is as it was then: there is nothing to restore")
	}
	return out, nil
}

func opOf(hash string) string {
	if hash == "" {
		return postgres.OpDelete
	}
	return postgres.OpPut
}

// takeBack proposes what each entry was before a change set, based on what the change set made of it: what was published
// since is merged with it, or conflicts.
func takeBack(ctx context.Context, tx pgx.Tx, s postgres.Space, change uuid.UUID) (out []postgres.Proposal, err error) {
	made, err := postgres.RevisionsOfChange(ctx, tx, change)
	if err != nil {
		return nil, err
	}
	for _, r := range made {
		if r.SpaceID != s.ID {
			return nil, final(KnowledgeMissing, nil, fmt.Sprintf("change set %s is not of space %s", change, s.Name))
		}
		p := postgres.Proposal{Slug: r.Slug, Op: postgres.OpDelete, Base: r.Number, Reverts: r.Number}
		if r.Number > 1 {
			before, err := postgres.RevisionOf(ctx, tx, s.ID, r.Slug, r.Number-1)
			if err != nil {
				return nil, err
			}
			if before.Gone {
				return nil, final(KnowledgeRefused, nil, fmt.Sprintf("the text of revision %d of %s was destroyed", before.Number, before.Address()))
			}
			p.Op, p.Hash, p.ValidFrom, p.ValidTo = opOf(before.Hash), before.Hash, before.ValidFrom, before.ValidTo
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, final(KnowledgeMissing, nil, fmt.Sprintf("change set %s published nothing that you can see", change))
	}
	return out, nil
}
