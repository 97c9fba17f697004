package activities

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration/report"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// ReportMigrationInput is what a workflow knows of its migration.
type ReportMigrationInput struct {
	MigrationRef
	Report report.Report `json:"report"`
}

// ReportMigration writes the report of a migration that has ended, with what the ledger of the target knows beside it, into the
// bucket.
func (m *Migrations) ReportMigration(ctx context.Context, in ReportMigrationInput) error {
	var h heart
	defer h.beating(ctx)()
	t, p, err := m.target(ctx, in.MigrationRef)
	if err != nil {
		return err
	}
	e, err := t.Entry(ctx, in.Migration)
	if err != nil {
		return migrationFault("read the ledger", err)
	}
	ledger, err := e.Report(in.Target)
	if err != nil {
		return migrationFault("read the ledger", err)
	}
	r := in.Report
	r.SHA256 = p.SHA256
	for i := range r.Steps[:min(len(r.Steps), len(ledger.Steps))] {
		r.Steps[i].Rows, r.Steps[i].Note = ledger.Steps[i].Rows, ledger.Steps[i].Note
	}
	md, err := m.Bucket.PutBytes(ctx, r.Markdown())
	if err != nil {
		return typed("store the report", err)
	}
	html, err := m.Bucket.PutBytes(ctx, r.HTML())
	if err != nil {
		return typed("store the report", err)
	}
	err = postgres.InWorkspace(ctx, m.Pool, in.Caller, func(tx pgx.Tx) error {
		return postgres.SaveMigrationReport(ctx, tx, in.Caller.WorkspaceID, in.Migration, md.Key, html.Key)
	})
	return typed("store where the report is", err)
}
