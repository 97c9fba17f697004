package injection

import (
	goflag "flag"
	"testing"

	"github.com/stretchr/testify/require"
)

var showBatches = goflag.Int("show-batches", 0, "log what is missed in so many of the batches")

// TestBatches gives the figures of docs/validation.md.
func TestBatches(t *testing.T) {
	t.Parallel()
	one := rate(t, "batch one", batchOne, *showBatches >= 1, true)
	two := rate(t, "batch two", batchTwo, *showBatches >= 2, true)
	three := rate(t, "batch three", batchThree, false, true)
	honest := rate(t, "honest one", honestOne, *showBatches >= 1, false)
	unseen := rate(t, "honest two", honestTwo, false, false)
	require.GreaterOrEqual(t, one, 33)
	require.GreaterOrEqual(t, two, 30)
	require.GreaterOrEqual(t, three, 22)
	require.LessOrEqual(t, honest, 2)
	require.Zero(t, unseen)
}
