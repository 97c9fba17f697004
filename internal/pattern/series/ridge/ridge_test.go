package ridge

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

func randomRows(random *rand.Rand, n, p int) [][]float32 {
	out := make([][]float32, n)
	for i := range out {
		for range p {
			out[i] = append(out[i], float32(random.Float64()))
		}
	}
	return out
}

// primal fits ridge with a free intercept in the space of the features: the textbook normal equations.
func primal(rows [][]float32, s Scale, y []float64, alpha float64) func(row []float32) float64 {
	p := len(s.mean)
	a, b := mat.NewSymDense(p+1, nil), mat.NewVecDense(p+1, nil)
	z := func(r []float32) []float64 {
		out := make([]float64, p+1)
		for j := range p {
			out[j] = (float64(r[j]) - s.mean[j]) * s.inverse[j]
		}
		out[p] = 1
		return out
	}
	for i, r := range rows {
		v := mat.NewVecDense(p+1, z(r))
		a.SymRankOne(a, 1, v)
		b.AddScaledVec(b, y[i], v)
	}
	for j := range p {
		a.SetSym(j, j, a.At(j, j)+alpha)
	}
	var w mat.VecDense
	if err := w.SolveVec(a, b); err != nil {
		panic(err)
	}
	return func(row []float32) float64 { return mat.Dot(&w, mat.NewVecDense(p+1, z(row))) }
}

func TestLeftOutEqualsFitsWithoutTheRow(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 4))
	const n, p = 14, 9
	rows := randomRows(random, n, p)
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i % 3
	}
	g := NewGram(n)
	whole := g.Add(rows)
	for _, alpha := range []float64{0.01, 1, 50} {
		y, means := targets(labels, 3)
		got, err := g.at(alpha, y, means)
		require.NoError(t, err)
		for out := range n {
			var rest [][]float32
			var want []float64
			for i := range n {
				if i != out {
					rest = append(rest, rows[i])
					want = append(want, map[bool]float64{true: 1, false: -1}[labels[i] == 1])
				}
			}
			require.InDelta(t, primal(rest, whole, want, alpha)(rows[out]), got.LeftOut[out][1], 1e-7, "alpha %v row %d", alpha, out)
		}
	}
}

func TestWeightsEqualThePrimalFitInAnyBlocks(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 4))
	const n, p = 20, 1100
	rows := randomRows(random, n, p)
	for i := range rows {
		rows[i][3] = 0.5 // does not vary
	}
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i % 2
	}
	cut := func(from, to int) (out [][]float32) {
		for _, r := range rows {
			out = append(out, r[from:to])
		}
		return out
	}
	g := NewGram(n)
	first, second := g.Add(cut(0, 700)), g.Add(cut(700, p))
	s, err := g.Solve(labels, 2)
	require.NoError(t, err)
	intercepts := s.Intercepts()
	w := s.Weights(first, cut(0, 700), intercepts)[1]
	w = append(w, s.Weights(second, cut(700, p), intercepts)[1]...)
	require.Zero(t, w[3])
	y := make([]float64, n)
	for i, l := range labels {
		y[i] = float64(2*l - 1)
	}
	want := primal(rows, standardise(rows), y, s.Alpha)
	for _, r := range randomRows(random, 5, p) {
		r[3] = 0.5
		got := intercepts[1]
		for j, v := range r {
			got += w[j] * float64(v)
		}
		require.InDelta(t, want(r), got, 1e-6)
	}
}

func TestSolveFindsTheGridMinimumOfManyRows(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6, 4))
	n := fullGrid + 40
	rows, labels := randomRows(random, n, 30), make([]int, n)
	for i, r := range rows {
		if r[0]+r[1] > 1 {
			labels[i] = 1
		}
	}
	g := NewGram(n)
	g.Add(rows)
	got, err := g.Solve(labels, 2)
	require.NoError(t, err)
	y, means := targets(labels, 2)
	lowest := math.Inf(1)
	for _, a := range alphas {
		s, err := g.at(a, y, means)
		require.NoError(t, err)
		lowest = min(lowest, s.Loss)
	}
	require.InEpsilon(t, lowest, got.Loss, 1e-3)
}

func TestSolveRefuses(t *testing.T) {
	t.Parallel()
	_, err := NewGram(1).Solve([]int{0}, 1)
	require.Error(t, err)
	_, err = NewGram(3).Solve([]int{0, 1}, 2)
	require.Error(t, err)
}
