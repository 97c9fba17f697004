package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// TestSettle asks for a moment while something is being published whose moment is before it: the answer waits, whether it is committed
// or not, and is the same for ever.
func TestSettle(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	owner, other := db.Workspace(t, "one"), db.Workspace(t, "two")
	space := fillSpace(t, db, owner, postgres.Space{Name: "ops"})
	settle := func(at time.Time) (out map[uuid.UUID]int64) {
		require.NoError(t, postgres.InWorkspace(ctx, db.Pool, owner, func(tx pgx.Tx) (err error) {
			out, err = postgres.SettleMoment(ctx, tx, at)
			return err
		}))
		return out
	}
	before := settle(time.Now())
	for _, fails := range []bool{true, false} {
		written, ended, last := make(chan time.Time), make(chan error, 1), errors.New("rolled back")
		release := make(chan struct{})
		go func() {
			ended <- postgres.InWorkspace(ctx, db.Pool, owner, func(tx pgx.Tx) error {
				b := note(t, "Net", "something newer")
				if _, err := publish(t, tx, space, owner.UserID, []postgres.Proposal{{Slug: "net", Op: postgres.OpPut, Base: 1, Hash: b.Hash}}, []postgres.Body{b}, nil); err != nil {
					return err
				}
				written <- time.Now()
				<-release
				if fails {
					return last
				}
				return nil
			})
		}()
		at := <-written
		answered := make(chan map[uuid.UUID]int64, 1)
		go func() { answered <- settle(at) }()
		select {
		case <-answered:
			require.Fail(t, "answered while something was being published")
		case <-time.After(100 * time.Millisecond):
		}
		close(release)
		after := before[space.ID]
		if err := <-ended; fails {
			require.ErrorIs(t, err, last)
		} else {
			require.NoError(t, err)
			after++
		}
		require.Equal(t, map[uuid.UUID]int64{space.ID: after}, <-answered)
	}
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, other, func(tx pgx.Tx) error {
		seen, err := postgres.SettleMoment(ctx, tx, time.Now())
		require.NoError(t, err)
		require.Empty(t, seen, "spaces of others are not waited for")
		return nil
	}))
	require.ErrorIs(t, postgres.InWorkspace(ctx, db.Pool, owner, func(tx pgx.Tx) error {
		_, err := postgres.SettleMoment(ctx, tx, time.Now().Add(time.Hour))
		return err
	}), postgres.ErrFuture)
}
