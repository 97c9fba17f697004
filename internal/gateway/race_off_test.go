//go:build !race

package gateway_test

// racing is set under the race detector, which takes several times the memory.
const racing = false
