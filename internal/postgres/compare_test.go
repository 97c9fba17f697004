package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/windows"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// said commits n lines of a message, one a second from the time on.
func (m *miner) said(t testing.TB, at time.Time, n int, message string) {
	t.Helper()
	m.commit(t, tally(at, slices.Repeat([]string{message}, n)...))
}

// compare returns the changes by template, after checking their order.
func (m *miner) compare(t testing.TB, c postgres.Compare) (map[string]windows.Kind, *postgres.Comparison) {
	t.Helper()
	c.Library = m.lib.ID
	var found *postgres.Comparison
	m.do(t, func(tx pgx.Tx) (err error) {
		found, err = postgres.CompareWindows(t.Context(), tx, c)
		return err
	})
	kinds := map[string]windows.Kind{}
	for i, w := range found.Changes {
		kinds[w.Template] = w.Kind
		require.True(t, i == 0 || found.Changes[i-1].Significance >= w.Significance)
	}
	return kinds, found
}

func TestCompareWindowsFindsWhatChanged(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	base, later := noon, noon.Add(2*time.Hour)
	// Every message once a second; the windows are of an hour.
	for _, c := range []struct {
		at      time.Time
		n       int
		message string
	}{
		{base, 400, "steady traffic seen"},
		{later, 410, "steady traffic seen"},
		{base, 50, "disk nearly full"},
		{later, 300, "disk nearly full"},
		{base, 300, "cache warmed up"},
		{later, 30, "cache warmed up"},
		{base, 200, "heartbeat received fine"},
		{later, 100, "panic while writing"},
		{later, 2, "odd thing happened"},
		{base.Add(-24 * 90 * time.Hour), 1, "once in a season"},
		{later, 1, "once in a season"},
		{base, 3, "too little to be missed"},
	} {
		m.said(t, c.at, c.n, c.message)
	}
	c := postgres.Compare{BaseFrom: base, BaseTo: base.Add(time.Hour), From: later, To: later.Add(time.Hour)}
	kinds, all := m.compare(t, c)
	require.Equal(t, map[string]windows.Kind{
		"disk nearly full": windows.Up, "cache warmed up": windows.Down, "heartbeat received fine": windows.Gone, "panic while writing": windows.New,
		"odd thing happened": windows.New, "once in a season": windows.Rare,
	}, kinds)
	require.Equal(t, postgres.BaselinePrevious, all.Baseline)
	require.Equal(t, 1, all.Past, "the library has no lines in the hours before the base")
	// 2 (√200.375 - √.375) / √2, see package windows.
	require.Equal(t, "heartbeat received fine", all.Changes[0].Template)
	require.InDelta(t, 19.153, all.Changes[0].Significance, 0.01)
	c.MinLines = 3
	kinds, _ = m.compare(t, c)
	require.Len(t, kinds, 4, "two are below the floor")
	c.MinLines, c.Limit, c.Offset = 0, 2, 1
	_, page := m.compare(t, c)
	require.Equal(t, []string{all.Changes[1].Template, all.Changes[2].Template}, []string{page.Changes[0].Template, page.Changes[1].Template})
	err := postgres.InWorkspace(ctx, db.Pool, m.caller, func(tx pgx.Tx) error {
		_, err := postgres.CompareWindows(context.WithoutCancel(ctx), tx, postgres.Compare{Library: m.lib.ID, BaseFrom: later, BaseTo: base, From: base, To: later})
		return err
	})
	require.Error(t, err)
}

// Mondays are busy and the other days are not: only the season knows that this Monday is as any.
func TestSeasonalBaseline(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	day := 24 * time.Hour
	monday := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for week := range 4 {
		m.said(t, monday.Add(-time.Duration(week)*7*day), 600, "weekly report sent")
		m.said(t, monday.Add(-time.Duration(week)*7*day+time.Hour), 300, "ordinary work done")
		if week > 0 {
			m.said(t, monday.Add(-time.Duration(week)*7*day+2*time.Hour), 1, "backup of everything finished")
		}
	}
	m.said(t, monday.Add(-day), 20, "weekly report sent")
	m.said(t, monday.Add(-day), 300, "ordinary work done")
	window := postgres.Compare{From: monday, To: monday.Add(8 * time.Hour)}
	kinds, found := m.compare(t, window)
	require.Equal(t, windows.Up, kinds["weekly report sent"], "against the hours before")
	require.Equal(t, postgres.BaselinePrevious, found.Baseline)

	window.Baseline = postgres.BaselineSeasonal
	kinds, found = m.compare(t, window)
	require.Equal(t, map[string]windows.Kind{"backup of everything finished": windows.Silent}, kinds)
	require.Equal(t, postgres.BaselineSeasonal, found.Baseline)
	require.Equal(t, 3, found.Past)
	require.Len(t, found.Base, 3, "the fourth week has no line")
	require.Equal(t, monday.Add(-7*day), found.Base[0].From)

	window.From, window.To = monday.Add(-40*day), monday.Add(-21*day+8*time.Hour)
	_, found = m.compare(t, window)
	require.Equal(t, postgres.BaselinePrevious, found.Baseline, "there is no week before the first")
}

func TestAPatternThatStopsIsSilentWithinTheWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	m := newMiner(t, db, db.Workspace(t, "one"), "app")
	for minute := -180; minute < 60; minute++ {
		at := noon.Add(time.Duration(minute) * time.Minute)
		m.said(t, at, 1, "still going strong")
		if minute < 20 {
			m.said(t, at, 1, "beat of the heart")
		}
	}
	kinds, found := m.compare(t, postgres.Compare{From: noon, To: noon.Add(time.Hour)})
	require.Equal(t, windows.Silent, kinds["beat of the heart"])
	require.NotContains(t, kinds, "still going strong")
	require.Equal(t, 40*time.Minute, found.Changes[0].Quiet)
	require.Equal(t, 3, found.Past)
}
