package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tartan runs one command without a server.
func tartan(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	stdout, stderr, code = shell{t: t, dir: t.TempDir()}.run(stdin, args...)
	return code, stdout, stderr
}

// writeSet writes sines of two frequencies; some are shorter and padded, some miss values.
func writeSet(t *testing.T, dir, name string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	for _, part := range []string{"TRAIN", "TEST"} {
		var b strings.Builder
		for i := range 24 {
			fmt.Fprint(&b, i%2+1)
			for j := range 40 {
				v := math.Sin(float64(j)*float64(i%2+1)/4) + .1*random.NormFloat64()
				if i%5 == 0 && j > 35 || j == i {
					v = math.NaN()
				}
				fmt.Fprintf(&b, "\t%.4f", v)
			}
			b.WriteByte('\n')
		}
		require.NoError(t, os.WriteFile(setFile(dir, name, part), []byte(b.String()), 0o644))
	}
}

func TestBenchSeries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeSet(t, dir, "Sines")
	writeSet(t, dir, "Waves")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o644))
	code, out, progress := tartan(t, "", "bench", "series", dir, "--output", "json")
	require.Zero(t, code, progress)
	require.Contains(t, progress, "Sines: 24 examples of 2 classes")
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	var got seriesScores
	require.NoError(t, d.Decode(&got))
	require.Len(t, got.Sets, 2)
	require.Equal(t, 1.0, got.Mean)
	require.Positive(t, got.Sets["Waves"].P50)

	code, out, _ = tartan(t, "", "bench", "series", dir)
	require.Zero(t, code)
	require.Contains(t, out, "mean")
}

func TestBenchSeriesSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, _, text := tartan(t, "", "bench", "series", dir)
	require.Equal(t, codeNotFound, code)
	require.Contains(t, text, "no set of series")
	code, _, text = tartan(t, "", "bench", "series", filepath.Join(dir, "absent"))
	require.Equal(t, codeNotFound, code)
	require.Contains(t, text, "absent")
	code, _, text = tartan(t, "", "bench", "series")
	require.Equal(t, codeUsage, code)
	require.Contains(t, text, "wants one DIR")
	writeSet(t, dir, "Broken")
	require.NoError(t, os.WriteFile(setFile(dir, "Broken", "TEST"), []byte("1\t2\t3\n2\tx\t3\n"), 0o644))
	code, _, text = tartan(t, "", "bench", "series", dir)
	require.Equal(t, codeFailure, code)
	require.Contains(t, text, "Broken_TEST.tsv")
	require.Contains(t, text, `line 2: value 1: "x"`)
	require.NoError(t, os.Remove(setFile(dir, "Broken", "TEST")))
	code, _, text = tartan(t, "", "bench", "series", dir)
	require.Equal(t, codeNotFound, code)
	require.Contains(t, text, "Broken_TEST.tsv")
}
