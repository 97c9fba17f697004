package target

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func TestMeasureTimesQueriesAndNamesTheirPlans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.db.Pool.Exec(t.Context(), "analyze")
	require.NoError(t, err)
	got, err := w.tgt.Measure(t.Context(), []migration.NamedSQL{
		{Name: "by key", SQL: migration.Statement{SQL: "select * from shop.legacy where id = 17"}},
		{Name: "all", SQL: migration.Statement{SQL: "select count(*) from shop.lines where qty > 3;"}},
	})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "Index Scan legacy_pkey", got[0].Shape)
	require.Equal(t, "Aggregate(Seq Scan lines)", got[1].Shape)
	require.Equal(t, measuredRuns, got[0].Runs)
	require.Positive(t, got[1].MS)
	_, err = w.tgt.Measure(t.Context(), []migration.NamedSQL{{Name: "writes", SQL: migration.Statement{SQL: "delete from shop.lines", File: "p.sql", Line: 3}}})
	require.ErrorContains(t, err, `step "writes" (p.sql:3): ERROR: cannot execute DELETE in a read-only transaction`)
}

func TestVerifyFindsWhatTheDatabaseHasNotChecked(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)
	_, err := db.Pool.Exec(t.Context(), `create table p (a int, b int, primary key (a, b)); insert into p values (1, 1);
create table c (id bigserial primary key, a int, b int, "N" int);
insert into c (id, a, b, "N") values (1, 1, 1, 5), (7, 2, 2, -1), (3, null, 2, 5), (4, 3, 3, 5);
alter table c add constraint c_p foreign key (a, b) references p not valid, add constraint c_n check ("N" > 0) not valid`)
	require.NoError(t, err)
	_, err = db.Pool.Exec(t.Context(), `create unique index concurrently c_u on c ("N", lower(b::text)) where a is not null`)
	require.NoError(t, err)
	_, err = db.Pool.Exec(t.Context(), `create unique index concurrently c_v on c ("N")`)
	require.Error(t, err)
	tgt, err := Open(t.Context(), db.URL)
	require.NoError(t, err)
	want := []migration.Finding{
		{Kind: "duplicates", Path: "index public.c_v", Rows: 2, Text: "2 rows are one too many for the unique index public.c_v, which is not valid"},
		{Kind: "orphans", Path: "constraint public.c.c_p", Rows: 2, Text: "2 rows refer to a row that is not there (public.c.c_p, not validated)"},
		{Kind: "refused by a check", Path: "constraint public.c.c_n", Rows: 1, Text: "1 rows do not pass public.c.c_n, which is not validated"},
		{Kind: "sequence behind", Path: "sequence c_id_seq", Rows: 7, Text: "c_id_seq is 7 behind its column: the next insert would fail; set it with setval"},
	}
	got, err := tgt.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = tgt.Verify(t.Context(), "public.p")
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = tgt.Verify(t.Context(), "nowhere")
	require.ErrorContains(t, err, `relation "nowhere" does not exist`)
	_, err = db.Pool.Exec(t.Context(), "select setval('c_id_seq', 7); insert into p values (2, 2), (3, 3); alter table c drop constraint c_n; drop index c_v")
	require.NoError(t, err)
	got, err = tgt.Verify(t.Context(), "c")
	require.NoError(t, err)
	require.Empty(t, got)
}

func rehearsed() *migration.Plan {
	return &migration.Plan{Name: "rehearsed", SHA256: "r", Steps: []migration.Step{
		{Name: "add", Kind: migration.KindSQL, Up: sql("alter table shop.legacy add state text"), Down: sql("alter table shop.legacy drop column state")},
		{Name: "fill", Kind: migration.KindBackfill, Up: sql("update shop.legacy set state = 'x' where :batch"), Backfill: &migration.Backfill{Table: "shop.legacy", Columns: []string{"state"}}},
		{Name: "index", Kind: migration.KindIndex, Up: sql("create index concurrently legacy_state on shop.legacy (state)"), Index: &migration.Index{Name: "legacy_state", Table: "shop.legacy"}},
		{Name: "widen", Kind: migration.KindSQL, Up: sql("alter table shop.lines alter qty type bigint"), Down: sql("alter table shop.lines alter qty type int")},
	}, Settings: migration.Settings{Queries: []migration.NamedSQL{{Name: "states", SQL: migration.Statement{SQL: "select count(*) from shop.legacy"}}}}}
}

func TestAPlanIsRehearsedOnACloneThatIsGoneAfterwards(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"template copy": false, "rebuilt from the catalogue, rows of one snapshot": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			url := w.db.URL
			if !busy {
				w.db.Pool.Reset()
			}
			mig := uuid.New()
			before, err := w.tgt.Catalogue(t.Context())
			require.NoError(t, err)
			leftover := ""
			if busy { // and an earlier run was killed
				require.NoError(t, w.db.Pool.QueryRow(t.Context(), "select 'tartan_plan_' || oid || '_0' from pg_database where datname = current_database()").Scan(&leftover))
				_, err = w.db.Pool.Exec(t.Context(), "create database "+leftover+" template template0")
				require.NoError(t, err)
			}
			r, err := w.tgt.Rehearse(t.Context(), mig, rehearsed(), func(string) {})
			require.NoError(t, err)
			require.Equal(t, name, r.Clone)
			if busy {
				require.Equal(t, []string{leftover}, r.Leftovers)
			}
			require.Len(t, r.Steps, 4)
			for _, s := range r.Steps {
				require.Empty(t, s.Fault+s.UndoFault, s.Name)
			}
			require.Contains(t, r.Steps[0].Locks, migration.Lock{Table: "shop.legacy", Mode: "ACCESS EXCLUSIVE"})
			require.Equal(t, []migration.Difference{{Path: "column shop.legacy.state", After: "position = 9; type = text"}}, r.Steps[0].Catalogue)
			require.Equal(t, []migration.Touched{{Table: "shop.legacy", Updated: 800}}, r.Steps[1].Touched)
			require.Equal(t, []migration.Touched{{Table: "shop.lines", Rewrites: true}}, r.Steps[3].Touched)
			require.Len(t, r.Catalogue, 3)
			require.Empty(t, r.Differences)
			require.Equal(t, "Aggregate(Seq Scan legacy)", r.Timings[0][0].Shape)
			require.Len(t, r.Timings[1], 1)
			after, err := w.tgt.Catalogue(t.Context())
			require.NoError(t, err)
			require.Empty(t, migration.Diff(before, after))
			conn, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			defer conn.Close(t.Context())
			var left int
			require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from pg_database where datname like 'tartan_plan_' || (select oid from pg_database where datname = current_database()) || '%'").Scan(&left))
			require.Zero(t, left)
		})
	}
}

func TestAStepThatFailsIsPartOfTheRehearsal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := rehearsed()
	p.Steps[2].Kind, p.Steps[2].Index, p.Steps[2].Up = migration.KindSQL, nil, sql("alter table shop.legacy add constraint c check (id > 5)")
	r, err := w.tgt.Rehearse(t.Context(), uuid.New(), p, func(string) {})
	require.NoError(t, err)
	require.Len(t, r.Steps, 3)
	require.Contains(t, r.Steps[2].Fault, "is violated by some row")
	require.Empty(t, r.Differences)
	// Only one at a time, and none without the right to make a database.
	other, err := pgx.Connect(t.Context(), w.db.URL)
	require.NoError(t, err)
	defer other.Close(t.Context())
	_, err = other.Exec(t.Context(), "select pg_advisory_lock($1)", int64(rehearsalLock))
	require.NoError(t, err)
	_, err = w.tgt.Rehearse(t.Context(), uuid.New(), p, func(string) {})
	require.ErrorIs(t, err, ErrBusy)
}

func TestSlowerQueriesAreNamed(t *testing.T) {
	t.Parallel()
	before := []migration.Timing{{Name: "a", MS: 10, Shape: "Index Scan x"}, {Name: "b", MS: 0.1}, {Name: "c", MS: 10}}
	after := []migration.Timing{{Name: "a", MS: 16, Shape: "Seq Scan y"}, {Name: "b", MS: 0.9}, {Name: "c", MS: 14.9}, {Name: "new", MS: 99}}
	require.Equal(t, []string{`query "a" takes 16.0 ms and took 10.0 ms before; 1.5 times as long is allowed; its plan is now Seq Scan y and was Index Scan x`},
		migration.Slower(before, after, 1.5))
}
