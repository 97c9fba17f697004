package merge

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

func TestLines(t *testing.T) {
	for _, c := range [][4]string{
		{"a\nb\nc\n", "a\nb\nc\nd\n", "0\na\nb\nc\n", "0\na\nb\nc\nd\n"},
		{"a\nb\nc", "a\nb\nc", "a\nc", "a\nc"},
		{"", "x", "x", "x"},
		{"a\n", "", "", ""},
		{"a\nb\nc\nd\n", "a\nX\nc\nd\n", "a\nX\nc\nY\n", "a\nX\nc\nY\n"},
	} {
		got := Lines(c[0], c[1], c[2])
		require.True(t, got.Clean())
		require.Equal(t, c[3], got.String())
	}
	got := Lines("a\nb\nc\n", "a\nB\nc\n", "a\nb\nC")
	require.Equal(t, Text{{Text: "a\n"}, {Conflict: true, Base: "b\nc\n", Ours: "B\nc\n", Theirs: "b\nC", Line: 1}}, got, "changes that touch are a conflict")
	require.Equal(t, "a\nB\nc\n", got.String())
	require.Equal(t, "a\n<<<<<<< ours\nB\nc\n||||||| base\nb\nc\n=======\nb\nC\n>>>>>>> theirs\n", got.Marked())
}

func TestDiff(t *testing.T) {
	a, b := note("a\nb\n"), note("a\nc")
	b.Metadata = map[string]any{"owner": map[string]any{"name": "x"}, "tags": []string{"db"}}
	b.Links[1].Target = "ops/z"
	b.Sources = append(b.Sources, b.Sources[1])
	got, err := Diff(a, b)
	require.NoError(t, err)
	require.Equal(t, Difference{
		Body: "@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n",
		Fields: []Change{
			{"links/explains/ops~1b", `{"relation":"explains","target":"ops/b"}`, ""},
			{"links/explains/ops~1z", "", `{"relation":"explains","target":"ops/z"}`},
			{"metadata/owner", `"ops"`, ""},
			{"metadata/owner/name", "", `"x"`},
			{"sources/https:~1~1b.example~2", "", `{"uri":"https://b.example"}`},
		},
	}, got)
	none, err := Diff(a, a)
	require.NoError(t, err)
	require.True(t, none.Empty())
	gone, err := Diff(&knowledge.Document{Title: "x", Body: "a\n"}, nil)
	require.NoError(t, err)
	require.Equal(t, Difference{Body: "@@ -1 +0,0 @@\n-a\n", Fields: []Change{{"schema", `""`, ""}, {"title", `"x"`, ""}}}, gone)
}

func TestBlame(t *testing.T) {
	v := func(owner, body string) *knowledge.Document {
		return &knowledge.Document{Schema: "note", Title: "T", Body: body, Metadata: map[string]any{"owner": owner}}
	}
	all := []Revision{
		{1, nil, v("a", "one\ntwo\nthree\n")},
		{2, []int{1}, v("a", "one\nthree\n")},
		{3, []int{2}, v("b", "one\ntwo\nthree\n")},
		{4, []int{2}, v("c", "one\nthree\nfour\n")},
		{5, []int{3, 4}, v("c", "one\ntwo\nthree\nfour\nfive\n")},
		{6, []int{5}, nil},
		{7, []int{6}, v("c", "one\n")},
	}
	got, err := Blame(all, 5)
	require.NoError(t, err)
	require.Equal(t, []int{1, 3, 1, 4, 5}, got.Lines, "a restored line is of the revision that restored it")
	require.Equal(t, map[string]int{"schema": 1, "title": 1, "metadata/owner": 4}, got.Fields)
	got, err = Blame(all, 7)
	require.NoError(t, err)
	require.Equal(t, []int{7}, got.Lines)
	_, err = Blame(all[1:], 3)
	require.ErrorContains(t, err, "revision 1 is not among those given")
	_, err = Blame([]Revision{{1, []int{1}, nil}}, 1)
	require.ErrorContains(t, err, "which is not older")
}

func FuzzLines(f *testing.F) {
	for _, s := range [][3]string{{"a\nb\n", "a\n", "a\nb\nc"}, {"", "\n\n", "\r\n"}, {"}\n\n}\n\n}\n", "}\n\n}\n", "\n}\n\n}"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, base, ours, theirs string) {
		one, other := Lines(base, ours, theirs), Lines(base, theirs, ours)
		require.Equal(t, one.Clean(), other.Clean(), "the sides may be exchanged")
		if one.Clean() {
			require.Equal(t, one.String(), other.String())
		}
		b, o, t2 := "", "", ""
		for i, p := range one {
			require.False(t, i > 0 && p.Conflict == one[i-1].Conflict, "parts take turns")
			b, o, t2 = b+p.Base, o+p.Ours, t2+p.Theirs
		}
		require.LessOrEqual(t, len(b), len(base))
		require.LessOrEqual(t, len(o), len(ours))
		require.LessOrEqual(t, len(t2), len(theirs))
		for _, c := range [][4]string{{base, base, ours, ours}, {base, ours, base, ours}, {base, ours, ours, ours}} {
			same := Lines(c[0], c[1], c[2])
			require.True(t, same.Clean())
			require.Equal(t, c[3], same.String())
		}
		// The script leads from one text to the other.
		old, now := markdown.Lines(base), markdown.Lines(ours)
		var back strings.Builder
		at, to := 0, 0
		for _, h := range differences(old, now) {
			require.True(t, slices.Equal(old[at:h.a], now[to:h.b]))
			back.WriteString(strings.Join(now[to:h.b+h.ins], ""))
			at, to = h.a+h.del, h.b+h.ins
		}
		require.True(t, slices.Equal(old[at:], now[to:]))
		require.Equal(t, ours, back.String()+strings.Join(now[to:], ""))
	})
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"title":"a","body":"x\n","metadata":{"a":[1,2],"b":{"c":1}},"links":[{"relation":"r","target":"t"}],"sources":[{"uri":"u"},{"uri":"u"}]}`),
		[]byte(`{"title":"b","body":"y\n","metadata":{"a":[1,2,2],"b":1}}`), []byte(`{"title":"c","metadata":{"a":[],"b":{"c":2}},"sources":[{"uri":"u","hash":"1"}]}`))
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		base, err1 := knowledge.Parse(one)
		ours, err2 := knowledge.Parse(two)
		theirs, err3 := knowledge.Parse(three)
		if err1 != nil || err2 != nil || err3 != nil {
			return
		}
		got, err := Documents(&base, &ours, &theirs)
		if err != nil {
			return
		}
		for _, side := range [][3]*knowledge.Document{{&base, &base, &ours}, {&base, &ours, &base}, {&base, &ours, &ours}} {
			same, err := Documents(side[0], side[1], side[2])
			require.NoError(t, err)
			require.Empty(t, same.Conflicts)
			want, _, err := ours.Hash()
			require.NoError(t, err)
			have, _, err := same.Document.Hash()
			require.NoError(t, err)
			require.Equal(t, want, have, "what one side changed, or both alike, is the merge")
		}
		choices := make([]Choice, len(got.Conflicts))
		for i, c := range got.Conflicts {
			choices[i] = Choice{Path: c.Path, Take: TakeOurs}
		}
		resolved, err := Resolve(&base, &ours, &theirs, choices)
		require.NoError(t, err)
		want, _, err := got.Document.Hash()
		require.NoError(t, err)
		have, _, err := resolved.Hash()
		require.NoError(t, err)
		require.Equal(t, want, have, "a result holds ours where there is a conflict")
		_, err = Diff(&base, resolved)
		require.NoError(t, err)
	})
}

func BenchmarkLines(b *testing.B) {
	r := newSeed(b)
	for name, size := range map[string]int{"25": 25, "1000": 1000} {
		lines := randomLines(r, size, 400)
		base := strings.Join(lines, "")
		ours, theirs := strings.Join(edited(r, lines, 3, 400), ""), strings.Join(edited(r, lines, 3, 400), "")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(base) + len(ours) + len(theirs)))
			for b.Loop() {
				Lines(base, ours, theirs)
			}
		})
	}
}

func BenchmarkDocuments(b *testing.B) {
	base, ours, theirs := note(restore), note(strings.Replace(restore, "5 s", "9 s", 1)), note(restore+"\nDone.\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Documents(base, ours, theirs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBlame(b *testing.B) {
	r := newSeed(b)
	lines := randomLines(r, 200, 400)
	var all []Revision
	for n := 1; n <= 100; n++ {
		rev := Revision{Number: n, Document: &knowledge.Document{Body: strings.Join(lines, "")}}
		if n > 1 {
			rev.Parents = []int{n - 1}
		}
		all = append(all, rev)
		lines = edited(r, lines, 2, 400)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Blame(all, len(all)); err != nil {
			b.Fatal(err)
		}
	}
}
