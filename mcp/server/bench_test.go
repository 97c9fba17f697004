package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchLines are lines of a few dozen patterns with headers, as a service would send them.
func benchLines(n int) []string {
	words := []string{"request", "session", "worker", "cache", "upload", "index", "queue", "lease", "token", "shard"}
	var out []string
	for i := range n {
		at := time.Date(2026, 11, 23, 8, 0, i%60, 0, time.UTC).Format(time.RFC3339)
		w := words[i%len(words)]
		out = append(out, fmt.Sprintf("%s INFO %s %s finished for 10.0.%d.%d in %d ms with status %d", at, w, words[(i/10)%len(words)], i%250, i%199, i%1000, 200+i%5))
	}
	return out
}

// poster sends one prepared request again and again, with as little work of its own as net/http allows.
type poster struct {
	url     string
	headers http.Header
	client  *http.Client
}

func (p *poster) post(body []byte) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = p.headers
	resp, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

func newBench(b *testing.B, lines int) (p *poster, body []byte) {
	b.Helper()
	k := newStack(b)
	caller := k.db.Workspace(b, "bench")
	k.learn(b, caller, "default", time.Now(), benchLines(2000)...)
	c := k.client(b, caller, true)
	body = []byte(c.message("tools/call", `"name":"recognize","arguments":{"lines":`+string(must(json.Marshal(benchLines(lines))))+`}`))
	r := c.request(b, b.Context(), http.MethodPost, "", "tools/call", "recognize")
	p = &poster{url: k.url, headers: r.Header, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	answer, err := p.post(body)
	require.NoError(b, err)
	var res toolResult
	require.NoError(b, json.Unmarshal(parse(b, answer).Result, &res))
	var got recognized
	require.False(b, res.IsError, string(answer))
	require.NoError(b, json.Unmarshal(res.Structured, &got))
	require.Equal(b, lines, got.Known)
	require.Zero(b, got.Omitted)
	return p, body
}

// BenchmarkRecognizeHTTP measures recognize over HTTP on loopback, token and client included.
func BenchmarkRecognizeHTTP(b *testing.B) {
	b.Run("single", func(b *testing.B) {
		p, body := newBench(b, 1)
		var took []time.Duration
		b.ReportAllocs()
		for b.Loop() {
			start := time.Now()
			if _, err := p.post(body); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
	b.Run("batch100", func(b *testing.B) {
		const lines = 100
		p, body := newBench(b, lines)
		var done atomic.Int64
		b.SetParallelism(2)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := p.post(body); err != nil {
					b.Error(err)
					return
				}
				done.Add(lines)
			}
		})
		b.ReportMetric(float64(done.Load())/b.Elapsed().Seconds(), "lines/s")
	})
}
