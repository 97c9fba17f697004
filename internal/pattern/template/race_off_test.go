//go:build !race

package template

const racing = false
