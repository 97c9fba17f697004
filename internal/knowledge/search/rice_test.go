package search

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRice writes runs of numbers after one another, small ones, great ones and mixtures, and reads them.
func TestRice(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	for range 3000 {
		var runs [][]uint32
		var b []byte
		for range 2 {
			run := make([]uint32, blockSize)
			width := r.IntN(33)
			for i := range run {
				run[i] = uint32(uint64(r.Uint32()) >> (32 - width))
				if r.IntN(100) == 0 {
					run[i] = uint32(min(uint64(run[i])<<r.IntN(12), math.MaxUint32))
				}
			}
			runs, b = append(runs, run), appendRice(b, run)
		}
		for i, run := range runs {
			x, y, z := newRice(b), newRice(b), newRice(b)
			var documents, counts [blockSize]uint32
			x.ascending(&documents, 7)
			y.counts(&counts)
			doc := uint32(7)
			for j, v := range run {
				require.Equal(t, v, z.next())
				doc += v + 1
				require.Equal(t, doc, documents[j])
				require.Equal(t, v+1, counts[j])
			}
			if i == 0 { // where another run follows, the end is known
				require.Equal(t, z.read(len(b)), x.read(len(b)))
				require.Equal(t, z.read(len(b)), y.read(len(b)))
				b = b[x.read(len(b)-1)+1:]
			}
		}
	}
}
