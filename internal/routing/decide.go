package routing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	// usualOutput is how many tokens an answer is expected to have where only its limit is known.
	usualOutput = 400
	// doubt is how much of its standard error a model's quality is docked: what is little known must promise more.
	doubt = 0.25
	// exploreRate bounds how many decisions may explore, beside what they may cost.
	exploreRate = 0.1
	// secondWorth is how much quality a second of latency is worth at a dial of one half.
	secondWorth = 0.005
)

// Snapshot is what Decide looks at. It is only read.
type Snapshot struct {
	Models  []Model
	Health  map[string]Health // by model id
	Quality *Learner
	Seed    uint64
}

// Decide ranks the models that may answer, best first. The same snapshot, request and time give the same decision. A decision
// with nothing in Ranked says in Refused why each model was passed over.
func Decide(s *Snapshot, req *Request, now time.Time) Decision {
	d := Decision{ID: req.ID, At: now, Ranked: make([]Choice, 0, len(s.Models))}
	ids := make([]string, 0, len(s.Models))
	for i := range s.Models {
		m := &s.Models[i]
		c, refused := admit(m, s.Health[m.ID], req, now)
		if refused != "" {
			d.Refused = append(d.Refused, Refusal{m.ID, refused})
			continue
		}
		d.Ranked = append(d.Ranked, c)
		ids = append(ids, m.ID)
	}
	if len(ids) == 0 {
		d.Reason = "no model may answer: " + summary(d.Refused)
		return d
	}
	d.OutOfDomain = judge(s, req, ids, d.Ranked)
	slices.SortStableFunc(d.Ranked, func(a, b Choice) int {
		if h := rank(a.Health) - rank(b.Health); h != 0 {
			return h
		}
		if a.Score != b.Score {
			if a.Score > b.Score {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Model, b.Model)
	})
	if !probe(d.Ranked) {
		explore(s, req, &d)
	}
	d.Reason = reason(req, &d)
	return d
}

// probe puts a model first whose breaker is half open, where it is the best but for that: without calls it would never be found
// well. Its breaker lets one call through, and the others are behind it.
func probe(ranked []Choice) bool {
	best := 0
	for i, c := range ranked {
		if c.Score > ranked[best].Score {
			best = i
		}
	}
	if ranked[best].Health != string(HalfOpen) {
		return false
	}
	chosen := ranked[best]
	copy(ranked[1:best+1], ranked[:best])
	ranked[0] = chosen
	return true
}

// rank puts a model whose breaker is half open behind those that are well.
func rank(health string) int {
	if health == string(Closed) {
		return 0
	}
	return 1
}

// admit makes the choice of a model that may answer, or says why it may not.
func admit(m *Model, h Health, req *Request, now time.Time) (Choice, string) {
	output := req.MaxOutput
	if output == 0 {
		output = m.MaxOutput
	}
	if output == 0 {
		output = 4 * usualOutput
	}
	worst := m.Price.Cost(req.InputTokens, output, 0)
	latency := h.Latency
	if latency == 0 || now.Sub(h.At) > 6*latencyMemory {
		latency = max(m.Latency, 0)
	}
	state := h.Breaker.State(now)
	switch {
	case req.Pinned != "" && m.ID != req.Pinned:
		return Choice{}, "another model is pinned"
	case slices.Contains(req.Exclude, m.ID):
		return Choice{}, "already tried"
	case m.Disabled:
		return Choice{}, "disabled"
	case !m.Capabilities.Has(req.Needs):
		return Choice{}, "cannot do " + (req.Needs &^ m.Capabilities).String()
	case m.MaxOutput > 0 && req.MaxOutput > m.MaxOutput:
		return Choice{}, fmt.Sprintf("gives %d tokens at most, %d are asked for", m.MaxOutput, req.MaxOutput)
	case m.ContextTokens > 0 && req.InputTokens+req.MaxOutput > m.ContextTokens:
		return Choice{}, fmt.Sprintf("takes %d tokens, %d are needed", m.ContextTokens, req.InputTokens+req.MaxOutput)
	case req.MaxCost > 0 && worst > req.MaxCost:
		return Choice{}, fmt.Sprintf("may cost %s, %s is the limit", worst.USD(), req.MaxCost.USD())
	case req.MaxLatency > 0 && latency > req.MaxLatency:
		return Choice{}, fmt.Sprintf("takes %s, %s is the limit", latency.Round(time.Millisecond), req.MaxLatency)
	case state == Open:
		return Choice{}, fmt.Sprintf("failed %d times in a row; tried again at %s", h.Breaker.Failures, h.Breaker.Until.UTC().Format(time.RFC3339))
	}
	return Choice{Model: m.ID, Cost: m.Price.Cost(req.InputTokens, min(output, usualOutput), 0), Worst: worst, Latency: latency, Health: string(state)}, ""
}

// judge fills qualities, evidence and scores.
func judge(s *Snapshot, req *Request, ids []string, ranked []Choice) (outside bool) {
	estimates := make([]Estimate, len(ids))
	if s.Quality != nil {
		outside = s.Quality.explained(req, ids, estimates, ranked)
	} else {
		for i := range estimates {
			estimates[i] = Estimate{Quality: 0.5, Spread: 0.35}
		}
	}
	dearest := Money(0)
	for i := range ranked {
		dearest = max(dearest, ranked[i].Cost)
	}
	dial := max(0, min(1, req.Dial))
	for i, e := range estimates {
		c := &ranked[i]
		c.Quality, c.Spread, c.Outcomes = e.Quality, e.Spread, e.Outcomes
		c.Score = dial*(e.Quality-doubt*e.Spread) - (1-dial)*share(c.Cost, dearest) - secondWorth*4*dial*(1-dial)*c.Latency.Seconds()
	}
	return outside
}

// share is a cost as a part of the dearest, on a scale between linear and logarithmic: a model of a hundredth of the price is
// better than one of a tenth, though both are cheap.
func share(cost, dearest Money) float64 {
	if dearest <= 0 {
		return 0
	}
	return math.Sqrt(float64(cost) / float64(dearest))
}

// explore takes a sample of each model's quality (Thompson) and puts the model that wins first, where that costs no more than
// the request allows and the model's breaker is closed. The seed and the decision's id are the dice.
func explore(s *Snapshot, req *Request, d *Decision) {
	if req.Explore <= 0 || req.Pinned != "" || len(d.Ranked) < 2 {
		return
	}
	random := rand.New(rand.NewPCG(s.Seed, hashID(req.ID)))
	if random.Float64() >= exploreRate {
		return
	}
	best, top := 0, math.Inf(-1)
	for i, c := range d.Ranked {
		sampled := c.Score + max(0, min(1, req.Dial))*(doubt*c.Spread+c.Spread*random.NormFloat64())
		if c.Health == string(Closed) && c.Worst-d.Ranked[0].Worst <= req.Explore && sampled > top {
			best, top = i, sampled
		}
	}
	if best > 0 {
		chosen := d.Ranked[best]
		copy(d.Ranked[1:best+1], d.Ranked[:best])
		d.Ranked[0], d.Explored = chosen, true
	}
}

func summary(refused []Refusal) string {
	parts := make([]string, 0, len(refused))
	for _, r := range refused {
		parts = append(parts, r.Model+" "+r.Reason)
	}
	if len(parts) == 0 {
		return "none is registered"
	}
	return strings.Join(parts, "; ")
}

func reason(req *Request, d *Decision) string {
	first := &d.Ranked[0]
	switch {
	case req.Pinned != "":
		return first.Model + " is pinned."
	case d.Explored:
		return fmt.Sprintf("%s was taken to learn about it: %d outcomes so far, and it may cost %s.", first.Model, first.Outcomes, first.Worst.USD())
	case len(d.Ranked) == 1:
		return first.Model + " is the only model that may answer."
	case first.Health == string(HalfOpen):
		return first.Model + " scores best and is tried again after failures; next is " + d.Ranked[1].Model + "."
	}
	known := "by task, prompt and price"
	if d.OutOfDomain {
		known = "by task and price, since the prompt is unlike those with outcomes"
	}
	if first.Outcomes == 0 {
		known = "by price, since nothing is known of its answers"
	}
	return fmt.Sprintf("%s scores %.3f %s; next is %s with %.3f.", first.Model, first.Score, known, d.Ranked[1].Model, d.Ranked[1].Score)
}

// Explain tells a decision in lines that a person reads, from its recorded evidence alone.
func (d *Decision) Explain() string {
	var b strings.Builder
	b.WriteString(d.Reason + "\n")
	for i, c := range d.Ranked {
		fmt.Fprintf(&b, "%d. %s: score %.3f, quality %.2f ± %.2f from %d outcomes, about %s, at most %s", i+1, c.Model, c.Score, c.Quality, c.Spread, c.Outcomes, c.Cost.USD(), c.Worst.USD())
		if c.Latency > 0 {
			fmt.Fprintf(&b, ", %s", c.Latency.Round(time.Millisecond))
		}
		if c.Health != string(Closed) {
			b.WriteString(", being tried again after failures")
		}
		b.WriteString("\n")
		for _, e := range c.Evidence {
			fmt.Fprintf(&b, "   %-14s %.2f from %d outcomes, weight %.2f\n", e.Name, e.Quality, e.Count, e.Weight)
		}
	}
	for _, r := range d.Refused {
		fmt.Fprintf(&b, "-  %s: %s\n", r.Model, r.Reason)
	}
	return b.String()
}
