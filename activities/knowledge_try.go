package activities

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/vet"
)

// TriedImport is what an import would do.
type TriedImport struct {
	Space     string         `json:"space"`
	New       bool           `json:"new_space,omitempty"` // it would be made
	Entries   int            `json:"entries"`
	Published int            `json:"published"` // would be
	Unchanged int            `json:"unchanged"`
	Waiting   int            `json:"waiting"` // for a person
	Refused   int            `json:"refused"`
	Warnings  int            `json:"warnings"` // in what would be published
	Findings  []TriedFinding `json:"findings"` // all that blocks or waits, then warnings, at most 1,000
}

// TriedFinding is a finding in an entry of an import.
type TriedFinding struct {
	Slug     string `json:"slug"`
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Path     string `json:"path,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	Fix      string `json:"fix,omitempty"`
}

// tryBatch is how many entries are checked at once, and maxTried how many findings are told.
const (
	tryBatch = 1000
	maxTried = 1000
)

// TryImport says what an import of the entries would do, and leaves nothing behind: all is stored and checked as an import does, in
// one transaction that is taken back. It waits for no other writer, so what is published meanwhile is not seen, nor are facts of
// entries more than tryBatch apart compared. With create the space may be missing. It is no activity.
func (k *Knowledge) TryImport(ctx context.Context, caller access.Caller, space string, create bool, entries []vault.Entry) (*TriedImport, error) {
	out := &TriedImport{Space: space, Entries: len(entries), Findings: []TriedFinding{}}
	err := postgres.InWorkspace(ctx, k.Pool, caller, func(tx pgx.Tx) error {
		s, err := postgres.SpaceByName(ctx, tx, caller.WorkspaceID, space)
		if errors.Is(err, postgres.ErrNotFound) && create {
			out.New = true
			s, err = postgres.CreateSpace(ctx, tx, postgres.Space{WorkspaceID: caller.WorkspaceID, Name: space, CreatedBy: caller.UserID})
		}
		if err != nil {
			return err
		}
		if err := out.try(ctx, tx, k.Checker, s, caller, entries); err != nil {
			return err
		}
		return errDry
	})
	if !errors.Is(err, errDry) {
		return nil, err
	}
	order := map[string]int{severityBlock: 0, severityQuarantine: 1, severityWarn: 2}
	slices.SortStableFunc(out.Findings, func(a, b TriedFinding) int { return order[a.Severity] - order[b.Severity] })
	out.Findings = out.Findings[:min(len(out.Findings), maxTried)]
	return out, nil
}

func (out *TriedImport) try(ctx context.Context, tx pgx.Tx, checker *vet.Checker, s postgres.Space, caller access.Caller, entries []vault.Entry) error {
	workflow := "import/dry/" + uuid.NewString() // by which links between the entries are found
	var staged []postgres.Change
	for part := range slices.Chunk(entries, tryBatch) {
		c := postgres.Change{ID: uuid.New(), WorkspaceID: s.WorkspaceID, SpaceID: s.ID, Kind: postgres.KindImport, Author: caller.UserID, WorkflowID: workflow, Round: 1}
		proposals, bodies, err := proposed(ctx, tx, s.ID, part)
		if err != nil {
			return err
		}
		if _, err := postgres.StageChange(ctx, tx, c, proposals, bodies); err != nil {
			return err
		}
		staged = append(staged, c)
	}
	for _, c := range staged {
		proposals, err := postgres.Proposals(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		found, err := checker.Check(ctx, tx, vet.Request{Space: s, Caller: caller, Import: workflow, Proposals: proposals}, time.Now().UTC())
		if err != nil {
			return err
		}
		b := &batch{space: s}
		b.sort(proposals, found)
		if err := out.count(ctx, tx, b, proposals); err != nil {
			return err
		}
	}
	return nil
}

// count adds what would become of a batch.
func (out *TriedImport) count(ctx context.Context, tx pgx.Tx, b *batch, proposals []postgres.Proposal) error {
	var slugs []string
	for _, p := range proposals {
		slugs = append(slugs, p.Slug)
	}
	heads, err := postgres.Heads(ctx, tx, b.space.ID, slugs)
	if err != nil {
		return err
	}
	out.Refused, out.Waiting = out.Refused+len(b.refused), out.Waiting+len(b.waiting)
	for _, p := range b.clean {
		if heads[p.Slug].Hash == p.Hash {
			out.Unchanged++
		} else {
			out.Published++
		}
		out.Warnings += len(b.found[p.Seq])
	}
	for _, p := range proposals {
		for _, f := range b.found[p.Seq] {
			out.Findings = append(out.Findings, TriedFinding{p.Slug, f.Check, f.Severity, f.Path, clip(f.Evidence, maxEvidence), f.Fix})
		}
	}
	return nil
}

// proposed makes proposals and documents of entries, on what is current.
func proposed(ctx context.Context, tx pgx.Tx, space uuid.UUID, entries []vault.Entry) (proposals []postgres.Proposal, bodies []postgres.Body, err error) {
	var slugs []string
	for _, e := range entries {
		body, err := postgres.BodyOf(e.Document)
		if err != nil {
			return nil, nil, final(KnowledgeRefused, err, "entry "+e.Slug)
		}
		slugs, bodies = append(slugs, e.Slug), append(bodies, body)
	}
	heads, err := postgres.Heads(ctx, tx, space, slugs)
	if err != nil {
		return nil, nil, err
	}
	for i, slug := range slugs {
		proposals = append(proposals, postgres.Proposal{Seq: i, Slug: slug, Op: postgres.OpPut, Base: heads[slug].Number, Hash: bodies[i].Hash})
	}
	return proposals, bodies, nil
}
