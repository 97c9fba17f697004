//go:build !amd64

package rocket

func addFour(dst, a, p, q, r []float32, n int) { addFourGo(dst, a, p, q, r, n) }

func countAbove(c, biases []float32, counts []int32) { countAboveGo(c, biases, counts) }

func dot(a, b []float32) float32 { return dotGo(a, b) }
