package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// note makes the body of a note.
func note(t testing.TB, title, body string, links ...knowledge.Link) postgres.Body {
	t.Helper()
	b, err := postgres.BodyOf(knowledge.Document{Schema: "note", Title: title, Body: body, Links: links})
	require.NoError(t, err)
	return b
}

// publish publishes a change set of proposals that go on from the heads, with facts and links by slug.
func publish(t testing.TB, tx pgx.Tx, s postgres.Space, author uuid.UUID, proposals []postgres.Proposal, bodies []postgres.Body, facts map[string][]postgres.Fact) ([]postgres.PublishedEntry, error) {
	t.Helper()
	ctx, c := t.Context(), postgres.Change{ID: uuid.New(), WorkspaceID: s.WorkspaceID, SpaceID: s.ID, Author: author, State: postgres.ChangeApproved, WorkflowID: "change/test"}
	if _, err := postgres.StageChange(ctx, tx, c, proposals, bodies); err != nil {
		return nil, err
	}
	clock, err := postgres.LockClock(ctx, tx, s.ID)
	if err != nil {
		return nil, err
	}
	var slugs []string
	texts := map[string]postgres.Body{}
	for _, b := range bodies {
		texts[b.Hash] = b
	}
	for _, p := range proposals {
		slugs = append(slugs, p.Slug)
	}
	heads, err := postgres.LockHeads(ctx, tx, s.ID, slugs)
	if err != nil {
		return nil, err
	}
	var revisions []postgres.NewRevision
	for i, p := range proposals {
		p.Seq = i
		r := postgres.NewRevision{Proposal: p, Head: heads[p.Slug], Facts: facts[p.Slug]}
		if r.Head.Number > 0 {
			r.Parents = []int{r.Head.Number}
		}
		if b, ok := texts[p.Hash]; ok {
			d, err := knowledge.Parse([]byte(b.Text))
			require.NoError(t, err)
			r.Links = d.Links
		}
		revisions = append(revisions, r)
	}
	return postgres.Publish(ctx, tx, s, c, clock, revisions)
}

// fillSpace leaves rows in every table of knowledge.
func fillSpace(t testing.TB, db *testdb.DB, caller access.Caller, s postgres.Space) postgres.Space {
	t.Helper()
	ctx := t.Context()
	s.WorkspaceID, s.CreatedBy, s.SelfReview = caller.WorkspaceID, caller.UserID, true
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) (err error) {
		if s, err = postgres.CreateSpace(ctx, tx, s); err != nil {
			return err
		}
		require.NoError(t, postgres.SaveSpaceMember(ctx, tx, s, caller.UserID, postgres.SpaceReviewer))
		first, second := note(t, "Disks", "old"), note(t, "Disks", "new", knowledge.Link{Relation: "explains", Target: "pattern:app/p1"}, knowledge.Link{Relation: "see", Target: s.Name + "/net"})
		net := note(t, "Net", "net")
		_, err = publish(t, tx, s, caller.UserID, []postgres.Proposal{{Slug: "disk", Op: postgres.OpPut, Hash: first.Hash}, {Slug: "net", Op: postgres.OpPut, Hash: net.Hash}}, []postgres.Body{first, net}, nil)
		require.NoError(t, err)
		entries, err := publish(t, tx, s, caller.UserID, []postgres.Proposal{{Slug: "disk", Op: postgres.OpPut, Base: 1, Hash: second.Hash}}, []postgres.Body{second},
			map[string][]postgres.Fact{"disk": {{Subject: "disk", Predicate: "size", Value: "9"}}})
		require.NoError(t, err)
		_, err = postgres.CreateTag(ctx, tx, s, "v1", "first", caller.UserID)
		require.NoError(t, err)

		n, err := postgres.IndexKnowledge(ctx, tx, s.WorkspaceID, s.ID, 10)
		require.NoError(t, err)
		require.Zero(t, n, "what is published is cut into terms with it")
		draft := postgres.Change{ID: uuid.New(), WorkspaceID: s.WorkspaceID, SpaceID: s.ID, Author: caller.UserID}
		other := note(t, "Disks", "other")
		fresh, err := postgres.StageChange(ctx, tx, draft, []postgres.Proposal{{Slug: "disk", Op: postgres.OpPut, Base: 1, Hash: other.Hash}}, []postgres.Body{other})
		require.NoError(t, err)
		require.True(t, fresh)
		draft.Round = 1
		require.NoError(t, postgres.SaveValidation(ctx, tx, draft, "change/open", true, []postgres.Finding{{Check: "size", Version: 1, Severity: "warn", Evidence: "big"}}))
		require.NoError(t, postgres.SaveConflicts(ctx, tx, draft, []postgres.Conflict{{Onto: 2, Path: "body:/1", Base: "old", Ours: "other", Theirs: "new"}}))
		n, err = postgres.SaveReview(ctx, tx, s, draft, postgres.Review{Reviewer: caller.UserID, Decision: postgres.Approve})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, postgres.SaveServed(ctx, tx, s.WorkspaceID, s.ID, []postgres.Served{{TextHash: second.Hash, EntryID: entries[0].EntryID, Number: 2, Prints: []int64{4, 5}}}))
		n, err = postgres.SaveAttachments(ctx, tx, s, caller.UserID, "import/x", []postgres.Attachment{{Path: "a.png", SHA256: second.Hash, Bytes: 9}})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		gone, err := postgres.Excise(ctx, tx, s, []string{first.Hash}, postgres.Excision{Kind: postgres.ExciseRetention, Reason: "old", RequestedBy: caller.UserID, ApprovedBy: caller.UserID})
		require.NoError(t, err)
		require.Equal(t, 1, gone)
		return postgres.SaveReport(ctx, tx, s, postgres.ReportHousekeeping, "housekeeping/x", "run", true, map[string]int{"due": time.Now().Second()})
	}))
	require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error {
		r, err := postgres.EntryAt(ctx, tx, s.ID, "disk", postgres.Moment{})
		require.NoError(t, err)
		require.NoError(t, postgres.SaveVectors(ctx, tx, s.WorkspaceID, s.ID, "model:x", map[string][]float32{r.Hash: {.5, -1}, "gone": {1, 2}}))
		got, err := postgres.VectorsOf(ctx, tx, s.ID, "model:x", []string{r.Hash, "gone"})
		require.NoError(t, err)
		require.Equal(t, map[string][]float32{r.Hash: {.5, -1}}, got)
		dim, err := postgres.VectorDim(ctx, tx, s.WorkspaceID, "model:x")
		require.Equal(t, 2, dim)
		return err
	}))
	return s
}
