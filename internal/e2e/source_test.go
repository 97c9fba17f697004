package e2e

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/multiline"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// statements are what a made-up service logs; verbs stand for typed values.
var statements = []func(*rand.Rand) string{
	func(r *rand.Rand) string {
		return fmt.Sprintf("INFO gateway: request %08x served in %d ms", r.Uint32(), r.IntN(900))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("WARN pool: connection to 10.%d.%d.%d:5432 refused, attempt %d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(9))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("ERROR store: cannot open /srv/data/%x/part-%05d: no such file", r.Uint32(), r.IntN(99999))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("INFO session: user u%d signed in from 192.0.2.%d", r.IntN(1e6), r.IntN(256))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("INFO cache: level=%d hits=%d misses=%d", r.IntN(3), r.IntN(1e6), r.IntN(1e4))
	},
	func(r *rand.Rand) string { return "INFO scheduler: nothing to do" },
	func(r *rand.Rand) string {
		return fmt.Sprintf("DEBUG gc: freed %d bytes in %d generations", r.Int32(), r.IntN(4))
	},
}

// writeSource makes a file of n log lines of one service, the same for the same seed.
func writeSource(t *testing.T, dir string, seed uint64, n int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	path := filepath.Join(dir, fmt.Sprintf("service-%d.log", seed))
	f, err := os.Create(path)
	require.NoError(t, err)
	w := bufio.NewWriterSize(f, 1<<20)
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(seed%1000) * time.Hour)
	for i := range n {
		at = at.Add(time.Duration(r.IntN(20)) * time.Millisecond)
		text := statements[r.IntN(len(statements))](r)
		if i%997 == 0 { // a line without a time of its own, and one that goes on with the line before
			fmt.Fprintf(w, "handler %d is slow\n\tat shop.Handler.run(Handler.java:%d)\n", r.IntN(50), r.IntN(90))
			continue
		}
		fmt.Fprintf(w, "%s %s\n", at.Format("2006-01-02T15:04:05.000Z"), text)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
	return path
}

// oracle counts the lines of each pattern of the files with one goroutine, one library and no storage.
type oracle struct {
	tally *template.Tally
	lines int64
}

func newOracle() *oracle { return &oracle{tally: template.NewTally(template.TallyOptions{})} }

func (o *oracle) read(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	p, r := header.NewParser(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)), lines.NewReader(f, 0)
	var folder multiline.Folder
	for line, ok := r.Next(); ok; line, ok = r.Next() {
		h := p.Parse(line)
		if text, head := multiline.LineOf(line, h); folder.Continues(text, r.Offset(), head) {
			continue // these name no exceptions
		}
		o.tally.Add(h.Message, line, 0)
		o.lines++
	}
	require.NoError(t, r.Err())
}

// counts is how many lines each pattern has once all files are known.
func (o *oracle) counts() map[pattern.ID]int64 {
	counted := o.tally.Counted()
	shapes := make([]template.Shape, len(counted))
	for i, c := range counted {
		shapes[i] = c.Shape
	}
	library := template.NewLibrary(template.Options{})
	library.Learn(shapes)
	out := map[pattern.ID]int64{}
	for _, c := range counted {
		id, _ := library.PatternOf(c.ID)
		out[id] += c.Lines
	}
	return out
}

func requireSameCounts(t *testing.T, want, got map[pattern.ID]int64) {
	t.Helper()
	if !maps.Equal(want, got) {
		require.Equal(t, want, got)
	}
}
