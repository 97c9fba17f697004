package feed

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/postgres"
)

// Observations claims the observations that wait, in batches, and has each batch analysed. Any number of processes may run one.
type Observations struct {
	Pool *pgxpool.Pool
	Log  *zap.Logger
	// Start has a batch analysed, durably, and returns when that is certain. Starting one that is under way does nothing.
	Start func(ctx context.Context, b postgres.ObservationBatch) error
}

const (
	observePoll   = 250 * time.Millisecond // for when a NOTIFY went lost
	restartEvery  = 2 * time.Second
	restartAfter  = 5 * time.Second // a batch that is open for so long may have lost its workflow
	restartAtOnce = 64
)

// Run works until ctx ends, and returns ctx's error. It outlives restarts of the database and of whatever Start needs.
func (o *Observations) Run(ctx context.Context) error {
	const first, last = 20 * time.Millisecond, 250 * time.Millisecond
	for pause := first; ctx.Err() == nil; pause = min(2*pause, last) {
		began := time.Now()
		err := o.follow(ctx)
		if time.Since(began) > time.Second {
			pause = first
		}
		if ctx.Err() == nil {
			o.Log.Debug("observations not followed; connecting again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
	return ctx.Err()
}

func (o *Observations) follow(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, o.Pool.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "listen "+postgres.ObserveChannel); err != nil {
		return err
	}
	var restart time.Time
	for {
		if err := o.claim(ctx); err != nil {
			return err
		}
		if now := time.Now(); now.After(restart) {
			if err := o.restart(ctx); err != nil {
				return err
			}
			restart = now.Add(restartEvery)
		}
		nap, cancel := context.WithTimeout(ctx, observePoll)
		_, err := conn.WaitForNotification(nap)
		ended := nap.Err() != nil
		cancel()
		if err != nil && (ctx.Err() != nil || !ended || conn.IsClosed()) {
			return err
		}
	}
}

// claim claims until nothing is left to claim. A batch whose start fails is started by restart.
func (o *Observations) claim(ctx context.Context) error {
	for {
		var claimed []postgres.ObservationBatch
		err := postgres.AsService(ctx, o.Pool, func(tx pgx.Tx) (err error) {
			claimed, err = postgres.ClaimObservations(ctx, tx)
			return err
		})
		if err != nil || len(claimed) == 0 {
			return err
		}
		for _, b := range claimed {
			if err := o.Start(ctx, b); err != nil {
				return err
			}
		}
	}
}

func (o *Observations) restart(ctx context.Context) error {
	var open []postgres.ObservationBatch
	err := postgres.AsService(ctx, o.Pool, func(tx pgx.Tx) (err error) {
		open, err = postgres.OpenBatches(ctx, tx, restartAfter, restartAtOnce)
		return err
	})
	for _, b := range open {
		if err != nil {
			break
		}
		err = o.Start(ctx, b)
	}
	return err
}
