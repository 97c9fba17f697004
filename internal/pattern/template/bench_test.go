package template

import (
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// benchLines are lines of random statements, the same for every benchmark.
func benchLines(n int) [][]byte {
	g := newGenerator(4711, 200)
	out := make([][]byte, n)
	for i := range out {
		text, _ := g.line()
		out[i] = []byte(text)
	}
	return out
}

func totalBytes(lines [][]byte) (n int64) {
	for _, l := range lines {
		n += int64(len(l))
	}
	return n
}

func BenchmarkTally(b *testing.B) {
	lines := benchLines(20000)
	t := NewTally(TallyOptions{})
	for _, l := range lines {
		t.Add(l, l, 0)
	}
	b.SetBytes(totalBytes(lines) / int64(len(lines)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		t.Add(lines[i], lines[i], int64(i))
		if i++; i == len(lines) {
			i = 0
		}
	}
}

func learnt(lines [][]byte) *Library {
	t := NewTally(TallyOptions{})
	for _, l := range lines {
		t.Add(l, l, 0)
	}
	return learn(t)
}

func learn(t *Tally) *Library {
	var shapes []Shape
	for _, c := range t.Counted() {
		shapes = append(shapes, c.Shape)
	}
	l := NewLibrary(Options{})
	l.Learn(shapes)
	return l
}

func BenchmarkRecognise(b *testing.B) {
	lines := benchLines(20000)
	ix := learnt(lines).Index()
	var m Match
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ix.Recognise(lines[i], &m)
		if i++; i == len(lines) {
			i = 0
		}
	}
}

func BenchmarkRecogniseNewWord(b *testing.B) {
	lines := benchLines(20000)
	ix := learnt(lines[:10000]).Index()
	var unknown [][]byte
	var m Match
	for _, l := range lines[10000:] {
		if ix.Recognise(l, &m) && m.Confidence < 1 {
			unknown = append(unknown, l)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ix.Recognise(unknown[i%len(unknown)], &m)
		i++
	}
}

func BenchmarkLearn(b *testing.B) {
	t := NewTally(TallyOptions{})
	for _, l := range benchLines(20000) {
		t.Add(l, l, 0)
	}
	n := len(t.Counted())
	b.ReportMetric(float64(n), "shapes")
	for b.Loop() {
		learn(t)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/shape")
}

func TestKnownLinesAllocateNothing(t *testing.T) {
	lines := benchLines(2000)
	tl := NewTally(TallyOptions{})
	for _, l := range lines {
		tl.Add(l, l, 0)
	}
	ix := learn(tl).Index()
	var m Match
	for _, l := range lines {
		require.True(t, ix.Recognise(l, &m))
	}
	i := 0
	allocs := testing.AllocsPerRun(2000, func() {
		ix.Recognise(lines[i%len(lines)], &m)
		i++
	})
	require.True(t, racing || allocs == 0, "%v allocations a line", allocs)
	require.Zero(t, testing.AllocsPerRun(2000, func() {
		tl.Add(lines[i%len(lines)], lines[i%len(lines)], 1)
		i++
	}))
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// manyShapes makes up to three shapes for each of n random statements.
func manyShapes(n int) []Shape {
	g := newGenerator(12, n)
	var s scanner
	var out []Shape
	for k := range g.stmts {
		for range 3 {
			s.scan([]byte(g.print(k)))
			out = append(out, Shape{ID: s.id(), Text: string(s.text)})
		}
	}
	return out
}

func TestLibraryOfManyPatternsIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("learns many shapes: not in short mode")
	}
	shapes := manyShapes(136_000)
	before := heap()
	l := NewLibrary(Options{})
	l.Learn(shapes)
	ix := l.Index()
	used := heap() - before
	n, p := l.Len()
	t.Logf("%d shapes, %d patterns: %.1f MB, %d bytes a pattern", n, p, float64(used)/1e6, used/uint64(p))
	require.Less(t, used/uint64(p), uint64(600))
	runtime.KeepAlive(ix)
	runtime.KeepAlive(shapes)
}

func TestEveryLineNewStaysBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a million lines: not in short mode")
	}
	const lines = 1_000_000
	before := heap()
	l := NewLibrary(Options{MaxShapes: 20_000})
	total, other, full := int64(0), int64(0), false
	x := uint64(1)
	var peak uint64
	for range 10 {
		tl := NewTally(TallyOptions{Index: l.Index(), MaxShapes: 10_000})
		for range lines / 10 {
			var m []byte
			for range 3 + int(x%5) {
				x = x*6364136223846793005 + 1442695040888963407
				for v := x >> 20; v > 0; v /= 26 {
					m = append(m, 'a'+byte(v%26))
				}
				m = append(m, " .:, ;= "[x>>61])
			}
			tl.Add(m, m, 0)
		}
		require.Equal(t, int64(lines/10), tl.Lines())
		counted := tl.Counted()
		var shapes []Shape
		for _, c := range counted {
			shapes = append(shapes, c.Shape)
		}
		ch := l.Learn(shapes)
		full = full || ch.Full
		for k, a := range ch.Assigned {
			total += counted[k].Lines
			if a.Shape == Other {
				require.Equal(t, pattern.ID(""), a.Pattern)
				other += counted[k].Lines
			}
		}
		peak = max(peak, heap()-before)
	}
	t.Logf("%d of %d lines in Other, heap %.1f MB", other, lines, float64(peak)/1e6)
	require.Equal(t, int64(lines), total)
	require.True(t, full)
	require.Positive(t, other)
	require.Less(t, peak, uint64(80e6))
}

// BenchmarkLoadMany brings 100,000 patterns into an empty library, as a process does that starts, and reports the heap that it keeps and its
// peak, both above the shapes that come in.
func BenchmarkLoadMany(b *testing.B) {
	shapes := manyShapes(136_000)
	for name, fill := range map[string]func(*Library){
		"learn": func(l *Library) { l.Learn(shapes) },
		"load":  func(l *Library) { l.Load(slices.Values(shapes)) },
	} {
		b.Run(name, func(b *testing.B) {
			defer debug.SetGCPercent(debug.SetGCPercent(50))
			var kept, peak uint64
			for b.Loop() {
				before := heap()
				done, most := make(chan struct{}), make(chan uint64)
				go sampleHeap(done, most)
				l := NewLibrary(Options{})
				fill(l)
				close(done)
				peak = max(peak, <-most-before)
				kept = heap() - before
				runtime.KeepAlive(l)
			}
			b.ReportMetric(float64(kept)/1e6, "kept-MB")
			b.ReportMetric(float64(peak)/1e6, "peak-MB")
		})
	}
	runtime.KeepAlive(shapes)
}

// sampleHeap sends the most that the heap held until done.
func sampleHeap(done <-chan struct{}, most chan<- uint64) {
	var m runtime.MemStats
	var peak uint64
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		select {
		case <-done:
			tick.Stop()
			most <- peak
			return
		case <-tick.C:
		}
	}
}
