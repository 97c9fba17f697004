package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// runView is a workflow in JSON.
type runView struct {
	WorkflowID     string     `json:"workflow_id"`
	RunID          string     `json:"run_id,omitempty"`
	Kind           string     `json:"kind"`
	State          string     `json:"state"`
	Library        string     `json:"library"`
	Source         string     `json:"source"`
	Lines          int64      `json:"lines"`
	Bytes          int64      `json:"bytes"`
	TotalBytes     int64      `json:"total_bytes"`
	Patterns       int64      `json:"patterns"`
	NewPatterns    int64      `json:"new_patterns"`
	OtherLines     int64      `json:"other_lines"`
	Untimed        int64      `json:"untimed"`
	Continued      int64      `json:"continued"` // lines that go on with the one before; not in lines
	ChunksDone     int        `json:"chunks_done"`
	ChunksTotal    int        `json:"chunks_total"`
	LinesPerSecond float64    `json:"lines_per_second"`
	StartedAt      *time.Time `json:"started_at,omitempty"`
	UpdatedAt      *time.Time `json:"updated_at,omitempty"`
	FinishedAt     *time.Time `json:"finished_at,omitempty"`
	Error          string     `json:"error,omitempty"`
	URL            string     `json:"url,omitempty"` // in the Temporal web UI, where it is known
}

func (a *app) runView(r postgres.Run) runView {
	v := runView{
		WorkflowID: r.WorkflowID, RunID: r.RunID, Kind: r.Kind, State: r.State, Library: r.Library, Source: r.SourceName,
		Lines: r.Lines, Bytes: r.Bytes, TotalBytes: r.TotalBytes, Patterns: r.Patterns, NewPatterns: r.NewPatterns, OtherLines: r.OtherLines,
		Untimed: r.Untimed, Continued: r.Continued, ChunksDone: r.ChunksDone, ChunksTotal: r.ChunksTotal, LinesPerSecond: float64(int64(r.LinesPerSecond(time.Now()))),
		StartedAt: instant(r.StartedAt), UpdatedAt: instant(r.UpdatedAt), FinishedAt: r.FinishedAt, Error: r.Error,
	}
	if a.stack.TemporalUIURL != "" {
		v.URL = workflowURL(a.stack.TemporalUIURL, r.WorkflowID)
	}
	return v
}

// workflowURL is the page of a workflow in the Temporal web UI.
func workflowURL(ui, id string) string {
	return strings.TrimSuffix(ui, "/") + "/namespaces/default/workflows/" + strings.ReplaceAll(id, "/", "%2F")
}

func (a *app) workflowsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "workflows",
		Short: "List, show and control workflows",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.listRunsCommand(), a.showRunCommand(),
		a.controlCommand("pause", "Stop a workflow from starting new chunks"),
		a.controlCommand("resume", "Let a paused workflow go on"),
		a.controlCommand("cancel", "End a workflow; what it has counted stays"))
	return c
}

func (a *app) listRunsCommand() *cobra.Command {
	var l postgres.ListRuns
	c := &cobra.Command{
		Use:   "list",
		Short: "List workflows, the latest first",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			caller, err := a.caller(c.Context())
			if err != nil {
				return err
			}
			var (
				runs []postgres.Run
				next string
			)
			err = postgres.InWorkspace(c.Context(), a.pool, caller, func(tx pgx.Tx) error {
				l.WorkspaceID = caller.WorkspaceID
				runs, next, err = postgres.Runs(c.Context(), tx, l)
				return err
			})
			if err != nil {
				return err
			}
			return a.printRuns(runs, next)
		},
	}
	c.Flags().StringVar(&l.State, "state", "", "running, paused, cancelling, cancelled, failed or completed")
	c.Flags().IntVarP(&l.Limit, "limit", "n", 20, "at most so many (1 to 1000)")
	c.Flags().StringVar(&l.After, "after", "", "the cursor that the page before ended with")
	return c
}

func (a *app) printRuns(runs []postgres.Run, next string) error {
	if a.json() {
		out := struct {
			Workflows []runView `json:"workflows"`
			Next      string    `json:"next,omitempty"`
		}{[]runView{}, next}
		for _, r := range runs {
			out.Workflows = append(out.Workflows, a.runView(r))
		}
		return a.printJSON(out)
	}
	table := [][]string{{"STARTED", "STATE", "LIBRARY", "SOURCE", "LINES", "LINES/S", "WORKFLOW"}}
	for _, r := range runs {
		table = append(table, []string{shown(r.StartedAt), r.State, r.Library, clip(r.SourceName, 30), count(r.Lines), count(int64(r.LinesPerSecond(time.Now()))), r.WorkflowID})
	}
	if err := a.table(table); err != nil {
		return err
	}
	if next != "" {
		a.say("more: tartan workflows list%s --after %s", a.here(), next)
	}
	return nil
}

func (a *app) showRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show WORKFLOW",
		Short: "Show the state and progress of one workflow",
		Args:  exactly(1, "a workflow id"),
		RunE: func(c *cobra.Command, args []string) error {
			run, err := a.readRun(c.Context(), args[0])
			if err != nil {
				return err
			}
			v := a.runView(run)
			if a.json() {
				return a.printJSON(v)
			}
			rows := [][]string{
				{"workflow", v.WorkflowID},
				{"state", v.State},
				{"library", v.Library},
				{"source", v.Source},
				{"lines", fmt.Sprintf("%s (%s a second)", count(v.Lines), count(int64(v.LinesPerSecond)))},
				{"bytes", size(v.Bytes) + " of " + size(v.TotalBytes)},
				{"chunks", fmt.Sprintf("%d of %d", v.ChunksDone, v.ChunksTotal)},
				{"patterns", fmt.Sprintf("%s, %s of them new", count(v.Patterns), count(v.NewPatterns))},
				{"started", shown(run.StartedAt)},
				{"finished", shownPointer(v.FinishedAt)},
			}
			if v.Error != "" {
				rows = append(rows, []string{"error", v.Error})
			}
			if v.URL != "" {
				rows = append(rows, []string{"web UI", v.URL})
			}
			return a.table(rows)
		},
	}
}

// readRun finds a run of the caller's workspace.
func (a *app) readRun(ctx context.Context, id string) (postgres.Run, error) {
	caller, err := a.caller(ctx)
	if err != nil {
		return postgres.Run{}, err
	}
	run, err := a.runOf(ctx, caller, id)
	return run, notFound(err, "workflow "+id, "tartan workflows list")
}

func (a *app) controlCommand(action, short string) *cobra.Command {
	return &cobra.Command{
		Use:   action + " WORKFLOW",
		Short: short,
		Args:  exactly(1, "a workflow id"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := a.readRun(c.Context(), args[0]); err != nil {
				return err
			}
			temporal, err := a.workflowService(c.Context())
			if err != nil {
				return err
			}
			if err := workflows.Control(c.Context(), temporal, args[0], action); err != nil {
				return fmt.Errorf("%s workflow %s: %w", action, args[0], err)
			}
			run, err := a.readRun(c.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(a.runView(run))
			}
			_, err = fmt.Fprintf(a.out, "%s: asked to %s\n", args[0], action)
			return err
		},
	}
}
