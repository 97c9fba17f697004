//go:build !race

package profile

// raceDetector says whether the race detector is on.
const raceDetector = false
