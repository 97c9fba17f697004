package tools

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

func TestDrafts(t *testing.T) {
	var l draftList
	require.NoError(t, l.parse([]byte(`{"entry":"ops/db/restore","replace":[{"old":"5 s","new":"10 s"}],"links":[{"relation":"explains","target":"pattern:default/p1"}],"valid_to":"2027-01-01T00:00:00Z"}`)))
	require.Len(t, l, 1)
	base := knowledge.Document{Schema: "runbook", Title: "Restore", Body: "Wait 5 s.\n", Metadata: map[string]any{"severity": "high"}}
	got, err := l[0].over(base)
	require.NoError(t, err)
	require.Equal(t, knowledge.Document{
		Schema: "runbook", Title: "Restore", Body: "Wait 10 s.\n", Metadata: map[string]any{"severity": "high"},
		Links: []knowledge.Link{{Relation: "explains", Target: "pattern:default/p1"}},
	}, got, "what is left out stays")
	require.Equal(t, "Wait 5 s.\n", base.Body)
	for _, r := range []struct{ body, want string }{{"Wait.", `the body has no "5 s" to replace`}, {"5 s or 5 s", `has "5 s" 2 times`}} {
		_, err = l[0].over(knowledge.Document{Body: r.body})
		require.ErrorContains(t, err, r.want)
	}
	require.NoError(t, l.parse([]byte(`[{"entry":"a/b","type":"note","title":"T","body":"B","metadata":{"n":1.50}},{"entry":"a/c","delete":true,"base":3}]`)))
	require.Len(t, l, 2)
	got, err = l[0].over(knowledge.Document{})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"n": json.Number("1.50")}, got.Metadata, "numbers as they were written")
	require.Equal(t, 3, *l[1].Base)

	for text, want := range map[string]string{
		`"a"`:                                     "must be an array of objects with entry, base, delete",
		`[1]`:                                     "entry 1: must be an object",
		`[{"entry":"a/b"},{}]`:                    `entry 2: "" is no address of an entry: want space/slug`,
		`[{"entry":"a/b"},{"entry":"a/b"}]`:       "names a/b twice",
		`{"entry":"a/B c"}`:                       `"a/B c" is no address of an entry: a slug is`,
		`{"entry":"a"}`:                           "want space/slug",
		`{"entry":"a/b","titel":"x"}`:             `unknown member "titel": did you mean "title"?`,
		`{"entry":"a/b","frobnicate":1}`:          `unknown member "frobnicate": there are entry, base`,
		`{"entry":"a/b","title":7}`:               `"title" must not be a number`,
		`{"entry":"a/b","base":-1}`:               `"base" is the number of a revision`,
		`{"entry":"a/b","body":"x\u0000"}`:        `"body" holds a NUL byte`,
		`{"entry":"a/b","body":"x","replace":[]}`: `either "body" or "replace"`,
		`{"entry":"a/b","valid_from":"tomorrow"}`: `"tomorrow" is no time such as`,
		`{"entry":"a/b","valid_from":"2027-01-01T00:00:00Z","valid_to":"2026-01-01T00:00:00Z"}`: `"valid_to" is not after`,
		`[` + strings.Repeat(`{"entry":"a/b"},`, 101) + `{}]`:                                   "names a/b twice",
	} {
		err := new(draftList).parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}
