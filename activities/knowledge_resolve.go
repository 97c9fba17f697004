package activities

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/knowledge/merge"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// resolveOne makes a proposal what a person decided. All conflicts of a proposal are resolved together, against the
// revision that it met; what was published since is met when the change set is published.
func resolveOne(ctx context.Context, tx pgx.Tx, s postgres.Space, c postgres.Change, by uuid.UUID, r Resolution) error {
	met, p, err := postgres.OpenConflicts(ctx, tx, c.ID, r.Seq)
	if err != nil {
		return err
	}
	take := postgres.TakeDocument
	switch {
	case len(r.Choices) > 0 && r.Hash == "" && !r.Delete:
		take = ""
		choices := make([]merge.Choice, len(r.Choices))
		for i, choice := range r.Choices {
			choices[i] = merge.Choice{Path: choice.Path, Take: choice.Take}
		}
		d, err := postgres.ResolveProposal(ctx, tx, s.ID, p, met[0].Onto, choices)
		if err != nil {
			return final(KnowledgeRefused, err, "nothing was changed")
		}
		body, err := become(&p, met[0].Onto, d)
		if err == nil && body.Hash != "" {
			err = postgres.SaveBodies(ctx, tx, s.WorkspaceID, s.ID, []postgres.Body{body})
		}
		if err != nil {
			return err
		}
	case r.Delete && r.Hash == "" && len(r.Choices) == 0:
		p.Op, p.Hash, p.MergedHash, p.MergedOnto = postgres.OpDelete, "", "", met[0].Onto
	case r.Hash != "" && !r.Delete && len(r.Choices) == 0:
		if p.Op == postgres.OpDelete {
			p.Op, p.Hash = postgres.OpPut, r.Hash
		}
		p.MergedHash, p.MergedOnto = r.Hash, met[0].Onto
	default:
		return final(KnowledgeRefused, nil, fmt.Sprintf("proposal %d: give choices, or a document, or delete", r.Seq))
	}
	if err := postgres.SaveMerge(ctx, tx, c.ID, p); err != nil {
		return err
	}
	for _, conflict := range met {
		chosen := take
		for _, choice := range r.Choices {
			if choice.Path == conflict.Path {
				chosen = choice.Take
			}
		}
		if err := postgres.ResolveConflict(ctx, tx, c.ID, conflict, chosen, by); err != nil {
			return err
		}
	}
	return nil
}
