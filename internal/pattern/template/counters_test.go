package template

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSumsCountBeyondTheirSmallCells(t *testing.T) {
	t.Parallel()
	const most = math.MaxUint16 + 3
	s := newSums(2)
	for n := range uint32(most) {
		require.Equal(t, n, s.at(1))
		s.add(1, 1)
	}
	require.Len(t, s.high, 1)
	for n := uint32(most); n > 0; n-- {
		require.Equal(t, n, s.at(1))
		s.add(1, -1)
	}
	require.Zero(t, s.at(1))
	require.Zero(t, s.at(0))
	require.Empty(t, s.high)
}

func TestColumnCounterIsNeverTooLow(t *testing.T) {
	t.Parallel()
	c := newColumnCounter()
	const key, n = 12345, math.MaxUint16 + 100
	for k := range n {
		require.GreaterOrEqual(t, c.add(key), min(k, math.MaxUint16))
	}
	for range n {
		c.remove(key)
	}
	require.GreaterOrEqual(t, c.add(key), 1)
}

func TestCrowdsHoldWhatWasAddedAndNotRemoved(t *testing.T) {
	t.Parallel()
	var c crowds
	fs := make([]family, 3)
	for i := range uint32(30) {
		c.add(&fs[i%3], member{i, i})
	}
	for i := range uint32(27) {
		c.remove(&fs[i%3], member{i, i})
	}
	for i := range fs {
		require.Equal(t, []member{{uint32(27 + i), uint32(27 + i)}}, c.of(&fs[i]))
	}
	require.Len(t, c.free, 3)
	c.add(&fs[0], member{1, 2})
	require.Equal(t, []member{{27, 27}, {1, 2}}, c.of(&fs[0]))
	require.Len(t, c.lists, 3)
	c.remove(&fs[1], member{5, 5})
	require.Len(t, c.of(&fs[1]), 1)
	c.remove(&fs[1], member{28, 28})
	require.Empty(t, c.of(&fs[1]))
}

func TestTableFindsWhatWasInsertedAndNotRemoved(t *testing.T) {
	t.Parallel()
	const n = 60_000
	keyOf := func(i int) uint64 { return uint64(i) * k1 }
	var tb table
	there := func(i int) bool { return tb.find(keyOf(i), func(k int) bool { return k == i }) == i }
	for i := range n {
		require.False(t, there(i))
		tb.insert(keyOf(i), i, keyOf)
	}
	require.Less(t, tb.slots.n, n*17/10)
	for i := 0; i < n; i += 3 {
		tb.remove(keyOf(i), i, keyOf)
	}
	for i := range n {
		require.Equal(t, i%3 != 0, there(i))
	}
}
