package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// readNaively follows the outbox by the last id seen, which is what the cursor must not do.
func readNaively(t *testing.T, db *testdb.DB, last *int64) (keys []string) {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), "select id, key from tartan.outbox where topic = 'run' and id > $1 order by id", *last)
	require.NoError(t, err)
	var key string
	_, err = pgx.ForEachRow(rows, []any{last, &key}, func() error { keys = append(keys, key); return nil })
	require.NoError(t, err)
	return keys
}

func readRuns(t *testing.T, db *testdb.DB, at *postgres.Position) (keys []string) {
	t.Helper()
	require.NoError(t, postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) error {
		events, err := postgres.ReadOutbox(t.Context(), tx, *at, 100)
		for _, e := range events {
			*at = e.Position
			if e.Topic == postgres.TopicRun {
				keys = append(keys, e.Key)
			}
		}
		return err
	}))
	return keys
}

// A transaction that began first and commits last is seen late by both readers, but only the naive one has passed it.
func TestOutboxLosesNothingToALateCommit(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	var naive int64
	var cursor postgres.Position
	began, commit := make(chan struct{}), make(chan struct{})
	late := make(chan error)
	go func() {
		late <- postgres.InWorkspace(context.Background(), db.Pool, caller, func(tx pgx.Tx) error {
			err := postgres.AppendOutbox(context.Background(), tx, caller.WorkspaceID, postgres.TopicRun, "late", struct{}{})
			close(began)
			<-commit
			return err
		})
	}()
	<-began
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, caller, func(tx pgx.Tx) error {
		return postgres.AppendOutbox(ctx, tx, caller.WorkspaceID, postgres.TopicRun, "early", struct{}{})
	}))
	got := readRuns(t, db, &cursor)
	gotNaively := readNaively(t, db, &naive)
	close(commit)
	require.NoError(t, <-late)
	require.Eventually(t, func() bool { got = append(got, readRuns(t, db, &cursor)...); return len(got) == 2 }, 10*time.Second, 5*time.Millisecond)
	gotNaively = append(gotNaively, readNaively(t, db, &naive)...)
	require.Equal(t, []string{"late", "early"}, got)
	require.Equal(t, []string{"early"}, gotNaively, "if this sees both, the test no longer shows why the cursor is needed")
}

func TestOutboxUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	const writers, each = 4, 60
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				err := postgres.InWorkspace(context.Background(), db.Pool, caller, func(tx pgx.Tx) error {
					err := postgres.AppendOutbox(context.Background(), tx, caller.WorkspaceID, postgres.TopicRun, fmt.Sprintf("%d/%d", w, n), struct{}{})
					time.Sleep(rand.N(3 * time.Millisecond))
					return err
				})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var cursor postgres.Position
	var naive int64
	var got, gotNaively []string
	deadline := time.Now().Add(60 * time.Second)
	for running := true; running || len(got) < writers*each; {
		select {
		case <-done:
			running = false
		default:
		}
		got = append(got, readRuns(t, db, &cursor)...)
		gotNaively = append(gotNaively, readNaively(t, db, &naive)...)
		require.True(t, time.Now().Before(deadline), "%d of %d events after a minute", len(got), writers*each)
	}
	close(errs)
	require.NoError(t, <-errs)
	seen := map[string]bool{}
	next := [writers]int{}
	for _, key := range got {
		require.False(t, seen[key], "%s twice", key)
		seen[key] = true
		var w, n int
		_, err := fmt.Sscanf(key, "%d/%d", &w, &n)
		require.NoError(t, err)
		require.Equal(t, next[w], n, "order of writer %d", w)
		next[w]++
	}
	require.Len(t, got, writers*each)
	t.Logf("the naive cursor lost %d of %d", writers*each-len(gotNaively), writers*each)
}

func TestOutboxEndAndTrim(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	// Other tests' transactions on the same server hold back the end, and hide the event, until they end.
	require.Eventually(t, func() (empty bool) {
		require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error {
			end, err := postgres.OutboxEnd(ctx, tx)
			require.NoError(t, err)
			events, err := postgres.ReadOutbox(ctx, tx, end, 10)
			require.NoError(t, err)
			empty = len(events) == 0
			n, err := postgres.TrimOutbox(ctx, tx, time.Now().Add(-time.Hour))
			require.Zero(t, n)
			return err
		}))
		return empty
	}, 10*time.Second, 5*time.Millisecond)
	var trimmed int64
	require.Eventually(t, func() bool {
		require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error {
			n, err := postgres.TrimOutbox(ctx, tx, time.Now().Add(time.Hour))
			trimmed += n
			return err
		}))
		return trimmed > 0
	}, 10*time.Second, 5*time.Millisecond)
	require.EqualValues(t, 1, trimmed, "the admin's membership")
	n, err := in(t, db, caller, "delete from tartan.outbox")
	require.Equal(t, "42501", code(err), "%d", n)
}

// A change of a member is told of whoever makes it.
func TestMemberChangesAreTold(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	user := uuid.New()
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
		require.NoError(t, postgres.SaveMember(ctx, tx, admin.WorkspaceID, user, access.Viewer))
		require.NoError(t, postgres.SaveMember(ctx, tx, admin.WorkspaceID, user, access.Editor))
		require.NoError(t, postgres.SaveMember(ctx, tx, admin.WorkspaceID, user, access.Editor))
		return postgres.RemoveMember(ctx, tx, admin.WorkspaceID, user)
	}))
	var told []string
	require.Eventually(t, func() bool {
		require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error {
			told = nil
			events, err := postgres.ReadOutbox(ctx, tx, postgres.Position{}, 100)
			for _, e := range events {
				if e.Key == user.String() {
					told = append(told, e.Topic+string(e.Payload))
				}
			}
			return err
		}))
		return len(told) > 0
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{`member{"change": "insert"}`, `member{"change": "update"}`, `member{"change": "delete"}`}, told)
}
