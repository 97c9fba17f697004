package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the kill tests; 0 draws one")
	killsFlag = flag.Int("kills", 10, "how many times each process is killed")
	linesFlag = flag.Int("lines", 120_000, "lines of each source mined under a kill")
)

// TestKilledProcessesLoseNothing kills one process after the other in the midst of mining. Whatever is killed and
// whenever, each line is counted once: the counts are those of a single-threaded reader of the same files.
func TestKilledProcessesLoseNothing(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	t.Logf("seed %d: go test ./internal/e2e -run %s -seed %d", seed, t.Name(), seed)
	s := newStack(t)
	require.NoError(t, s.ask(true)) // makes the probe's library
	for n, role := range []string{"worker", "mcp", "postgres", "temporal"} {
		t.Run(role, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			library, want := "killed-"+role, newOracle()
			dir := t.TempDir()
			var slowest time.Duration
			for round := range *killsFlag {
				source := writeSource(t, dir, seed+uint64(n*100+round), *linesFlag)
				id := s.mine(t, library, source)
				time.Sleep(time.Duration(r.IntN(700)) * time.Millisecond)
				s.kill(t, role)
				slowest = max(slowest, s.untilGoodAnswer(t, role == "worker" || role == "temporal"))
				s.waitCompleted(t, id)
				want.read(t, source)
				require.NoError(t, os.Remove(source))
			}
			t.Logf("%s killed %d times, slowest good answer %s after a kill", role, *killsFlag, slowest)
			requireSameCounts(t, want.counts(), s.counts(t, library))
		})
	}
}

// TestKilledStackLosesNothing kills `tartan up` itself in the midst of mining, with all that hangs on it.
func TestKilledStackLosesNothing(t *testing.T) {
	s := newStack(t)
	dir, want := t.TempDir(), newOracle()
	for round := range 3 {
		source := writeSource(t, dir, uint64(9000+round), *linesFlag)
		id := s.mine(t, "killed-stack", source)
		time.Sleep(time.Duration(200+250*round) * time.Millisecond)
		st, err := local.ReadState(s.dir)
		require.NoError(t, err)
		require.NoError(t, s.cmd.Process.Kill())
		for _, pid := range pids(st) {
			waitGone(t, pid, 20*time.Second)
		}
		t.Logf("ready %s after a SIGKILL of the whole stack", s.up(t))
		s.waitCompleted(t, id)
		want.read(t, source)
	}
	requireSameCounts(t, want.counts(), s.counts(t, "killed-stack"))
}

// mine starts mining the file and returns the workflow id. The command is tried again while a process that it needs
// is down: the same file in the same library is the same workflow.
func (s *stack) mine(t *testing.T, library, path string) string {
	t.Helper()
	var started struct {
		Results []struct {
			WorkflowID string `json:"workflow_id"`
		} `json:"results"`
	}
	s.eventually(t, time.Minute, func() error {
		out, err := s.try("patterns", "mine", path, "--library", library, "--detach", "--output", "json")
		if err != nil {
			return err
		}
		return json.Unmarshal(out, &started)
	})
	require.Len(t, started.Results, 1)
	return started.Results[0].WorkflowID
}

func (s *stack) waitCompleted(t *testing.T, id string) {
	t.Helper()
	s.eventually(t, 2*time.Minute, func() error {
		out, err := s.try("workflows", "show", id, "--output", "json")
		if err != nil {
			return err
		}
		var run struct {
			State string `json:"state"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(out, &run); err != nil {
			return err
		}
		require.NotContains(t, []string{"failed", "canceled", "terminated"}, run.State, "workflow %s: %s", id, run.Error)
		if run.State != "completed" {
			return fmt.Errorf("workflow %s is %s", id, run.State)
		}
		return nil
	})
}

// untilGoodAnswer is how long it takes until the server answers over MCP, with a whole workflow if durably is set.
func (s *stack) untilGoodAnswer(t *testing.T, durably bool) time.Duration {
	t.Helper()
	began := time.Now()
	s.eventually(t, 30*time.Second, func() error { return s.ask(durably) })
	return time.Since(began)
}

// counts is how many lines each pattern of the library has, once what is stored has been found consistent.
func (s *stack) counts(t *testing.T, library string) map[pattern.ID]int64 {
	t.Helper()
	s.requireConsistent(t, library)
	var listed struct {
		Patterns []struct {
			ID    pattern.ID `json:"id"`
			Lines int64      `json:"lines"`
		} `json:"patterns"`
	}
	require.NoError(t, json.Unmarshal(s.run(t, "patterns", "list", "--library", library, "--limit", "10000", "--output", "json"), &listed))
	out := map[pattern.ID]int64{}
	for _, p := range listed.Patterns {
		out[p.ID] = p.Lines
	}
	return out
}

// requireConsistent checks that the counts per shape, pattern, library and ledger are the same counts.
func (s *stack) requireConsistent(t *testing.T, library string) {
	t.Helper()
	ctx := context.Background()
	st, err := local.ReadState(s.dir)
	require.NoError(t, err)
	pool, err := postgres.Open(ctx, st.DatabaseURL)
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, postgres.AsService(ctx, pool, func(tx pgx.Tx) error {
		var id uuid.UUID
		if err := tx.QueryRow(ctx, "select id from tartan.libraries where name = $1", library).Scan(&id); err != nil {
			return err
		}
		return postgres.CheckLibrary(ctx, tx, id)
	}))
}

func (s *stack) eventually(t *testing.T, within time.Duration, try func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", within, strings.TrimSpace(err.Error()))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
