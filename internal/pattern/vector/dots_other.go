//go:build !amd64

package vector

func dots(sums []int32, query []int16, rows []int8) { dotsGo(sums, query, rows) }
