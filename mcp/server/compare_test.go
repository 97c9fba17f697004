package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requestsServed are the lines of two hours up to the end: in the second one requests take twice as long, and some end with 503.
func requestsServed(end time.Time) (lines []string) {
	for i := range 600 {
		status, took := []int{200, 200, 404}[i%3], 20+i*7%40
		if i >= 300 {
			took *= 2
			if i%30 == 0 {
				status = 503
			}
		}
		lines = append(lines, fmt.Sprintf("%s request served: status=%d took %dms", end.Add(time.Duration(i-600)*12*time.Second).Format(time.RFC3339), status, took))
	}
	return lines
}

func TestCompareWindowsTellsWhichSlotsDiffer(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	end := time.Now().UTC().Truncate(time.Hour)
	k.learn(t, caller, "default", time.Now(), requestsServed(end)...)
	c := k.client(t, caller, true)
	var got struct {
		Changes []struct {
			Kind, ID, Slot, Held, Example string
			Before, After                 int64
			Significance                  float64
		}
	}
	half := end.Add(-time.Hour).Format(time.RFC3339)
	text := c.into(t, &got, "compare_windows", `{"from":"`+half+`","to":"`+end.Format(time.RFC3339)+`"}`)
	require.Len(t, got.Changes, 2, "there are as many lines as before: %s", text)
	drift, fresh := got.Changes[0], got.Changes[1]
	require.Equal(t, "drift", drift.Kind)
	require.Equal(t, "duration", drift.Slot)
	require.Regexp(t, `^median (39|4\d).* -> (7|8)\d.* ms, 95 % `, drift.Held)
	require.Equal(t, []int64{300, 300}, []int64{drift.Before, drift.After})
	require.Equal(t, "values", fresh.Kind)
	require.Equal(t, "status", fresh.Slot)
	require.Equal(t, "2 -> 3 different, new: 503 x10", fresh.Held)
	require.EqualValues(t, 10, fresh.After)
	require.Greater(t, drift.Significance, fresh.Significance)
	require.Greater(t, fresh.Significance, 3.)
	require.NotEmpty(t, fresh.Example)
	require.Contains(t, text, "1 drift, 1 values")
	require.Contains(t, text, fresh.ID+" status: 2 -> 3 different, new: 503 x10  request served")
}
