package series

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/tartan-ai/tartan/internal/pattern/series/rocket"
	"github.com/tartan-ai/tartan/internal/pattern/series/warp"
)

// Class is one shape that a recogniser knows.
type Class struct {
	Name     string `json:"name"`
	Examples int    `json:"examples"`
}

func byName(a, b Class) int { return cmp.Compare(a.Name, b.Name) }

// Recogniser tells which known class a window is. Make it with Train or Decode. It is read only and safe for concurrent
// use.
type Recogniser struct {
	classes     []Class
	method      Method
	fitting     fitting
	calibration calibration
	metrics     Metrics

	// Features.
	views      [views]*rocket.Transform
	weights    [][]float32 // for each class, over the features of all views
	intercepts []float32
	anchors    *anchors

	// Nearest.
	index    *warp.Index
	examples [][]float64
	labels   []int

	scratch sync.Pool
}

// Candidate is a class and how sure it is: the shares of all classes add up to 1, given that the window is of one.
type Candidate struct {
	Class      string  `json:"class"`
	Confidence float64 `json:"confidence"`
}

// Recognition is the answer for one window.
type Recognition struct {
	// Class is the most likely class, also where Known is false: then it is the nearest.
	Class string `json:"class"`
	// Known is false for a window that is stranger than all but Level of the windows of known classes.
	Known bool `json:"known"`
	// Confidence in Class is calibrated on left-out examples, [0, 1], given that the window is of a known class.
	Confidence float64 `json:"confidence"`
	// P is the chance that a window of a known class is as strange as this.
	P float64 `json:"p"`
	// Distance to the nearest example of Class, and Usual, the typical one among the examples of a class.
	Distance float64 `json:"distance"`
	Usual    float64 `json:"usual_distance"`
	// Nearest are the most likely classes, Class first, at most three.
	Nearest []Candidate `json:"nearest"`
}

// Why says in a sentence what decided.
func (r Recognition) Why() string {
	second := ""
	if len(r.Nearest) > 1 {
		second = fmt.Sprintf("; next is %s with %.2f", r.Nearest[1].Class, r.Nearest[1].Confidence)
	}
	if !r.Known {
		return fmt.Sprintf("nearest is %s, but only %.1f %% of known windows are as strange: distance %.2f, usual is %.2f%s",
			r.Class, 100*r.P, r.Distance, r.Usual, second)
	}
	return fmt.Sprintf("confidence %.2f; distance to the nearest example %.2f, usual is %.2f%s", r.Confidence, r.Distance, r.Usual, second)
}

// Classes are the classes in the order of their names.
func (r *Recogniser) Classes() []Class { return slices.Clone(r.classes) }

// Method is how the recogniser decides.
func (r *Recogniser) Method() Method { return r.method }

// Metrics are measured on left-out examples.
func (r *Recogniser) Metrics() Metrics { return r.metrics }

// Length is the number of points that a window is brought to.
func (r *Recogniser) Length() int { return r.fitting.length }

// working is the memory of one recognition at a time.
type working struct {
	scratch  [views]*rocket.Scratch
	features []float32
	picked   []float32
}

func (r *Recogniser) work() *working {
	if w, ok := r.scratch.Get().(*working); ok {
		return w
	}
	w := &working{features: make([]float32, views*rocket.Full), picked: make([]float32, picked)}
	for v, t := range r.views {
		w.scratch[v] = t.NewScratch()
	}
	return w
}

// Recognise says which class a window is: any length, NaN where a value is missing. The error wraps ErrNoValues, or says
// what is wrong with the window. Cost: 30,000 features, about 0.5 ms at 150 points; or a few distances to examples.
func (r *Recogniser) Recognise(values []float64) (Recognition, error) {
	x, err := r.fitting.apply(values)
	if err != nil {
		return Recognition{}, err
	}
	if r.method == Nearest {
		by := r.index.Nearest(x, r.labels, len(r.classes), -1)
		scores := nearness(by)
		return r.answer(scores, by[argmax(scores)].Distance), nil
	}
	w := r.work()
	defer r.scratch.Put(w)
	for v, t := range r.views {
		t.Apply(view(x, v), w.scratch[v], w.features[v*rocket.Full:(v+1)*rocket.Full])
	}
	scores := make([]float64, len(r.classes))
	for k := range scores {
		scores[k] = float64(r.intercepts[k] + rocket.Dot(r.weights[k], w.features))
	}
	for j := range w.picked {
		w.picked[j] = w.features[j*stride]
	}
	_, distance := r.anchors.nearest(w.picked, argmax(scores), -1)
	return r.answer(scores, distance), nil
}

// answer turns scores and the distance to the best class into a recognition.
func (r *Recogniser) answer(scores []float64, distance float64) Recognition {
	var (
		c      = &r.calibration
		top    = argmax(scores)
		shares = softmax(scores, c.temperature)
		out    = Recognition{Class: r.classes[top].Name, Confidence: shares[top], Distance: distance, Usual: max(0, math.Exp(c.distance.mean)-1e-3)}
	)
	out.P = c.pValue(c.strangeness(r.method, misfit(scores), logDistance(distance)))
	out.Known = out.P >= Level
	order := make([]int, len(scores))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	for _, k := range order[:min(3, len(order))] {
		out.Nearest = append(out.Nearest, Candidate{r.classes[k].Name, shares[k]})
	}
	return out
}

// nearness turns distances into scores: the nearer, the higher.
func nearness(by []warp.Neighbour) []float64 {
	out := make([]float64, len(by))
	for k, n := range by {
		out[k] = -logDistance(n.Distance)
	}
	return out
}
