package template

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A column of very many words is absorbed: shapes learnt after that are not in the library under their own ids, and
// their lines have a pattern all the same.
func TestOfflineKnowsAbsorbedShapes(t *testing.T) {
	mined := NewOffline(TallyOptions{})
	const n = 6000
	for i := range n {
		word := fmt.Sprintf("lib%c%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576%26)
		line := []byte("selecting package " + word + " for installation")
		mined.Add(line, line, int64(i))
	}
	of := mined.Assign()
	first, text := of(0)
	require.NotEmpty(t, first)
	for i := range n {
		id, _ := of(i)
		require.Equal(t, first, id, "line %d; the first is %s", i, text)
	}
	for _, c := range mined.Tally().Counted() {
		id, ok := mined.PatternOf(c.ID)
		require.True(t, ok, c.Text)
		require.Equal(t, first, id)
	}
}

// TestShardsAreOneOffline deals blocks of lines to shards, which goroutines fill, and compares with one that read all of them.
func TestShardsAreOneOffline(t *testing.T) {
	t.Parallel()
	lines := mixed(19, 20_000)
	one, many := NewOffline(TallyOptions{}), NewOffline(TallyOptions{})
	const size = 37
	for i, m := range lines {
		one.Add(m, m, int64(i)*1e9)
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 3 {
		s := many.Shard()
		wg.Go(func() {
			for {
				number := int(next.Add(1))
				from := (number - 1) * size
				if from >= len(lines) {
					return
				}
				s.Begin(number)
				for i := from; i < min(from+size, len(lines)); i++ {
					s.Add(lines[i], lines[i], int64(i)*1e9)
				}
			}
		})
	}
	wg.Wait()
	a, b := one.Assign(), many.Assign()
	require.Equal(t, one.Tally().Counted(), many.Tally().Counted())
	require.Equal(t, one.Tally().Lines(), many.Tally().Lines())
	require.Equal(t, one.Library().Checksum(), many.Library().Checksum())
	for i := range lines {
		wantID, wantText := a(i)
		gotID, gotText := b(i)
		require.Equal(t, wantID, gotID, "line %d", i)
		require.Equal(t, wantText, gotText)
	}
	id, _ := b(7)
	want, _ := a(7)
	require.Equal(t, want, id) // in any order
}

// TestTakeKeepsOtherAndFolds counts more than a tally holds, in parts.
func TestTakeKeepsOtherAndFolds(t *testing.T) {
	t.Parallel()
	total := NewTally(TallyOptions{MaxShapes: 9000})
	var want int64
	for part := range 3 {
		tl := NewTally(TallyOptions{MaxShapes: 9000})
		for i := range 12_000 {
			k := i + part*5000
			line := []byte("selecting package " + letterName(k) + " for installation")
			if i%2 == 0 {
				line = []byte(letterName(k*7919) + " " + letterName(k*104729))
			}
			tl.Add(line, line, int64(i))
			want++
		}
		total.Take(tl)
	}
	var got int64
	counted := total.Counted()
	for _, c := range counted {
		got += c.Lines
	}
	require.Equal(t, want, got)
	require.Equal(t, want, total.Lines())
	require.LessOrEqual(t, len(counted), 9001)
	require.Equal(t, Other, counted[0].ID)
}

// letterName writes a number in letters.
func letterName(n int) string {
	b := []byte("lib")
	for n = n % 456976; len(b) < 7; n /= 26 {
		b = append(b, 'a'+byte(n%26))
	}
	return string(b)
}
