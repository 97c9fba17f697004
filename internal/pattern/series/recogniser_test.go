package series

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// shapes draws windows of four kinds: a rise, a fall, a bump and a wave, anywhere, with noise.
func shapes(seed uint64, each, length int) (out []Example) {
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range each * 4 {
		x, at := make([]float64, length), length/4+random.IntN(length/4)
		for j := range x {
			d := float64(j-at) / float64(length) * 8
			x[j] = .1 * random.NormFloat64()
			switch i % 4 {
			case 0:
				x[j] += 1 / (1 + math.Exp(-2*d))
			case 1:
				x[j] -= 1 / (1 + math.Exp(-2*d))
			case 2:
				x[j] += math.Exp(-d * d)
			case 3:
				x[j] += .5 * math.Sin(3*d)
			}
		}
		out = append(out, Example{[]string{"rise", "fall", "bump", "wave"}[i%4], x})
	}
	return out
}

func train(t testing.TB, examples []Example) *Recogniser {
	t.Helper()
	r, err := Train(t.Context(), examples, Options{})
	require.NoError(t, err)
	return r
}

// accuracy is the share of examples recognised, and of those called unknown.
func accuracy(t testing.TB, r *Recogniser, examples []Example) (right, unknown float64) {
	t.Helper()
	for _, e := range examples {
		got, err := r.Recognise(e.Values)
		require.NoError(t, err)
		if got.Class == e.Class {
			right += 1 / float64(len(examples))
		}
		if !got.Known {
			unknown += 1 / float64(len(examples))
		}
	}
	return right, unknown
}

func TestRecogniseManyAndFewExamples(t *testing.T) {
	t.Parallel()
	for each, want := range map[int]struct {
		method Method
		right  float64
	}{1: {Nearest, .7}, 3: {Nearest, .85}, 20: {Features, .97}} {
		r := train(t, shapes(1, each, 80))
		require.Equal(t, want.method, r.Method())
		right, unknown := accuracy(t, r, shapes(2, 40, 80))
		t.Logf("%d examples a class: %.3f right, %.3f called unknown; %+v", each, right, unknown, r.Metrics())
		require.GreaterOrEqual(t, right, want.right)
		require.LessOrEqual(t, unknown, .15)
		require.Equal(t, 4*each, r.Metrics().Examples)
	}
}

func TestStrangeWindowsAreUnknown(t *testing.T) {
	t.Parallel()
	var known []Example
	for _, e := range shapes(1, 30, 80) {
		if e.Class != "bump" {
			known = append(known, e)
		}
	}
	r := train(t, known)
	strange, unknown := 0, 0
	random := rand.New(rand.NewPCG(4, 4))
	for _, e := range shapes(3, 40, 80) {
		if e.Class == "bump" {
			e.Values = make([]float64, 80) // white noise is like none of them, and a bump is strange too
			for i := range e.Values {
				e.Values[i] = random.NormFloat64()
			}
			strange++
			got, err := r.Recognise(e.Values)
			require.NoError(t, err)
			if !got.Known {
				unknown++
				require.Less(t, got.P, Level)
				require.Contains(t, got.Why(), "nearest is")
			}
		}
	}
	require.Equal(t, strange, unknown)
}

// TestConfidenceIsCalibrated compares confidence with how often it is right, where the classes overlap.
func TestConfidenceIsCalibrated(t *testing.T) {
	t.Parallel()
	noisy := func(seed uint64, each int) []Example {
		random := rand.New(rand.NewPCG(seed, 9))
		out := shapes(seed, each, 60)
		for _, e := range out {
			for i := range e.Values {
				e.Values[i] += 1.5 * random.NormFloat64()
			}
		}
		return out
	}
	r := train(t, noisy(1, 40))
	confidence, right, n := 0.0, 0.0, 0.0
	for _, e := range noisy(2, 100) {
		got, err := r.Recognise(e.Values)
		require.NoError(t, err)
		n++
		confidence += got.Confidence
		if got.Class == e.Class {
			right++
		}
	}
	t.Logf("mean confidence %.3f, right %.3f", confidence/n, right/n)
	require.Less(t, right/n, .97, "the test wants classes that overlap")
	require.InDelta(t, right/n, confidence/n, .08)
}

func TestLevelAndScaleDoNotMatterWhereTheyTellNothing(t *testing.T) {
	t.Parallel()
	plain, moved := shapes(1, 10, 60), shapes(1, 10, 60)
	random := rand.New(rand.NewPCG(3, 1))
	for _, e := range moved {
		level, scale := 100*random.NormFloat64(), math.Exp(2*random.NormFloat64())
		for i, v := range e.Values {
			e.Values[i] = level + scale*v
		}
	}
	a, b := train(t, plain), train(t, moved)
	right, _ := accuracy(t, b, shapes(2, 30, 60))
	require.Greater(t, right, .93)
	require.True(t, b.fitting.own)
	require.Equal(t, a.Length(), b.Length())
}

func TestLevelIsKeptWhereItTells(t *testing.T) {
	t.Parallel()
	levels := func(seed uint64) (out []Example) { // one shape at two sizes
		random := rand.New(rand.NewPCG(seed, 5))
		for i := range 40 {
			x := make([]float64, 50)
			for j := range x {
				x[j] = float64(1+4*(i%2))*math.Sin(float64(j)/4) + .3*random.NormFloat64()
			}
			out = append(out, Example{fmt.Sprint(i % 2), x})
		}
		return out
	}
	r := train(t, levels(1))
	require.False(t, r.fitting.own)
	right, _ := accuracy(t, r, levels(2))
	require.Equal(t, 1.0, math.Round(right*1e9)/1e9)
}

func TestMissingValuesAndLengths(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6, 1))
	spoil := func(in []Example) (out []Example) {
		for _, e := range in {
			n := len(e.Values)
			x := resample(e.Values, n-random.IntN(n/3)) // other lengths
			for range 4 {
				x[random.IntN(len(x))] = math.NaN()
			}
			for len(x) < n {
				x = append(x, math.NaN()) // padding
			}
			out = append(out, Example{e.Class, x})
		}
		return out
	}
	r := train(t, spoil(shapes(1, 25, 90)))
	right, _ := accuracy(t, r, spoil(shapes(2, 30, 90)))
	require.Greater(t, right, .93)
	right, _ = accuracy(t, r, shapes(3, 30, 300))
	require.Greater(t, right, .9, "a window sampled three times as often is the same shape")
}

func TestCompleteAndResample(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	got, err := complete([]float64{nan, 1, nan, nan, 4, nan, nan})
	require.NoError(t, err)
	require.Equal(t, []float64{1, 1, 2, 3, 4}, got)
	_, err = complete([]float64{nan})
	require.ErrorIs(t, err, ErrNoValues)
	_, err = complete([]float64{math.Inf(-1)})
	require.Error(t, err)
	require.Equal(t, []float64{0, .5, 1, 1.5, 2}, resample([]float64{0, 1, 2}, 5))
	require.Equal(t, []float64{7, 7, 7}, resample([]float64{7}, 3))
	require.Equal(t, []float64{0, 4}, resample([]float64{0, 1, 2, 3, 4}, 2))
}

func TestTrainRefusesAndStops(t *testing.T) {
	t.Parallel()
	good := shapes(1, 8, 30)
	for name, bad := range map[string][]Example{
		"none":     nil,
		"one":      good[:1],
		"no name":  append([]Example{{"", good[0].Values}}, good...),
		"infinite": append([]Example{{"x", []float64{1, math.Inf(1)}}}, good...),
		"empty":    append([]Example{{"x", nil}}, good...),
	} {
		_, err := Train(t.Context(), bad, Options{})
		require.Error(t, err, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Train(ctx, good, Options{})
	require.ErrorIs(t, err, context.Canceled)
	r, err := Train(t.Context(), good, Options{MaxExamples: 12})
	require.NoError(t, err)
	require.Equal(t, 12, r.Metrics().Examples)
	one := train(t, []Example{{"only", []float64{1, 2, 3}}, {"only", []float64{1, 2, 3.1}}})
	got, err := one.Recognise([]float64{2, 4, 6})
	require.NoError(t, err)
	require.Equal(t, "only", got.Class)
}

func TestEncodedIsTheSameRecogniser(t *testing.T) {
	t.Parallel()
	for _, each := range []int{2, 15} {
		r := train(t, shapes(1, each, 70))
		data := r.Encode()
		require.Equal(t, data, train(t, shapes(1, each, 70)).Encode(), "training is deterministic")
		back, err := Decode(data)
		require.NoError(t, err)
		require.Equal(t, data, back.Encode())
		require.Equal(t, r.Classes(), back.Classes())
		for _, e := range shapes(2, 10, 70) {
			want, err := r.Recognise(e.Values)
			require.NoError(t, err)
			got, err := back.Recognise(e.Values)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		t.Logf("%d examples of 4 classes: %d bytes, %d compressed, %d in memory", 4*each, len(data), packed.Len(), back.Bytes())
		for cut := range 40 {
			_, err := Decode(data[:len(data)-1-cut*len(data)/41])
			require.Error(t, err)
		}
		other := bytes.Clone(data)
		other[10]++
		_, err = Decode(other)
		require.True(t, errors.Is(err, ErrVersion))
		_, err = Decode(append(bytes.Clone(data), 0, 0, 0, 0))
		require.Error(t, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, each := range []int{1, 2} {
		r, err := Train(context.Background(), shapes(1, each, 12), Options{})
		require.NoError(f, err)
		f.Add(r.Encode())
	}
	r, err := Train(context.Background(), shapes(1, 6, 12), Options{})
	require.NoError(f, err)
	f.Add(r.Encode()[:4000])
	window := shapes(2, 1, 12)[0].Values
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			require.Nil(t, r)
			return
		}
		got, err := r.Recognise(window)
		require.NoError(t, err)
		require.NotEmpty(t, got.Class)
		again, err := Decode(r.Encode())
		require.NoError(t, err)
		require.Equal(t, r.Classes(), again.Classes())
	})
}

func BenchmarkRecognise(b *testing.B) {
	for _, length := range []int{24, 60, 96, 150, 285, 427} {
		r := train(b, shapes(1, 10, length))
		window := shapes(2, 1, length)[0].Values
		b.Run(fmt.Sprintf("length=%d", length), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Recognise(window); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
