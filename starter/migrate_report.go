package main

import (
	"context"
	"os"
	"path/filepath"
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
	read := lintHere(files, nil, lint.Options{})
	if read.Fault != "" {
		return &failure{code: codeUsage, what: read.Fault, next: "mend what is reported; docs/migrations.md has the format"}
	}
	url, err := a.targetURL(name)
	if err != nil {
		return err
	}
	t, err := target.Open(ctx, url)
	if err != nil {
		return err
	}
	id, began := uuid.New(), time.Now()
	result, err := t.Rehearse(ctx, id, read.Plan, func(what string) { a.say("%s", what) })
	if err != nil {
		return err
	}
	told := report.OfRehearsal(result, read.Plan, name, id.String(), began)
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
