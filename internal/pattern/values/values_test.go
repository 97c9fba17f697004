package values

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seeded returns a source of randomness whose seed is printed if the test fails.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// observation is a value at a time.
type observation struct {
	value string
	at    int64
}

// observations are values of one of several kinds of slots.
func observations(rnd *rand.Rand, n int) []observation {
	kind, spread := rnd.IntN(5), 1+rnd.IntN(3000)
	zipf := rand.NewZipf(rnd, 1.2, 1, uint64(spread))
	out := make([]observation, n)
	for i := range out {
		out[i].at = rnd.Int64N(1e15)
		switch kind {
		case 0:
			out[i].value = fmt.Sprintf("user-%d", zipf.Uint64())
		case 1:
			out[i].value = fmt.Sprintf("%.3f", math.Exp(6*rnd.NormFloat64()))
		case 2:
			out[i].value = fmt.Sprintf("%d", rnd.IntN(spread)-spread/2)
		case 3:
			out[i].value = fmt.Sprintf("/a/rather/long/path/to/be/cut/because/nobody/shows/so/much/of/it/in/one/line/%d/%d", zipf.Uint64(), rnd.IntN(3))
		case 4:
			out[i].value = []string{"GET", "PUT", "POST", "DELETE", ""}[rnd.IntN(5)]
		}
	}
	return out
}

func (s *Summary) observe(o observation) {
	s.Add([]byte(o.value), 1, o.at)
	if x, u, ok := Number([]byte(o.value)); ok {
		s.AddNumber(x, u, 1)
	}
}

// exact is the encoding of all that does not depend on order: without the top values if some were dropped.
func exact(s *Summary) []byte {
	copied := &Summary{}
	copied.Merge(s)
	if copied.top.trim(); copied.top.floor > 0 {
		copied.top = top{floor: 1}
	}
	return copied.Append(nil, 0)
}

// merged sums observations up in random parts, which go through their encoding now and then, and are merged in a random order.
func merged(t *testing.T, rnd *rand.Rand, all []observation) *Summary {
	all = slices.Clone(all)
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	parts := make([]*Summary, 1+rnd.IntN(20))
	for i := range parts {
		parts[i] = &Summary{}
	}
	for _, o := range all {
		parts[rnd.IntN(len(parts))].observe(o)
	}
	for len(parts) > 1 {
		i := rnd.IntN(len(parts) - 1)
		if rnd.IntN(2) == 0 {
			decoded, rest, err := Read(parts[i].Append(nil, 77), 77)
			require.NoError(t, err)
			require.Empty(t, rest)
			parts[i] = decoded
		}
		parts[i].Merge(parts[i+1])
		parts = slices.Delete(parts, i+1, i+2)
	}
	return parts[0]
}

func TestMergingIsFreeOfOrder(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	for range 100 {
		all := observations(rnd, 1+rnd.IntN(5000))
		whole := &Summary{}
		for _, o := range all {
			whole.observe(o)
		}
		a, b := merged(t, rnd, all), merged(t, rnd, all)
		if a.top.trim(); whole.Missed() == 0 && a.Missed() == 0 {
			whole.top.trim()
			b.top.trim()
			require.Equal(t, whole.Missed() == 0, b.Missed() == 0, "whether values are dropped is no matter of order")
		}
		require.Equal(t, exact(whole), exact(a))
		require.Equal(t, exact(a), exact(b))
		copied := &Summary{}
		copied.Merge(a)
		require.Equal(t, a.Append(nil, 5), copied.Append(nil, 5), "merging into nothing copies")
	}
}

func TestTopKeepsItsBounds(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	for range 150 {
		all := observations(rnd, 1+rnd.IntN(20_000))
		truth := map[string]int64{}
		for _, o := range all {
			truth[o.value]++
		}
		s := merged(t, rnd, all)
		if rnd.IntN(2) == 0 {
			s.top.trim()
		}
		n := int64(len(all))
		require.LessOrEqual(t, s.Missed(), n/(MaxTopText/MaxValue), "whatever their length")
		longest := 0
		for v := range truth {
			longest = max(longest, len(v))
		}
		if longest <= MaxTopText/MaxTop {
			require.LessOrEqual(t, s.Missed(), n/MaxTop, "of short values")
		}
		seen := map[uint64]bool{}
		for i := range s.top.entries {
			seen[s.top.entries[i].hash] = true
		}
		for v, lines := range truth {
			e := s.top.find(hash([]byte(v)))
			if e == nil {
				require.LessOrEqual(t, lines, s.Missed(), "%q is not kept", v)
				continue
			}
			require.LessOrEqual(t, e.count, lines, "%q", v)
			require.GreaterOrEqual(t, e.count+e.miss, lines, "%q", v)
			require.Equal(t, v[:min(len(v), MaxValue)], string(s.top.value(e)))
		}
		require.Len(t, seen, len(s.top.entries))
		if len(truth) <= 6 {
			require.Zero(t, s.Missed())
			most, _ := s.Top(10)
			require.Len(t, most, len(truth))
		}
		require.EqualValues(t, n, s.Count())
	}
}

// A stream of ids that never come twice, with one value in ten the same, keeps that one and hardly anything else.
func TestTopOfIds(t *testing.T) {
	t.Parallel()
	s := &Summary{}
	for i := range 100_000 {
		v := fmt.Sprintf("req-%d", i)
		if i%10 == 3 {
			v = "health"
		}
		s.Add([]byte(v), 1, int64(i))
	}
	most, missed := s.Top(10)
	require.LessOrEqual(t, missed, int64(100_000/MaxTop))
	require.Equal(t, []Frequent{{Value: "health", Count: 10_000}}, most, "counted from the start, so exactly")
	require.Less(t, len(s.Append(nil, 0)), 900)
}

// The distinct count of 50 sets of each size is off by less than four standard errors, and by about one on the average.
func TestDistinctError(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	for _, n := range []int{1, 10, 64, 65, 100, 500, 2000, 10_000, 100_000, 1_000_000} {
		var squares float64
		rounds := 50
		if n > 10_000 {
			rounds = 10
		}
		for range rounds {
			var s sketch
			for range n {
				s.add(uint32(rnd.Uint64() >> 32))
			}
			got, e := s.estimate()
			if n <= maxSparse {
				require.EqualValues(t, n, got)
				require.Zero(t, e)
				continue
			}
			off := float64(got-int64(n)) / float64(n)
			require.Less(t, math.Abs(off), 4.5*1.04/math.Sqrt(registers), "%d estimated as %d", n, got)
			squares += off * off
		}
		if n > maxSparse {
			require.Less(t, math.Sqrt(squares/float64(rounds)), 1.6*1.04/math.Sqrt(registers), "of %d", n)
		}
	}
}

func TestDistinctOfRealHashes(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"%d", "user%d", "10.0.%d.7", "/var/log/app/%08d.log", "%x"} {
		var s Summary
		for i := range 20_000 {
			s.Add(fmt.Appendf(nil, format, i), 1, 0)
		}
		n, e := s.Distinct()
		require.InDelta(t, 20_000, n, 4*float64(e), format)
	}
}

// Hashes are stored, so they may never change.
func TestHashIsForEver(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]uint64{"": hashEmpty, "GET": hashGet, "a value of more than sixteen bytes": hashLong} {
		require.Equal(t, want, hash([]byte(value)), "%q: %#x", value, hash([]byte(value)))
	}
}

func TestQuantileError(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	for range 200 {
		n := &Numbers{}
		all := make([]float64, 1+rnd.IntN(3000))
		scale, center := 8*rnd.Float64(), 1000*rnd.NormFloat64()
		kind := rnd.IntN(4)
		var sum float64
		for i := range all {
			switch kind {
			case 0:
				all[i] = math.Exp(scale * rnd.NormFloat64())
			case 1:
				all[i] = center + 100*rnd.NormFloat64()
			case 2:
				all[i] = float64(rnd.IntN(5))
			case 3:
				all[i] = math.Round(1e6 * rnd.Float64())
			}
			n.add(all[i], 1)
			sum += all[i]
		}
		sort.Float64s(all)
		require.EqualValues(t, len(all), n.Count())
		require.Equal(t, all[0], n.Min())
		require.Equal(t, all[len(all)-1], n.Max())
		require.InDelta(t, sum, n.Sum(), 1e-9*math.Abs(sum)+float64(len(all))/(1<<sumBits))
		require.LessOrEqual(t, len(n.bins), maxBins)
		for q := 0.; q <= 1; q += 1. / 16 {
			want, got := all[int(q*float64(len(all)-1))], n.Quantile(q)
			require.LessOrEqual(t, math.Abs(got-want), n.Error()*math.Abs(want)+1e-15, "quantile %v is %v, not %v, level %d", q, got, want, n.level)
		}
		if kind < 3 && scale < 3 {
			require.LessOrEqual(t, n.Error(), .25)
		}
	}
}

// Doubling after the fact is adding doubled numbers.
func TestInBytes(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	for _, unit := range []string{"B", "KB", "MiB", "TB"} {
		plain, sized := &Summary{}, &Summary{}
		for range 500 {
			v := fmt.Appendf(nil, "%.1f", 1000*rnd.Float64())
			x, _, _ := Number(v)
			plain.Add(v, 1, 0)
			plain.AddNumber(x, Plain, 1)
			sized.Add(v, 1, 0)
			bytes, ok := Size(append(append(slices.Clone(v), ' '), unit...))
			require.True(t, ok)
			sized.AddNumber(bytes, Bytes, 1)
		}
		got, ok := plain.InBytes([]byte(unit))
		require.True(t, ok)
		a, _ := got.Numbers()
		b, u := sized.Numbers()
		require.Equal(t, Bytes, u)
		require.Equal(t, []float64{b.Min(), b.Max(), b.Quantile(.5), b.Quantile(.9)}, []float64{a.Min(), a.Max(), a.Quantile(.5), a.Quantile(.9)}, unit)
		require.InEpsilon(t, b.Sum(), a.Sum(), 1e-6, unit)
	}
	_, ok := (&Summary{}).InBytes([]byte("apples"))
	require.False(t, ok)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"0": 0, "-12": -12, "+3.5": 3.5, "1,234,567": 1234567, "1e3": 1000, "1.5e-3": .0015, "99%": 99, "123456789012345678901": 123456789012345678901, ".5": .5,
	} {
		x, u, ok := Number([]byte(text))
		require.True(t, ok, text)
		require.InDelta(t, want, x, 1e-12*math.Abs(want), text)
		require.Equal(t, Plain, u)
	}
	for _, text := range []string{"", "-", "1.2.3", "2026-11-23", "1/2", "12a", "4G", "1,2", "1, 2", "e5", "0x1f"} {
		_, _, ok := Number([]byte(text))
		require.False(t, ok, text)
	}
	x, u, ok := Number([]byte("1.5 KB"))
	require.True(t, ok)
	require.Equal(t, 1536., x)
	require.Equal(t, Bytes, u)
	for text, want := range map[string]float64{"12ms": 12, "1.5s": 1500, "1h2m3.5s": 3723500, "250us": .25, "3 sec": 3000, "<1 sec": 1000, "2d": 172800000, "-5ms": -5, "-1m30s": -90000, "10µs": .01} {
		x, ok := Duration([]byte(text))
		require.True(t, ok, text)
		require.InDelta(t, want, x, 1e-9*math.Abs(want), text)
	}
	for _, text := range []string{"", "12", "ms", "1x", "1h-2m", "1 2s"} {
		_, ok := Duration([]byte(text))
		require.False(t, ok, text)
	}
	for text, want := range map[string]float64{"512B": 512, "64KiB": 65536, "1.5kB": 1536, "2 MB": 2 << 20, "3GB/s": 3 << 30, "1T": 1 << 40, "4k": 4096, "7 bytes": 7} {
		x, ok := Size([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, want, x, text)
	}
	for _, text := range []string{"", "12", "KB", "1 fit", "1bit"} {
		_, ok := Size([]byte(text))
		require.False(t, ok, text)
	}
}

// No summary takes more than 5 KiB: three units of numbers, counts of 2^40 and values that cannot be foreseen.
func TestWorstCaseSize(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	longest := 0
	for range 50 {
		s := &Summary{}
		for range 5000 {
			v := make([]byte, 1+rnd.IntN(100))
			for i := range v {
				v[i] = byte(rnd.IntN(256))
			}
			if rnd.IntN(3) > 0 {
				v = v[:1]
			}
			s.Add(v, 1<<40, rnd.Int64N(1<<40))
			s.AddNumber(rnd.NormFloat64()*math.Exp(40*rnd.Float64()), Unit(rnd.IntN(3)), 1<<40)
		}
		longest = max(longest, len(s.Append(nil, 0)))
	}
	t.Logf("%d bytes", longest)
	require.Less(t, longest, 5<<10)
}

// A slot that holds one unit of numbers of ordinary counts takes a few hundred bytes.
func TestUsualSize(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	for name, c := range map[string]struct {
		value func(i int) string
		most  int
	}{
		"status":   {func(int) string { return []string{"200", "404", "500"}[rnd.IntN(3)] }, 100},
		"user":     {func(int) string { return fmt.Sprintf("user%d", rnd.IntN(30)) }, 450},
		"request":  {func(i int) string { return fmt.Sprintf("%016x", rnd.Uint64()) }, 900},
		"duration": {func(int) string { return fmt.Sprintf("%.2f", math.Exp(3+rnd.NormFloat64())) }, 1300},
	} {
		s := &Summary{}
		for i := range 10_000 {
			s.observe(observation{c.value(i), int64(i) * 1e8})
		}
		size := len(s.Append(nil, 0))
		t.Logf("%s: %d bytes", name, size)
		require.LessOrEqual(t, size, c.most, name)
	}
}

func TestPlaceIsCoarserTheOlder(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	for range 10_000 {
		last := rnd.Int64N(4e9) - 1e9
		at := last - rnd.Int64N(200*Day)
		span, start := Place(at, last)
		require.LessOrEqual(t, start, at)
		require.Greater(t, start+span, at)
		hours, days := Horizons(last)
		require.Equal(t, map[bool]int64{true: Hour, false: map[bool]int64{true: Day, false: Month}[at >= days]}[at >= hours], span)
		later := last + rnd.Int64N(100*Day)
		wantSpan, wantStart := Place(at, later)
		gotSpan, gotStart := Place(start, later)
		require.Equal(t, []int64{wantSpan, wantStart}, []int64{max(gotSpan, span), gotStart}, "step by step or at once")
	}
}

func TestCoarsenLeavesWhatItIsGiven(t *testing.T) {
	t.Parallel()
	var periods []Period
	for i := range int64(100) {
		p := Period{Span: Hour, Start: i * Hour, Lines: 1}
		p.Column(3).Add([]byte{byte('a' + i%3)}, 1, i*Hour*1e9)
		periods = append(periods, p)
	}
	periods[98].Seal()
	once, err := Coarsen(periods, 100*Hour)
	require.NoError(t, err)
	twice, err := Coarsen(periods, 100*Hour)
	require.NoError(t, err)
	require.Equal(t, AppendPeriods(nil, once), AppendPeriods(nil, twice))
	var lines int64
	for _, p := range once {
		require.NoError(t, p.Open())
		lines += p.Lines
		require.Equal(t, p.Lines, p.Find(3).Count())
	}
	require.EqualValues(t, 100, lines)
	read, rest, err := ReadPeriods(append(AppendPeriods(nil, once), 7))
	require.NoError(t, err)
	require.Equal(t, []byte{7}, rest)
	require.Equal(t, AppendPeriods(nil, once), AppendPeriods(nil, read))
}

// Two samples of one distribution differ significantly and materially about never; those of distributions that differ do.
func TestCompare(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	sample := func(n int, f func() float64) *Numbers {
		out := &Numbers{}
		for range n {
			out.add(f(), 1)
		}
		return out
	}
	false1 := 0
	for range 1000 {
		f := func() float64 { return math.Exp(rnd.NormFloat64()) }
		if rnd.IntN(2) == 0 {
			f = func() float64 { return float64(rnd.IntN(20)) }
		}
		d := sample(50+rnd.IntN(500), f).Compare(sample(50+rnd.IntN(500), f))
		require.GreaterOrEqual(t, d.PSI, 0.)
		if d.Material && d.Significant {
			false1++
		}
	}
	require.LessOrEqual(t, false1, 10, "of 1,000 that are equal")
	for range 100 {
		n := 300 + rnd.IntN(1000)
		before := sample(n, func() float64 { return 20 * math.Exp(.5*rnd.NormFloat64()) })
		d := before.Compare(sample(n, func() float64 { return 40 * math.Exp(.5*rnd.NormFloat64()) }))
		require.True(t, d.Material && d.Significant, "twice as long: %+v", d)
		require.InDelta(t, 2, d.MedianTo/d.MedianFrom, .5)
	}
	same := sample(100, func() float64 { return 5 })
	require.Less(t, same.Compare(same).PSI, 1e-9)
	require.True(t, same.Compare(sample(100, func() float64 { return 6 })).Significant)
}

// A chi-square at its .999 quantile is as unlikely as a standard normal deviate of 3.09.
func TestDeviate(t *testing.T) {
	t.Parallel()
	for freedom := 1; freedom < driftGroups; freedom++ {
		require.InDelta(t, 3.09, deviate(chi999[freedom], float64(freedom)), .12, freedom)
	}
	require.Zero(t, deviate(3, 3))
	require.Zero(t, deviate(1, 0))
}

func TestFreshAndUnseen(t *testing.T) {
	t.Parallel()
	base, later := &Summary{}, &Summary{}
	for i := range 100 {
		base.Add([]byte{"ab"[i%2]}, 1, 0)
	}
	later.Add([]byte("a"), 5, 0)
	later.Add([]byte("c"), 3, 0)
	fresh, lines, ok := base.Fresh(later)
	require.True(t, ok)
	require.Equal(t, []Frequent{{Value: "c", Count: 3}}, fresh)
	require.EqualValues(t, 3, lines)
	require.Zero(t, base.Unseen())
	require.Equal(t, 1., (&Summary{}).Unseen())
	for i := range 1000 {
		base.Add(fmt.Appendf(nil, "id%d", i), 1, 0)
	}
	_, _, ok = base.Fresh(later)
	require.False(t, ok, "values were dropped")
}

func TestFirstAndLast(t *testing.T) {
	t.Parallel()
	var s Summary
	_, at := s.First()
	require.True(t, at.IsZero())
	s.Add([]byte("late"), 1, 20)
	s.Add([]byte("early"), 1, 10)
	first, at := s.First()
	require.Equal(t, "early", first)
	require.Equal(t, time.Unix(0, 10).UTC(), at)
	last, _ := s.Last()
	require.Equal(t, "late", last)
}

func FuzzReadBody(f *testing.F) {
	p := Period{Span: Hour, Start: 7 * Hour}
	for i := range 100 {
		p.Column(1).Add(fmt.Appendf(nil, "%d", i), 1, 7*Hour*1e9)
		p.Column(1).AddNumber(float64(i), Plain, 1)
		p.Column(4).Add([]byte{"xy"[i%2]}, 1, 8*Hour*1e9)
	}
	f.Add(p.AppendBody(nil))
	f.Add([]byte{1, 0})
	f.Add([]byte("\x01\x02\x00000\x00\x0100000000000000000000000000\x00R00\xc00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000$00\x0100\x010\x00\x02\x0100\x0110\x00")) // bins hold more than the count
	f.Fuzz(func(t *testing.T, b []byte) {
		p := Period{Span: Hour, Start: 7 * Hour}
		if p.ReadBody(b) != nil {
			return
		}
		first := p.AppendBody(nil)
		again := Period{Span: Hour, Start: 7 * Hour}
		require.NoError(t, again.ReadBody(first))
		require.Equal(t, first, again.AppendBody(nil))
		for _, c := range p.Columns {
			c.Summary.Distinct()
			c.Summary.Top(10)
			if n, _ := c.Summary.Numbers(); n != nil {
				n.Quantile(.5)
				n.Bars(8)
				n.Compare(n)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"1,234.5e6", "1h2m3.5s", "1.2 KB", "-"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Summary
		if x, u, ok := Number(b); ok {
			s.AddNumber(x, u, 3)
		}
		if x, ok := Duration(b); ok {
			s.AddNumber(x, Milliseconds, 1)
		}
		if x, ok := Size(b); ok {
			s.AddNumber(x, Bytes, 1)
		}
		s.Add(b, 1, 0)
		encoded := s.Append(nil, 0)
		read, _, err := Read(encoded, 0)
		require.NoError(t, err)
		require.Equal(t, encoded, read.Append(nil, 0))
	})
}

const (
	hashEmpty = 0x293f502d8e037815
	hashGet   = 0xe27426f0b99e9c86
	hashLong  = 0x766d1fceb501c923
)

func TestDigestSaysIt(t *testing.T) {
	t.Parallel()
	summary := func(n int, value func(i int) string) Digest {
		s := &Summary{}
		for i := range n {
			s.observe(observation{value(i), int64(i)})
		}
		return s.Digest(8)
	}
	for want, d := range map[string]Digest{
		"no values":                       (&Summary{}).Digest(8),
		"200 75 %, 404 25 %":              summary(400, func(i int) string { return []string{"200", "404", "200", "200"}[i%4] }),
		"median 504, 95 % 944, 0 to 1000": summary(1001, func(i int) string { return fmt.Sprint(i) }),
		`"" 50 %, "a b" 50 %`:             summary(10, func(i int) string { return []string{"", "a b"}[i%2] }),
	} {
		require.Equal(t, want, d.Line())
	}
	ids := summary(5000, func(i int) string { return fmt.Sprintf("req-%d", i) })
	require.Regexp(t, `^about \d+ different, req-0 to req-4999$`, ids.Line())
	require.InDelta(t, 5000, ids.Distinct, 4*float64(ids.DistinctError))
	numbers := summary(1001, func(i int) string { return fmt.Sprint(i) })
	require.Len(t, numbers.Quantiles, len(Ranks))
	require.True(t, slices.IsSorted(numbers.Quantiles))
	var bars int64
	for _, b := range numbers.Bars {
		bars += b
	}
	require.Equal(t, numbers.Numbers, bars)
	require.Equal(t, "█ ▁▄", Sparkline([]int64{800, 0, 1, 400}))
	broken := summary(1, func(int) string { return "caf\xc3" })
	require.Equal(t, "caf\uFFFD", broken.First, "valid UTF-8, whatever comes in")
}
