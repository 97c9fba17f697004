package lines_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/lines"
)

// readBlocks reads the lines of a stream block by block.
func readBlocks(t *testing.T, r io.Reader, limit int) []row {
	t.Helper()
	blocks := lines.NewBlocks(r, limit)
	lr := lines.NewBlockReader(limit)
	buf := make([]byte, 9<<10)
	got := []row{}
	for {
		block, ok := blocks.Next(buf)
		if !ok {
			break
		}
		lr.Reset(block)
		for {
			line, ok := lr.Next()
			if !ok {
				break
			}
			got = append(got, row{text: string(line), cut: lr.Truncated()})
		}
	}
	require.NoError(t, blocks.Err())
	return got
}

// TestBlocksHoldTheLinesOfTheStream cuts random streams, with lines around the limit and far over it.
func TestBlocksHoldTheLinesOfTheStream(t *testing.T) {
	t.Parallel()
	const limit = 4000
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var in []byte
		for range rng.IntN(40) {
			n := rng.IntN(200)
			switch rng.IntN(8) {
			case 0:
				n = limit - 2 + rng.IntN(5)
			case 1:
				n = rng.IntN(40_000)
			}
			in = append(in, bytes.Repeat([]byte{'a' + byte(rng.IntN(26))}, n)...)
			if rng.IntN(3) == 0 {
				in = append(in, '\r')
			}
			in = append(in, '\n')
		}
		in = in[:max(0, len(in)-rng.IntN(3))]
		want := []row{}
		for _, x := range read(t, bytes.NewReader(in), limit) {
			want = append(want, row{text: x.text, cut: x.cut})
		}
		require.Equal(t, want, readBlocks(t, bytes.NewReader(in), limit), "seed %d", seed)
		require.Equal(t, want, readBlocks(t, iotest.HalfReader(bytes.NewReader(in)), limit), "seed %d", seed)
	}
}

func TestBlocksKeepTheError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	blocks := lines.NewBlocks(io.MultiReader(bytes.NewReader([]byte("a\nb")), iotest.ErrReader(broken)), 0)
	buf := make([]byte, 1<<20)
	block, ok := blocks.Next(buf)
	require.True(t, ok)
	require.Equal(t, "a\nb", string(block))
	_, ok = blocks.Next(buf)
	require.False(t, ok)
	require.ErrorIs(t, blocks.Err(), broken)
}
