package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func source(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// unit makes a vector of length one. Some have most of their length in a few components, some are copies of each other
// but for a little, because those are hard to tell apart once rounded.
func unit(rnd *rand.Rand, dim int, near []float32) []float32 {
	v := make([]float32, dim)
	power := 1 + 3*rnd.Float64()
	for i := range v {
		f := rnd.NormFloat64()
		v[i] = float32(math.Copysign(math.Pow(math.Abs(f), power), f))
		if near != nil {
			v[i] = near[i] + v[i]*0.002
		}
	}
	n := norm(v)
	for i := range v {
		v[i] /= n
	}
	return v
}

// oracle scores every vector in float32.
func oracle(vectors map[int][]float32, q []float32, k int) []Hit[int] {
	var all []Hit[int]
	for key, v := range vectors {
		all = append(all, Hit[int]{key, Dot(q, v)})
	}
	slices.SortFunc(all, func(a, b Hit[int]) int {
		if a.Score != b.Score {
			if a.Score > b.Score {
				return -1
			}
			return 1
		}
		return a.Key - b.Key
	})
	return all[:min(k, len(all))]
}

// TestSearchIsExact compares with float32 over all vectors: the same keys, in the same order, with the same scores.
func TestSearchIsExact(t *testing.T) {
	t.Parallel()
	rnd := source(t)
	for _, dim := range []int{1, 3, 32, 100, 256, 384, 1536} {
		vectors := map[int][]float32{}
		kept := New[int](dim)
		over := NewOver(dim, func(key int, into []float32) bool { copy(into, vectors[key]); return true })
		var near []float32
		for i := range 3000 {
			v := unit(rnd, dim, near)
			if near = nil; rnd.IntN(2) == 0 {
				near = v
			}
			if rnd.IntN(10) == 0 {
				scale := float32(math.Exp(4 * rnd.NormFloat64())) // lengths other than one
				for j := range v {
					v[j] *= scale
				}
				near = nil
			}
			vectors[i] = v
			require.NoError(t, kept.Add(i, v))
			require.NoError(t, over.Add(i, v))
		}
		for range 20 {
			q := unit(rnd, dim, nil)
			if rnd.IntN(2) == 0 {
				q = unit(rnd, dim, vectors[rnd.IntN(3000)])
			}
			k := 1 + rnd.IntN(40)
			want := oracle(vectors, q, k)
			for _, x := range []*Index[int]{kept, over} {
				got, err := x.Search(q, k)
				require.NoError(t, err)
				require.Equal(t, want, got, "dim %d k %d", dim, k)
			}
			least := want[len(want)/2].Score
			got, err := kept.Within(q, k, least)
			require.NoError(t, err)
			for i, h := range want {
				require.Equal(t, h.Score >= least, i < len(got))
			}
		}
	}
}

// TestDotsAreEqual compares the SIMD sums with those of plain Go, at the extremes as well.
func TestDotsAreEqual(t *testing.T) {
	t.Parallel()
	rnd := source(t)
	for range 400 {
		dim, n := 32*(1+rnd.IntN(20)), rnd.IntN(40)
		most := min(math.MaxInt16, math.MaxInt32/(127*dim))
		query, rows := make([]int16, dim), make([]int8, n*dim)
		for i := range query {
			query[i] = int16(rnd.IntN(2*most+1) - most)
			if rnd.IntN(3) == 0 {
				query[i] = int16(most)
			}
		}
		for i := range rows {
			rows[i] = int8(rnd.IntN(255) - 127)
			if rnd.IntN(3) == 0 {
				rows[i] = -127
			}
		}
		want, got := make([]int32, n), make([]int32, n)
		dotsGo(want, query, rows)
		dots(got, query, rows)
		require.Equal(t, want, got)
	}
}

// TestChanges adds, replaces and deletes at random and compares with a map.
func TestChanges(t *testing.T) {
	t.Parallel()
	rnd := source(t)
	const dim = 40
	x, vectors := New[int](dim), map[int][]float32{}
	for step := range 6000 {
		key := rnd.IntN(900)
		if grow := step%3000 < 1500; rnd.IntN(3) > 0 == grow {
			v := unit(rnd, dim, nil)
			vectors[key] = v
			require.NoError(t, x.Add(key, v))
		} else {
			_, has := vectors[key]
			delete(vectors, key)
			require.Equal(t, has, x.Delete(key))
		}
		require.Equal(t, len(vectors), x.Len())
		if step%100 == 0 {
			q := unit(rnd, dim, nil)
			got, err := x.Search(q, 12)
			require.NoError(t, err)
			require.Equal(t, oracle(vectors, q, 12), append([]Hit[int](nil), got...))
		}
	}
	for key := range vectors {
		require.True(t, x.Delete(key))
	}
	require.Zero(t, x.Len())
	require.Zero(t, x.Bytes(), "memory is given back")
	got, err := x.Search(make([]float32, dim), 5)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	x := New[string](2)
	require.ErrorContains(t, x.Add("a", []float32{1}), "1 components, want 2")
	require.ErrorContains(t, x.Add("a", []float32{1, float32(math.NaN())}), "component 1 is NaN")
	require.ErrorContains(t, x.Add("a", []float32{float32(math.Inf(1)), 0}), "component 0 is +Inf")
	_, err := x.Search([]float32{1, 2, 3}, 1)
	require.ErrorContains(t, err, "3 components")
	require.NoError(t, x.Add("a", []float32{0, 0}))
	hits, err := x.Search([]float32{0, 0}, 3)
	require.NoError(t, err)
	require.Equal(t, []Hit[string]{{"a", 0}}, hits)
	hits, err = x.Search([]float32{1, 0}, 0)
	require.NoError(t, err)
	require.Empty(t, hits)
	require.Panics(t, func() { New[int](0) })
}

// TestConcurrent searches while others add and delete; the race detector looks on.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	x := New[int](64)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 9))
			for i := range 400 {
				v := unit(rnd, 64, nil)
				switch {
				case w%2 == 0:
					hits, err := x.Search(v, 5)
					require.NoError(t, err)
					require.LessOrEqual(t, len(hits), 5)
				case i%3 == 2:
					x.Delete(1000*w + i - 1)
				default:
					require.NoError(t, x.Add(1000*w+i, v))
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 2*(400-133-133), x.Len())
}

// ball is a random direction, each as likely as the others.
func ball(rnd *rand.Rand, dim int) []float32 {
	v := make([]float32, dim)
	for i := range v {
		v[i] = float32(rnd.NormFloat64())
	}
	n := norm(v)
	for i := range v {
		v[i] /= n
	}
	return v
}

// BenchmarkTop10 finds the ten nearest of 100,000 vectors of 256 components, on one core.
func BenchmarkTop10(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	x := New[int](256)
	for i := range 100_000 {
		require.NoError(b, x.Add(i, ball(rnd, 256)))
	}
	queries := make([][]float32, 16)
	for i := range queries {
		queries[i] = ball(rnd, 256)
	}
	run := func(b *testing.B) {
		before := cpuTime()
		for i := 0; b.Loop(); i++ {
			hits, err := x.Search(queries[i%len(queries)], 10)
			if err != nil || len(hits) != 10 {
				b.Fatal(hits, err)
			}
		}
		b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N)/1e6, "cpu-ms/op")
	}
	for _, simd := range []bool{true, false} {
		if simd && !setFast(true) {
			continue
		}
		setFast(simd)
		b.Run(fmt.Sprintf("simd=%t", simd), run)
	}
	setFast(true)
}
