package migrate

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// foreground is the load beside which the migration works, in transactions per second.
const foreground = 200

// statusPlan adds a column that is never null, with values for the rows there are, an index and a foreign key.
func statusPlan() *migration.Plan {
	sql := func(lines ...string) (out []migration.Statement) {
		for _, l := range lines {
			out = append(out, migration.Statement{SQL: l})
		}
		return out
	}
	return &migration.Plan{Name: "status", SHA256: "load", Steps: []migration.Step{
		{Name: "states", Kind: migration.KindSQL, Up: sql("create table public.states (id int primary key)", "insert into public.states select generate_series(0, 9)")},
		{Name: "column", Kind: migration.KindSQL, Up: sql("alter table public.pgbench_accounts add column state int, alter column state set default 0")},
		{
			Name: "backfill", Kind: migration.KindBackfill, Up: sql("update public.pgbench_accounts set state = aid % 10 where state is null and :batch"),
			Backfill: &migration.Backfill{Table: "public.pgbench_accounts", Columns: []string{"state"}},
		},
		{Name: "promise", Kind: migration.KindSQL, Up: sql("alter table public.pgbench_accounts add constraint state_given check (state is not null) not valid")},
		{Name: "prove", Kind: migration.KindValidate, Up: sql("alter table public.pgbench_accounts validate constraint state_given"), Validate: &migration.Validate{Table: "public.pgbench_accounts", Constraint: "state_given"}},
		{Name: "not null", Kind: migration.KindSQL, Up: sql("alter table public.pgbench_accounts alter column state set not null", "alter table public.pgbench_accounts drop constraint state_given")},
		{Name: "index", Kind: migration.KindIndex, Up: sql("create index concurrently accounts_state on public.pgbench_accounts (state)"), Index: &migration.Index{Name: "accounts_state", Table: "public.pgbench_accounts"}},
		{Name: "foreign key", Kind: migration.KindSQL, Up: sql("alter table public.pgbench_accounts add constraint accounts_state_known foreign key (state) references public.states not valid")},
		{Name: "validate it", Kind: migration.KindValidate, Up: sql("alter table public.pgbench_accounts validate constraint accounts_state_known"), Validate: &migration.Validate{Table: "public.pgbench_accounts", Constraint: "accounts_state_known"}},
	}, Settings: migration.Settings{StatementTimeout: time.Hour, LockTimeout: 200 * time.Millisecond, LockAttempts: 100}}
}

// BenchmarkUnderLoad migrates pgbench's accounts while pgbench works on them, after some seconds of pgbench alone.
func BenchmarkUnderLoad(b *testing.B) {
	pgbench, err := exec.LookPath("pgbench")
	require.NoError(b, err)
	s := testdb.Server(b)
	url := database(b, s, "bank")
	out, err := exec.Command(pgbench, "-i", "-q", "-s", strconv.Itoa(max(rows()/100_000, 1)), url).CombinedOutput()
	require.NoError(b, err, "%s", out)
	n := one[int64](b, url, "select count(*) from pgbench_accounts")
	b.Logf("%d rows, load %s", n, load())
	for b.Loop() {
		alone := latencies(b, pgbench, url, func() { time.Sleep(40 * time.Second) })
		node := one[uint32](b, url, "select relfilenode from pg_class where relname = 'pgbench_accounts'")
		var backfill time.Duration
		beside := latencies(b, pgbench, url, func() { backfill = migrate(b, url) })
		require.Equal(b, node, one[uint32](b, url, "select relfilenode from pg_class where relname = 'pgbench_accounts'"), "no rewrite")
		require.Zero(b, one[int64](b, url, "select count(*) from pgbench_accounts where state is distinct from case when aid <= "+strconv.FormatInt(n, 10)+" then aid % 10 else 0 end"))
		b.Logf("load %s", load())
		b.ReportMetric(float64(n)/backfill.Seconds(), "backfill-rows/s")
		b.ReportMetric(ms(alone, .99), "alone-p99-ms")
		b.ReportMetric(ms(alone, 1), "alone-max-ms")
		b.ReportMetric(ms(beside, .99), "beside-p99-ms")
		b.ReportMetric(ms(beside, 1), "beside-max-ms")
		b.ReportMetric(float64(len(beside)), "beside-transactions")
	}
	b.ReportMetric(0, "ns/op")
}

// migrate applies the plan and returns how long the backfill took.
func migrate(b *testing.B, url string) time.Duration {
	tgt, err := target.Open(b.Context(), url)
	require.NoError(b, err)
	mig, plan := uuid.New(), statusPlan()
	require.NoError(b, tgt.Begin(b.Context(), mig, plan))
	const lost = "select xact_rollback from pg_stat_database where datname = current_database()"
	for i := range plan.Steps {
		before := one[int64](b, url, lost)
		require.NoError(b, tgt.Apply(b.Context(), mig, plan, i, func(target.Progress) {}), plan.Steps[i].Name)
		if plan.Steps[i].Kind == migration.KindBackfill {
			b.Logf("%d batches, %d transactions rolled back", one[int64](b, url, "select count(*) from tartan_migrate.batches"), one[int64](b, url, lost)-before)
		}
	}
	e, err := tgt.Entry(b.Context(), mig)
	require.NoError(b, err)
	for _, s := range e.Steps {
		b.Logf("%s: %s", s.Name, s.FinishedAt.Sub(*s.StartedAt).Round(time.Millisecond))
	}
	return e.Steps[2].FinishedAt.Sub(*e.Steps[2].StartedAt)
}

// latencies runs pgbench during something and returns how long its transactions took, in microseconds and order: from their start,
// and not from when they were due, which on a busy machine is when pgbench itself came to it.
func latencies(b *testing.B, pgbench, url string, during func()) (out []int64) {
	dir := b.TempDir()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, pgbench, "-n", "-c", "8", "-j", "2", "-R", strconv.Itoa(foreground), "-T", "3600", "-l", "--log-prefix="+filepath.Join(dir, "tx"), url)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	require.NoError(b, cmd.Start())
	during()
	cancel()
	_ = cmd.Wait()
	files, err := filepath.Glob(filepath.Join(dir, "tx*"))
	require.NoError(b, err)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(b, err)
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) < 7 {
				continue // cut off by the end
			}
			took, err := strconv.ParseInt(fields[2], 10, 64)
			require.NoError(b, err)
			lag, err := strconv.ParseInt(fields[6], 10, 64)
			require.NoError(b, err)
			out = append(out, took-lag)
		}
		_ = f.Close()
	}
	require.NotEmpty(b, out, fmt.Sprintf("pgbench wrote no log in %s", dir))
	slices.Sort(out)
	return out
}

func ms(sorted []int64, q float64) float64 {
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]) / 1000
}
