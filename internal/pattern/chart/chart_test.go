package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

var morning = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

// wave are counts that rise and fall.
func wave(n int, step time.Duration, high float64) []Point {
	out := make([]Point, n)
	for i := range out {
		out[i] = Point{morning.Add(time.Duration(i) * step), int64(high * (1 + math.Sin(float64(i)/5)) / 2)}
		if i%11 == 10 {
			out[i].Lines = 0
		}
	}
	return out
}

func pictures() map[string][]byte {
	return map[string][]byte{
		"timeline_bars.svg": Timeline("", `Failed password for <*> from <*> port <*> ssh2 & "more" <script>`, wave(48, 30*time.Minute, 1800)),
		"timeline_area.svg": Timeline("disk errors", "disk <*> failed", wave(400, time.Hour, 7)),
		"timeline_one.svg":  Timeline("", "once", []Point{{morning, 1}}),
		"timeline_none.svg": Timeline("", "never <*>", wave(10, time.Minute, 0)),
		"sparkline.svg":     Sparkline("disk <*> failed", wave(40, time.Hour, 90)),
		"overview.svg": Overview("library default", []Row{
			{Template: "Accepted publickey for <*> from <*> port <*> ssh2: RSA <*> and something long behind it", Points: wave(40, time.Hour, 90_000)},
			{Name: "disk errors", Template: "disk <*> failed", Points: wave(40, time.Hour, 12)},
			{Template: "quiet", Points: wave(40, time.Hour, 0)},
		}),
		"overview_none.svg": Overview("library empty", nil),
	}
}

func TestPicturesAreGolden(t *testing.T) {
	for name, got := range pictures() {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "run: go test ./internal/pattern/chart -update")
		require.Equal(t, string(want), string(got), name)
		wellFormed(t, got)
	}
}

// wellFormed checks that a picture is XML without script, links and handlers, and says what it shows.
func wellFormed(t testing.TB, svg []byte) {
	t.Helper()
	d, seen := xml.NewDecoder(bytes.NewReader(svg)), map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, "%s", svg)
		if e, ok := token.(xml.StartElement); ok {
			seen[e.Name.Local]++
			require.Contains(t, []string{"svg", "title", "desc", "style", "rect", "path", "text"}, e.Name.Local)
			for _, a := range e.Attr {
				require.False(t, strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href", a.Name.Local)
				require.NotContains(t, a.Value, "NaN")
			}
		}
	}
	require.Equal(t, 1, seen["title"])
	require.Equal(t, 1, seen["desc"])
}

func TestTicks(t *testing.T) {
	for most, want := range map[int64][]int64{
		0: {0, 1}, 1: {0, 1}, 3: {0, 1, 2, 3}, 7: {0, 2, 4, 6, 8}, 11: {0, 5, 10, 15}, 1800: {0, 500, 1000, 1500, 2000}, 100: {0, 20, 40, 60, 80, 100},
	} {
		require.Equal(t, want, ticks(most), most)
	}
	require.GreaterOrEqual(t, ticks(math.MaxInt64)[1], int64(math.MaxInt64))
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1k", 1500: "1.5k", 2_000_000: "2M", 1234: "1234"} {
		require.Equal(t, want, short(n))
	}
	require.Equal(t, "1,234,567", Count(1234567))
	require.Equal(t, "-1,234", Count(-1234))
	require.Equal(t, "12", Count(12))
}

func TestTimes(t *testing.T) {
	for _, span := range []time.Duration{time.Second, time.Minute, 7 * time.Minute, time.Hour, day, 3 * day, 60 * day, 900 * day, 20000 * day} {
		got := times(morning, morning.Add(span))
		require.NotEmpty(t, got, span)
		require.LessOrEqual(t, len(got), 10, span)
	}
	got := times(morning, morning.Add(day))
	require.Equal(t, "06:00", got[0].text)
	require.Equal(t, "09:00", got[1].text)
}

func FuzzPictures(f *testing.F) {
	f.Add("a <b> & \"c\" \x00\xff", int64(5), 10)
	f.Add("]]>", int64(-1), 0)
	f.Fuzz(func(t *testing.T, text string, lines int64, n int) {
		n = min(max(n, 0), 500)
		points := make([]Point, n)
		for i := range points {
			points[i] = Point{morning.Add(time.Duration(i) * time.Minute), lines % (1 << 40) / int64(i+1)}
		}
		wellFormed(t, Timeline(text, text, points))
		wellFormed(t, Sparkline(text, points))
		wellFormed(t, Overview(text, []Row{{Template: text, Points: points}}))
	})
}
