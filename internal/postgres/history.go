package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/tartan-ai/tartan/internal/pattern"
)

// Example is a line that a pattern was seen in.
type Example struct {
	Line     string
	At       time.Time
	SourceID uuid.UUID
}

// Bucket is the number of lines in the time from Start to the Start of the next one.
type Bucket struct {
	Start time.Time
	Lines int64
}

// Examples returns at most limit example lines of the pattern, from its most frequent shapes first.
func Examples(ctx context.Context, q Querier, library uuid.UUID, id pattern.ID, limit int) ([]Example, error) {
	return nil, errUnfinished
}

// Histogram returns the lines of one pattern between since and until in the given number of equal buckets, empty ones
// included. A zero since or until is the pattern's first or last seen.
func Histogram(ctx context.Context, q Querier, library uuid.UUID, id pattern.ID, since, until time.Time, buckets int) ([]Bucket, error) {
	return nil, errUnfinished
}

// Histograms returns the histograms of several patterns over the same buckets. A zero since or until is the first or
// last time any of them was seen.
func Histograms(ctx context.Context, q Querier, library uuid.UUID, ids []pattern.ID, since, until time.Time, buckets int) (map[pattern.ID][]Bucket, error) {
	return nil, errUnfinished
}
