package template

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// score returns GA and FGA of predicted groups against true ones, as logpai/loghub-2.0 defines them.
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
		if len(g) == 1 {
			for t, n := range g {
				if size[t] == n {
					lines += n
					exact++
				}
			}
		}
	}
	ga = float64(lines) / float64(len(truth))
	return ga, 2 * float64(exact) / float64(len(groups)+len(size))
}

func mine(messages [][]byte) []string {
	o := NewOffline(TallyOptions{})
	for _, m := range messages {
		o.Add(m, m, 0)
	}
	of := o.Assign()
	out := make([]string, len(messages))
	for i := range out {
		id, text := of(i)
		out[i] = string(id) + "\t" + text
	}
	return out
}

// evalData finds the evaluation data, which are not part of this repository.
func evalData(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TARTAN_EVAL_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data", "loghub")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no evaluation data: set TARTAN_EVAL_DATA to a folder of <system>.content and <system>.gtid files (%v)", err)
	}
	return dir
}

func readSystem(t testing.TB, path string) (messages [][]byte, truth []string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	ids, err := os.ReadFile(strings.TrimSuffix(path, ".content") + ".gtid")
	require.NoError(t, err)
	messages = bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
	truth = strings.Split(strings.TrimSuffix(string(ids), "\n"), "\n")
	require.Len(t, truth, len(messages))
	return messages, truth
}

func TestQualityOnPublicLogs(t *testing.T) {
	dir := evalData(t)
	paths, err := filepath.Glob(filepath.Join(dir, "*.content"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var all [][]byte
	var allTruth []string
	var sumGA, sumFGA float64
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".content")
		messages, truth := readSystem(t, path)
		pred := mine(messages)
		if out := os.Getenv("TARTAN_EVAL_OUT"); out != "" {
			require.NoError(t, os.WriteFile(filepath.Join(out, name+".pred"), []byte(strings.Join(pred, "\n")+"\n"), 0o600))
		}
		ga, fga := score(truth, pred)
		t.Logf("%-12s GA %.4f FGA %.4f", name, ga, fga)
		sumGA += ga
		sumFGA += fga
		all = append(all, messages...)
		for _, id := range truth {
			allTruth = append(allTruth, name+id)
		}
	}
	n := float64(len(paths))
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(all), func(i, j int) {
		all[i], all[j] = all[j], all[i]
		allTruth[i], allTruth[j] = allTruth[j], allTruth[i]
	})
	ga, fga := score(allTruth, mine(all))
	t.Logf("%-12s GA %.4f FGA %.4f", "MEAN", sumGA/n, sumFGA/n)
	t.Logf("%-12s GA %.4f FGA %.4f", "shuffled", ga, fga)
	require.GreaterOrEqual(t, sumGA/n, 0.97)
	require.GreaterOrEqual(t, sumFGA/n, 0.93)
	require.GreaterOrEqual(t, ga, 0.96)
	require.GreaterOrEqual(t, fga, 0.93)
	if os.Getenv("TARTAN_EVAL_DUMP") != "" {
		dump(t, all, allTruth)
	}
}

// dump prints where the groups of the shuffled stream differ from the truth.
func dump(t *testing.T, messages [][]byte, truth []string) {
	pred := mine(messages)
	of := map[string]map[string]int{}
	to := map[string]map[string]int{}
	sample := map[string]string{}
	for i, p := range pred {
		if of[p] == nil {
			of[p] = map[string]int{}
		}
		if to[truth[i]] == nil {
			to[truth[i]] = map[string]int{}
		}
		of[p][truth[i]]++
		to[truth[i]][p]++
		sample[p] = string(messages[i])
	}
	var out []string
	for p, ts := range of {
		if len(ts) > 1 {
			out = append(out, fmt.Sprintf("MERGED %v %s", ts, p))
		}
	}
	for id, ps := range to {
		if len(ps) > 1 {
			s := fmt.Sprintf("SPLIT %s into %d:", id, len(ps))
			k := 0
			for p, n := range ps {
				if k++; k <= 6 {
					s += fmt.Sprintf("\n      %d %s", n, p)
				}
			}
			out = append(out, s)
		}
	}
	slices.Sort(out)
	for _, s := range out {
		fmt.Println(s)
	}
}

func TestQualityOnRandomStatements(t *testing.T) {
	var sumGA, sumFGA float64
	const streams = 20
	for seed := range uint64(streams) {
		n := []int{40, 120, 400}[seed%3]
		g := newGenerator(seed, n)
		var messages [][]byte
		var truth []string
		for range 30 * n {
			text, stmt := g.line()
			messages = append(messages, []byte(text))
			truth = append(truth, fmt.Sprint(stmt))
		}
		ga, fga := score(truth, mine(messages))
		t.Logf("seed %2d, %3d statements: GA %.4f FGA %.4f", seed, n, ga, fga)
		sumGA += ga
		sumFGA += fga
		if os.Getenv("TARTAN_EVAL_DUMP") == fmt.Sprint("seed", seed) {
			dump(t, messages, truth)
		}
	}
	t.Logf("mean    GA %.4f FGA %.4f", sumGA/streams, sumFGA/streams)
	require.GreaterOrEqual(t, sumGA/streams, 0.96)
	require.GreaterOrEqual(t, sumFGA/streams, 0.93)
}
