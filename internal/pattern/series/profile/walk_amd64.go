package profile

import "golang.org/x/sys/cpu"

// vectors reports whether the assembly may run here.
var vectors = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// walkAVX2 is walkGo for the rows 1 to whole-1, four diagonals in a vector and four vectors in flight. f, g, s, best and
// at start at row 0, d is the number of the first diagonal.
//
//go:noescape
func walkAVX2(df, dg, scale, best *float64, at *int64, d, whole int, c *float64)

func walk(t *table, d, whole int, c *[band]float64) {
	if !vectors {
		walkGo(t, d, whole, c)
		return
	}
	for k := range band {
		t.meet(0, d+k, c[k]*t.scale[0]*t.scale[d+k])
	}
	walkAVX2(&t.df[0], &t.dg[0], &t.scale[0], &t.best[0], &t.at[0], d, whole, &c[0])
}
