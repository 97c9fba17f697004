package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

type getWorkflowArgs struct {
	ID   string `json:"id" required:"true" doc:"Workflow id"`
	Wait int    `json:"wait_seconds" min:"0" max:"20" doc:"Wait so long for it to end"`
}

type workflowDetail struct {
	ID       string                           `json:"id"`
	State    string                           `json:"state"`
	Library  string                           `json:"library"`
	Source   string                           `json:"source"`
	Progress workflowProgress                 `json:"progress"`
	Result   *workflows.ProcessPatternsResult `json:"result,omitempty"`
	Trained  *trained                         `json:"trained,omitempty"`
	Text     string                           `json:"text,omitempty"` // of a model: its answer; of a migration that has ended: its report in Markdown
	Error    string                           `json:"error,omitempty"`
	Started  string                           `json:"started"`
	Finished string                           `json:"finished,omitempty"`
	Page     string                           `json:"page,omitempty"` // in Temporal's web UI
}

// trained is the recogniser that a training gave.
type trained struct {
	Version  int     `json:"version"`
	Accuracy float64 `json:"accuracy"` // of left-out examples, [0, 1]
}

func trainedOf(r *workflows.TrainSeriesResult) *trained {
	if r == nil {
		return nil
	}
	return &trained{r.Version, rounded(r.Accuracy)}
}

type workflowProgress struct {
	Lines       int64 `json:"lines"`
	Bytes       int64 `json:"bytes"`
	TotalBytes  int64 `json:"total_bytes"`
	Patterns    int64 `json:"patterns"`
	NewPatterns int64 `json:"new_patterns"`
	LinesPerSec int64 `json:"lines_per_second"`
	ChunksDone  int   `json:"chunks_done"`
	ChunksTotal int   `json:"chunks_total"`
}

func (s *Suite) getWorkflow() Tool {
	return define[getWorkflowArgs, workflowDetail](Tool{
		Name: "get_workflow", Title: "Get a workflow", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "State, progress and result of a workflow; can wait up to 20 s for it to end.",
	}, func(ctx context.Context, c Call, in getWorkflowArgs) (workflowDetail, string, error) {
		out, err := s.workflowDetail(ctx, c, in.ID, time.Duration(in.Wait)*time.Second)
		return out, out.text(), err
	})
}

// workflowDetail waits for the workflow to end, but not longer than wait, and tells what is known then: from the projection, or from
// Temporal where the projection does not know the workflow yet.
func (s *Suite) workflowDetail(ctx context.Context, c Call, id string, wait time.Duration) (workflowDetail, error) {
	if err := s.owns(ctx, c, id); err != nil {
		return workflowDetail{}, err
	}
	until := time.Now().Add(wait)
	for {
		out, ended, err := s.lookUp(ctx, c, id)
		if err != nil {
			return out, err
		}
		left := time.Until(until)
		if ended || left <= 0 {
			return s.withReport(ctx, c, s.withResult(ctx, out))
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(min(pollRun, left)):
		}
	}
}

func (s *Suite) lookUp(ctx context.Context, c Call, id string) (out workflowDetail, ended bool, err error) {
	var run postgres.Run
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		run, err = postgres.RunByID(ctx, tx, c.Caller.WorkspaceID, id)
		return err
	})
	if err == nil {
		return s.ofRun(run), run.Finished(), nil
	}
	if !errors.Is(err, postgres.ErrNotFound) || s.Temporal == nil {
		if errors.Is(err, postgres.ErrNotFound) {
			err = noWorkflow(id)
		}
		return out, false, err
	}
	status, err := workflows.Describe(ctx, s.Temporal, id)
	if err != nil {
		return out, false, explainWorkflow(err, id)
	}
	return s.ofStatus(status), status.Finished(), nil
}

// withResult adds the result of a completed workflow, which Temporal keeps; without it the numbers of the projection stand.
func (s *Suite) withResult(ctx context.Context, out workflowDetail) workflowDetail {
	if out.State != postgres.RunCompleted || out.Result != nil || out.Trained != nil || s.Temporal == nil {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	// The run is marked as complete by the workflow's last activity, so the workflow itself may need a moment to end.
	if status, err := workflows.Wait(ctx, s.Temporal, out.ID, pollRun, nil); err == nil {
		out.Result, out.Trained = status.Result, trainedOf(status.Trained)
	}
	return out
}

// maxReport bounds the part of a report that a tool returns, in bytes.
const maxReport = 6000

// withReport adds the report of a migration that has ended.
func (s *Suite) withReport(ctx context.Context, c Call, out workflowDetail) (workflowDetail, error) {
	target, ok := strings.CutPrefix(out.ID, workflows.MigrationWorkflowID(c.Caller.WorkspaceID, ""))
	if !ok || s.Bucket == nil {
		return out, nil
	}
	last, err := s.lastMigration(ctx, c, target)
	var missing *Error
	if errors.As(err, &missing) && missing.Kind == NotFound {
		return out, nil // it could not begin
	}
	if err != nil || last.ReportMD == "" || last.FinishedAt == nil {
		return out, err
	}
	body, err := s.Bucket.ReadAll(ctx, last.ReportMD, 16<<20)
	if err != nil {
		return out, fmt.Errorf("read the report of migration %s: %w", last.ID, err)
	}
	out.Text = cut(string(body), maxReport)
	return out, nil
}

func (s *Suite) ofRun(r postgres.Run) workflowDetail {
	out := workflowDetail{
		ID: r.WorkflowID, State: r.State, Library: r.Library, Source: cut(r.SourceName, maxValue), Error: cut(r.Error, 1000),
		Started: stamp(r.StartedAt), Page: s.page(r.WorkflowID, r.RunID),
		Progress: workflowProgress{
			Lines: r.Lines, Bytes: r.Bytes, TotalBytes: r.TotalBytes, Patterns: r.Patterns, NewPatterns: r.NewPatterns,
			LinesPerSec: int64(r.LinesPerSecond(time.Now())), ChunksDone: r.ChunksDone, ChunksTotal: r.ChunksTotal,
		},
	}
	if r.FinishedAt != nil {
		out.Finished = stamp(*r.FinishedAt)
	}
	return out
}

func (s *Suite) ofStatus(t workflows.Status) workflowDetail {
	out := workflowDetail{ID: t.WorkflowID, State: t.State, Started: stamp(t.StartedAt), Result: t.Result, Trained: trainedOf(t.Trained), Page: s.page(t.WorkflowID, t.RunID)}
	if p := t.Progress; p != nil {
		out.Library, out.Source = p.Library, cut(p.SourceName, maxValue)
		out.Progress = workflowProgress{
			Lines: p.Lines, Bytes: p.Bytes, TotalBytes: p.TotalBytes, Patterns: p.Patterns, NewPatterns: p.NewPatterns,
			LinesPerSec: int64(p.LinesPerSec), ChunksDone: p.ChunksDone, ChunksTotal: p.ChunksTotal,
		}
	}
	if t.Answered != nil {
		out.Text = t.Answered.Text
	}
	if t.Failure != nil {
		out.Error = cut(t.Failure.Message, 1000)
	}
	if t.ClosedAt != nil {
		out.Finished = stamp(*t.ClosedAt)
	}
	return out
}

func (w workflowDetail) text() string {
	text := fmt.Sprintf("%s: %s, %d new of %s", w.State, plural(int(w.Progress.Lines), "line"), w.Progress.NewPatterns, plural(int(w.Progress.Patterns), "pattern"))
	if w.Trained != nil {
		text = fmt.Sprintf("%s: version %d of the recogniser, %.3f of the left-out examples right", w.State, w.Trained.Version, w.Trained.Accuracy)
	}
	if w.Text != "" {
		text = w.State + ": " + cut(w.Text, maxReport)
	}
	if w.Error != "" {
		text += "; " + w.Error
	}
	return text
}
