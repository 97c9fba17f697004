package routing

import "math"

// The terms of a score: how far each expert moves the logit from the one before it.
const (
	ofTask    = iota // task's mean from the model's
	ofPattern        // pattern's mean from the task's
	ofShape          // length and other numbers of the prompt
	ofNearest        // the 8 nearest prompts with outcomes
	ofNear           // the 32 nearest
	ofFar            // the 128 nearest
	ofCareful        // linear model that moves little
	ofBold           // linear model that moves much
	experts
	// What all models have in common, how hard a prompt is, and what sets a model apart are weighed apart: a choice is by the
	// second alone.
	terms = experts + experts - ofShape
)

var termNames = [experts]string{"task", "pattern", "length", "neighbours_8", "neighbours_32", "neighbours_128", "linear", "linear_bold"}

// lesson is what the experts said of an outcome before it was known, and the outcome.
type lesson struct {
	base  float32
	term  [terms]float32
	truth float32
}

const (
	maxLessons = 32_768
	// prior is how many outcomes' worth of evidence an expert must bring before it is heard in full.
	prior = 4.0
	// tie is how many it takes until an expert is believed differently in what is hard and in who is better at it.
	tie = 300.0
)

// blend is how much each expert is worth, learned from what it said of outcomes before they were known: the weights
// that would have given those the least log-loss, none below 0, held to their first values by a prior.
type blend struct {
	weight  [terms]float64
	lessons []lesson // the last maxLessons, a ring
	next    int
	due     int // lessons until the next fit
}

// first weights: the means are believed, and the rest has to earn it.
var firstWeights = [terms]float64{ofTask: 1, ofPattern: 1}

func newBlend() blend { return blend{weight: firstWeights, due: 50} }

func (b *blend) score(base float64, t *[terms]float32) float64 {
	for e, w := range b.weight {
		base += w * float64(t[e])
	}
	return base
}

func (b *blend) learn(l lesson) (due bool) {
	if len(b.lessons) < maxLessons {
		b.lessons = append(b.lessons, l)
	} else {
		b.lessons[b.next] = l
		b.next = (b.next + 1) % maxLessons
	}
	b.due--
	return b.due <= 0
}

// fit finds the weights by Newton's steps, a coordinate at a time. Recent lessons count more, since the experts have learned
// since: one at half of the history counts half.
func (b *blend) fit() {
	n := len(b.lessons)
	b.due = max(50, n/8)
	if n < 50 {
		return
	}
	for range 12 {
		var gradient [terms]float64
		var hessian [terms][terms]float64
		for i := range n {
			l := &b.lessons[(b.next+i)%n]
			p := sigmoid(b.score(float64(l.base), &l.term))
			age := float64(i+1) / float64(n)
			miss, curve := age*(float64(l.truth)-p), age*max(p*(1-p), 1e-3)
			for e := range terms {
				x := float64(l.term[e])
				if x == 0 {
					continue
				}
				gradient[e] += miss * x
				for f := range e + 1 {
					hessian[e][f] += curve * x * float64(l.term[f])
				}
			}
		}
		for e := range terms {
			gradient[e] -= prior * (b.weight[e] - firstWeights[e])
			hessian[e][e] += prior
			if e >= experts {
				own := e - experts + ofShape
				apart := tie * (b.weight[own] - b.weight[e])
				gradient[own] -= apart
				gradient[e] += apart
				hessian[own][own] += tie
				hessian[e][e] += tie
				hessian[e][own] -= tie
			}
		}
		for e := range terms {
			for f := range e {
				hessian[f][e] = hessian[e][f]
			}
		}
		var step [terms]float64
		moved := 0.0
		for range 60 {
			for e := range terms {
				g := gradient[e]
				for f := range terms {
					g -= hessian[e][f] * step[f]
				}
				to := max(-b.weight[e], step[e]+g/hessian[e][e])
				step[e] = to
			}
		}
		for e := range terms {
			b.weight[e] = min(4, b.weight[e]+step[e])
			moved += math.Abs(step[e])
		}
		if moved < 1e-4 {
			return
		}
	}
}
