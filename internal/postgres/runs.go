package postgres

import (
	"context"
	"encoding/json"
	"fmt"
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
	Continued   int64 // lines that go on with the one before; not in Lines
}

// Finished reports whether the run will not change any more, unless it is started again.
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

const zeroUUID = `'00000000-0000-0000-0000-000000000000'`

const runColumns = `workspace_id, workflow_id, run_id, kind, state, library, coalesce(library_id, ` + zeroUUID + `), coalesce(source_id, ` + zeroUUID + `),
	source_name, error, lines, bytes, total_bytes, patterns, new_patterns, other_lines, untimed, chunks_done, chunks_total, started_at, updated_at, finished_at, continued`

// SaveRun stores the run with its outbox event. Of a stored run it changes the state, the error, the end, and what was
// not known before; progress is only ever added, by AddRunProgress. A zero StartedAt is now, and so is a missing
// FinishedAt of a state that ends.
func SaveRun(ctx context.Context, q Querier, r Run) error {
	now := time.Now()
	if r.StartedAt.IsZero() {
		r.StartedAt = now
	}
	switch {
	case !r.Finished():
		r.FinishedAt = nil
	case r.FinishedAt == nil:
		r.FinishedAt = &now
	}
	event, err := json.Marshal(RunChange{State: r.State})
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `
		with saved as (
			insert into tartan.runs as r (workspace_id, workflow_id, run_id, kind, state, library, library_id, source_id, source_name, error,
				lines, bytes, total_bytes, patterns, new_patterns, other_lines, untimed, chunks_done, chunks_total, started_at, finished_at, continued)
			values ($1, $2, $3, $4, $5, $6, nullif($7::uuid, `+zeroUUID+`), nullif($8::uuid, `+zeroUUID+`), $9, $10,
				$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $23)
			on conflict (workspace_id, workflow_id) do update set
				run_id       = case when excluded.run_id = '' then r.run_id else excluded.run_id end,
				state        = excluded.state,
				error        = excluded.error,
				finished_at  = excluded.finished_at,
				library      = case when excluded.library = '' then r.library else excluded.library end,
				library_id   = coalesce(excluded.library_id, r.library_id),
				source_id    = coalesce(excluded.source_id, r.source_id),
				source_name  = case when excluded.source_name = '' then r.source_name else excluded.source_name end,
				total_bytes  = greatest(r.total_bytes, excluded.total_bytes),
				patterns     = greatest(r.patterns, excluded.patterns),
				chunks_total = greatest(r.chunks_total, excluded.chunks_total),
				updated_at   = clock_timestamp()
			returning workspace_id)
		insert into tartan.outbox (workspace_id, topic, key, payload) select workspace_id, 'run', $2, $22 from saved`,
		r.WorkspaceID, r.WorkflowID, r.RunID, r.Kind, r.State, r.Library, r.LibraryID, r.SourceID, stored(r.SourceName), stored(r.Error),
		r.Lines, r.Bytes, r.TotalBytes, r.Patterns, r.NewPatterns, r.OtherLines, r.Untimed, r.ChunksDone, r.ChunksTotal,
		r.StartedAt, r.FinishedAt, event, r.Continued)
	if err != nil {
		return fmt.Errorf("save run %s: %w", r.WorkflowID, known(err))
	}
	return nil
}

// RunByID returns the run or ErrNotFound.
func RunByID(ctx context.Context, q Querier, workspaceID uuid.UUID, workflowID string) (Run, error) {
	r, err := one(ctx, q, scanRun, `select `+runColumns+` from tartan.runs where workspace_id = $1 and workflow_id = $2`, workspaceID, workflowID)
	if err != nil {
		return r, fmt.Errorf("run %s: %w", workflowID, err)
	}
	return r, nil
}

func scanRun(row pgx.CollectableRow) (Run, error) {
	r, err := pgx.RowToStructByPos[Run](row)
	r.SourceName, r.Error = plain(r.SourceName), plain(r.Error)
	return r, err
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
	limit := pageSize(l.Limit)
	after, err := readCursor(l.After, "runs")
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	rows, _ := q.Query(ctx, `
		select `+runColumns+` from tartan.runs
		where workspace_id = $1 and ($2 = '' or state = $2)
		  and ($3 = '' or (started_at, workflow_id) < ($3::timestamptz, $4))
		order by started_at desc, workflow_id desc limit $5`,
		l.WorkspaceID, l.State, after.Value, after.ID, limit+1)
	runs, err = pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", known(err))
	}
	if len(runs) > limit {
		runs = runs[:limit]
		last := runs[limit-1]
		next = cursor{Sort: "runs", Value: last.StartedAt.UTC().Format(time.RFC3339Nano), ID: last.WorkflowID}.String()
	}
	return runs, next, nil
}

// AddRunProgress adds the numbers of delta to the run and writes its outbox event; Patterns is replaced where it is
// not 0. Called in the transaction that commits the chunk, it makes the run's progress equal the ledger. A run that is
// not stored is ErrNotFound.
func AddRunProgress(ctx context.Context, tx pgx.Tx, workflowID string, delta Run) error {
	event, err := json.Marshal(RunChange{Lines: delta.Lines})
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		with saved as (
			update tartan.runs set lines = lines + $2, bytes = bytes + $3, new_patterns = new_patterns + $4, other_lines = other_lines + $5,
				untimed = untimed + $6, continued = continued + $11, chunks_done = chunks_done + $7, patterns = case when $8 = 0 then patterns else $8 end,
				updated_at = clock_timestamp()
			where workflow_id = $1 and ($9 = `+zeroUUID+`::uuid or workspace_id = $9)
			returning workspace_id)
		insert into tartan.outbox (workspace_id, topic, key, payload) select workspace_id, 'run', $1, $10 from saved`,
		workflowID, delta.Lines, delta.Bytes, delta.NewPatterns, delta.OtherLines, delta.Untimed, delta.ChunksDone,
		delta.Patterns, delta.WorkspaceID, event, delta.Continued)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("add progress of run %s: %w", workflowID, known(err))
	}
	return nil
}
