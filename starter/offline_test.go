package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// offlineLog is a log of several blocks: most lines have a time, whole stretches have none, and some lines are too long.
func offlineLog(rng *rand.Rand) []byte {
	var b bytes.Buffer
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	timed := true
	for b.Len() < 5<<20 {
		if rng.IntN(2000) == 0 {
			timed = !timed
		}
		if timed && rng.IntN(20) > 0 {
			at = at.Add(time.Duration(rng.IntN(100)) * time.Second)
			b.WriteString(at.Format("2006-01-02 15:04:05 "))
		}
		switch rng.IntN(200) {
		case 0:
			b.Write(bytes.Repeat([]byte("long "), 10_000+rng.IntN(10_000)))
		case 1:
			fmt.Fprintf(&b, "worker %d has gone\r", rng.IntN(50))
		default:
			fmt.Fprintf(&b, "request %d of user_%d took %d ms", rng.IntN(1000), rng.IntN(5), rng.IntN(1000))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// TestOfflineIsTheSameOnManyCores reads a log with several workers and compares with one.
func TestOfflineIsTheSameOnManyCores(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, o := range []offline{{}, {noHeader: true}, {observe: observing{noFold: true}}} {
		o.assignments = "wanted"
		log := offlineLog(rand.New(rand.NewPCG(5, 5)))
		read := func(workers int) (*offlineReader, *template.Offline) {
			mined := template.NewOffline(template.TallyOptions{})
			r := &offlineReader{offline: o, now: now}
			for range workers {
				r.workers = append(r.workers, &offlineWorker{
					noHeader: o.noHeader, shard: mined.Shard(), parser: header.NewParser(now), block: lines.NewBlockReader(maxLine),
				})
			}
			require.NoError(t, r.read(bytes.NewReader(log)))
			return r, mined
		}
		one, want := read(1)
		wantOf := want.Assign()
		for _, workers := range []int{2, 5} {
			r, got := read(workers)
			gotOf := got.Assign()
			require.Equal(t, []int64{one.continued, one.truncated, one.untimed}, []int64{r.continued, r.truncated, r.untimed})
			require.Equal(t, one.rows, r.rows)
			require.Positive(t, r.truncated)
			require.Equal(t, want.Tally().Counted(), got.Tally().Counted())
			for i := range want.Tally().Lines() {
				wantID, _ := wantOf(int(i))
				gotID, _ := gotOf(int(i))
				require.Equal(t, wantID, gotID, "line %d", i)
			}
		}
	}
}
