package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Compare asks what differs between a base window and a later one. Windows include their start and exclude their end,
// in whole buckets of the library.
type Compare struct {
	Library  uuid.UUID
	BaseFrom time.Time
	BaseTo   time.Time
	From     time.Time
	To       time.Time
	MinLines int64   // fewer lines in both windows are left out; 0 is 1
	MinRatio float64 // a rate must have changed by this factor; 0 is 1.5
	Limit    int     // 1 to 1,000; 0 is 50
	Offset   int
}

// WindowChange is a pattern that differs between two windows.
type WindowChange struct {
	PatternRow
	Kind         string  // "new", "gone", "up" or "down"
	Before       int64   // lines in the base window
	After        int64   // lines in the later window
	Ratio        float64 // rate after / rate before; 0 when gone, +Inf when new
	Significance float64 // how many standard deviations the rates are apart
}

// CompareWindows returns the patterns that are new, gone or changed in rate, the most significant first.
func CompareWindows(ctx context.Context, q Querier, c Compare) ([]WindowChange, error) {
	return nil, errUnfinished
}
