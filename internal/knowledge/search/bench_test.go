package search_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/knowledge/search/synth"
)

// collections holds folders of corpus.jsonl and queries.jsonl. They are no part of this repository; without them words are made up.
const collections = "../../../../shared/data/ir"

// sentences reads the sentences of all collections, and their queries.
func sentences(tb testing.TB) (sentences, queries []string) {
	read := func(pattern string, take func(text string)) {
		names, err := filepath.Glob(filepath.Join(collections, "*", pattern))
		require.NoError(tb, err)
		for _, name := range names {
			f, err := os.Open(name)
			require.NoError(tb, err)
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 1<<24)
			for lines.Scan() {
				var r struct{ Text string }
				require.NoError(tb, json.Unmarshal(lines.Bytes(), &r))
				take(r.Text)
			}
			require.NoError(tb, lines.Err())
			require.NoError(tb, f.Close())
		}
	}
	read("corpus.jsonl", func(text string) {
		for s := range strings.SplitSeq(text, ". ") {
			if len(s) > 20 {
				sentences = append(sentences, s)
			}
		}
	})
	read("queries.jsonl", func(text string) { queries = append(queries, text) })
	return sentences, queries
}

// memory is what the system says of this process, in bytes: VmRSS is what it has, VmHWM what it had at most; 0 where it does not say.
func memory(of string) int {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == of+":" {
			n, _ := strconv.Atoi(f[1])
			return n << 10
		}
	}
	return 0
}

// BenchmarkHundredThousand builds an index of 100,000 entries, vectors included, and searches it. An operation is all of that.
// The memory is of the whole process, with the collector set as a server that holds such an index sets it.
func BenchmarkHundredThousand(b *testing.B) {
	const n = 100_000
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	text, queries := sentences(b)
	m := synth.New(text, 1)
	for i := len(queries); i < 400; i++ {
		queries = append(queries, m.Query(i))
	}
	for b.Loop() {
		x := search.New(search.Options{})
		begun, spent := time.Now(), cpuTime()
		for i := range n {
			require.NoError(b, x.Put(m.Entry("ops", i)))
		}
		x.Compact()
		b.ReportMetric(time.Since(begun).Seconds(), "build-s")
		b.ReportMetric((cpuTime() - spent).Seconds(), "build-cpu-s")
		text, m = nil, nil
		debug.FreeOSMemory()
		for _, way := range []struct {
			name    string
			lexical bool
		}{{"lexical", true}, {"fused", false}} {
			times, spent := []time.Duration{}, cpuTime()
			for _, q := range queries {
				begun := time.Now()
				hits, err := x.Search(search.Request{Query: search.PlainQuery(q), Spaces: []string{"ops"}, K: 10, LexicalOnly: way.lexical})
				times = append(times, time.Since(begun))
				require.NoError(b, err)
				require.NotEmpty(b, hits)
			}
			b.ReportMetric(float64((cpuTime()-spent).Microseconds())/1e3/float64(len(queries)), way.name+"-cpu-ms")
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1e3, way.name+"-p50-ms")
			b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1e3, way.name+"-p95-ms")
		}
		b.ReportMetric(float64(memory("VmRSS"))/1e6, "rss-MB")
		var size counter
		require.NoError(b, x.WriteSnapshot(&size, 0))
		b.ReportMetric(float64(size)/1e6, "snapshot-MB")
		b.ReportMetric(float64(memory("VmRSS"))/1e6, "rss-after-MB")
		b.ReportMetric(float64(memory("VmHWM"))/1e6, "hwm-MB")
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
