package secret

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMemory bounds what the rules hold when all of them have been met: 3 MB were measured.
func TestMemory(t *testing.T) {
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / 1e6
	}
	before := heap()
	d := detector(t)
	unmet := heap()
	for _, r := range d.rules {
		r.compiled()
		for _, a := range r.Allowlists {
			a.compiled()
		}
	}
	all := heap()
	t.Logf("%.1f MB read, %.1f MB with every expression compiled", unmet-before, all-before)
	require.Less(t, all-before, 20.0)
	runtime.KeepAlive(d)
}
