package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeCollection writes a collection of three documents, as BEIR has them; files are in place of its own.
func writeCollection(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	all := map[string]string{
		corpusFile: `{"_id": "d1", "title": "Restore a backup", "text": "Stop the server, then restore the last backup."}
{"_id": "d2", "title": "Rotate keys", "text": "Keys are rotated every month, and after an incident."}

{"_id": "q2", "title": "", "text": "the night train to Vienna"}
{"_id": "d3", "title": "", "text": "The sleeper to Vienna leaves at night."}
`,
		queriesFile:      "{\"_id\": \"q1\", \"text\": \"how do I restore \\\"backups\\\"?\"}\n{\"_id\": \"q2\", \"text\": \"the night train to Vienna\"}\n{\"_id\": \"q3\", \"text\": \"not judged\"}\n",
		"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\td3\t1\n",
	}
	for name, text := range files {
		all[name] = text
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "qrels"), 0o755))
	for name, text := range all {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
}

func TestBenchRetrieval(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCollection(t, filepath.Join(dir, "small"), nil)
	code, out, progress := tartan(t, "", "bench", "retrieval", filepath.Join(dir, "small"), "--output", "json")
	require.Zero(t, code, progress)
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	var got retrieval
	require.NoError(t, d.Decode(&got))
	require.Equal(t, 4, got.Docs)
	require.Positive(t, got.IndexBytes)
	// q1 finds d1 of gain 2 and not d2 of gain 1: 2 / (2 + 1/log2(3)) = 0.7602; q2 finds d3, its own text left out: 1.
	require.InDelta(t, (0.7602+1)/2, got.Lexical.NDCG, 1e-4)
	require.InDelta(t, (0.5+1)/2, got.Lexical.Recall, 1e-9)
	require.Positive(t, got.Lexical.P50)
	require.Positive(t, got.Fused.NDCG)
	require.LessOrEqual(t, got.Fused.P50, got.Fused.P95)

	code, out, _ = tartan(t, "", "bench", "retrieval", dir, "--output", "json")
	require.Zero(t, code)
	var all retrievals
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Len(t, all.Sets, 1)
	require.InDelta(t, got.Lexical.NDCG, all.Mean.Lexical, 1e-9)
	code, out, _ = tartan(t, "", "bench", "retrieval", dir)
	require.Zero(t, code)
	require.Contains(t, out, "small")
	require.Contains(t, out, "mean")
}

func TestBenchRetrievalSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"json":    {map[string]string{corpusFile: "{\"_id\": \"d1\", \"text\": \"x\"}\n{\n"}, "corpus.jsonl line 2: unexpected end"},
		"no id":   {map[string]string{queriesFile: `{"text": "x"}`}, "queries.jsonl line 1: it has no _id"},
		"twice":   {map[string]string{corpusFile: "{\"_id\": \"d1\"}\n{\"_id\": \"d1\"}\n"}, `corpus.jsonl line 2: _id "d1" is there twice`},
		"fields":  {map[string]string{"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1 d1 1\n"}, "test.tsv line 2: 1 fields, want 3"},
		"score":   {map[string]string{"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\tyes\n"}, `test.tsv line 2: the score "yes" is no whole number`},
		"empty":   {map[string]string{"qrels/test.tsv": "query-id\tcorpus-id\tscore\n"}, "has no judgements"},
		"strange": {map[string]string{"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq9\td1\t1\n"}, "has judgements"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeCollection(t, dir, c.files)
			code, _, text := tartan(t, "", "bench", "retrieval", dir)
			require.Equal(t, codeFailure, code)
			require.Contains(t, text, c.want)
		})
	}
	dir := t.TempDir()
	code, _, text := tartan(t, "", "bench", "retrieval", dir)
	require.Equal(t, codeNotFound, code)
	require.Contains(t, text, "no collection")
	writeCollection(t, dir, nil)
	require.NoError(t, os.Remove(filepath.Join(dir, "qrels", "test.tsv")))
	code, _, text = tartan(t, "", "bench", "retrieval", dir)
	require.Equal(t, codeNotFound, code)
	require.Contains(t, text, "test.tsv")
	code, _, text = tartan(t, "", "bench", "retrieval")
	require.Equal(t, codeUsage, code)
	require.Contains(t, text, "wants one DIR")
}
