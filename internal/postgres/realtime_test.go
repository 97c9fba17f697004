package postgres_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/testdb"
)

// What a Supabase client subscribed to Tartan's tables would be told: the changes as they come out of a logical slot
// for the publication supabase_realtime.
func TestRealtimeChanges(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	_, err := db.Pool.Exec(ctx, "select pg_create_logical_replication_slot('tartan_test_' || pg_backend_pid(), 'pgoutput')")
	require.NoError(t, err, "the server must run with wal_level = logical")
	var slot string
	require.NoError(t, db.Pool.QueryRow(ctx, "select slot_name from pg_replication_slots where database = current_database()").Scan(&slot))
	defer func() {
		_, err := db.Pool.Exec(ctx, "select pg_drop_replication_slot($1)", slot)
		require.NoError(t, err)
	}()
	fill(t, db, caller)
	rows, err := db.Pool.Query(ctx, "select data from pg_logical_slot_get_binary_changes($1, null, null, 'proto_version', '1', 'publication_names', 'supabase_realtime')", slot)
	require.NoError(t, err)
	messages, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(t, err)
	// Messages of the logical replication protocol: R relation (id, schema, name), I insert, U update, D delete.
	names, seen := map[uint32]string{}, map[string]int{}
	for _, m := range messages {
		id := func() uint32 { return binary.BigEndian.Uint32(m[1:5]) }
		switch m[0] {
		case 'R':
			schema, rest, _ := bytes.Cut(m[5:], []byte{0})
			name, _, _ := bytes.Cut(rest, []byte{0})
			names[id()] = string(schema) + "." + string(name)
		case 'I', 'U', 'D':
			seen[string(m[0])+" "+names[id()]]++
		}
	}
	require.Equal(t, 4, seen["I tartan.patterns"], "three mined and a class of series: %v", seen)
	for _, change := range []string{"U tartan.patterns", "I tartan.pattern_versions", "I tartan.pattern_aliases", "U tartan.libraries", "I tartan.runs", "U tartan.runs", "I tartan.observation_matches", "I tartan.observation_quarantine"} {
		require.NotZero(t, seen[change], "%s in %v", change, seen)
	}
	for change := range seen {
		require.NotContains(t, []string{"tartan.shapes", "tartan.pattern_counts", "tartan.examples", "tartan.outbox", "tartan.members", "tartan.observations"}, change[2:])
	}
}
