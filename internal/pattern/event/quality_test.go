package event

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// kindOfEvent is a statement that prints events: its message and its fields.
type kindOfEvent struct {
	message string
	keys    []string
	values  []func() any
}

// makers returns the values that a field may have, by the type of the field.
func makers(rnd *rand.Rand, word func() string) []func() any {
	few := []string{word(), word(), word()}
	var names []string
	for range 12 {
		names = append(names, word())
	}
	return []func() any{
		func() any { return rnd.IntN(100_000) },
		func() any { return rnd.Float64() * 100 },
		func() any { return rnd.IntN(2) == 0 },
		func() any { return fmt.Sprintf("%016x", rnd.Uint64()) },
		func() any { return word() + " " + word() },
		func() any { return word() },
		func() any { return names[rnd.IntN(len(names))] },
		func() any { return "/" + word() + "/" + word() + "?q=" + word() },
		func() any { return fmt.Sprintf("%s-%d.%s.example:%d", word(), rnd.IntN(99), word(), rnd.IntN(9000)) },
		func() any { return few[rnd.IntN(len(few))] + "(" + word() + ")" },
		func() any {
			out := []any{}
			for range rnd.IntN(5) {
				out = append(out, word())
			}
			return out
		},
		func() any {
			out := []any{}
			for range 1 + rnd.IntN(4) {
				out = append(out, map[string]any{"id": rnd.IntN(99), "name": word()})
			}
			return out
		},
		func() any { return map[string]any{"id": rnd.IntN(99), "name": word(), "at": nil} },
	}
}

// randomKinds makes statements that share most of their keys and print values of any type.
func randomKinds(rnd *rand.Rand, n int) (kinds []kindOfEvent) {
	word := func() string {
		b := make([]byte, 3+rnd.IntN(7))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz"[rnd.IntN(26)]
		}
		return string(b)
	}
	var pool []string
	for range 30 {
		pool = append(pool, []string{word(), word() + "_" + word(), word() + "." + word()}[rnd.IntN(3)])
	}
	of := map[string][]func() any{}
	seen := map[string]bool{}
	for len(kinds) < n {
		k := kindOfEvent{}
		if rnd.IntN(4) > 0 {
			k.message = word() + " " + word() + " " + word()
		}
		set := map[string]bool{}
		for range 2 + rnd.IntN(7) {
			set[pool[rnd.IntN(len(pool))]] = true
		}
		name := k.message
		for _, key := range pool {
			if !set[key] {
				continue
			}
			if of[key] == nil {
				of[key] = makers(rnd, word)
				of[key] = of[key][rnd.IntN(len(of[key])):][:1]
			}
			k.keys, k.values = append(k.keys, key), append(k.values, of[key][0])
			name += " " + key
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		kinds = append(kinds, k)
		if twin := k; k.message != "" && rnd.IntN(4) == 0 { // the same but for a word
			twin.message = k.message[:len(k.message)-1] + "xx"
			kinds = append(kinds, twin)
		}
	}
	return kinds
}

// accuracy is the share of events whose group has exactly the right events, and the F1 of exact groups.
func accuracy(truth []int, got []pattern.ID) (ga, fga float64) {
	type pair struct {
		truth int
		got   pattern.ID
	}
	both, ofTruth, ofGot := map[pair]int{}, map[int]int{}, map[pattern.ID]int{}
	for i := range truth {
		both[pair{truth[i], got[i]}]++
		ofTruth[truth[i]]++
		ofGot[got[i]]++
	}
	lines, groups := 0, 0
	for p, n := range both {
		if ofTruth[p.truth] == n && ofGot[p.got] == n {
			lines += n
			groups++
		}
	}
	return float64(lines) / float64(len(truth)), 2 * float64(groups) / float64(len(ofTruth)+len(ofGot))
}

// Random events of known statements: what is mined is the statements. Seeds were not tuned on.
func TestQualityOnRandomEvents(t *testing.T) {
	t.Parallel()
	sumGA, sumFGA := 0.0, 0.0
	const runs = 12
	for seed := range uint64(runs) {
		rnd := rand.New(rand.NewPCG(3000+seed, 0))
		kinds := randomKinds(rnd, []int{10, 40, 120}[seed%3])
		mined := template.NewOffline(template.TallyOptions{})
		var f Flattener
		var truth []int
		for i := range 40 * len(kinds) {
			at := min(int(float64(len(kinds))*math.Pow(rnd.Float64(), 2)), len(kinds)-1)
			e := map[string]any{}
			if kinds[at].message != "" {
				e["msg"] = kinds[at].message
			}
			for k, key := range kinds[at].keys {
				e[key] = kinds[at].values[k]()
			}
			body, err := json.Marshal(e)
			require.NoError(t, err)
			message, ok := f.Flatten(body)
			require.True(t, ok)
			mined.Add(message, body, int64(i))
			truth = append(truth, at)
		}
		got := make([]pattern.ID, len(truth))
		of := mined.Assign()
		for i := range got {
			got[i], _ = of(i)
		}
		ga, fga := accuracy(truth, got)
		t.Logf("seed %d, %3d statements, %5d events: GA %.4f FGA %.4f", 3000+seed, len(kinds), len(truth), ga, fga)
		sumGA, sumFGA = sumGA+ga, sumFGA+fga
	}
	t.Logf("mean GA %.4f FGA %.4f", sumGA/runs, sumFGA/runs)
	require.GreaterOrEqual(t, sumGA/runs, .99)
	require.GreaterOrEqual(t, sumFGA/runs, .98)
}
