package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
)

func (a *app) migrateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Migrate a database: lint, start, watch, approve, roll back",
		Long: "Migrate a database of yours by a plan that proves itself and can be undone. TARGET is a name in TARTAN_TARGETS of the worker.\n" +
			"See docs/migrations.md.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.migrateLint(), a.migratePlan(), a.migrateStart(), a.migrateStatus(),
		a.migrateReview("approve", "Approve a migration that waits"),
		a.migrateReview("reject", "Reject a migration that waits: all of it is undone"),
		a.migrateReview("pause", "Hold a migration where it is"),
		a.migrateReview("resume", "Let a paused migration go on, or try again what is stuck"),
		a.migrateRollback(), a.migrateHistory(), a.migrateReport(), a.migrateVerify(), a.migrateSelf())
	return c
}

// migrates calls a tool of migrations in this process.
func (a *app) migrates(ctx context.Context, tool string, in arguments, out any) error {
	return a.callTool(ctx, true, tool, in, out)
}

func fileArguments(files []migration.File) []any {
	out := make([]any, len(files))
	for i, f := range files {
		out[i] = arguments{"name": f.Name, "text": f.Text}
	}
	return out
}

func (a *app) migratePlan() *cobra.Command {
	var on, file string
	c := &cobra.Command{
		Use:   "plan PLAN",
		Short: "Look at a plan and keep it, or rehearse it on a clone",
		Long: "Look at a plan and keep it, to be started: what each step locks, what is dangerous, and what cannot be undone. No database is changed.\n" +
			"With --target the plan is applied to a clone of that database, on its server, and undone there: locks taken, rows touched, time, and what\n" +
			"changes in the catalogue. The target has to be known here, as it is to the worker, and its role needs createdb.",
		Example: "  tartan migrate plan plan.sql --target shop --report plan.html",
		Args:    exactly(1, "a file or a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			if on != "" {
				return a.rehearse(c.Context(), args[0], on, file)
			}
			out, err := a.planned(c.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(out)
			} else {
				err = a.printPlanned(out)
			}
			if err == nil && out.Plan == "" {
				err = &failure{code: codeFailure, what: args[0] + " has errors", next: "tartan migrate lint " + args[0]}
			}
			return err
		},
	}
	c.Flags().StringVar(&on, "target", "", "rehearse it on a clone of this database")
	c.Flags().StringVar(&file, "report", "", "write the report of the rehearsal here: .md, .html or .svg")
	return c
}

func (a *app) planned(ctx context.Context, path string) (out tools.Planned, err error) {
	files, err := a.planFiles(path)
	if err != nil {
		return out, err
	}
	return out, a.migrates(ctx, "plan_migration", arguments{"files": fileArguments(files)}, &out)
}

func (a *app) printPlanned(p tools.Planned) error {
	rows := [][]string{{"STEP", "KIND", "LOCK", "KEEPS OUT", "REWRITE"}}
	for _, s := range p.Steps {
		rewrite := "-"
		if s.Rewrites {
			rewrite = "yes"
		}
		rows = append(rows, []string{s.Name, s.Kind, dash(strings.ToLower(s.Lock)), dash(s.Blocks), rewrite})
	}
	if err := a.table(rows); err != nil {
		return err
	}
	for _, f := range p.Findings {
		if f.Severity == lint.Error {
			fmt.Fprintf(a.out, "%s:%d: %s [%s]\n", f.File, f.Line, f.Message, f.Rule)
		}
	}
	if p.Plan != "" {
		fmt.Fprintln(a.out, "plan", p.Plan)
	}
	return nil
}

func (a *app) migrateStart() *cobra.Command {
	var detach bool
	c := &cobra.Command{
		Use:   "start PLAN TARGET",
		Short: "Start a migration, and watch it",
		Long: "Start a migration, and watch it until it ends or waits for a person. It goes on without this command, which may be interrupted.\n" +
			"Exit code 1: it was rolled back.",
		Example: "  tartan migrate start plan.sql shop",
		Args:    exactly(2, "a plan and a target"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.planned(c.Context(), args[0])
			if err != nil {
				return err
			}
			if p.Plan == "" {
				return &failure{code: codeFailure, what: args[0], why: errLint, next: "tartan migrate lint " + args[0]}
			}
			var out tools.Migration
			if err := a.migrates(c.Context(), "start_migration", arguments{"target": args[1], "plan": p.Plan}, &out); err != nil {
				return err
			}
			if detach {
				return a.printMigration(out)
			}
			return a.watch(c.Context(), args[1])
		},
	}
	c.Flags().BoolVarP(&detach, "detach", "d", false, "do not wait")
	return c
}

func (a *app) migrateStatus() *cobra.Command {
	var follow bool
	var file string
	c := &cobra.Command{
		Use:   "status TARGET",
		Short: "Say how the last migration of a target stands",
		Args:  exactly(1, "a target"),
		RunE: func(c *cobra.Command, args []string) error {
			if follow {
				return a.watch(c.Context(), args[0])
			}
			out, err := a.migrationOf(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := a.writeReport(reportOf(out), file); err != nil {
				return err
			}
			return a.printMigration(out)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "watch it until it ends or waits for a person")
	c.Flags().StringVar(&file, "report", "", "write a report here: .md, .html or .svg")
	return c
}

func (a *app) migrationOf(ctx context.Context, target string) (out tools.Migration, err error) {
	return out, a.migrates(ctx, "review_migration", arguments{"target": target, "action": "look"}, &out)
}

// watch shows the progress on stderr, and the outcome.
func (a *app) watch(ctx context.Context, target string) error {
	said := ""
	for {
		m, err := a.migrationOf(ctx, target)
		if err != nil {
			return err
		}
		if line := progressLine(m); line != said {
			a.say("%s", line)
			said = line
		}
		switch {
		case m.State == postgres.MigrationRolledBack:
			if err := a.printMigration(m); err != nil {
				return err
			}
			return &failure{code: codeFailure, what: "migration " + m.Plan + " was rolled back: " + m.Why}
		case m.State == postgres.MigrationCompleted, m.State == postgres.MigrationInReview, m.State == postgres.MigrationStuck, m.Paused:
			return a.printMigration(m)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func progressLine(m tools.Migration) string {
	done, now := 0, ""
	for _, s := range m.Steps {
		switch s.State {
		case "done":
			done++
		case "running", "undoing":
			now = " " + s.State + " " + s.Name
		}
	}
	line := fmt.Sprintf("%s %d/%d%s", m.Phase, done, len(m.Steps), now)
	if m.Rows > 0 {
		line += fmt.Sprintf(": %s of about %s rows, %s rows/s", count(m.Rows), count(m.Total), count(int64(m.PerSecond)))
	}
	if m.Left > 0 {
		line += ", about " + (time.Duration(m.Left) * time.Second).String() + " left"
	}
	if m.Waits != "" {
		line += "; waits for " + m.Waits
	}
	return line
}

func (a *app) printMigration(m tools.Migration) error {
	if a.json() {
		return a.printJSON(m)
	}
	rows := [][]string{{"migration", m.ID}, {"plan", m.Plan}, {"target", m.Target}, {"state", m.State}, {"phase", m.Phase}, {"now", progressLine(m)}, {"started", dash(m.Started)}}
	if m.Why != "" {
		rows = append(rows, []string{"why", m.Why})
	}
	if m.Different > 0 {
		rows = append(rows, []string{"different", fmt.Sprint(m.Different)})
	}
	for _, s := range m.Steps {
		rows = append(rows, []string{"  " + s.State, s.Name + " (" + s.Kind + ")"})
	}
	for _, d := range m.Differences {
		rows = append(rows, []string{"  differs", fmt.Sprintf("%s: %s, was %s", d.Path, dash(clip(d.After, 60)), dash(clip(d.Before, 60)))})
	}
	if err := a.table(rows); err != nil {
		return err
	}
	if m.State == postgres.MigrationInReview {
		a.say("it waits for a person: tartan migrate approve%s %s (or reject)", a.here(), m.Target)
	}
	return nil
}

func (a *app) migrateReview(action, short string) *cobra.Command {
	var note string
	c := &cobra.Command{
		Use:   action + " TARGET",
		Short: short,
		Args:  exactly(1, "a target"),
		RunE: func(c *cobra.Command, args []string) error {
			var out tools.Migration
			in := arguments{"target": args[0], "action": action}
			if err := a.migrates(c.Context(), "review_migration", in.set("note", note), &out); err != nil {
				return err
			}
			return a.printMigration(out)
		},
	}
	c.Flags().StringVar(&note, "note", "", "why, for the history")
	return c
}

func (a *app) migrateRollback() *cobra.Command {
	var note, confirm string
	var sure bool
	c := &cobra.Command{
		Use:   "rollback TARGET",
		Short: "Undo the last migration of a target exactly, under way or completed",
		Args:  exactly(1, "a target"),
		RunE: func(c *cobra.Command, args []string) error {
			in := arguments{"target": args[0]}
			in.set("note", note).set("confirm", confirm)
			var out tools.Migration
			if err := a.migrates(c.Context(), "rollback_migration", in, &out); err != nil {
				return err
			}
			if out.Confirm == "" {
				return a.printMigration(out)
			}
			if !sure {
				if err := a.printMigration(out); err != nil {
					return err
				}
				return &failure{code: codeUsage, what: "nothing is undone yet", next: fmt.Sprintf("tartan migrate rollback%s %s --confirm %s", a.here(), args[0], out.Confirm)}
			}
			if err := a.migrates(c.Context(), "rollback_migration", in.set("confirm", out.Confirm), &out); err != nil {
				return err
			}
			return a.printMigration(out)
		},
	}
	c.Flags().StringVar(&note, "note", "", "why, for the history")
	c.Flags().StringVar(&confirm, "confirm", "", "what the command said without it")
	c.Flags().BoolVarP(&sure, "yes", "y", false, "undo it without asking")
	return c
}

// pastMigration is a migration in JSON.
type pastMigration struct {
	ID         string     `json:"id"`
	Target     string     `json:"target"`
	Plan       string     `json:"plan"`
	State      string     `json:"state"`
	Why        string     `json:"why,omitempty"`
	StepsDone  int        `json:"steps_done"`
	StepsTotal int        `json:"steps_total"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Until      *time.Time `json:"archive_until,omitempty"` // it can be undone so long
}

func (a *app) migrateHistory() *cobra.Command {
	var l postgres.ListTargetMigrations
	c := &cobra.Command{
		Use:   "history [TARGET]",
		Short: "List migrations, the latest first",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l.Target = strings.Join(args, "")
			list, next, err := a.pastMigrations(c.Context(), l)
			if err != nil {
				return err
			}
			out := struct {
				Migrations []pastMigration `json:"migrations"`
				Next       string          `json:"next,omitempty"`
			}{[]pastMigration{}, next}
			rows := [][]string{{"STARTED", "TARGET", "PLAN", "STATE", "STEPS", "MIGRATION"}}
			for _, m := range list {
				out.Migrations = append(out.Migrations, pastMigration{m.ID.String(), m.Target, m.Plan, m.State, m.Why, m.StepsDone, m.StepsTotal, m.StartedAt, m.FinishedAt, m.ArchiveUntil})
				rows = append(rows, []string{shown(m.StartedAt), m.Target, clip(m.Plan, 30), m.State, fmt.Sprintf("%d/%d", m.StepsDone, m.StepsTotal), m.ID.String()})
			}
			if a.json() {
				return a.printJSON(out)
			}
			if next != "" {
				a.say("more: tartan migrate history%s --after %s", a.here(), next)
			}
			return a.table(rows)
		},
	}
	c.Flags().IntVarP(&l.Limit, "limit", "n", 20, "at most so many (1 to 1000)")
	c.Flags().StringVar(&l.After, "after", "", "the cursor that the page before ended with")
	return c
}

func (a *app) pastMigrations(ctx context.Context, l postgres.ListTargetMigrations) (list []postgres.TargetMigration, next string, err error) {
	caller, err := a.caller(ctx)
	if err != nil {
		return nil, "", err
	}
	err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		l.WorkspaceID = caller.WorkspaceID
		list, next, err = postgres.TargetMigrations(ctx, tx, l)
		return err
	})
	return list, next, err
}
