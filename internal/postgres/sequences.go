package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern/sequence"
)

// SequenceReport is what AnalyzeSequences found in the sources of a library.
type SequenceReport struct {
	WorkspaceID uuid.UUID
	LibraryID   uuid.UUID
	WorkflowID  string
	SessionKey  string // "" if nothing recurs
	Revision    int64  // of the library
	Sources     int
	Lines       int64
	Events      int64
	Report      sequence.Report
	CreatedAt   time.Time
}

// SaveSequenceReport stores a report in place of the workflow's last one.
func SaveSequenceReport(ctx context.Context, q Querier, r SequenceReport) error {
	// Names of sessions may hold any bytes.
	for i := range r.Report.Breaks {
		for k := range r.Report.Breaks[i].Seen {
			r.Report.Breaks[i].Seen[k].Session = stored(r.Report.Breaks[i].Seen[k].Session)
		}
	}
	body, err := json.Marshal(r.Report)
	if err == nil {
		_, err = q.Exec(ctx, `
			insert into tartan.sequence_reports (workspace_id, library_id, workflow_id, session_key, revision, sources, lines, events, report)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (library_id, workflow_id) do update set session_key = excluded.session_key, revision = excluded.revision,
				sources = excluded.sources, lines = excluded.lines, events = excluded.events, report = excluded.report, created_at = now()`,
			r.WorkspaceID, r.LibraryID, r.WorkflowID, stored(r.SessionKey), r.Revision, r.Sources, r.Lines, r.Events, body)
	}
	if err != nil {
		return fmt.Errorf("save the sequences of %s: %w", r.WorkflowID, known(err))
	}
	return nil
}

// SequenceReportOf returns what a workflow found, or ErrNotFound.
func SequenceReportOf(ctx context.Context, q Querier, libraryID uuid.UUID, workflowID string) (SequenceReport, error) {
	r, err := one(ctx, q, pgx.RowToStructByPos[SequenceReport], `
		select workspace_id, library_id, workflow_id, session_key, revision, sources, lines, events, report, created_at
		from tartan.sequence_reports where library_id = $1 and workflow_id = $2`, libraryID, workflowID)
	if err != nil {
		return r, fmt.Errorf("sequences of %s: %w", workflowID, err)
	}
	r.SessionKey = plain(r.SessionKey)
	for i := range r.Report.Breaks {
		for k := range r.Report.Breaks[i].Seen {
			r.Report.Breaks[i].Seen[k].Session = plain(r.Report.Breaks[i].Seen[k].Session)
		}
	}
	return r, nil
}

// SetRunProgress says how far a run is; saying it twice is saying it once. A run that is not stored is ErrNotFound.
func SetRunProgress(ctx context.Context, q Querier, r Run) error {
	event, err := json.Marshal(RunChange{Lines: r.Lines})
	if err != nil {
		return err
	}
	tag, err := q.Exec(ctx, `
		with saved as (
			update tartan.runs set lines = $3, bytes = $4, chunks_done = $5, updated_at = clock_timestamp()
			where workspace_id = $1 and workflow_id = $2 returning workspace_id)
		insert into tartan.outbox (workspace_id, topic, key, payload) select workspace_id, 'run', $2, $6 from saved`,
		r.WorkspaceID, r.WorkflowID, r.Lines, r.Bytes, r.ChunksDone, event)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("set the progress of run %s: %w", r.WorkflowID, known(err))
	}
	return nil
}
