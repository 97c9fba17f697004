package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

type mineArgs struct {
	Lines   lineList `json:"lines" doc:"Or give object_key"`
	Object  string   `json:"object_key" note:"Key of an object that this workspace has mined before, as tartan patterns mine uploads it"`
	Library string   `json:"library" default:"default"`
	Name    string   `json:"name" max:"200" doc:"Of the source"`
	Kind    string   `json:"kind" enum:"lines|record" note:"Of a new library: lines of logs (default), in which stack traces go with the line before them, or records, JSON events one a line; any other library keeps its kind"`
}

type mining struct {
	WorkflowID string `json:"workflow_id"`
	Existed    bool   `json:"existed"` // the same content was mined before, and counts once
	Next       string `json:"next"`
	Resource   string `json:"resource"`
	Page       string `json:"page,omitempty"` // in Temporal's web UI
}

func (s *Suite) minePatterns() Tool {
	return define[mineArgs, mining](Tool{
		Name: "mine_patterns", Title: "Mine patterns", Role: editor, Idempotent: true,
		Description: "Start a durable workflow that learns and counts the patterns of log lines. Returns its id at once.",
	}, func(ctx context.Context, c Call, in mineArgs) (mining, string, error) {
		temporal, err := s.durable()
		if err != nil {
			return mining{}, "", err
		}
		source, err := s.source(ctx, c, in)
		if err != nil {
			return mining{}, "", err
		}
		id, runID, existed, err := workflows.StartProcess(ctx, temporal, workflows.ProcessPatternsInput{Caller: c.Caller, Library: in.Library, Source: source, Kind: in.Kind})
		if err != nil {
			return mining{}, "", explainWorkflow(err, "")
		}
		out := mining{WorkflowID: id, Existed: existed, Next: "get_workflow with this id and wait_seconds 20", Resource: WorkflowURI(id), Page: s.page(id, runID)}
		text := "started " + id
		if existed {
			text = "mined before, or being mined: " + id
		}
		return out, text, nil
	})
}

// source is what is to be mined; more lines than fit into a workflow's input go into the bucket.
func (s *Suite) source(ctx context.Context, c Call, in mineArgs) (ref workflows.SourceRef, err error) {
	ref.Name = in.Name
	switch {
	case len(in.Lines) > 0 && in.Object != "":
		return ref, invalid("give either lines or object_key")
	case in.Object != "":
		if ref.Name == "" {
			ref.Name = "object"
		}
		return s.object(ctx, c, ref, in.Object)
	case len(in.Lines) == 0:
		return ref, invalid("no lines given; give lines or object_key")
	}
	if ref.Name == "" {
		ref.Name = "mcp"
	}
	body := append(bytes.Join(in.Lines, []byte("\n")), '\n')
	if len(body) <= workflows.MaxInline {
		ref.Inline, ref.Bytes = body, int64(len(body))
		return ref, nil
	}
	if s.Bucket == nil {
		return ref, unavailable("Send at most 45 KiB of lines at a time", "this server has no bucket for so many lines")
	}
	o, err := s.Bucket.PutBytes(ctx, body)
	ref.ObjectKey, ref.SHA256, ref.Bytes = o.Key, o.SHA256, o.Size
	return ref, err
}

// object refers to an object that the workspace has mined before, into whatever library.
func (s *Suite) object(ctx context.Context, c Call, ref workflows.SourceRef, key string) (workflows.SourceRef, error) {
	if s.Bucket == nil {
		return ref, unavailable("Send lines instead", "this server has no bucket")
	}
	var size int64
	err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		has, err := postgres.HasObject(ctx, tx, key)
		if err == nil && !has {
			err = bucket.ErrNotFound
		}
		return err
	})
	if err == nil {
		size, err = s.Bucket.Size(ctx, key)
	}
	if errors.Is(err, bucket.ErrNotFound) {
		return ref, notFound("Upload it with `tartan patterns mine`, or send lines", "this workspace has no object %s", short(key))
	}
	if err != nil {
		return ref, err
	}
	ref.ObjectKey, ref.Bytes = key, size
	return ref, nil
}

// page is a workflow's address in Temporal's web UI, "" where that is not known.
func (s *Suite) page(id, runID string) string {
	if s.TemporalUIURL == "" {
		return ""
	}
	address := s.TemporalUIURL + "/namespaces/default/workflows/" + url.PathEscape(id)
	if runID != "" {
		address += "/" + runID
	}
	return address
}

type listWorkflowsArgs struct {
	State string `json:"state" enum:"running|paused|cancelling|cancelled|failed|completed"`
	Limit int    `json:"limit" min:"1" max:"200" default:"20"`
	After string `json:"after" doc:"next of last page"`
}

type workflowList struct {
	Workflows []workflowSummary `json:"workflows"` // the latest first
	Next      string            `json:"next,omitempty"`
}

type workflowSummary struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Library  string `json:"library"`
	Source   string `json:"source"`
	Lines    int64  `json:"lines"`
	Started  string `json:"started"`
	Finished string `json:"finished,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (s *Suite) listWorkflows() Tool {
	return define[listWorkflowsArgs, workflowList](Tool{
		Name: "list_workflows", Title: "List workflows", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "List the workspace's workflows, the latest first.",
	}, func(ctx context.Context, c Call, in listWorkflowsArgs) (workflowList, string, error) {
		out := workflowList{Workflows: []workflowSummary{}}
		err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			runs, next, err := postgres.Runs(ctx, tx, postgres.ListRuns{WorkspaceID: c.Caller.WorkspaceID, State: in.State, Limit: in.Limit, After: in.After})
			if errors.Is(err, postgres.ErrBadCursor) {
				return invalid("argument \"after\" is not the next of a page")
			}
			for _, r := range runs {
				w := workflowSummary{ID: r.WorkflowID, State: r.State, Library: r.Library, Source: cut(r.SourceName, maxValue), Lines: r.Lines, Started: stamp(r.StartedAt), Error: cut(r.Error, maxValue)}
				if r.FinishedAt != nil {
					w.Finished = stamp(*r.FinishedAt)
				}
				out.Workflows = append(out.Workflows, w)
			}
			out.Next = next
			return err
		})
		text := plural(len(out.Workflows), "workflow")
		for i, w := range out.Workflows {
			if i == 10 {
				text += "\n..."
				break
			}
			text += fmt.Sprintf("\n%-9s %10d lines  %s", w.State, w.Lines, w.ID)
		}
		return out, text, err
	})
}

type controlArgs struct {
	ID     string `json:"id" required:"true" doc:"Workflow id"`
	Action string `json:"action" required:"true" enum:"pause|resume|cancel" doc:"What to do"`
}

type controlled struct {
	WorkflowID string `json:"workflow_id"`
	Action     string `json:"action"`
	Next       string `json:"next"`
}

func (s *Suite) controlWorkflow() Tool {
	return define[controlArgs, controlled](Tool{
		Name: "control_workflow", Title: "Control a workflow", Role: editor, Destructive: true, Idempotent: true,
		Description: "Pause, resume or cancel a workflow. What it has counted stays counted.",
	}, func(ctx context.Context, c Call, in controlArgs) (controlled, string, error) {
		temporal, err := s.durable()
		if err != nil {
			return controlled{}, "", err
		}
		if err := s.owns(ctx, c, in.ID); err != nil {
			return controlled{}, "", err
		}
		if err := workflows.Control(ctx, temporal, in.ID, in.Action); err != nil {
			return controlled{}, "", explainWorkflow(err, in.ID)
		}
		return controlled{WorkflowID: in.ID, Action: in.Action, Next: "get_workflow shows when it has taken effect"}, in.Action + " asked of " + in.ID, nil
	})
}

// owns refuses a workflow of another workspace as if there were none.
func owns(caller access.Caller, id string) error {
	if workspace, ok := workflows.WorkspaceOf(id); !ok || workspace != caller.WorkspaceID {
		return noWorkflow(id)
	}
	return nil
}

// owns also refuses the workflow of a change set or space that the caller may not see.
func (s *Suite) owns(ctx context.Context, c Call, id string) error {
	if err := owns(c.Caller, id); err != nil {
		return err
	}
	parts := strings.Split(id, "/")
	see := func(pgx.Tx) error { return nil }
	switch parts[0] {
	case "change", "restore", "excise":
		change, err := uuid.Parse(parts[len(parts)-1])
		if err != nil {
			return noWorkflow(id)
		}
		see = func(tx pgx.Tx) (err error) { _, err = postgres.ChangeByID(ctx, tx, change); return err }
	case "import":
		if len(parts) < 3 {
			return noWorkflow(id)
		}
		see = func(tx pgx.Tx) (err error) {
			_, err = postgres.SpaceByName(ctx, tx, c.Caller.WorkspaceID, parts[2])
			return err
		}
	default:
		return nil
	}
	return s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		err := see(tx)
		if errors.Is(err, postgres.ErrNotFound) {
			return noWorkflow(id)
		}
		return err
	})
}

func noWorkflow(id string) *Error {
	return notFound("Find its id with list_workflows", "no workflow %s", shortID(id))
}

func shortID(id string) string {
	if len(id) > 160 {
		return short(id)
	}
	return fmt.Sprintf("%q", id)
}

func explainWorkflow(err error, id string) error {
	switch {
	case errors.Is(err, workflows.ErrNotFound):
		return noWorkflow(id)
	case errors.Is(err, workflows.ErrFinished):
		return invalid("the workflow has ended already")
	case errors.Is(err, workflows.ErrUnavailable):
		return unavailable("Try again in a moment", "Temporal does not answer")
	}
	return err
}

const pollRun = 100 * time.Millisecond
