package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/knowledge/search"
)

func (a *app) benchRetrievalCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retrieval DIR",
		Short: "Measure how well and how fast entries of the knowledge base are found",
		Long: "Index DIR/corpus.jsonl (_id, title, text), search for each of DIR/queries.jsonl (_id, text), and compare with the judgements\n" +
			"of DIR/qrels/test.tsv or DIR/qrels.tsv (query-id, corpus-id, score, after a header), as BEIR has them. DIR may hold folders\n" +
			"of such files instead. The index is the one that answers over MCP: lexical is its BM25F alone, fused has the likeness of meaning too.\n" +
			"ndcg10 and recall100 are means over the queries that have judgements, as trec_eval computes them; a document that the\n" +
			"query is the text of, and has the _id of, is left out. p50_ms and p95_ms are of one search for 100 hits on one core; index_bytes is the size of a snapshot.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s wants one DIR, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.benchRetrieval(c.Context(), args[0]) },
	}
}

// found is how well and how fast one way of searching is.
type found struct {
	NDCG   float64 `json:"ndcg10"`    // [0, 1]
	Recall float64 `json:"recall100"` // [0, 1]
	P50    float64 `json:"p50_ms"`    // milliseconds
	P95    float64 `json:"p95_ms"`
}

// retrieval is the result of one collection.
type retrieval struct {
	Docs       int   `json:"docs"`
	IndexBytes int   `json:"index_bytes"`
	Lexical    found `json:"lexical"`
	Fused      found `json:"fused"`
}

// retrievals is what --output json prints for a folder of collections.
type retrievals struct {
	Sets map[string]retrieval `json:"sets"`
	Mean struct {
		Lexical float64 `json:"lexical_ndcg10"`
		Fused   float64 `json:"fused_ndcg10"`
	} `json:"mean"`
}

func (a *app) benchRetrieval(ctx context.Context, dir string) error {
	names, err := retrievalSets(dir)
	if err != nil {
		return err
	}
	out := retrievals{Sets: map[string]retrieval{}}
	for _, name := range names {
		one, err := a.benchCollection(ctx, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		out.Sets[name] = one
		out.Mean.Lexical += one.Lexical.NDCG / float64(len(names))
		out.Mean.Fused += one.Fused.NDCG / float64(len(names))
	}
	single := len(names) == 1 && names[0] == "."
	switch {
	case a.json() && single:
		return a.printJSON(out.Sets["."])
	case a.json():
		return a.printJSON(out)
	}
	rows := [][]string{{"SET", "RANKING", "NDCG@10", "R@100", "P50 MS", "P95 MS", "DOCS", "INDEX MB"}}
	for _, name := range names {
		r := out.Sets[name]
		for _, way := range []struct {
			name string
			found
		}{{"lexical", r.Lexical}, {"fused", r.Fused}} {
			rows = append(rows, []string{
				filepath.Base(filepath.Join(dir, name)), way.name, fmt.Sprintf("%.4f", way.NDCG), fmt.Sprintf("%.4f", way.Recall), fmt.Sprintf("%.2f", way.P50),
				fmt.Sprintf("%.2f", way.P95), strconv.Itoa(r.Docs), fmt.Sprintf("%.1f", float64(r.IndexBytes)/1e6),
			})
		}
	}
	if !single {
		rows = append(rows, []string{"mean", "lexical", fmt.Sprintf("%.4f", out.Mean.Lexical)}, []string{"mean", "fused", fmt.Sprintf("%.4f", out.Mean.Fused)})
	}
	return a.table(rows)
}

// retrievalSets are the folders of dir that hold a corpus: "." where dir itself does.
func retrievalSets(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, readFailure(dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, corpusFile)); err == nil {
		return []string{"."}, nil
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), corpusFile)); err == nil {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, &failure{
			code: codeNotFound, what: "no collection in " + dir,
			next: "name a folder that holds corpus.jsonl, queries.jsonl and qrels/test.tsv, or folders of them",
		}
	}
	return names, nil
}

const (
	corpusFile  = "corpus.jsonl"
	queriesFile = "queries.jsonl"
	benchSpace  = "bench"
)

// benchCollection indexes a collection and asks its queries.
func (a *app) benchCollection(ctx context.Context, dir string) (retrieval, error) {
	judged, err := judgements(dir)
	if err != nil {
		return retrieval{}, err
	}
	var queries []record
	texts := map[string]string{}
	err = eachRecord(filepath.Join(dir, queriesFile), func(r record) error {
		if judged[r.ID] != nil {
			queries = append(queries, r)
			texts[r.ID] = r.Text
		}
		return nil
	})
	if err != nil {
		return retrieval{}, err
	}
	index := search.New(search.Options{})
	known, own, begun := map[string]bool{}, map[string]bool{}, time.Now()
	err = eachRecord(filepath.Join(dir, corpusFile), func(r record) error {
		if known[r.ID] {
			return fmt.Errorf("_id %q is there twice", r.ID)
		}
		known[r.ID] = true
		if text, ok := texts[r.ID]; ok && strings.Contains(r.Title+" "+r.Text, text) {
			own[r.ID] = true
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return index.Put(search.Entry{Space: benchSpace, Slug: r.ID, Title: r.Title, Body: r.Text})
	})
	if err != nil {
		return retrieval{}, err
	}
	index.Compact()
	a.say("%s: %d documents indexed in %.1f s", filepath.Base(dir), len(known), time.Since(begun).Seconds())
	if len(queries) == 0 {
		return retrieval{}, &failure{code: codeFailure, what: "no query of " + filepath.Join(dir, queriesFile) + " has judgements", next: "compare the query-id of the judgements with the _id of the queries"}
	}
	var size counter
	if err := index.WriteSnapshot(&size, 0); err != nil {
		return retrieval{}, err
	}
	out := retrieval{Docs: len(known), IndexBytes: int(size)}
	if out.Lexical, err = ask(ctx, index, queries, judged, own, true); err != nil {
		return retrieval{}, err
	}
	if out.Fused, err = ask(ctx, index, queries, judged, own, false); err != nil {
		return retrieval{}, err
	}
	a.say("%s: %d queries, ndcg@10 %.4f lexical, %.4f fused", filepath.Base(dir), len(queries), out.Lexical.NDCG, out.Fused.NDCG)
	return out, nil
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

const (
	ndcgDepth   = 10
	recallDepth = 100
)

// ask measures the answers to the queries.
func ask(ctx context.Context, index *search.Index, queries []record, judged map[string]map[string]int, own map[string]bool, lexicalOnly bool) (found, error) {
	var out found
	times := make([]time.Duration, 0, len(queries))
	for _, q := range queries {
		if err := ctx.Err(); err != nil {
			return found{}, err
		}
		begun := time.Now()
		hits, err := index.Search(search.Request{Query: search.PlainQuery(q.Text), Spaces: []string{benchSpace}, K: recallDepth + 1, LexicalOnly: lexicalOnly})
		times = append(times, time.Since(begun))
		if err != nil {
			return found{}, fmt.Errorf("query %s: %w", q.ID, err)
		}
		hits = slices.DeleteFunc(hits, func(h search.Hit) bool { return h.Slug == q.ID && own[q.ID] })
		gains := make([]int, 0, recallDepth)
		for _, h := range hits[:min(recallDepth, len(hits))] {
			gains = append(gains, judged[q.ID][h.Slug])
		}
		ndcg, recall := rate(gains, judged[q.ID])
		out.NDCG += ndcg / float64(len(queries))
		out.Recall += recall / float64(len(queries))
	}
	slices.Sort(times)
	at := func(share float64) float64 {
		return float64(times[int(share*float64(len(times)-1))]) / float64(time.Millisecond)
	}
	out.P50, out.P95 = at(.5), at(.95)
	return out, nil
}

// rate compares the gains of the hits, the best first, with all gains: the discounted gain of the first ten as a share of the
// greatest possible, and the share of the relevant documents that were found.
func rate(gains []int, all map[string]int) (ndcg, recall float64) {
	ideal := make([]int, 0, len(all))
	relevant := 0
	for _, g := range all {
		ideal = append(ideal, g)
		if g > 0 {
			relevant++
		}
	}
	if relevant == 0 {
		return 0, 0
	}
	slices.Sort(ideal)
	slices.Reverse(ideal)
	for _, g := range gains {
		if g > 0 {
			recall += 1 / float64(relevant)
		}
	}
	return discounted(gains) / discounted(ideal), recall
}

func discounted(gains []int) (sum float64) {
	for i, g := range gains[:min(ndcgDepth, len(gains))] {
		sum += float64(max(g, 0)) / math.Log2(float64(i+2))
	}
	return sum
}

// record is a line of a corpus or of queries.
type record struct {
	ID    string `json:"_id"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// eachRecord reads a file of JSON lines.
func eachRecord(name string, take func(record) error) error {
	return eachLine(name, "one JSON object a line, with _id and text", func(line []byte) error {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if r.ID == "" {
			return errors.New("it has no _id")
		}
		return take(r)
	})
}

// maxRecord bounds a line of a collection.
const maxRecord = 64 << 20

// eachLine reads a file line by line; errors say which line it was.
func eachLine(name, want string, take func(line []byte) error) error {
	f, err := os.Open(name)
	if err != nil {
		return readFailure(name, err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxRecord)
	n := 0
	for lines.Scan() {
		n++
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			if err := take(line); err != nil {
				if errors.Is(err, context.Canceled) {
					return err
				}
				return &failure{code: codeFailure, what: fmt.Sprintf("%s line %d", name, n), why: err, next: "want " + want}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return &failure{code: codeFailure, what: fmt.Sprintf("%s line %d", name, n+1), why: err, next: "want " + want}
	}
	return nil
}

// judgements reads which documents are relevant to which queries, and how much.
func judgements(dir string) (map[string]map[string]int, error) {
	name := filepath.Join(dir, "qrels", "test.tsv")
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		if flat := filepath.Join(dir, "qrels.tsv"); exists(flat) {
			name = flat
		}
	}
	out, first := map[string]map[string]int{}, true
	err := eachLine(name, "query-id, corpus-id and score, separated by tabs, after a header", func(line []byte) error {
		fields := strings.Split(string(line), "\t")
		if len(fields) != 3 {
			return fmt.Errorf("%d fields, want 3", len(fields))
		}
		score, err := strconv.Atoi(fields[2])
		if first {
			if first = false; err != nil {
				return nil // the header
			}
		}
		if err != nil {
			return fmt.Errorf("the score %q is no whole number", fields[2])
		}
		if out[fields[0]] == nil {
			out[fields[0]] = map[string]int{}
		}
		out[fields[0]][fields[1]] = score
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, &failure{code: codeFailure, what: name + " has no judgements", next: "want query-id, corpus-id and score, separated by tabs, after a header"}
	}
	return out, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
