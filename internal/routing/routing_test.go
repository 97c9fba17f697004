package routing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// world makes prompts and how well models answer them, by a rule that learners are not told.
type world struct {
	random *rand.Rand
	truth  func(topic, words, model int) float64 // chance of a good answer
	models int
	topics int
}

func (w world) prompt() (text string, topic, words int) {
	topic, words = w.random.IntN(w.topics), 8+w.random.IntN(60)
	var b strings.Builder
	for range words {
		if w.random.Float64() < 0.3 {
			fmt.Fprintf(&b, "topic%c%cword ", 'a'+topic, 'a'+w.random.IntN(12))
		} else {
			fmt.Fprintf(&b, "plain%c%c ", 'a'+w.random.IntN(26), 'a'+w.random.IntN(10))
		}
	}
	return b.String(), topic, words
}

// run trains on n prompts, tests on 800, and returns the quality of routing, of the best single model and what perfect
// knowledge of the rule would give.
func (w world) run(n int, seed uint64) (routed, single, perfect float64) {
	l := NewLearner(seed)
	for i := range n {
		text, topic, words := w.prompt()
		f := Featurize(text)
		for m := range w.models {
			q := 0.0
			if w.random.Float64() < w.truth(topic, words, m) {
				q = 1
			}
			l.Learn(&Outcome{Decision: fmt.Sprint(i), Model: fmt.Sprint(m), Features: f, Quality: q, Judged: true})
		}
	}
	ids := make([]string, w.models)
	for m := range ids {
		ids[m] = fmt.Sprint(m)
	}
	sums := make([]float64, w.models)
	estimates := make([]Estimate, w.models)
	for range 800 {
		text, topic, words := w.prompt()
		l.Estimates(&Request{Features: Featurize(text)}, ids, estimates)
		chosen, best := 0, 0.0
		for m := range ids {
			t := w.truth(topic, words, m)
			sums[m] += t / 800
			best = max(best, t)
			if estimates[m].Quality > estimates[chosen].Quality {
				chosen = m
			}
		}
		routed += w.truth(topic, words, chosen) / 800
		perfect += best / 800
	}
	for _, s := range sums {
		single = max(single, s)
	}
	return routed, single, perfect
}

func TestLearnerAdaptsToWhatQualityDependsOn(t *testing.T) {
	for name, c := range map[string]struct {
		truth func(topic, words, model int) float64
		part  float64 // of the gap between the best single model and perfect knowledge
	}{
		"topic":           {func(topic, _, m int) float64 { return 0.35 + 0.5*b2f(topic%3 == m) }, 0.8},
		"length":          {func(_, words, m int) float64 { return 0.5 + 0.4*b2f((words < 38) == (m == 0)) - 0.3*b2f(m == 2) }, 0.6},
		"topic and noise": {func(topic, _, m int) float64 { return 0.45 + 0.2*b2f(topic%3 == m) }, 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(7)
			w := world{rand.New(rand.NewPCG(seed, 1)), c.truth, 3, 6}
			routed, single, perfect := w.run(1500, seed)
			t.Logf("seed %d: routed %.3f, best single %.3f, perfect %.3f", seed, routed, single, perfect)
			require.Greater(t, routed, single+c.part*(perfect-single))
		})
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func TestWithNothingToLearnTheBestSingleModelIsTaken(t *testing.T) {
	for seed := range uint64(3) {
		w := world{rand.New(rand.NewPCG(seed, 2)), func(_, _, m int) float64 { return []float64{0.6, 0.66, 0.55}[m] }, 3, 6}
		routed, single, _ := w.run(1000, seed)
		t.Logf("seed %d: routed %.3f, best single %.3f", seed, routed, single)
		require.GreaterOrEqual(t, routed, single-0.01)
	}
}

func taught(n, models int, seed uint64) (*Learner, []string) {
	l := NewLearner(seed)
	r := rand.New(rand.NewPCG(seed, 3))
	w := world{r, func(topic, _, m int) float64 { return 0.3 + 0.5*b2f(topic == m) }, models, 6}
	ids := make([]string, models)
	for m := range ids {
		ids[m] = fmt.Sprintf("p/m%d", m)
	}
	for i := range n {
		text, topic, words := w.prompt()
		f := Featurize(text)
		for m := range models {
			q := b2f(r.Float64() < w.truth(topic, words, m))
			l.Learn(&Outcome{Decision: fmt.Sprint(i), Model: ids[m], Task: fmt.Sprint("task", topic%2), Features: f, Quality: q, Judged: true})
		}
	}
	return l, ids
}

func TestRestartGoesOnAsIfItHadNotHappened(t *testing.T) {
	a, ids := taught(300, 3, 5)
	b, err := a.MarshalBinary()
	require.NoError(t, err)
	again := NewLearner(99)
	require.NoError(t, again.UnmarshalBinary(b))
	for i := range 200 {
		o := Outcome{Decision: fmt.Sprint("later", i), Model: ids[i%3], Task: "task1", Features: Featurize(fmt.Sprint("topicaaword and plain ", i, " more")), Quality: float64(i % 2), Judged: true}
		require.True(t, a.Learn(&o))
		require.True(t, again.Learn(&o))
	}
	want, got := make([]Estimate, 3), make([]Estimate, 3)
	req := Request{Task: "task0", Features: Featurize("topicbcword plainza and topicbdword")}
	require.Equal(t, a.Estimates(&req, ids, want), again.Estimates(&req, ids, got))
	require.Equal(t, want, got)

	require.Error(t, again.UnmarshalBinary(b[:len(b)/2]))
	require.Error(t, again.UnmarshalBinary(nil))
	again.Estimates(&req, ids, got)
	require.Equal(t, want, got, "a damaged state leaves the learner as it was")
}

func TestAnOutcomeTeachesOnce(t *testing.T) {
	l := NewLearner(1)
	o := Outcome{Decision: "d", Model: "p/a", Features: Featurize("one two"), Quality: 1, Judged: true}
	require.True(t, l.Learn(&o))
	require.False(t, l.Learn(&o))
	require.False(t, l.Learn(&Outcome{Decision: "e", Model: "p/a", Class: Transient}))
	require.False(t, l.Learn(&Outcome{Decision: "e", Model: "p/a", Quality: math.NaN(), Judged: true}))
	require.Equal(t, 1, l.Outcomes())
	require.Equal(t, 1, l.Examples())
}

func TestOutOfDomainFallsToTheTask(t *testing.T) {
	l, ids := taught(800, 3, 6)
	into := make([]Estimate, 3)
	require.False(t, l.Estimates(&Request{Features: Featurize("topicaaword topicabword topicacword plainab topicadword plainzz plainac")}, ids, into))
	require.True(t, l.Estimates(&Request{Task: "task0", Features: Featurize("Übersetze бык лошадь 牛 馬 ins Κροατικά bitte сейчас")}, ids, into))
}

func registry() []Model {
	chat := Chat | JSON
	return []Model{
		{ID: "a/small", Capabilities: chat, ContextTokens: 8_000, MaxOutput: 2_000, Price: Price{InputPerMTok: 100_000, OutputPerMTok: 400_000}},
		{ID: "b/large", Capabilities: chat | Tools | Vision, ContextTokens: 200_000, MaxOutput: 8_000, Price: Price{InputPerMTok: 3_000_000, OutputPerMTok: 15_000_000}},
		{ID: "c/embed", Capabilities: Embed},
	}
}

func TestDecideRefusesWithReasons(t *testing.T) {
	for name, c := range map[string]struct {
		req   Request
		first string
		why   string // of the refusal of the other chat model
	}{
		"capability": {Request{Needs: Chat | Tools}, "b/large", "cannot do tools"},
		"context":    {Request{Needs: Chat, InputTokens: 9_000, MaxOutput: 100}, "b/large", "takes 8000 tokens, 9100 are needed"},
		"output":     {Request{Needs: Chat, InputTokens: 100, MaxOutput: 3_000}, "b/large", "gives 2000 tokens at most, 3000 are asked for"},
		"price":      {Request{Needs: Chat, InputTokens: 1_000, MaxOutput: 1_000, MaxCost: 1_000, Dial: 1}, "a/small", "may cost $0.018000, $0.001000 is the limit"},
		"pinned":     {Request{Needs: Chat, Pinned: "b/large"}, "b/large", "another model is pinned"},
		"excluded":   {Request{Needs: Chat, Exclude: []string{"b/large"}, Dial: 1}, "a/small", "already tried"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Snapshot{Models: registry()}
			d := Decide(&s, &c.req, noon)
			require.Len(t, d.Ranked, 1)
			require.Equal(t, c.first, d.Ranked[0].Model)
			require.Equal(t, c.why, d.Refused[0].Reason)
			require.Contains(t, d.Explain(), c.why)
			require.Equal(t, d, Decide(&s, &c.req, noon))
		})
	}
	d := Decide(&Snapshot{Models: registry()}, &Request{Needs: Embed | Chat}, noon)
	require.Empty(t, d.Ranked)
	require.Contains(t, d.Reason, "c/embed cannot do chat")
	require.Contains(t, Decide(&Snapshot{}, &Request{}, noon).Reason, "none is registered")
}

func TestDialGoesFromCheapToGood(t *testing.T) {
	l := NewLearner(1)
	for i := range 200 {
		f := Featurize(fmt.Sprint("question ", i))
		l.Learn(&Outcome{Decision: fmt.Sprint(i), Model: "a/small", Features: f, Quality: b2f(i%2 == 0), Judged: true})
		l.Learn(&Outcome{Decision: fmt.Sprint(i), Model: "b/large", Features: f, Quality: b2f(i%10 > 0), Judged: true})
	}
	s := Snapshot{Models: registry(), Quality: l}
	req := Request{Needs: Chat, InputTokens: 500, Features: Featurize("question 7")}
	req.Dial = 0
	require.Equal(t, "a/small", Decide(&s, &req, noon).Ranked[0].Model)
	req.Dial = 1
	d := Decide(&s, &req, noon)
	require.Equal(t, "b/large", d.Ranked[0].Model)
	require.NotEmpty(t, d.Ranked[0].Evidence)
	require.Equal(t, 200, d.Ranked[0].Evidence[0].Count)
}

func TestExplorationIsSeededAndBounded(t *testing.T) {
	s := Snapshot{Models: registry(), Quality: NewLearner(1), Seed: 3}
	explored := 0
	for i := range 2000 {
		req := Request{ID: fmt.Sprint(i), Needs: Chat, InputTokens: 500, MaxOutput: 500, Dial: 0.5, Explore: 1_000_000}
		d := Decide(&s, &req, noon)
		require.Equal(t, d, Decide(&s, &req, noon))
		if d.Explored {
			explored++
			require.Equal(t, "b/large", d.Ranked[0].Model)
			req.Explore = 100 // micro-dollars; the large one may cost 9,000
			require.False(t, Decide(&s, &req, noon).Explored)
			req.Explore = 0
			require.False(t, Decide(&s, &req, noon).Explored)
		}
	}
	require.Greater(t, explored, 5)
	require.Less(t, explored, 300)
}

func TestBreaker(t *testing.T) {
	b, now := Breaker{}, noon
	for range 2 {
		b = b.Record(Transient, now)
	}
	require.Equal(t, Closed, b.State(now))
	require.Equal(t, Closed, b.Record("", now).Record(Transient, now).State(now), "an answer forgives")
	require.Equal(t, b.Failures, b.Record(BadRequest, now).Failures, "the request's own fault does not count")
	b = b.Record(Silent, now)
	require.Equal(t, Open, b.State(now.Add(4*time.Second)))
	late := b.Record(Transient, now.Add(time.Second))
	require.Equal(t, b.Until, late.Until, "a call that was under way opens it no further")
	now = now.Add(5 * time.Second)
	require.Equal(t, HalfOpen, b.State(now))
	b, ok := b.Allow(now)
	require.True(t, ok)
	_, ok = b.Allow(now)
	require.False(t, ok, "one probe at a time")
	require.Equal(t, HalfOpen, b.State(now.Add(probeTimeout)), "a lost probe gives way")
	again := b.Record(Transient, now)
	require.Equal(t, Open, again.State(now.Add(9*time.Second)))
	require.Equal(t, HalfOpen, again.State(now.Add(10*time.Second)))
	require.Equal(t, Closed, b.Record("", now).State(now))
	require.Equal(t, HalfOpen, b.Record(Cancelled, now).State(now), "a probe that the caller left tells nothing")
	require.Equal(t, Open, Breaker{}.Record(Auth, now).State(now.Add(4*time.Minute)))
}

func TestTheBestIsTriedAgainAfterFailures(t *testing.T) {
	b := Breaker{}
	for range failuresToOpen {
		b = b.Record(Transient, noon)
	}
	now := noon.Add(firstPause)
	decide := func(failed string, b Breaker, id int) Decision {
		s := Snapshot{Models: registry(), Health: map[string]Health{failed: {Breaker: b}}, Seed: 3}
		return Decide(&s, &Request{ID: fmt.Sprint(id), Needs: Chat, InputTokens: 500, Explore: 1_000_000}, now)
	}
	trying, ok := b.Allow(now)
	require.True(t, ok)
	for id := range 200 { // some of them would explore
		d := decide("a/small", b, id)
		require.Equal(t, "a/small", d.Ranked[0].Model, "the cheapest failed, and is tried again first")
		require.Equal(t, "b/large", d.Ranked[1].Model)
		require.False(t, d.Explored)
		require.Contains(t, d.Reason, "tried again after failures")
		require.Equal(t, "a/small", decide("b/large", b, id).Ranked[0].Model, "one that is not the best waits behind those that are well")
		d = decide("a/small", trying, id)
		require.Len(t, d.Ranked, 1, "while one call tries, the others go elsewhere")
		require.Equal(t, "b/large", d.Ranked[0].Model)
	}
}

func TestLatencyMovesAndFades(t *testing.T) {
	var h Health
	for i := range 50 {
		h = h.Record("", time.Second, noon.Add(time.Duration(i)*time.Second))
	}
	require.InDelta(t, 1.0, h.Latency.Seconds(), 1e-6)
	h = h.Record(Transient, 9*time.Second, noon.Add(time.Minute))
	require.InDelta(t, 1.0, h.Latency.Seconds(), 1e-6, "failures are not answers")
	h = h.Record("", 3*time.Second, noon.Add(2*time.Hour))
	require.InDelta(t, 3.0, h.Latency.Seconds(), 0.01)
}

func TestCost(t *testing.T) {
	p := Price{InputPerMTok: 3_000_000, OutputPerMTok: 15_000_000, CachedPerMTok: 300_000}
	require.Equal(t, Money(3_000+15_000), p.Cost(1000, 1000, 0))
	require.Equal(t, Money(300), p.Cost(1000, 0, 1000))
	require.Equal(t, Money(1), Price{InputPerMTok: 1}.Cost(1, 0, 0), "rounded up")
	require.Equal(t, Money(math.MaxInt64), Price{InputPerMTok: math.MaxInt64}.Cost(math.MaxInt64, 0, 0))
	require.Equal(t, "$0.018000", Money(18_000).USD())
	require.Equal(t, "-$1.500000", Money(-1_500_000).USD())
}

func TestFeaturesComeBack(t *testing.T) {
	for _, text := range []string{"", "a", "The quick brown fox, 42 times?\nfunc main() {}", strings.Repeat("long words go on ", 9000), "ÄÖ 日本語 \xff\xfe"} {
		f := Featurize(text)
		require.LessOrEqual(t, len(f.Grams), maxGrams)
		b, err := f.MarshalText()
		require.NoError(t, err)
		var g Features
		require.NoError(t, g.UnmarshalText(b))
		if len(f.Grams) == 0 {
			f.Grams = nil
		}
		require.Equal(t, f, g)
	}
}

func FuzzFeatures(f *testing.F) {
	b, _ := Featurize("some words 12").MarshalBinary()
	f.Add(b)
	f.Add([]byte{255, 255, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var g Features
		if g.UnmarshalBinary(b) != nil {
			return
		}
		again, err := g.MarshalBinary()
		require.NoError(t, err)
		var h Features
		require.NoError(t, h.UnmarshalBinary(again))
		require.Equal(t, g, h)
	})
}

// The numbers are worked by hand: three prompts, the strong model better at the second and third.
func TestMeasures(t *testing.T) {
	cases := []Case{
		{Quality: []float64{1, 1}, Expected: []float64{0.9, 0.9}},
		{Quality: []float64{0, 1}, Expected: []float64{0.2, 0.9}},
		{Quality: []float64{0, 1}, Expected: []float64{0.3, 0.9}},
	}
	curve := Curve(cases, 0, 1)
	require.Equal(t, 1.0, curve[len(curve)-1].Cost)
	require.InDelta(t, 2.0/3, CPT(curve, 1.0/3, 1, 1), 1e-9)
	require.InDelta(t, 0.5, APGR([]Point{{0, 0.2}, {1, 0.8}}, 0.2, 0.8), 1e-9)
	require.InDelta(t, 0.75, APGR([]Point{{0, 0.2}, {0.5, 0.8}, {1, 0.8}}, 0.2, 0.8), 1e-9)
	require.InDelta(t, 0.25, CPT([]Point{{0, 0}, {0.5, 1}, {1, 1}}, 0, 1, 0.5), 1e-9)
	// From (0, 0.5) to (1, 0.7) and level to 2; the point at (0.5, 0.55) is under the hull.
	require.InDelta(t, (0.6+0.7)/2, AIQ([]Point{{1, 0.7}, {0, 0.5}, {0.5, 0.55}, {2, 0.6}}, 0, 2), 1e-9)
}

func BenchmarkDecide(b *testing.B) {
	l, ids := taught(10_000, 10, 1)
	s := Snapshot{Quality: l}
	for _, id := range ids {
		s.Models = append(s.Models, Model{ID: id, Capabilities: Chat, Price: Price{InputPerMTok: 1_000_000}})
	}
	w := world{rand.New(rand.NewPCG(9, 9)), nil, 10, 6}
	prompts := make([]string, 64)
	for i := range prompts {
		prompts[i], _, _ = w.prompt()
	}
	state, err := l.MarshalBinary()
	require.NoError(b, err)
	b.ReportMetric(float64(len(state)), "state-bytes")
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		req := Request{Needs: Chat, Task: "task1", Features: Featurize(prompts[i%64]), Dial: 0.7}
		Decide(&s, &req, noon)
		i++
	}
}
