package rocket

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomWindows are n random walks.
func randomWindows(seed uint64, n, length int) [][]float32 {
	random := rand.New(rand.NewPCG(seed, 7))
	out := make([][]float32, n)
	for i := range out {
		level := float32(0)
		for range length {
			level += float32(random.NormFloat64())
			out[i] = append(out[i], level)
		}
	}
	return out
}

// naive computes the features from the definition: nine taps with weights -1 and 2, zeros outside the window, the
// share of values above the bias.
func naive(t *Transform, x []float32) []float64 {
	var out []float64
	at := 0
	for i, d := range t.dilations {
		for k, p := range kernels {
			weights := [taps]float64{-1, -1, -1, -1, -1, -1, -1, -1, -1}
			for _, tap := range p {
				weights[tap] = 2
			}
			from, to := 0, len(x)
			if (i+k)%2 == 1 {
				from, to = half*d.step, len(x)-half*d.step
			}
			for _, bias := range t.Biases[at : at+d.biases] {
				above := 0
				for pos := from; pos < to; pos++ {
					sum := 0.0
					for tap, w := range weights {
						if j := pos + (tap-half)*d.step; j >= 0 && j < len(x) {
							sum += w * float64(x[j])
						}
					}
					if sum > float64(bias) {
						above++
					}
				}
				out = append(out, float64(above)/float64(to-from))
			}
			at += d.biases
		}
	}
	return out
}

func TestFeaturesEqualTheDefinition(t *testing.T) {
	t.Parallel()
	for _, length := range []int{9, 10, 17, 24, 61, 150} {
		windows := randomWindows(uint64(length), 5, length)
		tr, err := Fit(windows, 4*Kernels, 3)
		require.NoError(t, err)
		got := make([]float32, tr.Len())
		for _, w := range windows {
			tr.Apply(w, tr.NewScratch(), got)
			different := 0
			for i, want := range naive(tr, w) {
				if d := float64(got[i]) - want; d > 1e-6 || d < -1e-6 {
					require.InDelta(t, want, got[i], 1.01/float64(length-8), "one value that equals the bias but for rounding")
					different++
				}
			}
			require.LessOrEqual(t, different, tr.Len()/10, "length %d: biases are values of the convolution, so a few comparisons are ties", length)
		}
	}
}

func TestSpreadUsesEveryFeature(t *testing.T) {
	t.Parallel()
	for length := MinLength; length < 3000; length += 1 + length/10 {
		for _, per := range []int{1, 4, 31, 119} {
			total, last := 0, 0
			for _, d := range spread(length, per) {
				total += d.biases
				require.Greater(t, d.step, last)
				require.Less(t, (taps-1)*d.step, length, "length %d: the kernel fits the window", length)
				last = d.step
			}
			require.Equal(t, per, total)
		}
	}
}

func TestFitIsDeterministic(t *testing.T) {
	t.Parallel()
	windows := randomWindows(5, 12, 40)
	a, err := Fit(windows, Full, 9)
	require.NoError(t, err)
	b, err := Fit(windows, Full, 9)
	require.NoError(t, err)
	require.Equal(t, a.Biases, b.Biases)
	c, err := Fit(windows, Full, 10)
	require.NoError(t, err)
	require.NotEqual(t, a.Biases, c.Biases)
}

func TestFitRefuses(t *testing.T) {
	t.Parallel()
	good := randomWindows(1, 2, 20)
	nan := good[0][0] - good[0][0]
	nan /= nan
	for name, windows := range map[string][][]float32{
		"none":         {},
		"short":        randomWindows(1, 2, 8),
		"ragged":       {good[0], good[1][:19]},
		"not a number": {good[0], append([]float32{nan}, good[1][1:]...)},
	} {
		_, err := Fit(windows, Full, 1)
		require.Error(t, err, name)
	}
	_, err := Fit(good, Kernels-1, 1)
	require.Error(t, err)
}
