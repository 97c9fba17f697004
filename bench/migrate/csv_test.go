package migrate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// BenchmarkCSV copies a file of which one row in a hundred is bad, in one of six ways. Exactly those must be in quarantine.
func BenchmarkCSV(b *testing.B) {
	n := rows()
	s := testdb.Server(b)
	path := filepath.Join(b.TempDir(), "orders.csv")
	bad, size := badCSV(b, path, n)
	sql := func(s string) []migration.Statement { return []migration.Statement{{SQL: s}} }
	plan := &migration.Plan{Name: "csv", SHA256: "csv", Settings: migration.Settings{MaxRejected: int64(len(bad))}, Steps: []migration.Step{
		{Name: "table", Kind: migration.KindSQL, Up: sql("create table public.customers (id int primary key); insert into public.customers select generate_series(0, 999); create table public.orders (id int primary key, customer int not null references public.customers, amount numeric(10,2) not null check (amount > 0), note text, created timestamptz not null)")},
		{Name: "rows", Kind: migration.KindCopy, Copy: &migration.Copy{From: path, Format: "csv", Table: "public.orders"}},
	}}
	for b.Loop() {
		url := database(b, s, "shop")
		tgt, err := target.Open(b.Context(), url)
		require.NoError(b, err)
		tgt.Copier = &target.Importer{File: func(_ context.Context, name string) (target.File, error) {
			return target.File{Size: size, At: func(offset int64) (io.ReadCloser, error) {
				f, err := os.Open(name)
				if err == nil {
					_, err = f.Seek(offset, io.SeekStart)
				}
				return f, err
			}}, nil
		}}
		mig := uuid.New()
		require.NoError(b, tgt.Begin(b.Context(), mig, plan))
		require.NoError(b, tgt.Apply(b.Context(), mig, plan, 0, func(target.Progress) {}))
		began := time.Now()
		require.NoError(b, tgt.Apply(b.Context(), mig, plan, 1, func(target.Progress) {}))
		took := time.Since(began)
		found := map[int]bool{}
		for _, line := range one[[]int](b, url, "select array_agg((position->>'line')::int) from tartan_migrate.rejected") {
			found[line] = true
		}
		require.Equal(b, bad, found)
		require.EqualValues(b, n-len(bad), one[int64](b, url, "select count(*) from public.orders"))
		b.ReportMetric(float64(n)/took.Seconds(), "rows/s")
		b.ReportMetric(float64(len(bad)), "bad")
		b.Logf("%d rows, %d MB, %d bad, took %s, load %s", n, size>>20, len(bad), took.Round(time.Millisecond), load())
		exec1(b, s.URL, "drop database shop with (force)")
	}
	b.ReportMetric(0, "ns/op")
}

// badCSV writes the file and returns the lines of its bad rows.
func badCSV(b *testing.B, path string, n int) (bad map[int]bool, size int64) {
	rng := rand.New(rand.NewPCG(1, 2))
	f, err := os.Create(path)
	require.NoError(b, err)
	w := bufio.NewWriter(f)
	bad = map[int]bool{}
	fmt.Fprintln(w, "id,customer,amount,note,created")
	for i := range n {
		id, customer, amount, note, created := fmt.Sprint(i), fmt.Sprint(rng.IntN(1000)), fmt.Sprintf("%d.%02d", 1+rng.IntN(999), rng.IntN(100)), fmt.Sprintf(`"a note, number ""%d"" of many"`, i), "2026-11-25T08:00:00Z"
		if i > 0 && rng.IntN(100) == 0 {
			bad[i+2] = true
			switch rng.IntN(6) {
			case 0:
				id = "0" // is there
			case 1:
				customer = "1000" // is not
			case 2:
				amount = "-1"
			case 3:
				created = "2026-02-30"
			case 4:
				note = `"never closed`
			case 5:
				created += ",more"
			}
		}
		fmt.Fprintf(w, "%s,%s,%s,%s,%s\n", id, customer, amount, note, created)
	}
	require.NoError(b, w.Flush())
	info, err := f.Stat()
	require.NoError(b, err)
	require.NoError(b, f.Close())
	return bad, info.Size()
}
