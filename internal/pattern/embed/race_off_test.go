//go:build !race

package embed

const racing = false
