package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/mcp/tools"
)

// writeKnowledge writes, edits, finds, restores, imports and exports knowledge on the running stack.
func writeKnowledge(t *testing.T, s shell, dir, id string) {
	t.Helper()
	var made tools.Change
	s.ok(&made, "# Disk full\n\nDelete old logs, then restart the collector.\n", "knowledge", "propose", "ops/disk", "--create-space", "--link", "pattern:default/"+id)
	require.Equal(t, "published", made.State)
	var found tools.Found
	s.ok(&found, "", "knowledge", "search", "deleting", "logs")
	require.Equal(t, "ops/disk", found.Results[0].Entry)
	require.Equal(t, "Disk full", found.Results[0].Title)

	edited := shell{t: t, dir: s.dir, editor: "sed -i s/restart/reload/"}
	s.ok(nil, "", "knowledge", "validate", "ops/disk", "--file", write(t, dir, "note.md", "# Disk full\n\nSomething else.\n"))
	edited.ok(&made, "", "knowledge", "edit", "ops/disk", "--reason", "as they do it now")
	require.Equal(t, 2, made.Entries[0].Revision)
	var e tools.Entry
	s.ok(&e, "", "knowledge", "get", "ops/disk")
	require.Equal(t, "# Disk full\n\nDelete old logs, then reload the collector.\n", e.Body)
	require.Equal(t, "pattern:default/"+id, e.Links[0].Target, "what is not in the text stays")
	require.Contains(t, s.ok(nil, "", "knowledge", "diff", "ops/disk"), "-Delete old logs, then restart the collector.\n+Delete old logs, then reload the collector.\n")
	require.Contains(t, s.ok(nil, "", "knowledge", "blame", "ops/disk"), "reload the collector")
	s.ok(&made, "", "knowledge", "restore", "ops/disk", "--revision", "1")
	var h tools.History
	s.ok(&h, "", "knowledge", "history", "ops/disk")
	require.Equal(t, []int{3, 2, 1}, []int{h.Revisions[0].Revision, h.Revisions[1].Revision, h.Revisions[2].Revision})
	require.Equal(t, 1, h.Revisions[0].Reverts)

	vault := filepath.Join(dir, "vault")
	require.NoError(t, os.MkdirAll(filepath.Join(vault, "Sub Folder"), 0o755))
	write(t, vault, "one.md", "---\ntitle: One\ntags: [a, b]\n---\n# One\n\nSee [[two]].\n")
	write(t, vault, "Sub Folder/two.md", "# Two\r\n\r\nThe second note, which says something else.\r\n")
	require.NoError(t, os.MkdirAll(filepath.Join(vault, ".obsidian"), 0o755))
	write(t, vault, ".obsidian/app.json", "{\"theme\":\"moonstone\"}\n")
	write(t, vault, "Sub Folder/a picture.png", "\x89PNG\r\n\x1a\n\x00\xff\xfe not UTF-8 \x00")
	write(t, vault, "empty.canvas", "")
	write(t, vault, "secret.md", "The key is ghp_0123456789abcdefghijABCDEFGHIJ012345, keep it.\n")
	write(t, vault, "secret.txt", "one\ntoken = ghp_0123456789abcdefghijABCDEFGHIJ012345\n")

	var dry dryImportView
	s.ok(&dry, "", "knowledge", "import", vault, "--space", "vault", "--create-space", "--dry-run")
	require.Equal(t, []any{true, 3, 2, 1, 0}, []any{dry.New, dry.Entries, dry.Published, dry.Refused, dry.Unchanged})
	require.Equal(t, []any{"secret", "secret.found", "block"}, []any{dry.Findings[0].Slug, dry.Findings[0].Check, dry.Findings[0].Severity})
	require.Contains(t, dry.Unreadable[0].Reason, "secret.found")
	_, errs, code := s.run("", "knowledge", "import", vault, "--space", "vault", "--dry-run")
	require.Equal(t, codeNotFound, code, "a dry run has made no space: %s", errs)

	var in importView
	s.ok(&in, "", "knowledge", "import", vault, "--space", "vault", "--create-space")
	require.Equal(t, []int{2, 1}, []int{in.Published, in.Refused})
	require.Equal(t, []int{4, 3, 1}, []int{in.Attached.Files, in.Attached.Stored, in.Attached.Refused})
	require.NoError(t, os.Remove(filepath.Join(vault, "secret.md")))
	require.NoError(t, os.Remove(filepath.Join(vault, "secret.txt")))
	s.ok(&in, "", "knowledge", "import", vault, "--space", "vault")
	require.Equal(t, []int{0, 2}, []int{in.Published, in.Unchanged})
	require.Equal(t, []int{0, 3}, []int{in.Attached.Stored, in.Attached.Unchanged})
	s.ok(&dry, "", "knowledge", "import", vault, "--space", "vault", "--dry-run")
	require.Equal(t, []int{0, 2}, []int{dry.Published, dry.Unchanged})
	out := filepath.Join(dir, "out")
	s.ok(nil, "", "knowledge", "export", "vault", out)
	before, err := filesIn(vault)
	require.NoError(t, err)
	after, err := filesIn(out)
	require.NoError(t, err)
	require.Equal(t, before, after, "byte for byte")

	for _, f := range []struct {
		want int
		says string
		args []string
	}{
		{codeNotFound, `no entry "ops/nope"`, []string{"get", "ops/nope"}},
		{codeNotFound, "There are: ops, vault", []string{"history", "nope/x"}},
		{codeUsage, "want space/slug", []string{"get", "ops"}},
		{codeUsage, "is published already", []string{"review", made.ID, "approve"}},
		{codeFailure, "would be rejected", []string{"validate", "ops/secret", "--file", write(t, dir, "secret.md", "key ghp_0123456789abcdefghijABCDEFGHIJ012345\n")}},
		{codeFailure, "choose a folder that is empty", []string{"export", "vault", out}},
	} {
		_, errs, code := s.run("", append([]string{"knowledge"}, f.args...)...)
		require.Equal(t, f.want, code, "%v: %s", f.args, errs)
		require.Contains(t, errs, f.says)
	}
	var status knowledgeStatusView
	s.ok(&status, "", "knowledge", "status")
	require.Len(t, status.Spaces, 2)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}
