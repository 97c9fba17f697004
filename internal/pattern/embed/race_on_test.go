//go:build race

package embed

// racing is set under the race detector, which makes a sync.Pool forget at random.
const racing = true
