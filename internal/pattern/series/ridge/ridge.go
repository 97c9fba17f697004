// Package ridge fits linear classifiers to few rows of many features and picks the penalty by exact leave-one-out
// errors. In come blocks of features and class numbers, out go weights and the scores each row would have had from a
// fit without it. It does not know what the features mean.
package ridge

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// alphas are the penalties tried, evenly spaced on a log scale from 1e-3 to 1e5. The usual grid of ROCKET ends at 1e3,
// where the best penalty of small training sets often lies at its edge.
var alphas = func() (out [13]float64) {
	for i := range out {
		out[i] = math.Pow(10, -3+8*float64(i)/12)
	}
	return out
}()

// fullGrid is the number of rows up to which every penalty is tried; above it every third, then the neighbours of the best.
const fullGrid = 500

// Solution is a fit in the space of the rows.
type Solution struct {
	// Alpha is the chosen penalty.
	Alpha float64
	// Loss is the mean squared leave-one-out error, over rows and classes; targets are -1 and 1.
	Loss float64
	// LeftOut holds for each row the scores of a fit without that row.
	LeftOut [][]float64

	dual  *mat.Dense
	means []float64 // of the targets
}

// Solve fits one-against-rest ridge regressions with targets -1 and 1, labels in [0, classes), with the penalty of the
// smallest squared leave-one-out error. With K the inner products of the centred rows and G = (K+aI)^-1 off the
// constant vector, which the free intercept takes out, the residual of row i in a fit without i is (Gy)_i / G_ii
// (R. Rifkin, R. Lippert, "Notes on Regularized Least Squares", MIT-CSAIL-TR-2007-025, section 3). It returns an error
// when the shapes do not fit or K is not finite. Cost: n^3 for each penalty.
func (g *Gram) Solve(labels []int, classes int) (*Solution, error) {
	n := g.sum.SymmetricDim()
	if n < 2 || classes < 1 || len(labels) != n {
		return nil, fmt.Errorf("ridge over %d rows, %d labels and %d classes: want at least two rows and a label for each", n, len(labels), classes)
	}
	y, means := targets(labels, classes)
	tried := map[int]*Solution{}
	try := func(i int) error {
		if i < 0 || i >= len(alphas) || tried[i] != nil {
			return nil
		}
		s, err := g.at(alphas[i], y, means)
		tried[i] = s
		return err
	}
	stride := 1
	if n > fullGrid {
		stride = 3
	}
	for i := 0; i < len(alphas); i += stride {
		if err := try(i); err != nil {
			return nil, err
		}
	}
	for _, i := range []int{best(tried) - 1, best(tried) + 1} {
		if err := try(i); err != nil {
			return nil, err
		}
	}
	return tried[best(tried)], nil
}

// best is the penalty with the smallest loss; of equals the largest penalty.
func best(tried map[int]*Solution) int {
	out := -1
	for i := range alphas {
		if s := tried[i]; s != nil && (out < 0 || s.Loss <= tried[out].Loss) {
			out = i
		}
	}
	return out
}

// targets are the centred targets and their means.
func targets(labels []int, classes int) (*mat.Dense, []float64) {
	y, means := mat.NewDense(len(labels), classes, nil), make([]float64, classes)
	for _, l := range labels {
		means[l] += 2 / float64(len(labels))
	}
	for k := range classes {
		means[k]--
		for i, l := range labels {
			v := -1.0
			if l == k {
				v = 1
			}
			y.Set(i, k, v-means[k])
		}
	}
	return y, means
}

// at fits for one penalty and scores every row by the fit without it.
func (g *Gram) at(alpha float64, y *mat.Dense, means []float64) (*Solution, error) {
	n, classes := y.Dims()
	ridged := mat.NewSymDense(n, nil)
	ridged.CopySym(g.sum)
	for i := range n {
		ridged.SetSym(i, i, ridged.At(i, i)+alpha)
	}
	var chol mat.Cholesky
	if !chol.Factorize(ridged) {
		return nil, fmt.Errorf("the inner products of %d rows are not finite or not positive", n)
	}
	c := &mat.Dense{}
	if err := chol.SolveTo(c, y); err != nil && !isCondition(err) {
		return nil, err
	}
	if err := chol.InverseTo(ridged); err != nil && !isCondition(err) {
		return nil, err
	}
	s := &Solution{Alpha: alpha, LeftOut: make([][]float64, n), dual: c, means: means}
	for i := range n {
		own := ridged.At(i, i) - 1/(alpha*float64(n))
		s.LeftOut[i] = make([]float64, classes)
		for k := range classes {
			residual := c.At(i, k) / own
			s.Loss += residual * residual / float64(n*classes)
			s.LeftOut[i][k] = y.At(i, k) + means[k] - residual
		}
	}
	return s, nil
}

// isCondition reports whether err only warns of a large condition number, which a small penalty has.
func isCondition(err error) bool {
	var condition mat.Condition
	return errors.As(err, &condition)
}
