package template

import (
	"path/filepath"
	"testing"
)

func BenchmarkPublicLogs(b *testing.B) {
	paths, _ := filepath.Glob(filepath.Join(evalData(b), "*.content"))
	var lines [][]byte
	for _, p := range paths {
		m, _, _ := readSystem(b, p)
		lines = append(lines, m...)
	}
	t := NewTally(TallyOptions{})
	for _, l := range lines {
		t.Add(l, l, 0)
	}
	ix := learn(t).Index()
	b.Run("tally", func(b *testing.B) {
		b.SetBytes(totalBytes(lines) / int64(len(lines)))
		i := 0
		for b.Loop() {
			t.Add(lines[i], lines[i], 0)
			if i++; i == len(lines) {
				i = 0
			}
		}
	})
	b.Run("recognise", func(b *testing.B) {
		var m Match
		i := 0
		for b.Loop() {
			ix.Recognise(lines[i], &m)
			if i++; i == len(lines) {
				i = 0
			}
		}
	})
}
