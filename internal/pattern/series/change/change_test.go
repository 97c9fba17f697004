package change

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// noise draws n values of a first-order process with the given memory.
func noise(random *rand.Rand, n int, memory float64) []float64 {
	out, last := make([]float64, n), 0.0
	for i := range out {
		last = memory*last + math.Sqrt(1-memory*memory)*random.NormFloat64()
		out[i] = last
	}
	return out
}

func ats(points []Point) (out []int) {
	for _, p := range points {
		out = append(out, p.At)
	}
	return out
}

func TestLevelSpreadAndShapeAreFound(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		x := noise(random, 1000, 0)
		for i := range x {
			switch {
			case i >= 700:
				x[i] = 3 + 5*x[i] // spread
			case i >= 400:
				x[i] += 3 // level
			}
		}
		x[250], x[251] = math.NaN(), math.NaN()
		found, err := Find(x)
		require.NoError(t, err)
		require.Len(t, found, 2, "seed %d: %v", seed, found)
		require.InDelta(t, 400, found[0].At, 5)
		require.InDelta(t, 700, found[1].At, 15)
		require.InDelta(t, 0, found[0].Before.Median, .3)
		require.InDelta(t, 3, found[0].After.Median, .3)
		require.Greater(t, found[1].After.Deviation, 3*found[1].Before.Deviation)
		require.Less(t, found[0].P, Alpha)
	}
}

// TestUnchangedSeriesMostlyStayWhole counts false alarms: Alpha of the series may have one.
func TestUnchangedSeriesMostlyStayWhole(t *testing.T) {
	t.Parallel()
	for _, memory := range []float64{0, .5, .9} {
		alarms := 0
		const trials = 60
		for seed := range uint64(trials) {
			found, err := Find(noise(rand.New(rand.NewPCG(seed, 2)), 600, memory))
			require.NoError(t, err)
			if len(found) > 0 {
				alarms++
			}
		}
		t.Logf("memory %v: %d of %d series have a false alarm", memory, alarms, trials)
		require.LessOrEqual(t, alarms, 3, "memory %v", memory)
	}
}

func TestPruningChangesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 3))
		x := noise(random, 120, 0)
		for i := 40 + random.IntN(30); i < len(x); i++ {
			x[i] += 2
		}
		c, penalty := newCost(x), 3*math.Log(float64(len(x)))
		best := make([]float64, len(x)+1)
		best[0] = -penalty
		for e := 1; e <= len(x); e++ {
			best[e] = math.Inf(1)
			for s := 0; s <= e-MinSegment; s++ {
				best[e] = min(best[e], best[s]+c.of(s, e)+penalty)
			}
		}
		got, cuts := -penalty, segment(x)
		for k := 1; k < len(cuts); k++ {
			got += c.of(cuts[k-1], cuts[k]) + penalty
		}
		require.InDelta(t, best[len(x)], got, 1e-9, "seed %d", seed)
	}
}

func TestFindRefusesAndBears(t *testing.T) {
	t.Parallel()
	_, err := Find(make([]float64, MaxPoints+1))
	require.Error(t, err)
	_, err = Find([]float64{1, math.Inf(1)})
	require.Error(t, err)
	for _, x := range [][]float64{nil, {1}, make([]float64, 500), {math.NaN(), math.NaN()}} {
		found, err := Find(x)
		require.NoError(t, err)
		require.Empty(t, found)
	}
	step := make([]float64, 100)
	for i := 50; i < 100; i++ {
		step[i] = 1
	}
	found, err := Find(step)
	require.NoError(t, err)
	require.Equal(t, []int{50}, ats(found))
}

func BenchmarkFind(b *testing.B) {
	x := noise(rand.New(rand.NewPCG(1, 4)), 10000, .3)
	for b.Loop() {
		if _, err := Find(x); err != nil {
			b.Fatal(err)
		}
	}
}
