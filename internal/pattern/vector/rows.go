package vector

// Stride returns the number of bytes of a row of dim components: rows are padded, so that SIMD reads whole registers.
func Stride(dim int) int { return (dim + lanes - 1) / lanes * lanes }

// Quantize writes v, rounded, into a row of Stride bytes, and returns what one unit of the row stands for; 0 for a vector of
// length 0.
func Quantize(row []int8, v []float32) (scale float32) {
	scale, _ = quantize(row, v)
	return scale
}

// QuantizeQuery writes v, rounded, into a query of Stride components, and returns what one unit of it stands for.
func QuantizeQuery(query []int16, v []float32) (scale float32) {
	clear(query)
	scale, _ = quantizeQuery(query, v)
	return scale
}

// Dots writes the inner product of the query with each of len(sums) rows, in units of both.
func Dots(sums []int32, query []int16, rows []int8) { dots(sums, query, rows) }
