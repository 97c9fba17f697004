package template

import (
	"fmt"
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
