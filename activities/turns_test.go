package activities

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestOneTurnAtATime(t *testing.T) {
	var all turns
	ids := []uuid.UUID{uuid.New(), uuid.New()}
	var counts [2]int
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			leave, err := all.take(context.Background(), ids[i%2])
			require.NoError(t, err)
			counts[i%2]++ // the race detector watches
			leave()
		})
	}
	wg.Wait()
	require.Equal(t, [2]int{100, 100}, counts)
	require.Empty(t, all.gates)

	leave, err := all.take(context.Background(), ids[0])
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err = all.take(ctx, ids[0])
	require.ErrorIs(t, err, context.DeadlineExceeded)
	other, err := all.take(context.Background(), ids[1])
	require.NoError(t, err)
	other()
	leave()
	require.Empty(t, all.gates)
}
