package server_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search/synth"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
)

func doc(title, body string, links ...knowledge.Link) *knowledge.Document {
	return &knowledge.Document{Schema: "note", Title: title, Body: body, Links: links}
}

// TestARestrictedSpaceIsNotThere asks as one who is no member of a restricted space: every tool answers byte for byte what it answers
// in a workspace that has no such space.
func TestARestrictedSpaceIsNotThere(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	var answers [2][]string
	for i, hidden := range []bool{false, true} {
		admin := k.db.Workspace(t, fmt.Sprintf("w%d", i))
		viewer := k.db.Member(t, admin.WorkspaceID, access.Reviewer)
		k.learn(t, admin, "default", time.Now().Add(-time.Hour), sample...)
		open := k.db.Space(t, admin, "ops")
		for n, text := range []string{"Restart the collector when the disk is full.", "Rotate the keys of the collector each month.", "The disk of the archive is slow."} {
			k.db.Publish(t, admin, open, fmt.Sprintf("e%d", n), doc(fmt.Sprintf("Entry %d", n), text))
		}
		if hidden {
			var list struct{ Patterns []struct{ ID string } }
			k.client(t, admin, true).into(t, &list, "list_patterns", `{"query":"disk"}`)
			secret := k.db.Space(t, admin, "secret", func(s *postgres.Space) { s.Restricted = true })
			for n := range 20 {
				k.db.Publish(t, admin, secret, fmt.Sprintf("s%d", n), doc("Secret disk", "The disk and the collector: a secret about the zebra.",
					knowledge.Link{Relation: "explains", Target: "ops/e0"}, knowledge.Link{Relation: "explains", Target: "pattern:default/" + list.Patterns[0].ID}))
			}
			var found tools.Found
			k.client(t, admin, true).into(t, &found, "search_knowledge", `{"query":"zebra"}`)
			require.Len(t, found.Results, 8, "its members find it")
		}
		c := k.client(t, viewer, true)
		for _, call := range [][2]string{
			{"search_knowledge", `{"query":"disk collector"}`},
			{"search_knowledge", `{"query":"zebra"}`},
			{"search_knowledge", `{"query":"space:secret disk"}`},
			{"search_knowledge", `{"query":"zeb*"}`},
			{"search_knowledge", `{"query":"disk","as_of":"1h"}`},
			{"search", `{"query":"secret disk"}`},
			{"fetch", `{"id":"secret/s0"}`},
			{"get_knowledge", `{"entry":"secret/s0"}`},
			{"get_knowledge", `{"entry":"ops/e0"}`},
			{"knowledge_history", `{"entry":"secret","view":"list"}`},
			{"knowledge_history", `{"entry":"secret","view":"tags"}`},
			{"knowledge_history", `{"entry":"ops","view":"tags"}`},
			{"knowledge_history", `{"view":"changes"}`},
			{"knowledge_history", `{"entry":"ops","view":"list"}`},
			{"recognize", `{"lines":["disk sda1 is full"],"detail":"summary"}`},
			{"validate_change", `{"changes":{"entry":"secret/s0","title":"x"}}`},
			{"validate_change", `{"changes":{"entry":"ops/new","type":"note","title":"Zebra","body":"The disk and the collector: a secret about the zebra."}}`},
		} {
			r := c.tool(t, call[0], call[1])
			answers[i] = append(answers[i], mask(call[0]+" "+call[1]+"\n"+r.Content[0].Text+"\n"+string(r.Structured)))
		}
		a := c.call(t, "resources/read", `"uri":"tartan://knowledge/secret/s0"`, "tartan://knowledge/secret/s0")
		require.NotNil(t, a.Error)
		answers[i] = append(answers[i], a.Error.Message)
	}
	require.Equal(t, answers[0], answers[1])
}

var masked = []*regexp.Regexp{
	regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}`), regexp.MustCompile(`\b[0-9a-f]{64}\b`), regexp.MustCompile(`\bw[01]\b`),
	regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z`),
}

// mask takes out ids, hashes and times, which differ between workspaces anyway.
func mask(text string) string {
	for _, form := range masked {
		text = form.ReplaceAllString(text, "_")
	}
	return text
}

// TestSubscribersAreToldOfPublications subscribes to an entry in both eras: what is published is told to those who see it.
func TestSubscribersAreToldOfPublications(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	admin := k.db.Workspace(t, "one")
	open := k.db.Space(t, admin, "ops")
	k.db.Publish(t, admin, open, "disk", doc("Disk", "The first text."))
	const uri = "tartan://knowledge/ops/disk"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	modern := k.client(t, admin, true)
	lines := stream(t, modern.request(t, ctx, http.MethodPost, modern.message("subscriptions/listen", `"notifications":{"resourceSubscriptions":["`+uri+`"]}`), "subscriptions/listen", ""))
	legacy := k.client(t, admin, false)
	old := stream(t, legacy.request(t, ctx, http.MethodGet, "", "", ""))
	require.Nil(t, legacy.call(t, "resources/subscribe", `"uri":"`+uri+`"`, "").Error)
	told := func(from <-chan string, want string) {
		t.Helper()
		select {
		case got := <-from:
			require.Contains(t, got, want)
		case <-time.After(10 * time.Second):
			require.Fail(t, "not told of "+want)
		}
	}
	told(lines, "acknowledged")
	k.db.Publish(t, admin, open, "other", doc("Other", "Nothing to do with it."))
	k.db.Publish(t, admin, open, "disk", doc("Disk", "The second text."))
	told(lines, uri)
	told(old, uri)
}

// TestSearchFollows searches what was published a moment ago and what was there before, and reads what it waits for.
func TestSearchFollows(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	admin := k.db.Workspace(t, "one")
	c := k.client(t, admin, true)
	open := k.db.Space(t, admin, "ops")
	var found tools.Found
	c.into(t, &found, "search_knowledge", `{"query":"anything"}`)
	require.Empty(t, found.Results)
	before := time.Now().UTC()
	for n := range 20 {
		slug, word := fmt.Sprintf("e%d", n%7), fmt.Sprintf("word%c", 'a'+n)
		k.db.Publish(t, admin, open, slug, doc("Entry "+slug, "It says "+word+" and no more."))
		require.Eventually(t, func() bool {
			c.into(t, &found, "search_knowledge", `{"query":"`+word+`"}`)
			return len(found.Results) == 1 && found.Results[0].Entry == "ops/"+slug
		}, 10*time.Second, time.Millisecond)
	}
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, admin, func(tx pgx.Tx) error {
		rows, err := postgres.History(t.Context(), tx, open.ID, "e0", 0, 10)
		require.NoError(t, err)
		at := rows[len(rows)-1].RecordedAt
		c.into(t, &found, "search_knowledge", `{"query":"worda","as_of":"`+at.Format(time.RFC3339Nano)+`"}`)
		require.Len(t, found.Results, 1, "as it was")
		require.Equal(t, 1, found.Results[0].Revision)
		return nil
	}))
	c.into(t, &found, "search_knowledge", `{"query":"worda"}`)
	require.Empty(t, found.Results)
	c.into(t, &found, "search_knowledge", `{"query":"worda","as_of":"`+before.Add(-time.Hour).Format(time.RFC3339)+`"}`)
	require.Empty(t, found.Results)
	k.db.Publish(t, admin, open, "e1", nil)
	require.Eventually(t, func() bool {
		c.into(t, &found, "search_knowledge", `{"query":"entry","limit":50}`)
		return len(found.Results) == 6
	}, 10*time.Second, time.Millisecond)
	for args, want := range map[string]string{
		`{"query":"\"open"}`: "is not closed", `{"query":"x","limit":51}`: "from 1 to 50", `{"query":"x","after_change":"y"}`: "no change set", `{}`: `needs the argument "query"`,
	} {
		refused(t, c, "search_knowledge", args, want)
	}
}

// BenchmarkSearchKnowledge searches over HTTP, one call at a time: the caller's spaces, the index, and the texts of eight hits.
func BenchmarkSearchKnowledge(b *testing.B) {
	k := newStack(b)
	admin := k.db.Workspace(b, "bench")
	open := k.db.Space(b, admin, "ops")
	words := []string{"disk", "collector", "archive", "restart", "rotate", "backup", "replica", "token", "queue", "lease", "certificate"}
	for n := range 300 {
		text := ""
		for i := range 120 {
			text += words[(n*7+i*(n%5+1))%len(words)] + " "
		}
		k.db.Publish(b, admin, open, fmt.Sprintf("e%d", n), doc(fmt.Sprintf("Entry %d", n), text))
	}
	c := k.client(b, admin, true)
	body := []byte(c.message("tools/call", `"name":"search_knowledge","arguments":{"query":"restart the collector after a backup"}`))
	p := &poster{url: k.url, headers: c.request(b, b.Context(), http.MethodPost, "", "tools/call", "search_knowledge").Header, client: http.DefaultClient}
	answer, err := p.post(body)
	require.NoError(b, err)
	require.Contains(b, string(answer), "**collector**")
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := p.post(body); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkFindable publishes an entry and asks over HTTP until it is found, beside TARTAN_SEARCH_ENTRIES others, 300 unless set.
func BenchmarkFindable(b *testing.B) {
	n := 300
	if s := os.Getenv("TARTAN_SEARCH_ENTRIES"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(b, err)
	}
	k := newStack(b)
	admin := k.db.Workspace(b, "bench")
	open := k.db.Space(b, admin, "ops")
	m := synth.New(nil, 1)
	for i := range n {
		e := m.Entry("ops", i)
		k.db.Publish(b, admin, open, e.Slug, doc(e.Title, e.Body))
	}
	c := k.client(b, admin, true)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		slug, word := fmt.Sprintf("new-%d", i), fmt.Sprintf("number%dth", i)
		k.db.Publish(b, admin, open, slug, doc("New", "It says "+word+"."))
		begun := time.Now()
		var found tools.Found
		for len(found.Results) == 0 {
			found = tools.Found{}
			c.into(b, &found, "search_knowledge", `{"query":"`+word+`"}`)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
}

// TestTagsAreListed lists the named snapshots of a space.
func TestTagsAreListed(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	admin := k.db.Workspace(t, "one")
	open := k.db.Space(t, admin, "ops")
	k.db.Publish(t, admin, open, "disk", doc("Disk", "The first text."))
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, admin, func(tx pgx.Tx) error {
		_, err := postgres.CreateTag(t.Context(), tx, open, "v1", "as audited", admin.UserID)
		return err
	}))
	var h tools.History
	k.client(t, admin, true).into(t, &h, "knowledge_history", `{"entry":"ops","view":"tags"}`)
	require.Len(t, h.Tags, 1)
	require.Equal(t, []any{"v1", 1, "as audited"}, []any{h.Tags[0].Tag, h.Tags[0].Entries, h.Tags[0].Note})
}
