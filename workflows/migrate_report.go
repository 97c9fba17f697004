package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/migration/report"
)

// reportPatience is how long the end of a migration waits for its report, which it can do without.
const reportPatience = 2 * time.Minute

// report has the end told as a report.
func (m *migrate) report(ctx workflow.Context) {
	if !m.plan.Reports {
		return // opened by a worker that wrote none
	}
	m.status.UpdatedAt = workflow.Now(ctx)
	ctx = workflow.WithScheduleToCloseTimeout(on(ctx, activities.QueueMigrate, "report", time.Minute), reportPatience)
	in := activities.ReportMigrationInput{MigrationRef: m.ref, Report: m.status.Report()}
	if err := workflow.ExecuteActivity(ctx, m.acts.ReportMigration, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("no report of the migration", "state", m.status.State, "error", err)
	}
}

// waited notes a wait when it is over.
func (m *migrate) waited(ctx workflow.Context, name string) (over func()) {
	from := workflow.Now(ctx)
	return func() { m.status.Waits = append(m.status.Waits, Waited{Name: name, From: from, To: workflow.Now(ctx)}) }
}

// Report tells how the migration stands as a report.
func (s MigrationStatus) Report() report.Report {
	r := report.Report{
		Plan: s.Plan, Target: s.Target, Migration: s.Migration.String(), State: s.State, Why: s.Why, Started: s.StartedAt, Left: s.Differences,
		Undone: s.State == MigrationRolledBack, Before: s.Before, After: s.After,
	}
	if s.State == MigrationRolledBack || s.State == MigrationCompleted {
		r.Finished = s.UpdatedAt
	}
	if more := s.Different - len(s.Differences); more > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more are not as they were.", more))
	}
	for _, step := range s.Steps {
		told := report.Step{Name: step.Name, Kind: step.Kind, State: step.State, Started: moment(step.StartedAt), Finished: moment(step.FinishedAt)}
		told.Undo = report.Span{Started: moment(step.UndoneFrom), Finished: moment(step.UndoneTo)}
		if !told.Started.IsZero() && told.Started.Before(r.Started) {
			r.Started = told.Started // it was undone after its completion, by another run
		}
		r.Steps = append(r.Steps, told)
	}
	for _, w := range s.Waits {
		r.Phases = append(r.Phases, report.Span{Name: w.Name, Started: w.From, Finished: w.To})
	}
	return r
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
