package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/postgres"
)

// What workflows pass on from the database.
type (
	PublishedEntry = postgres.PublishedEntry
	Finding        = postgres.Finding
)

// The decisions of reviewers.
const (
	Approve = postgres.Approve
	Reject  = postgres.Reject
)

// Proposal is the change of one entry. Its document is stored beforehand.
type Proposal struct {
	Slug      string     `json:"slug"`
	Op        string     `json:"op"` // put or delete
	Base      int        `json:"base"`
	Hash      string     `json:"hash,omitempty"`
	ValidFrom *time.Time `json:"valid_from,omitempty"`
	ValidTo   *time.Time `json:"valid_to,omitempty"`
	Reverts   int        `json:"reverts,omitempty"`
}

// AmendInput puts other proposals in the place of those of a round.
type AmendInput struct {
	ChangeRef
	Round     int        `json:"round"`
	Proposals []Proposal `json:"proposals"`
}

// AmendChange replaces the proposals of a change set as its author, and begins its next round. When the round has passed
// already, it was done before.
func (k *Knowledge) AmendChange(ctx context.Context, in AmendInput) error {
	return k.as(ctx, in.Caller, "amend change set "+in.ChangeID.String(), func(tx pgx.Tx) error {
		c, _, err := open(ctx, tx, in.ChangeRef)
		if err != nil || c.Round > in.Round {
			return err
		}
		if c.Author != in.Caller.UserID {
			return final(Denied, nil, "only its author amends a change set; reject it and say what is missing")
		}
		if len(in.Proposals) == 0 || len(in.Proposals) > postgres.MaxProposals {
			return final(KnowledgeRefused, nil, fmt.Sprintf("give 1 to %d proposals", postgres.MaxProposals))
		}
		var proposals []postgres.Proposal
		for _, p := range in.Proposals {
			proposals = append(proposals, postgres.Proposal{Slug: p.Slug, Op: p.Op, Base: p.Base, Hash: p.Hash, ValidFrom: p.ValidFrom, ValidTo: p.ValidTo, Reverts: p.Reverts})
		}
		return postgres.AmendChange(ctx, tx, c, proposals)
	})
}

// WithdrawChange ends a change set as its author wishes.
func (k *Knowledge) WithdrawChange(ctx context.Context, in MarkChangeInput) error {
	return k.as(ctx, in.Caller, "withdraw change set "+in.ChangeID.String(), func(tx pgx.Tx) error {
		c, _, err := open(ctx, tx, in.ChangeRef)
		switch {
		case err != nil || c.Ended():
			return err
		case c.Author != in.Caller.UserID:
			return final(Denied, nil, "only its author withdraws a change set; a reviewer rejects it")
		}
		return markChange(ctx, tx, c, postgres.ChangeWithdrawn, in.Why, false)
	})
}

// Choice says which side of a conflict is taken.
type Choice struct {
	Path string `json:"path"`
	Take string `json:"take"` // base, ours or theirs
}

// Resolution says what becomes of a proposal with conflicts: a side for each, or a document that was stored beforehand.
type Resolution struct {
	Seq     int      `json:"seq"` // of the proposal
	Choices []Choice `json:"choices,omitempty"`
	Hash    string   `json:"hash,omitempty"`
	Delete  bool     `json:"delete,omitempty"` // the entry goes
}

// ResolveInput resolves conflicts of a round.
type ResolveInput struct {
	ChangeRef
	Round       int          `json:"round"`
	Resolutions []Resolution `json:"resolutions"`
}

// Resolved says how many conflicts are left.
type Resolved struct {
	Open int `json:"open"`
}

// ResolveConflicts resolves conflicts. When none is left, the next round begins. When the round has passed already, it was
// done before.
func (k *Knowledge) ResolveConflicts(ctx context.Context, in ResolveInput) (*Resolved, error) {
	out := &Resolved{}
	err := k.as(ctx, in.Caller, "resolve conflicts of change set "+in.ChangeID.String(), func(tx pgx.Tx) error {
		c, s, err := open(ctx, tx, in.ChangeRef)
		if err != nil || c.Round > in.Round {
			return err
		}
		for _, r := range in.Resolutions {
			if err := resolveOne(ctx, tx, s, c, in.Caller.UserID, r); err != nil {
				return err
			}
		}
		left, err := postgres.Conflicts(ctx, tx, c.ID, true)
		if err != nil || len(left) > 0 {
			out.Open = len(left)
			return err
		}
		return postgres.NextRound(ctx, tx, c.ID)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
