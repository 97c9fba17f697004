package rocket

import "golang.org/x/sys/cpu"

// vectors reports whether the assembly may run here; tests switch it off to compare.
var vectors = cpu.X86.HasAVX2

// addFourAVX2 is addFourGo, eight at a time. It writes whole vectors, so each slice has room for n rounded up to 8.
//
//go:noescape
func addFourAVX2(dst, a, p, q, r *float32, n int)

// countAboveAVX2 counts for each of nb biases the values above it. c is followed by -Inf up to a whole vector.
//
//go:noescape
func countAboveAVX2(c *float32, n int, biases *float32, nb int, counts *int32)

func addFour(dst, a, p, q, r []float32, n int) {
	if !vectors {
		addFourGo(dst, a, p, q, r, n)
		return
	}
	whole := (n + lanes - 1) &^ (lanes - 1)
	_, _, _, _, _ = dst[:whole], a[:whole], p[:whole], q[:whole], r[:whole]
	addFourAVX2(&dst[0], &a[0], &p[0], &q[0], &r[0], n)
}

func countAbove(c, biases []float32, counts []int32) {
	if !vectors {
		countAboveGo(c, biases, counts)
		return
	}
	_, _ = c[:(len(c)+lanes-1)&^(lanes-1)], counts[:len(biases)]
	countAboveAVX2(&c[0], len(c), &biases[0], len(biases), &counts[0])
}

// dotAVX2 leaves in s the eight interleaved sums of the products of n values, n a multiple of 8.
//
//go:noescape
func dotAVX2(a, b *float32, n int, s *float32)

func dot(a, b []float32) float32 {
	n := len(a) &^ (lanes - 1)
	if !vectors || n == 0 {
		return dotGo(a, b)
	}
	var s [lanes]float32
	dotAVX2(&a[0], &b[0], n, &s[0])
	return dotRest(s, a[n:], b[n:])
}
