//go:build !amd64

package profile

func walk(t *table, d, whole int, c *[band]float64) { walkGo(t, d, whole, c) }
