package vector

import "golang.org/x/sys/cpu"

// setFast turns SIMD on, if there is any, or off, and reports whether it is on.
func setFast(on bool) bool {
	fast = on && cpu.X86.HasAVX2
	return fast
}
