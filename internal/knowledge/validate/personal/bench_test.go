package personal

import (
	"fmt"
	"strings"
	"testing"
)

// notes are lines full of numbers that are no personal data, as logs and measurements are.
func notes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Step %x of %x is done by %x when %x.\n", i*7919, i*104729, i*1299709, (i+1)*15485863)
	}
	return b.String()
}

func BenchmarkFind(b *testing.B) {
	s := notes(20)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Find(s)
	}
}
