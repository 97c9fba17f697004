package validate

import (
	"bufio"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

var corpus = flag.String("corpus", "", "folder of Markdown files, or of a corpus.jsonl with title and text, whose results TestCorpus counts")

// documents reads a folder: each .md file is a document, and each line of a corpus.jsonl.
func documents(t testing.TB, folder string) (out []knowledge.Document) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() != "." && strings.HasPrefix(d.Name(), ".") && path != folder {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".md") && filepath.Base(path) != "corpus.jsonl" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".md") {
			out = append(out, knowledge.Document{Schema: "note", Title: filepath.Base(path), Body: string(text)})
			return nil
		}
		lines := bufio.NewScanner(strings.NewReader(string(text)))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var line struct{ Title, Text string }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				return err
			}
			title := []rune(strings.Join(strings.Fields(line.Title), " "))
			if len(title) == 0 {
				title = []rune("untitled")
			}
			out = append(out, knowledge.Document{Schema: "note", Title: string(title[:min(len(title), 200)]), Body: line.Text})
		}
		return lines.Err()
	}))
	return out
}

// TestCorpus counts what is found in documents that are ordinary, and how long it takes.
func TestCorpus(t *testing.T) {
	folder := *corpus
	if folder == "" {
		folder = "../../../docs"
	}
	v := validator(t, Policy{})
	counts, took, quarantined := map[string]int{}, []time.Duration{}, 0
	docs := documents(t, folder)
	require.NotEmpty(t, docs)
	for _, d := range docs {
		p := note("")
		p.Document = d
		start := time.Now()
		results := v.Validate(p, World{Now: now})
		took = append(took, time.Since(start))
		seen := map[string]bool{}
		for _, r := range results {
			if id := r.ID + " " + string(r.Severity); !seen[id] {
				seen[id] = true
				counts[id]++
			}
			if r.Severity == Quarantine || r.ID == "secret.found" {
				t.Logf("%s %s: %s", d.Title, r.Path, r.ID+": "+r.Evidence)
			}
		}
		if slices.ContainsFunc(results, func(r Result) bool { return r.Severity == Quarantine }) {
			quarantined++
		}
	}
	slices.Sort(took)
	t.Logf("%d documents, %d quarantined, %v; p50 %s, p95 %s, most %s", len(docs), quarantined, counts, took[len(took)/2], took[len(took)*95/100], took[len(took)-1])
	if *corpus == "" {
		require.Zero(t, quarantined, "the documents of this repository are ordinary")
		require.Zero(t, counts["secret.found block"])
	}
}
