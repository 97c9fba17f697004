package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naive is the definition: z-normalise every window, take the smallest distance outside the exclusion zone.
func naive(x []float64, m int) (distance []float64, windows [][]float64) {
	n := len(x) - m + 1
	windows = make([][]float64, n)
	for i := range n {
		mean, sum := 0.0, 0.0
		for _, v := range x[i : i+m] {
			mean += v / float64(m)
		}
		for _, v := range x[i : i+m] {
			sum += (v - mean) * (v - mean)
		}
		sd := math.Sqrt(sum / float64(m))
		for _, v := range x[i : i+m] {
			z := 0.0
			if sd != sd || sd > 1e-13*math.Abs(mean) {
				z = (v - mean) / sd
			}
			windows[i] = append(windows[i], z)
		}
	}
	distance = make([]float64, n)
	for i := range n {
		distance[i] = math.Inf(1)
		for j := range n {
			if abs(i-j) >= exclusion(m) {
				if d := euclid(windows[i], windows[j]); d < distance[i] {
					distance[i] = d
				}
			}
		}
	}
	return distance, windows
}

func euclid(a, b []float64) float64 {
	sum := 0.0
	for k := range a {
		sum += (a[k] - b[k]) * (a[k] - b[k])
	}
	return math.Sqrt(sum)
}

func walkSeries(seed uint64, n int) []float64 {
	random := rand.New(rand.NewPCG(seed, 3))
	x, level := make([]float64, n), 0.0
	for i := range x {
		level += random.NormFloat64()
		x[i] = level
	}
	return x
}

// series are the shapes that break implementations.
func series() map[string][]float64 {
	out := map[string][]float64{"walk": walkSeries(1, 700), "short": walkSeries(2, 40), "white": make([]float64, 500), "sine": make([]float64, 400), "trend": make([]float64, 400)}
	random := rand.New(rand.NewPCG(9, 9))
	for i := range out["white"] {
		out["white"][i] = random.NormFloat64()
	}
	for i := range out["sine"] {
		out["sine"][i] = math.Sin(float64(i)/7) + .01*random.NormFloat64()
		out["trend"][i] = 1e6 + 10*float64(i) + random.NormFloat64()
	}
	twin := walkSeries(4, 600)
	copy(twin[400:460], twin[100:160]) // an exact copy: distance 0
	out["twin"] = twin
	holes := walkSeries(5, 600)
	for _, i := range []int{0, 77, 78, 300, 599} {
		holes[i] = math.NaN()
	}
	out["holes"] = holes
	flats := walkSeries(6, 600)
	for i := range 50 {
		flats[100+i], flats[400+i] = 3, 8
	}
	out["flats"] = flats
	one := walkSeries(7, 300)
	for i := range 40 {
		one[100+i] = 5
	}
	out["one flat"] = one
	out["constant"] = make([]float64, 100)
	return out
}

func TestProfileEqualsTheDefinition(t *testing.T) {
	t.Parallel()
	for name, x := range series() {
		for _, m := range []int{4, 8, 16, 20} {
			p, err := Compute(x, m)
			require.NoError(t, err)
			want, windows := naive(x, m)
			for i, d := range want {
				if math.IsInf(d, 1) {
					require.True(t, math.IsInf(p.Distance[i], 1), "%s %d %d", name, m, i)
					require.Equal(t, -1, p.Neighbour[i])
					continue
				}
				require.InDelta(t, d, p.Distance[i], 1e-9, "%s, window %d, position %d", name, m, i)
				require.InDelta(t, d, euclid(windows[i], windows[p.Neighbour[i]]), 1e-9)
				require.GreaterOrEqual(t, abs(i-p.Neighbour[i]), p.Exclusion)
			}
		}
	}
}

func TestProfileIgnoresLevelAndScale(t *testing.T) {
	t.Parallel()
	x := walkSeries(11, 500)
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = 250 + 17*v
	}
	a, err := Compute(x, 25)
	require.NoError(t, err)
	b, err := Compute(y, 25)
	require.NoError(t, err)
	require.InDeltaSlice(t, a.Distance, b.Distance, 1e-9)
}

func TestProfileRefuses(t *testing.T) {
	t.Parallel()
	for _, m := range []int{3, 30} {
		_, err := Compute(walkSeries(1, 50), m)
		require.Error(t, err)
	}
	_, err := Compute(append(walkSeries(1, 50), math.Inf(1)), 10)
	require.Error(t, err)
}

func BenchmarkCompute(b *testing.B) {
	for _, n := range []int{5000, 10000} {
		x := walkSeries(1, n)
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := Compute(x, 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func abs(i int) int { return max(i, -i) }
