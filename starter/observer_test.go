package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// Each line of the input has its row of the assignments, and all lines are counted or go on with one that is.
func TestEveryLineHasARow(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		var b strings.Builder
		var want []string
		for range 1 + rnd.IntN(30) {
			kind := []string{"", "ValueError", "KeyError"}[rnd.IntN(3)]
			fmt.Fprintf(&b, "2026-11-24T10:00:00Z job %d failed\n", rnd.IntN(100))
			text := "job <*> failed"
			if kind != "" {
				fmt.Fprintf(&b, "Traceback (most recent call last):\n  File \"a.py\", line %d, in f\n%s: no\n", rnd.IntN(9), kind)
				text += " exception=" + kind
				want = append(want, text, text, text)
			}
			want = append(want, text)
		}
		mined := template.NewOffline(template.TallyOptions{})
		r := newOfflineReader(mined, offline{assignments: "x"}, time.Now())
		require.NoError(t, r.read(strings.NewReader(b.String())))
		assign := mined.Assign()
		require.EqualValues(t, len(want), mined.Tally().Lines()+r.continued, "seed %d", seed)
		require.Zero(t, r.untimed)
		require.Len(t, r.rows, len(want))
		for i, row := range r.rows {
			_, text := assign(int(row))
			require.Equal(t, want[i], text, "seed %d, line %d", seed, i)
		}
	}
}
