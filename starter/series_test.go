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

	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/pattern/series/survey"
)

func TestSeriesMotifs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 5))
	var b strings.Builder
	for i := range 500 {
		v := random.NormFloat64()
		for _, at := range []int{60, 330} {
			if i >= at && i < at+40 {
				v += 8 * math.Sin(float64((i-at)*(i-at))/70)
			}
		}
		fmt.Fprintf(&b, "%.3f\n", v)
	}
	code, out, text := tartan(t, b.String(), "series", "motifs", "--window", "40", "-o", "json")
	require.Zero(t, code, text)
	var got survey.Report
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Len(t, got.Motifs[0].Starts, 2)
	require.Equal(t, 270, got.Motifs[0].Starts[1]-got.Motifs[0].Starts[0])
	code, out, text = tartan(t, b.String(), "series", "motifs", "-", "-n", "2")
	require.Zero(t, code, text)
	require.Contains(t, out, "motif")
	require.Contains(t, text, "500 values, 0 missing")

	code, _, text = tartan(t, "1 2 three", "series", "motifs")
	require.Equal(t, codeFailure, code)
	require.Contains(t, text, `line 1: "three"`)
	code, _, text = tartan(t, "1 2 3", "series", "motifs")
	require.Equal(t, codeFailure, code)
	require.Contains(t, text, "want 8 to")
	code, _, _ = tartan(t, "", "series", "motifs", "a", "b")
	require.Equal(t, codeUsage, code)
	code, _, text = tartan(t, "", "series", "recognize")
	require.Equal(t, codeUnavailable, code)
	require.Contains(t, text, "database is not set")
}

// trainAndRecognise teaches a running stack two shapes and asks it for them.
func trainAndRecognise(t *testing.T, s shell, dir string) {
	t.Helper()
	file := filepath.Join(dir, "shapes.csv")
	var b strings.Builder
	for i := range 16 {
		fmt.Fprintf(&b, "%s", []string{"up", "down"}[i%2])
		for j := range 30 {
			fmt.Fprintf(&b, ",%.2f", float64(1-2*(i%2))*float64(j)+float64((i*j*7)%5)/3)
		}
		b.WriteByte('\n')
	}
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	var report, again trainReport
	s.ok(&report, "", "series", "train", file, "--library", "shapes")
	require.Equal(t, 1, report.Version)
	require.Equal(t, 2, report.Classes)
	require.False(t, report.Existed)
	s.ok(&again, "", "series", "train", file, "--library", "shapes")
	require.True(t, again.Existed)
	require.Equal(t, report.TrainSeriesResult, again.TrainSeriesResult)
	var learnt learntReport
	s.ok(&learnt, "", "series", "show", "--library", "shapes")
	require.Equal(t, "down", learnt.Patterns[0].Name)
	require.EqualValues(t, 8, learnt.Patterns[0].Examples)

	var made editView
	s.ok(&made, "", "patterns", "describe", string(learnt.Patterns[0].ID), "--library", "shapes", "--name", "going down")
	require.Equal(t, "completed", made.State)
	cut := strings.LastIndexByte(b.String()[:b.Len()/2], '\n') + 1
	require.NoError(t, os.WriteFile(file+"2", []byte(b.String()[:cut]), 0o644))
	s.ok(&report, "", "series", "train", file+"2", "--library", "shapes")
	require.Equal(t, 2, report.Version)
	s.ok(&made, "", "series", "use", "1", "--library", "shapes")
	s.ok(&learnt, "", "series", "show", "--library", "shapes")
	require.Equal(t, []any{1, 2, "going down", int64(8)}, []any{learnt.Version, learnt.Versions, learnt.Patterns[0].Given, learnt.Patterns[0].Examples})
	s.ok(&made, "", "patterns", "undo", fmt.Sprint(made.Edits[0].Number), "--library", "shapes")
	s.ok(&learnt, "", "series", "show", "--library", "shapes")
	require.Equal(t, 2, learnt.Version)
	require.Contains(t, s.ok(nil, "", "patterns", "list", "--library", "shapes"), "going down")
	_, errs, code := s.run("", "series", "use", "9", "--library", "shapes")
	require.Equal(t, codeUsage, code, errs)
	require.Contains(t, errs, "versions 1 to 2")
	s.ok(&made, "", "series", "use", "1", "--library", "shapes")

	line := make([]string, 30)
	for j := range line {
		line[j] = fmt.Sprint(5 + 2*j)
	}
	var got series.Recognition
	s.ok(&got, strings.Join(line, " "), "series", "recognize", "--library", "shapes")
	require.Equal(t, "up", got.Class)
	require.Contains(t, s.ok(nil, strings.Join(line, ","), "series", "recognize", "--library", "shapes"), "distance")

	require.NoError(t, os.WriteFile(file, []byte("up,1,2\ndown,x\n"), 0o644))
	_, text, code := s.run("", "series", "train", file, "--library", "shapes")
	require.Equal(t, codeFailure, code)
	require.Contains(t, text, "line 2: value 1")
	_, text, code = s.run("", "series", "recognize", "--library", "none")
	require.Equal(t, codeNotFound, code)
	require.Contains(t, text, "next:")
}
