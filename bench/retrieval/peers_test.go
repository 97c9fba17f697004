package retrieval

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/knowledge/search/synth"
)

const space = "ops"

// engine is one way of finding entries.
type engine struct {
	name  string
	build func(t *testing.T, m *synth.Maker, n int)
	find  func(t *testing.T, query string) []string
}

func engines() []*engine {
	x := search.New(search.Options{})
	ask := func(lexical bool) func(t *testing.T, query string) []string {
		return func(t *testing.T, query string) (out []string) {
			hits, err := x.Search(search.Request{Query: search.PlainQuery(query), Spaces: []string{space}, K: 10, LexicalOnly: lexical})
			require.NoError(t, err)
			for _, h := range hits {
				out = append(out, h.Slug)
			}
			return out
		}
	}
	var b bleve.Index
	return []*engine{
		{"tartan lexical", func(t *testing.T, m *synth.Maker, n int) {
			for i := range n {
				require.NoError(t, x.Put(m.Entry(space, i)))
			}
			x.Compact()
		}, ask(true)},
		{"tartan fused", func(*testing.T, *synth.Maker, int) {}, ask(false)},
		{"bleve", func(t *testing.T, m *synth.Maker, n int) {
			mapping := bleve.NewIndexMapping()
			mapping.DefaultAnalyzer = "en"
			mapping.ScoringModel = "bm25"
			mapping.StoreDynamic = false
			mapping.DocValuesDynamic = false
			var err error
			b, err = bleve.New(t.TempDir()+"/index", mapping)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, b.Close()) })
			for i := 0; i < n; {
				batch := b.NewBatch()
				for end := min(i+1000, n); i < end; i++ {
					e := m.Entry(space, i)
					require.NoError(t, batch.Index(e.Slug, map[string]any{"title": e.Title, "body": e.Body}))
				}
				require.NoError(t, b.Batch(batch))
			}
		}, func(t *testing.T, query string) (out []string) {
			found, err := b.Search(bleve.NewSearchRequestOptions(bleve.NewMatchQuery(query), 10, 0, false))
			require.NoError(t, err)
			for _, h := range found.Hits {
				out = append(out, h.ID)
			}
			return out
		}},
	}
}

// spent is the time that this process had a core.
func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestSearchPeers(t *testing.T) {
	n := 100_000
	if s := os.Getenv("TARTAN_SEARCH_ENTRIES"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	m := synth.New(nil, 1)
	var queries []string
	for i := range 300 {
		queries = append(queries, m.Query(i))
	}
	first := map[string][]string{}
	for _, e := range engines() {
		begun, cpu := time.Now(), spent(t)
		e.build(t, m, n)
		line := fmt.Sprintf("%-15s %d entries: built in %.1f s (%.1f s CPU)", e.name, n, time.Since(begun).Seconds(), (spent(t) - cpu).Seconds())
		var times []time.Duration
		cpu = spent(t)
		for _, q := range queries {
			at := time.Now()
			hits := e.find(t, q)
			times = append(times, time.Since(at))
			require.NotEmpty(t, hits, "%s: %s", e.name, q)
			first[e.name] = append(first[e.name], strings.Join(hits, " "))
		}
		cpu = spent(t) - cpu
		slices.Sort(times)
		t.Logf("%s; a search p50 %.2f ms, p95 %.2f ms (%.2f ms CPU)", line, ms(times[len(times)/2]), ms(times[len(times)*95/100]), ms(cpu)/float64(len(queries)))
	}
	require.Len(t, first["bleve"], len(queries))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
