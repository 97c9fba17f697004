package template

import "testing"

func BenchmarkTallyValues(b *testing.B) {
	lines := benchLines(20000)
	for _, on := range []bool{false, true} {
		t := NewTally(TallyOptions{Values: on})
		for _, l := range lines {
			t.Add(l, l, 0)
		}
		b.Run(map[bool]string{false: "off", true: "on"}[on], func(b *testing.B) {
			b.SetBytes(totalBytes(lines) / int64(len(lines)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				t.Add(lines[i], lines[i], int64(i))
				if i++; i == len(lines) {
					i = 0
				}
			}
		})
	}
}
