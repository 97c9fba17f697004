package series

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Level is the share of the windows of known classes that are called unknown: the price of seeing strange ones.
const Level = .05

// Metrics say how well a recogniser does on its own examples when each is left out of the training in turn.
type Metrics struct {
	Examples int     `json:"examples"`
	Accuracy float64 `json:"accuracy"` // share of the examples recognised, [0, 1]
	LogLoss  float64 `json:"log_loss"` // mean -ln of the confidence in the true class
}

// calibration turns scores into confidences and strangeness into p-values.
type calibration struct {
	// temperature divides scores before they become shares (C. Guo et al., "On calibration of modern neural networks",
	// ICML 2017), chosen for the smallest log loss on left-out examples.
	temperature float64
	// usual are what left-out examples have.
	misfit, distance usual
	// strange are the strangenesses of the left-out examples, in order.
	strange []float32
}

// usual is the mean and the standard deviation of the logarithm of something.
type usual struct{ mean, deviation float64 }

func newUsual(logs []float64) (u usual) {
	u.mean, u.deviation = moments(logs)
	return u
}

// excess is how far a logarithm lies above the usual, in standard deviations.
func (u usual) excess(log float64) float64 { return (log - u.mean) / max(u.deviation, 1e-3) }

// misfit is the logarithm of how far scores are from those of a perfect example of their best class, 1 there and -1
// elsewhere: a window that resembles two classes, or none, has a high one.
func misfit(scores []float64) float64 {
	top, sum := argmax(scores), 0.0
	for k, s := range scores {
		y := -1.0
		if k == top {
			y = 1
		}
		sum += (s - y) * (s - y)
	}
	return math.Log(sum + 1e-6)
}

// calibrate takes the left-out scores of each example, and its distance to the nearest other example of its class.
func (r *Recogniser) calibrate(t *training, scores [][]float64, distances []float64) {
	c := &r.calibration
	c.temperature = temperature(scores, t.labels)
	m := Metrics{Examples: len(t.labels)}
	var fits, logs []float64
	for i, s := range scores {
		if argmax(s) == t.labels[i] {
			m.Accuracy++
		}
		m.LogLoss -= math.Log(max(softmax(s, c.temperature)[t.labels[i]], 1e-12)) / float64(len(scores))
		if !math.IsInf(distances[i], 1) {
			fits, logs = append(fits, misfit(s)), append(logs, logDistance(distances[i]))
		}
	}
	m.Accuracy /= float64(len(scores))
	r.metrics = m
	c.misfit, c.distance = newUsual(fits), newUsual(logs)
	for i := range fits {
		c.strange = append(c.strange, float32(c.strangeness(r.method, fits[i], logs[i])))
	}
	slices.Sort(c.strange)
}

// logDistance keeps an exact repeat finite.
func logDistance(d float64) float64 { return math.Log(d + 1e-3) }

// strangeness grows as a window is less like a known one: as its scores fit no class, and as its distance to its class
// is large. Both excesses are of logarithms; they see different things, and their sum sees most of both.
func (c *calibration) strangeness(m Method, fit, log float64) float64 {
	far := c.distance.excess(log)
	if m == Nearest {
		return far
	}
	return far + c.misfit.excess(fit)
}

// enough is the number of left-out examples from which their ranks are fine enough for a p-value.
const enough = 100

// pValue is the chance that a window of a known class is as strange as this: its rank among the left-out examples
// (conformal prediction, V. Vovk et al., 2005), or, with few, the tail of Student's predictive distribution. Without a
// calibration it is 1.
func (c *calibration) pValue(strange float64) float64 {
	n := len(c.strange)
	if n < 3 {
		return 1
	}
	if n >= enough {
		at, _ := slices.BinarySearch(c.strange, float32(strange))
		return float64(1+n-at) / float64(n+1)
	}
	values := make([]float64, n)
	for i, v := range c.strange {
		values[i] = float64(v)
	}
	mean, deviation := moments(values)
	deviation *= math.Sqrt(float64(n) / float64(n-1))
	z := (strange - mean) / (max(deviation, 1e-3) * math.Sqrt(1+1/float64(n)))
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Survival(z)
}

// softmax turns scores into shares that add up to 1.
func softmax(scores []float64, temperature float64) []float64 {
	out := make([]float64, len(scores))
	top := slices.Max(scores)
	if math.IsInf(top, -1) {
		top = 0
	}
	sum := 0.0
	for k, s := range scores {
		out[k] = math.Exp((s - top) / temperature)
		sum += out[k]
	}
	for k := range out {
		out[k] /= max(sum, 1e-300)
	}
	return out
}

// temperature minimises the log loss over temperatures from 0.01 to 10 by golden section on a log scale; the loss has one
// minimum. One class, or no informative score, leaves 1.
func temperature(scores [][]float64, labels []int) float64 {
	loss := func(log float64) float64 {
		sum := 0.0
		for i, s := range scores {
			if !math.IsInf(s[labels[i]], -1) {
				sum -= math.Log(max(softmax(s, math.Exp(log))[labels[i]], 1e-12))
			}
		}
		return sum
	}
	const ratio = .6180339887498949
	low, high := math.Log(.05), math.Log(10)
	a, b := high-ratio*(high-low), low+ratio*(high-low)
	fa, fb := loss(a), loss(b)
	for range 40 {
		if fa <= fb {
			high, b, fb = b, a, fa
			a = high - ratio*(high-low)
			fa = loss(a)
		} else {
			low, a, fa = a, b, fb
			b = low + ratio*(high-low)
			fb = loss(b)
		}
	}
	return math.Exp((low + high) / 2)
}

func argmax(s []float64) int {
	best := 0
	for k, v := range s {
		if v > s[best] {
			best = k
		}
	}
	return best
}
