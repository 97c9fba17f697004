package template

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// statements prints lines of statements of one form.
func (g *generator) linesOf(make func() statement, statements, n int) (lines [][]byte) {
	g.stmts = g.stmts[:0]
	for range statements {
		g.stmts = append(g.stmts, make())
	}
	for range n {
		lines = append(lines, []byte(g.print(g.rng.IntN(statements))))
	}
	return lines
}

// BenchmarkForms recognises lines of one form each, and of generators that know all forms. Besides the mean it reports the least time, that
// of stretches of 250 lines, because a busy machine makes means of other work.
func BenchmarkForms(b *testing.B) {
	g := newGenerator(4711, 1)
	forms := []struct {
		name string
		make func() statement
	}{
		{"prose", func() statement { return g.prose(2 + g.rng.IntN(9)) }},
		{"logfmt", g.logfmt},
		{"json", g.json},
		{"call", g.call},
	}
	for _, f := range forms {
		benchRecognise(b, f.name, g.linesOf(f.make, 50, 5000))
	}
	for seed := range uint64(3) {
		g := newGenerator(4711+seed, 200)
		s, c, p := newStyled(4711+seed, 200), newCurly(4711+seed, 200), newPrintf(4711+seed, 200)
		for _, of := range []struct {
			name string
			line func() (string, int)
		}{{"random", g.line}, {"styled", s.line}, {"curly", c.line}, {"printf", p.line}} {
			var lines [][]byte
			for range 5000 {
				text, _ := of.line()
				lines = append(lines, []byte(text))
			}
			benchRecognise(b, fmt.Sprintf("%s-%d", of.name, seed), lines)
		}
	}
}

func benchRecognise(b *testing.B, name string, lines [][]byte) {
	b.Helper()
	const stretch = 250
	ix := learnt(lines).Index()
	least := make([]time.Duration, len(lines)/stretch)
	b.Run(name, func(b *testing.B) {
		var m Match
		for b.Loop() {
			for k := range least {
				from := time.Now()
				for _, l := range lines[k*stretch : (k+1)*stretch] {
					ix.Recognise(l, &m)
				}
				if t := time.Since(from); least[k] == 0 || t < least[k] {
					least[k] = t
				}
			}
		}
		var sum time.Duration
		for _, t := range least {
			sum += t
		}
		n := float64(len(least) * stretch)
		size := float64(totalBytes(lines)) / float64(len(lines))
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/line")
		b.ReportMetric(float64(sum.Nanoseconds())/n, "least-ns/line")
		b.ReportMetric(float64(sum.Nanoseconds())/n/size, "least-ns/byte")
		b.ReportMetric(size, "bytes/line")
	})
}

// BenchmarkLeast is BenchmarkRecognise by the least time.
func BenchmarkLeast(b *testing.B) {
	benchRecognise(b, "random", benchLines(20000))
	paths, _ := filepath.Glob(filepath.Join(evalData(b), "*.content"))
	var lines [][]byte
	for _, p := range paths {
		m, _, _ := readSystem(b, p)
		lines = append(lines, m...)
	}
	benchRecognise(b, "public", lines)
}
