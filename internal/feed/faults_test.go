package feed_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// Postgres is killed while a library is mined. What is in memory is served throughout; what was acknowledged is there
// afterwards and nothing is counted twice; the first answer from the database comes within a second of its return.
func TestPostgresKilled(t *testing.T) {
	t.Parallel()
	server := testdb.Server(t)
	db := server.DB
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	worker, reader := start(t, db, feed.Options{}), start(t, db, feed.Options{})
	_, err := worker.commit(t.Context(), caller, lib.ID, source, 0, []string{"server started"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return reader.knows(t, lib.ID, "server started") }, 10*time.Second, 2*time.Millisecond)
	_, err = reader.libraries.Role(t.Context(), caller)
	require.NoError(t, err)

	var stop atomic.Bool
	var acknowledged atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seq := 1; !stop.Load(); seq++ {
			message := []string{fmt.Sprintf("unit %c%c stopped", 'a'+seq%26, 'a'+seq/26%26), "disk full on sda1"}
			for { // as a retried activity does: until it is known to be committed
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				_, err := worker.commit(ctx, caller, lib.ID, source, seq, message)
				cancel()
				if err == nil {
					break
				}
				if !postgres.Unavailable(err) {
					t.Errorf("commit %d: %v", seq, err)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
			acknowledged.Store(int64(seq))
		}
	}()
	const kills = 3
	for range kills {
		from := acknowledged.Load()
		require.Eventually(t, func() bool { return acknowledged.Load() > from+3 }, 60*time.Second, time.Millisecond)
		server.Kill(t)
		require.True(t, reader.knows(t, lib.ID, "server started"), "served from memory")
		role, err := reader.libraries.Role(t.Context(), caller)
		require.NoError(t, err)
		require.Equal(t, access.Admin, role)
		server.Restart(t)
		back := time.Now()
		require.Eventually(t, func() bool {
			return postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
				_, err := postgres.LibraryByID(t.Context(), tx, lib.ID)
				return err
			}) == nil
		}, 10*time.Second, time.Millisecond)
		t.Logf("first answer %v after the server was back", time.Since(back))
		require.Less(t, time.Since(back), time.Second)
	}
	stop.Store(true)
	<-done
	check(t, db, lib.ID)
	var stored postgres.Library
	require.NoError(t, postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
		stored, err = postgres.LibraryByID(t.Context(), tx, lib.ID)
		return err
	}))
	require.EqualValues(t, 1+2*acknowledged.Load(), stored.Lines)
	// The feed comes back by itself, and the reader has what was learned meanwhile.
	require.Eventually(t, func() bool {
		e, err := reader.libraries.Entry(t.Context(), lib.ID)
		return err == nil && e.Revision == stored.Revision
	}, 20*time.Second, 5*time.Millisecond)
}

// A library that differs from the database, whatever the cause, is found and loaded anew.
func TestReconcile(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	core, logged := observer.New(zap.WarnLevel)
	reader := &process{db: db, libraries: feed.NewLibrariesWith(db.Pool, zap.New(core), feed.Options{Reconcile: 50 * time.Millisecond})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = reader.libraries.Run(ctx) }()
	worker := start(t, db, feed.Options{})
	revision, err := worker.commit(t.Context(), caller, lib.ID, source, 1, []string{"server started"})
	require.NoError(t, err)
	_, err = reader.libraries.WaitFor(t.Context(), lib.ID, revision)
	require.NoError(t, err)
	time.Sleep(200 * time.Millisecond)
	require.Zero(t, logged.Len(), "%v", logged.All())
	// A row is lost behind everyone's back: the revision stays, the checksum becomes that of an empty library.
	_, err = db.Pool.Exec(t.Context(), "update tartan.libraries set checksum = 0; delete from tartan.shapes")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !reader.knows(t, lib.ID, "server started") }, 10*time.Second, 5*time.Millisecond)
	require.NotZero(t, logged.FilterMessageSnippet("differs").Len())
	// A library that is gone is no longer served.
	_, err = db.Pool.Exec(t.Context(), "delete from tartan.libraries")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := reader.libraries.Entry(t.Context(), lib.ID)
		return errors.Is(err, postgres.ErrNotFound)
	}, 10*time.Second, 5*time.Millisecond)
}

// More libraries than fit are dropped and loaded again, and never served older than was waited for.
func TestEviction(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	p := start(t, db, feed.Options{MaxLibraries: 2})
	type place struct {
		lib      postgres.Library
		revision int64
	}
	var all []place
	for i := range 5 {
		lib, source := library(t, db, caller, fmt.Sprintf("app%d", i))
		revision, err := p.commit(t.Context(), caller, lib.ID, source, 1, []string{fmt.Sprintf("unit %c started", 'a'+i)})
		require.NoError(t, err)
		all = append(all, place{lib, revision})
	}
	for range 3 {
		for i, one := range all {
			e, err := p.libraries.WaitFor(t.Context(), one.lib.ID, one.revision)
			require.NoError(t, err)
			require.Equal(t, one.revision, e.Revision)
			require.True(t, p.knows(t, one.lib.ID, fmt.Sprintf("unit %c started", 'a'+i)))
		}
	}
}

func TestRolesAreCachedAndFollowTheFeed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	admin := db.Workspace(t, "one")
	member := db.Member(t, admin.WorkspaceID, access.Viewer)
	p := start(t, db, feed.Options{})
	role, err := p.libraries.Role(t.Context(), member)
	require.NoError(t, err)
	require.Equal(t, access.Viewer, role)
	change := func(fn func(tx pgx.Tx) error) {
		require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, admin, fn))
	}
	change(func(tx pgx.Tx) error {
		return postgres.SaveMember(t.Context(), tx, admin.WorkspaceID, member.UserID, access.Editor)
	})
	require.Eventually(t, func() bool {
		role, err := p.libraries.Role(t.Context(), member)
		return err == nil && role == access.Editor
	}, 10*time.Second, 2*time.Millisecond)
	change(func(tx pgx.Tx) error {
		return postgres.RemoveMember(t.Context(), tx, admin.WorkspaceID, member.UserID)
	})
	require.Eventually(t, func() bool {
		_, err := p.libraries.Role(t.Context(), member)
		return errors.Is(err, postgres.ErrDenied)
	}, 10*time.Second, 2*time.Millisecond)
}

// A role that was looked up and changed before the feed knew where to begin reading is looked up again.
func TestRolesFromBeforeTheFeedAreNotKept(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	admin := db.Workspace(t, "one")
	member := db.Member(t, admin.WorkspaceID, access.Viewer)
	libraries := feed.NewLibraries(db.Pool, zap.NewNop())
	_, err := libraries.Role(t.Context(), member)
	require.NoError(t, err)
	require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, admin, func(tx pgx.Tx) error {
		return postgres.SaveMember(t.Context(), tx, admin.WorkspaceID, member.UserID, access.Editor)
	}))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- libraries.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	require.Eventually(t, func() bool {
		role, err := libraries.Role(t.Context(), member)
		return err == nil && role == access.Editor
	}, 10*time.Second, 2*time.Millisecond)
}

// A library stored by a version of Tartan that made other patterns of the same shapes is brought up to date by the next
// learner; no line is lost and the old ids stay valid.
func TestALibraryOfAnotherVersion(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	before := start(t, db, feed.Options{})
	revision, err := before.commit(ctx, caller, lib.ID, source, 1, []string{"server started", "server stopped", "disk full on sda1"})
	require.NoError(t, err)
	// The older version had "server <*>" for the first two.
	old := pattern.Fingerprint("server <*>")
	_, err = db.Pool.Exec(ctx, `
		insert into tartan.patterns (workspace_id, library_id, id, template, slots, revision, created_at, lines, first_seen, last_seen)
			select workspace_id, id, '`+string(old)+`', 'server <*>', '[]', 1, now(), 2, s.f, s.l
			from tartan.libraries, (select min(first_seen) f, max(last_seen) l from tartan.shapes where text like 'server%') s;
		insert into tartan.pattern_versions (workspace_id, library_id, pattern_id, version, template, slots, revision, created_at)
			select workspace_id, id, '`+string(old)+`', 1, 'server <*>', '[]', 1, now() from tartan.libraries;
		update tartan.shapes set pattern_id = '`+string(old)+`' where text like 'server%';
		alter table tartan.pattern_versions disable trigger all;
		delete from tartan.pattern_versions where template in ('server started', 'server stopped');
		delete from tartan.patterns where template in ('server started', 'server stopped');
		update tartan.libraries set patterns = 2, checksum = 1`)
	require.NoError(t, err)
	check(t, db, lib.ID)
	after, reader := start(t, db, feed.Options{}), start(t, db, feed.Options{})
	_, err = reader.libraries.Entry(ctx, lib.ID)
	require.NoError(t, err)
	next, err := after.commit(ctx, caller, lib.ID, source, 2, []string{"server started", "fan stopped working"})
	require.NoError(t, err)
	require.Equal(t, revision+1, next)
	check(t, db, lib.ID)
	require.NoError(t, postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error {
		p, err := postgres.PatternByID(ctx, tx, lib.ID, old)
		require.NoError(t, err)
		require.Contains(t, []string{"server started", "server stopped"}, p.Template)
		return nil
	}))
	for _, p := range []*process{after, reader, before} {
		e, err := p.libraries.WaitFor(ctx, lib.ID, next)
		require.NoError(t, err)
		var m template.Match
		require.True(t, e.Index.Recognise([]byte("server stopped"), &m))
		require.Equal(t, pattern.Fingerprint("server stopped"), m.Pattern)
	}
}
