package routing

import "math"

const (
	bucketBits = 16 // grams are folded into so many places of the linear model: 4 bytes for each place, model and rate
	rates      = 2
)

// rate is how far one example moves a weight that was never moved. Two models learn side by side, a bold one and a careful
// one; which is listened to is learned.
var rate = [rates]float32{0.05, 0.4}

// linear is a logistic model a model and rate over hashed grams, learned online by AdaGrad. It learns what the mean of the
// task leaves over. The first column is shared by all models: how hard a prompt is for any.
type linear struct {
	models  int
	weights []float32 // by place, rate, column
	energy  []float32 // by place: sum of squared values seen
}

func newLinear(models int) *linear {
	return &linear{models: models, weights: make([]float32, (rates*(models+1))<<bucketBits), energy: make([]float32, 1<<bucketBits)}
}

func (l *linear) stride() int { return rates * (l.models + 1) }

// grow makes room for more models and keeps what is learned.
func (l *linear) grow(models int) {
	if models <= l.models {
		return
	}
	n := newLinear(models)
	n.energy = l.energy
	for p := range 1 << bucketBits {
		for r := range rates {
			copy(n.weights[p*n.stride()+r*(models+1):], l.weights[p*l.stride()+r*(l.models+1):][:l.models+1])
		}
	}
	*l = *n
}

func place(gram uint32) int { return int(gram & (1<<bucketBits - 1)) }

// predict adds to out, by rate and model, the logit that is left over.
func (l *linear) predict(grams []uint32, out []float32) {
	if len(grams) == 0 {
		return
	}
	stride, columns := l.stride(), l.models+1
	value := float32(1 / math.Sqrt(float64(len(grams))))
	for _, g := range grams {
		row := l.weights[place(g)*stride:][:stride]
		for r := range rates {
			shared, own := row[r*columns], row[r*columns+1:][:l.models]
			o := out[r*l.models:][:l.models]
			for m := range own {
				o[m] += value * (shared + own[m])
			}
		}
	}
}

// seen counts the energy of an example, once.
func (l *linear) seen(grams []uint32) {
	for _, g := range grams {
		l.energy[place(g)] += 1 / float32(len(grams))
	}
}

// learn moves the weights of one model by its errors (truth less prediction), one a rate.
func (l *linear) learn(grams []uint32, model int, errors [rates]float32) {
	if len(grams) == 0 {
		return
	}
	stride, columns := l.stride(), l.models+1
	value := float32(1 / math.Sqrt(float64(len(grams))))
	for _, g := range grams {
		p := place(g)
		row := l.weights[p*stride:][:stride]
		step := value / float32(math.Sqrt(float64(l.energy[p])+1e-3))
		for r := range rates {
			d := rate[r] * errors[r] * step
			row[r*columns] += d / float32(columns)
			row[r*columns+1+model] += d
		}
	}
}

// shaped is a logistic model over the shape of a prompt, with a bend at the middle of each number, learned online.
type shaped struct {
	count       float64
	mean, m2    [shapes]float64 // running mean and sum of squared deviations
	weights     [][2 * shapes]float32
	accumulated [][2 * shapes]float32
}

func (s *shaped) grow(models int) {
	for len(s.weights) < models {
		s.weights = append(s.weights, [2 * shapes]float32{})
		s.accumulated = append(s.accumulated, [2 * shapes]float32{})
	}
}

// seen counts the spread of an example, once.
func (s *shaped) seen(shape *[shapes]float32) {
	s.count++
	for i, v := range shape {
		d := float64(v) - s.mean[i]
		s.mean[i] += d / s.count
		s.m2[i] += d * (float64(v) - s.mean[i])
	}
}

// standard scales a shape to mean 0 and spread 1, cut at 3, and adds the distance from the middle.
func (s *shaped) standard(shape *[shapes]float32) (z [2 * shapes]float32) {
	for i, v := range shape {
		if s.m2[i] <= 0 {
			continue
		}
		d := (float64(v) - s.mean[i]) / math.Sqrt(s.m2[i]/s.count)
		z[i] = float32(max(-3, min(3, d)))
		z[shapes+i] = float32(math.Abs(float64(z[i])) - 0.8)
	}
	return z
}

func (s *shaped) predict(z *[2 * shapes]float32, model int) float32 {
	var sum float32
	for i, v := range z {
		sum += v * s.weights[model][i]
	}
	return sum
}

func (s *shaped) learn(z *[2 * shapes]float32, model int, err float32) {
	w, a := &s.weights[model], &s.accumulated[model]
	for i, v := range z {
		g := err * v
		a[i] += g * g
		w[i] += 0.1 * g / float32(math.Sqrt(float64(a[i])+1))
	}
}

func logit(p float64) float64 {
	p = max(0.01, min(0.99, p))
	return math.Log(p / (1 - p))
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
