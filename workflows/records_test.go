package workflows_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// tracedLog makes n records, some with a stack trace, and says how many lines go on with one.
func tracedLog(rnd *rand.Rand, n int) (body []byte, continued int) {
	var b bytes.Buffer
	at := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	for range n {
		at = at.Add(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		fmt.Fprintf(&b, "%s ERROR cannot save order %d\n", at.Format(time.RFC3339), rnd.IntN(1000))
		if rnd.IntN(3) == 0 {
			continue
		}
		trace := "java.io.IOException: disk full\n"
		if rnd.IntN(2) == 0 {
			trace = "java.lang.IllegalStateException: closed\n"
		}
		for range rnd.IntN(20) {
			trace += fmt.Sprintf("\tat shop.Store.f%d(Store.java:%d)\n", rnd.IntN(5), rnd.IntN(300))
		}
		if rnd.IntN(2) == 0 {
			trace += "Caused by: java.net.SocketException: reset\n\t... 12 more\n"
		}
		continued += strings.Count(trace, "\n")
		b.WriteString(trace)
	}
	return b.Bytes(), continued
}

// ledger returns the chunks of the only source of a library.
func (w *world) ledger(library string) (source postgres.Source, chunks []postgres.Chunk) {
	w.t.Helper()
	ctx := context.Background()
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, w.caller.WorkspaceID, library)
		if err != nil {
			return err
		}
		sources, err := postgres.Sources(ctx, tx, lib.ID, 2)
		if err != nil {
			return err
		}
		require.Len(w.t, sources, 1)
		source = sources[0]
		chunks, err = postgres.Chunks(ctx, tx, source.ID)
		return err
	})
	return source, chunks
}

func TestTracesFoldInAnyChunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	body, continued := tracedLog(rnd, 600)
	want := oracle(t, body)
	require.Greater(t, len(want), 2, "the exceptions of a trace tell patterns apart")
	for i := range 3 {
		name := fmt.Sprint("web", i)
		in := w.input(name, body, 300+rnd.Int64N(30_000))
		got := w.mine(w.agents(), in)
		require.EqualValues(t, 600, got.Lines)
		require.EqualValues(t, continued, got.Continued)
		require.Zero(t, got.Untimed, "lines that go on need no time of their own")
		require.Equal(t, want, w.counts(name), "seed %d, chunks of %d", seed, in.ChunkBytes)
		require.EqualValues(t, continued, w.projection(id(in)).Continued)

		source, chunks := w.ledger(name)
		require.True(t, source.Folded)
		var lines, more int64
		for _, c := range chunks {
			lines, more = lines+c.Lines, more+c.Continued
		}
		require.EqualValues(t, bytes.Count(body, []byte("\n")), lines+more, "no line is lost")
		require.EqualValues(t, continued, more)
	}
}

// What a pattern shows is a whole record.
func TestExampleKeepsTheTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, text := context.Background(), "2026-11-01T10:00:00Z ERROR cannot save\na.b.OopsException: no\n\tat a.b.C.d(C.java:1)"
	in := workflows.ProcessPatternsInput{Caller: w.caller, Library: "one", Source: workflows.SourceRef{Name: "x", Inline: []byte(text + "\n")}}
	require.EqualValues(t, 2, w.mine(w.agents(), in).Continued)
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, w.caller.WorkspaceID, "one")
		require.NoError(t, err)
		rows, _, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: lib.ID, Limit: 10})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, "cannot save exception=a.b.OopsException", rows[0].Template)
		examples, err := postgres.Examples(ctx, tx, lib.ID, rows[0].ID, 10)
		require.NoError(t, err)
		require.Equal(t, text, examples[0].Line)
		return nil
	})
}

func TestNoFold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, continued := tracedLog(rand.New(rand.NewPCG(31, 0)), 200)
	in := w.input("web", body, 9000)
	in.NoFold = true
	got := w.mine(w.agents(), in)
	require.EqualValues(t, 200+continued, got.Lines)
	require.Zero(t, got.Continued)
	w.counts("web")

	in.NoFold = false // counted already, and as it was
	again := w.mine(w.agents(), in)
	require.True(t, again.Already)
	require.EqualValues(t, 200+continued, again.Lines)
	source, _ := w.ledger("web")
	require.False(t, source.Folded)
}
