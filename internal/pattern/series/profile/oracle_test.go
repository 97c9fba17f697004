package profile

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// nearest is naive for a long series: each pair of windows once, left where its distance is beyond what both have.
func nearest(x []float64, m int) []float64 {
	var windows [][]float64
	for i := range len(x) - m + 1 {
		_, w := naive(x[i:i+m], m)
		windows = append(windows, w[0])
	}
	best := make([]float64, len(windows))
	for i := range best {
		best[i] = math.Inf(1)
	}
	for i, a := range windows {
		for j := i + exclusion(m); j < len(windows); j++ {
			b, sum, bound := windows[j], 0.0, max(best[i], best[j])
			for k := range a {
				d := a[k] - b[k]
				if sum += d * d; sum > bound {
					break
				}
			}
			best[i], best[j] = min(best[i], sum), min(best[j], sum)
		}
	}
	for i := range best {
		best[i] = math.Sqrt(best[i])
	}
	return best
}

// A long series has what short ones do not: sums that run over many points, far levels, and many windows that are nearly alike.
func TestProfileOfTenThousandPointsEqualsTheDefinition(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("compares 50 million pairs of windows: not in short mode, nor with the race detector")
	}
	t.Parallel()
	const seed, n, m = 21, 10_000, 50
	random := rand.New(rand.NewPCG(seed, 3))
	x, level := make([]float64, n), 0.0
	for i := range x {
		level += .1 * random.NormFloat64()
		x[i] = level + 3*math.Sin(float64(i)/9) + .5*random.NormFloat64()
		if i >= n/2 {
			x[i] += 1000 // and on another level
		}
	}
	copy(x[8000:8200], x[1000:1200]) // an exact copy
	p, err := Compute(x, m)
	require.NoError(t, err)
	want := nearest(x, m)
	worst := 0.0
	for i, d := range want {
		worst = max(worst, math.Abs(d-p.Distance[i]))
		require.InDelta(t, d, p.Distance[i], 1e-9, "seed %d position %d", seed, i)
	}
	t.Logf("largest difference %.1e", worst)
}
