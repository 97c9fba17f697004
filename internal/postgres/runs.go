package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The states of a run.
const (
	RunRunning    = "running"
	RunPaused     = "paused"
	RunCancelling = "cancelling"
	RunCancelled  = "cancelled"
	RunFailed     = "failed"
	RunCompleted  = "completed"
)

// Run is what is known of a workflow outside Temporal: its state and its progress.
type Run struct {
	WorkspaceID uuid.UUID
	WorkflowID  string
	RunID       string
	Kind        string // the workflow type
	State       string // one of the Run constants
	Library     string
	LibraryID   uuid.UUID // zero until there is one
	SourceID    uuid.UUID // zero until there is one
	SourceName  string
	Error       string
	Lines       int64
	Bytes       int64
	TotalBytes  int64
	Patterns    int64
	NewPatterns int64
	OtherLines  int64
	Untimed     int64
	ChunksDone  int
	ChunksTotal int
	StartedAt   time.Time
	UpdatedAt   time.Time
	FinishedAt  *time.Time
}

// Finished reports whether the run will not change any more.
func (r Run) Finished() bool {
	return r.State == RunCancelled || r.State == RunFailed || r.State == RunCompleted
}

// LinesPerSecond returns the mean rate from the start to the end, or to now while the run goes on.
func (r Run) LinesPerSecond(now time.Time) float64 {
	end := now
	if r.FinishedAt != nil {
		end = *r.FinishedAt
	}
	d := end.Sub(r.StartedAt).Seconds()
	if r.StartedAt.IsZero() || d <= 0 {
		return 0
	}
	return float64(r.Lines) / d
}

// SaveRun stores the run with its outbox event. Of a stored run it changes the state, the error, the end, and what was
// not known before; progress is only ever added, by AddRunProgress.
func SaveRun(ctx context.Context, q Querier, r Run) error { return errUnfinished }

// RunByID returns the run or ErrNotFound.
func RunByID(ctx context.Context, q Querier, workspaceID uuid.UUID, workflowID string) (Run, error) {
	return Run{}, errUnfinished
}

// ListRuns says which runs to list.
type ListRuns struct {
	WorkspaceID uuid.UUID
	State       string // "" is all
	Limit       int    // 1 to 1,000; 0 is 50
	After       string // cursor returned with the page before
}

// Runs returns a page of runs, the latest started first, and the cursor of the next page, "" on the last.
func Runs(ctx context.Context, q Querier, l ListRuns) (runs []Run, next string, err error) {
	return nil, "", errUnfinished
}

// AddRunProgress adds the numbers of delta to the run and writes its outbox event; Patterns is replaced where it is
// not 0. Called in the transaction that commits the chunk, it makes the run's progress equal the ledger.
func AddRunProgress(ctx context.Context, tx pgx.Tx, workflowID string, delta Run) error {
	return errUnfinished
}
