package feed_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func runbook(title, target string) *knowledge.Document {
	return &knowledge.Document{Schema: "runbook", Title: title, Body: title, Links: []knowledge.Link{{Relation: "explains", Target: target}}}
}

// about is what a caller is told of the pattern of a message: addresses.
func (p *process) about(t *testing.T, caller access.Caller, library uuid.UUID, message string) (out []string) {
	t.Helper()
	e, err := p.libraries.Entry(t.Context(), library)
	require.NoError(t, err)
	var m template.Match
	require.True(t, e.Index.Recognise([]byte(message), &m))
	known, err := p.libraries.Linked(t.Context(), caller, e.Library, e.Lives)
	require.NoError(t, err)
	for _, l := range known.About(m.Pattern) {
		out = append(out, l.Address()+" "+l.Title)
	}
	return out
}

// Entries come to patterns and go as they are published, each reader is told of what she may read, and an id that a pattern had
// before is good.
func TestKnowledgeOfPatterns(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	admin := db.Workspace(t, "one")
	viewer, stranger := db.Member(t, admin.WorkspaceID, access.Viewer), db.Workspace(t, "two")
	lib, source := library(t, db, admin, "app")
	other, otherSource := library(t, db, stranger, "app")
	p := start(t, db, feed.Options{})
	_, err := p.commit(t.Context(), admin, lib.ID, source, 1, []string{"disk full on sda1", "server started"})
	require.NoError(t, err)
	_, err = p.commit(t.Context(), stranger, other.ID, otherSource, 1, []string{"disk full on sda1"})
	require.NoError(t, err)
	e, err := p.libraries.Entry(t.Context(), lib.ID)
	require.NoError(t, err)
	var m template.Match
	require.True(t, e.Index.Recognise([]byte("disk full on sda1"), &m))
	target := "pattern:app/" + string(m.Pattern)
	require.Empty(t, p.about(t, viewer, lib.ID, "disk full on sda1"), "nothing yet, and it is remembered")

	open := db.Space(t, admin, "ops")
	secret := db.Space(t, admin, "secret", func(s *postgres.Space) { s.Restricted = true })
	become := func(caller access.Caller, want ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			require.Equal(c, want, p.about(t, caller, lib.ID, "disk full on sda1"))
		}, 10*time.Second, 2*time.Millisecond)
	}
	db.Publish(t, admin, open, "disk", runbook("Disk", target))
	become(viewer, "ops/disk Disk")
	db.Publish(t, admin, secret, "disk", runbook("Secret", target))
	become(admin, "secret/disk Secret", "ops/disk Disk")
	require.Equal(t, []string{"ops/disk Disk"}, p.about(t, viewer, lib.ID, "disk full on sda1"))
	require.Empty(t, p.about(t, admin, lib.ID, "server started"))
	require.Empty(t, p.about(t, stranger, other.ID, "disk full on sda1"), "the same address in another workspace")

	change := func(fn func(ctx context.Context, tx pgx.Tx) error) {
		t.Helper()
		require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, admin, func(tx pgx.Tx) error { return fn(t.Context(), tx) }))
	}
	change(func(ctx context.Context, tx pgx.Tx) error {
		return postgres.SaveSpaceMember(ctx, tx, secret, viewer.UserID, postgres.SpaceReader)
	})
	become(viewer, "secret/disk Secret", "ops/disk Disk")
	change(func(ctx context.Context, tx pgx.Tx) error {
		return postgres.RemoveSpaceMember(ctx, tx, secret, viewer.UserID)
	})
	become(viewer, "ops/disk Disk")
	secret.Restricted = false
	change(func(ctx context.Context, tx pgx.Tx) error { return postgres.UpdateSpace(ctx, tx, secret) })
	become(viewer, "secret/disk Secret", "ops/disk Disk")

	db.Publish(t, admin, open, "disk", runbook("Disk, again", target))
	become(viewer, "ops/disk Disk, again", "secret/disk Secret")
	db.Publish(t, admin, secret, "disk", nil)
	become(viewer, "ops/disk Disk, again")

	// The pattern gets another id: "disk full on <*>".
	_, err = p.commit(t.Context(), admin, lib.ID, source, 2, []string{"disk full on sdb2", "disk full on sdc3", "disk full on sdd4", "disk full on sde5"})
	require.NoError(t, err)
	e, err = p.libraries.Entry(t.Context(), lib.ID)
	require.NoError(t, err)
	require.True(t, e.Index.Recognise([]byte("disk full on sda1"), &m))
	require.NotEqual(t, target, "pattern:app/"+string(m.Pattern))
	become(viewer, "ops/disk Disk, again")
	db.Publish(t, admin, open, "nothing", runbook("Of nothing", "pattern:app/"+string(pattern.Fingerprint("nothing of the kind"))))
	db.Publish(t, admin, open, "new", runbook("New", "pattern:app/"+string(m.Pattern)))
	become(viewer, "ops/new New", "ops/disk Disk, again")

	// Another process, which starts now, says the same.
	fresh := start(t, db, feed.Options{})
	require.Equal(t, []string{"ops/new New", "ops/disk Disk, again"}, fresh.about(t, viewer, lib.ID, "disk full on sda1"))
}
