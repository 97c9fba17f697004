package vault

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

func jsonl(t testing.TB, entries []Entry) string {
	var b bytes.Buffer
	for _, e := range entries {
		require.NoError(t, WriteLine(&b, e))
	}
	return b.String()
}

func TestLinesComeBack(t *testing.T) {
	v, err := Import(folder(sample), opts)
	require.NoError(t, err)
	text := jsonl(t, v.Entries)
	require.True(t, strings.HasPrefix(text, `{"document":{"body":"body\n","links":[],"metadata":{"_vault":{"front_matter":"---\na: [1\n---\n"}},"schema":"note","sources":[],"title":"broken"},"slug":"broken"}`+"\n"), text)
	var back []Entry
	for e, err := range ReadLines(strings.NewReader(strings.ReplaceAll(text, "\n", "\n\r\n"))) {
		require.NoError(t, err)
		back = append(back, e)
	}
	require.Equal(t, text, jsonl(t, back))
	files, err := Export(back, v.Kept, opts)
	require.NoError(t, err)
	require.Equal(t, folder(sample), files, "a folder comes back through the lines too")

	for line, want := range map[string]string{
		`{"slug":"a"}`:                       "line 2: a has no document",
		`{"slug":"A","document":{}}`:         "is no slug",
		`{"slug":"a","document":{"x":1}}`:    `unknown field "x"`,
		`{"slug":"a","document":{},"y":1}`:   `unknown field "y"`,
		`{"slug":"a","document":{}} {}`:      "something after the entry",
		`{"slug":"a","document":{"body":"a"`: "unexpected EOF",
	} {
		n := 0
		for _, err := range ReadLines(strings.NewReader(text[:strings.IndexByte(text, '\n')+1] + line)) {
			if n++; n == 2 {
				require.ErrorIs(t, err, ErrLine, line)
				require.ErrorContains(t, err, want)
			}
		}
		require.Equal(t, 2, n, "the error ends it")
	}
	require.Error(t, WriteLine(&bytes.Buffer{}, Entry{Slug: "A"}))
}

// history makes change sets of a vault: it is brought in, changed and deleted.
func history(t testing.TB) []ChangeSet {
	v, err := Import(folder(sample), opts)
	require.NoError(t, err)
	at := time.Date(2026, 11, 25, 3, 0, 0, 0, time.FixedZone("", 3600))
	sets := []ChangeSet{{ID: "import-1", Author: "Ada <L>\n", Email: "ada@example.org", Time: at, Reason: "bring it in\n\nall of it\n"}}
	for _, e := range v.Entries {
		sets[0].Changes = append(sets[0].Changes, Change{e.Slug, &e.Document})
	}
	var restore knowledge.Document
	for _, e := range v.Entries {
		if e.Slug == "db/restore" {
			restore = stored(t, e.Document)
		}
	}
	restore.Title = "Restore"
	moved := stored(t, restore)
	moved.Metadata[fileKey] = map[string]any{"path": "DB/Re \"store\"\\.md"}
	return append(sets,
		ChangeSet{ID: "c2", Author: "Bo", Time: at.Add(time.Hour), Reason: "name it", Changes: []Change{{"db/restore", &restore}, {"open", nil}}},
		ChangeSet{ID: "c3", Time: at.Add(2 * time.Hour), Changes: []Change{{"db/restore", &moved}, {"never", nil}}},
		ChangeSet{ID: "c4", Author: "Bo", Time: at.Add(3 * time.Hour), Reason: "nothing"},
	)
}

func each(sets []ChangeSet) iter.Seq2[ChangeSet, error] {
	return func(yield func(ChangeSet, error) bool) {
		for _, s := range sets {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func TestGitRepository(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed: nothing reads the stream")
	}
	repository := func() func(stdin string, args ...string) string {
		dir := t.TempDir()
		return func(stdin string, args ...string) string {
			cmd := exec.Command(git, args...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
			cmd.Env = []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=" + dir, "LC_ALL=C"}
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "git %v: %s", args, out)
			return string(out)
		}
	}
	stream := func(sets []ChangeSet) string {
		var b bytes.Buffer
		require.NoError(t, WriteGit(&b, "main", each(sets), opts))
		return b.String()
	}
	sets := history(t)
	run := repository()
	run("", "init", "-q", "--bare", ".")
	run(stream(sets[:2]), "fast-import", "--quiet")
	short := strings.Fields(run("", "rev-list", "--reverse", "main"))
	require.Len(t, short, 2)
	run(stream(sets), "fast-import", "--quiet")
	long := strings.Fields(run("", "rev-list", "--reverse", "main"))
	require.Equal(t, short, long[:2], "the same history gives the same commits")
	require.Len(t, long, 4, "one commit a change set, one without a change too")
	run("", "fsck", "--strict")
	require.Equal(t, "Ada L|ada@example.org|1795572000|bring it in\n\nall of it\n\nChange: import-1\n|\n", run("", "log", "-1", "--format=%an|%ae|%at|%B|", long[0]))
	require.Equal(t, "import-1\n", run("", "log", "-1", "--format=%(trailers:key=Change,valueonly,separator=%x2C)", long[0]))
	require.Equal(t, "unknown|Change: c3\n", run("", "log", "-1", "--format=%cn|%s", long[2]))
	require.Equal(t, "M\tDB/Restore.md\nD\topen.md\n", run("", "diff-tree", "-r", "--no-commit-id", "--name-status", long[1]))
	require.Equal(t, "D\x00DB/Restore.md\x00A\x00DB/Re \"store\"\\.md\x00", sortedStatus(run("", "diff-tree", "-r", "-z", "--no-commit-id", "--name-status", long[2])))
	require.Empty(t, run("", "diff-tree", "-r", "--no-commit-id", "--name-status", long[3]))

	kept, err := Import(folder(sample), opts)
	require.NoError(t, err)
	notes := 0
	for path, text := range sample {
		if _, ok := kept.Kept[path]; ok {
			continue
		}
		notes++
		require.Equal(t, text, run("", "cat-file", "blob", long[0]+":"+path), path)
	}
	require.Len(t, strings.Split(strings.TrimSpace(run("", "ls-tree", "-r", "--name-only", long[0])), "\n"), notes)

	other := repository()
	other("", "init", "-q", "--bare", ".")
	other(stream(sets), "fast-import", "--quiet")
	require.Equal(t, long, strings.Fields(other("", "rev-list", "--reverse", "main")))
}

// sortedStatus puts deletions first.
func sortedStatus(out string) string {
	parts := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	pairs := []string{}
	for i := 0; i+1 < len(parts); i += 2 {
		pairs = append(pairs, parts[i]+"\x00"+parts[i+1]+"\x00")
	}
	slices.SortFunc(pairs, func(a, b string) int { return strings.Compare(b, a) })
	return strings.Join(pairs, "")
}

func TestHistoriesThatAreNone(t *testing.T) {
	d := &knowledge.Document{}
	for want, sets := range map[string][]ChangeSet{
		"change set x: a is changed twice":   {{ID: "x", Changes: []Change{{"a", d}, {"a", nil}}}},
		"change set x: 1969-12-31T00:00:00Z": {{ID: "x", Time: time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)}},
		"is no slug":                         {{ID: "x", Changes: []Change{{"A", d}}}},
	} {
		for i := range sets {
			if sets[i].Time.IsZero() {
				sets[i].Time = time.Unix(0, 0)
			}
		}
		err := WriteGit(&bytes.Buffer{}, "main", each(sets), opts)
		require.ErrorIs(t, err, ErrHistory)
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, WriteGit(&bytes.Buffer{}, "main\nreset x", each(nil), opts), "is no branch")
	broken := errors.New("the connection is gone")
	var b bytes.Buffer
	err := WriteGit(&b, "main", func(yield func(ChangeSet, error) bool) { yield(ChangeSet{}, broken) }, opts)
	require.ErrorIs(t, err, broken)
	require.False(t, strings.HasSuffix(b.String(), "\ndone\n"), "git takes no stream that has no end")
}

func FuzzNote(f *testing.F) {
	for path, text := range sample {
		f.Add(path, []byte(text))
	}
	for _, piece := range frontPieces {
		f.Add("a.md", []byte("---\n"+piece+"---\n# b\n"))
	}
	f.Fuzz(func(t *testing.T, path string, content []byte) {
		files := map[string][]byte{path: content, "n1.md": []byte("[[" + path + "]]")}
		v := roundTrip(t, files)
		for i := range v.Entries {
			v.Entries[i].Document.Title += "x"
		}
		_, err := Export(v.Entries, v.Kept, opts)
		require.NoError(t, err)
	})
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"title":"2026-11-25","body":"---\nx","metadata":{"a":[1e21,{"b":"\u2028\u0085"}],"title":"t","tags":"a"},"links":[{"relation":"r","target":"t"}],"sources":[{"uri":"u"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := knowledge.Parse(text)
		if err != nil {
			return
		}
		canon, err := d.Canonical()
		if err != nil {
			return
		}
		d, err = knowledge.Parse(canon)
		require.NoError(t, err)
		files, err := Export([]Entry{{"it", d}}, nil, opts)
		if err != nil {
			require.ErrorIs(t, err, ErrNote)
			return
		}
		if CheckNote(files["it.md"]) != nil {
			return
		}
		if _, ours := d.Metadata[fileKey]; ours {
			return
		}
		v, err := Import(files, opts)
		require.NoError(t, err)
		require.Equal(t, string(canon), string(must(v.Entries[0].Document.Canonical())), "%s", files["it.md"])
	})
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

// bigVault is a thousand notes of a kilobyte with front matter and links.
func bigVault() map[string][]byte {
	files := map[string][]byte{}
	for i := range 1000 {
		text := fmt.Sprintf("---\ntitle: Note %d\ntags: [a, b]\ncreated: 2026-11-25\n---\n# Note %d\n\n- [fact] It is %d #n\n- follows [[note-%d]]\n\n%s\n", i, i, i, (i+1)%1000, strings.Repeat("Words that nobody reads, and a [link](Note-7.md).\n", 18))
		files[fmt.Sprintf("folder %d/Note-%d.md", i%10, i)] = []byte(text)
	}
	return files
}

func BenchmarkImport(b *testing.B) {
	files := bigVault()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Import(files, opts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(files)), "µs/note")
}

func BenchmarkExport(b *testing.B) {
	v, err := Import(bigVault(), opts)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Export(v.Entries, v.Kept, opts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(v.Entries)), "µs/note")
}

func BenchmarkWriteGit(b *testing.B) {
	sets := history(b)
	for b.Loop() {
		var out bytes.Buffer
		if err := WriteGit(&out, "main", each(sets), opts); err != nil {
			b.Fatal(err)
		}
	}
}
