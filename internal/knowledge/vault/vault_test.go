package vault

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

var opts = Options{Space: "ops", Schemas: []string{"runbook"}}

// stored is a document as it comes back from where documents are kept.
func stored(t testing.TB, d knowledge.Document) knowledge.Document {
	text, err := d.Canonical()
	require.NoError(t, err)
	out, err := knowledge.Parse(text)
	require.NoError(t, err)
	return out
}

// roundTrip brings a folder in, through the canonical form and out, and wants every byte back.
func roundTrip(t testing.TB, files map[string][]byte) Vault {
	v, err := Import(files, opts)
	require.NoError(t, err)
	entries := make([]Entry, len(v.Entries))
	for i, e := range v.Entries {
		entries[i] = Entry{e.Slug, stored(t, e.Document)}
	}
	out, err := Export(entries, v.Kept, opts)
	require.NoError(t, err)
	for _, n := range v.Refused {
		out[n.Path] = files[n.Path]
	}
	require.Len(t, out, len(files))
	for path, content := range files {
		require.Equal(t, string(content), string(out[path]), path)
	}
	return v
}

func folder(files map[string]string) map[string][]byte {
	out := map[string][]byte{}
	for path, text := range files {
		out[path] = []byte(text)
	}
	return out
}

var sample = map[string]string{
	"index.md":               "# Start\n\nSee [[Restore a database]], [[restore|the steps]], [[DB/Restore#Steps]] and [[later]].\n\n![[disk.png]] ![[Plain]] [me](#start)\n",
	"DB/Restore.md":          "---\ntitle: Restore a database\ntype: runbook # known\ntags: db, ops\naliases: [recover]\nreviewed: 2026-11-25\nversion: 1.10\npermalink: db/restore-it\n---\n\n# Steps\n\n- [cause] The disk is full #disk (seen twice)\n- [ ] a task\n- depends on [[Plain]]\n- part of [[index]] (since then)\n- Whoever reads this goes to [[recover]]\n\n`[[not a link]]` #inline #123\n\n```\n[[nor this]] #no\n```\n",
	"DB/Plain.md":            "Back to [restore](Restore.md \"now\") or [start](../index.md#top), [out](../../x.md), [web](https://example.org/a.md).\n[ref]: <Restore.md>\n",
	"crlf.md":                "\ufeff---\r\ntags:\r\n- a\r\n---\r\n# Windows\r\n\r\nno last line feed",
	"broken.md":              "---\na: [1\n---\nbody\n",
	"list.md":                "---\n- a\n---\nbody\n",
	"open.md":                "---\nnever closed\n",
	"empty.md":               "",
	"two/A b.md":             "a\n",
	"two/a-b.md":             "b\n",
	"two/A  B.md":            "c\n",
	"日本語/手順.md":              "本文 #タグ\n",
	"comments.md":            "---\n# above\ntitle: \"Quoted\"   # beside\n\nowner: {name: ops, on: yes}\nbig: 12345678901234567890\n---\ntext\n",
	".obsidian/app.json":     "{}",
	".obsidian/templates.md": "# hidden\n",
	"disk.png":               "\x89PNG\x00",
	"latin.md":               "caf\xe9\n",
	"table.csv":              "a,b\n",
	"Long.MARKDOWN":          "# Long\n",
}

func TestVaultComesBack(t *testing.T) {
	files := folder(sample)
	files["bad\xff.md"] = []byte("x")
	files[".git/config"] = []byte("x")
	files["../up.md"] = []byte("x")
	v := roundTrip(t, files)
	got := map[string]knowledge.Document{}
	for _, e := range v.Entries {
		require.NoError(t, knowledge.CheckSlug(e.Slug), e.Slug)
		got[e.Slug] = e.Document
	}
	require.Equal(t, knowledge.Document{
		Schema: "runbook", Title: "Restore a database", Body: sample["DB/Restore.md"][strings.Index(sample["DB/Restore.md"], "\n# Steps"):],
		Metadata: map[string]any{
			"type": "runbook", "tags": []any{"db", "ops"}, "aliases": []any{"recover"}, "reviewed": "2026-11-25", "version": json.Number("1.1"), "permalink": "db/restore-it",
			"inline_tags":  []any{"disk", "inline"},
			"observations": []any{map[string]any{"category": "cause", "content": "The disk is full #disk", "context": "seen twice"}},
			"_vault":       map[string]any{"path": "DB/Restore.md", "front_matter": sample["DB/Restore.md"][:strings.Index(sample["DB/Restore.md"], "\n# Steps")]},
		},
		Links: []knowledge.Link{{Relation: "depends_on", Target: "ops/db/plain"}, {Relation: "part_of", Target: "ops/index"}}, Sources: []knowledge.Source{},
	}, got["db/restore"])
	require.Equal(t, []knowledge.Link{{Relation: "links_to", Target: "ops/db/restore"}, {Relation: "embeds", Target: "ops/db/plain"}}, got["index"].Links)
	require.Equal(t, []knowledge.Link{{Relation: "links_to", Target: "ops/db/restore"}, {Relation: "links_to", Target: "ops/index"}}, got["db/plain"].Links)
	require.Equal(t, map[string]any{"tags": []any{"a"}, "_vault": map[string]any{"front_matter": "\ufeff---\r\ntags:\r\n- a\r\n---\r\n"}}, got["crlf"].Metadata)
	require.Equal(t, "Windows", got["crlf"].Title)
	require.Equal(t, "12345678901234567890", got["comments"].Metadata["big"], "a number that would be rounded stays as it is written")
	require.Empty(t, got["open"].Metadata)
	require.Equal(t, "open", got["open"].Title)
	require.Equal(t, "b\n", got["two/a-b"].Body, "who is its own slug keeps it")
	require.Equal(t, []any{"タグ"}, got["日本語/手順"].Metadata["inline_tags"])
	require.Len(t, got, 14)
	require.Len(t, v.Kept, 5)
	require.Len(t, v.Refused, 3)
	text := ""
	for _, n := range append(v.Notices, v.Refused...) {
		text += fmt.Sprintf("%q %s\n", n.Path, n.Reason)
	}
	for _, want := range []string{
		`"latin.md" no note: it is not UTF-8`, `"broken.md" the front matter is no YAML object`, `"index.md" the link to "later" leads nowhere`,
		`"DB/Plain.md" the link to "../../x.md" leads nowhere`, `"bad\xff.md" no path of a vault: "bad\xff.md" is not UTF-8: rename the file`, `".git/config" no path of a vault`, `"../up.md" no path`,
	} {
		require.Contains(t, text, want)
	}
}

// TestDeepFrontMatterIsKept tries what takes a YAML parser long, or fills the memory.
func TestDeepFrontMatterIsKept(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	files := map[string]string{"self.md": "---\na: &a [*a]\n---\n", "bomb.md": "---\n" + bomb + "---\n"}
	for i, unit := range []string{"[", "- ", "? ", "{a: "} {
		files[fmt.Sprintf("deep%d.md", i)] = "---\n" + strings.Repeat(unit, 50000) + "\n---\nbody\n"
	}
	files["long.md"] = "---\na: " + strings.Repeat("x", maxFrontMatter) + "\n---\nbody\n"
	v := roundTrip(t, folder(files))
	require.Len(t, v.Notices, len(files))
	for _, n := range v.Notices {
		require.Contains(t, n.Reason, "the front matter ", n.Path)
	}
}

// change brings the sample in, changes an entry, and returns its file.
func change(t *testing.T, slug string, edit func(*knowledge.Document)) string {
	v, err := Import(folder(sample), opts)
	require.NoError(t, err)
	path := ""
	var want knowledge.Document
	for i := range v.Entries {
		if e := &v.Entries[i]; e.Slug == slug {
			e.Document = stored(t, e.Document)
			edit(&e.Document)
			want = stored(t, e.Document)
			f, err := formOf(e.Document)
			require.NoError(t, err)
			if path = f.Path; path == "" {
				path = slug + ".md"
			}
		}
	}
	out, err := Export(v.Entries, v.Kept, opts)
	require.NoError(t, err)
	again, err := Import(out, opts)
	require.NoError(t, err)
	for _, e := range again.Entries {
		if e.Slug == slug {
			got := stored(t, e.Document)
			delete(got.Metadata, fileKey)
			delete(want.Metadata, fileKey)
			require.Equal(t, want, got)
		}
	}
	return string(out[path])
}

func TestChangesTouchTheirLinesAlone(t *testing.T) {
	require.Equal(t, "---\n# above\ntitle: \"Quoted\"   # beside\n\nowner: nobody\nbig: 12345678901234567890\n---\ntext\nmore\n", change(t, "comments", func(d *knowledge.Document) {
		d.Metadata["owner"] = "nobody"
		d.Body += "more\n"
	}))
	require.Equal(t, "---\n# above\ntitle: Other\n\nowner: {name: ops, on: yes}\ntags:\n  - x\n---\ntext\n", change(t, "comments", func(d *knowledge.Document) {
		d.Title = "Other"
		delete(d.Metadata, "big")
		d.Metadata["tags"] = []any{"x"}
	}))
	require.Equal(t, "\ufeff---\r\ntags:\r\n- a\r\ntitle: Linux\r\n---\r\n# Windows\r\n\r\nno last line feed", change(t, "crlf", func(d *knowledge.Document) { d.Title = "Linux" }))
	require.Equal(t, "---\ntartan:\n  links:\n    - relation: explains\n      target: pattern:l/p\n  schema: fact\n  sources:\n    - uri: https://example.org\n---\n# Long\n", change(t, "long", func(d *knowledge.Document) {
		d.Schema = "fact"
		d.Links = []knowledge.Link{{Relation: "explains", Target: "pattern:l/p"}}
		d.Sources = []knowledge.Source{{URI: "https://example.org"}}
	}))
	require.Equal(t, "---\na: [1\n---\nbody\nmore\n", change(t, "broken", func(d *knowledge.Document) { d.Body += "more\n" }), "what is no YAML stays as it is")
}

// TestAnyDocumentHasAFile writes documents that no vault made.
func TestAnyDocumentHasAFile(t *testing.T) {
	for name, d := range map[string]knowledge.Document{
		"nothing":                  {},
		"a body that looks so":     {Schema: "note", Title: "a", Body: "---\nb: c\n---\n"},
		"a byte order mark":        {Schema: "note", Title: "a", Body: byteOrderMark + "b"},
		"keys that mean something": {Schema: "runbook", Title: " a ", Body: "#b\n", Metadata: map[string]any{"title": "x", "tartan": "y", "tags": "a, b", "type": "runbook", "inline_tags": []any{"z"}}},
		"values of every kind": {Schema: "note", Title: "2026-11-25", Metadata: map[string]any{
			"a": nil, "b": true, "c": json.Number("1e+21"), "d": json.Number("123456789012345680000"), "e": json.Number("-0.5"), "f": "true", "g": "1", "h": "a\nb\r\n---\n\x01\u2028\u0085😀\x7f", "i": []any{}, "j": map[string]any{},
			"k": map[string]any{"": []any{[]any{"---"}, "- x", "2026-11-25", "2026-13-45", "~", "", " "}}, "l\n": "<<", "<<": "m", "n": json.Number("0"),
		}},
		"links and sources": {Schema: "note", Title: "a", Body: "[[it]] - [x] [[b]]\n", Links: []knowledge.Link{{Relation: "r", Target: "t"}}, Sources: []knowledge.Source{{URI: "u", Hash: "h", Quote: "q\n", RetrievedAt: "2026-11-25T00:00:00Z"}}},
	} {
		d = stored(t, d)
		files, err := Export([]Entry{{"it", d}}, nil, opts)
		require.NoError(t, err, name)
		v, err := Import(files, opts)
		require.NoError(t, err, name)
		require.Equal(t, d, stored(t, v.Entries[0].Document), "%s: %s", name, files["it.md"])
	}
	_, err := Export([]Entry{{"a", knowledge.Document{Metadata: map[string]any{"_vault": "x"}}}}, nil, opts)
	require.ErrorContains(t, err, "the key _vault of the metadata is kept for vaults")
	_, err = Export([]Entry{{"a", knowledge.Document{}}, {"a", knowledge.Document{}}}, nil, opts)
	require.ErrorContains(t, err, "a is there twice")
	_, err = Export([]Entry{{"a", knowledge.Document{}}}, folder(map[string]string{"a.md": ""}), opts)
	require.ErrorContains(t, err, `"a.md" is a kept file`)
	_, err = Export([]Entry{{"A", knowledge.Document{}}}, nil, opts)
	require.ErrorContains(t, err, "is no slug")
}

func TestSlugs(t *testing.T) {
	long := strings.Repeat("ä", 300)
	paths := []string{"A b.md", "a-b.md", "a b.MD", "x/..b/(c).md", "v1.2/Notes_of--me!.md", "Größe Öl.md", long + "1.md", long + "2.md", "?.md"}
	got := AssignSlugs(paths)
	for i := range paths { // whatever the order
		require.Equal(t, got, AssignSlugs(append(paths[i:len(paths):len(paths)], paths[:i]...)))
	}
	seen := map[string]bool{}
	for path, slug := range got {
		require.NoError(t, knowledge.CheckSlug(slug), path)
		require.False(t, seen[slug])
		seen[slug] = true
	}
	require.Equal(t, "a-b", got["a-b.md"])
	require.Equal(t, "x/b/c", got["x/..b/(c).md"])
	require.Equal(t, "v1.2/notes_of--me", got["v1.2/Notes_of--me!.md"])
	require.Equal(t, "größe-öl", got["Größe Öl.md"])
	require.Equal(t, "untitled", got["?.md"])
	require.Regexp(t, `^a-b-[0-9a-f]{8}$`, got["A b.md"])
}

var (
	frontPieces = []string{
		"title: A\n", "title: 'A: b' # c\n", "tags: [x, y]\n", "tags:\n- x\n", "tags: #\n", "aliases: other name\n", "# comment\n", "\n", "n: 0x1F\n", "n: 1_000\n", "f: .inf\n", "d: 2026-11-25\n",
		"d: 2026-11-25 10:00:00\n", "m: {a: 1, b: [2, ~]}\n", "s: |\n  a\n  b\n", "s: >-\n  a\n\n  b\n", "a: &x 1\nb: *x\n", "<<: {a: 1}\n", "? k\n: v\n", "type: runbook\n", "tartan: {schema: fact}\n", "tartan: no\n", "tartan: {title: t, schema: 1}\n", "tartan: {derived: false, metadata: {title: 1}}\n", "_vault: 1\n", "x: \"\\u0041\"\n", "ключ: да\n", "a: 1\r\n", "\ttab: 1\n", "--- # doc\n", "...\n", "{a: 1, b: 2}\n",
	}
	bodyPieces = []string{"# Head\n", "## Sub\n", "text #tag\n", "[[n1]]\n", "[[n2|x]] [[none]]\n", "- rel to [[N1]]\n", "- [cat] content (ctx)\n", "- [cat] x\r\n", "```\n[[n1]]\n", "---\n", "\n", "\r\n", "[a](n2.md)\n", "![[pic.png]]\n", "no feed", byteOrderMark, "`[[n1]]` [[n3#x]]\n", "Setext\n===\n", "<!-- [[n1]] -->\n"}
)

func randomNote(r *rand.Rand) string {
	var b strings.Builder
	pieces := func(from []string, most int) {
		for range r.IntN(most) {
			b.WriteString(from[r.IntN(len(from))])
		}
	}
	if r.IntN(10) == 0 {
		b.WriteString(byteOrderMark)
	}
	if r.IntN(4) > 0 {
		b.WriteString("---\n")
		pieces(frontPieces, 6)
		b.WriteString([]string{"---\n", "---", "--- \r\n", ""}[r.IntN(4)])
	}
	pieces(bodyPieces, 8)
	return b.String()
}

// TestRandomVaultsComeBack brings random vaults in and out, and then changes their documents and brings them back in.
func TestRandomVaultsComeBack(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		files := map[string][]byte{}
		for _, path := range []string{"n1.md", "N2.md", "x/n2.md", "x/N 3.md", "n-3.md", "pic.png"} {
			files[path] = []byte(randomNote(r))
		}
		v := roundTrip(t, files)
		for i := range v.Entries {
			d := &v.Entries[i].Document
			switch r.IntN(5) {
			case 0:
				d.Title = "Changed"
			case 1:
				d.Body = randomNote(r)
			case 2:
				d.Metadata["owner"] = "me"
			case 3:
				delete(d.Metadata, "tags")
				delete(d.Metadata, "title")
			}
		}
		out, err := Export(v.Entries, v.Kept, opts)
		require.NoError(t, err)
		again, err := Import(out, opts)
		require.NoError(t, err)
		require.Len(t, again.Entries, len(v.Entries))
		for i, e := range again.Entries {
			got, want := stored(t, e.Document), stored(t, v.Entries[i].Document)
			require.Equal(t, formPath(t, want), formPath(t, got))
			delete(got.Metadata, fileKey)
			delete(want.Metadata, fileKey)
			require.Equal(t, want, got, "%s", out)
		}
	}
}

func formPath(t *testing.T, d knowledge.Document) string {
	f, err := formOf(d)
	require.NoError(t, err)
	return f.Path
}
