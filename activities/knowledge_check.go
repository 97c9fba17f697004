package activities

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// The severities of findings, the gravest first.
const (
	severityBlock      = "block"
	severityQuarantine = "quarantine"
	severityWarn       = "warn"
	severityInfo       = "info"
)

var severities = []string{severityBlock, severityQuarantine, severityWarn, severityInfo}

func hasSeverity(found []postgres.Finding, severity string) bool {
	return slices.ContainsFunc(found, func(f postgres.Finding) bool { return f.Severity == severity })
}

// check validates proposals as the author, in the transaction that goes on from them.
func (k *Knowledge) check(ctx context.Context, tx pgx.Tx, s postgres.Space, c postgres.Change, proposals []postgres.Proposal) ([]postgres.Finding, error) {
	var found []postgres.Finding
	for _, p := range proposals {
		if err := knowledge.CheckSlug(p.Slug); err != nil {
			found = append(found, postgres.Finding{Seq: p.Seq, Check: "slug", Version: 1, Severity: severityBlock, Evidence: err.Error()})
		}
	}
	return found, nil
}

// factsOf returns what a document states.
func factsOf(address string, d knowledge.Document) []postgres.Fact { return nil }
