package rocket

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVectorsEqualPlainGo compares the assembly with the Go that defines it, bit by bit, for every tail length.
func TestVectorsEqualPlainGo(t *testing.T) {
	t.Parallel()
	if !vectors {
		t.Skip("left out: this processor has no AVX2")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 70; n++ {
		rows := make([][]float32, 4)
		for i := range rows {
			rows[i] = make([]float32, n+lanes)
			for j := range rows[i] {
				rows[i][j] = float32(random.NormFloat64())
			}
		}
		want, got := make([]float32, n+lanes), make([]float32, n+lanes)
		addFourGo(want, rows[0], rows[1], rows[2], rows[3], n)
		addFour(got, rows[0], rows[1], rows[2], rows[3], n)
		require.Equal(t, want[:n], got[:n], "n %d", n)
		for i := n; i < len(got); i++ {
			got[i] = float32(math.Inf(-1))
		}
		require.Equal(t, dotGo(rows[0][:n], rows[1][:n]), Dot(rows[0][:n], rows[1][:n]), "n %d", n)
		for nb := 1; nb < 11; nb++ {
			biases, counts, counted := make([]float32, nb), make([]int32, nb), make([]int32, nb)
			for i := range biases {
				biases[i] = got[random.IntN(n)]
			}
			countAboveGo(got[:n], biases, counts)
			countAbove(got[:n], biases, counted)
			require.Equal(t, counts, counted, "n %d, %d biases", n, nb)
		}
	}
}
