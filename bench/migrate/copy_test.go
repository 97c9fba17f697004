package migrate

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func rows() int {
	if n, err := strconv.Atoi(os.Getenv("TARTAN_BENCH_ROWS")); err == nil {
		return n
	}
	return 100_000
}

// TestMain is also the worker that is killed: it copies what its environment says.
func TestMain(m *testing.M) {
	if os.Getenv("TARTAN_BENCH_COPY") == "" {
		os.Exit(m.Run())
	}
	if err := work(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func copyPlan() *migration.Plan {
	sql := func(s string) []migration.Statement { return []migration.Statement{{SQL: s}} }
	return &migration.Plan{Name: "import", SHA256: "bench", Steps: []migration.Step{
		{Name: "make the table", Kind: migration.KindSQL, Up: sql(table)},
		{Name: "bring rows in", Kind: migration.KindCopy, Copy: &migration.Copy{From: "target:old", Format: "postgres", Table: "public.orders"}},
		{Name: "make its key", Kind: migration.KindSQL, Up: sql("alter table public.orders add primary key (id)")},
	}, Settings: migration.Settings{StatementTimeout: time.Hour}}
}

const table = "create table public.orders (id bigint not null, customer int not null, amount numeric(10,2) not null, status text not null, note text, created timestamptz not null)"

// work applies the plan and tells on stdout, a line each, how many rows are copied.
func work(ctx context.Context) error {
	tgt, err := target.Open(ctx, os.Getenv("TARTAN_BENCH_TO"))
	if err != nil {
		return err
	}
	tgt.Copier = &target.Importer{Target: func(ctx context.Context, _ string) (*target.Target, error) {
		return target.Open(ctx, os.Getenv("TARTAN_BENCH_FROM"))
	}}
	mig, plan := uuid.MustParse(os.Getenv("TARTAN_BENCH_COPY")), copyPlan()
	if err := tgt.Begin(ctx, mig, plan); err != nil {
		return err
	}
	for i := range plan.Steps {
		if err := tgt.Apply(ctx, mig, plan, i, func(p target.Progress) { fmt.Println(p.Rows) }); err != nil {
			return err
		}
	}
	return nil
}

// database makes an empty database beside the one of a server.
func database(tb testing.TB, s *testdb.DedicatedServer, name string) string {
	_, err := s.Pool.Exec(tb.Context(), "create database "+name+" template template0")
	require.NoError(tb, err)
	u, err := url.Parse(s.URL)
	require.NoError(tb, err)
	u.Path = "/" + name
	return u.String()
}

func exec1(tb testing.TB, url, sql string) {
	conn, err := pgx.Connect(tb.Context(), url)
	require.NoError(tb, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(tb.Context(), sql)
	require.NoError(tb, err)
}

func one[T any](tb testing.TB, url, sql string) (v T) {
	conn, err := pgx.Connect(tb.Context(), url)
	require.NoError(tb, err)
	defer conn.Close(context.Background())
	require.NoError(tb, conn.QueryRow(tb.Context(), sql).Scan(&v))
	return v
}

// BenchmarkCopy copies a table from another database, verified and with its worker killed three times, and then with pg_dump | psql.
func BenchmarkCopy(b *testing.B) {
	n := rows()
	s := testdb.Server(b)
	from := database(b, s, "old")
	exec1(b, from, table+"; insert into public.orders select g, g % 100000, (g % 99991) / 7.0, (array['open', 'paid', 'sent'])[1 + g % 3], 'order number ' || g || ' of some customer, ' || md5(g::text), timestamptz '2026-01-01' + g * interval '1 second' from generate_series(1, "+strconv.Itoa(n)+") g; alter table public.orders add primary key (id)")
	exec1(b, from, "vacuum analyze public.orders")
	b.Logf("%d rows, %d MB, load %s", n, one[int64](b, from, "select pg_table_size('public.orders')")>>20, load())
	var ours, theirs, killed time.Duration
	for b.Loop() {
		exec1(b, s.URL, "checkpoint")
		theirs += dumped(b, s, from)
		exec1(b, s.URL, "checkpoint")
		ours += copied(b, s, from, n, 0)
		exec1(b, s.URL, "checkpoint")
		killed += copied(b, s, from, n, 3)
	}
	speed := func(d time.Duration) float64 { return float64(n) * float64(b.N) / d.Seconds() }
	b.ReportMetric(speed(theirs), "dump-rows/s")
	b.ReportMetric(speed(ours), "rows/s")
	b.ReportMetric(speed(killed), "killed-rows/s")
	b.ReportMetric(speed(killed)/speed(theirs), "of-dump")
	b.ReportMetric(0, "ns/op")
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.TrimSpace(string(text))
}

// dumped copies with pg_dump | psql.
func dumped(b *testing.B, s *testdb.DedicatedServer, from string) time.Duration {
	to := database(b, s, "new")
	defer exec1(b, s.URL, "drop database new")
	began := time.Now()
	cmd := exec.Command("/bin/sh", "-c", `pg_dump --no-owner "$1" | psql -q -X -v ON_ERROR_STOP=1 -o /dev/null "$2"`, "sh", from, to)
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, "%s", out)
	return time.Since(began)
}

// copied copies with Tartan. The worker is a process of its own, which is killed that many times at a random row.
func copied(b *testing.B, s *testdb.DedicatedServer, from string, n, kills int) time.Duration {
	to := database(b, s, "new")
	defer exec1(b, s.URL, "drop database new with (force)")
	mig := uuid.NewString()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	began := time.Now()
	for attempt := 0; ; attempt++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TARTAN_BENCH_COPY="+mig, "TARTAN_BENCH_FROM="+from, "TARTAN_BENCH_TO="+to)
		var fault strings.Builder
		cmd.Stderr = &fault
		out, err := cmd.StdoutPipe()
		require.NoError(b, err)
		require.NoError(b, cmd.Start())
		limit := int64(n+1) * 2
		if attempt < kills {
			limit = int64(n) * int64(attempt) / int64(kills+1)
			limit += rng.Int64N(int64(n) / int64(kills+1))
		}
		var reached atomic.Int64
		readLines(out, func(line string) {
			if v, err := strconv.ParseInt(line, 10, 64); err == nil && v >= limit && reached.Swap(v) == 0 {
				_ = cmd.Process.Kill()
			}
		})
		err = cmd.Wait()
		if reached.Load() > 0 {
			b.Logf("seed %d: killed at %d rows", seed, reached.Load())
			continue
		}
		require.NoError(b, err, "%s", fault.String())
		break
	}
	took := time.Since(began)
	require.EqualValues(b, n, one[int64](b, to, "select count(*) from public.orders"))
	require.EqualValues(b, n, one[int64](b, to, "select (detail->'extra'->'proof'->>'target')::bigint from tartan_migrate.steps where ordinal = 1 and state = 'done'"))
	b.Logf("took %s: %s", took.Round(time.Millisecond), one[string](b, to, `select string_agg(name || ' ' || round(extract(epoch from finished_at - started_at), 1) || ' s', ', ' order by ordinal)
|| ', of which the proof ' || (select round(extract(epoch from (select finished_at from tartan_migrate.steps where ordinal = 1) - max(finished_at)), 1) from tartan_migrate.batches) || ' s' from tartan_migrate.steps`))
	return took
}

func readLines(r io.Reader, do func(line string)) {
	var rest string
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		rest += string(buf[:n])
		for {
			line, after, ok := strings.Cut(rest, "\n")
			if !ok {
				break
			}
			do(line)
			rest = after
		}
		if err != nil {
			return
		}
	}
}
