package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// A restricted space, all in it and every event of it are seen by its members only, whatever the role of others in the
// workspace, and nobody else writes there.
func TestARestrictedSpaceIsInvisible(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	owner := db.Workspace(t, "one")
	open := fillSpace(t, db, owner, postgres.Space{Name: "open"})
	secret := fillSpace(t, db, owner, postgres.Space{Name: "secret", Restricted: true})
	admin, member := db.Member(t, owner.WorkspaceID, access.Admin), db.Member(t, owner.WorkspaceID, access.Editor)
	count := func(caller access.Caller, table string, space uuid.UUID) (n int) {
		column := map[string]string{"knowledge_spaces": "id", "outbox": "key"}[table]
		if column == "" {
			column = "space_id"
		}
		require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, fmt.Sprintf("select count(*) from tartan.%s where %s::text = $1", table, column), space.String()).Scan(&n)
		}))
		return n
	}
	covered := []string{"outbox"}
	for _, table := range tables(t, db) {
		if strings.HasPrefix(table, "knowledge_") {
			covered = append(covered, table)
		}
	}
	require.Greater(t, len(covered), 15)
	for _, table := range covered {
		require.NotZero(t, count(owner, table, secret.ID), table)
		require.NotZero(t, count(admin, table, open.ID), table)
		require.Zero(t, count(admin, table, secret.ID), "%s shows an admin what she is no member of", table)
		if table == "outbox" || table == "knowledge_spaces" {
			continue
		}
		var body []byte
		require.NoError(t, db.Pool.QueryRow(ctx, fmt.Sprintf("select to_jsonb(x) from tartan.%s x where space_id = $1 limit 1", table), secret.ID).Scan(&body))
		_, err := in(t, db, admin, insertLike(table), body)
		require.Equal(t, "42501", code(err), "%s: %v", table, err)
		for _, sql := range []string{"update tartan.%s set space_id = space_id where space_id = $1", "delete from tartan.%s where space_id = $1"} {
			n, err := in(t, db, admin, fmt.Sprintf(sql, table), secret.ID)
			require.True(t, n == 0 && err == nil || code(err) == "42501", "%s: %d rows, %v", table, n, err)
		}
	}
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
		_, err := postgres.SpaceByName(ctx, tx, owner.WorkspaceID, "secret")
		require.ErrorIs(t, err, postgres.ErrNotFound)
		states, err := postgres.EntryStates(ctx, tx, owner.WorkspaceID, []string{"secret/disk", "open/disk"})
		require.NoError(t, err)
		require.Equal(t, map[string]bool{"open/disk": true}, states)
		held, err := postgres.HoldEntries(ctx, tx, owner.WorkspaceID, []string{"secret/disk", "open/disk"})
		require.NoError(t, err)
		require.Equal(t, map[string]bool{"open/disk": true}, held)
		references, err := postgres.Inbound(ctx, tx, owner.WorkspaceID, []string{"pattern:app/p1"})
		require.NoError(t, err)
		require.Equal(t, []postgres.Reference{{From: "open/disk", Relation: "explains", Target: "pattern:app/p1"}}, references)
		return nil
	}))

	// A reader of it reads, and writes nothing although she is an editor; a reviewer of it who is an editor writes.
	join := func(role string) {
		require.NoError(t, postgres.InWorkspace(ctx, db.Pool, owner, func(tx pgx.Tx) error {
			return postgres.SaveSpaceMember(ctx, tx, secret, member.UserID, role)
		}))
	}
	try := func() error {
		return postgres.InWorkspace(ctx, db.Pool, member, func(tx pgx.Tx) error {
			_, err := postgres.LockClock(ctx, tx, secret.ID)
			return err
		})
	}
	require.ErrorIs(t, try(), postgres.ErrNotFound)
	join(postgres.SpaceReader)
	require.NotZero(t, count(member, "knowledge_bodies", secret.ID))
	require.ErrorIs(t, try(), postgres.ErrDenied)
	join(postgres.SpaceReviewer)
	require.NoError(t, try())
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, member, func(tx pgx.Tx) error {
		role, err := postgres.SpaceRole(ctx, tx, secret.ID)
		require.Equal(t, postgres.SpaceWriter, role, "an editor of the workspace is no reviewer in any space")
		return err
	}))
}

// Making a space tells neither a viewer nor an editor of one that is hidden: the answer is that to a free name, or to a reserved one.
func TestNamesOfHiddenSpaces(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	owner := db.Workspace(t, "one")
	db.Space(t, owner, "secret", func(s *postgres.Space) { s.Restricted = true })
	answer := func(caller access.Caller, name string) error {
		return postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
			_, err := postgres.CreateSpace(ctx, tx, postgres.Space{WorkspaceID: caller.WorkspaceID, Name: name, CreatedBy: caller.UserID})
			return err
		})
	}
	words := func(err error, name string) string {
		require.Error(t, err)
		return strings.ReplaceAll(err.Error(), name, "NAME")
	}
	viewer, editor := db.Member(t, owner.WorkspaceID, access.Viewer), db.Member(t, owner.WorkspaceID, access.Editor)
	hidden := answer(viewer, "secret")
	require.ErrorIs(t, hidden, postgres.ErrDenied)
	require.Equal(t, words(hidden, "secret"), words(answer(viewer, "free"), "free"))
	require.Equal(t, words(hidden, "secret"), words(answer(viewer, "pattern"), "pattern"))

	hidden = answer(editor, "secret")
	require.ErrorIs(t, hidden, postgres.ErrName)
	require.Equal(t, words(hidden, "secret"), words(answer(editor, "pattern"), "pattern"))
	require.Equal(t, words(hidden, "secret"), words(answer(editor, "confidential"), "confidential"))
	require.NoError(t, answer(editor, "free"))
	require.Equal(t, words(hidden, "secret"), words(answer(editor, "free"), "free"), "nor does one that she sees get another answer")
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, owner, func(tx pgx.Tx) error {
		all, err := postgres.Spaces(ctx, tx, owner.WorkspaceID)
		require.Len(t, all, 2, "what was refused is not there")
		return err
	}))
}

// What was published cannot be changed by anybody, the database's owner included, and goes only with its space.
func TestKnowledgeIsImmutable(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	fillSpace(t, db, admin, postgres.Space{Name: "ops"})
	for _, table := range []string{"knowledge_revisions", "knowledge_reviews", "knowledge_tags", "knowledge_tag_entries", "knowledge_excisions", "knowledge_attachments"} {
		for _, sql := range []string{"update tartan.%s set workspace_id = workspace_id", "delete from tartan.%s"} {
			sql = fmt.Sprintf(sql, table)
			_, err := in(t, db, admin, sql)
			require.Equal(t, "42501", code(err), sql)
			err = postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, sql); return err })
			require.Equal(t, "42501", code(err), sql)
			_, err = db.Pool.Exec(ctx, sql)
			require.Equal(t, "23001", code(err), sql)
		}
	}
	for sql, want := range map[string]string{
		"update tartan.knowledge_bodies set title = 'x'": "23001",
		"delete from tartan.knowledge_bodies":            "23001",
		"insert into tartan.knowledge_bodies select workspace_id, space_id, repeat('1', 64), 'note', 't', 'x' from tartan.knowledge_clocks": "23514",
		"update tartan.knowledge_changes set reason = 'x' where state = 'published'":                                                        "23001",
		"update tartan.knowledge_changes set author = id":                                                                                   "23001",
		"update tartan.knowledge_proposals set slug = 'x'":                                                                                  "23001",
		"update tartan.knowledge_heads set number = 1 where number = 2":                                                                     "23514",
		"update tartan.knowledge_heads set hash = null":                                                                                     "23514",
		"truncate tartan.knowledge_revisions cascade":                                                                                       "23001",
	} {
		_, err := db.Pool.Exec(ctx, sql)
		require.Equal(t, want, code(err), "%s: %v", sql, err)
	}
	_, err := db.Pool.Exec(ctx, "delete from tartan.workspaces")
	require.NoError(t, err)
	var left int
	require.NoError(t, db.Pool.QueryRow(ctx, "select count(*) from tartan.knowledge_revisions").Scan(&left))
	require.Zero(t, left)
}

// The database itself refuses to publish what has not its approvals, and reviews in another's name.
func TestTheDatabaseKeepsTheRules(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	reviewer := db.Member(t, admin.WorkspaceID, access.Reviewer)
	var s postgres.Space
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) (err error) {
		s, err = postgres.CreateSpace(ctx, tx, postgres.Space{WorkspaceID: admin.WorkspaceID, Name: "ops", CreatedBy: admin.UserID, Approvals: 1})
		return err
	}))
	body := note(t, "Disk", "full")
	proposals := []postgres.Proposal{{Slug: "disk", Op: postgres.OpPut, Hash: body.Hash}}
	refused := func(want string, fn func(tx pgx.Tx) error) {
		t.Helper()
		err := postgres.InWorkspace(ctx, db.Pool, admin, fn)
		require.Equal(t, want, code(err), "%v", err)
	}
	refused("23514", func(tx pgx.Tx) error {
		_, err := publish(t, tx, s, admin.UserID, proposals, []postgres.Body{body}, nil)
		return err
	})
	c := postgres.Change{ID: uuid.New(), WorkspaceID: s.WorkspaceID, SpaceID: s.ID, Author: admin.UserID, Round: 1}
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
		_, err := postgres.StageChange(ctx, tx, c, proposals, []postgres.Body{body})
		return err
	}))
	refused("23514", func(tx pgx.Tx) error {
		_, err := postgres.SaveReview(ctx, tx, s, c, postgres.Review{Reviewer: reviewer.UserID, Decision: postgres.Approve})
		return err
	})
	refused("23514", func(tx pgx.Tx) error {
		_, err := postgres.SaveReview(ctx, tx, postgres.Space{SelfReview: true, ID: s.ID}, c, postgres.Review{Reviewer: admin.UserID, Decision: postgres.Approve})
		return err
	})
	refused("23514", func(tx pgx.Tx) error { return postgres.SetChangeState(ctx, tx, c.ID, postgres.ChangeApproved, "") })
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, reviewer, func(tx pgx.Tx) error {
		_, err := postgres.SaveReview(ctx, tx, s, c, postgres.Review{Reviewer: reviewer.UserID, Decision: postgres.Approve})
		return err
	}))
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
		return postgres.SetChangeState(ctx, tx, c.ID, postgres.ChangeApproved, "")
	}))
}

// Facts that must be single do not differ while both hold, at the ends of their validity too.
func TestFactsDoNotContradict(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	s := fillSpace(t, db, admin, postgres.Space{Name: "ops"})
	at := func(day int) *time.Time {
		v := time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)
		return &v
	}
	fact := func(value string, from, to *time.Time) postgres.Fact {
		return postgres.Fact{Subject: "db", Predicate: "version", Value: value, From: from, To: to}
	}
	state := func(slug string, facts ...postgres.Fact) error {
		return postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
			b := note(t, slug, slug+" "+uuid.NewString())
			heads, err := postgres.Heads(ctx, tx, s.ID, []string{slug})
			require.NoError(t, err)
			_, err = publish(t, tx, s, admin.UserID, []postgres.Proposal{{Slug: slug, Op: postgres.OpPut, Base: heads[slug].Number, Hash: b.Hash}}, []postgres.Body{b}, map[string][]postgres.Fact{slug: facts})
			return err
		})
	}
	require.NoError(t, state("a", fact("15", at(1), at(10))))
	require.NoError(t, state("b", fact("16", at(10), nil)), "from the moment on at which the other ends")
	require.NoError(t, state("c", fact("15", at(5), at(6))), "the same value")
	err := state("d", fact("16", nil, at(2)))
	what, ok := postgres.Contradiction(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "version of db is 15 and cannot be 16 at the same time", what)
	require.NoError(t, state("b", fact("17", at(10), nil)), "one's own fact changes")
	many := fact("18", nil, nil)
	many.Many = true
	require.NoError(t, state("e", many))
}

func TestHousekeeping(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	undo := errors.New("undo")
	var s postgres.Space
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) (err error) {
		s, err = postgres.CreateSpace(ctx, tx, postgres.Space{WorkspaceID: admin.WorkspaceID, Name: "ops", CreatedBy: admin.UserID, StaleAfter: 48 * time.Hour, Retention: 24 * time.Hour})
		return err
	}))
	var texts []postgres.Body
	for i := range 4 {
		texts = append(texts, note(t, "Disk", fmt.Sprint("version ", i)))
		require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
			_, err := publish(t, tx, s, admin.UserID, []postgres.Proposal{{Slug: "disk", Op: postgres.OpPut, Base: i, Hash: texts[i].Hash}}, []postgres.Body{texts[i]}, nil)
			if i == 1 && err == nil {
				_, err = postgres.CreateTag(ctx, tx, s, "keep", "", admin.UserID)
			}
			return err
		}))
	}
	orphan := note(t, "Nobody", "needs it")
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
		return postgres.SaveBodies(ctx, tx, s.WorkspaceID, s.ID, []postgres.Body{orphan})
	}))
	now := time.Now()
	look := func(s postgres.Space, at time.Time) (due, gone []string, orphans int) {
		err := postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) (err error) {
			due, err = postgres.MarkDue(ctx, tx, s, at, 10)
			require.NoError(t, err)
			gone, err = postgres.Retirable(ctx, tx, s, at, 10)
			require.NoError(t, err)
			orphans, err = postgres.SweepBodies(ctx, tx, s, at.Add(-12*time.Hour), 10)
			require.NoError(t, err)
			return undo
		})
		require.ErrorIs(t, err, undo)
		return due, gone, orphans
	}
	due, gone, orphans := look(s, now)
	require.Empty(t, due)
	require.Empty(t, gone)
	require.Zero(t, orphans)
	due, gone, orphans = look(s, now.Add(25*time.Hour))
	require.Empty(t, due)
	require.ElementsMatch(t, []string{texts[0].Hash, texts[2].Hash}, gone, "the second is tagged, the last is current")
	require.Equal(t, 1, orphans)
	due, _, _ = look(s, now.Add(50*time.Hour))
	require.Equal(t, []string{"disk"}, due)
	s.LegalHold = true
	_, gone, orphans = look(s, now.Add(25*time.Hour))
	require.Empty(t, gone)
	require.Zero(t, orphans)
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error { return postgres.UpdateSpace(ctx, tx, s) }))
	err := postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
		_, err := postgres.Excise(ctx, tx, s, []string{texts[0].Hash}, postgres.Excision{Kind: postgres.ExciseRetention, RequestedBy: admin.UserID, ApprovedBy: admin.UserID})
		return err
	})
	require.ErrorContains(t, err, "legal hold")
}
