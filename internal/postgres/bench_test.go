package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// timed runs fn b.N times and reports the middle and the slow end, which a mean hides.
func timed(b *testing.B, fn func(i int)) {
	b.Helper()
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		began := time.Now()
		fn(i)
		took = append(took, time.Since(began))
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkSingleRow is one row in a transaction as the caller, under row level security, synced to disk.
func BenchmarkSingleRow(b *testing.B) {
	db := testdb.Server(b)
	caller := db.Workspace(b, "one")
	m := newMiner(b, db.DB, caller, "app")
	m.commit(b, tally(noon, "server started"))
	b.Run("insert", func(b *testing.B) {
		seq := rand.IntN(1 << 30)
		timed(b, func(i int) {
			m.do(b, func(tx pgx.Tx) error {
				_, _, err := postgres.InsertChunk(b.Context(), tx, caller.WorkspaceID, postgres.Chunk{SourceID: m.source.ID, Seq: seq + i})
				return err
			})
		})
	})
	b.Run("read", func(b *testing.B) {
		timed(b, func(int) {
			m.do(b, func(tx pgx.Tx) error {
				_, err := postgres.LibraryByID(b.Context(), tx, m.lib.ID)
				return err
			})
		})
	})
}

// made is a chunk of n shapes from the number on, each with three minutes, and the change that brings its shapes.
func made(from, n int, at time.Time) ([]template.Counted, template.Change) {
	var counts []template.Counted
	var ch template.Change
	for i := from; i < from+n; i++ {
		id := template.ShapeID(uint64(i+1) * 0x9E3779B97F4A7C15)
		p := pattern.New(fmt.Sprintf("connection %d of service gateway from <*> to <*> closed after <*> ms", i), []pattern.Slot{{Name: "ip", Type: pattern.IP}})
		c := template.Counted{
			Shape: template.Shape{ID: id, Text: p.Template}, Lines: 30, First: at.UnixNano(), Last: at.Add(3 * time.Minute).UnixNano(),
			Example: p.Template + " 2026-11-23T12:00:00Z and some more text of a usual length", ExampleAt: at.UnixNano(),
		}
		for k := range int64(3) {
			c.Buckets = append(c.Buckets, template.Bucket{Start: at.Unix() + 60*k, Lines: 10})
		}
		counts = append(counts, c)
		ch.Assigned = append(ch.Assigned, template.Assignment{Given: id, Shape: id, Pattern: p.ID})
		ch.Added = append(ch.Added, c.Shape)
		ch.Moved = append(ch.Moved, template.Move{Shape: id, Pattern: p.ID})
		ch.Patterns = append(ch.Patterns, p)
	}
	return counts, ch
}

// BenchmarkCommit is the transaction that commits a chunk, without learning: known shapes in minutes counted before,
// known shapes in new minutes, and new shapes.
func BenchmarkCommit(b *testing.B) {
	db := testdb.Server(b)
	caller := db.Workspace(b, "one")
	m := newMiner(b, db.DB, caller, "app")
	m.do(b, func(tx pgx.Tx) error {
		return postgres.SaveRun(b.Context(), tx, postgres.Run{
			WorkspaceID: caller.WorkspaceID, WorkflowID: "process/test", Kind: "ProcessPatterns", State: postgres.RunRunning, LibraryID: m.lib.ID, SourceID: m.source.ID,
		})
	})
	commit := func(counts []template.Counted, ch template.Change) {
		m.seq++
		m.do(b, func(tx pgx.Tx) error {
			ctx, lines := b.Context(), int64(30*len(counts))
			fresh, _, err := postgres.InsertChunk(ctx, tx, caller.WorkspaceID, postgres.Chunk{SourceID: m.source.ID, Seq: m.seq, Lines: lines})
			require.True(b, fresh)
			if err != nil {
				return err
			}
			lib, err := postgres.LockLibrary(ctx, tx, m.lib.ID)
			if err != nil {
				return err
			}
			revision, err := postgres.SaveChange(ctx, tx, lib, ch, "process/test", noon)
			if err != nil {
				return err
			}
			if err := postgres.AddCounts(ctx, tx, lib, revision, counts, ch.Assigned, m.source.ID); err != nil {
				return err
			}
			return postgres.AddRunProgress(ctx, tx, "process/test", postgres.Run{Lines: lines, ChunksDone: 1})
		})
	}
	shapes, minute := 0, 0
	counts, ch := made(shapes, 300, noon)
	shapes += 300
	commit(counts, ch)
	known := template.Change{Assigned: ch.Assigned}
	b.Run("300 known, same minutes", func(b *testing.B) { timed(b, func(int) { commit(counts, known) }) })
	b.Run("300 known, new minutes", func(b *testing.B) {
		timed(b, func(int) {
			minute += 3
			later, _ := made(0, 300, noon.Add(time.Duration(minute)*time.Minute))
			commit(later, known)
		})
	})
	b.Run("5000 new", func(b *testing.B) {
		timed(b, func(int) {
			counts, ch := made(shapes, 5000, noon)
			shapes += 5000
			commit(counts, ch)
		})
	})
	m.check(b)
}

// BenchmarkCommitValues is what it adds to a commit that 300 shapes of four columns, with 100 lines each, bring their values.
func BenchmarkCommitValues(b *testing.B) {
	db := testdb.Server(b)
	m := newMiner(b, db.DB, db.Workspace(b, "one"), "app")
	lines := func(at time.Time) (out []logLine) {
		rnd := rand.New(rand.NewPCG(1, 1))
		for i := range 30_000 {
			out = append(out, logLine{at.Add(time.Duration(i) * 10 * time.Millisecond), fmt.Sprintf("service %c%c%c answered %x from 10.0.%d.%d status=%d in %.2fms",
				'a'+i%20, 'a'+i/20%15, 'x', rnd.Uint64(), rnd.IntN(256), rnd.IntN(256), 200+rnd.IntN(5), 20*rnd.ExpFloat64())})
		}
		return out
	}
	with := valueTally(nil, lines(noon))
	bare := slices.Clone(with)
	for i := range bare {
		bare[i].Values = nil
	}
	m.commit(b, with)
	b.Run("without", func(b *testing.B) { timed(b, func(int) { m.commit(b, bare) }) })
	b.Run("same hour", func(b *testing.B) { timed(b, func(int) { m.commit(b, with) }) })
	hours := 0
	b.Run("new hour", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			hours++
			next := valueTally(nil, lines(noon.Add(time.Duration(hours)*time.Hour)))
			b.StartTimer()
			m.commit(b, next)
		}
	})
	m.check(b)
	m.do(b, func(tx pgx.Tx) error {
		var rows, body int64
		err := tx.QueryRow(b.Context(), `select count(*), sum(length(body)) from tartan.slot_values`).Scan(&rows, &body)
		b.Logf("%d rows, %d bytes each", rows, body/rows)
		return err
	})
}
