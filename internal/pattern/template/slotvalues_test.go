package template

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/values"
)

// collected puts together what a library's patterns held, from tallies that went through their encoding.
func collected(t *testing.T, lib *Library, tallies ...*Tally) map[pattern.ID]*Collector {
	t.Helper()
	ix, out := lib.Index(), map[pattern.ID]*Collector{}
	for _, tally := range tallies {
		body, err := tally.MarshalBinary()
		require.NoError(t, err)
		counted, err := ReadTally(body)
		require.NoError(t, err)
		for _, c := range counted {
			id, ok := lib.PatternOf(c.ID)
			if !ok {
				continue
			}
			if out[id] == nil {
				p, _ := lib.Pattern(id)
				out[id] = ix.Collect(p)
			}
			for i := range c.Values {
				require.NoError(t, c.Values[i].Open())
				out[id].Add(c.ID, &c.Values[i])
			}
		}
	}
	return out
}

// What slots are said to have held is what recognising the same lines again finds in them.
func TestCollectedValuesAreThoseRecognised(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	g := newGenerator(seed, 60)
	tallies := []*Tally{NewTally(TallyOptions{Values: true}), NewTally(TallyOptions{Values: true}), NewTally(TallyOptions{Values: true})}
	plain := NewTally(TallyOptions{})
	lib := NewLibrary(Options{})
	var lines [][]byte
	for range 6000 {
		text, _ := g.line()
		lines = append(lines, []byte(text))
		at := rnd.Int64N(200 * values.Day * 1e9)
		tallies[rnd.IntN(3)].Add(lines[len(lines)-1], nil, at)
		plain.Add(lines[len(lines)-1], nil, at)
	}
	for _, tally := range tallies {
		var shapes []Shape
		for _, c := range tally.Counted() {
			shapes = append(shapes, c.Shape)
		}
		lib.Learn(shapes)
	}
	for _, c := range plain.Counted() {
		require.Empty(t, c.Values)
	}

	want := map[string]map[string]int64{}
	perPattern := map[pattern.ID]int64{}
	ix := lib.Index()
	single := map[string]bool{}
	var m Match
	for _, l := range lines {
		require.True(t, ix.Recognise(l, &m))
		perPattern[m.Pattern]++
		r := ix.records.at(ix.byID.find(uint64(m.Shape), func(i int) bool { return ix.records.at(i).id == m.Shape }))
		plan := *ix.plans.at(int((*ix.views.at(int(r.group))).clusters[r.cluster].plan))
		for i, v := range m.Values {
			slot := fmt.Sprintf("%s %d", m.Pattern, i)
			if one := plan[i].first == plan[i].last; want[slot] == nil {
				want[slot], single[slot] = map[string]int64{}, one
			} else {
				single[slot] = single[slot] && one
			}
			want[slot][string(l[v.Start:v.End])]++
		}
	}
	compared := 0
	for id, c := range collected(t, lib, tallies...) {
		require.Equal(t, perPattern[id], c.Lines, "pattern %s", id)
		require.Zero(t, c.Unplaced)
		for i, s := range c.Slots() {
			slot := fmt.Sprintf("%s %d", id, i)
			if !single[slot] {
				continue // of a list the elements are counted, and of an optional tail what is there
			}
			compared++
			require.Equal(t, perPattern[id], s.Count(), slot)
			n, e := s.Distinct()
			require.InDelta(t, len(want[slot]), n, 5*float64(e), slot)
			most, missed := s.Top(1000)
			for _, v := range most {
				if !v.Cut {
					require.LessOrEqual(t, v.Count, want[slot][v.Value], "%s %q", slot, v.Value)
				}
			}
			if missed == 0 {
				require.Len(t, most, len(want[slot]), slot)
			}
		}
	}
	require.Greater(t, compared, 50)
}

// A tally that folds shapes keeps the words that were absorbed as values.
func TestTallyFoldsValues(t *testing.T) {
	t.Parallel()
	tally := NewTally(TallyOptions{Values: true})
	tally.foldAt = 600
	const n = 3000
	for i := range n {
		line := fmt.Appendf(nil, "login of %c%c%c took %d ms", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, i)
		tally.Add(line, line, int64(i)*1e9)
	}
	require.Len(t, tally.Counted(), tally.Shapes())
	lib := NewLibrary(Options{})
	for _, c := range tally.Counted() {
		lib.Learn([]Shape{c.Shape})
	}
	_, patterns := lib.Len()
	require.Equal(t, 1, patterns)
	for _, c := range collected(t, lib, tally) {
		slots := c.Slots()
		require.EqualValues(t, n, c.Lines)
		require.EqualValues(t, n, slots[0].Count())
		distinct, e := slots[0].Distinct()
		require.InDelta(t, n, distinct, 4*float64(e))
		numbers, _ := slots[1].Numbers()
		require.EqualValues(t, n, numbers.Count())
		require.InDelta(t, n*(n-1)/2, numbers.Sum(), 1e-3)
	}
}

// A size that is printed in whatever unit fits is bytes.
func TestSizesInTwoColumns(t *testing.T) {
	t.Parallel()
	tally, lib := NewTally(TallyOptions{Values: true}), NewLibrary(Options{})
	for i, line := range []string{"block rdd_1 stored, free 2.5 KB", "block rdd_2 stored, free 512 B", "block rdd_3 stored, free 1.5 MB", "block rdd_4 stored, free 3.0 KB"} {
		tally.Add([]byte(line), []byte(line), int64(i))
	}
	for _, c := range tally.Counted() {
		lib.Learn([]Shape{c.Shape})
	}
	got := collected(t, lib, tally)
	require.Len(t, got, 1)
	for _, c := range got {
		slots := c.Slots()
		numbers, unit := slots[len(slots)-1].Numbers()
		require.Equal(t, values.Bytes, unit)
		require.InDelta(t, 2560+512+1.5*(1<<20)+3072, numbers.Sum(), 0)
	}
}

// The time of a line may be anything.
func TestValuesAtTheEndsOfTime(t *testing.T) {
	t.Parallel()
	tally := NewTally(TallyOptions{Values: true})
	for i, at := range []int64{-1 << 63, 1<<63 - 1, 0, -1, 1} {
		line := fmt.Appendf(nil, "took %d ms", i)
		tally.Add(line, line, at)
	}
	body, err := tally.MarshalBinary()
	require.NoError(t, err)
	counted, err := ReadTally(body)
	require.NoError(t, err)
	var lines int64
	for _, p := range counted[0].Values {
		lines += p.Lines
	}
	require.EqualValues(t, 5, lines)
	again, err := tally.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, body, again)
}

func BenchmarkTallyValues(b *testing.B) {
	lines := benchLines(100_000) // so that most ids and numbers come once in a while
	for _, on := range []bool{false, true} {
		t := NewTally(TallyOptions{Values: on})
		for _, l := range lines {
			t.Add(l, l, 0)
		}
		b.Run(map[bool]string{false: "off", true: "on"}[on], func(b *testing.B) {
			b.SetBytes(totalBytes(lines) / int64(len(lines)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				t.Add(lines[i], lines[i], int64(i))
				if i++; i == len(lines) {
					i = 0
				}
			}
		})
	}
}

// What a person joins has held what its parts held, and apart again each has its own.
func TestValuesFollowRules(t *testing.T) {
	t.Parallel()
	tally, lib := NewTally(TallyOptions{Values: true}), NewLibrary(Options{})
	for i := range 60 {
		line := fmt.Appendf(nil, "gate opened for %d ms", i)
		if i%3 == 0 {
			line = fmt.Appendf(nil, "gate closed for %d ms", i)
		}
		tally.Add(line, line, int64(i))
	}
	for _, c := range tally.Counted() {
		lib.Learn([]Shape{c.Shape})
	}
	require.Len(t, collected(t, lib, tally), 2)
	lib.SetRules([]Rule{mustDefine(t, 1, "gate <*> for <*> ms")})
	joined := collected(t, lib, tally)
	require.Len(t, joined, 1)
	for _, c := range joined {
		slots := c.Slots()
		require.EqualValues(t, 60, c.Lines)
		most, missed := slots[0].Top(10)
		require.Zero(t, missed)
		require.Equal(t, []values.Frequent{{Value: "opened", Count: 40}, {Value: "closed", Count: 20}}, most)
		numbers, _ := slots[1].Numbers()
		require.EqualValues(t, 60, numbers.Count())
		require.InDelta(t, 60*59/2, numbers.Sum(), 0)
	}
	lib.SetRules(nil)
	apart := collected(t, lib, tally)
	require.Len(t, apart, 2)
	for _, c := range apart {
		require.Len(t, c.Slots(), 1)
	}
}

// BenchmarkTallyOfNewLines counts lines of which nearly every one has a shape of its own, with values.
func BenchmarkTallyOfNewLines(b *testing.B) {
	g := newGenerator(12, 20000)
	var lines [][]byte
	for k := range g.stmts {
		lines = append(lines, []byte(g.print(k)), []byte(g.print(k)))
	}
	b.ReportAllocs()
	before, kept := heap(), uint64(0)
	for b.Loop() {
		t := NewTally(TallyOptions{Values: true})
		for i, l := range lines {
			t.Add(l, l, int64(i)*1e6)
		}
		b.StopTimer()
		kept = heap() - before
		runtime.KeepAlive(t)
		b.StartTimer()
	}
	b.ReportMetric(float64(kept)/1e6, "kept-MB")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(lines)), "ns/line")
}
