package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/routing"
)

// TopicModel is the topic of what changes the choice of models: a model or an outcome. The key is the workspace's id.
const TopicModel = "model"

// ModelsChange is the payload of a TopicModel event.
type ModelsChange struct {
	Registry bool `json:"registry,omitempty"` // models were written
	Outcome  bool `json:"outcome,omitempty"`  // an outcome was
}

// Models returns the models of a workspace by id.
func Models(ctx context.Context, q Querier, workspace uuid.UUID) ([]routing.Model, error) {
	rows, _ := q.Query(ctx, `
		select id, provider, name, capabilities, context_tokens, max_output, input_per_mtok, output_per_mtok, cached_per_mtok, latency_ms, disabled
		from tartan.models where workspace_id = $1 order by id`, workspace)
	models, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m routing.Model, err error) {
		var capabilities int16
		var latency int
		err = row.Scan(&m.ID, &m.Provider, &m.Name, &capabilities, &m.ContextTokens, &m.MaxOutput, &m.Price.InputPerMTok, &m.Price.OutputPerMTok,
			&m.Price.CachedPerMTok, &latency, &m.Disabled)
		m.Capabilities, m.Latency = routing.Capability(capabilities), time.Duration(latency)*time.Millisecond
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("list models: %w", known(err))
	}
	return models, nil
}

// SaveModels writes models as they are in a configuration, and disables those of the workspace that are not among them. It
// says how many changed, and tells the outbox where some did.
func SaveModels(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, models []routing.Model) (changed int64, err error) {
	ids := make([]string, 0, len(models))
	for _, m := range models {
		ids = append(ids, m.ID)
		tag, err := tx.Exec(ctx, `
			insert into tartan.models as old (workspace_id, id, provider, name, capabilities, context_tokens, max_output, input_per_mtok, output_per_mtok,
				cached_per_mtok, latency_ms, disabled)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
			on conflict (workspace_id, id) do update set capabilities = excluded.capabilities, context_tokens = excluded.context_tokens,
				max_output = excluded.max_output, input_per_mtok = excluded.input_per_mtok, output_per_mtok = excluded.output_per_mtok,
				cached_per_mtok = excluded.cached_per_mtok, latency_ms = excluded.latency_ms, disabled = excluded.disabled, updated_at = now()
			where (old.capabilities, old.context_tokens, old.max_output, old.input_per_mtok, old.output_per_mtok, old.cached_per_mtok, old.latency_ms, old.disabled)
				is distinct from (excluded.capabilities, excluded.context_tokens, excluded.max_output, excluded.input_per_mtok, excluded.output_per_mtok,
				excluded.cached_per_mtok, excluded.latency_ms, excluded.disabled)`,
			workspace, m.ID, m.Provider, m.Name, int16(m.Capabilities), m.ContextTokens, m.MaxOutput, m.Price.InputPerMTok, m.Price.OutputPerMTok,
			m.Price.CachedPerMTok, m.Latency.Milliseconds(), m.Disabled)
		if err != nil {
			return 0, fmt.Errorf("save model %s: %w", m.ID, known(err))
		}
		changed += tag.RowsAffected()
	}
	tag, err := tx.Exec(ctx, `update tartan.models set disabled = true, updated_at = now() where workspace_id = $1 and not disabled and id <> all ($2)`, workspace, ids)
	if err != nil {
		return 0, fmt.Errorf("disable models: %w", known(err))
	}
	if changed += tag.RowsAffected(); changed > 0 {
		err = AppendOutbox(ctx, tx, workspace, TopicModel, workspace.String(), ModelsChange{Registry: true})
	}
	return changed, err
}
