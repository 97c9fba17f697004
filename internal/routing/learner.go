package routing

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

const (
	maxExamples = 12_000
	replays     = 3 // old examples learned again with each new one
)

// example is a prompt whose answers were judged.
type example struct {
	id            uint64 // hash of the decision, so that outcomes of one prompt come together
	task, pattern int
	features      Features
	quality       []float32 // by model; NaN is not known
}

// Learner estimates the quality of models from outcomes. It learns one outcome at a time and gives the same estimates for
// the same outcomes in the same order. It is safe for concurrent use.
type Learner struct {
	mu       sync.RWMutex // guards all but pool
	models   []string
	index    map[string]int
	means    means
	blend    blend
	linear   *linear
	shaped   shaped
	near     *neighbours
	examples []example
	byID     map[uint64]int32
	closest  []float32 // cosines of new prompts to the nearest one before, a ring of 512
	familiar float32   // below it a prompt is out of domain
	seen     uint64    // outcomes learned
	rescale  int       // examples at which norms are counted again
	random   *rand.PCG
	last     asked // so that outcomes of one prompt, one after the other, ask its neighbours once
	pool     sync.Pool
}

// NewLearner makes one that knows nothing. The seed decides which old examples are learned again.
func NewLearner(seed uint64) *Learner {
	return &Learner{
		index: map[string]int{}, means: newMeans(), blend: newBlend(), linear: newLinear(0), near: newNeighbours(),
		byID: map[uint64]int32{}, rescale: 64, random: rand.NewPCG(seed, 0x7461727461),
	}
}

// Outcomes returns how many outcomes were learned.
func (l *Learner) Outcomes() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return int(l.seen)
}

// Examples returns how many prompts are kept.
func (l *Learner) Examples() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.examples)
}

func (l *Learner) model(id string) int {
	m, ok := l.index[id]
	if !ok {
		m = len(l.models)
		l.index[id] = m
		l.models = append(l.models, id)
		l.means.grow(m + 1)
		l.shaped.grow(m + 1)
		if m+1 > l.linear.models {
			l.linear.grow(m + 4 - m%4)
		}
	}
	return m
}

// asked are the neighbours of the last example that was learned.
type asked struct {
	id      int32
	at      int // examples then
	nearest []near
}

// view is what the experts say of one prompt, for all models.
type view struct {
	scratch
	task, pattern int
	base          []float64 // logit of the model's mean, by model
	terms         [][terms]float32
	count         [][terms]float32 // outcomes behind each
	linear        []float32
	z             [2 * shapes]float32
	nearest       []near
	outside       bool
}

func (l *Learner) view(task, pattern int, f *Features, skip int32) *view {
	v, _ := l.pool.Get().(*view)
	if v == nil {
		v = &view{}
	}
	models := len(l.models)
	v.task, v.pattern = task, pattern
	v.base = slices.Grow(v.base[:0], models)[:models]
	v.terms = slices.Grow(v.terms[:0], models)[:models]
	v.count = slices.Grow(v.count[:0], models)[:models]
	v.linear = slices.Grow(v.linear[:0], rates*l.linear.models)[:rates*l.linear.models]
	clear(v.terms)
	clear(v.count)
	clear(v.linear)
	v.z = l.shaped.standard(&f.Shape)
	l.linear.predict(f.Grams, v.linear)
	if skip >= 0 && skip == l.last.id && l.last.at == len(l.examples) {
		v.nearest = append(v.nearest[:0], l.last.nearest...)
	} else {
		v.nearest = append(v.nearest[:0], l.near.nearest(f.Grams, &v.scratch)...)
		if skip >= 0 {
			v.nearest = slices.DeleteFunc(v.nearest, func(n near) bool { return n.example == skip })
		}
	}
	v.outside = len(v.nearest) == 0 || v.nearest[0].cosine < l.familiar
	hard := l.means.hardness(task)
	for m := range models {
		t := &v.terms[m]
		g := l.means.ofAll(m)
		v.base[m] = logit(g)
		ofT, ofP := at(l.means.byTask, task, m), at(l.means.byPat, pattern, m)
		inTask := ofT.shrunk(max(0.01, min(0.99, g+hard)), l.means.strength)
		inPattern := ofP.shrunk(inTask, l.means.patternStrength)
		lt, lp := logit(inTask), logit(inPattern)
		t[ofTask] = float32(lt - v.base[m])
		t[ofPattern] = float32(lp - lt)
		t[ofShape] = l.shaped.predict(&v.z, m)
		t[ofCareful], t[ofBold] = v.linear[m], v.linear[l.linear.models+m]
		c := &v.count[m]
		all := float32(l.means.global[m].Count)
		c[ofTask], c[ofPattern] = float32(ofT.Count), float32(ofP.Count)
		c[ofShape], c[ofCareful], c[ofBold] = all, all, all
		l.askNeighbours(v, m, inPattern, lp)
	}
	for e := ofShape; e < experts; e++ {
		var shared float32
		for m := range models {
			shared += v.terms[m][e]
		}
		shared /= float32(models)
		for m := range models {
			v.terms[m][e] -= shared
			v.terms[m][e+experts-ofShape] = shared
		}
	}
	return v
}

// askNeighbours fills the terms of the neighbours: the mean of their qualities less what their tasks let expect, weighted by
// nearness, shrunk to nothing where few are near.
func (l *Learner) askNeighbours(v *view, m int, mean, lp float64) {
	var left, mass, count float64
	for i, n := range v.nearest {
		e := &l.examples[n.example]
		if m < len(e.quality) && e.quality[m] == e.quality[m] {
			g := l.means.global[m].shrunk(0.5, 2)
			expected := at(l.means.byTask, e.task, m).shrunk(g, l.means.strength)
			w := float64(n.cosine)
			left += w * (float64(e.quality[m]) - expected)
			mass += w
			count++
		}
		for _, k := range [...]struct{ at, term int }{{8, ofNearest}, {32, ofNear}, {128, ofFar}} {
			if i+1 == k.at || i+1 == len(v.nearest) && i+1 < k.at {
				shift := left / (mass + 0.5)
				v.terms[m][k.term] = float32(logit(mean+shift) - lp)
				v.count[m][k.term] = float32(count)
			}
		}
	}
}

func (l *Learner) release(v *view) { l.pool.Put(v) }

// Known says whether the quality is one: judged answers teach quality, others only health.
func (o *Outcome) Known() bool { return o.Judged && o.Quality >= 0 && o.Quality <= 1 }

// Learn takes one judged outcome in. Outcomes of one decision are of one prompt, whichever models they are of; a later
// outcome of the same model for the same decision is passed over. It says whether something was learned.
func (l *Learner) Learn(o *Outcome) bool {
	if !o.Known() || o.Model == "" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.model(o.Model)
	id := hashID(o.Decision)
	known, again := l.byID[id]
	if o.Decision == "" {
		again = false
	}
	if again {
		e := &l.examples[known]
		if m < len(e.quality) && e.quality[m] == e.quality[m] {
			return false
		}
	}
	task := row(l.means.tasks, &l.means.byTask, o.Task, maxTasks)
	pattern := row(l.means.patterns, &l.means.byPat, o.Pattern, maxPatterns)
	skip := int32(-1)
	if again {
		skip = known
	}
	v := l.view(task, pattern, &o.Features, skip)
	fit := l.blend.learn(lesson{float32(v.base[m]), v.terms[m], float32(o.Quality)})
	if !again {
		known = l.keep(o, id, task, pattern, v)
	}
	l.last = asked{known, len(l.examples), append(l.last.nearest[:0], v.nearest...)}
	e := &l.examples[known]
	for len(e.quality) <= m {
		e.quality = append(e.quality, float32(math.NaN()))
	}
	e.quality[m] = float32(o.Quality)
	l.means.add(task, pattern, m, o.Quality, 1)
	l.step(e, m, v)
	l.release(v)
	for range replays {
		old := &l.examples[l.draw(len(l.examples))]
		j := l.draw(len(l.models))
		for range len(l.models) {
			if j = (j + 1) % len(l.models); j < len(old.quality) && old.quality[j] == old.quality[j] {
				l.again(old, j)
				break
			}
		}
	}
	l.seen++
	if fit {
		l.means.fit()
		l.blend.fit()
	}
	if len(l.examples) >= l.rescale {
		l.near.rescale(l.examples)
		l.rescale = len(l.examples) + len(l.examples)/2
	}
	return true
}

func (l *Learner) draw(n int) int { return int(l.random.Uint64() % uint64(n)) }

// keep makes an example of a new prompt.
func (l *Learner) keep(o *Outcome, id uint64, task, pattern int, v *view) int32 {
	if len(v.nearest) > 0 {
		c := v.nearest[0].cosine
		if len(l.closest) < 512 {
			l.closest = append(l.closest, c)
		} else {
			l.closest[len(l.examples)%512] = c
		}
		if len(l.closest) >= 64 && len(l.examples)%32 == 0 {
			sorted := slices.Clone(l.closest)
			slices.Sort(sorted)
			l.familiar = sorted[len(sorted)/100] / 2
		}
	}
	if len(l.examples) >= maxExamples {
		l.forget(maxExamples / 4)
	}
	known := int32(len(l.examples))
	l.examples = append(l.examples, example{id, task, pattern, o.Features, nil})
	if o.Decision != "" {
		l.byID[id] = known
	}
	l.near.add(o.Features.Grams)
	l.linear.seen(o.Features.Grams)
	l.shaped.seen(&o.Features.Shape)
	return known
}

// forget drops the oldest examples. What the means and the linear model learned from them stays.
func (l *Learner) forget(n int) {
	l.examples = slices.Clone(l.examples[n:])
	l.near = newNeighbours()
	clear(l.byID)
	for i := range l.examples {
		l.near.add(l.examples[i].features.Grams)
		l.byID[l.examples[i].id] = int32(i)
	}
	l.near.rescale(l.examples)
	l.rescale = len(l.examples) + len(l.examples)/2
}

// step moves the linear models by one outcome.
func (l *Learner) step(e *example, m int, v *view) {
	base := v.base[m] + float64(v.terms[m][ofTask]) + float64(v.terms[m][ofPattern])
	truth := float64(e.quality[m])
	var errors [rates]float32
	for r := range rates {
		errors[r] = float32(truth - sigmoid(base+float64(v.linear[r*l.linear.models+m])))
	}
	l.linear.learn(e.features.Grams, m, errors)
	l.shaped.learn(&v.z, m, float32(truth-sigmoid(base+float64(l.shaped.predict(&v.z, m)))))
}

// again learns an old example once more, without asking its neighbours.
func (l *Learner) again(e *example, m int) {
	v, _ := l.pool.Get().(*view)
	if v == nil {
		v = &view{}
	}
	v.linear = slices.Grow(v.linear[:0], rates*l.linear.models)[:rates*l.linear.models]
	clear(v.linear)
	l.linear.predict(e.features.Grams, v.linear)
	v.z = l.shaped.standard(&e.features.Shape)
	v.base = slices.Grow(v.base[:0], len(l.models))[:len(l.models)]
	v.terms = slices.Grow(v.terms[:0], len(l.models))[:len(l.models)]
	clear(v.terms)
	g := l.means.ofAll(m)
	in := at(l.means.byTask, e.task, m).shrunk(max(0.01, min(0.99, g+l.means.hardness(e.task))), l.means.strength)
	v.base[m] = logit(at(l.means.byPat, e.pattern, m).shrunk(in, l.means.patternStrength))
	l.step(e, m, v)
	l.release(v)
}

// Estimate is what is expected of one model.
type Estimate struct {
	Quality  float64 // 0..1
	Spread   float64 // standard error
	Outcomes int     // of this model
}

// Estimates fills into, which has a place for each of models, and says whether the prompt is unlike those with outcomes.
func (l *Learner) Estimates(req *Request, models []string, into []Estimate) (outside bool) {
	return l.explained(req, models, into, nil)
}

// explained is Estimates that also writes the evidence of each into choices, where there are some.
func (l *Learner) explained(req *Request, models []string, into []Estimate, choices []Choice) (outside bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	v := l.view(lookup(l.means.tasks, req.Task), lookup(l.means.patterns, req.Pattern), &req.Features, -1)
	defer l.release(v)
	evidence := make([]Expert, 0, len(choices)*(experts+1))
	for i, id := range models {
		m, ok := l.index[id]
		if !ok {
			into[i] = Estimate{Quality: l.unseen(), Spread: 0.35}
			continue
		}
		into[i] = l.estimate(v, m)
		if choices != nil {
			from := len(evidence)
			evidence = l.evidence(evidence, v, m)
			choices[i].Evidence = evidence[from:len(evidence):len(evidence)]
		}
	}
	return v.outside
}

// evidence appends what each expert that is heard says of a model by itself.
func (l *Learner) evidence(to []Expert, v *view, m int) []Expert {
	base := v.base[m]
	to = append(to, Expert{Name: "global", Quality: sigmoid(base), Count: int(l.means.global[m].Count), Weight: 1})
	for e := range experts {
		if v.outside && e >= ofNearest || v.count[m][e] == 0 {
			continue
		}
		shift, weight := float64(v.terms[m][e]), l.blend.weight[e]
		if e >= ofShape {
			shift += float64(v.terms[m][e+experts-ofShape])
		}
		if weight > 0.005 {
			to = append(to, Expert{Name: termNames[e], Quality: sigmoid(base + shift), Count: int(v.count[m][e]), Weight: weight})
		}
		if e < ofShape {
			base += shift
		}
	}
	return to
}

// unseen is what is expected of a model without outcomes: a little less than the middle of those that have some.
func (l *Learner) unseen() float64 {
	var all tally
	for _, t := range l.means.global {
		all.Sum += t.Sum
		all.Count += t.Count
	}
	return all.shrunk(0.5, 2)
}

func (l *Learner) estimate(v *view, m int) Estimate {
	t := v.terms[m]
	if v.outside {
		for e := ofNearest; e < experts; e++ {
			t[e], t[e+experts-ofShape] = 0, 0
		}
	}
	p := sigmoid(l.blend.score(v.base[m], &t))
	// What stands behind the estimate: the outcomes of the task as far as it has some, and those near the prompt.
	n := float64(v.count[m][ofTask]) + float64(v.count[m][ofPattern]) + 2
	if v.task < 0 || v.count[m][ofTask] == 0 {
		n += l.means.global[m].Count / 4
	}
	return Estimate{Quality: p, Spread: math.Sqrt(max(p*(1-p), 0.01) / n), Outcomes: int(l.means.global[m].Count)}
}

func hashID(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
