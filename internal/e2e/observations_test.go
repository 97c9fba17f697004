package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/postgres"
)

var observationsFlag = flag.Int("observations", 4000, "observations inserted through kills; make observations has 100,000")

// inserters are clients that insert observations at once, so many rows a statement.
const (
	inserters  = 4
	insertRows = 50
)

// poison are observations of a library of lines that cannot be matched, each by its columns and their values.
var poison = []string{"'  ', null, null", "repeat('x', 70000), null, null", "null, '{}', null", "'x', null, 'infinity'"}

// TestObservationsThroughKills inserts observations as Supabase clients do, while workers, Postgres, one of its backends and Temporal are
// killed. Each is matched or quarantined exactly once, and the counts are those of a reader of the same lines in one thread.
func TestObservationsThroughKills(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	t.Logf("seed %d: go test ./internal/e2e -run %s -seed %d -observations %d", seed, t.Name(), seed, *observationsFlag)
	c := &contest{stack: newStack(t), seed: seed}
	want := newOracle()
	first := writeSource(t, t.TempDir(), seed, 100) // makes the library
	c.waitCompleted(t, c.mine(t, "observed", first))
	want.read(t, first)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+time.Duration(*observationsFlag)*10*time.Millisecond)
	defer cancel()
	caller := c.member(t, ctx)
	c.quiet(t, ctx, caller, want)

	more := map[string]*child{"second worker": c.child(t, "worker")}
	done, killed := make(chan struct{}), make(chan map[string]int)
	go func() { killed <- c.killing(ctx, done, more) }()
	began := time.Now()
	var wg sync.WaitGroup
	lines := make([][]string, inserters)
	for n := range inserters {
		wg.Go(func() {
			var err error
			if lines[n], err = c.insertAll(ctx, caller, n, *observationsFlag/inserters); err != nil {
				t.Errorf("client %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	inserted := time.Since(began)
	c.eventually(t, time.Until(began.Add(10*time.Minute)), func() error { return c.settled(ctx) })
	took := time.Since(began)
	close(done)
	kills := <-killed
	if t.Failed() {
		return
	}
	good := 0
	for _, all := range lines {
		for _, line := range all {
			want.tally.Add(messageOf(line), []byte(line), 0)
			good++
		}
	}
	c.eventually(t, time.Minute, func() error { return c.settled(ctx) }) // the last kill may have been of Postgres
	c.requireFinishedOnce(t, ctx, *observationsFlag/inserters*inserters-good)
	requireSameCounts(t, want.counts(), c.counts(t, "observed"))
	t.Logf("%d observations inserted in %.0f s, all matched (%d) or quarantined (%d) once after %.0f s; killed %v", *observationsFlag, inserted.Seconds(), good, *observationsFlag/inserters*inserters-good, took.Seconds(), kills)
}

// member is the local stack's own user in its workspace.
func (c *contest) member(t *testing.T, ctx context.Context) (caller access.Caller) {
	t.Helper()
	conn, err := c.database(ctx)
	require.NoError(t, err)
	defer conn.Close(ctx)
	require.NoError(t, conn.QueryRow(ctx, "select m.user_id, m.workspace_id from tartan.members m join tartan.libraries l using (workspace_id) where l.name = 'observed'").Scan(&caller.UserID, &caller.WorkspaceID))
	return caller
}

// quiet measures how long it takes from an insert until the match is seen, one at a time.
func (c *contest) quiet(t *testing.T, ctx context.Context, caller access.Caller, want *oracle) {
	t.Helper()
	st, err := local.ReadState(c.dir)
	require.NoError(t, err)
	pool, err := postgres.Open(ctx, st.DatabaseURL)
	require.NoError(t, err)
	defer pool.Close()
	r := rand.New(rand.NewPCG(c.seed, 3000))
	var took []time.Duration
	for i := range 100 {
		line := observedLine(r)
		want.tally.Add(messageOf(line), []byte(line), 0)
		key, began := fmt.Sprintf("quiet-%d", i), time.Now()
		require.NoError(t, insertObservations(ctx, pool, caller, []string{key}, []string{line}))
		c.eventually(t, 30*time.Second, func() error {
			return postgres.InWorkspace(ctx, pool, caller, func(tx pgx.Tx) error {
				var id string
				return tx.QueryRow(ctx, "select pattern_id from tartan.observation_matches where workspace_id = $1 and key = $2", caller.WorkspaceID, key).Scan(&id)
			})
		})
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("insert to match seen, one at a time, looked for every 50 ms: p50 %d ms, p95 %d ms, most %d ms", took[50].Milliseconds(), took[95].Milliseconds(), took[99].Milliseconds())
}

func observedLine(r *rand.Rand) string {
	at := time.Date(2026, 11, 20, 0, 0, r.IntN(80_000), 0, time.UTC)
	return at.Format("2006-01-02T15:04:05.000Z") + " " + statements[r.IntN(len(statements))](r)
}

func insertObservations(ctx context.Context, pool *pgxpool.Pool, caller access.Caller, keys, lines []string) error {
	return postgres.InWorkspace(ctx, pool, caller, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into tartan.observations (workspace_id, library, key, body) select $1, 'observed', k, b from unnest($2::text[], $3::text[]) u (k, b)
			on conflict (workspace_id, library, key) do nothing`, caller.WorkspaceID, keys, lines)
		return err
	})
}

// insertAll inserts n observations, one in forty of them poison, and returns the lines of the others. What was not acknowledged is inserted again under its keys.
func (c *contest) insertAll(ctx context.Context, caller access.Caller, client, n int) (lines []string, err error) {
	st, err := local.ReadState(c.dir)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, st.DatabaseURL)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	r := rand.New(rand.NewPCG(c.seed, uint64(4000+client)))
	for at := 0; at < n; at += insertRows {
		var keys, bodies []string
		bad := map[string]string{}
		for i := at; i < min(n, at+insertRows); i++ {
			key := fmt.Sprintf("%d-%d", client, i)
			if i%40 == 7 {
				bad[key] = poison[r.IntN(len(poison))]
				continue
			}
			keys, bodies = append(keys, key), append(bodies, observedLine(r))
		}
		lines = append(lines, bodies...)
		for {
			if err = insertObservations(ctx, pool, caller, keys, bodies); err == nil {
				err = postgres.InWorkspace(ctx, pool, caller, func(tx pgx.Tx) error {
					for key, values := range bad {
						if _, err := tx.Exec(ctx, `insert into tartan.observations (workspace_id, library, key, body, record, observed_at) values ($1, 'observed', $2, `+values+`)
							on conflict (workspace_id, library, key) do nothing`, caller.WorkspaceID, key); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return nil, err
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return lines, nil
}

// messageOf is a line of observedLine without its header.
func messageOf(line string) []byte {
	return header.NewParser(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)).Parse([]byte(line)).Message
}

func (c *contest) settled(ctx context.Context) error {
	conn, err := c.database(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var left int
	if err := conn.QueryRow(ctx, "select count(*) from tartan.observations where state in ('waiting', 'claimed')").Scan(&left); err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("%d observations are left", left)
	}
	return nil
}

// requireFinishedOnce checks that each observation has a match or a reason, and not both, that its state says so, and that ledger and patterns agree.
func (c *contest) requireFinishedOnce(t *testing.T, ctx context.Context, bad int) {
	t.Helper()
	conn, err := c.database(ctx)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var all, wrong, matched, quarantined, ledger int
	require.NoError(t, conn.QueryRow(ctx, `select count(*), count(*) filter (where (m.observation_id is null) = (q.observation_id is null) or (o.state = 'matched') <> (m.observation_id is not null)),
			count(m.observation_id), count(q.observation_id), (select sum(matched + quarantined) from tartan.observation_batches)
		from tartan.observations o left join tartan.observation_matches m on m.workspace_id = o.workspace_id and m.observation_id = o.id
			left join tartan.observation_quarantine q on q.workspace_id = o.workspace_id and q.observation_id = o.id`).Scan(&all, &wrong, &matched, &quarantined, &ledger))
	require.Zero(t, wrong)
	require.Equal(t, 100+*observationsFlag/inserters*inserters, all)
	require.Equal(t, all, ledger)
	require.Equal(t, bad, quarantined)
	rows, err := conn.Query(ctx, `select coalesce(a.new_id, m.pattern_id), count(*) from tartan.observation_matches m
		left join tartan.pattern_aliases a on a.library_id = m.library_id and a.old_id = m.pattern_id group by 1`)
	require.NoError(t, err)
	byPattern := map[pattern.ID]int64{}
	var id pattern.ID
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
		byPattern[id] += n
		return nil
	})
	require.NoError(t, err)
	counts := c.counts(t, "observed")
	text, err := json.Marshal(byPattern)
	require.NoError(t, err)
	for id, n := range byPattern {
		require.GreaterOrEqual(t, counts[id], n, "more matches than lines of %s: %s", id, text)
	}
}
