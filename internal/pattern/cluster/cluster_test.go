package cluster

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
)

func source(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// blobs makes texts in directions that are far from each other, with the number of the direction in the text.
func blobs(rnd *rand.Rand, groups, each int) (texts []Text) {
	for g := range groups {
		for i := range each {
			v := make([]float64, 3*groups)
			v[3*g] = 1
			for j := range v {
				v[j] += 0.08 * rnd.NormFloat64()
			}
			texts = append(texts, Text{fmt.Sprintf("%02d-%03d", g, i), 1 + int64(rnd.IntN(5)), unit(v)})
		}
	}
	return texts
}

// partition is the set of texts of each cluster, by its id.
func partition(texts []Text, r Result) map[pattern.ID]map[string]bool {
	out := map[pattern.ID]map[string]bool{}
	for i, c := range r.Of {
		id := r.Clusters[c].ID
		if out[id] == nil {
			out[id] = map[string]bool{}
		}
		out[id][texts[i].Text] = true
	}
	return out
}

func TestAssignFindsGroups(t *testing.T) {
	t.Parallel()
	rnd := source(t)
	texts := blobs(rnd, 12, 30)
	r := Assign(nil, texts, 0.6)
	require.Equal(t, 12, r.New)
	var all, counted int64
	for i, c := range r.Of {
		require.Equal(t, texts[i].Text[:2], r.Clusters[c].Text[:2])
		all += texts[i].Count
	}
	for _, c := range r.Clusters {
		counted += c.Texts
		require.Len(t, c.Examples, MaxExamples)
		require.Equal(t, pattern.Fingerprint(c.Text), c.ID)
		require.InDelta(t, 1, length(widen(c.Centre)), 1e-5)
	}
	require.Equal(t, all, counted)
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, f := range v {
		out[i] = float64(f)
	}
	return out
}

// TestAnyOrder gives the same texts in random orders: the same clusters, centres and assignments.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	rnd := source(t)
	texts := blobs(rnd, 8, 25)
	for range 60 { // between all groups
		v := make([]float64, 24)
		for j := range v {
			v[j] = rnd.NormFloat64()
		}
		texts = append(texts, Text{fmt.Sprintf("xx-%08x", rnd.Uint32()), 1, unit(v)})
	}
	known := Assign(nil, blobs(rnd, 8, 3), 0.9).Clusters
	want := Assign(known, texts, 0.5)
	for range 20 {
		rnd.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		got := Assign(known, texts, 0.5)
		require.Equal(t, want.Clusters, got.Clusters)
	}
	for i, c := range want.Of {
		require.GreaterOrEqual(t, c, 0, i)
	}
}

// TestChunks gives texts of clear groups call by call, in any order: the same groups, if named after other texts.
func TestChunks(t *testing.T) {
	t.Parallel()
	rnd := source(t)
	texts := blobs(rnd, 10, 40)
	rnd.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	var known []Cluster
	for at := 0; at < len(texts); {
		n := min(1+rnd.IntN(60), len(texts)-at)
		r := Assign(known, texts[at:at+n], 0.6)
		for i, c := range r.Of {
			require.Equal(t, texts[at+i].Text[:2], r.Clusters[c].Text[:2])
		}
		for i, k := range known {
			require.Equal(t, k.ID, r.Clusters[i].ID, "known clusters stay where they are")
		}
		known, at = r.Clusters, at+n
	}
	require.Len(t, known, 10)
	set := NewSet(30, known)
	for _, text := range texts {
		n, ok := set.Recognise(text.Vector)
		require.True(t, ok)
		require.Equal(t, text.Text[:2], n.Cluster.Text[:2])
	}
}

func TestOddTexts(t *testing.T) {
	t.Parallel()
	r := Assign(nil, nil, 0.6)
	require.Empty(t, r.Clusters)
	r = Assign(nil, []Text{{"!", 1, []float32{0, 0}}, {"a", 3, []float32{1, 0}}}, 0.6)
	require.Equal(t, []int{-1, 0}, r.Of)
	require.Equal(t, 1, r.New)

	// A text that names a cluster belongs to it, even where the centre has moved away.
	known := []Cluster{{ID: pattern.Fingerprint("a"), Text: "a", Centre: []float32{0, 1}, Texts: 9, Threshold: 0.9}}
	r = Assign(known, []Text{{"a", 1, []float32{1, 0}}}, 0.6)
	require.Equal(t, []int{0}, r.Of)
	require.Zero(t, r.New)

	set := NewSet(2, known)
	_, ok := set.Recognise([]float32{0, 0})
	require.False(t, ok)
	n, ok := set.Recognise([]float32{1, 0})
	require.False(t, ok)
	require.Equal(t, "a", n.Cluster.Text, "the nearest one is named")
	n, ok = NewSet(2, nil).Recognise([]float32{1, 0})
	require.False(t, ok)
	require.Empty(t, n.Cluster.ID)
	require.Empty(t, NewSet(3, known).Nearest([]float32{1, 0, 0}, 2), "vectors of another embedder")
}

func TestCut(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b", Cut([]byte(" \ta b\r\n")))
	require.Equal(t, "a\uFFFDb", Cut([]byte("a\xff\xfeb")))
	require.Empty(t, Cut(nil))
	long := Cut([]byte(strings.Repeat("é", MaxText)))
	require.Equal(t, strings.Repeat("é", MaxText/2), long)
	require.Equal(t, "x"+strings.Repeat("é", MaxText/2-1), Cut([]byte("x"+strings.Repeat("é", MaxText))))
}

func FuzzCut(f *testing.F) {
	f.Add([]byte(" a\xff "), 3)
	f.Fuzz(func(t *testing.T, text []byte, times int) {
		long := bytes.Repeat(text, 1+max(0, times%2000))
		got := Cut(long)
		if !utf8.ValidString(got) || len(got) > 3*MaxText || Cut([]byte(got)) != got && len(got) <= MaxText && !strings.ContainsRune(got, utf8.RuneError) {
			t.Fatalf("%q", got)
		}
	})
}

// TestTickets clusters what people write, with the built-in embedder.
func TestTickets(t *testing.T) {
	t.Parallel()
	groups := [][]string{
		{"I forgot my password and cannot log in", "forgot password, can't log in", "Cannot log in because I forgot the password"},
		{"The printer on the second floor is out of paper", "printer out of paper on second floor", "second floor printer has no paper"},
		{"My invoice shows the wrong amount", "wrong amount on invoice", "The amount on my invoice is wrong"},
		{"the server is out of disk space", "no disk space left on server", "server disk space is full"},
	}
	var texts []string
	for _, g := range groups {
		texts = append(texts, g...)
	}
	vectors, err := embed.NewStatic().Embed(t.Context(), texts)
	require.NoError(t, err)
	in := make([]Text, len(texts))
	for i := range texts {
		in[i] = Text{texts[i], 1, vectors[i]}
	}
	r := Assign(nil, in, DefaultThreshold)
	require.Len(t, partition(in, r), len(groups), "%v", r.Of)
	for i := range texts {
		require.Equal(t, r.Of[i/3*3], r.Of[i], texts[i])
	}
	v, err := embed.NewStatic().Embed(t.Context(), []string{"please help, I forgot my login password", "the weather is nice in Lisbon"})
	require.NoError(t, err)
	set := NewSet(len(v[0]), r.Clusters)
	n, ok := set.Recognise(v[0])
	require.True(t, ok)
	require.Contains(t, groups[0], n.Cluster.Text)
	n, ok = set.Recognise(v[1])
	require.False(t, ok, "%s %v", n.Cluster.Text, n.Score)
}
