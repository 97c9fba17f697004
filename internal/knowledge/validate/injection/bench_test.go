package injection

import (
	"fmt"
	"strings"
	"testing"
)

// steps are lines in which nobody speaks to a model, as runbooks have them.
func steps(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Step %x of %x is done by %x when %x.\n", i*7919, i*104729, i*1299709, (i+1)*15485863)
	}
	return b.String()
}

func BenchmarkFind(b *testing.B) {
	s := steps(20)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Find(s, Decoded(s))
	}
}
