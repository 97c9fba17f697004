package search

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// version is what the oracle keeps of a version of an entry: the entry, and when it was replaced.
type version struct {
	Entry
	until int64
}

// library is the oracle: versions of entries, and BM25F over their words as the formula says it, with no index.
type library struct {
	versions []version
}

func (l *library) put(e Entry) {
	l.remove(e.Space, e.Slug, e.RecordedAt)
	l.versions = append(l.versions, version{e, forever})
}

func (l *library) remove(space, slug string, at time.Time) bool {
	for i := range l.versions {
		if v := &l.versions[i]; v.Space == space && v.Slug == slug && v.until == forever {
			v.until = at.UnixMicro()
			return true
		}
	}
	return false
}

// visible are the versions that a reader of the spaces sees at a moment.
func (l *library) visible(spaces []string, moment int64) (out []version) {
	for _, v := range l.versions {
		if slices.Contains(spaces, v.Space) && v.RecordedAt.UnixMicro() <= moment && moment < v.until {
			out = append(out, v)
		}
	}
	return out
}

func termsOf(text string) (out []string) {
	a := analyzer{language: english}
	a.each(text, 0, func(t Token) { out = append(out, string(t.Term)) })
	return out
}

// rank is BM25F: frequencies are summed over fields with their weights, then saturated.
func (l *library) rank(spaces []string, moment int64, query string, k int) []Hit {
	docs := l.visible(spaces, moment)
	frequencies, total := make([]map[string]int, len(docs)), 0
	lengths := make([]int, len(docs))
	df := map[string]int{}
	for i, d := range docs {
		frequencies[i] = map[string]int{}
		for _, field := range append([]string{d.Title, d.Title, d.Body}, d.Tags...) {
			for _, t := range termsOf(field) {
				frequencies[i][t]++
				lengths[i]++
			}
		}
		total += lengths[i]
		for t := range frequencies[i] {
			df[t]++
		}
	}
	var out []Hit
	for i, d := range docs {
		points := int64(0)
		asked := asked([]clause{{text: query}}, english)
		for _, t := range slices.Compact(slices.Sorted(slices.Values(asked))) {
			f := float64(frequencies[i][t])
			if f == 0 {
				continue
			}
			times := 0.0
			for _, a := range asked {
				if a == t {
					times++
				}
			}
			n, in := float64(len(docs)), float64(df[t])
			weight := times * math.Log(1+(n-in+.5)/(in+.5))
			norm := .9 * (1 - .4 + .4*rounded(lengths[i])/max(1, float64(total)/n))
			points += int64(math.RoundToEven(weight * f / (f + norm) * (1 << 24)))
		}
		if points > 0 {
			score := float64(points) / (1 << 24)
			out = append(out, Hit{Space: d.Space, Slug: d.Slug, Revision: d.Revision, Score: score, Lexical: score})
		}
	}
	slices.SortFunc(out, func(a, b Hit) int {
		switch {
		case a.Score != b.Score:
			if a.Score > b.Score {
				return -1
			}
			return 1
		case a.Space != b.Space:
			return strings.Compare(a.Space, b.Space)
		}
		return strings.Compare(a.Slug, b.Slug)
	})
	return out[:min(k, len(out))]
}

// rounded is a length as Lucene's SmallFloat keeps it: 4 bits of what is above 24.
func rounded(n int) float64 {
	if n < 40 {
		return float64(n)
	}
	n -= 24
	step := 1
	for n/step >= 16 {
		step *= 2
	}
	return float64(n/step*step + 24)
}

// maker makes random entries of few words, so that they share many.
type maker struct {
	*rand.Rand
	words []string
}

func newMaker(seed uint64) *maker {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 7))}
	for i := range 60 {
		m.words = append(m.words, fmt.Sprintf("%c%cr%d", 'b'+i%20, 'k'+i%7, i))
	}
	m.words = append(m.words, "the", "Running", "runs", "relational", "of", "what")
	return m
}

// text is n words; the first are frequent.
func (m *maker) text(n int) string {
	var b strings.Builder
	for range n {
		i := min(int(m.ExpFloat64()*10), len(m.words)-1)
		b.WriteString(m.words[i] + " ")
	}
	return b.String()
}

func (m *maker) entry(space string, slug, revision int, at time.Time) Entry {
	e := Entry{
		Space: space, Slug: fmt.Sprintf("s%03d", slug), Revision: int64(revision), RecordedAt: at, Language: "en",
		Title: m.text(m.IntN(5)), Body: m.text(m.IntN(80)), Type: []string{"note", "runbook"}[m.IntN(2)],
	}
	for range m.IntN(3) {
		e.Tags = append(e.Tags, m.words[m.IntN(5)])
	}
	return e
}

// TestIndexIsTheOracle compares the index with the formula while entries come, change and go.
func TestIndexIsTheOracle(t *testing.T) {
	t.Parallel()
	for range 4 {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		m, x, l := newMaker(seed), New(Options{History: 1 << 20}), &library{}
		spaces := []string{"a", "b", "c"}
		now := time.UnixMicro(1e15)
		steps := 200 + m.IntN(600)
		var moments []time.Time
		for step := range steps {
			now = now.Add(time.Duration(1+m.IntN(5)) * time.Second)
			space, slug := spaces[m.IntN(3)], m.IntN(150)
			if m.IntN(4) == 0 {
				require.Equal(t, l.remove(space, fmt.Sprintf("s%03d", slug), now), x.Delete(space, fmt.Sprintf("s%03d", slug), now))
			} else {
				e := m.entry(space, slug, step, now)
				require.NoError(t, x.Put(e))
				l.put(e)
			}
			if m.IntN(300) == 0 {
				x.Compact()
			}
			if m.IntN(20) == 0 {
				moments = append(moments, now)
				readable := spaces[:1+m.IntN(3)]
				query, k := m.text(1+m.IntN(8)), 1+m.IntN(30)
				got, err := x.Search(Request{Query: PlainQuery(query), Spaces: readable, K: k, LexicalOnly: true})
				require.NoError(t, err)
				require.Equal(t, l.rank(readable, now.UnixMicro(), query, k), nilled(got), "step %d, %q", step, query)
			}
		}
		for _, at := range moments { // the past is as it was
			query := m.text(4)
			got, err := x.Search(Request{Query: PlainQuery(query), Spaces: spaces[1:], K: 20, LexicalOnly: true, AsOf: at})
			require.NoError(t, err)
			require.Equal(t, l.rank(spaces[1:], at.UnixMicro(), query, 20), nilled(got), "as of %v, %q", at, query)
		}
	}
}

func nilled(hits []Hit) []Hit {
	if len(hits) == 0 {
		return nil
	}
	return hits
}

// filled is an index of n entries in three spaces, some replaced and deleted.
func filled(t testing.TB, seed uint64, n int, o Options) (*Index, *maker) {
	t.Helper()
	m, x := newMaker(seed), New(o)
	now := time.UnixMicro(1e15)
	for i := range n {
		now = now.Add(time.Second)
		require.NoError(t, x.Put(m.entry("abc"[i%3:i%3+1], m.IntN(n), i, now)))
		if m.IntN(5) == 0 {
			x.Delete("abc"[i%3:i%3+1], fmt.Sprintf("s%03d", m.IntN(n)), now)
		}
	}
	return x, m
}

// TestPruningLosesNothing compares with adding up every posting.
func TestPruningLosesNothing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	x, m := filled(t, seed, 12_000, Options{}) // more than a window, and lists of many blocks
	for range 150 {
		query := PlainQuery(m.text(1 + m.IntN(12)))
		r := Request{Query: query, Spaces: []string{"a", "b", "c"}, K: 1 + m.IntN(40), LexicalOnly: true}
		v, err := x.view(&r)
		require.NoError(t, err)
		p := v.plan(query)
		table := norms(float64(v.length) / float64(v.n))
		all := &best{k: 1 << 20}
		for _, part := range v.parts {
			sums := map[uint32]int64{}
			for _, term := range p.terms {
				var c cursor
				if list := part.s.terms[term.term]; list != nil {
					for c.open(&part.s.store, list); c.doc() != end; c.next() {
						sums[c.doc()] += impact(term.weight, float64(c.frequency()), table[part.s.docs.code[c.doc()]])
					}
				}
			}
			for doc, sum := range sums {
				if part.s.live.has(doc) {
					all.offer(scored{part.s, part.space, doc, sum})
				}
			}
		}
		want := hits(all.sorted())
		got, err := x.Search(r)
		require.NoError(t, err)
		require.Equal(t, want[:min(r.K, len(want))], got, "%q", query.Text())
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	x, m := filled(t, seed, 3000, Options{History: 500})
	var b bytes.Buffer
	require.NoError(t, x.WriteSnapshot(&b, 4711))
	first := slices.Clone(b.Bytes())
	y, position, err := Read(&b, Options{History: 500})
	require.NoError(t, err)
	require.EqualValues(t, 4711, position)
	require.Equal(t, x.Len(), y.Len())
	now := time.UnixMicro(2e15)
	for i := range 300 { // they go on alike
		e := m.entry("a", m.IntN(3000), i, now)
		require.NoError(t, x.Put(e))
		require.NoError(t, y.Put(e))
		r := Request{Query: PlainQuery(m.text(5)), Spaces: []string{"a", "c"}, K: 20, LexicalOnly: i%2 == 0}
		if i%10 == 0 {
			r.AsOf = time.UnixMicro(1e15 + int64(2900+m.IntN(100))*1e6)
		}
		want, err := x.Search(r)
		require.NoError(t, err)
		got, err := y.Search(r)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	z, _, err := Read(bytes.NewReader(first), Options{})
	require.NoError(t, err)
	var again bytes.Buffer
	require.NoError(t, z.WriteSnapshot(&again, 4711))
	require.Equal(t, first, again.Bytes(), "what is read is written as it was")
}

func TestSnapshotIsChecked(t *testing.T) {
	t.Parallel()
	x, m := filled(t, 1, 20, Options{Dim: 1})
	var b bytes.Buffer
	require.NoError(t, x.WriteSnapshot(&b, 0))
	for n := range b.Len() {
		_, _, err := Read(bytes.NewReader(b.Bytes()[:n]), Options{Dim: 1})
		require.ErrorIs(t, err, ErrSnapshot, "cut after %d bytes", n)
	}
	for range 400 {
		damaged := slices.Clone(b.Bytes())
		damaged[m.IntN(len(damaged))] ^= 1 << m.IntN(8)
		_, _, err := Read(bytes.NewReader(damaged), Options{Dim: 1})
		require.ErrorIs(t, err, ErrSnapshot)
	}
	_, _, err := Read(bytes.NewReader(b.Bytes()), Options{Dim: 12, Embedder: "other"})
	require.ErrorContains(t, err, "its vectors are of")
}
