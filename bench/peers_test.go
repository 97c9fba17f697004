package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/faceair/drain"
	loki "github.com/grafana/loki/v3/pkg/pattern/drain"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/template"
)

type system struct {
	name     string
	messages [][]byte
	truth    []string
}

func systems(t testing.TB) []system {
	t.Helper()
	dir := os.Getenv("TARTAN_EVAL_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data", "loghub")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.content"))
	require.NoError(t, err)
	if len(paths) == 0 {
		t.Skipf("no evaluation data in %s: set TARTAN_EVAL_DATA", dir)
	}
	var out []system
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		ids, err := os.ReadFile(strings.TrimSuffix(path, ".content") + ".gtid")
		require.NoError(t, err)
		out = append(out, system{
			name:     strings.TrimSuffix(filepath.Base(path), ".content"),
			messages: bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n")),
			truth:    strings.Split(strings.TrimSuffix(string(ids), "\n"), "\n"),
		})
	}
	return out
}

// miners give each message the id of its group.
var miners = []struct {
	name string
	mine func(messages [][]byte) []string
}{
	{"tartan", func(messages [][]byte) []string {
		mined := template.NewOffline(template.TallyOptions{})
		for _, m := range messages {
			mined.Add(m, m, 0)
		}
		of := mined.Assign()
		out := make([]string, len(messages))
		for i := range out {
			id, _ := of(i)
			out[i] = string(id)
		}
		return out
	}},
	{"faceair/drain", func(messages [][]byte) []string {
		d := drain.New(drain.DefaultConfig())
		clusters := make([]*drain.LogCluster, len(messages))
		for i, m := range messages {
			clusters[i] = d.Train(string(m))
		}
		ids := map[*drain.LogCluster]string{}
		out := make([]string, len(messages))
		for i, c := range clusters {
			if ids[c] == "" {
				ids[c] = strconv.Itoa(len(ids) + 1)
			}
			out[i] = ids[c]
		}
		return out
	}},
	{"grafana/loki", func(messages [][]byte) []string {
		d := loki.New("", loki.DefaultConfig(), nil, loki.FormatUnknown, nil)
		clusters := make([]*loki.LogCluster, len(messages))
		for i, m := range messages {
			clusters[i] = d.Train(string(m), 0)
		}
		ids := map[*loki.LogCluster]string{}
		out := make([]string, len(messages))
		for i, c := range clusters {
			if c == nil { // it takes no line of fewer than four tokens: each is a group of its own
				out[i] = "line " + strconv.Itoa(i)
				continue
			}
			if ids[c] == "" {
				ids[c] = strconv.Itoa(len(ids) + 1)
			}
			out[i] = ids[c]
		}
		return out
	}},
}

// score returns GA and FGA of predicted groups against true ones.
func score(truth, pred []string) (ga, fga float64) {
	size := map[string]int{}
	for _, t := range truth {
		size[t]++
	}
	groups := map[string]map[string]int{}
	for i, p := range pred {
		if groups[p] == nil {
			groups[p] = map[string]int{}
		}
		groups[p][truth[i]]++
	}
	lines, exact := 0, 0
	for _, g := range groups {
		if len(g) > 1 {
			continue
		}
		for t, n := range g {
			if size[t] == n {
				lines += n
				exact++
			}
		}
	}
	return float64(lines) / float64(len(truth)), 2 * float64(exact) / float64(len(groups)+len(size))
}

func TestQualityBesidePeers(t *testing.T) {
	all := systems(t)
	for _, m := range miners {
		var sumGA, sumFGA float64
		for _, s := range all {
			ga, fga := score(s.truth, m.mine(s.messages))
			t.Logf("%-14s %-10s GA %.4f FGA %.4f", m.name, s.name, ga, fga)
			sumGA += ga
			sumFGA += fga
		}
		n := float64(len(all))
		t.Logf("%-14s %-10s GA %.4f FGA %.4f", m.name, "mean", sumGA/n, sumFGA/n)
	}
}

// BenchmarkMine mines all systems in one stream, again and again, on one core: lines/s include giving each line its pattern.
func BenchmarkMine(b *testing.B) {
	var messages [][]byte
	for range 20 {
		for _, s := range systems(b) {
			messages = append(messages, s.messages...)
		}
	}
	for _, m := range miners {
		b.Run(m.name, func(b *testing.B) {
			for b.Loop() {
				m.mine(messages)
			}
			b.ReportMetric(float64(len(messages))*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
