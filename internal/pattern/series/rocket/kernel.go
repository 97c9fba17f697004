package rocket

// addFourGo sets dst[i] = ((a[i] + p[i]) + q[i]) + r[i] for i < n. The order of the sums is the same on every machine.
func addFourGo(dst, a, p, q, r []float32, n int) {
	dst, a, p, q, r = dst[:n], a[:n], p[:n], q[:n], r[:n]
	for i := range dst {
		dst[i] = a[i] + p[i] + q[i] + r[i]
	}
}

// countAboveGo counts for each bias the values of c above it.
func countAboveGo(c, biases []float32, counts []int32) {
	for i, b := range biases {
		n := int32(0)
		for _, v := range c {
			if v > b {
				n++
			}
		}
		counts[i] = n
	}
}
