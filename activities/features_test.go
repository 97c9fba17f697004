package activities

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/multiline"
)

// counted is what a tally is told: how often a line came at a time.
type counted map[string]int

func (c counted) Add(message, line []byte, at int64) {
	c[fmt.Sprintf("%d %q %q", at, message[:min(len(message), 200)], line[:min(len(line), 200)])]++
}

var arrival = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// byHand folds the lines of a whole file and gives each record its time, looking at the whole file.
func byHand(body []byte, fold bool) (out counted, sum Extracted) {
	type row struct {
		line, message []byte
		offset, at    int64
		timed         bool
	}
	var rows []row
	var folder multiline.Folder
	var record multiline.Record
	r, p := lines.NewReader(bytes.NewReader(body), 0), header.NewParser(arrival)
	for line, ok := r.Next(); ok; line, ok = r.Next() {
		h := p.Parse(line)
		if r.Truncated() {
			sum.Truncated++
		}
		if text, head := multiline.LineOf(line, h); fold && folder.Continues(text, r.Offset(), head) {
			sum.Continued++
			record.Add(line, folder.Exception(), r.Offset())
			last := &rows[len(rows)-1]
			last.line, last.message = bytes.Clone(record.Text), bytes.Clone(record.Message)
			continue
		}
		record.Start(h.Message, line, r.Offset())
		rows = append(rows, row{bytes.Clone(line), bytes.Clone(h.Message), r.Offset(), h.Time, h.HasTime})
	}
	out = counted{}
	for i, row := range rows {
		if !row.timed {
			sum.Untimed++
			row.at = arrival.UnixNano()
			found := false
			for j := i - 1; j >= 0 && row.offset-rows[j].offset <= near && !found; j-- {
				if found = rows[j].timed; found {
					row.at = rows[j].at
				}
			}
			for j := i + 1; j < len(rows) && rows[j].offset-row.offset <= near && !found; j++ {
				if found = rows[j].timed; found {
					row.at = rows[j].at
				}
			}
		}
		out.Add(row.message, row.line, row.at)
	}
	sum.Lines, sum.Bytes = int64(len(rows)), int64(len(body))
	return out, sum
}

// randomLog makes a body of about size bytes: timed and untimed lines, stack traces, long silences and very long lines.
func randomLog(rnd *rand.Rand, size int) []byte {
	var b bytes.Buffer
	timed := rnd.IntN(3)
	at := arrival.Add(-time.Hour)
	for b.Len() < size {
		switch n := rnd.IntN(100); {
		case timed == 2 || timed == 1 && n < 50:
			at = at.Add(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			fmt.Fprintf(&b, "%s request %d served", at.Format(time.RFC3339), rnd.IntN(1000))
		case n < 52:
			b.WriteString(strings.Repeat("x", rnd.IntN(200_000)))
		case n < 54:
			timed = rnd.IntN(3)
		case n < 62:
			fmt.Fprintf(&b, "java.io.Oops%dException: no\n\tat a.b.C.d(C.java:%d)\n\t... 2 more\nCaused by: a.B\n\tat a.b.D.e(D.java:1)", rnd.IntN(3), rnd.IntN(50))
		case n < 66:
			fmt.Fprintf(&b, "panic: %d\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:%d +0x1", rnd.IntN(3), rnd.IntN(50))
		case n < 70:
			fmt.Fprintf(&b, "Traceback (most recent call last):\n  File \"a.py\", line %d, in f\n    f()\nValueError: no", rnd.IntN(50))
		case n < 78:
			text := []string{"\tat a.b.C.d(C.java:1)", "panic: x", "goroutine 1 [running]:", "main.main()", "\t/a.go:1 +0x1", "Traceback (most recent call last):", "  File \"a.py\", line 1, in f", "    f()", "KeyError", "plain"}
			for range rnd.IntN(30) {
				fmt.Fprintf(&b, "%s stderr F %s\n", at.Format(time.RFC3339), text[rnd.IntN(len(text))])
			}
		case n < 80:
			fmt.Fprintf(&b, "plain %d", rnd.IntN(50))
		default:
			fmt.Fprintf(&b, "\tat frame %d \xff\x00 of the stack", rnd.IntN(1000))
		}
		if rnd.IntN(5) == 0 {
			b.WriteByte('\r')
		}
		b.WriteByte('\n')
		if rnd.IntN(50) == 0 {
			b.WriteByte('\n')
		}
	}
	if rnd.IntN(2) == 0 {
		b.WriteString("the last line has no end")
	}
	return b.Bytes()
}

func TestChunksDoNotChangeWhatIsCounted(t *testing.T) {
	ctx := context.Background()
	store, err := bucket.Open(ctx, "file://"+t.TempDir())
	require.NoError(t, err)
	for range 12 {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 0))
		body := randomLog(rnd, 1+rnd.IntN(1<<rnd.IntN(21)))
		o, err := store.PutBytes(ctx, body)
		require.NoError(t, err)
		fold := rnd.IntN(4) > 0
		want, whole := byHand(body, fold)
		for range 3 {
			size := 1 + rnd.Int64N(1<<(8+rnd.IntN(14)))
			size = max(size, int64(len(body))/200)
			got, sum := counted{}, Extracted{}
			for start := int64(0); start < o.Size; start += size {
				c := newChunk(ExtractInput{Key: o.Key, Start: start, End: min(start+size, o.Size), ReceivedAt: arrival, Fold: fold}, store, got)
				require.NoError(t, c.read(ctx))
				sum.Lines, sum.Bytes = sum.Lines+c.lines, sum.Bytes+c.bytes
				sum.Untimed, sum.Truncated = sum.Untimed+c.clock.untimed, sum.Truncated+c.truncated
				sum.Continued += c.continued
				require.LessOrEqual(t, cap(c.clock.kept), 2<<20, "waiting lines are bounded")
			}
			require.Equal(t, whole, sum, "seed %d, chunks of %d", seed, size)
			require.Equal(t, want, got, "seed %d, chunks of %d", seed, size)
		}
	}
}

func TestStretchReadsOn(t *testing.T) {
	ctx := context.Background()
	store, err := bucket.Open(ctx, "file://"+t.TempDir())
	require.NoError(t, err)
	body := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	o, err := store.PutBytes(ctx, body)
	require.NoError(t, err)
	c := &chunk{in: ExtractInput{Key: o.Key}, bucket: store}
	for _, first := range []int64{1, 16, further, o.Size - 7, o.Size, o.Size + 1} {
		r := c.source(ctx, 7, first)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.True(t, bytes.Equal(body[7:], got), "first range of %d bytes", first)
	}
	c.in.Key = bucket.Key(strings.Repeat("0", 64))
	_, err = io.ReadAll(c.source(ctx, 0, 1))
	require.ErrorIs(t, err, bucket.ErrNotFound)
}
