//go:build !race

package series_test

// raceDetector says whether the race detector is on.
const raceDetector = false
