package feed_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func word(rng *rand.Rand) string {
	b := make([]byte, 7)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return string(b)
}

// Columns with hundreds of words are absorbed while several processes, old and newly started ones, mine in turn. No line
// is lost on the way, and all end with the library that is stored.
func TestManyWordsFoldInAnyProcess(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	processes := []*process{start(t, db, feed.Options{}), start(t, db, feed.Options{})}
	reader := start(t, db, feed.Options{})
	var lines, logins int
	var last int64
	for seq := range 30 {
		if seq%6 == 5 {
			processes[rng.IntN(2)] = start(t, db, feed.Options{})
		}
		var messages []string
		for range 40 {
			messages = append(messages, fmt.Sprintf("login of %s ok", word(rng)), fmt.Sprintf("job %s of queue %s done", word(rng), word(rng)[:1]), "server started")
			logins++
		}
		lines += len(messages)
		revision, err := processes[rng.IntN(2)].commit(ctx, caller, lib.ID, source, seq, messages)
		require.NoError(t, err, "commit %d", seq)
		last = revision
		if seq%10 == 0 {
			_, err = reader.libraries.WaitFor(ctx, lib.ID, revision)
			require.NoError(t, err)
			check(t, db, lib.ID)
		}
	}
	check(t, db, lib.ID)
	var stored postgres.Library
	var login postgres.PatternRow
	for _, p := range append(processes, reader, &process{db: db, libraries: feed.NewLibraries(db.Pool, zap.NewNop())}) {
		e, err := p.libraries.WaitFor(ctx, lib.ID, last)
		require.NoError(t, err)
		var m template.Match
		require.True(t, e.Index.Recognise([]byte("login of somebodyelse ok"), &m))
		require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) (err error) {
			if stored, err = postgres.LibraryByID(ctx, tx, lib.ID); err != nil {
				return err
			}
			login, err = postgres.PatternByID(ctx, tx, lib.ID, m.Pattern)
			return err
		}))
		require.EqualValues(t, logins, login.Lines, login.Template)
	}
	require.EqualValues(t, lines, stored.Lines)
	t.Logf("%d shapes, %d patterns at revision %d", stored.Shapes, stored.Patterns, stored.Revision)
}
