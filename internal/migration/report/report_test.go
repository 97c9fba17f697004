package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
)

var update = flag.Bool("update", false, "write the golden files")

func sample() Report {
	at := func(s float64) time.Time {
		return time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
	}
	return Report{
		Plan: "orders <status> & more", Target: "shop", Migration: "0198", SHA256: "abc", State: "completed", Started: at(0), Finished: at(7*24*3600 + 80),
		Steps: []Step{
			{Name: "add status", Kind: "sql", State: "done", Started: at(0), Finished: at(0.012), Locks: []migration.Lock{{Table: "public.orders", Mode: "ACCESS EXCLUSIVE"}}},
			{Name: "fill status", Kind: "backfill", State: "done", Started: at(0.1), Finished: at(60), Rows: 10_000_000, Touched: []migration.Touched{{Table: "public.orders", Updated: 10_000_000}, {Table: "public.x", Inserted: 1, Deleted: 2, Rewrites: true}}},
			{Name: "index | it", Kind: "index", State: "failed", Started: at(60), Finished: at(75), Undo: Span{"", at(7*24*3600 + 20), at(7*24*3600 + 50)}, Note: "canceling statement\ndue to lock timeout"},
			{Name: "drop the old column", Kind: "drop", State: "pending"},
		},
		Phases: []Span{{"approval", at(75), at(3600)}, {"soak", at(3600), at(7 * 24 * 3600)}},
		Before: []migration.Timing{{Name: "open orders", MS: 10, Shape: "Seq Scan orders"}, {Name: "gone", MS: 1}},
		After:  []migration.Timing{{Name: "open orders", MS: 2, Shape: "Index Scan orders_status"}, {Name: "new", MS: 3, Shape: "Result"}},
		Slower: []string{"query x is slow"}, Findings: []migration.Finding{{Kind: "orphans", Path: "constraint c", Rows: 3, Text: "3 rows"}},
		Changes: []migration.Difference{{Path: "column public.orders.status", After: "type = text"}},
		Undone:  true, Notes: []string{"A note."},
	}
}

func TestReportsAreAsTheyWere(t *testing.T) {
	t.Parallel()
	r := sample()
	for name, got := range map[string][]byte{"report.md": r.Markdown(), "report.html": r.HTML(), "timeline.svg": r.Timeline()} {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "go test ./internal/migration/report -update")
	}
}

func TestThePictureIsXMLWithoutScript(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Plan, r.Steps[0].Name = "</svg><script>\x00\xff", strings.Repeat("<&\"", 30)
	for _, svg := range [][]byte{r.Timeline(), Report{Started: r.Started, Finished: r.Started}.Timeline()} {
		d := xml.NewDecoder(bytes.NewReader(svg))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if e, ok := token.(xml.StartElement); ok {
				require.Contains(t, []string{"svg", "title", "desc", "style", "rect", "path", "text"}, e.Name.Local)
			}
		}
	}
	require.NotContains(t, string(r.HTML()), "<script")
}

func TestARehearsalIsToldAsAReport(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	plan := &migration.Plan{Name: "p", SHA256: "s", Steps: []migration.Step{{Name: "a", Kind: migration.KindSQL}, {Name: "b", Kind: migration.KindIndex}, {Name: "c", Kind: migration.KindDrop}}}
	r := OfRehearsal(migration.Rehearsal{Clone: "template copy", Took: 1500 * time.Millisecond, Steps: []migration.RehearsedStep{
		{Name: "a", Kind: migration.KindSQL, Took: 20 * time.Millisecond, Undo: 5 * time.Millisecond, Touched: []migration.Touched{{Table: "t", Updated: 7}}},
		{Name: "b", Kind: migration.KindIndex, Took: time.Second, Fault: "no"},
	}}, plan, "shop", "id", began)
	require.Equal(t, "no", r.Why)
	require.Equal(t, []Step{
		{Name: "a", Kind: "sql", State: "done", Started: began, Finished: began.Add(20 * time.Millisecond), Rows: 7, Note: "undone in 5 ms", Touched: []migration.Touched{{Table: "t", Updated: 7}}},
		{Name: "b", Kind: "index", State: "failed", Note: "no", Started: began.Add(20 * time.Millisecond), Finished: began.Add(1020 * time.Millisecond)},
		{Name: "c", Kind: "drop", State: "pending"},
	}, r.Steps)
	require.Contains(t, string(r.Markdown()), "Rehearsed on a clone of the database (template copy, 1.5 s), which is gone.")
}

func TestLongWaitsLeaveRoomForTheSteps(t *testing.T) {
	t.Parallel()
	r := sample()
	s := newScale(r.Started, r.Finished, r.Phases)
	const room = float64(width - nameWidth - tookWidth)
	require.InDelta(t, nameWidth, s.x(r.Started), 0.01)
	require.InDelta(t, nameWidth+room, s.x(r.Finished), 0.01)
	fill := r.Steps[1]
	require.Greater(t, s.x(fill.Finished)-s.x(fill.Started), room/4, "a minute beside a week")
	soak := r.Phases[1]
	require.InDelta(t, room*waitShare, s.x(soak.Finished)-s.x(soak.Started), 0.01)
}
