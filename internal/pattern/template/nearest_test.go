package template

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// slowest is the best agreement of any pattern, by reading them all.
func slowest(ix *Index, message []byte) (best float64) {
	s := new(scanner)
	s.scan(message)
	got := partsOf(string(s.text), s)
	for i := range ix.patterns.len() {
		if p := ix.patterns.at(i); p.alive() {
			best = max(best, agreement(appendParts(nil, p.template()), got))
		}
	}
	return best
}

// A word of a random line is changed; the pattern found agrees about as well as any does. Where a template of slots alone agrees better, another may be found
// that shares words.
func TestNearestIsAsGoodAsReadingAll(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	asked, best, score, most := 0, 0, 0., 0.
	for round := range uint64(4) {
		g := newGenerator(seed+round, 60)
		var lines [][]byte
		for range 3000 {
			text, _ := g.line()
			lines = append(lines, []byte(text))
		}
		ix := learnt(lines).Index()
		var m Match
		for range 300 {
			words := bytes.Fields(lines[g.rng.IntN(len(lines))])
			words[g.rng.IntN(len(words))] = []byte(g.word())
			line := bytes.Join(words, []byte(" "))
			if ix.Recognise(line, &m) {
				continue
			}
			asked++
			near, _ := ix.Nearest(line)
			want := slowest(ix, line)
			score, most = score+near.Score, most+want
			if near.Score == want {
				best++
			}
		}
	}
	t.Logf("%d of %d as good, score %.3f of %.3f", best, asked, score/float64(asked), most/float64(asked))
	require.Greater(t, asked, 100)
	require.GreaterOrEqual(t, best*100, asked*85)
	require.GreaterOrEqual(t, score, most*.96)
}

func TestExplain(t *testing.T) {
	ix := learnt([][]byte{
		[]byte("session opened for user root by (uid=0)"), []byte("session closed for user root"), []byte("connection from 10.0.0.1 port 22 accepted"),
		[]byte("login of ada from 10.0.0.1 ok"), []byte("login of bob from 10.0.0.1 ok"), []byte("login of kim from 10.0.0.1 ok"), []byte("login of eve from 10.0.0.1 ok"),
		[]byte("login of pat from 10.0.0.1 ok"), []byte("login of joe from 10.0.0.1 ok"), []byte("login of max from 10.0.0.1 ok"),
	}).Index()
	said := func(e Explanation, message string) (out string) {
		for _, k := range e.Tokens {
			out += fmt.Sprintf("%s %s", message[k.Start:k.End], k.Role)
			if k.Slot >= 0 {
				out += " " + e.Of.Slots[k.Slot].Name
			}
			if k.Want != "" {
				out += " not " + k.Want
			}
			out += "; "
		}
		return out
	}
	line := "login of zoe from 10.9.9.9 ok"
	e := ix.Explain([]byte(line))
	require.True(t, e.Known)
	require.Less(t, e.Confidence, 1.0)
	require.Contains(t, e.Why, "never seen there")
	require.Equal(t, "login constant; of constant; zoe value word; from constant; 10.9.9.9 value ip; ok constant; ", said(e, line))
	require.NotNil(t, e.Next)
	require.NotEqual(t, e.Pattern, e.Next.Pattern)

	line = "connection from 10.0.0.2 port 23 refused twice"
	e = ix.Explain([]byte(line))
	require.False(t, e.Known)
	require.Equal(t, pattern.Fingerprint("connection from <*> port <*> accepted"), e.Of.ID)
	require.Equal(t, "connection constant; from constant; 10.0.0.2 value ip; port constant; 23 value number; refused differs not accepted; twice extra; ", said(e, line))
	e = ix.Explain([]byte("session closed for root"))
	require.Equal(t, []string{"user"}, e.Missing)

	e = NewLibrary(Options{}).Index().Explain([]byte("anything"))
	require.False(t, e.Known)
	require.Nil(t, e.Next)
	require.Contains(t, e.Why, "no pattern")
}

func FuzzExplain(f *testing.F) {
	ix := learnt([][]byte{[]byte("session opened for user root by (uid=0)"), []byte("a 1 b <x> [2] c=3"), []byte("x"), []byte("login of ada ok ok ok")}).Index()
	f.Add([]byte("session opened for user"))
	f.Add([]byte(""))
	f.Add([]byte("a b a 1 b <x> [2] c=3 \xff\x00"))
	f.Fuzz(func(t *testing.T, line []byte) {
		e := ix.Explain(line)
		end := 0
		for _, k := range e.Tokens {
			if k.Start < end || k.End < k.Start || k.End > len(line) || k.Slot >= len(e.Of.Slots) {
				t.Fatalf("%q: %+v", line, e)
			}
			end = k.End
		}
		if _, ok := ix.Nearest(line); ok != (slowest(ix, line) > 0) && ok {
			t.Fatalf("%q: near to nothing", line)
		}
	})
}

// BenchmarkNearest asks for unknown lines among 100,000 patterns.
func BenchmarkNearest(b *testing.B) {
	l := NewLibrary(Options{})
	l.Learn(manyShapes(100_000))
	ix := l.Index()
	_, patterns := l.Len()
	rng := rand.New(rand.NewPCG(1, 1))
	var lines [][]byte
	for range 64 {
		p := ix.patterns.at(rng.IntN(ix.patterns.len()))
		words := bytes.Fields([]byte(p.template()))
		if len(words) > 0 {
			words[rng.IntN(len(words))] = []byte("unheardof")
		}
		lines = append(lines, bytes.Join(words, []byte(" ")))
	}
	ix.Nearest(lines[0])
	b.ReportMetric(float64(patterns), "patterns")
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ix.Nearest(lines[i%len(lines)])
		i++
	}
}
