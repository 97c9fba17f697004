package ridge

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// width is how many features are held in double precision at once.
const width = 512

// Gram holds the inner products of n rows of scaled features; features come in blocks and are not kept.
type Gram struct {
	sum *mat.SymDense
}

// NewGram makes an empty sum for n rows.
func NewGram(n int) *Gram { return &Gram{mat.NewSymDense(n, nil)} }

// Scale is the mean and the inverse standard deviation of each feature of a block; the inverse is 0 where a feature
// does not vary.
type Scale struct {
	mean, inverse []float64
}

// Add adds a block of features: for each row its values. Each feature is centred and scaled to unit variance.
func (g *Gram) Add(rows [][]float32) Scale {
	s := standardise(rows)
	for from := 0; from < len(s.mean); from += width {
		b := s.scaled(rows, from, min(from+width, len(s.mean)))
		blas64.Syrk(blas.NoTrans, 1, b.RawMatrix(), 1, g.sum.RawSymmetric())
	}
	return s
}

func standardise(rows [][]float32) Scale {
	var (
		p = len(rows[0])
		n = float64(len(rows))
		s = Scale{mean: make([]float64, p), inverse: make([]float64, p)}
	)
	for _, r := range rows {
		for j, v := range r {
			s.mean[j] += float64(v)
		}
	}
	for j := range s.mean {
		s.mean[j] /= n
	}
	for _, r := range rows {
		for j, v := range r {
			d := float64(v) - s.mean[j]
			s.inverse[j] += float64(d * d)
		}
	}
	for j, v := range s.inverse {
		s.inverse[j] = 0
		if sd := math.Sqrt(v / n); sd > 1e-7 {
			s.inverse[j] = 1 / sd
		}
	}
	return s
}

// scaled returns the scaled features from..to of every row.
func (s Scale) scaled(rows [][]float32, from, to int) *mat.Dense {
	b := mat.NewDense(len(rows), to-from, nil)
	for i, r := range rows {
		dst := b.RawRowView(i)
		for j := from; j < to; j++ {
			dst[j-from] = (float64(r[j]) - s.mean[j]) * s.inverse[j]
		}
	}
	return b
}

// Weights returns for each class the weights of a block of features as they came in, and adds to intercepts what the
// centring of the block takes. rows and scale are those of Add.
func (s *Solution) Weights(scale Scale, rows [][]float32, intercepts []float64) [][]float64 {
	out := make([][]float64, len(s.means))
	for k := range out {
		out[k] = make([]float64, len(scale.mean))
	}
	for from := 0; from < len(scale.mean); from += width {
		to := min(from+width, len(scale.mean))
		var w mat.Dense
		w.Mul(s.dual.T(), scale.scaled(rows, from, to))
		for k := range out {
			for j := from; j < to; j++ {
				v := w.At(k, j-from) * scale.inverse[j]
				out[k][j] = v
				intercepts[k] -= v * scale.mean[j]
			}
		}
	}
	return out
}

// Intercepts returns the intercepts before any block was weighted: the means of the targets.
func (s *Solution) Intercepts() []float64 { return append([]float64(nil), s.means...) }
