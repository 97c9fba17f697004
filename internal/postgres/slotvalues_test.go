package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/values"
	"github.com/tartan-ai/tartan/internal/pattern/windows"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// logLine is a message at a time.
type logLine struct {
	at      time.Time
	message string
}

func valueTally(index *template.Index, lines []logLine) []template.Counted {
	tl := template.NewTally(template.TallyOptions{Values: true, Index: index})
	for _, l := range lines {
		tl.Add([]byte(l.message), []byte(l.message), l.at.UnixNano())
	}
	body, err := tl.MarshalBinary()
	if err != nil {
		panic(err)
	}
	counted, err := template.ReadTally(body) // as they come through the bucket
	if err != nil {
		panic(err)
	}
	return counted
}

// report reads the slots of the pattern with the most lines.
func (m *miner) report(t testing.TB, from, to time.Time) *postgres.SlotReport {
	t.Helper()
	var out *postgres.SlotReport
	m.do(t, func(tx pgx.Tx) error {
		rows, _, err := postgres.Patterns(t.Context(), tx, postgres.ListPatterns{Library: m.lib.ID, Limit: 1})
		require.NoError(t, err)
		out, err = postgres.SlotValues(t.Context(), tx, m.known.Index(), m.lib.ID, rows[0].ID, from, to)
		return err
	})
	return out
}

// stored reads all rows of slot_values of the library.
func (m *miner) stored(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	m.do(t, func(tx pgx.Tx) error {
		rows, _ := tx.Query(context.Background(), `select format('%s %s %s %s', shape_id, span, extract(epoch from start)::bigint, lines), body from tartan.slot_values where library_id = $1`, m.lib.ID)
		var key string
		var body []byte
		_, err := pgx.ForEachRow(rows, []any{&key, &body}, func() error { out[key] = append([]byte(nil), body...); return nil })
		return err
	})
	return out
}

func TestValuesOfSlots(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	var lines []logLine
	for i := range 1000 {
		lines = append(lines, logLine{noon.Add(time.Duration(i) * 10 * time.Second), fmt.Sprintf("login of user%d took %dms from 10.0.0.%d", i%7, 100+i%50, i%300)})
	}
	m.commit(t, valueTally(nil, lines[:400]))
	m.commit(t, valueTally(nil, lines[400:]))
	m.check(t)

	r := m.report(t, time.Time{}, time.Time{})
	require.EqualValues(t, 1000, r.Lines)
	require.Zero(t, r.Unplaced)
	require.Equal(t, noon, r.From)
	require.Equal(t, noon.Add(3*time.Hour), r.To)
	require.Len(t, r.Slots, 3)
	users, took, ip := r.Slots[0], r.Slots[1], r.Slots[2]

	top, missed := users.Top(10)
	require.Zero(t, missed)
	require.Len(t, top, 7)
	require.Equal(t, values.Frequent{Value: "0", Count: 143}, top[0], "without the literal prefix user")

	n, unit := took.Numbers()
	require.Equal(t, values.Milliseconds, unit)
	require.EqualValues(t, 1000, n.Count())
	require.InDelta(t, 100, n.Min(), 0)
	require.InDelta(t, 149, n.Max(), 0)
	require.InDelta(t, 124.5, n.Mean(), 1e-9)
	require.InEpsilon(t, 124, n.Quantile(.5), n.Error())

	distinct, e := ip.Distinct()
	require.InDelta(t, 300, distinct, 4*float64(e))

	r = m.report(t, noon.Add(time.Hour), noon.Add(90*time.Minute))
	require.EqualValues(t, 360, r.Lines, "whole hours")
	require.Equal(t, noon.Add(time.Hour), r.From)
	require.Equal(t, noon.Add(2*time.Hour), r.To)
}

// Words that are slots count as often as their shapes; when a column is absorbed, what its shapes held moves along.
func TestValuesOfWordsAndFolds(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	word := func(i int) string { return fmt.Sprintf("%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676) }
	var lines []logLine
	for i := range 200 {
		lines = append(lines, logLine{noon.Add(time.Duration(i) * time.Minute), fmt.Sprintf("session of %s opened after %d seconds", word(i), i)})
	}
	m.commit(t, valueTally(nil, lines))
	r := m.report(t, time.Time{}, time.Time{})
	distinct, _ := r.Slots[0].Distinct()
	require.EqualValues(t, 200, r.Lines)
	require.InDelta(t, 200, distinct, 40)

	lines = nil
	for i := range 400 {
		lines = append(lines, logLine{noon.Add(time.Duration(i) * time.Minute), fmt.Sprintf("session of %s opened after %d seconds", word(i), i)})
	}
	m.commit(t, valueTally(m.known.Index(), lines))
	lib := m.check(t)
	require.EqualValues(t, 1, lib.Shapes, "absorbed")
	r = m.report(t, time.Time{}, time.Time{})
	require.EqualValues(t, 600, r.Lines)
	require.EqualValues(t, 600, r.Slots[0].Count())
	distinct, _ = r.Slots[0].Distinct()
	require.InDelta(t, 400, distinct, 80)
	n, _ := r.Slots[1].Numbers()
	require.EqualValues(t, 600, n.Count())
	require.InDelta(t, 200*199/2+400*399/2, n.Sum(), 1e-6)
}

// However a log is cut into chunks and in which order they are committed, the same rows are stored.
func TestStoredValuesDoNotDependOnOrder(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var lines []logLine
	at := noon
	for range 3000 {
		at = at.Add(time.Duration(rnd.ExpFloat64() * float64(time.Hour)))
		lines = append(lines, logLine{at, fmt.Sprintf("GET /a/b status=%d bytes=%d took %.3fs", 200+rnd.IntN(20), rnd.IntN(1e6), rnd.ExpFloat64())})
	}
	db := testdb.New(t)
	caller := db.Workspace(t, "one")
	var want map[string][]byte
	for round := range 3 {
		m := newMiner(t, db, caller, fmt.Sprintf("app%d", round))
		chunks := [][]logLine{lines}
		if round > 0 {
			chunks = nil
			for rest := lines; len(rest) > 0; {
				n := min(1+rnd.IntN(900), len(rest))
				chunks, rest = append(chunks, rest[:n]), rest[n:]
			}
			rnd.Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
		}
		for _, c := range chunks {
			m.commit(t, valueTally(nil, c))
		}
		m.check(t)
		got := m.stored(t)
		require.EqualValues(t, len(lines), m.report(t, time.Time{}, time.Time{}).Lines, "seed %d", seed)
		spans := map[int64]int{}
		for key := range got {
			var shape, span int64
			_, err := fmt.Sscan(key, &shape, &span)
			require.NoError(t, err)
			spans[span]++
		}
		require.Len(t, spans, 3, "hours, days and months")
		require.LessOrEqual(t, spans[values.Hour], 72)
		require.LessOrEqual(t, spans[values.Day], 31)
		if want == nil {
			want = got
			continue
		}
		require.Len(t, got, len(want))
		for key, body := range want {
			require.Contains(t, got, key, "seed %d", seed)
			start := parseStart(t, key)
			require.Equal(t, exactly(t, start, body), exactly(t, start, got[key]), "seed %d, row %s", seed, key)
		}
	}
}

func parseStart(t *testing.T, key string) (start int64) {
	var shape, span int64
	_, err := fmt.Sscan(key, &shape, &span, &start)
	require.NoError(t, err)
	return start
}

// exactly shows what of a row may not depend on the order in which lines came: all but top values of which some were dropped.
func exactly(t *testing.T, start int64, body []byte) (out []string) {
	p := values.Period{Start: start}
	require.NoError(t, p.ReadBody(body))
	for _, c := range p.Columns {
		distinct, e := c.Summary.Distinct()
		first, firstAt := c.Summary.First()
		last, lastAt := c.Summary.Last()
		text := fmt.Sprint(c.Index, c.Summary.Count(), distinct, e, first, firstAt, last, lastAt)
		if n, unit := c.Summary.Numbers(); n != nil {
			text += fmt.Sprint(" ", unit, n.Count(), n.Min(), n.Max(), n.Sum(), n.Error())
			for q := 0.; q <= 1; q += .125 {
				text += fmt.Sprint(" ", n.Quantile(q))
			}
		}
		if top, missed := c.Summary.Top(100); missed == 0 {
			text += fmt.Sprint(top)
		}
		out = append(out, text)
	}
	return out
}

// A chunk that is committed twice, or fails half-way, is summed up once, like its counts.
func TestValuesAreCountedOnce(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	counted := valueTally(nil, []logLine{{noon, "took 5 ms"}, {noon, "took 7 ms"}})
	m.commit(t, counted)
	m.seq-- // the same chunk again
	m.commit(t, counted)
	m.seq++
	lost := fmt.Errorf("connection lost")
	require.ErrorIs(t, postgres.InWorkspace(t.Context(), db.Pool, m.caller, func(tx pgx.Tx) error {
		require.NoError(t, m.commitIn(t, tx, counted))
		return lost
	}), lost)
	r := m.report(t, time.Time{}, time.Time{})
	require.EqualValues(t, 2, r.Lines)
	require.EqualValues(t, 2, r.Slots[0].Count())
	m.check(t)

	m.do(t, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `delete from tartan.libraries where id = $1`, m.lib.ID)
		return err
	})
	require.Empty(t, m.stored(t), "gone with the library")
}

func TestSlotChanges(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	db := testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	var lines []logLine
	for i := range 4000 {
		later := i >= 2000
		took, status, at := 20*rnd.ExpFloat64()+5, []int{200, 200, 200, 404}[rnd.IntN(4)], noon.Add(time.Duration(i)*20*time.Second)
		if later {
			took *= 2
			if rnd.IntN(50) == 0 {
				status = 503
			}
		}
		lines = append(lines,
			logLine{at, fmt.Sprintf("request served: status=%d took %.2fms", status, took)},
			logLine{at, fmt.Sprintf("queue length is %d now", rnd.IntN(100))},
			logLine{at, fmt.Sprintf("order %d placed", 1_000_000+i)})
	}
	for len(lines) > 0 {
		n := min(2500, len(lines))
		m.commit(t, valueTally(nil, lines[:n]))
		lines = lines[n:]
	}
	half := noon.Add(2000 * 20 * time.Second).Truncate(time.Hour)
	ask := postgres.Compare{BaseFrom: noon, BaseTo: half, From: half, To: noon.Add(22*time.Hour + 14*time.Minute), Index: m.known.Index()}
	_, found := m.compare(t, ask)
	require.False(t, found.SlotsCut)
	changes := found.Changes
	require.Len(t, changes, 2, "seed %d: neither the queue, which is as before, nor the numbers of orders: %+v", seed, changes)
	byKind := map[windows.Kind]postgres.WindowChange{}
	for _, c := range changes {
		byKind[c.Kind] = c
		require.Contains(t, c.Template, "request served")
	}
	drift := byKind[postgres.SlotDrift]
	require.Equal(t, values.Milliseconds, drift.Slot.Unit)
	require.InDelta(t, 2, drift.Slot.After.P50/drift.Slot.Before.P50, .35)
	fresh := byKind[postgres.SlotValued]
	require.Equal(t, "status", fresh.Slot.Slot.Name)
	require.Len(t, fresh.Slot.New, 1)
	require.Equal(t, "503", fresh.Slot.New[0].Value)
	require.Equal(t, fresh.Slot.New[0].Count, fresh.After)
	require.Greater(t, fresh.Significance, 3.)
	require.Greater(t, drift.Significance, fresh.Significance)

	ask.MinLines = 3000
	_, found = m.compare(t, ask)
	require.Empty(t, found.Changes, "too few values")
	ask.MinLines, ask.Limit, ask.Offset = 0, 1, 1
	_, found = m.compare(t, ask)
	require.Equal(t, changes[1:], found.Changes)
	ask.Index, ask.Offset = nil, 0
	_, found = m.compare(t, ask)
	require.Empty(t, found.Changes)
}
