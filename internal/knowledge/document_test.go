package knowledge

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHashIsOfCanonicalForm(t *testing.T) {
	a := Document{Schema: "note", Title: "Restart", Body: "# Restart\n\nWait 5 s.\n", Metadata: map[string]any{"b": json.Number("1.0"), "a": []any{"ü", true, nil}}}
	h, text, err := a.Hash()
	require.NoError(t, err)
	require.Equal(t, `{"body":"# Restart\n\nWait 5 s.\n","links":[],"metadata":{"a":["ü",true,null],"b":1},"schema":"note","sources":[],"title":"Restart"}`, string(text))
	b, err := Parse(text)
	require.NoError(t, err)
	again, _, err := b.Hash()
	require.NoError(t, err)
	require.Equal(t, h, again, "reading back keeps the hash")
	parsed, err := ParseHash(h.String())
	require.NoError(t, err)
	require.Equal(t, h, parsed)
	b.Title = "Restart."
	other, _, err := b.Hash()
	require.NoError(t, err)
	require.NotEqual(t, h, other)
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"title":"x","owner":"me"}`: `unknown field "owner"`,
		`{"title":"x"} {}`:           "something after it, at byte 1",
		`{"title":`:                  "unexpected EOF",
		`[]`:                         "cannot unmarshal array",
	} {
		_, err := Parse([]byte(text))
		require.ErrorIs(t, err, ErrDocument, text)
		require.ErrorContains(t, err, want, text)
	}
	_, err := ParseHash("abc")
	require.ErrorContains(t, err, "64 hexadecimal digits")
}

func TestSlugs(t *testing.T) {
	for _, s := range []string{"a", "db/restore-from-backup", "straße_2", "日本語/手順", "v1.2"} {
		require.NoError(t, CheckSlug(s), s)
	}
	for _, s := range []string{"", "Upper", "a b", "/a", "a/", "a//", "a//b", "../a", "a/../b", "a:b", string(make([]byte, 300))} {
		require.Error(t, CheckSlug(s), s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"schema":"note","title":"t","body":"b","metadata":{"n":1e400,"m":{"x":[1,2]}},"links":[{"relation":"r","target":"t"}],"sources":[{"uri":"u"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		h, canon, err := d.Hash()
		if err != nil {
			return
		}
		again, err := Parse(canon)
		require.NoError(t, err)
		back, _, err := again.Hash()
		require.NoError(t, err)
		require.Equal(t, h, back)
	})
}
