package profile

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStreamEqualsBatch(t *testing.T) {
	t.Parallel()
	for name, x := range series() {
		const m = 16
		s, err := NewStream(m)
		require.NoError(t, err)
		for i, v := range x {
			require.NoError(t, s.Append(v))
			if i+1 < 2*m || i+1 != len(x) && i%97 != 0 {
				continue
			}
			want, err := Compute(x[:i+1], m)
			require.NoError(t, err)
			for k, d := range want.Distance {
				if math.IsInf(d, 1) {
					require.True(t, math.IsInf(s.Profile().Distance[k], 1))
					continue
				}
				require.InDelta(t, d, s.Profile().Distance[k], 1e-9, "%s after %d points, window %d", name, i+1, k)
			}
		}
		require.Len(t, s.Values(), len(x))
		require.Error(t, s.Append(math.Inf(1)))
	}
	_, err := NewStream(2)
	require.Error(t, err)
}

// planted hides three copies of one shape, two of another and one strange window in noise.
func planted(random *rand.Rand) (x []float64, motif, second []int, discord int) {
	x = make([]float64, 3000)
	for i := range x {
		x[i] = math.Sin(float64(i)/9) + .3*random.NormFloat64()
	}
	motif, second, discord = []int{200, 1100, 2500}, []int{700, 1800}, 1500
	for _, at := range motif {
		for i := range 100 {
			t := float64(i) / 100
			x[at+i] = 6*t*math.Sin(20*t*t) + .05*random.NormFloat64()
		}
	}
	for _, at := range second {
		for i := range 100 {
			x[at+i] = 3*float64((i/20)%2) + .1*random.NormFloat64()
		}
	}
	for i := range 60 {
		x[discord+i] = 4 * random.NormFloat64()
	}
	return x, motif, second, discord
}

func TestMotifsAndDiscordsAreFound(t *testing.T) {
	t.Parallel()
	x, motif, second, discord := planted(rand.New(rand.NewPCG(8, 8)))
	p, err := Compute(x, 100)
	require.NoError(t, err)
	found := p.Motifs(x, 2, 10)
	require.Len(t, found, 2)
	near := func(want, got []int) {
		require.Len(t, got, len(want))
		for i := range want {
			require.InDelta(t, want[i], got[i], 25)
			require.Equal(t, want[0]-got[0], want[i]-got[i], "the occurrences are in step")
		}
	}
	near(motif, found[0].Starts)
	near(second, found[1].Starts)
	require.LessOrEqual(t, found[0].Distance, found[1].Distance)
	d := p.Discords(3)
	require.Len(t, d, 3)
	require.InDelta(t, discord, d[0].Start, 100)
	require.GreaterOrEqual(t, d[0].Distance, d[1].Distance)
	for i := range d {
		for j := range i {
			require.Greater(t, abs(d[i].Start-d[j].Start), 98)
		}
	}
}

func TestNoMotifInWhiteNoise(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(9, 8))
	x := make([]float64, 1000)
	for i := range x {
		x[i] = random.NormFloat64()
	}
	p, err := Compute(x, 100)
	require.NoError(t, err)
	require.Empty(t, p.Motifs(x, 3, 10))
}

func TestPanFindsTheLengthThatRecurs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(10, 8))
	x := make([]float64, 1200)
	for i := range x {
		x[i] = math.Sin(2*math.Pi*float64(i)/50) + .5*math.Sin(2*math.Pi*float64(i)/25+1) + .1*random.NormFloat64()
	}
	require.Equal(t, []int{25, 50, 100}, Windows(x))
	layers, best, profiles, err := Pan(x, Windows(x))
	require.NoError(t, err)
	require.Len(t, layers, 3)
	require.Len(t, profiles, 3)
	for _, l := range layers {
		require.LessOrEqual(t, l.Motif, l.Discord)
		require.GreaterOrEqual(t, layers[best].Contrast, l.Contrast)
	}
	require.Empty(t, Windows(x[:3]))
	require.Equal(t, []int{30, 60, 120}, Windows(make([]float64, 1200)), "a constant series has no period")
}

func BenchmarkAppend(b *testing.B) {
	s, err := NewStream(100)
	if err != nil {
		b.Fatal(err)
	}
	x := walkSeries(1, 10000+1<<14)
	for _, v := range x[:10000] {
		if err := s.Append(v); err != nil {
			b.Fatal(err)
		}
	}
	at := 10000
	for b.Loop() {
		if err := s.Append(x[at%len(x)]); err != nil {
			b.Fatal(err)
		}
		at++
	}
}
