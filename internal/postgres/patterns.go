package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/tartan-ai/tartan/internal/pattern"
)

// PatternRow is a pattern as the library keeps it.
type PatternRow struct {
	ID          pattern.ID
	Name        string
	Description string
	Template    string
	Slots       []pattern.Slot
	State       string // StateActive or StateRetired
	Lines       int64
	FirstSeen   time.Time // zero while Lines is 0
	LastSeen    time.Time
	Version     int
	Aliases     []pattern.ID // earlier ids that mean this pattern
	Revision    int64
}

// The states of a pattern.
const (
	StateActive  = "active"
	StateRetired = "retired"
)

// ListPatterns says which patterns to list, in which order and from where.
type ListPatterns struct {
	Library uuid.UUID
	Query   string    // substring of the template or the name, any case, or the beginning of an id
	State   string    // "" is StateActive
	Since   time.Time // seen at or after
	Until   time.Time // first seen before
	Sort    string    // "lines" (default), "recent", "new" or "name"
	Limit   int       // 1 to 1,000; 0 is 50
	After   string    // cursor returned with the page before
}

// Patterns returns a page of patterns and the cursor of the next one, "" on the last page. A cursor of another order
// is ErrBadCursor.
func Patterns(ctx context.Context, q Querier, l ListPatterns) (rows []PatternRow, next string, err error) {
	return nil, "", errUnfinished
}

// PatternByID returns the pattern that the id means today, following aliases, or ErrNotFound.
func PatternByID(ctx context.Context, q Querier, library uuid.UUID, id pattern.ID) (PatternRow, error) {
	return PatternRow{}, errUnfinished
}

// PatternsByID returns the patterns that the ids mean today, following aliases, keyed by the id asked for. Unknown
// ids are absent.
func PatternsByID(ctx context.Context, q Querier, library uuid.UUID, ids []pattern.ID) (map[pattern.ID]PatternRow, error) {
	return nil, errUnfinished
}

// PatternNames returns the names of the library's patterns that have one.
func PatternNames(ctx context.Context, q Querier, library uuid.UUID) (map[pattern.ID]string, error) {
	return nil, errUnfinished
}
