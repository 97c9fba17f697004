package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
)

func (a *app) knowledgeAmend() *cobra.Command {
	var w writing
	var dry bool
	c := &cobra.Command{
		Use:   "amend CHANGE ENTRY",
		Short: "Propose something else for an entry of a change set that waits, as its author",
		Long: "Propose something else for an entry of a change set that waits, as its author. The body is Markdown from --file or stdin. What the\n" +
			"change set says of other entries stays; approvals of what it said before do not count any more.",
		Example: "  tartan knowledge amend 1f0c... ops/disk-full --file disk-full.md",
		Args:    exactly(2, "a change set and an entry"),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := a.proposal(args[1], w)
			if err != nil {
				return err
			}
			drafts, err := a.amended(c.Context(), args[0], args[1], in["changes"].([]any)[0].(arguments))
			if err != nil {
				return err
			}
			if dry {
				return a.verdict(c.Context(), args[1], arguments{"changes": drafts})
			}
			var out tools.Change
			if err := a.knows(c.Context(), "review_change", arguments{"change": args[0], "action": "amend", "changes": drafts}, &out); err != nil {
				return err
			}
			return a.printChange(out)
		},
	}
	w.flags(c)
	c.Flags().BoolVar(&dry, "dry-run", false, "say what validation would say, and change nothing")
	return c
}

// amended is what a change set says, with one entry as the draft has it.
func (a *app) amended(ctx context.Context, text, entry string, draft arguments) (drafts []any, err error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, usage("%q is no id of a change set", text)
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return nil, err
	}
	found := false
	err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		c, err := postgres.ChangeByID(ctx, tx, id)
		if err != nil {
			return notFound(err, "change set "+text, "tartan knowledge review")
		}
		s, err := postgres.SpaceByID(ctx, tx, c.SpaceID)
		if err != nil {
			return err
		}
		proposals, err := postgres.Proposals(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, p := range proposals {
			d := draft
			if address := s.Name + "/" + p.Slug; address == entry {
				found = true
			} else if d, err = a.draftAs(ctx, tx, s, address, p); err != nil {
				return err
			}
			d["base"] = p.Base
			if p.ValidFrom != nil {
				d["valid_from"] = p.ValidFrom
			}
			if p.ValidTo != nil {
				d["valid_to"] = p.ValidTo
			}
			drafts = append(drafts, d)
		}
		return nil
	})
	if err == nil && !found {
		err = &failure{code: codeNotFound, what: fmt.Sprintf("change set %s says nothing of %s", text, entry), next: "tartan knowledge review " + text}
	}
	return drafts, err
}

// draftAs is a proposal as it is.
func (a *app) draftAs(ctx context.Context, tx pgx.Tx, s postgres.Space, address string, p postgres.Proposal) (arguments, error) {
	if p.Op == postgres.OpDelete {
		return arguments{"entry": address, "delete": true}, nil
	}
	text, err := postgres.BodyText(ctx, tx, s.ID, p.Hash)
	if err != nil {
		return nil, err
	}
	d, err := knowledge.Parse([]byte(text))
	return draftOf(address, d), err
}
