package profile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVectorsEqualPlainGo walks bands of every remainder both ways.
func TestVectorsEqualPlainGo(t *testing.T) {
	t.Parallel()
	if !vectors {
		t.Skip("left out: this processor has no AVX2")
	}
	all := series()
	all["long"] = walkSeries(21, 2500)
	for name, x := range all {
		s := measure(x, 20)
		fast, plain := newTable(s), newTable(s)
		for d := fast.zone; d+band < fast.n; d += band {
			var a, b [band]float64
			for k := range band {
				a[k] = s.product(0, d+k)
			}
			b = a
			whole := fast.n - d - band + 1
			walk(fast, d, whole, &a)
			walkGo(plain, d, whole, &b)
			require.InEpsilonSlice(t, shifted(b[:]), shifted(a[:]), 1e-6)
		}
		for i := range fast.n {
			if plain.at[i] < 0 {
				require.Negative(t, fast.at[i], name)
				continue
			}
			require.InDelta(t, plain.best[i], fast.best[i], 1e-12, "%s %d", name, i)
		}
	}
}

// shifted keeps a relative comparison away from zero.
func shifted(c []float64) []float64 {
	out := make([]float64, len(c))
	for i, v := range c {
		out[i] = v + 1e6
	}
	return out
}
