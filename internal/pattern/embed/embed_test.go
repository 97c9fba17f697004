package embed

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// rows reads a file of JSON lines in testdata. agents/distill/distill.py writes them: uv run agents/distill/distill.py golden
func rows[T any](t testing.TB, name string) (out []T) {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row T
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		out = append(out, row)
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, out)
	return out
}

// names are the tokens as the vocabulary writes them.
var names = sync.OnceValue(func() map[int32]string {
	t, out := NewStatic().table, map[int32]string{-1: "[UNK]"}
	for _, p := range t.tokenizer.first.places {
		if p.at > 0 {
			out[p.id] = t.tokenizer.first.word(p.at - 1)
		}
	}
	for _, p := range t.tokenizer.inner.places {
		if p.at > 0 {
			out[p.id] = "##" + t.tokenizer.inner.word(p.at-1)
		}
	}
	return out
})

func tokens(text string) []string {
	var s scratch
	NewStatic().table.tokenizer.tokenize(&s, text)
	out := []string{}
	for _, id := range s.tokens {
		out = append(out, names()[id])
	}
	return out
}

// TestTokensAreBERTs compares with the tokenizer of the model that the table comes from.
func TestTokensAreBERTs(t *testing.T) {
	t.Parallel()
	for _, row := range rows[struct {
		Text   string
		Tokens []string
	}](t, "tokens.jsonl") {
		require.Equal(t, row.Tokens, tokens(row.Text), "%q", row.Text)
	}
}

// TestSimilarIsAsDistilled compares with what the distillation makes of the same table.
func TestSimilarIsAsDistilled(t *testing.T) {
	t.Parallel()
	s := NewStatic()
	for _, row := range rows[struct {
		A, B  string
		Score float64
	}](t, "similar.jsonl") {
		v, err := s.Embed(t.Context(), []string{row.A, row.B})
		require.NoError(t, err)
		require.InDelta(t, row.Score, dot(v[0], v[1]), 1e-5, "%q %q", row.A, row.B)
	}
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// TestMeaning holds the table to pairs that a person would order the same way.
func TestMeaning(t *testing.T) {
	t.Parallel()
	s := NewStatic()
	for _, row := range [][3]string{ // the first is nearer to the second than to the third
		{"the disk is full", "no space left on the drive", "the user logged in"},
		{"cannot connect to the database", "database connection refused", "the invoice was paid twice"},
		{"I forgot my password", "how do I reset my login credentials", "the printer is out of paper"},
		{"payment was declined", "the credit card was rejected", "a new version was released"},
		{"the doctor examined the patient", "a physician looked at the sick man", "the train leaves at noon"},
	} {
		v, err := s.Embed(t.Context(), row[:])
		require.NoError(t, err)
		require.Greater(t, dot(v[0], v[1]), dot(v[0], v[2])+0.1, "%q", row)
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	s := NewStatic()
	v := make([]float32, s.Dim())
	for _, text := range []string{"", " \t\n", "\x00\x01", "\xff\xfe", "﷽"} {
		require.False(t, s.Into(v, text), "%q", text)
		require.Equal(t, make([]float32, s.Dim()), v)
	}
	require.True(t, s.Into(v, strings.Repeat("word ", 100_000)), "long text is cut")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Embed(ctx, []string{"a"})
	require.ErrorIs(t, err, context.Canceled)
}

// TestProvenance holds table.json to the table, and the table to its bound.
func TestProvenance(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("table.json")
	require.NoError(t, err)
	var p struct {
		Table struct {
			Bytes     int
			SHA256    string
			Dimension int
		} `json:"table.bin"`
		From []struct{ Package, Version, Licence string }
	}
	require.NoError(t, json.Unmarshal(text, &p))
	sum := sha256.Sum256([]byte(tableFile))
	require.Equal(t, hex.EncodeToString(sum[:]), p.Table.SHA256)
	require.Equal(t, len(tableFile), p.Table.Bytes)
	require.Equal(t, NewStatic().Dim(), p.Table.Dimension)
	require.LessOrEqual(t, len(tableFile), 8_000_000)
	require.NotEmpty(t, p.From)
	for _, from := range p.From {
		require.NotEmpty(t, from.Licence, from.Package)
		require.NotEmpty(t, from.Version, from.Package)
	}
	licence, err := os.ReadFile("table.licence.txt")
	require.NoError(t, err)
	for _, want := range []string{"Apache License", "sentence-transformers/all-MiniLM-L6-v2", "WordNet", "botocore"} {
		require.Contains(t, string(licence), want)
	}
}

func TestTableIsChecked(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "tartanv1", tableFile[:100], tableFile[:len(tableFile)-1], "x" + tableFile[1:], tableFile + "x"} {
		_, err := readTable(body)
		require.Error(t, err)
	}
}

func FuzzTokenize(f *testing.F) {
	for _, seed := range []string{"", "Hello, World!", "naïve e\u0301 東京 \u200b İ", "\xff\xc3(", strings.Repeat("é", 101), "don't=0x7f"} {
		f.Add(seed)
	}
	s := NewStatic()
	known := int32(len(s.table.scales))
	f.Fuzz(func(t *testing.T, text string) {
		var w scratch
		s.table.tokenizer.tokenize(&w, text)
		if len(w.tokens) > 3*len(text) {
			t.Fatalf("%d tokens for %d bytes", len(w.tokens), len(text))
		}
		for _, id := range w.tokens {
			if id < -1 || id >= known {
				t.Fatalf("token %d", id)
			}
		}
		v := make([]float32, s.Dim())
		if s.Into(v, text) {
			if n := dot(v, v); math.Abs(n-1) > 1e-3 {
				t.Fatalf("length %v", n)
			}
		}
		if utf8.ValidString(text) { // a space around a text is no part of it
			var again scratch
			s.table.tokenizer.tokenize(&again, " "+text+"\n")
			if len(again.tokens) != len(w.tokens) {
				t.Fatalf("%q: %d tokens, with spaces around it %d", text, len(w.tokens), len(again.tokens))
			}
		}
	})
}

// TestIntoAllocatesNothing is run without the race detector as well, which makes allocations of its own.
func TestIntoAllocatesNothing(t *testing.T) {
	s, v := NewStatic(), make([]float32, NewStatic().Dim())
	if n := testing.AllocsPerRun(1000, func() { s.Into(v, sentence) }); n >= 1 && !racing {
		t.Fatalf("%v allocations", n)
	}
}

const sentence = "The connection to the payment database timed out after thirty seconds, so the order was retried."

func BenchmarkEmbedSentence(b *testing.B) {
	s := NewStatic()
	v := make([]float32, s.Dim())
	before := cpuTime()
	for b.Loop() {
		s.Into(v, sentence)
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N)/1e3, "cpu-µs/op")
}
