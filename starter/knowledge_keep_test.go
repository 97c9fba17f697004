package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// keepKnowledge names, exports, amends and destroys what writeKnowledge has written.
func keepKnowledge(t *testing.T, s shell, dir string) {
	t.Helper()
	tagKnowledge(t, s, dir)
	exportToGit(t, s, dir)
	amendKnowledge(t, s, dir)
	exciseKnowledge(t, s)
}

func tagKnowledge(t *testing.T, s shell, dir string) {
	var tags tagsView
	s.ok(&tags, "", "knowledge", "tag", "ops")
	require.Empty(t, tags.Tags)
	s.ok(&tags, "", "knowledge", "tag", "ops", "v1", "--note", "as audited")
	require.Equal(t, "v1", tags.Tags[0].Name)
	require.Equal(t, 1, tags.Tags[0].Entries)
	require.EqualValues(t, 3, tags.Tags[0].Revision)
	_, errs, code := s.run("", "knowledge", "tag", "ops", "v1")
	require.Equal(t, codeUsage, code)
	require.Contains(t, errs, "has a tag v1 already")
	var made tools.Change
	s.ok(&made, "# Disk full\n\nBuy another disk.\n", "knowledge", "propose", "ops/disk")
	s.ok(&tags, "", "knowledge", "tag", "ops")
	require.Equal(t, "as audited", tags.Tags[0].Note)
	out := filepath.Join(dir, "tagged")
	s.ok(nil, "", "knowledge", "export", "ops", out, "--tag", "v1")
	text, err := os.ReadFile(filepath.Join(out, "disk.md"))
	require.NoError(t, err)
	require.Contains(t, string(text), "restart the collector")
	_, errs, code = s.run("", "knowledge", "export", "ops", filepath.Join(dir, "none"), "--tag", "v2")
	require.Equal(t, codeNotFound, code, errs)
	s.ok(&made, "", "knowledge", "restore", "ops", "--tag", "v1")
	var e tools.Entry
	s.ok(&e, "", "knowledge", "get", "ops/disk")
	require.Contains(t, e.Body, "restart the collector")
}

func gitIn(t *testing.T, folder string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).Output()
	require.NoError(t, err, args)
	return strings.TrimSpace(string(out))
}

// exportToGit finds one commit a change set, the files of an export, and a history that grows by what is published.
func exportToGit(t *testing.T, s shell, dir string) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Log("git is not installed")
		return
	}
	repository := filepath.Join(dir, "history")
	var v gitView
	s.ok(&v, "", "knowledge", "export", "ops", repository, "--git")
	var h tools.History
	s.ok(&h, "", "knowledge", "history", "ops/disk")
	require.Equal(t, len(h.Revisions), v.Commits)
	log := strings.Fields(gitIn(t, repository, "log", "--format=%H"))
	require.Len(t, log, v.Commits)
	require.Equal(t, v.Head, log[0])
	require.Contains(t, gitIn(t, repository, "log", "--format=%B"), "Change: "+h.Revisions[0].Change)
	require.Equal(t, h.Revisions[0].By, gitIn(t, repository, "log", "-1", "--format=%an"))
	folder := filepath.Join(dir, "beside-git")
	s.ok(nil, "", "knowledge", "export", "ops", folder)
	require.Equal(t, files(t, folder), files(t, repository))

	var made tools.Change
	s.ok(&made, "# Memory full\n\nAdd swap.\n", "knowledge", "propose", "ops/memory")
	stranger := write(t, repository, "mine.txt", "not committed")
	_, errs, code := s.run("", "knowledge", "export", "ops", repository, "--git")
	require.Equal(t, codeFailure, code)
	require.Contains(t, errs, "changes that are not committed")
	require.NoError(t, os.Remove(stranger))
	s.ok(&v, "", "knowledge", "export", "ops", repository, "--git")
	longer := strings.Fields(gitIn(t, repository, "log", "--format=%H"))
	require.Equal(t, log, longer[1:], "commits that are there stay")
	require.Contains(t, files(t, repository), "memory.md")

	_, errs, code = s.run("", "knowledge", "export", "vault", repository, "--git")
	require.Equal(t, codeFailure, code, "another history does not replace it")
	require.Contains(t, errs, "git fast-import")
	require.Equal(t, longer, strings.Fields(gitIn(t, repository, "log", "--format=%H")))
	_, errs, code = s.run("", "knowledge", "export", "ops", folder, "--git")
	require.Equal(t, codeFailure, code)
	require.Contains(t, errs, "is no git repository")
	stream := s.ok(nil, "", "knowledge", "export", "ops", "-", "--git", "--as-of", h.Revisions[0].At)
	require.Equal(t, v.Commits-1, strings.Count(stream, "\ncommit refs/heads/main\n"), "what was published later is not there")
}

func files(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	out, err := filesIn(folder)
	require.NoError(t, err)
	return out
}

// amendKnowledge amends one of two entries of a change set in review; the other stays as it was.
func amendKnowledge(t *testing.T, s shell, dir string) {
	s.ok(nil, "", "knowledge", "space", "create", "checked", "--approvals", "1")
	folder := filepath.Join(dir, "checked")
	require.NoError(t, os.Mkdir(folder, 0o755))
	write(t, folder, "one.md", "# One\n\nThe first of two runbooks.\n")
	write(t, folder, "two.md", "# Two\n\nAnother text, about something else.\n")
	var in importView
	s.ok(&in, "", "knowledge", "import", folder, "--space", "checked")
	require.Len(t, in.Review, 1)
	id := in.Review[0].String()
	var c tools.Change
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		out, errs, code := s.run("", "knowledge", "review", id, "--output", "json")
		require.Zero(t, code, errs)
		require.NoError(t, json.Unmarshal([]byte(out), &c))
		require.Equal(t, postgres.ChangeInReview, c.State, out)
	}, 30*time.Second, 100*time.Millisecond)

	better := "# One\n\nThe first of two runbooks, better written.\n"
	var verdict tools.Verdict
	s.ok(&verdict, better, "knowledge", "amend", id, "checked/one", "--dry-run")
	require.Equal(t, "ok", verdict.Verdict)
	_, errs, code := s.run("key ghp_0123456789abcdefghijABCDEFGHIJ012345\n", "knowledge", "amend", id, "checked/one", "--dry-run")
	require.Equal(t, codeFailure, code, errs)
	s.ok(&c, better, "knowledge", "amend", id, "checked/one")
	require.Equal(t, postgres.ChangeInReview, c.State)
	require.Len(t, c.Entries, 2)
	_, errs, code = s.run(better, "knowledge", "amend", id, "checked/three")
	require.Equal(t, codeNotFound, code)
	require.Contains(t, errs, "says nothing of checked/three")
	_, _, code = s.run("", "knowledge", "review", id, "approve")
	require.Equal(t, codeDenied, code, "its author does not approve it")

	other := s.reviewer()
	other.ok(&c, "", "knowledge", "review", id, "approve")
	require.Equal(t, postgres.ChangePublished, c.State)
	var e tools.Entry
	s.ok(&e, "", "knowledge", "get", "checked/one")
	require.Equal(t, better, e.Body)
	s.ok(&e, "", "knowledge", "get", "checked/two")
	require.Equal(t, "# Two\n\nAnother text, about something else.\n", e.Body)
}

// reviewer is the command line of another person, who may review.
func (s shell) reviewer() shell {
	s.t.Helper()
	state, err := local.ReadState(s.dir)
	require.NoError(s.t, err)
	id, key, err := readIdentity(s.dir)
	require.NoError(s.t, err)
	pool, err := postgres.Open(s.t.Context(), state.DatabaseURL)
	require.NoError(s.t, err)
	defer pool.Close()
	other := uuid.New()
	require.NoError(s.t, postgres.AsService(s.t.Context(), pool, func(tx pgx.Tx) error {
		var workspace uuid.UUID
		if err := tx.QueryRow(s.t.Context(), `select workspace_id from tartan.members where user_id = $1`, id.UserID).Scan(&workspace); err != nil {
			return err
		}
		_, err := tx.Exec(s.t.Context(), `insert into tartan.members (workspace_id, user_id, role) values ($1, $2, 'reviewer')`, workspace, other)
		return err
	}))
	s.token, err = access.Issue(key, access.Claims{Subject: other, Issuer: localIssuer, Audience: []string{state.MCPURL}, ClientID: localClient, Expires: time.Now().Add(time.Hour)}, time.Now())
	require.NoError(s.t, err)
	return s
}

// exciseKnowledge destroys the text of a revision, as two people.
func exciseKnowledge(t *testing.T, s shell) {
	var x excisionView
	ask := []string{"knowledge", "excise", "ops/disk", "--revision", "2", "--reason", "request 17"}
	s.ok(&x, "", append(ask, "--dry-run")...)
	require.Equal(t, excisionView{State: "planned", Entry: "ops/disk", Documents: 1, Deleted: []string{}}, x)
	s.ok(nil, "", "knowledge", "get", "ops/disk", "--revision", "2")
	s.ok(&x, "", ask...)
	require.Equal(t, "waiting", x.State)
	var errs string
	require.Eventually(t, func() bool {
		var code int
		_, errs, code = s.run("", "knowledge", "excise", "--approve", x.ID)
		return code == codeDenied
	}, 20*time.Second, 200*time.Millisecond, "who asks does not approve")
	require.Contains(t, errs, "another reviewer")
	s.ok(nil, "", "knowledge", "get", "ops/disk", "--revision", "2")

	other := s.reviewer()
	other.ok(&x, "", "knowledge", "excise", "--approve", x.ID)
	require.Equal(t, "excised", x.State)
	require.Equal(t, 1, x.Documents)
	_, errs, code := s.run("", "knowledge", "get", "ops/disk", "--revision", "2")
	require.NotZero(t, code)
	require.NotContains(t, errs, "reload")
	s.ok(nil, "", "knowledge", "get", "ops/disk") // the current one had another text
	_, errs, code = other.run("", "knowledge", "excise", "--reject", x.ID)
	require.Equal(t, codeNotFound, code, errs)
	_, errs, code = s.run("", "knowledge", "excise", "ops/nope", "--reason", "request 18", "--dry-run")
	require.Equal(t, codeNotFound, code, errs)
}
