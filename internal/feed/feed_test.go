package feed_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// process is one Tartan process: what it holds in memory, following the feed.
type process struct {
	db        *testdb.DB
	libraries *feed.Libraries
}

func start(t testing.TB, db *testdb.DB, o feed.Options) *process {
	t.Helper()
	p := &process{db: db, libraries: feed.NewLibrariesWith(db.Pool, zap.NewNop(), o)}
	if testing.Verbose() {
		p.libraries = feed.NewLibrariesWith(db.Pool, zaptest.NewLogger(t), o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.libraries.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

func library(t testing.TB, db *testdb.DB, caller access.Caller, name string) (lib postgres.Library, source uuid.UUID) {
	t.Helper()
	err := postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) (err error) {
		if lib, err = postgres.EnsureLibrary(t.Context(), tx, caller.WorkspaceID, name, "lines"); err != nil {
			return err
		}
		s, err := postgres.SaveSource(t.Context(), tx, postgres.Source{WorkspaceID: caller.WorkspaceID, LibraryID: lib.ID, SHA256: strings.Repeat("0", 64), Name: name})
		source = s.ID
		return err
	})
	require.NoError(t, err)
	return lib, source
}

// commit mines messages as the pattern agent does.
func (p *process) commit(ctx context.Context, caller access.Caller, libraryID, source uuid.UUID, seq int, messages []string) (revision int64, err error) {
	tally := template.NewTally(template.TallyOptions{})
	for i, m := range messages {
		tally.Add([]byte(m), []byte(m), noon.Add(time.Duration(i)*time.Second).UnixNano())
	}
	counted := tally.Counted()
	shapes := make([]template.Shape, len(counted))
	for i, c := range counted {
		shapes[i] = c.Shape
	}
	learned := false
	err = postgres.InWorkspace(ctx, p.db.Pool, caller, func(tx pgx.Tx) error {
		fresh, _, err := postgres.InsertChunk(ctx, tx, caller.WorkspaceID, postgres.Chunk{SourceID: source, Seq: seq, Lines: int64(len(messages))})
		if err != nil || !fresh {
			return err
		}
		lib, err := postgres.LockLibrary(ctx, tx, libraryID)
		if err != nil {
			return err
		}
		ch, err := p.libraries.Learn(ctx, tx, lib, shapes)
		if err != nil {
			return err
		}
		learned = true
		if revision, err = postgres.SaveChange(ctx, tx, lib, ch, "process/test", noon); err != nil {
			return err
		}
		return postgres.AddCounts(ctx, tx, lib, revision, counted, ch.Assigned, source)
	})
	switch {
	case learned && err != nil:
		p.libraries.Forget(libraryID)
	case learned:
		p.libraries.Committed(libraryID, revision)
	}
	return revision, err
}

func (p *process) knows(t testing.TB, libraryID uuid.UUID, message string) bool {
	e, err := p.libraries.Entry(t.Context(), libraryID)
	require.NoError(t, err)
	var m template.Match
	return e.Index.Recognise([]byte(message), &m)
}

func TestWarmLoadsWhatChangedLast(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	worker := start(t, db, feed.Options{})
	_, err := worker.commit(t.Context(), caller, lib.ID, source, 0, []string{"disk full on sda1"})
	require.NoError(t, err)
	reader := feed.NewLibraries(db.Pool, zap.NewNop())
	reader.Warm(t.Context())
	gone, cancel := context.WithCancel(t.Context())
	cancel() // what is in memory needs no database
	e, err := reader.Entry(gone, lib.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, e.Revision)
	reader.Warm(gone) // without a database it does nothing
}

func TestFollowersSeeWhatAnotherProcessLearned(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	worker, reader := start(t, db, feed.Options{}), start(t, db, feed.Options{})
	require.False(t, reader.knows(t, lib.ID, "disk full on sda1"))
	var seen sync.Map
	reader.libraries.Subscribe(func(e postgres.Event) {
		if e.Topic == postgres.TopicLibrary { // the library has taken the event in before subscribers hear of it
			seen.Store("known", reader.knows(t, lib.ID, "disk full on sda1"))
		}
	})
	revision, err := worker.commit(t.Context(), caller, lib.ID, source, 1, []string{"disk full on sda1", "server started"})
	require.NoError(t, err)
	require.EqualValues(t, 1, revision)
	require.True(t, worker.knows(t, lib.ID, "server started"), "own write, at once")
	require.Eventually(t, func() bool { return reader.knows(t, lib.ID, "disk full on sda1") }, 5*time.Second, 2*time.Millisecond)
	require.Eventually(t, func() bool { v, _ := seen.Load("known"); return v == true }, 5*time.Second, 2*time.Millisecond)

	third := feed.NewLibraries(db.Pool, zap.NewNop()) // follows nothing, and still can wait
	e, err := third.WaitFor(t.Context(), lib.ID, revision)
	require.NoError(t, err)
	require.Equal(t, revision, e.Revision)
	revision, err = worker.commit(t.Context(), caller, lib.ID, source, 2, []string{"fan stopped"})
	require.NoError(t, err)
	e, err = third.WaitFor(t.Context(), lib.ID, revision)
	require.NoError(t, err)
	require.Equal(t, revision, e.Revision)

	_, err = reader.libraries.Entry(t.Context(), uuid.New())
	require.ErrorIs(t, err, postgres.ErrNotFound)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = reader.libraries.WaitFor(short, lib.ID, revision+1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestARolledBackLessonIsForgotten(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	worker := start(t, db, feed.Options{})
	_, err := worker.commit(t.Context(), caller, lib.ID, source, 1, []string{"server started"})
	require.NoError(t, err)
	boom := fmt.Errorf("boom")
	err = postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		locked, err := postgres.LockLibrary(t.Context(), tx, lib.ID)
		require.NoError(t, err)
		_, err = worker.libraries.Learn(t.Context(), tx, locked, []template.Shape{{ID: 77, Text: "never committed"}})
		require.NoError(t, err)
		return boom
	})
	require.ErrorIs(t, err, boom)
	worker.libraries.Forget(lib.ID)
	worker.libraries.Forget(lib.ID) // once too often does no harm
	require.True(t, worker.knows(t, lib.ID, "server started"))
	revision, err := worker.commit(t.Context(), caller, lib.ID, source, 2, []string{"server stopped now"})
	require.NoError(t, err)
	require.EqualValues(t, 2, revision)
	check(t, db, lib.ID)
	e, err := worker.libraries.WaitFor(t.Context(), lib.ID, revision)
	require.NoError(t, err)
	var m template.Match
	require.True(t, e.Index.Recognise([]byte("server stopped now"), &m))
}

// A process that dies between learning and saying so must not block the next learner of the library for long.
func TestALearnerThatNeverReportsIsTakenOver(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	worker := start(t, db, feed.Options{})
	err := postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		locked, err := postgres.LockLibrary(t.Context(), tx, lib.ID)
		require.NoError(t, err)
		_, err = worker.libraries.Learn(t.Context(), tx, locked, nil)
		return err
	})
	require.NoError(t, err)
	_, err = worker.commit(t.Context(), caller, lib.ID, source, 1, []string{"server started"})
	require.NoError(t, err)
	require.True(t, worker.knows(t, lib.ID, "server started"))
}

func check(t testing.TB, db *testdb.DB, libraryID uuid.UUID) {
	t.Helper()
	require.NoError(t, postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return postgres.CheckLibrary(t.Context(), tx, libraryID)
	}))
}

// Two processes mine one library at once, and what they hold, what a follower holds and what the database holds is one
// and the same.
func TestTwoProcessesLearnOneLibrary(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	lib, source := library(t, db, caller, "app")
	processes := []*process{start(t, db, feed.Options{}), start(t, db, feed.Options{})}
	reader := start(t, db, feed.Options{})
	_, err := reader.libraries.Entry(t.Context(), lib.ID)
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	var last int64
	const each = 20
	for i, p := range processes {
		for lane := range 2 {
			wg.Go(func() {
				for n := range each {
					messages := []string{
						fmt.Sprintf("user %c%c logged in from host%d", 'a'+n%26, 'a'+i, n), "disk full on sda1",
						fmt.Sprintf("unit %c%c%c stopped", 'a'+n, 'k'+i, 'p'+lane),
					}
					revision, err := p.commit(context.Background(), caller, lib.ID, source, 1000*i+100*lane+n, messages)
					mu.Lock()
					last = max(last, revision)
					if err != nil {
						failed = append(failed, err)
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	require.Empty(t, failed)
	check(t, db, lib.ID)
	var stored postgres.Library
	require.NoError(t, postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
		stored, err = postgres.LibraryByID(t.Context(), tx, lib.ID)
		return err
	}))
	require.EqualValues(t, 2*2*each*3, stored.Lines)
	fresh := feed.NewLibraries(db.Pool, zap.NewNop())
	for _, p := range append(processes, reader, &process{db: db, libraries: fresh}) {
		e, err := p.libraries.WaitFor(t.Context(), lib.ID, last)
		require.NoError(t, err)
		require.Equal(t, stored.Revision, e.Revision)
		var m template.Match
		require.True(t, e.Index.Recognise([]byte("user aa logged in from host0"), &m))
		require.True(t, e.Index.Recognise([]byte("unit tkq stopped"), &m))
	}
}
