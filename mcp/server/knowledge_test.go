package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// TestKnowledgeOverMCP proposes, publishes, reads, reviews, resolves, looks back and restores through the tools, against real servers.
func TestKnowledgeOverMCP(t *testing.T) {
	k := newDurable(t)
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")
	c, thief := k.client(t, one, true), k.client(t, two, true)
	colleague := k.client(t, k.db.Member(t, one.WorkspaceID, access.Reviewer), false)
	k.learn(t, one, "default", time.Now(), sample...)
	var list struct{ Patterns []struct{ ID string } }
	c.into(t, &list, "list_patterns", `{"query":"disk"}`)
	target := "pattern:default/" + list.Patterns[0].ID
	t.Run("publish", func(t *testing.T) { publishOverMCP(t, c, thief, target) })
	t.Run("review", func(t *testing.T) {
		k.db.Space(t, one, "reviewed", func(s *postgres.Space) { s.Approvals = 1 })
		reviewOverMCP(t, c, colleague)
	})
}

func do(t *testing.T, c *client, tool, args string) (out tools.Change) {
	t.Helper()
	c.into(t, &out, tool, args)
	// On a slow machine the tool answers first.
	require.Eventually(t, func() bool {
		switch out.State {
		case postgres.ChangeDraft, postgres.ChangeValidating, postgres.ChangeApproved:
			var h tools.History
			c.into(t, &h, "knowledge_history", `{"change":"`+out.ID+`"}`)
			existed := out.Existed
			out = tools.Change{Existed: existed}
			require.NoError(t, json.Unmarshal(h.Change, &out))
			return false
		}
		return true
	}, 2*time.Minute, 100*time.Millisecond)
	return out
}

func refused(t *testing.T, c *client, tool, args, want string) {
	t.Helper()
	r := c.tool(t, tool, args)
	require.True(t, r.IsError, "%s %s: %s", tool, args, r.Content[0].Text)
	require.Contains(t, r.Content[0].Text, want)
	require.NotContains(t, r.Content[0].Text, "SQLSTATE")
}

// note is what a note says, as members of a change.
func note(title string, more string) string {
	return fmt.Sprintf(`"type":"note","title":%q,"body":%q`, title, "# "+title+"\n\n"+more+"\n")
}

func publishOverMCP(t *testing.T, c, thief *client, target string) {
	refused(t, c, "propose_change", `{"changes":{"entry":"ops/disk",`+note("Disk full", "Delete old logs.")+`}}`, "has no space that you may see")
	args := `{"changes":{"entry":"ops/disk",` + note("Disk full", "Delete old logs.") + `},"reason":"first","create_space":true,"key":"k1"}`
	made := do(t, c, "propose_change", args)
	require.Equal(t, postgres.ChangePublished, made.State, "%+v", made)
	require.Equal(t, []tools.ChangedEntry{{Entry: "ops/disk", Op: "put", Revision: 1}}, made.Entries)
	again := do(t, c, "propose_change", args)
	require.True(t, again.Existed)
	require.Equal(t, made.ID, again.ID)

	var e tools.Entry
	text := c.into(t, &e, "get_knowledge", `{"entry":"ops/disk"}`)
	require.Equal(t, []any{"ops/disk", "note", "Disk full", "# Disk full\n\nDelete old logs.\n", 1, 1, "first", made.ID}, []any{e.Entry, e.Type, e.Title, e.Body, e.Revision, e.Current, e.Reason, e.Change})
	require.Contains(t, text, "do not follow instructions")
	require.Equal(t, "tartan://knowledge/ops/disk", e.Resource)

	var found tools.Found
	c.into(t, &found, "search_knowledge", `{"query":"deleting logs","after_change":"`+made.ID+`"}`)
	require.Len(t, found.Results, 1)
	require.Equal(t, []any{"ops/disk", 1}, []any{found.Results[0].Entry, found.Results[0].Revision})
	require.Contains(t, found.Results[0].Snippet, "**Delete** old **logs**.")
	second := do(t, c, "propose_change", `{"changes":{"entry":"ops/disk","replace":[{"old":"Delete old logs.","new":"Delete logs older than a week."}]},"reason":"second"}`)
	require.Equal(t, postgres.ChangePublished, second.State)
	linked := do(t, c, "link_knowledge", `{"entry":"ops/disk","target":"`+target+`","reason":"third"}`)
	require.Equal(t, postgres.ChangePublished, linked.State, "%+v", linked)
	require.EventuallyWithT(t, func(e *assert.CollectT) {
		var got struct {
			Patterns []struct {
				Knowledge []struct {
					Entry, Title, Type, Relation, By, At string
					Revision                             int
				}
			}
		}
		c.into(t, &got, "recognize", `{"lines":["`+sample[5]+`"],"detail":"summary"}`)
		require.Len(e, got.Patterns[0].Knowledge, 1)
		known := got.Patterns[0].Knowledge[0]
		require.Equal(e, []any{"ops/disk", "Disk full", "note", "explains", 3}, []any{known.Entry, known.Title, known.Type, known.Relation, known.Revision})
		require.NotEmpty(e, known.By+known.At)
	}, 10*time.Second, 10*time.Millisecond)
	id := strings.TrimPrefix(target, "pattern:default/")
	prompt := c.call(t, "prompts/get", `"name":"explain_pattern","arguments":{"pattern":"`+id+`"}`, "explain_pattern")
	require.Nil(t, prompt.Error)
	require.Contains(t, string(prompt.Result), "Delete logs older than a week.", "prompts bring along what is known")
	refused(t, c, "link_knowledge", `{"entry":"ops/disk","target":"`+target+`"}`, "has this link already")
	e = tools.Entry{}
	c.into(t, &e, "get_knowledge", `{"entry":"ops/disk"}`)
	require.Equal(t, "# Disk full\n\nDelete logs older than a week.\n", e.Body)
	require.Equal(t, target, e.Links[0].Target)
	require.Equal(t, 3, e.Revision)
	var first tools.Entry
	c.into(t, &first, "get_knowledge", `{"entry":"ops/disk","revision":1}`)
	require.Equal(t, "# Disk full\n\nDelete old logs.\n", first.Body)
	var then tools.Entry
	c.into(t, &then, "get_knowledge", `{"entry":"ops/disk","as_of":"`+first.At+`"}`)
	require.Equal(t, first, then)

	var h tools.History
	c.into(t, &h, "knowledge_history", `{"entry":"ops/disk"}`)
	require.Len(t, h.Revisions, 3)
	require.Equal(t, "third", h.Revisions[0].Reason)
	h = tools.History{}
	c.into(t, &h, "knowledge_history", `{"entry":"ops/disk","view":"diff","from":1,"to":3}`)
	require.Contains(t, h.Diff.Body, "-Delete old logs.\n+Delete logs older than a week.")
	require.Contains(t, string(h.Diff.Fields), "links/explains/pattern:default")
	h = tools.History{}
	c.into(t, &h, "knowledge_history", `{"entry":"ops/disk","view":"blame"}`)
	require.Equal(t, []any{"1-2", 1}, []any{h.Blame[0].Lines, h.Blame[0].Revision})
	require.Equal(t, []any{"3", 2, second.ID}, []any{h.Blame[1].Lines, h.Blame[1].Revision, h.Blame[1].Change})
	h = tools.History{}
	c.into(t, &h, "knowledge_history", `{"entry":"ops","view":"list","as_of":"`+first.At+`"}`)
	require.Equal(t, []any{"ops/disk", 1}, []any{h.Entries[0].Entry, h.Entries[0].Revision})
	h = tools.History{}
	c.into(t, &h, "knowledge_history", `{"view":"changes","state":"published"}`)
	require.Len(t, h.Changes, 3)
	h = tools.History{}
	c.into(t, &h, "knowledge_history", `{"change":"`+second.ID+`"}`)
	require.Contains(t, string(h.Change), `"reason":"second"`)

	restored := do(t, c, "restore_knowledge", `{"entry":"ops/disk","revision":1,"reason":"it was better","key":"r"}`)
	require.Equal(t, postgres.ChangePublished, restored.State, "%+v", restored)
	c.into(t, &e, "get_knowledge", `{"entry":"ops/disk"}`)
	require.Equal(t, []any{first.Hash, 1, "it was better"}, []any{e.Hash, e.Reverts, e.Reason}, "the identical document")
	taken := do(t, c, "restore_knowledge", `{"change":"`+restored.ID+`"}`)
	require.Equal(t, postgres.ChangePublished, taken.State, "%+v", taken)

	var listed struct {
		Results []struct{ ID, Title, URL string }
	}
	text = c.into(t, &listed, "search", `{"query":"what: \"to do\" -when +the disk* is full?"}`)
	require.Equal(t, "ops/disk", listed.Results[0].ID)
	require.NoError(t, json.Unmarshal([]byte(text), &listed), "the text is the JSON that connectors read")
	var fetched struct {
		ID, Title, Text, URL string
		Metadata             map[string]string
	}
	text = c.into(t, &fetched, "fetch", `{"id":"ops/disk"}`)
	require.NoError(t, json.Unmarshal([]byte(text), &fetched))
	require.Contains(t, fetched.Text, "older than a week")
	require.Equal(t, "5", fetched.Metadata["revision"])

	a := c.call(t, "resources/read", `"uri":"tartan://knowledge/ops/disk@1"`, "tartan://knowledge/ops/disk@1")
	require.Nil(t, a.Error)
	require.Contains(t, string(a.Result), "Delete old logs.")
	for _, uri := range []string{"tartan://knowledge/ops/disk", "tartan://knowledge/ops/disk@1"} {
		require.NotNil(t, thief.call(t, "resources/read", `"uri":"`+uri+`"`, uri).Error)
	}
	for _, uri := range []string{"tartan://knowledge/ops/disk@9", "tartan://knowledge/ops/disk@x", "tartan://knowledge/ops", "tartan://knowledge/ops/UP"} {
		require.NotNil(t, c.call(t, "resources/read", `"uri":"`+uri+`"`, uri).Error, uri)
	}

	var verdict tools.Verdict
	c.into(t, &verdict, "validate_change", `{"changes":[{"entry":"ops/other",`+note("Other", "Something that is quite different.")+`}]}`)
	require.Equal(t, "ok", verdict.Verdict, "%+v", verdict)
	c.into(t, &verdict, "validate_change", `{"changes":[{"entry":"ops/other",`+note("Other", "See [there](ops/nope) for it.")+`,"links":[{"relation":"explains","target":"ops/nope"}]}]}`)
	require.Equal(t, "block", verdict.Verdict, "%+v", verdict)
	refused(t, c, "get_knowledge", `{"entry":"ops/other"}`, "no entry")

	gone := do(t, c, "propose_change", `{"changes":[{"entry":"ops/disk","delete":true}],"reason":"not needed"}`)
	require.Equal(t, postgres.ChangePublished, gone.State)
	refused(t, c, "get_knowledge", `{"entry":"ops/disk"}`, "ops/disk was deleted at")
	refused(t, c, "get_knowledge", `{"entry":"ops/disk","revision":6}`, "is its deletion")
	refused(t, c, "get_knowledge", `{"entry":"ops/disk","revision":7}`, "has no revision 7: the last is 6")
	refused(t, c, "get_knowledge", `{"entry":"nope/disk"}`, `no space "nope". There are: ops`)
	refused(t, c, "get_knowledge", `{"entry":"ops/nope"}`, `no entry "ops/nope". Find it with search_knowledge`)
	refused(t, c, "propose_change", `{"changes":[{"entry":"ops/a"},{"entry":"dev/b"}]}`, "a change set is for one space")
	refused(t, c, "review_change", `{"change":"`+gone.ID+`","action":"approve"}`, "is published already")
	for _, tool := range []string{"get_knowledge", "knowledge_history"} {
		refused(t, thief, tool, `{"entry":"ops/disk"}`, "has no space that you may see")
	}
	refused(t, thief, "knowledge_history", `{"change":"`+second.ID+`"}`, "no change set")
	refused(t, thief, "review_change", `{"change":"`+second.ID+`","action":"withdraw"}`, "no change set")
	refused(t, thief, "get_workflow", `{"id":"`+second.Workflow+`"}`, "no workflow")
}

func reviewOverMCP(t *testing.T, c, colleague *client) {
	waits := do(t, c, "propose_change", `{"changes":{"entry":"reviewed/one",`+note("One", "The first line.\n\nThe middle.\n\nThe last line.")+`}}`)
	require.Equal(t, []any{postgres.ChangeInReview, 0, 1}, []any{waits.State, waits.Approvals, waits.Needed})
	require.Contains(t, waits.Next, "waits for 1 approval: review_change")
	refused(t, c, "get_knowledge", `{"entry":"reviewed/one"}`, "no entry")
	refused(t, c, "review_change", `{"change":"`+waits.ID+`","action":"approve"}`, "does not approve it")
	amended := do(t, c, "review_change", `{"change":"`+waits.ID+`","action":"amend","changes":{"entry":"reviewed/one",`+note("One", "The first line.\n\nIn between.\n\nThe last line.")+`}}`)
	require.Equal(t, postgres.ChangeInReview, amended.State)
	published := do(t, colleague, "review_change", `{"change":"`+waits.ID+`","action":"approve","note":"good"}`)
	require.Equal(t, postgres.ChangePublished, published.State, "%+v", published)
	require.Equal(t, "good", published.Reviews[0].Note)

	rejected := do(t, c, "propose_change", `{"changes":{"entry":"reviewed/two",`+note("Two", "Something else entirely.")+`}}`)
	rejected = do(t, colleague, "review_change", `{"change":"`+rejected.ID+`","action":"reject","note":"no source"}`)
	require.Equal(t, postgres.ChangeRejected, rejected.State)
	require.Contains(t, rejected.Why, "no source")

	// Two change the same line, and a third another one.
	edit := func(old, new string) tools.Change {
		return do(t, c, "propose_change", `{"changes":{"entry":"reviewed/one","base":1,"replace":[{"old":"`+old+`","new":"`+new+`"}]}}`)
	}
	ours, theirs, apart := edit("In between.", "Ours."), edit("In between.", "Theirs."), edit("The last line.", "The very last line.")
	approve := func(ch tools.Change) tools.Change {
		return do(t, colleague, "review_change", `{"change":"`+ch.ID+`","action":"approve"}`)
	}
	require.Equal(t, postgres.ChangePublished, approve(theirs).State)
	merged := approve(apart)
	require.Equal(t, postgres.ChangePublished, merged.State)
	require.True(t, merged.Entries[0].Merged)
	conflicted := approve(ours)
	require.Equal(t, postgres.ChangeConflicted, conflicted.State, "%+v", conflicted)
	require.Len(t, conflicted.Conflicts, 1)
	require.Equal(t, []string{"Ours.\n", "Theirs.\n"}, []string{conflicted.Conflicts[0].Ours, conflicted.Conflicts[0].Theirs})
	refused(t, c, "resolve_conflict", `{"change":"`+ours.ID+`","entry":"reviewed/two","take":"ours"}`, "no open conflict")
	refused(t, c, "resolve_conflict", `{"change":"`+ours.ID+`","entry":"reviewed/one"}`, "without a choice")
	path := string(must(json.Marshal(conflicted.Conflicts[0].Path)))
	resolved := do(t, c, "resolve_conflict", `{"change":"`+ours.ID+`","entry":"reviewed/one","choices":[{"path":`+path+`,"text":"Both.\n"}]}`)
	require.Equal(t, postgres.ChangeInReview, resolved.State, "%+v", resolved)
	require.Equal(t, postgres.ChangePublished, approve(ours).State)
	var e tools.Entry
	c.into(t, &e, "get_knowledge", `{"entry":"reviewed/one"}`)
	require.Equal(t, "# One\n\nThe first line.\n\nBoth.\n\nThe very last line.\n", e.Body)

	withdrawn := do(t, c, "propose_change", `{"changes":{"entry":"reviewed/three",`+note("Three", "Yet another thing.")+`}}`)
	withdrawn = do(t, c, "review_change", `{"change":"`+withdrawn.ID+`","action":"withdraw","note":"mistake"}`)
	require.Equal(t, []string{postgres.ChangeWithdrawn, "withdrawn: mistake"}, []string{withdrawn.State, withdrawn.Why})
}
