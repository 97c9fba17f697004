package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
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
	TopicAgent   = "agent"   // agent id
)

// Event is a row of the outbox: something that has changed.
type Event struct {
	Position    Position
	WorkspaceID uuid.UUID
	Topic       string
	Key         string
	Payload     json.RawMessage
}

// LibraryChange is the payload of a TopicLibrary event.
type LibraryChange struct {
	Revision int64 `json:"revision"`
	Lines    int64 `json:"lines"` // lines added
}

// RunChange is the payload of a TopicRun event. Numbers are absent where only the state changed.
type RunChange struct {
	State string `json:"state,omitempty"`
	Lines int64  `json:"lines,omitempty"` // lines added
}

// OutboxChannel is the NOTIFY channel that wakes readers of the outbox. Its messages carry nothing.
const OutboxChannel = "tartan_outbox"

const insertOutbox = `insert into tartan.outbox (workspace_id, topic, key, payload) values ($1, $2, $3, $4)`

// AppendOutbox writes an event in the transaction of the change it tells of. SaveRun, AddRunProgress, AddCounts and
// changes of members write theirs by themselves.
func AppendOutbox(ctx context.Context, tx pgx.Tx, workspaceID uuid.UUID, topic, key string, payload any) error {
	body, err := json.Marshal(payload)
	if err == nil {
		_, err = tx.Exec(ctx, insertOutbox, workspaceID, topic, key, body)
	}
	if err != nil {
		return fmt.Errorf("append event %s %s: %w", topic, key, known(err))
	}
	return nil
}

// ReadOutbox returns the events after the position, in order. It stops below the oldest transaction still running, so
// that no event can ever come in before one that was returned.
func ReadOutbox(ctx context.Context, q Querier, after Position, limit int) ([]Event, error) {
	rows, _ := q.Query(ctx, `
		select xid, id, workspace_id, topic, key, payload from tartan.outbox
		where (xid, id) > ($1::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
		order by xid, id limit $3`, fmt.Sprint(after.XID), after.ID, limit)
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Event, err error) {
		err = row.Scan(&e.Position.XID, &e.Position.ID, &e.WorkspaceID, &e.Topic, &e.Key, &e.Payload)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", known(err))
	}
	return events, nil
}

// OutboxEnd returns a position that every later commit is after. What was committed while an older transaction was
// still running is after it as well, and so is read once more.
func OutboxEnd(ctx context.Context, q Querier) (Position, error) {
	p := Position{ID: math.MaxInt64}
	if err := q.QueryRow(ctx, `select pg_snapshot_xmin(pg_current_snapshot())`).Scan(&p.XID); err != nil {
		return Position{}, fmt.Errorf("find the end of the events: %w", known(err))
	}
	p.XID-- // of the oldest one running, nothing has been seen
	return p, nil
}

// TrimOutbox deletes events written before the time and returns how many. A reader that was away for longer finds
// what it missed by comparing revisions.
func TrimOutbox(ctx context.Context, q Querier, before time.Time) (int64, error) {
	tag, err := q.Exec(ctx, `delete from tartan.outbox where created_at < $1`, before)
	if err != nil {
		return 0, fmt.Errorf("trim events: %w", known(err))
	}
	return tag.RowsAffected(), nil
}
