package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/internal/migration/report"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/mcp/tools"
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
	r := report.Report{
		Plan: m.Plan, Target: m.Target, Migration: m.ID, State: m.State, Why: m.Why, Started: momentOf(m.Started), Left: m.Differences,
		Undone: m.State == "rolled_back", Before: m.Before, After: m.After,
	}
	if m.State == "rolled_back" || m.State == "completed" {
		r.Finished = momentOf(m.Updated)
	}
	for _, s := range m.Steps {
		step := report.Step{Name: s.Name, Kind: s.Kind, State: s.State}
		if s.StartedAt != nil {
			step.Started = *s.StartedAt
		}
		if s.FinishedAt != nil {
			step.Finished = *s.FinishedAt
		}
		r.Steps = append(r.Steps, step)
	}
	return r
}

func momentOf(text string) time.Time {
	t, _ := time.Parse(time.RFC3339, text) // the zero time where there is none
	return t
}
