package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// importWorld is two databases and some files.
type importWorld struct {
	t        *testing.T
	from, to *testdb.DB
	src, tgt *Target
	files    map[string]string
	mig      uuid.UUID
	plan     *migration.Plan
}

func newImport(t *testing.T, source, target string, c migration.Copy) *importWorld {
	t.Helper()
	w := &importWorld{t: t, from: testdb.Empty(t), to: testdb.Empty(t), files: map[string]string{}, mig: uuid.New()}
	w.exec(w.from, source)
	w.exec(w.to, target)
	var err error
	w.src, err = Open(t.Context(), w.from.URL)
	require.NoError(t, err)
	w.tgt, err = Open(t.Context(), w.to.URL)
	require.NoError(t, err)
	w.tgt.Copier = &Importer{
		Target: func(_ context.Context, name string) (*Target, error) {
			if name != "old" {
				return nil, fmt.Errorf("no target %q", name)
			}
			return w.src, nil
		},
		File: func(_ context.Context, name string) (File, error) {
			text := w.files[name]
			return File{Size: int64(len(text)), At: func(offset int64) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(text[offset:])), nil
			}}, nil
		},
	}
	w.plan = &migration.Plan{Name: "import", SHA256: "x", Steps: []migration.Step{{Name: "bring rows in", Kind: migration.KindCopy, Copy: &c}}}
	require.NoError(t, w.tgt.Begin(t.Context(), w.mig, w.plan))
	return w
}

func (w *importWorld) exec(db *testdb.DB, sql string) {
	w.t.Helper()
	_, err := db.Pool.Exec(w.t.Context(), sql)
	require.NoError(w.t, err)
}

func (w *importWorld) copy(ctx context.Context, tell func(Progress)) error {
	return w.tgt.Apply(ctx, w.mig, w.plan, 0, tell)
}

func (w *importWorld) mustCopy() {
	w.t.Helper()
	require.NoError(w.t, w.copy(w.t.Context(), func(Progress) {}))
}

func (w *importWorld) undo() []migration.Difference {
	w.t.Helper()
	out, err := w.tgt.Undo(w.t.Context(), w.mig, w.plan, 0, func(Progress) {})
	require.NoError(w.t, err)
	return out
}

func (w *importWorld) texts(db *testdb.DB, sql string) []string {
	w.t.Helper()
	rows, err := db.Pool.Query(w.t.Context(), sql)
	require.NoError(w.t, err)
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return out
}

func (w *importWorld) proof() Proof {
	w.t.Helper()
	e, err := w.tgt.Entry(w.t.Context(), w.mig)
	require.NoError(w.t, err)
	require.Equal(w.t, Done, e.Steps[0].State)
	var d copyDetail
	require.NoError(w.t, unmarshalExtra(e.Steps[0].Detail.Extra, &d))
	require.NotNil(w.t, d.Proof)
	return *d.Proof
}

const everyType = `(id bigint, a smallint, b int, c numeric(20,4), d float8, e text, f varchar(40), g bytea, h timestamptz, i date, j interval, k boolean, l uuid, m jsonb, n text[], o inet, p time, q int4range, r json)`

const everyRow = `insert into %s select g, g %% 100, g * 7, g / 3.0, sqrt(g), case when g %% 5 = 0 then null when g %% 7 = 0 then '' else E'x\t\\y\n"' || g end, 'ü' || g, decode(md5(g::text), 'hex'),
  timestamptz '2026-01-01' + g * interval '1 minute', date '2020-01-01' + g, g * interval '1 hour', g %% 2 = 0, md5(g::text)::uuid, jsonb_build_object('g', g), array['a', null, g::text], '10.0.0.1', time '00:00' + g * interval '1 second',
  int4range(g, g + 5), '{"a" : 1}' from generate_series(1, %d) g`

func TestTablesAreCopiedWhateverTheirTypesAndKeys(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		source, target string
		copy           migration.Copy
		format         string
	}{
		"every type": {
			"create table public.s " + everyType + "; alter table public.s add primary key (id);" + fmt.Sprintf(everyRow, "public.s", 3333),
			"create table public.d " + everyType,
			migration.Copy{Source: "public.s", Table: "public.d"},
			"binary",
		},
		"no key": {
			"create table public.s " + everyType + ";" + fmt.Sprintf(everyRow, "public.s", 3333) + "; delete from public.s where id % 3 = 0",
			"create table public.d " + everyType,
			migration.Copy{Source: "s", Table: "d"},
			"binary",
		},
		"other types": {
			`create table s (id int primary key, state text, n numeric(10,2), at timestamp); insert into s select g, case when g % 2 = 0 then 'open' else 'shut' end, g / 7.0, timestamp '2026-01-01' + g * interval '1 s' from generate_series(1, 3333) g`,
			`create type state as enum ('open', 'shut'); create table d (id bigint, state state, n numeric(10,1), at timestamptz)`,
			migration.Copy{Source: "s", Table: "d"},
			"text",
		},
		"a key that is not copied, and other names": {
			`create table s (k text, n int, "Odd ""name" text, primary key (k, n)); insert into s select E'k\t\\''' || g % 10, g, 'v' || g from generate_series(1, 3333) g`,
			`create table d (id bigint generated always as identity, value text)`,
			migration.Copy{Source: "s", Table: "d", Columns: map[string]string{"value": `Odd "name`}},
			"binary",
		},
		"the same in text": {
			`create domain v as text; create table s (k text, n int, x v, primary key (k, n)); insert into s select E'k\t\\''' || g % 10, g, case when g % 4 > 0 then E'v\n' || g end from generate_series(1, 3333) g`,
			`create domain v as text; create table d (value v)`,
			migration.Copy{Source: "s", Table: "d", Columns: map[string]string{"value": "x"}},
			"text",
		},
		"a query": {
			`create table s (id int, n int); insert into s select g, g from generate_series(1, 3333) g`,
			`create table d (id int, twice int)`,
			migration.Copy{Source: "select id, n * 2 as twice from s where id % 2 = 0", Table: "d", Key: []string{"id"}},
			"binary",
		},
		"generated columns": {
			`create table s (id int primary key, n int, t int generated always as (n * 2) stored); insert into s select g, g from generate_series(1, 3333) g`,
			`create table d (id int generated always as identity primary key, t int generated always as (n * 2) stored, n int)`,
			migration.Copy{Source: "s", Table: "d"},
			"binary",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 1))
			tt.copy.From, tt.copy.Format, tt.copy.Rows = "target:old", "postgres", 100+rng.IntN(200)
			w := newImport(t, tt.source, tt.target, tt.copy)
			o, err := newTableOrigin(t.Context(), w.src, &tt.copy, 1)
			require.NoError(t, err)
			defer o.close()
			// Three times it is interrupted, by its worker's end or by that of its session.
			for range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				stop, n := 1+rng.IntN(6), 0
				err := w.copy(ctx, func(Progress) {
					if n++; n == stop && rng.IntN(2) == 0 {
						cancel()
					} else if n == stop {
						w.exec(w.to, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'tartan migrate%'")
					}
				})
				cancel()
				if err == nil {
					break
				}
			}
			w.mustCopy()
			p := w.proof()
			require.Equal(t, p.Source, p.Target)
			require.NotZero(t, p.Source)
			var n int64
			require.NoError(t, w.to.Pool.QueryRow(t.Context(), "select count(*) from "+tt.copy.Table).Scan(&n))
			require.Equal(t, p.Source, n)
			require.NoError(t, o.choose(o.chosen(t, w)))
			require.Equal(t, tt.format, o.format())
			w.mustCopy()
			require.Empty(t, w.undo())
			require.NoError(t, w.to.Pool.QueryRow(t.Context(), "select count(*) from "+tt.copy.Table).Scan(&n))
			require.Zero(t, n)
			require.Empty(t, w.undo())
		})
	}
}

// chosen resolves the columns as a copy does.
func (o *tableOrigin) chosen(t *testing.T, w *importWorld) []copied {
	conn, err := w.tgt.connect(t.Context())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	c := &copying{conn: conn, spec: w.plan.Steps[0].Copy, from: o}
	require.NoError(t, c.resolve(t.Context()))
	return c.columns
}

func TestBadRowsOfACSVAreInQuarantineAndNoOthers(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newImport(t, "", `create table owners (id int primary key); insert into owners select generate_series(1, 50);
create table d (id int primary key, owner int references owners deferrable initially deferred, price numeric(8,2) check (price >= 0), name varchar(20) not null, at timestamptz)`,
		migration.Copy{From: "file.csv", Format: "csv", Table: "d", Rows: 1500})
	var text bytes.Buffer
	text.WriteString("id,owner,price,name,at\n")
	bad := map[int]string{} // line -> SQLSTATE, or nothing where the file itself is bad
	line, good := 2, 0
	for i := range 5000 {
		id, owner, price, name, at := fmt.Sprint(i), fmt.Sprint(1+rng.IntN(50)), fmt.Sprintf("%d.%02d", rng.IntN(1000), rng.IntN(100)), fmt.Sprintf(`"n, ""%d"""`, i), "2026-01-02T03:04:05Z"
		state, spoilt := "", ""
		if i > 0 && rng.IntN(50) == 0 {
			switch rng.IntN(10) {
			case 0:
				id, state = "x1", "22P02"
			case 1:
				id, state = "0", "23505" // the first row's, which is good
			case 2:
				owner, state = "999", "23503"
			case 3:
				price, state = "-1", "23514"
			case 4:
				price, state = "9999999", "22003"
			case 5:
				name, state = "", "23502"
			case 6:
				name, state = strings.Repeat("n", 30), "22001"
			case 7:
				at, state = "2026-13-01", "22008"
			case 8:
				spoilt = fmt.Sprintf("%d,3,1.00\n", i)
			case 9:
				spoilt = fmt.Sprintf("%d,3,1.00,\"open,2026-01-01\n", i)
			}
			bad[line] = state
		} else {
			good++
		}
		if spoilt == "" {
			spoilt = strings.Join([]string{id, owner, price, name, at}, ",") + "\n"
		}
		text.WriteString(spoilt)
		line++
	}
	w.files["file.csv"] = text.String()
	w.plan.Settings.MaxRejected = int64(len(bad))
	ctx, cancel := context.WithCancel(t.Context())
	require.Error(t, w.copy(ctx, func(p Progress) {
		if p.Rows > 0 {
			cancel()
		}
	}))
	cancel()
	w.mustCopy()
	got := map[int]string{}
	rows, err := w.to.Pool.Query(t.Context(), "select (position->>'line')::int, coalesce(sqlstate, ''), raw, (position->>'offset')::int, (position->>'bytes')::int from tartan_migrate.rejected")
	require.NoError(t, err)
	var at, offset, size int
	var state, raw string
	_, err = pgx.ForEachRow(rows, []any{&at, &state, &raw, &offset, &size}, func() error {
		got[at] = state
		require.Equal(t, text.String()[offset:offset+size], raw)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, bad, got)
	p := w.proof()
	require.EqualValues(t, good, p.Target)
	require.EqualValues(t, len(bad), p.Rejected)
	require.EqualValues(t, 5000, p.Source)
	e, err := w.tgt.Entry(t.Context(), w.mig)
	require.NoError(t, err)
	told, err := e.Report("new")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("5000 rows of the source: %d in the table, %d in quarantine (%s)", good, len(bad), p.How), told.Steps[0].Note)
	require.EqualValues(t, good, told.Steps[0].Rows)
	require.Equal(t, []string{`n, "0"`}, w.texts(w.to, "select name from d where id = 0"))
	require.Empty(t, w.undo())
	require.Equal(t, []string{"0"}, w.texts(w.to, "select count(*)::text from d"))
}

func TestMoreBadRowsThanAllowedEndTheCopy(t *testing.T) {
	t.Parallel()
	w := newImport(t, "", "create table d (id int primary key)", migration.Copy{From: "f", Format: "jsonl", Table: "d"})
	w.files["f"] = "{\"id\":1}\n{\"id\":1}\n{\"id\":\"x\"}\n{\"id\":2}\n"
	w.plan.Settings.MaxRejected = 1
	err := w.copy(t.Context(), func(Progress) {})
	require.ErrorIs(t, err, ErrRejected)
	require.Contains(t, err.Error(), "2 of 4 read, and the plan allows 1 (max_rejected)")
	require.Equal(t, []string{"{\"id\":1}", "{\"id\":\"x\"}"}, w.texts(w.to, "select raw from tartan_migrate.rejected order by (position->>'offset')::int"))
	require.Empty(t, w.undo())
	require.Equal(t, []string{"0"}, w.texts(w.to, "select count(*)::text from d"))
}

func TestBadRowsOfATableAreInQuarantine(t *testing.T) {
	t.Parallel()
	for format, kind := range map[string]string{"binary": "int", "text": "bigint"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			w := newImport(t, "create table s (id int primary key, n int, b text); insert into s select g, g, 'b' || g from generate_series(1, 1000) g",
				"create table d (id "+kind+" primary key, n int check (n % 100 <> 7), b text unique); insert into d values (5, 1, 'here'), (5000, 2, 'b33')",
				migration.Copy{From: "target:old", Format: "postgres", Source: "s", Table: "d", Rows: 300})
			w.plan.Settings.MaxRejected = 20
			w.mustCopy()
			require.Equal(t, []string{"5 23505", "7 23514", "33 23505", "107 23514", "207 23514", "307 23514", "407 23514", "507 23514", "607 23514", "707 23514", "807 23514", "907 23514"},
				w.texts(w.to, "select (position->'key'->>0) || ' ' || sqlstate from tartan_migrate.rejected order by (position->'key'->>0)::int"))
			require.Equal(t, []string{`{"id": "33","n": "33","b": "b33"}`}, w.texts(w.to, "select raw from tartan_migrate.rejected where position->'key'->>0 = '33'"))
			require.Equal(t, Proof{Source: 1000, Target: 988, Rejected: 12, How: w.proof().How}, w.proof())
			// A later step rewrites rows and brings them back; others change one, and one is theirs.
			w.exec(w.to, "update d set b = b || '!' where id between 10 and 20; update d set b = left(b, -1) where id between 10 and 20; update d set n = -1 where id = 500; delete from d where id = 600")
			require.Equal(t, []migration.Difference{
				{Path: "row public.d (500)", After: "changed or added since it was copied, and left"},
				{Path: "table public.d", Before: "1 more rows of the copy", After: "changed or deleted by others since"},
			}, w.undo())
			require.Equal(t, []string{"(5,1,here)", "(500,-1,b500)", "(5000,2,b33)"}, w.texts(w.to, "select d::text from d order by id"))
		})
	}
}

func TestATableThatWasEmptyIsEmptyAgainUnlessOthersWroteToIt(t *testing.T) {
	t.Parallel()
	spec := migration.Copy{From: "target:old", Format: "postgres", Source: "s", Table: "d"}
	const source = "create table s (id int primary key, n int); insert into s select g, g from generate_series(1, 1000) g"
	w := newImport(t, source, "create table d (id int primary key, n int)", spec)
	w.mustCopy()
	w.exec(w.to, "update d set n = n + 1; update d set n = n - 1") // no row is of the copy's transaction any more
	require.Empty(t, w.undo())
	require.Equal(t, []string{"0"}, w.texts(w.to, "select count(*)::text from d"))

	w = newImport(t, source, "create table d (id int primary key, n int); create table ref (id int references d)", spec)
	w.mustCopy()
	w.exec(w.to, "insert into d values (-1, 0); update d set n = 0 where id = 3")
	require.Equal(t, []migration.Difference{
		{Path: "row public.d (-1)", After: "changed or added since it was copied, and left"},
		{Path: "row public.d (3)", After: "changed or added since it was copied, and left"},
	}, w.undo())
	require.Equal(t, []string{"(-1,0)", "(3,0)"}, w.texts(w.to, "select d::text from d order by id"))
}

func TestAProofThatFailsIsTold(t *testing.T) {
	t.Parallel()
	const source = "create table s (id int primary key, n int); insert into s select g, g from generate_series(1, 1000) g"
	for name, spoil := range map[string]func(w *importWorld){
		"a row of the target is gone":   func(w *importWorld) { w.exec(w.to, "delete from d where id = 3") },
		"a row of the target is other":  func(w *importWorld) { w.exec(w.to, "update d set n = 0 where id = 3") },
		"the source changed in between": func(w *importWorld) { w.exec(w.from, "update s set n = 0 where id = 3") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newImport(t, source, "create table d (id int primary key, n int)", migration.Copy{From: "target:old", Format: "postgres", Source: "s", Table: "d", Rows: 200})
			ctx, cancel := context.WithCancel(t.Context())
			require.Error(t, w.copy(ctx, func(p Progress) {
				if p.Rows > 0 {
					cancel()
				}
			}))
			cancel()
			require.NotEqual(t, []string{"0"}, w.texts(w.to, "select count(*)::text from d where id = 3"))
			spoil(w)
			err := w.copy(t.Context(), func(Progress) {})
			require.ErrorIs(t, err, ErrUnproven)
			require.ErrorContains(t, err, "1 of 256 buckets differ")
		})
	}
	w := newImport(t, "", "create table d (id int primary key)", migration.Copy{From: "f", Format: "csv", Table: "d", Rows: 2})
	w.files["f"] = "id\n1\n2\n3\n4\n"
	ctx, cancel := context.WithCancel(t.Context())
	require.Error(t, w.copy(ctx, func(p Progress) {
		if p.Rows > 0 {
			cancel()
		}
	}))
	cancel()
	w.files["f"] = "id\n1\n7\n3\n4\n"
	err := w.copy(t.Context(), func(Progress) {})
	require.ErrorIs(t, err, ErrUnproven)
	require.ErrorContains(t, err, "f has changed since batch 0 was read")
}

func TestFaultsOfACopyAreTold(t *testing.T) {
	t.Parallel()
	const source = "create table s (id int, n int); insert into s values (1, 1), (1, 2), (null, 3)"
	for want, c := range map[string]migration.Copy{
		"there is no table nowhere to copy into: make it in an earlier step":                                {Source: "s", Table: "nowhere"},
		"the source: it has no table x":                                                                     {Source: "x", Table: "d"},
		`the table d has no column "n" that can be copied into: name the columns to copy with map=`:         {Source: "s", Table: "d"},
		`the table d has no column "y" that can be copied into`:                                             {Source: "s", Table: "d", Columns: map[string]string{"y": "id"}},
		`the source has no column "z" for id`:                                                               {Source: "s", Table: "d", Columns: map[string]string{"id": "z"}},
		`the source: it has no column "z" for the key`:                                                      {Source: "s", Table: "d", Key: []string{"z"}},
		"two rows have the same key: name a key that is unique, with key=":                                  {Source: "s", Table: "d", Columns: map[string]string{"id": "n"}, Key: []string{"id"}},
		"the key of a row is null: name a key that never is, with key=":                                     {Source: "select * from s where id is null", Table: "d", Columns: map[string]string{"id": "n"}, Key: []string{"id"}},
		"a query needs a key, by which the copy goes on after a fault: name unique columns of it with key=": {Source: "select 1 as id", Table: "d"},
	} {
		c.From, c.Format = "target:old", "postgres"
		w := newImport(t, source, "create table d (id int)", c)
		err := w.copy(t.Context(), func(Progress) {})
		var told *StepError
		require.True(t, errors.As(err, &told), "%v", err)
		require.ErrorContains(t, err, want)
	}
}

// TestPiecesOfAnySizeAreCut feeds what COPY sends in random pieces.
func TestPiecesOfAnySizeAreCut(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, isBinary := range []bool{true, false} {
		var stream, want []byte
		if isBinary {
			stream = append(stream, binaryStart...)
		}
		for i := range 500 {
			fields := [][]byte{[]byte(fmt.Sprint(i)), nil, []byte(strings.Repeat("x", rng.IntN(50)))}
			row := []byte{0, 3}
			cut := []byte{0, 2}
			if isBinary {
				for j, f := range fields {
					row = appendField(row, f)
					if j < 2 {
						cut = appendField(cut, f)
					}
				}
			} else {
				row = fmt.Appendf(nil, "%s\t\\N\t%s\n", fields[0], fields[2])
				cut = fmt.Appendf(nil, "%s\t\\N\n", fields[0])
			}
			stream, want = append(stream, row...), append(want, cut...)
		}
		if isBinary {
			stream = append(stream, binaryEnd...)
		}
		var got []byte
		n := 0
		c := &cutter{binary: isBinary, width: 2, keys: []int{0}, rows: 7, b: &batch{}, emit: func(b *batch) error {
			got = append(got, b.data...)
			for i := range b.ends {
				require.Equal(t, fmt.Sprint(n), string(splitFields(b.about(i))[0]))
				n++
			}
			return nil
		}}
		for len(stream) > 0 {
			piece := min(len(stream), 1+rng.IntN(60))
			_, err := c.Write(stream[:piece])
			require.NoError(t, err)
			stream = stream[piece:]
		}
		require.NoError(t, c.flush())
		require.Equal(t, 500, n)
		require.Equal(t, want, got)
	}
}
