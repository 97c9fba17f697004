package activities

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge/validate"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/vet"
)

// The severities of findings, the gravest first.
const (
	severityBlock      = string(validate.Block)
	severityQuarantine = string(validate.Quarantine)
	severityWarn       = string(validate.Warn)
)

var severities = []string{severityBlock, severityQuarantine, severityWarn, string(validate.Info)}

func hasSeverity(found []postgres.Finding, severity string) bool {
	return slices.ContainsFunc(found, func(f postgres.Finding) bool { return f.Severity == severity })
}

// check validates proposals as the author, in the transaction that goes on from them.
func (k *Knowledge) check(ctx context.Context, tx pgx.Tx, s postgres.Space, c postgres.Change, caller access.Caller, proposals []postgres.Proposal) ([]postgres.Finding, error) {
	r := vet.Request{Space: s, Caller: caller, Restores: c.Kind == postgres.KindRestore, Proposals: proposals}
	return k.Checker.Check(ctx, tx, r, time.Now().UTC())
}
