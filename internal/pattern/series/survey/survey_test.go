package survey

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSurveyFindsAllThree(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	x := make([]float64, 2000)
	for i := range x {
		x[i] = random.NormFloat64()
		if i >= 1300 {
			x[i] += 8
		}
	}
	for _, at := range []int{200, 900, 1700} {
		for i := range 80 {
			d := float64(i) / 80
			x[at+i] += 12 * math.Sin(25*d*d)
		}
	}
	x[500] = math.NaN()
	got, err := Of(x, Options{Window: 80})
	require.NoError(t, err)
	require.Equal(t, 1, got.Missing)
	require.Equal(t, 80, got.Window)
	require.Len(t, got.Motifs[0].Starts, 3)
	require.InDelta(t, 200, got.Motifs[0].Starts[0], 20)
	require.Greater(t, got.Motifs[0].Likeness, .9)
	require.NotEmpty(t, got.Discords)
	require.Less(t, got.Discords[0].Likeness, got.Motifs[0].Likeness)
	at := -1
	for _, c := range got.Changes {
		if c.At > 1290 && c.At < 1310 {
			at = c.At
			require.InDelta(t, 8, c.Median[1]-c.Median[0], 1.5)
		}
	}
	require.Positive(t, at, "%+v", got.Changes)
	require.Empty(t, got.Lengths)
}

func TestSurveyChoosesAWindow(t *testing.T) {
	t.Parallel()
	x := make([]float64, 600)
	for i := range x {
		x[i] = math.Sin(float64(i) / 6)
	}
	got, err := Of(x, Options{})
	require.NoError(t, err)
	require.NotEmpty(t, got.Lengths)
	require.Positive(t, got.Window)
}

func TestSurveyBearsAndRefuses(t *testing.T) {
	t.Parallel()
	_, err := Of(make([]float64, 7), Options{})
	require.Error(t, err)
	_, err = Of(make([]float64, MaxPoints+1), Options{})
	require.Error(t, err)
	_, err = Of(make([]float64, 100), Options{Window: 60})
	require.Error(t, err)
	nan := make([]float64, 50)
	for i := range nan {
		nan[i] = math.NaN()
	}
	_, err = Of(nan, Options{})
	require.Error(t, err)
	nan[3] = 1
	got, err := Of(nan, Options{})
	require.NoError(t, err)
	require.Empty(t, got.Motifs)
	got, err = Of(make([]float64, 100), Options{})
	require.NoError(t, err)
	require.Empty(t, got.Changes)
}
