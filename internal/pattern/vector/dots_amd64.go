package vector

import "golang.org/x/sys/cpu"

// fast is whether the processor and the system have AVX2.
var fast = cpu.X86.HasAVX2

// dots is dotsGo, with AVX2 where there is AVX2.
func dots(sums []int32, query []int16, rows []int8) {
	if !fast || len(sums) == 0 {
		dotsGo(sums, query, rows)
		return
	}
	_ = rows[:len(sums)*len(query)]
	dotsAVX2(&sums[0], &query[0], &rows[0], len(sums), len(query))
}

// dotsAVX2 is dotsGo for rows of dim components, a multiple of 32 above 0.
//
//go:noescape
func dotsAVX2(sums *int32, query *int16, rows *int8, n, dim int)
