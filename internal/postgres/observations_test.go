package postgres_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// observe inserts bodies as a Supabase client does.
func observe(t testing.TB, db *testdb.DB, caller access.Caller, library string, bodies ...string) {
	t.Helper()
	require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `insert into tartan.observations (workspace_id, library, body, key)
			select $1, $2, b, b from unnest($3::text[]) b on conflict (workspace_id, library, key) do nothing`, caller.WorkspaceID, library, bodies)
		return err
	}))
}

func claim(t testing.TB, db *testdb.DB) (out []postgres.ObservationBatch) {
	t.Helper()
	require.NoError(t, postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
		out, err = postgres.ClaimObservations(t.Context(), tx)
		return err
	}))
	return out
}

// finish matches the first observation of a batch and quarantines the others.
func finish(t testing.TB, db *testdb.DB, b postgres.ObservationBatch, lib postgres.Library, read []postgres.Observation) (done postgres.ObservationBatch, err error) {
	t.Helper()
	err = postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) error {
		locked, err := postgres.LockBatch(t.Context(), tx, b, read)
		if err != nil {
			return err
		}
		var faults []postgres.ObservationFault
		for _, o := range read[1:] {
			faults = append(faults, postgres.ObservationFault{Observation: o, Code: "test", Reason: "a test"})
		}
		done, err = postgres.FinishObservations(t.Context(), tx, locked, "observe/test", []postgres.ObservationMatch{
			{ObservationID: read[0].ID, LibraryID: lib.ID, Key: read[0].Key, Verdict: "known", Pattern: string(next.ID), Confidence: 1, Slots: []string{"a\x00b"}, ObservedAt: noon},
		}, faults, postgres.Counted{})
		return err
	})
	return done, err
}

func claimedOf(t testing.TB, db *testdb.DB, b postgres.ObservationBatch) (out []postgres.Observation) {
	t.Helper()
	require.NoError(t, postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
		out, err = postgres.ClaimedObservations(t.Context(), tx, b)
		return err
	}))
	return out
}

func fillObservations(t testing.TB, db *testdb.DB, caller access.Caller, lib postgres.Library) {
	t.Helper()
	observe(t, db, caller, lib.Name, "user a in", "user b in")
	for _, b := range claim(t, db) {
		_, err := finish(t, db, b, lib, claimedOf(t, db, b))
		require.NoError(t, err)
	}
}

// A batch is finished once, whoever comes again; keys are observed once; a library has two open batches and no more.
func TestObservationsAreFinishedOnce(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	lib := fill(t, db, caller)
	observe(t, db, caller, lib.Name, "user a in", "user c in", "user c in", "user d in")
	first := claim(t, db)
	require.Len(t, first, 1)
	require.Equal(t, 2, first[0].Observations, "a was there, and c is one")
	read := claimedOf(t, db, first[0])
	observe(t, db, caller, lib.Name, "user e in")
	second := claim(t, db)
	require.Len(t, second, 1)
	observe(t, db, caller, lib.Name, "user f in")
	require.Empty(t, claim(t, db), "two are open")
	done, err := finish(t, db, first[0], lib, read)
	require.NoError(t, err)
	require.NotNil(t, done.ClosedAt)
	require.Equal(t, []int{1, 1}, []int{done.Matched, done.Quarantined})
	_, err = finish(t, db, first[0], lib, read)
	require.ErrorIs(t, err, postgres.ErrBatchChanged)
	require.Len(t, claim(t, db), 1, "there is room again")
	var version int
	require.NoError(t, db.Pool.QueryRow(t.Context(), "select pattern_version from tartan.observation_matches where observation_id = $1", read[0].ID).Scan(&version))
	require.Positive(t, version)
}

// Editors observe into their own workspace, say nothing of the state, and retry what was quarantined there; others do none of it.
func TestWhoMayObserve(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	ours, theirs := db.Workspace(t, "ours"), db.Workspace(t, "theirs")
	lib := fill(t, db, ours)
	const insert = "insert into tartan.observations (workspace_id, library, body) values ($1, 'app', 'x')"
	for role, may := range map[access.Role]bool{access.Viewer: false, access.Editor: true} {
		_, err := in(t, db, db.Member(t, ours.WorkspaceID, role), insert, ours.WorkspaceID)
		require.Equal(t, may, err == nil, "%s: %v", role, err)
	}
	_, err := in(t, db, theirs, insert, ours.WorkspaceID)
	require.Equal(t, "42501", code(err))
	_, err = in(t, db, ours, "insert into tartan.observations (workspace_id, library, body, state) values ($1, 'app', 'x', 'matched')", ours.WorkspaceID)
	require.Equal(t, "42501", code(err))
	_, err = in(t, db, theirs, "select tartan.retry_observations($1)", ours.WorkspaceID)
	require.Equal(t, "42501", code(err))
	_, err = in(t, db, access.Caller{UserID: uuid.New(), WorkspaceID: ours.WorkspaceID}, "select tartan.retry_observations($1)", ours.WorkspaceID)
	require.Equal(t, "42501", code(err))
	var retried int
	require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, ours, func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), "select tartan.retry_observations($1, $2)", ours.WorkspaceID, lib.Name).Scan(&retried)
	}))
	require.Equal(t, 1, retried)
	require.Len(t, claim(t, db), 1)
}
