package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/internal/telemetry"
)

// outcomesWaiting is how many outcomes wait to be written before further ones are dropped, which is logged.
const outcomesWaiting = 1024

// modelEngine makes what calls models: with what was learned of them in each workspace, and by what it learns from each call. What
// TARTAN_MODELS says is written into every workspace, for those who only decide.
func (a *app) modelEngine(ctx context.Context, pool *pgxpool.Pool, libraries *feed.Libraries) (*completion.Engine, error) {
	registry, err := a.registry()
	if err != nil {
		return nil, err
	}
	log := a.log.Named("models")
	if a.cfg.Models != "" {
		if err := saveModels(ctx, pool, registry.Models()); err != nil {
			return nil, err
		}
	}
	outcomes := make(chan recorded, outcomesWaiting)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case r := <-outcomes:
				if err := libraries.RecordOutcome(ctx, r.workspace, r.outcome); err != nil && ctx.Err() == nil {
					log.Warn("outcome of a call not recorded", zap.String(telemetry.KeyModel, r.outcome.Model), zap.Error(err))
				}
			}
		}
	}()
	return &completion.Engine{
		Pool: pool, Registry: registry, Log: log,
		Quality: func(workspace uuid.UUID) *routing.Learner {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			router, err := libraries.Router(ctx, workspace)
			if err != nil {
				log.Warn("models are chosen without what was learned of them", zap.Error(err))
				return nil
			}
			return router.Learner()
		},
		Outcome: func(workspace uuid.UUID, o routing.Outcome) {
			select {
			case outcomes <- recorded{workspace, o}:
			default:
				log.Warn("outcome of a call dropped: the database takes them too slowly", zap.String(telemetry.KeyModel, o.Model))
			}
		},
	}, nil
}

type recorded struct {
	workspace uuid.UUID
	outcome   routing.Outcome
}

// saveModels writes the models of the configuration into each workspace.
func saveModels(ctx context.Context, pool *pgxpool.Pool, models []routing.Model) error {
	return postgres.AsService(ctx, pool, func(tx pgx.Tx) error {
		all, err := postgres.AllWorkspaces(ctx, tx)
		if err != nil {
			return err
		}
		for _, workspace := range all {
			if _, err := postgres.SaveModels(ctx, tx, workspace, models); err != nil {
				return err
			}
		}
		return nil
	})
}
