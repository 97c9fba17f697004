package multiline

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkMiddle reads a stream from each of its lines on, Reach bytes early, and wants the answers of one who read all of it. Where
// lines start is up to the caller, so that short streams reach far.
func checkMiddle(t *testing.T, lines [][]byte, heads []Head, at []int64) {
	t.Helper()
	var whole Folder
	want := make([]string, len(lines))
	for i, line := range lines {
		want[i] = fmt.Sprintf("%t %q", whole.Continues(line, at[i], heads[i]), whole.Exception())
		if e := whole.Exception(); e != nil {
			require.Contains(t, string(line), string(e))
		}
		if heads[i] != Bare || i == 0 {
			require.Equal(t, `false ""`, want[i])
		}
	}
	for i := 1; i < len(lines); i++ {
		middle, from := Middle(), i
		for from > 0 && at[i]-at[from-1] <= Reach {
			from--
		}
		for k := from; k < i; k++ {
			middle.Continues(lines[k], at[k], heads[k])
		}
		for k := i; k < min(i+3, len(lines)); k++ {
			got := fmt.Sprintf("%t %q", middle.Continues(lines[k], at[k], heads[k]), middle.Exception())
			require.Equal(t, want[k], got, "line %d %q, read from %d on, with %d to learn from: %q", k, lines[k], i, i-from, lines[from:k])
		}
	}
}

// pool is all lines of the tables.
func pool() (out []string) {
	for _, c := range traces {
		out = append(out, strings.Split(c.text, "\n")...)
	}
	for _, text := range apart {
		out = append(out, strings.Split(text, "\n")...)
	}
	return append(out, "", "", "  x", "}", "plain", "2026-11-24T10:00:00Z z")
}

func headOf(line string) Head {
	switch {
	case strings.HasPrefix(line, "2026"):
		return Timed
	case strings.HasPrefix(line, "ERROR"):
		return Leveled
	}
	return Bare
}

func TestMiddleOfAStream(t *testing.T) {
	t.Parallel()
	all := pool()
	for range 300 {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 0))
		var lines [][]byte
		var heads []Head
		var at []int64
		offset := int64(0)
		gap := int64(1) << (8 + rnd.IntN(11))
		for from := 0; len(lines) < 150; {
			if rnd.IntN(3) == 0 {
				from = rnd.IntN(len(all))
			}
			line := all[from%len(all)]
			from++
			lines, heads, at = append(lines, []byte(line)), append(heads, headOf(line)), append(at, offset)
			offset += 1 + rnd.Int64N(gap)
		}
		checkMiddle(t, lines, heads, at)
	}
}

// statement makes a random record of a known number of lines.
func statement(rnd *rand.Rand, timed bool) (text string, lines int) {
	if rnd.IntN(2) == 0 {
		if timed {
			return fmt.Sprintf("2026-11-24T10:00:00Z INFO served %d", rnd.IntN(100)), 1
		}
		return fmt.Sprintf("served %d", rnd.IntN(100)), 1
	}
	for {
		c := traces[rnd.IntN(len(traces))]
		if strings.HasPrefix(c.text, "2026") == timed && !strings.HasPrefix(c.text, "Traceback") {
			return c.text, strings.Count(c.text, "\n") + 1
		}
	}
}

func TestRandomRecords(t *testing.T) {
	t.Parallel()
	for range 200 {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 0))
		var b strings.Builder
		var want []int
		timed := rnd.IntN(2) == 0
		for range 60 {
			text, n := statement(rnd, timed)
			b.WriteString(text + "\n")
			want = append(want, n)
		}
		require.Equal(t, want, fold(Folder{}, b.String()).records, "seed %d", seed)
	}
}

func FuzzFolder(f *testing.F) {
	for _, c := range traces {
		f.Add(c.text, uint16(1))
	}
	for _, text := range apart {
		f.Add(text, uint16(5000))
	}
	f.Fuzz(func(t *testing.T, text string, stride uint16) {
		var lines [][]byte
		var heads []Head
		var at []int64
		for i, line := range slices.Collect(strings.SplitSeq(text, "\n")) {
			if i == 200 {
				break
			}
			lines, heads, at = append(lines, []byte(line)), append(heads, headOf(line)), append(at, int64(i)*(1+64*int64(stride)))
		}
		checkMiddle(t, lines, heads, at)
		var r Record
		for i, line := range lines {
			if i == 0 {
				r.Start(line, line, at[i])
			} else {
				_, named := markOf(line)
				r.Add(line, named, at[i])
			}
		}
		require.LessOrEqual(t, len(r.Text), MaxText)
		require.Equal(t, len(lines), r.Lines)
	})
}

func BenchmarkContinues(b *testing.B) {
	for name, text := range map[string]string{"headers": "2026-11-24T10:00:00Z INFO served 12 in 5 ms to 10.0.0.1", "plain": "served 12 in 5 ms to 10.0.0.1", "frame": "\tat shop.Store.save(Store.java:12)"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var f Folder
			line, h := []byte(text), headOf(text)
			at := int64(0)
			for b.Loop() {
				f.Continues(line, at, h)
				at += 50
			}
		})
	}
}
