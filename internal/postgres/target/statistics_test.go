package target

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Sizes come from the catalogue: near the truth when analysed, by the pages before, and of partitions together.
func TestStatisticsAreNearTheTruth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	exec := func(sql string) {
		_, err := w.db.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`create table shop.days (d date not null, n int) partition by range (d);
create table shop.days_1 partition of shop.days for values from ('2020-01-01') to ('2021-01-01');
create table shop.days_2 partition of shop.days for values from ('2021-01-01') to ('2022-01-01');
insert into shop.days select '2020-06-01'::date + i % 400, i from generate_series(1, 4000) i;
create table "Odd" (a int);
create table fresh (a text) with (autovacuum_enabled = off);
insert into fresh select repeat('x', 70) from generate_series(1, 3000)`)
	exec("analyze shop.orders; analyze shop.days_1; analyze shop.days_2")
	exec("insert into shop.orders (customer, amount) select 1 + i % 500, 1 from generate_series(1, 5000) i") // since it was analysed
	list, err := w.tgt.Statistics(t.Context())
	require.NoError(t, err)
	got := map[string]TableStatistics{}
	for _, s := range list {
		got[s.Schema+"."+s.Name] = s
	}
	for name, rows := range map[string]float64{"shop.orders": 10000, "shop.days": 4000, "public.fresh": 3000} {
		require.InEpsilon(t, rows, got[name].Rows, 0.3, name)
		require.Greater(t, got[name].Bytes, got[name].Rows*20, name)
	}
	require.Zero(t, got["public.Odd"].Rows)
	require.True(t, got["public.Odd"].Visible)
	require.False(t, got["shop.orders"].Visible)
	require.NotContains(t, got, "pg_catalog.pg_class")
	require.Equal(t, got["shop.days_1"].Bytes+got["shop.days_2"].Bytes, got["shop.days"].Bytes)
}
