package series

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCacheIsBoundedAndReadsOnce(t *testing.T) {
	t.Parallel()
	data := train(t, shapes(1, 2, 40)).Encode()
	one, err := Decode(data)
	require.NoError(t, err)
	c := Cache{Limit: 3 * one.Bytes()}
	reads := 0
	read := func() ([]byte, error) { reads++; return data, nil }
	for i := range 5 {
		_, err := c.Get(fmt.Sprint(i), read)
		require.NoError(t, err)
		require.LessOrEqual(t, c.Bytes(), c.Limit)
	}
	require.Equal(t, 5, reads)
	for _, key := range []string{"2", "3", "4"} {
		_, err := c.Get(key, read)
		require.NoError(t, err)
	}
	require.Equal(t, 5, reads, "kept")
	_, err = c.Get("0", read)
	require.NoError(t, err)
	_, err = c.Get("2", read)
	require.NoError(t, err)
	require.Equal(t, 7, reads, "0 and 2 had to go, the longest unused")
	gone := errors.New("gone")
	_, err = c.Get("x", func() ([]byte, error) { return nil, gone })
	require.ErrorIs(t, err, gone)
	_, err = c.Get("x", func() ([]byte, error) { return []byte("nonsense"), nil })
	require.Error(t, err)
	small := Cache{Limit: 1}
	_, err = small.Get("a", read)
	require.NoError(t, err)
	require.Positive(t, small.Bytes(), "the newest stays")
}
