package testdb

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Space makes a space of the knowledge base.
func (d *DB) Space(t testing.TB, caller access.Caller, name string, change ...func(*postgres.Space)) (s postgres.Space) {
	t.Helper()
	s = postgres.Space{WorkspaceID: caller.WorkspaceID, Name: name, CreatedBy: caller.UserID}
	for _, fn := range change {
		fn(&s)
	}
	err := postgres.InWorkspace(t.Context(), d.Pool, caller, func(tx pgx.Tx) (err error) {
		s, err = postgres.CreateSpace(t.Context(), tx, s)
		return err
	})
	require.NoError(t, err)
	return s
}

// Publish publishes a document as the next revision of an entry, or its deletion with nil, without validation and review. It
// returns the revision that the space has then.
func (d *DB) Publish(t testing.TB, caller access.Caller, s postgres.Space, slug string, doc *knowledge.Document) (revision int64) {
	t.Helper()
	ctx := t.Context()
	err := postgres.InWorkspace(ctx, d.Pool, caller, func(tx pgx.Tx) error {
		clock, err := postgres.LockClock(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		heads, err := postgres.LockHeads(ctx, tx, s.ID, []string{slug})
		if err != nil {
			return err
		}
		r := postgres.NewRevision{Head: heads[slug], Proposal: postgres.Proposal{Slug: slug, Op: postgres.OpDelete, Base: heads[slug].Number}}
		if r.Head.Number > 0 {
			r.Parents = []int{r.Head.Number}
		}
		var bodies []postgres.Body
		if doc != nil {
			body, err := postgres.BodyOf(*doc)
			if err != nil {
				return err
			}
			bodies = append(bodies, body)
			r.Proposal.Op, r.Proposal.Hash, r.Links = postgres.OpPut, body.Hash, doc.Links
		}
		c := postgres.Change{ID: uuid.New(), WorkspaceID: s.WorkspaceID, SpaceID: s.ID, Author: caller.UserID, Reason: "test", WorkflowID: "test"}
		if _, err := postgres.StageChange(ctx, tx, c, []postgres.Proposal{r.Proposal}, bodies); err != nil {
			return err
		}
		if err := postgres.SetChangeState(ctx, tx, c.ID, postgres.ChangeApproved, ""); err != nil {
			return err
		}
		revision = clock.Revision
		_, err = postgres.Publish(ctx, tx, s, c, clock, []postgres.NewRevision{r})
		return err
	})
	require.NoError(t, err)
	return revision
}
