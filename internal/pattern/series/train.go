package series

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tartan-ai/tartan/internal/pattern/series/ridge"
	"github.com/tartan-ai/tartan/internal/pattern/series/rocket"
	"github.com/tartan-ai/tartan/internal/pattern/series/warp"
)

// Method is how a recogniser decides.
type Method string

const (
	// Features: MiniRocket features and a ridge classifier, for many examples.
	Features Method = "features"
	// Nearest: the nearest example under dynamic time warping, for one to five examples of each class.
	Nearest Method = "nearest"
)

// FewExamples is the most examples of its largest class with which a set is recognised by the nearest example.
const FewExamples = 5

// Options of training; the zero value is right for most.
type Options struct {
	// Seed fixes everything that is drawn.
	Seed uint64
	// MaxExamples bounds the examples taken, the memory and the time: n^2 x 24 bytes and n^3; 0 means 2,000. Of a larger
	// set an even part of each class is taken.
	MaxExamples int
}

// defaultExamples is the most examples taken where Options says nothing.
const defaultExamples = 2000

// training is a set of examples on its way to a recogniser.
type training struct {
	ctx      context.Context
	seed     uint64
	classes  []Class
	labels   []int
	windows  [][]float64 // as they came
	prepared [][]float64
	fitting  fitting
}

// Train makes a recogniser of examples: at least two classes, or one class with at least two examples. The same
// examples, in the same order, and the same options give the same recogniser on every machine. It says which example is
// not as it must be, and returns the error of ctx when that ends first. Cost: with n examples of length l, n x 30,000
// features of l points twice, then n^3; 300 examples of 60 points take about a second.
func Train(ctx context.Context, examples []Example, o Options) (*Recogniser, error) {
	t, err := newTraining(ctx, examples, o)
	if err != nil {
		return nil, err
	}
	largest := 0
	for _, c := range t.classes {
		largest = max(largest, c.Examples)
	}
	if largest <= FewExamples {
		return t.nearest()
	}
	return t.features()
}

func newTraining(ctx context.Context, examples []Example, o Options) (*training, error) {
	t := &training{ctx: ctx, seed: o.Seed}
	numbers := map[string]int{}
	for i, e := range examples {
		if e.Class == "" || len(e.Class) > 200 || !utf8.ValidString(e.Class) || strings.ContainsRune(e.Class, 0) {
			return nil, fmt.Errorf("example %d: want a class of 1 to 200 bytes of text", i)
		}
		numbers[e.Class]++
	}
	for name, n := range numbers {
		t.classes = append(t.classes, Class{Name: name, Examples: n})
	}
	slices.SortFunc(t.classes, byName)
	for k, c := range t.classes {
		numbers[c.Name] = k
	}
	switch {
	case len(examples) < 2:
		return nil, fmt.Errorf("train on %d examples: want at least two", len(examples))
	case len(t.classes) > MaxClasses:
		return nil, fmt.Errorf("train on %d classes: want at most %d", len(t.classes), MaxClasses)
	}
	limit := o.MaxExamples
	if limit <= 0 {
		limit = defaultExamples
	}
	for _, i := range thin(examples, numbers, t.classes, limit) {
		e := examples[i]
		if _, err := complete(e.Values); err != nil {
			return nil, fmt.Errorf("example %d of class %q: %w", i, e.Class, err)
		}
		t.windows, t.labels = append(t.windows, e.Values), append(t.labels, numbers[e.Class])
	}
	return t, nil
}

// thin picks at most limit examples, an even part of each class but at least one, in their order.
func thin(examples []Example, numbers map[string]int, classes []Class, limit int) []int {
	var (
		out  []int
		seen = make([]int, len(classes))
	)
	for i, e := range examples {
		k := numbers[e.Class]
		want := max(1, classes[k].Examples*limit/max(limit, len(examples)))
		at := seen[k]
		seen[k]++
		if at == 0 || at*want/classes[k].Examples != (at-1)*want/classes[k].Examples {
			out = append(out, i)
		}
	}
	return out
}

// fit prepares every window one way.
func (t *training) fit(f fitting) ([][]float64, error) {
	out := make([][]float64, len(t.windows))
	for i, w := range t.windows {
		var err error
		if out[i], err = f.apply(w); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fittings are the ways to prepare that the examples leave open, the customary one first.
func (t *training) fittings() []fitting {
	var (
		longest, shortest = 0, MaxLength
		all               []float64
		normal            = true
	)
	for _, w := range t.windows {
		x, err := complete(w)
		if err != nil {
			continue // newTraining has seen them all
		}
		longest, shortest = max(longest, len(x)), min(shortest, len(x))
		all = append(all, x...)
		mean, deviation := moments(x)
		normal = normal && mean > -.05 && mean < .05 && (deviation > .9 && deviation < 1.1 || deviation == 0)
	}
	length := min(max(longest, minLength), MaxLength)
	own := fitting{length: length, own: true}
	level := fitting{length: length}
	level.mean, level.deviation = moments(all)
	out := []fitting{own}
	if !normal { // else the two are one
		out = append(out, level)
	}
	if longest != shortest {
		for _, f := range slices.Clone(out) {
			f.hold = true
			out = append(out, f)
		}
	}
	return out
}

// margin is how much smaller the leave-one-out error of another way to prepare must be to displace the customary one.
const margin = .95

// judged is on how many examples ways to prepare are compared: enough to tell them apart, and little time.
const judged = 300

// prepare chooses how windows are prepared by the leave-one-out error of the plain view.
func (t *training) prepare() error {
	ways := t.fittings()
	t.fitting = ways[0]
	sample, lowest := t.sample(judged), 0.0
	for i, f := range ways {
		if len(ways) == 1 {
			break
		}
		loss, err := sample.loss(f)
		if err != nil {
			return err
		}
		if i == 0 {
			lowest = loss
		} else if loss < margin*lowest {
			lowest, t.fitting = loss, f
		}
	}
	var err error
	t.prepared, err = t.fit(t.fitting)
	return err
}

// sample is the training with an even part of the examples of each class.
func (t *training) sample(limit int) *training {
	out := &training{ctx: t.ctx, seed: t.seed, classes: t.classes}
	counts, seen := make([]int, len(t.classes)), make([]int, len(t.classes))
	for _, l := range t.labels {
		counts[l]++
	}
	for i, l := range t.labels {
		want := max(2, counts[l]*limit/max(limit, len(t.labels)))
		if at := seen[l]; at == 0 || at*want/counts[l] != (at-1)*want/counts[l] {
			out.windows, out.labels = append(out.windows, t.windows[i]), append(out.labels, l)
		}
		seen[l]++
	}
	return out
}

// loss is the leave-one-out error of the plain view when windows are prepared one way.
func (t *training) loss(f fitting) (float64, error) {
	windows, err := t.fit(f)
	if err != nil {
		return 0, err
	}
	c, err := newColumns(windows, plain, t.seed)
	if err != nil {
		return 0, err
	}
	g, _, err := t.gram(c)
	if err != nil {
		return 0, err
	}
	s, err := g.Solve(t.labels, len(t.classes))
	if err != nil {
		return 0, err
	}
	return s.Loss, nil
}

// gram sums the inner products of the features, a block at a time.
func (t *training) gram(c *columns) (*ridge.Gram, []ridge.Scale, error) {
	g := ridge.NewGram(len(c.windows))
	var scales []ridge.Scale
	for b := range c.Blocks() {
		if err := t.ctx.Err(); err != nil {
			return nil, nil, err
		}
		scales = append(scales, g.Add(c.block(b)))
	}
	return g, scales, nil
}

// sharpness is the power of the inverse leave-one-out error with which the classifier of a view weighs. The errors of
// the views are correlated, so weights are sharper than the inverse variances of independent ones: a view that tells
// little of a set says little, and views that do equally well are averaged.
const sharpness = 4

// features trains a classifier over each view and adds them up by their weights. Scores are linear in the features, so
// the sum is again one classifier.
func (t *training) features() (*Recogniser, error) {
	if err := t.prepare(); err != nil {
		return nil, err
	}
	var (
		grams  [views]*ridge.Gram
		scales [views][]ridge.Scale
		cols   [views]*columns
		r      = &Recogniser{classes: t.classes, method: Features, fitting: t.fitting}
	)
	for v := range views {
		var err error
		if cols[v], err = newColumns(t.prepared, v, t.seed); err != nil {
			return nil, err
		}
		if grams[v], scales[v], err = t.gram(cols[v]); err != nil {
			return nil, err
		}
		r.views[v] = cols[v].Transform
	}
	e, err := t.solve(grams)
	if err != nil {
		return nil, err
	}
	clear(grams[:])
	r.anchors = newAnchors(t)
	e.start(r)
	for v := range views {
		for b := range cols[v].Blocks() {
			if err := t.ctx.Err(); err != nil {
				return nil, err
			}
			rows := cols[v].block(b)
			e.add(r, v, scales[v][b], rows)
			if v == plain {
				from, _ := cols[v].Block(b)
				r.anchors.collect(from, rows)
			}
		}
	}
	e.finish(r)
	r.anchors.finish(t.labels)
	r.calibrate(t, e.leftOut(), r.anchors.leftOut)
	return r, nil
}

// ensemble is the classifiers of the views and how much each weighs.
type ensemble struct {
	parts      [views]*ridge.Solution
	weight     [views]float64
	intercepts [views][]float64
}

func (t *training) solve(grams [views]*ridge.Gram) (*ensemble, error) {
	e := &ensemble{}
	total := 0.0
	for v, g := range grams {
		if err := t.ctx.Err(); err != nil {
			return nil, err
		}
		s, err := g.Solve(t.labels, len(t.classes))
		if err != nil {
			return nil, err
		}
		e.parts[v], e.intercepts[v] = s, s.Intercepts()
		e.weight[v] = math.Pow(max(s.Loss, 1e-12), -sharpness)
		total += e.weight[v]
	}
	for v := range e.weight {
		e.weight[v] /= total
	}
	return e, nil
}

// start makes room for the weights of every view.
func (e *ensemble) start(r *Recogniser) {
	for range r.classes {
		r.weights = append(r.weights, make([]float32, 0, views*rocket.Full))
	}
}

// add adds the weights of a block of features of view v, in the order of views and blocks.
func (e *ensemble) add(r *Recogniser, v int, scale ridge.Scale, rows [][]float32) {
	for k, w := range e.parts[v].Weights(scale, rows, e.intercepts[v]) {
		for _, x := range w {
			r.weights[k] = append(r.weights[k], float32(e.weight[v]*x))
		}
	}
}

func (e *ensemble) finish(r *Recogniser) {
	r.intercepts = make([]float32, len(r.classes))
	for k := range r.classes {
		sum := 0.0
		for v := range views {
			sum += e.weight[v] * e.intercepts[v][k]
		}
		r.intercepts[k] = float32(sum)
	}
}

// leftOut are for each example the scores of an ensemble that was trained without it.
func (e *ensemble) leftOut() [][]float64 {
	out := make([][]float64, len(e.parts[0].LeftOut))
	for i := range out {
		out[i] = make([]float64, len(e.parts[0].LeftOut[i]))
		for v, p := range e.parts {
			for k, s := range p.LeftOut[i] {
				out[i][k] += e.weight[v] * s
			}
		}
	}
	return out
}

// nearest keeps the examples themselves.
func (t *training) nearest() (*Recogniser, error) {
	t.fitting = t.fittings()[0]
	windows, err := t.fit(t.fitting)
	if err != nil {
		return nil, err
	}
	t.prepared = windows
	for i, w := range windows { // as they are stored
		for j, v := range w {
			windows[i][j] = float64(float32(v))
		}
	}
	window, _ := warp.ChooseWindow(windows, t.labels, len(t.classes))
	r := &Recogniser{classes: t.classes, method: Nearest, fitting: t.fitting, examples: windows, labels: t.labels}
	r.index = warp.NewIndex(windows, window)
	scores, distances := make([][]float64, len(windows)), make([]float64, len(windows))
	for i, w := range windows {
		by := r.index.Nearest(w, t.labels, len(t.classes), i)
		scores[i] = nearness(by)
		distances[i] = by[t.labels[i]].Distance
	}
	r.calibrate(t, scores, distances)
	return r, nil
}
