package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/internal/migration/report"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/mcp/tools"
	"github.com/tartan-ai/tartan/workflows"
)

// rehearse applies a plan to a clone of a target's database and undoes it there. The target has to be known here, as it is to the
// worker, and its role needs createdb.
func (a *app) rehearse(ctx context.Context, path, name, file string) error {
	files, err := a.planFiles(path)
	if err != nil {
		return err
	}
	t, sizes, err := a.measured(ctx, name)
	if err != nil {
		return err
	}
	read := lintHere(files, nil, lint.Options{Statistics: sizes})
	if read.Fault != "" {
		return &failure{code: codeUsage, what: read.Fault, next: "mend what is reported; docs/migrations.md has the format"}
	}
	id, began := uuid.New(), time.Now()
	result, err := t.Rehearse(ctx, id, read.Plan, func(what string) { a.say("%s", what) })
	if err != nil {
		return err
	}
	told := report.OfRehearsal(result, read.Plan, name, id.String(), began)
	estimated(told.Steps, read.Report.Statements)
	if err := a.writeReport(told, file); err != nil {
		return err
	}
	if a.json() {
		err = a.printJSON(result)
	} else if file == "" {
		_, err = a.out.Write(told.Markdown())
	}
	if err == nil && (told.State == "failed" || told.Why != "" || len(result.Differences) > 0) {
		err = &failure{code: codeFailure, what: "the rehearsal of " + path + " on a clone of " + name + " did not pass", next: "read the report, and mend the plan"}
	}
	return err
}

// measured opens a target and reads how large its tables are, by the names that a plan may call them.
func (a *app) measured(ctx context.Context, name string) (*target.Target, map[string]lint.Statistics, error) {
	url, err := a.targetURL(name)
	if err != nil {
		return nil, nil, err
	}
	t, err := target.Open(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	list, err := t.Statistics(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read how large the tables of target %s are: %w", name, err)
	}
	out := make(map[string]lint.Statistics, len(list))
	for _, s := range list {
		of := lint.Statistics{Rows: s.Rows, Bytes: s.Bytes}
		out[lint.TableName(s.Schema, s.Name)] = of
		if s.Visible {
			out[lint.TableName("", s.Name)] = of
		}
	}
	return t, out, nil
}

// estimated says of each step how long it was thought to take, where that is a tenth of a second or more.
func estimated(steps []report.Step, statements []lint.Work) {
	sums := map[string]time.Duration{}
	for _, w := range statements {
		sums[w.Step] += w.Duration
	}
	for i := range steps {
		if about := sums[steps[i].Name].Round(100 * time.Millisecond); about > 0 {
			steps[i].Note = strings.TrimPrefix(steps[i].Note+"; estimated from the sizes of the tables: "+about.String(), "; ")
		}
	}
}

// writeReport writes a report in the form that the name of its file asks for: .html, .svg for the picture alone, else Markdown.
func (a *app) writeReport(r report.Report, file string) error {
	if file == "" {
		return nil
	}
	body := r.Markdown()
	switch filepath.Ext(file) {
	case ".html":
		body = r.HTML()
	case ".svg":
		body = r.Timeline()
	}
	if err := os.WriteFile(file, body, 0o644); err != nil {
		return err
	}
	a.say("report in %s", file)
	return nil
}

// reportOf tells a migration as a report.
func reportOf(m tools.Migration) report.Report {
	id, _ := uuid.Parse(m.ID) // the server wrote it
	return workflows.MigrationStatus{
		Migration: id, Target: m.Target, Plan: m.Plan, State: m.State, Why: m.Why, Steps: m.Steps, Different: m.Different, Differences: m.Differences,
		Before: m.Before, After: m.After, Waits: m.Waited, StartedAt: momentOf(m.Started), UpdatedAt: momentOf(m.Updated),
	}.Report()
}

func momentOf(text string) time.Time {
	t, _ := time.Parse(time.RFC3339, text) // the zero time where there is none
	return t
}

func (a *app) migrateReport() *cobra.Command {
	var format, file string
	c := &cobra.Command{
		Use:   "report MIGRATION",
		Short: "Print the report of a migration that has ended",
		Long: "Print the report that was made when a migration completed or was rolled back. MIGRATION is its id, as in migrate history, or a target,\n" +
			"whose last one is meant. Of one under way: tartan migrate status TARGET --report FILE.",
		Example: "  tartan migrate report shop --format html -o shop.html",
		Args:    exactly(1, "a migration or a target"),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "md" && format != "html" {
				return &failure{code: codeUsage, what: fmt.Sprintf("format %q", format), why: errors.New("it is md or html")}
			}
			body, err := a.storedReport(c.Context(), args[0], format)
			if err != nil {
				return err
			}
			if file != "" {
				return os.WriteFile(file, body, 0o644)
			}
			_, err = a.out.Write(body)
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "md", "md or html")
	c.Flags().StringVarP(&file, "output", "o", "", "write it here")
	return c
}

func (a *app) storedReport(ctx context.Context, which, format string) ([]byte, error) {
	m, err := a.pastMigration(ctx, which)
	if err != nil {
		return nil, err
	}
	key := m.ReportMD
	if format == "html" {
		key = m.ReportHTML
	}
	if key == "" {
		return nil, &failure{code: codeNotFound, what: fmt.Sprintf("no report of migration %s, which is %s", m.ID, m.State), next: fmt.Sprintf("tartan migrate status%s %s --report FILE", a.here(), m.Target)}
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return nil, err
	}
	return objects.ReadAll(ctx, key, 16<<20)
}

// pastMigration finds a migration by its id, or the last one of a target.
func (a *app) pastMigration(ctx context.Context, which string) (m postgres.TargetMigration, err error) {
	id, notID := uuid.Parse(which)
	if notID != nil {
		list, _, err := a.pastMigrations(ctx, postgres.ListTargetMigrations{Target: which, Limit: 1})
		if err == nil && len(list) == 0 {
			err = &failure{code: codeNotFound, what: "no migration of target " + which, next: "tartan migrate history" + a.here()}
		}
		if err != nil {
			return m, err
		}
		return list[0], nil
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return m, err
	}
	err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		m, err = postgres.TargetMigrationByID(ctx, tx, caller.WorkspaceID, id)
		return err
	})
	if errors.Is(err, postgres.ErrNotFound) {
		err = &failure{code: codeNotFound, what: "no migration " + which, next: "tartan migrate history" + a.here()}
	}
	return m, err
}
