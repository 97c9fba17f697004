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

// dotGo is the inner product of a and b in eight interleaved sums, added up as a vector of eight is: the same number on
// every machine.
func dotGo(a, b []float32) float32 {
	var s [lanes]float32
	n := len(a) &^ (lanes - 1)
	for i := 0; i < n; i += lanes {
		x, y := a[i:i+lanes:i+lanes], b[i:i+lanes:i+lanes]
		for k := range s {
			s[k] += float32(x[k] * y[k])
		}
	}
	return dotRest(s, a[n:], b[n:])
}

// dotRest adds up the eight sums, then what is left over.
func dotRest(s [lanes]float32, a, b []float32) float32 {
	sum := ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
	for i, v := range a {
		sum += float32(v * b[i])
	}
	return sum
}

// Dot is the inner product of two slices of one length, the same number on every machine.
func Dot(a, b []float32) float32 { return dot(a, b[:len(a)]) }
