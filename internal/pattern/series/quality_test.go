package series_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/pattern/series/table"
)

// archive is where the measuring sets lie; they are no part of this repository.
const archive = "../../../../shared/data/ucr"

// sets reads the names of the measuring sets, or leaves the test out.
func sets(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(archive + "/*/*_TRAIN.tsv")
	require.NoError(t, err)
	if len(paths) == 0 {
		t.Skip("left out: the series of the UCR archive are not at " + archive)
	}
	var out []string
	for _, p := range paths {
		out = append(out, filepath.Base(filepath.Dir(p)))
	}
	return out
}

func read(t *testing.T, set, part string) []series.Example {
	t.Helper()
	f, err := os.Open(filepath.Join(archive, set, set+"_"+part+".tsv"))
	require.NoError(t, err)
	defer f.Close()
	out, err := table.Read(bufio.NewReader(f), table.Limits{})
	require.NoError(t, err)
	return out
}

// skipSlow leaves a test out where it would take minutes: training is arithmetic, which the race detector slows tenfold.
func skipSlow(t *testing.T) {
	t.Helper()
	if testing.Short() || raceDetector {
		t.Skip("left out: with -short and with the race detector")
	}
}

// TestAccuracyOnTheArchive trains on the default split of each set.
func TestAccuracyOnTheArchive(t *testing.T) {
	t.Parallel()
	names := sets(t)
	skipSlow(t)
	mean := 0.0
	for _, set := range names {
		r, err := series.Train(t.Context(), read(t, set, "TRAIN"), series.Options{})
		require.NoError(t, err)
		right, refused := 0.0, 0.0
		test := read(t, set, "TEST")
		for _, e := range test {
			got, err := r.Recognise(e.Values)
			require.NoError(t, err)
			if got.Class == e.Class {
				right++
			}
			if !got.Known {
				refused++
			}
		}
		n := float64(len(test))
		mean += right / n / float64(len(names))
		t.Logf("%-18s accuracy %.4f, known ones called unknown %.3f; left out: %+v", set, right/n, refused/n, r.Metrics())
	}
	t.Logf("mean %.4f", mean)
	require.GreaterOrEqual(t, mean, .965)
}

// TestStrangeClassesAreUnknown leaves each class out of the training in turn and shows its windows.
func TestStrangeClassesAreUnknown(t *testing.T) {
	t.Parallel()
	names := sets(t)
	skipSlow(t)
	var missed, alarms, tried float64
	for _, set := range names {
		train, test := read(t, set, "TRAIN"), read(t, set, "TEST")
		classes := map[string]int{}
		for _, e := range train {
			classes[e.Class]++
		}
		if len(classes) < 3 {
			continue
		}
		var strange, unknown, known, refused float64
		for out := range classes {
			var rest []series.Example
			for _, e := range train {
				if e.Class != out {
					rest = append(rest, e)
				}
			}
			r, err := series.Train(t.Context(), rest, series.Options{})
			require.NoError(t, err)
			for _, e := range test[:min(len(test), 150)] {
				got, err := r.Recognise(e.Values)
				require.NoError(t, err)
				switch {
				case e.Class == out && !got.Known:
					unknown++
					fallthrough
				case e.Class == out:
					strange++
				case !got.Known:
					refused++
					fallthrough
				default:
					known++
				}
			}
		}
		t.Logf("%-18s strange windows called unknown %.3f, known ones %.3f", set, unknown/strange, refused/known)
		tried, missed, alarms = tried+1, missed+1-unknown/strange, alarms+refused/known
	}
	require.Less(t, missed/tried, .4, "strange windows taken for known ones, mean of the sets")
	require.Less(t, alarms/tried, 2*series.Level, "known windows called unknown, mean of the sets")
}
