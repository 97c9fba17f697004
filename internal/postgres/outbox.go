package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Position is a place in the outbox: all rows at or before it have been read. Positions are ordered by XID, then ID.
type Position struct {
	XID uint64
	ID  int64
}

// The topics of the outbox, and what their keys are.
const (
	TopicLibrary = "library" // library id
	TopicRun     = "run"     // workflow id
	TopicMember  = "member"  // user id
)

// Event is a row of the outbox: something that has changed.
type Event struct {
	Position    Position
	WorkspaceID uuid.UUID
	Topic       string
	Key         string
	Payload     json.RawMessage
}

// OutboxChannel is the NOTIFY channel that wakes readers of the outbox. Its messages carry nothing.
const OutboxChannel = "tartan_outbox"

// AppendOutbox writes an event in the transaction of the change it tells of. SaveRun, AddRunProgress, AddCounts and
// changes of members write theirs by themselves.
func AppendOutbox(ctx context.Context, tx pgx.Tx, workspaceID uuid.UUID, topic, key string, payload any) error {
	return errUnfinished
}

// ReadOutbox returns the events after the position, in order, of which none can be preceded by one not yet committed.
func ReadOutbox(ctx context.Context, q Querier, after Position, limit int) ([]Event, error) {
	return nil, errUnfinished
}

// OutboxEnd returns a position that everything visible now is at or before, and every later commit after.
func OutboxEnd(ctx context.Context, q Querier) (Position, error) { return Position{}, errUnfinished }

// TrimOutbox deletes events written before the time and returns how many. A reader that was away for longer finds
// what it missed by comparing revisions.
func TrimOutbox(ctx context.Context, q Querier, before time.Time) (int64, error) {
	return 0, errUnfinished
}
