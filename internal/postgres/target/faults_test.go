package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// restricted is a world whose target connects as Supabase's role postgres does: no superuser.
func restricted(t *testing.T) (w *world, password string) {
	t.Helper()
	role := "app_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	password = "pw-" + uuid.NewString()
	var admin string
	t.Cleanup(func() { // once the database is dropped
		conn, err := pgx.Connect(context.Background(), admin)
		if err == nil {
			_, err = conn.Exec(context.Background(), "drop role if exists "+role)
			_ = conn.Close(context.Background())
		}
		if err != nil {
			t.Logf("drop the role: %v", err)
		}
	})
	db := testdb.Empty(t)
	u, err := url.Parse(db.URL)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	admin = u.String()
	_, err = db.Pool.Exec(t.Context(), fmt.Sprintf(`create role %s login password '%s' nosuperuser createdb createrole replication bypassrls;
grant create on database %s to %s; grant all on schema public to %s; create role nobody_%s; drop role nobody_%s`, role, password, name, role, role, role, role))
	require.NoError(t, err)
	u.Path, u.User = "/"+name, url.UserPassword(role, password)
	conn, err := pgx.Connect(t.Context(), u.String())
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), base)
	require.NoError(t, err)
	tgt, err := Open(t.Context(), u.String())
	require.NoError(t, err)
	return &world{t, db, tgt}, password
}

func TestARoleThatIsNoSuperuserIsEnough(t *testing.T) {
	t.Parallel()
	w, _ := restricted(t)
	was, sums := w.state(true)
	id, plan := w.begin(everyKind()...)
	w.up(id, plan)
	w.down(id, plan)
	is, now := w.state(true)
	require.Empty(t, migration.Diff(was, is))
	require.Equal(t, sums, now)
}

func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-word"
	for _, address := range []string{
		"postgres://user:" + password + "@127.0.0.1:1/db", "postgres://user:" + password + "@[::1/db", "postgres://user:" + password + "@127.0.0.1:x/db",
		"user=x password=" + password + " host=127.0.0.1 port=1 sslmode=wrong", "postgres://" + password + ":" + password + "@nowhere.invalid/db",
	} {
		_, err := Open(t.Context(), address)
		require.Error(t, err)
		require.NotContains(t, err.Error(), password)
	}
	w, secret := restricted(t)
	id, plan := w.begin(migration.Step{Name: "leak", Kind: migration.KindSQL, Up: sql(fmt.Sprintf("do $$ begin raise exception 'it is %%', '%s'; end $$", secret))})
	err := w.tgt.Apply(t.Context(), id, plan, 0, nil)
	require.ErrorContains(t, err, "it is xxxxx")
	var fault *StepError
	require.ErrorAs(t, err, &fault, "it is still known for what it is")
	for ; err != nil; err = errors.Unwrap(err) {
		require.NotContains(t, err.Error(), secret)
	}
}

func TestPassing(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"57P01", "57P03", "08006", "53300", "40001", "55P03"} {
		require.True(t, Passing(&StepError{Err: &pgconn.PgError{Code: code}}), code)
	}
	for _, code := range []string{"42P01", "23505", "57014", "P0001"} {
		require.False(t, Passing(&StepError{Err: &pgconn.PgError{Code: code}}), code)
	}
	require.True(t, Passing(&StepError{Err: io.ErrUnexpectedEOF}))
	require.False(t, Passing(&StepError{Err: errors.New("an assertion does not hold")}))
}

// A step that cannot have its lock gives way, so that those behind it go on, and says who holds it.
func TestBlockersAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, plan := w.begin(migration.Step{Name: "add", Kind: migration.KindSQL, Up: sql("alter table shop.orders add column status text")})
	plan.Settings = migration.Settings{LockTimeout: 400 * time.Millisecond, LockAttempts: 3}
	holder, err := pgx.Connect(t.Context(), w.db.URL+"&application_name=the+reporter")
	require.NoError(t, err)
	defer holder.Close(t.Context())
	_, err = holder.Exec(t.Context(), "begin; select count(*) from shop.orders")
	require.NoError(t, err)
	var mu sync.Mutex
	var seen []Blocker
	err = w.tgt.Apply(t.Context(), id, plan, 0, func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, p.Blockers...)
	})
	var lock *LockError
	require.ErrorAs(t, err, &lock)
	require.Equal(t, 3, lock.Attempts)
	require.Contains(t, err.Error(), "the+reporter")
	require.Contains(t, err.Error(), fmt.Sprint("pid ", holder.PgConn().PID()))
	mu.Lock()
	require.NotEmpty(t, seen)
	mu.Unlock()

	gone := make(chan struct{})
	go func() { // it goes while the step tries
		defer close(gone)
		time.Sleep(600 * time.Millisecond)
		_, _ = holder.Exec(context.Background(), "rollback")
	}()
	plan.Settings.LockAttempts = 30
	err = w.tgt.Apply(t.Context(), id, plan, 0, nil)
	<-gone
	require.NoError(t, err)
}

// A backfill that is interrupted again and again goes over each row once, from the last key, while others write.
func TestBackfillResumesAtTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	w.exec("alter table shop.lines add column times int not null default 0")
	was, sums := w.state(false)
	id, plan := w.begin(migration.Step{
		Name: "count", Kind: migration.KindBackfill, Up: sql("update shop.lines set times = times + 1, qty = null where :batch"),
		Backfill: &migration.Backfill{Table: "shop.lines", Columns: []string{"times", "qty"}, Rows: 211},
	})
	interruptions := 0
	for {
		ctx, stop := context.WithCancel(t.Context())
		left := 1 + rnd.IntN(5)
		err := w.tgt.Apply(ctx, id, plan, 0, func(Progress) {
			if left--; left == 0 {
				stop()
			}
		})
		stop()
		if err == nil {
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		interruptions++
	}
	require.Greater(t, interruptions, 3)
	require.Equal(t, "6000 1 1", w.value("select count(*) || ' ' || min(times) || ' ' || max(times) from shop.lines"))
	e, err := w.tgt.Entry(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, 6000, e.Steps[0].Rows)
	require.Equal(t, "29 6000", w.value("select count(*) || ' ' || sum(rows) from tartan_migrate.batches"))

	for interrupted := true; interrupted; { // so does its undoing
		ctx, stop := context.WithCancel(t.Context())
		left := 1 + rnd.IntN(9)
		d, err := w.tgt.Undo(ctx, id, plan, 0, func(Progress) {
			if left--; left == 0 {
				stop()
			}
		})
		stop()
		require.Empty(t, d)
		interrupted = err != nil
	}
	is, now := w.state(false)
	require.Empty(t, migration.Diff(was, is))
	require.Equal(t, sums, now)
}

// Rows that others changed after the backfill are left to them, and reported.
func TestWhatOthersChangedIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table notes (id int primary key, body text); insert into notes select i, 'b' || i from generate_series(1, 100) i")
	id, plan := w.begin(migration.Step{
		Name: "upper", Kind: migration.KindBackfill, Up: sql("update notes set body = upper(body) where :batch"), Backfill: &migration.Backfill{Table: "notes", Columns: []string{"body"}},
	})
	w.up(id, plan)
	w.exec("update notes set body = 'mine' where id = 7; delete from notes where id = 8; insert into notes values (101, 'new')")
	d, err := w.tgt.Undo(t.Context(), id, plan, 0, nil)
	require.NoError(t, err)
	require.ElementsMatch(t, []migration.Difference{
		{Path: "row public.notes(7)", Before: "body=b7", After: "body=mine"}, {Path: "row public.notes(8)", Before: "body=b8", After: "deleted"},
	}, d)
	require.Equal(t, "98", w.value("select count(*)::text from notes where body = 'b' || id"))
	require.Equal(t, "mine new", w.value("select string_agg(body, ' ' order by id) from notes where id in (7, 101)"))
}

// While a backfill runs others update the same rows: what the archive holds is what the backfill found.
func TestBackfillBesideWriters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table hot (id int primary key, n int not null default 0, twice int); insert into hot (id) select i from generate_series(1, 900) i")
	id, plan := w.begin(migration.Step{
		Name: "twice", Kind: migration.KindBackfill, Up: sql("update hot set twice = coalesce(twice, 0) + 1 where :batch"),
		Backfill: &migration.Backfill{Table: "hot", Columns: []string{"twice"}, Rows: 30},
	})
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 3 {
		writers.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 0))
			for ctx.Err() == nil {
				_, _ = w.db.Pool.Exec(context.Background(), "update hot set n = n + 1, twice = coalesce(twice, 0) + 10 where id = $1", 1+rnd.IntN(900))
			}
		})
	}
	err := w.tgt.Apply(t.Context(), id, plan, 0, nil)
	stop()
	writers.Wait()
	require.NoError(t, err)
	require.Equal(t, "0", w.value("select count(*)::text from hot where twice <> 10 * n + 1"), "each row once, and no update lost")
	d, err := w.tgt.Undo(t.Context(), id, plan, 0, nil)
	require.NoError(t, err)
	require.Equal(t, "0", w.value("select count(*)::text from hot h where coalesce(twice, 0) <> 10 * n and coalesce(twice, 0) <> 10 * n + 1"))
	require.Equal(t, fmt.Sprint(len(d)), w.value("select count(*)::text from hot where coalesce(twice, 0) = 10 * n + 1"), "those reported are those changed since")
}

func TestAnInvalidIndexIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	step := migration.Step{Name: "index", Kind: migration.KindIndex, Up: sql("create unique index concurrently legacy_body on shop.legacy (body)"), Index: &migration.Index{Name: "legacy_body", Table: "shop.legacy"}}
	was, sums := w.state(false)
	w.exec("update shop.legacy set body = 'b1' where id = 2")
	id, plan := w.begin(step)
	var fault *StepError
	require.ErrorAs(t, w.tgt.Apply(t.Context(), id, plan, 0, nil), &fault)
	require.Equal(t, "false", w.value("select indisvalid::text from pg_index where indexrelid = 'shop.legacy_body'::regclass"))
	w.exec("update shop.legacy set body = 'b2' where id = 2")
	require.NoError(t, w.tgt.Apply(t.Context(), id, plan, 0, nil))
	require.Equal(t, "true", w.value("select indisvalid::text from pg_index where indexrelid = 'shop.legacy_body'::regclass"))
	w.down(id, plan)
	is, now := w.state(false)
	require.Empty(t, migration.Diff(was, is))
	require.Equal(t, sums, now)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, plan := w.begin(
		migration.Step{Name: "commits", Kind: migration.KindSQL, Up: sql("create table x (id int)", "commit")},
		migration.Step{Name: "no key", Kind: migration.KindBackfill, Up: sql("update heap set a = 1 where :batch"), Backfill: &migration.Backfill{Table: "heap", Columns: []string{"a"}}},
		migration.Step{Name: "not unique", Kind: migration.KindBackfill, Up: sql("update shop.orders set note = '' where :batch"), Backfill: &migration.Backfill{Table: "shop.orders", Columns: []string{"note"}, Key: []string{"customer"}}},
		migration.Step{Name: "label", Kind: migration.KindSQL, Up: sql("alter type shop.mood add value 'fine'")},
		migration.Step{Name: "taken", Kind: migration.KindIndex, Up: sql("create index concurrently legacy_tags on shop.legacy (body)"), Index: &migration.Index{Name: "legacy_tags", Table: "shop.legacy"}},
		migration.Step{Name: "untrue", Kind: migration.KindSQL, Up: sql("create table y (id int)"), Verify: sql("select false as sky_is_green, true as fine")},
	)
	w.exec("create table heap (a int)")
	for i, want := range []string{"ended the transaction", "no primary key", "not unique", "", "exists already", "sky_is_green is not true"} {
		err := w.tgt.Apply(t.Context(), id, plan, i, nil)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		var fault *StepError
		require.ErrorAs(t, err, &fault, plan.Steps[i].Name)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "plan.sql:")
	}
	require.Equal(t, "true", w.value("select (to_regclass('y') is null)::text"))
	_, err := w.tgt.Undo(t.Context(), id, plan, 3, nil)
	require.ErrorIs(t, err, ErrIrreversible)
	plan.Steps[3].Irreversible = true
	d, err := w.tgt.Undo(t.Context(), id, plan, 3, nil)
	require.NoError(t, err)
	require.Equal(t, []migration.Difference{{Path: "enum shop.mood: labels", Before: "'good', 'bad'", After: "'good', 'bad', 'fine'"}}, d)

	changed := *plan
	changed.SHA256 = strings.Repeat("b", 64)
	require.ErrorIs(t, w.tgt.Apply(t.Context(), id, &changed, 0, nil), ErrChanged)
	require.ErrorIs(t, w.tgt.Begin(t.Context(), id, &changed), ErrChanged)
	require.ErrorIs(t, w.tgt.Begin(t.Context(), uuid.New(), plan), ErrBusy)
	_, err = w.tgt.Entry(t.Context(), uuid.New())
	require.ErrorIs(t, err, ErrUnknown)
}

func TestATableThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	was, sums := w.state(false)
	id, plan := w.begin(migration.Step{Name: "drop", Kind: migration.KindDrop, Up: sql("drop table if exists shop.nothing"), Drop: &migration.Drop{Table: "shop.nothing", IfExists: true}})
	w.up(id, plan)
	require.Empty(t, w.down(id, plan))
	is, now := w.state(false)
	require.Empty(t, migration.Diff(was, is))
	require.Equal(t, sums, now)
}

// A second attempt ends the session of the first, which its worker has lost sight of.
func TestAnAttemptThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, plan := w.begin(migration.Step{Name: "slow", Kind: migration.KindSQL, Up: sql("insert into shop.customers (email) values ('once')", "select pg_sleep(case when current_setting('tartan.fast', true) = 'on' then 0 else 20 end)")})
	first := make(chan error, 1)
	go func() { first <- w.tgt.Apply(context.Background(), id, plan, 0, nil) }()
	require.Eventually(t, func() bool {
		return w.value("select count(*)::text from pg_stat_activity where query like 'select pg_sleep(case%' and datname = current_database()") == "1"
	}, 10*time.Second, 20*time.Millisecond)
	w.exec(fmt.Sprintf("alter database %s set tartan.fast = 'on'", w.value("select current_database()")))
	require.NoError(t, w.tgt.Apply(t.Context(), id, plan, 0, nil))
	require.Error(t, <-first)
	require.Equal(t, "1", w.value("select count(*)::text from shop.customers where email = 'once'"))
}

// What the retention no longer covers is removed, and cannot be undone.
func TestArchiveEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, plan := w.begin(migration.Step{Name: "drop", Kind: migration.KindDrop, Up: sql("drop table shop.legacy"), Drop: &migration.Drop{Table: "shop.legacy"}})
	w.up(id, plan)
	require.NoError(t, w.tgt.Finish(t.Context(), id, Completed, time.Now().Add(time.Hour)))
	n, err := w.tgt.Purge(t.Context(), id, time.Now())
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = w.tgt.Purge(t.Context(), id, time.Now().Add(2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.ErrorIs(t, w.tgt.Reopen(t.Context(), id, time.Now().Add(2*time.Hour)), ErrIrreversible)
}
