package search

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// moment2026 is so many hours after the year began.
func moment2026(hours int) time.Time {
	return time.Date(2026, 1, 1, hours, 0, 0, 0, time.UTC)
}

// runbooks is an index of a few entries.
func runbooks(t *testing.T) *Index {
	t.Helper()
	x := New(Options{History: 100})
	for i, e := range []Entry{
		{Space: "ops", Slug: "restore", Type: "runbook", Tags: []string{"db", "Backup"}, Title: "Restore from a backup", Body: "Stop the server. Restore the last backup, then start the server again."},
		{Space: "ops", Slug: "rotate", Type: "runbook", Tags: []string{"security"}, Title: "Rotate keys", Body: "Keys are rotated monthly. No backup is needed."},
		{Space: "ops", Slug: "disks", Type: "note", Tags: []string{"db"}, Title: "Disks", Body: "The disks of the database server fill up when a backup is running. Point-in-time recovery needs space."},
		{Space: "web", Slug: "cdn", Type: "note", Title: "CDN", Body: "A backup of the CDN is the origin server."},
		{Space: "web", Slug: "日本", Type: "note", Title: "復元手順", Body: "データベースのバックアップから復元する。"},
		{Space: "fr", Slug: "sauvegarde", Type: "note", Title: "Les sauvegardes", Body: "Les sauvegardes de la base sont faites chaque nuit, et elles sont gardées pour un mois dans une autre région."},
	} {
		e.Revision, e.RecordedAt = 1, moment2026(i)
		require.NoError(t, x.Put(e))
	}
	return x
}

func slugs(t *testing.T, x *Index, query string, spaces ...string) string {
	t.Helper()
	q, err := ParseQuery(query)
	require.NoError(t, err)
	hits, err := x.Search(Request{Query: q, Spaces: spaces, K: 10, LexicalOnly: true})
	require.NoError(t, err)
	fused, err := x.Search(Request{Query: q, Spaces: spaces, K: 10})
	require.NoError(t, err)
	require.Len(t, fused, len(hits), "likeness changes the order, not what is found")
	var out []string
	for _, h := range hits {
		out = append(out, h.Slug)
	}
	return strings.Join(out, " ")
}

func TestQueries(t *testing.T) {
	t.Parallel()
	x := runbooks(t)
	for query, want := range map[string]string{
		"restoring backups":                  "restore rotate disks",
		`"last backup"`:                      "restore",
		`"backup last"`:                      "",
		`"from a backup"`:                    "restore", // the stop word holds its place, and any word may stand there
		`"backup stop"`:                      "",        // one field ends, and another begins
		"backup -restore":                    "disks rotate",
		`backup -"last backup"`:              "disks rotate",
		"+monthly":                           "rotate",
		"+monthly backup":                    "rotate",
		"title:backup":                       "restore",
		`title:"restore backup"`:             "",
		`title:"restore from a backup"`:      "restore",
		"type:note":                          "disks",
		"type:note type:runbook backup":      "disks restore rotate",
		"tag:db tag:backup":                  "restore",
		"tag:DB backup":                      "disks restore",
		"recov*":                             "disks",
		"zzz*":                               "",
		"backup space:web":                   "",
		"backup after:2026-01-01T02:00:00Z":  "disks",
		"backup before:2026-01-01T01:00:00Z": "restore",
		"after:2026-01-01T01:00:00Z":         "disks rotate", // nothing but filters: the newest first
		"point-in-time":                      "disks",
		"nothing:like this":                  "",
		"what is the":                        "",
		"2026":                               "",
		"":                                   "",
		strings.Repeat("backup ", 3000):      "restore disks rotate",
	} {
		got := slugs(t, x, query, "ops")
		require.ElementsMatch(t, strings.Fields(want), strings.Fields(got), "%.60q", query)
		if strings.HasPrefix(query, "after") || query == "restoring backups" {
			require.Equal(t, want, got)
		}
	}
	require.Equal(t, "日本", slugs(t, x, "復元", "web"))
	require.Equal(t, "日本", slugs(t, x, `"バックアップから"`, "web", "ops"))
	require.Equal(t, "sauvegarde", slugs(t, x, "sauvegarder", "fr"), "the words of a query are stemmed in the languages of what is searched")
	require.Equal(t, "sauvegarde", slugs(t, x, "gardé", "fr", "ops"))
}

func TestQueriesThatAreWrong(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`say "no end`:                   `the phrase "\"no end" is not closed`,
		"after:yesterday":               "after:yesterday: want a date such as 2026-01-31",
		"-type:note":                    "-type: cannot be excluded",
		"\xff":                          "no valid UTF-8",
		strings.Repeat("x", MaxQuery+1): "at most 65536",
	} {
		_, err := ParseQuery(query)
		require.ErrorContains(t, err, want)
	}
	x := runbooks(t)
	_, err := x.Search(Request{K: 0})
	require.ErrorContains(t, err, "want 1 to 1000")
	_, err = x.Search(Request{K: 1, Vector: []float32{1}})
	require.ErrorContains(t, err, "1 components, want 256")
	require.ErrorContains(t, x.Put(Entry{Space: "ops", Slug: "x", Language: "tlh"}), `language "tlh" is not known`)
	require.ErrorContains(t, x.Put(Entry{Space: "ops", Slug: "x", Vector: []float32{1}}), "1 components")
}

// TestWhatMayNotBeReadLeavesNoTrace compares an index of all spaces with one that never had the others: hits, scores and
// completions are the same to the last bit.
func TestWhatMayNotBeReadLeavesNoTrace(t *testing.T) {
	t.Parallel()
	all, alone := New(Options{}), New(Options{})
	m := newMaker(3)
	for i := range 400 {
		e := m.entry([]string{"mine", "secret"}[i%2], i, i, moment2026(i))
		require.NoError(t, all.Put(e))
		if e.Space == "mine" {
			require.NoError(t, alone.Put(e))
		}
	}
	for i := range 60 {
		q, err := ParseQuery(m.text(1+i%7) + []string{"", " bk*", " type:note", ` "` + m.text(2) + `"`}[i%4])
		require.NoError(t, err)
		r := Request{Query: q, Spaces: []string{"mine"}, K: 30, LexicalOnly: i%2 == 0}
		want, err := alone.Search(r)
		require.NoError(t, err)
		got, err := all.Search(r)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	x := New(Options{History: 10})
	put := func(hours int, title string, from, to int) {
		e := Entry{Space: "ops", Slug: "limit", Revision: int64(hours), Title: title, RecordedAt: moment2026(hours)}
		if from > 0 {
			e.ValidFrom = moment2026(from)
		}
		if to > 0 {
			e.ValidTo = moment2026(to)
		}
		require.NoError(t, x.Put(e))
	}
	put(1, "limit ten", 0, 0)
	put(2, "limit twenty", 100, 0)
	put(3, "limit thirty", 200, 300)
	ask := func(recorded, valid int) int64 {
		r := Request{Query: PlainQuery("limit"), Spaces: []string{"ops"}, K: 5}
		if recorded > 0 {
			r.AsOf = moment2026(recorded)
		}
		if valid > 0 {
			r.ValidAt = moment2026(valid)
		}
		hits, err := x.Search(r)
		require.NoError(t, err)
		require.LessOrEqual(t, len(hits), 1)
		if len(hits) == 0 {
			return 0
		}
		return hits[0].Revision
	}
	require.EqualValues(t, []int64{3, 2, 3, 2, 1, 1, 2}, []int64{ask(0, 0), ask(0, 150), ask(0, 250), ask(0, 350), ask(0, 50), ask(1, 150), ask(2, 150)})
	x.Delete("ops", "limit", moment2026(4))
	require.EqualValues(t, []int64{0, 0, 2}, []int64{ask(0, 0), ask(0, 150), ask(3, 150)})
	put(5, "limit forty", 400, 0)
	require.EqualValues(t, 0, ask(0, 150), "what was before it was deleted is no more")
	require.True(t, x.Excise("ops", "limit", 2))
	require.EqualValues(t, 0, ask(3, 150), "the excised version is gone from all moments")
	require.False(t, x.Excise("ops", "limit", 2))
	for term := range x.segments["ops"].terms {
		require.NotEqual(t, "twenti", term, "no word of it is left")
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	x := New(Options{History: 50})
	for i := range 3000 {
		require.NoError(t, x.Put(Entry{Space: "ops", Slug: fmt.Sprint(i % 10), Revision: int64(i), Title: "limit", RecordedAt: moment2026(i)}))
	}
	s := x.segments["ops"]
	require.Less(t, s.docs.len(), 1000)
	r := Request{Query: PlainQuery("limit"), Spaces: []string{"ops"}, K: 100, AsOf: moment2026(2995)}
	hits, err := x.Search(r)
	require.NoError(t, err)
	require.Len(t, hits, 10)
	r.AsOf = moment2026(100)
	_, err = x.Search(r)
	require.ErrorIs(t, err, ErrHistory)
	x.Forget("ops", moment2026(2999))
	r.AsOf = moment2026(2995)
	_, err = x.Search(r)
	require.ErrorIs(t, err, ErrHistory)
}

func TestSnippet(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Words that say nothing of it. ", 20) + "When the disks fill up, restore the last backup and page someone. " + strings.Repeat("More words follow here. ", 20)
	for query, want := range map[string][]string{
		"restoring backups of disk": {"disks", "restore", "backup"},
		`"last backup"`:             {"last", "backup"},
		"rest*":                     {"restore"},
		"absent":                    nil,
	} {
		q, err := ParseQuery(query)
		require.NoError(t, err)
		s := q.Snippet(text, "en", 120)
		require.LessOrEqual(t, len(s.Text), 120)
		require.Contains(t, text, s.Text)
		var got []string
		for _, m := range s.Marks {
			got = append(got, s.Text[m.Start:m.End])
		}
		require.Equal(t, want, got, query)
		require.False(t, strings.HasPrefix(s.Text, " ") || strings.HasSuffix(s.Text, " "))
	}
	s := PlainQuery("復元").Snippet(strings.Repeat("データ", 50)+"から復元する", "", 31)
	require.Contains(t, s.Text, "復元")
	require.Equal(t, Snippet{}, PlainQuery("x").Snippet("", "", 10))
}

func TestOf(t *testing.T) {
	t.Parallel()
	e := Of(knowledge.Document{Schema: "note", Title: "T", Body: "B", Metadata: map[string]any{"tags": []any{"db", 7, "ops"}, "language": "fr"}})
	require.Equal(t, Entry{Type: "note", Title: "T", Body: "B", Tags: []string{"db", "ops"}, Language: "fr"}, e)
}
