package completion

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
)

// Record keeps a decision with what it was decided on, as the caller, so that it can be explained and told how the answer was. A decision
// that is kept already stays. The error wraps postgres.ErrDenied where the caller may not.
func (e *Engine) Record(ctx context.Context, c *Call, d *routing.Decision) error {
	req := routing.Request{Task: c.Task, Pattern: c.Pattern, Features: routing.Featurize(c.Request.Prompt())}
	return postgres.InWorkspace(ctx, e.Pool, c.Caller, func(tx pgx.Tx) error {
		return postgres.SaveDecision(ctx, tx, c.Caller.WorkspaceID, &req, d)
	})
}

// chats reports whether a model is configured that answers at all.
func (e *Engine) chats() bool {
	for _, m := range e.Registry.Models() {
		if !m.Disabled && m.Capabilities.Has(routing.Chat) {
			return true
		}
	}
	return false
}
