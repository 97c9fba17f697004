package workers_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

func (s *stack) space(name string, approvals int) (out postgres.Space) {
	s.t.Helper()
	require.NoError(s.t, postgres.InWorkspace(context.Background(), s.db.Pool, s.caller, func(tx pgx.Tx) (err error) {
		out, err = postgres.CreateSpace(context.Background(), tx, postgres.Space{WorkspaceID: s.caller.WorkspaceID, Name: name, CreatedBy: s.caller.UserID, Approvals: approvals})
		return err
	}))
	return out
}

// propose stores a note as a draft and starts its workflow.
func (s *stack) propose(space postgres.Space, slug, body string, base int) (id string, change uuid.UUID) {
	s.t.Helper()
	change = uuid.New()
	require.NoError(s.t, postgres.InWorkspace(context.Background(), s.db.Pool, s.caller, func(tx pgx.Tx) error {
		b, err := postgres.BodyOf(knowledge.Document{Schema: "note", Title: "About " + slug, Body: body})
		if err != nil {
			return err
		}
		c := postgres.Change{ID: change, WorkspaceID: space.WorkspaceID, SpaceID: space.ID, Author: s.caller.UserID, Reason: "because"}
		_, err = postgres.StageChange(context.Background(), tx, c, []postgres.Proposal{{Slug: slug, Op: postgres.OpPut, Base: base, Hash: b.Hash}}, []postgres.Body{b})
		return err
	}))
	id, existed, err := workflows.StartChange(context.Background(), s.client, workflows.PublishChangeInput{Caller: s.caller, ChangeID: change}, "change "+slug)
	require.NoError(s.t, err)
	require.False(s.t, existed)
	return id, change
}

// ended waits for the end of a change set.
func (s *stack) ended(id, state string) {
	s.t.Helper()
	out, failed, err := workflows.ChangeResult(context.Background(), s.client, id, time.Minute)
	require.NoError(s.t, err)
	require.Nil(s.t, failed)
	require.NotNil(s.t, out)
	require.Equal(s.t, state, out.State, "%+v", out)
}

// waits waits until a change set waits for a person.
func (s *stack) waits(id, state string) {
	s.t.Helper()
	status, _, failed, err := workflows.WaitForChange(context.Background(), s.client, id, time.Minute)
	require.NoError(s.t, err)
	require.Nil(s.t, failed)
	require.Equal(s.t, state, status.State)
}

// TestRecordKnowledge runs the branches of the workflows of the knowledge base on a real server and keeps the histories for the
// replay test.
func TestRecordKnowledge(t *testing.T) {
	if !*record {
		t.Skip("histories are recorded with -record only: those that are there must go on replaying")
	}
	s := newStack(t)
	s.worker()
	ctx, reviewer := context.Background(), s.db.Member(t, s.caller.WorkspaceID, access.Reviewer)
	open, reviewed := s.space("open", 0), s.space("reviewed", 1)
	update := func(id, name string, in any) {
		t.Helper()
		_, failed, err := workflows.UpdateChange(ctx, s.client, id, name, in)
		require.NoError(t, err)
		require.Nil(t, failed)
	}
	id, _ := s.propose(open, "disk", "one\n", 0)
	s.ended(id, workflows.ChangePublished)
	s.save("change_published", id)
	id, _ = s.propose(open, "Not A Slug", "one\n", 0)
	s.ended(id, workflows.ChangeRejected)
	s.save("change_rejected_by_checks", id)

	id, _ = s.propose(reviewed, "disk", "one\n", 0)
	s.waits(id, workflows.ChangeInReview)
	update(id, workflows.UpdateApprove, workflows.ReviewChangeInput{Caller: reviewer, Note: "fine"})
	s.ended(id, workflows.ChangePublished)
	s.save("change_approved", id)
	id, _ = s.propose(reviewed, "net", "one\n", 0)
	s.waits(id, workflows.ChangeInReview)
	_, failed, err := workflows.UpdateChange(ctx, s.client, id, workflows.UpdateApprove, workflows.ReviewChangeInput{Caller: s.caller})
	require.NoError(t, err)
	require.Equal(t, activities.Denied, failed.Type)
	update(id, workflows.UpdateReject, workflows.ReviewChangeInput{Caller: reviewer, Note: "no"})
	s.ended(id, workflows.ChangeRejected)
	s.save("change_rejected", id)

	id, _ = s.propose(open, "disk", "two\n", 1)
	s.ended(id, workflows.ChangePublished)
	id, _ = s.propose(open, "disk", "three\n", 1)
	s.waits(id, workflows.ChangeConflicted)
	update(id, workflows.UpdateResolve, workflows.ResolveChangeInput{Caller: s.caller, Resolutions: []workflows.Resolution{{Choices: []workflows.Choice{{Path: "body:/1", Take: "ours"}}}}})
	s.ended(id, workflows.ChangePublished)
	s.save("change_resolved", id)
	id, _ = s.propose(open, "disk", "four\n", 1)
	s.waits(id, workflows.ChangeConflicted)
	update(id, workflows.UpdateWithdraw, workflows.ReviewChangeInput{Caller: s.caller})
	s.ended(id, workflows.ChangeWithdrawn)
	s.save("change_withdrawn", id)

	id, _, err = workflows.StartRestore(ctx, s.client, workflows.RestoreKnowledgeInput{ChangeRef: activities.ChangeRef{Caller: s.caller, ChangeID: uuid.New()}, Space: "open", Slug: "disk", Number: 1})
	require.NoError(t, err)
	s.ended(id, workflows.ChangePublished)
	s.save("restored", id)

	in := workflows.ImportKnowledgeInput{Caller: s.caller, Space: "open", Source: s.notes("open", 40)}
	id, _, _, err = workflows.StartImport(ctx, s.client, in)
	require.NoError(t, err)
	status, err := workflows.Wait(ctx, s.client, id, 100*time.Millisecond, nil)
	require.NoError(t, err)
	require.Equal(t, activities.StateCompleted, status.State, "%+v", status)
	require.Equal(t, 40, status.Imported.Published)
	s.save("imported", id)

	excision := workflows.ExciseInput{ExciseInput: activities.ExciseInput{Caller: s.caller, Space: "open", Slug: "disk", Reason: "asked to"}, ChangeID: uuid.New()}
	id, _, err = workflows.StartExcise(ctx, s.client, excision)
	require.NoError(t, err)
	eventually(t, "the excision waits", func() bool {
		out, failed, err := workflows.DecideExcise(ctx, s.client, id, workflows.UpdateApprove, workflows.ReviewChangeInput{Caller: reviewer})
		return err == nil && failed == nil && out.State == workflows.StateExcised
	})
	status, err = workflows.Wait(ctx, s.client, id, 100*time.Millisecond, nil)
	require.NoError(t, err)
	require.Equal(t, 3, status.Excised.Hashes)
	s.save("excised", id)

	require.NoError(t, workflows.ScheduleHousekeeping(ctx, s.client, workflows.HousekeepingInput{Caller: s.caller}, time.Hour))
	require.NoError(t, workflows.ScheduleHousekeeping(ctx, s.client, workflows.HousekeepingInput{Caller: s.caller}, 2*time.Hour), "again")
	id, _, err = workflows.StartHousekeeping(ctx, s.client, workflows.HousekeepingInput{Caller: s.caller})
	require.NoError(t, err)
	status, err = workflows.Wait(ctx, s.client, id, 100*time.Millisecond, nil)
	require.NoError(t, err)
	require.Equal(t, 2, status.Kept.Spaces, "%+v", status)
	s.save("housekeeping", id)
}

// notes puts n notes for a space into the bucket, as JSON lines; each links to the next.
func (s *stack) notes(space string, n int) workflows.SourceRef {
	s.t.Helper()
	var lines bytes.Buffer
	for i := range n {
		body := fmt.Sprintf("# Note %d\n\n", i)
		for j := range 20 {
			body += fmt.Sprintf("Step %x of %x is done by %x when %x.\n", i*7919+j, i*104729+j*31, i*1299709+j*17, (i+1)*15485863+j)
		}
		require.NoError(s.t, vault.WriteLine(&lines, vault.Entry{Slug: fmt.Sprintf("notes/n%d", i), Document: knowledge.Document{
			Schema: "note", Title: fmt.Sprintf("Note %d", i), Body: body, Links: []knowledge.Link{{Relation: "see", Target: fmt.Sprintf("%s/notes/n%d", space, (i+1)%n)}},
		}}))
	}
	o, err := s.bucket.PutBytes(context.Background(), lines.Bytes())
	require.NoError(s.t, err)
	return workflows.SourceRef{Name: "notes", ObjectKey: o.Key, SHA256: o.SHA256, Bytes: o.Size}
}
