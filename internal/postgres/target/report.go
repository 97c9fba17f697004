package target

import (
	"fmt"

	"github.com/tartan-ai/tartan/internal/migration/report"
)

// Report tells what the ledger knows of a migration. Waits, timings and differences are its workflow's to add.
func (e Entry) Report(target string) (r report.Report, err error) {
	r = report.Report{Plan: e.Plan, Target: target, Migration: e.ID.String(), SHA256: e.SHA256, State: e.State, Started: e.StartedAt}
	if e.FinishedAt != nil {
		r.Finished = *e.FinishedAt
	}
	for _, s := range e.Steps {
		step := report.Step{Name: s.Name, Kind: s.Kind, State: s.State, Rows: s.Rows}
		if s.StartedAt != nil {
			step.Started = *s.StartedAt
		}
		if s.FinishedAt != nil {
			step.Finished = *s.FinishedAt
		}
		if step.Note, err = s.note(); err != nil {
			return r, err
		}
		r.Steps = append(r.Steps, step)
	}
	return r, nil
}

// note says how a copy was proved.
func (s StepRow) note() (string, error) {
	var d copyDetail
	if err := unmarshalExtra(s.Detail.Extra, &d); err != nil || d.Proof == nil {
		return "", err
	}
	p := d.Proof
	return fmt.Sprintf("%d rows of the source: %d in the table, %d in quarantine (%s)", p.Source, p.Target, p.Rejected, p.How), nil
}
