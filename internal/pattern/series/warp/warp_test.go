package warp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func walk(random *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	level := 0.0
	for i := range out {
		level += random.NormFloat64()
		out[i] = level
	}
	return out
}

// naive is the definition, as a full table.
func naive(a, b []float64, window int) float64 {
	n := len(a)
	table := make([][]float64, n+1)
	for i := range table {
		table[i] = make([]float64, n+1)
		for j := range table[i] {
			table[i][j] = math.Inf(1)
		}
	}
	table[0][0] = 0
	for i := 1; i <= n; i++ {
		for j := 1; j <= n; j++ {
			if i-j <= window && j-i <= window {
				d := a[i-1] - b[j-1]
				table[i][j] = d*d + min(table[i-1][j], table[i][j-1], table[i-1][j-1])
			}
		}
	}
	return math.Sqrt(table[n][n])
}

func TestDistanceEqualsTheFullTable(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		n := 1 + random.IntN(40)
		a, b, w := walk(random, n), walk(random, n), random.IntN(n+2)
		require.InDelta(t, naive(a, b, w), Distance(a, b, w), 1e-9)
	}
}

func TestBoundsNeverExceedTheDistance(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 1))
	for range 500 {
		n := 1 + random.IntN(50)
		a, b, w := walk(random, n), walk(random, n), random.IntN(n)
		upper, lower := Envelope(b, w)
		for i := range b {
			high, low := math.Inf(-1), math.Inf(1)
			for j := max(0, i-w); j < min(n, i+w+1); j++ {
				high, low = max(high, b[j]), min(low, b[j])
			}
			require.Equal(t, [2]float64{high, low}, [2]float64{upper[i], lower[i]})
		}
		d := naive(a, b, w)
		require.LessOrEqual(t, keogh(a, upper, lower, nil), d*d+1e-9)
		require.LessOrEqual(t, kim(a, b), d*d+1e-9)
	}
}

func TestNearestEqualsTryingAll(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 1))
	for range 40 {
		n, w := 8+random.IntN(40), random.IntN(8)
		var examples [][]float64
		var groups []int
		for range 12 {
			examples, groups = append(examples, walk(random, n)), append(groups, random.IntN(3))
		}
		x, query := NewIndex(examples, w), walk(random, n)
		skip := random.IntN(13) - 1
		for g, got := range x.Nearest(query, groups, 4, skip) {
			want := Neighbour{-1, math.Inf(1)}
			for i, e := range examples {
				if d := naive(query, e, w); i != skip && groups[i] == g && d < want.Distance {
					want = Neighbour{i, d}
				}
			}
			require.Equal(t, want.Example, got.Example)
			if want.Example >= 0 {
				require.InDelta(t, want.Distance, got.Distance, 1e-9)
			}
		}
	}
}

func TestChooseWindowLearnsToWarp(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 1))
	var examples [][]float64
	var labels []int
	for i := range 12 { // one bump or two, anywhere: only warping tells
		x, at := make([]float64, 80), 10+random.IntN(25)
		for j := range 8 {
			x[at+j] = 1
			if i%2 == 1 {
				x[at+j+20] = 1
			}
		}
		examples, labels = append(examples, x), append(labels, i%2)
	}
	window, right := ChooseWindow(examples, labels, 2)
	require.Positive(t, window)
	require.Equal(t, 1.0, right)
	window, right = ChooseWindow(examples[:2], []int{0, 1}, 2)
	require.Equal(t, 8, window)
	require.Zero(t, right)
}

func BenchmarkNearest(b *testing.B) {
	for _, length := range []int{24, 150, 427} {
		random := rand.New(rand.NewPCG(5, 1))
		var examples [][]float64
		var groups []int
		for i := range 50 {
			examples, groups = append(examples, walk(random, length)), append(groups, i/5)
		}
		x, query := NewIndex(examples, length/10), walk(random, length)
		b.Run(fmt.Sprintf("length=%d", length), func(b *testing.B) {
			for b.Loop() {
				x.Nearest(query, groups, 10, -1)
			}
		})
	}
}
