package rocket

import (
	"fmt"
	"testing"
)

func BenchmarkApply(b *testing.B) {
	for _, length := range []int{24, 60, 96, 150, 285, 427, 1460} {
		windows := randomWindows(1, 20, length)
		tr, err := Fit(windows, Full, 1)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("length=%d", length), func(b *testing.B) {
			s, out := tr.NewScratch(), make([]float32, tr.Len())
			b.ReportAllocs()
			for b.Loop() {
				tr.Apply(windows[0], s, out)
			}
		})
	}
}
