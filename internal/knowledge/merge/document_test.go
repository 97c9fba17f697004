package merge

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

func object(t testing.TB, text string) (m map[string]any) {
	v, err := parse(text)
	require.NoError(t, err)
	return v.(map[string]any)
}

func TestJSON(t *testing.T) {
	for name, c := range map[string]struct {
		base, ours, theirs, want string
		conflicts                []Conflict
	}{
		"keys of either side":         {`{"a":1,"b":{"c":1,"d":2}}`, `{"a":2,"b":{"c":1,"d":2}}`, `{"a":1,"b":{"c":3}}`, `{"a":2,"b":{"c":3}}`, nil},
		"the same change twice":       {`{"a":1}`, `{"a":2,"n":{"x":1}}`, `{"a":2.0,"n":{"y":1}}`, `{"a":2,"n":{"x":1,"y":1}}`, nil},
		"the same key":                {`{"a":{"b~/":1}}`, `{"a":{"b~/":2}}`, `{"a":{"b~/":"3"}}`, `{"a":{"b~/":2}}`, []Conflict{{"/a/b~0~1", "1", "2", `"3"`}}},
		"added differently":           {`{}`, `{"a":1}`, `{"a":null}`, `{"a":1}`, []Conflict{{"/a", "", "1", "null"}}},
		"removed against changed":     {`{"a":{"b":1},"c":1}`, `{"c":1}`, `{"a":{"b":2},"c":1}`, `{"c":1}`, []Conflict{{"/a", `{"b":1}`, "", `{"b":2}`}}},
		"removed on both sides":       {`{"a":1,"b":1}`, `{"b":1}`, `{"b":2}`, `{"b":2}`, nil},
		"sets of strings":             {`{"t":["a","b","c"]}`, `{"t":["a","x","b","c"]}`, `{"t":["b","c","y"]}`, `{"t":["x","b","c","y"]}`, nil},
		"additions at the same place": {`{"t":["a"]}`, `{"t":["a","b","c"]}`, `{"t":["n","a","d"]}`, `{"t":["n","a","b","c","d"]}`, nil},
		"lists by element":            {`{"t":[1,{"k":1},3,4,5]}`, `{"t":[0,1,{"k":1},3,4,5]}`, `{"t":[1,{"k":1},3,4,6]}`, `{"t":[0,1,{"k":1},3,4,6]}`, nil},
		"lists that differ":           {`{"t":[1,1]}`, `{"t":[1,2]}`, `{"t":[1,3]}`, `{"t":[1,2]}`, []Conflict{{"/t", "[1,1]", "[1,2]", "[1,3]"}}},
		"a list against an object":    {`{"t":[1]}`, `{"t":{"a":1}}`, `{"t":[2]}`, `{"t":{"a":1}}`, []Conflict{{"/t", "[1]", `{"a":1}`, "[2]"}}},
	} {
		got, conflicts, err := JSON(object(t, c.base), object(t, c.ours), object(t, c.theirs))
		require.NoError(t, err, name)
		text, err := canonical(got)
		require.NoError(t, err)
		require.Equal(t, c.want, text, name)
		require.Equal(t, c.conflicts, conflicts, name)
	}
	_, _, err := JSON(nil, map[string]any{"f": func() {}}, nil)
	require.ErrorContains(t, err, "ours: ")
	got, conflicts, err := JSON(nil, map[string]any{"t": []string{"a"}}, map[string]any{"n": 1})
	require.NoError(t, err)
	require.Empty(t, conflicts)
	require.Equal(t, map[string]any{"t": []any{"a"}, "n": json.Number("1")}, got, "values of Go are taken as the JSON they are")
}

const restore = `# Restore

Stop the writers.

## Steps

1. Take the lock.

Wait for 5 s.

` + "```sh\nrestore --now\n\n# not a heading\n```" + `

2. Give it back.
`

func note(body string) *knowledge.Document {
	return &knowledge.Document{
		Schema: "note", Title: "Restore", Body: body, Metadata: map[string]any{"owner": "ops", "tags": []any{"db"}},
		Links:   []knowledge.Link{{Relation: "explains", Target: "ops/a"}, {Relation: "explains", Target: "ops/b"}},
		Sources: []knowledge.Source{{URI: "https://a.example", Quote: "one"}, {URI: "https://b.example"}},
	}
}

func TestDocumentsMerge(t *testing.T) {
	base, ours, theirs := note(restore), note(strings.Replace(restore, "5 s", "9 s", 1)), note(restore+"\nDone.\n")
	ours.Links = append(ours.Links[:1:1], knowledge.Link{Relation: "explains", Target: "ops/c"})
	theirs.Links = append(theirs.Links, knowledge.Link{Relation: "explains", Target: "ops/d"})
	ours.Sources[0].Hash = "00"
	theirs.Sources[0].RetrievedAt = "2026-11-25T00:00:00Z"
	theirs.Sources = append(theirs.Sources, knowledge.Source{URI: "https://c.example"})
	theirs.Title = "Restore a database"
	base.Metadata["order"], ours.Metadata["order"], theirs.Metadata["order"] = []any{"a", "b"}, []any{"a", "b"}, []any{"b", "a"}
	got, err := Documents(base, ours, theirs)
	require.NoError(t, err)
	require.Empty(t, got.Conflicts)
	require.Equal(t, &knowledge.Document{
		Schema: "note", Title: "Restore a database", Body: strings.Replace(restore, "5 s", "9 s", 1) + "\nDone.\n", Metadata: theirs.Metadata,
		Links: []knowledge.Link{{Relation: "explains", Target: "ops/a"}, {Relation: "explains", Target: "ops/c"}, {Relation: "explains", Target: "ops/d"}},
		Sources: []knowledge.Source{
			{URI: "https://a.example", Quote: "one", Hash: "00", RetrievedAt: "2026-11-25T00:00:00Z"}, {URI: "https://b.example"}, {URI: "https://c.example"},
		},
	}, got.Document)
}

func TestDocumentsConflicts(t *testing.T) {
	base := note(restore)
	ours := note(strings.Replace(strings.Replace(restore, "5 s", "9 s", 1), "--now", "--soon", 1))
	theirs := note(strings.Replace(strings.Replace(restore, "5 s", "7 s", 1), "--now", "--later", 1))
	ours.Title, theirs.Title = "Ours", "Theirs"
	ours.Metadata["owner"] = "db"
	delete(theirs.Metadata, "owner")
	ours.Sources[0].Quote, theirs.Sources[0].Quote = "two", "three"
	theirs.Sources = theirs.Sources[:1]
	ours.Sources[1].Hash = "11"
	want := []Conflict{
		{"title", "Restore", "Ours", "Theirs"},
		{"body:## Steps/2", "Wait for 5 s.\n", "Wait for 9 s.\n", "Wait for 7 s.\n"},
		{"body:## Steps/3", "restore --now\n", "restore --soon\n", "restore --later\n"},
		{"metadata/owner", `"ops"`, `"db"`, ""},
		{"sources/https:~1~1a.example/quote", `"one"`, `"two"`, `"three"`},
		{"sources/https:~1~1b.example", `{"uri":"https://b.example"}`, `{"hash":"11","uri":"https://b.example"}`, ""},
	}
	got, err := Documents(base, ours, theirs)
	require.NoError(t, err)
	require.Equal(t, want, got.Conflicts)
	require.Equal(t, ours, got.Document, "what is not decided says what ours says")

	choices := []Choice{
		{Path: want[0].Path, Take: TakeTheirs},
		{Path: want[1].Path, Take: TakeText, Text: "Wait."},
		{Path: want[2].Path, Take: TakeBase},
		{Path: want[3].Path, Take: TakeTheirs},
		{Path: want[4].Path, Take: TakeText, Text: `"four"`},
		{Path: want[5].Path, Take: TakeTheirs},
	}
	resolved, err := Resolve(base, ours, theirs, choices)
	require.NoError(t, err)
	require.Equal(t, &knowledge.Document{
		Schema: "note", Title: "Theirs", Body: strings.Replace(restore, "Wait for 5 s.", "Wait.", 1), Metadata: map[string]any{"tags": []any{"db"}},
		Links: base.Links, Sources: []knowledge.Source{{URI: "https://a.example", Quote: "four"}},
	}, resolved)

	_, err = Resolve(base, ours, theirs, choices[2:])
	require.ErrorIs(t, err, ErrUnresolved)
	require.ErrorContains(t, err, "title, body:## Steps/2")
	for text, wrong := range map[string]Choice{
		`no conflict at "schema"`:                {Path: "schema", Take: TakeOurs},
		"title is chosen twice":                  choices[0],
		`want base, ours, theirs or text`:        {Path: "title", Take: "mine"},
		"the text for metadata/owner is no JSON": {Path: "metadata/owner", Take: TakeText, Text: "nobody"},
		"cannot unmarshal number":                {Path: want[4].Path, Take: TakeText, Text: "4"},
	} {
		list := append([]Choice{}, choices...)
		for i := range list {
			if list[i].Path == wrong.Path && list[i] != wrong {
				list = append(list[:i], list[i+1:]...)
				break
			}
		}
		_, err := Resolve(base, ours, theirs, append(list, wrong))
		require.ErrorIs(t, err, ErrChoice, text)
		require.ErrorContains(t, err, text)
	}
}

func TestOrderOfTheSideThatChangedIt(t *testing.T) {
	base, ours, theirs := note("a\n"), note("b\n"), note("a\n")
	slices.Reverse(theirs.Links)
	slices.Reverse(theirs.Sources)
	got, err := Documents(base, ours, theirs)
	require.NoError(t, err)
	require.Empty(t, got.Conflicts)
	require.Equal(t, theirs.Links, got.Document.Links)
	require.Equal(t, theirs.Sources, got.Document.Sources)
	require.Equal(t, "b\n", got.Document.Body)
}

func TestFilesAreNoConflict(t *testing.T) {
	v := func(front string) *knowledge.Document {
		d := note("a\n")
		d.Metadata[knowledge.FileKey] = map[string]any{"front_matter": front}
		return d
	}
	got, err := Documents(v("a"), v("b"), v("c"))
	require.NoError(t, err)
	require.Equal(t, Result{Document: v("b")}, got)
	got, err = Documents(v("a"), v("a"), v("c"))
	require.NoError(t, err)
	require.Equal(t, Result{Document: v("c")}, got)
	changed := v("a")
	changed.Title = "x"
	got, err = Documents(v("a"), changed, v("c"))
	require.NoError(t, err)
	require.Empty(t, got.Conflicts)
	require.Equal(t, map[string]any{"front_matter": "c"}, got.Document.Metadata[knowledge.FileKey])
}

func TestDeletionAgainstChange(t *testing.T) {
	base, changed := note("a\n"), note("b\n")
	text := func(d *knowledge.Document) string {
		out, err := d.Canonical()
		require.NoError(t, err)
		return string(out)
	}
	for name, c := range map[string]struct {
		base, ours, theirs, want *knowledge.Document
		conflicts                []Conflict
	}{
		"deleted here":             {base, nil, base, nil, nil},
		"deleted there":            {base, base, nil, nil, nil},
		"deleted twice":            {base, nil, nil, nil, nil},
		"made here":                {nil, base, nil, base, nil},
		"made twice, alike":        {nil, base, base, base, nil},
		"deleted here, changed":    {base, nil, changed, nil, []Conflict{{"document", text(base), "", text(changed)}}},
		"changed, deleted there":   {base, changed, nil, changed, []Conflict{{"document", text(base), text(changed), ""}}},
		"made twice, in two words": {nil, base, changed, base, []Conflict{{"body:/1", "", "a\n", "b\n"}}},
	} {
		got, err := Documents(c.base, c.ours, c.theirs)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got.Document, name)
		require.Equal(t, c.conflicts, got.Conflicts, name)
	}
	got, err := Resolve(base, nil, changed, []Choice{{Path: "document", Take: TakeTheirs}})
	require.NoError(t, err)
	require.Equal(t, changed, got)
	got, err = Resolve(base, changed, nil, []Choice{{Path: "document", Take: TakeTheirs}})
	require.NoError(t, err)
	require.Nil(t, got)
}

// TestPathsAreDifferent puts several conflicts into one block, and headings that look like the second of a path.
func TestPathsAreDifferent(t *testing.T) {
	base := "# A\n\na\nx\nx\nb\nx\nx\nc\n\n# A/1~2\n\nd\n"
	change := func(by string) *knowledge.Document {
		return note(strings.NewReplacer("a\n", "a"+by, "b\n", "b"+by, "c\n", "c"+by, "d\n", "d"+by, "1~2\n", "1~2"+by).Replace(base))
	}
	got, err := Documents(note(base), change("1\n"), change("2\n"))
	require.NoError(t, err)
	paths := []string{}
	for _, c := range got.Conflicts {
		paths = append(paths, c.Path)
	}
	require.Equal(t, []string{"body:# A/1", "body:# A/1~2", "body:# A/1~3", "body:# A/1~2~2", "body:# A/1~2/1"}, paths)
}
