package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/vet"
	"github.com/tartan-ai/tartan/workflows"
)

// base is a space of knowledge with what is needed to change it through workflows.
type base struct {
	*world
	space     postgres.Space
	knowledge *activities.Knowledge
}

func (w *world) base(s postgres.Space) *base {
	w.t.Helper()
	s.WorkspaceID, s.CreatedBy = w.caller.WorkspaceID, w.caller.UserID
	if s.Name == "" {
		s.Name = "ops"
	}
	b := &base{world: w, knowledge: &activities.Knowledge{Pool: w.db.Pool, Bucket: w.bucket, Checker: vet.New(w.bucket)}}
	w.as(func(tx pgx.Tx) (err error) {
		b.space, err = postgres.CreateSpace(context.Background(), tx, s)
		return err
	})
	return b
}

// put is the proposal of a note.
type put struct {
	slug, body string
	base       int
	title      string
	links      []knowledge.Link
}

func (p put) document() knowledge.Document {
	d := knowledge.Document{Schema: "note", Title: p.title, Body: p.body, Links: p.links}
	if d.Title == "" {
		d.Title = "About " + p.slug
	}
	return d
}

// stage stores a change set as a draft.
func (b *base) stage(author access.Caller, puts ...put) uuid.UUID {
	b.t.Helper()
	var proposals []postgres.Proposal
	var bodies []postgres.Body
	for _, p := range puts {
		if p.body == "" {
			proposals = append(proposals, postgres.Proposal{Slug: p.slug, Op: postgres.OpDelete, Base: p.base})
			continue
		}
		body, err := postgres.BodyOf(p.document())
		require.NoError(b.t, err)
		proposals, bodies = append(proposals, postgres.Proposal{Slug: p.slug, Op: postgres.OpPut, Base: p.base, Hash: body.Hash}), append(bodies, body)
	}
	id := uuid.New()
	require.NoError(b.t, postgres.InWorkspace(context.Background(), b.db.Pool, author, func(tx pgx.Tx) error {
		c := postgres.Change{ID: id, WorkspaceID: author.WorkspaceID, SpaceID: b.space.ID, Author: author.UserID, Reason: "because"}
		_, err := postgres.StageChange(context.Background(), tx, c, proposals, bodies)
		return err
	}))
	return id
}

// env is an environment for the workflow of a change set.
func (b *base) env(id uuid.UUID) *testsuite.TestWorkflowEnvironment {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // other tests may keep the processor busy
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ChangeWorkflowID(b.caller.WorkspaceID, id), TaskQueue: workflows.TaskQueue})
	workflows.Register(env)
	env.RegisterActivity(b.knowledge)
	return env
}

func (b *base) result(env *testsuite.TestWorkflowEnvironment) *workflows.PublishChangeResult {
	b.t.Helper()
	require.True(b.t, env.IsWorkflowCompleted())
	require.NoError(b.t, env.GetWorkflowError())
	var out workflows.PublishChangeResult
	require.NoError(b.t, env.GetWorkflowResult(&out))
	return &out
}

// publish brings change sets through, one after the other, without any person.
func (b *base) publish(author access.Caller, puts ...put) *workflows.PublishChangeResult {
	b.t.Helper()
	id := b.stage(author, puts...)
	env := b.env(id)
	env.ExecuteWorkflow(workflows.PublishChange, workflows.PublishChangeInput{Caller: author, ChangeID: id})
	return b.result(env)
}

func (b *base) text(slug string, when postgres.Moment) string {
	b.t.Helper()
	var out string
	b.as(func(tx pgx.Tx) error {
		r, err := postgres.EntryAt(context.Background(), tx, b.space.ID, slug, when)
		if err != nil {
			return err
		}
		text, err := postgres.BodyText(context.Background(), tx, b.space.ID, r.Hash)
		if err != nil {
			return err
		}
		d, err := knowledge.Parse([]byte(text))
		out = d.Body
		return err
	})
	return out
}

func TestPublishMergeAndConflict(t *testing.T) {
	t.Parallel()
	b := newWorld(t).base(postgres.Space{})
	out := b.publish(b.caller, put{slug: "disk", body: "one\n\ntwo\n\nthree\n"}, put{slug: "net/dns", body: "names\n"})
	require.Equal(t, workflows.ChangePublished, out.State, "%+v", out)
	require.Equal(t, 2, out.Total)
	require.EqualValues(t, 1, out.Revision)

	out = b.publish(b.caller, put{slug: "disk", body: "ONE\n\ntwo\n\nthree\n", base: 1})
	require.Equal(t, 2, out.Entries[0].Number)
	out = b.publish(b.caller, put{slug: "disk", body: "one\n\ntwo\n\nTHREE\n", base: 1})
	require.Equal(t, workflows.ChangePublished, out.State, "%+v", out)
	require.Equal(t, 1, out.Merged)
	require.Equal(t, "ONE\n\ntwo\n\nTHREE\n", b.text("disk", postgres.Moment{}))

	out = b.publish(b.caller, put{slug: "disk", body: "ONE\n\ntwo\n\nTHREE\n", base: 3})
	require.Equal(t, 1, out.Unchanged)
	require.Zero(t, out.Revision)

	out = b.publish(b.caller, put{slug: "net/dns", base: 1})
	require.Equal(t, workflows.ChangePublished, out.State, "%+v", out)
	require.Empty(t, out.Entries[0].Hash)
}
