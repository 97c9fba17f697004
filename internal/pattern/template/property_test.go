package template

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// follower applies changes as a store does and checks that they say all.
type follower struct {
	shapes  map[ShapeID]pattern.ID
	folded  map[ShapeID]ShapeID
	alive   map[pattern.ID]pattern.Pattern
	aliases map[pattern.ID]pattern.ID
	handed  map[ShapeID][]pattern.ID // every id a shape ever had
	lines   map[ShapeID]int64
	texts   map[ShapeID]string
}

func newFollower() *follower {
	return &follower{
		shapes: map[ShapeID]pattern.ID{}, folded: map[ShapeID]ShapeID{}, alive: map[pattern.ID]pattern.Pattern{},
		aliases: map[pattern.ID]pattern.ID{}, handed: map[ShapeID][]pattern.ID{}, lines: map[ShapeID]int64{}, texts: map[ShapeID]string{},
	}
}

func (f *follower) apply(t *testing.T, ch Change, counted []Counted) {
	t.Helper()
	for _, s := range ch.Added {
		f.shapes[s.ID] = ""
		f.texts[s.ID] = s.Text
	}
	for _, x := range ch.Folded {
		require.Contains(t, f.shapes, x.From)
		f.lines[x.To] += f.lines[x.From]
		f.handed[x.To] = append(f.handed[x.To], f.handed[x.From]...)
		delete(f.lines, x.From)
		delete(f.shapes, x.From)
		f.folded[x.From] = x.To
	}
	for _, p := range ch.Patterns {
		f.alive[p.ID] = p
		delete(f.aliases, p.ID)
	}
	for _, m := range ch.Moved {
		require.Contains(t, f.shapes, m.Shape)
		f.shapes[m.Shape] = m.Pattern
	}
	for _, a := range ch.Retired {
		require.Contains(t, f.alive, a.Old)
		delete(f.alive, a.Old)
		if a.New != "" {
			f.aliases[a.Old] = a.New
		}
	}
	for k, a := range ch.Assigned {
		require.Equal(t, counted[k].ID, a.Given)
		f.lines[a.Shape] += counted[k].Lines
		if a.Shape == Other {
			require.Empty(t, a.Pattern)
			continue
		}
		require.Equal(t, f.shapes[a.Shape], a.Pattern, "assignment of %x", a.Given)
		f.handed[a.Shape] = append(f.handed[a.Shape], a.Pattern)
	}
}

// check compares what the follower knows with the library.
func (f *follower) check(t *testing.T, l *Library) {
	t.Helper()
	shapes, patterns := l.Len()
	require.Len(t, f.shapes, shapes)
	require.Len(t, f.alive, patterns)
	for id, p := range f.shapes {
		got, ok := l.PatternOf(id)
		require.True(t, ok)
		require.Equal(t, got, p)
	}
	for _, p := range l.Patterns() {
		require.Equal(t, f.alive[p.ID], p)
	}
	for shape, ids := range f.handed {
		for _, id := range ids {
			for range len(f.aliases) + 1 {
				next, ok := f.aliases[id]
				if !ok {
					break
				}
				id = next
			}
			require.Contains(t, f.alive, id, "id handed out for shape %x resolves to nothing", shape)
		}
	}
}

// reload learns the live shapes anew, as a process does that starts.
func (f *follower) reload() *Library {
	var shapes []Shape
	for id := range f.shapes {
		shapes = append(shapes, Shape{ID: id, Text: f.texts[id]})
	}
	l := NewLibrary(Options{})
	l.Learn(shapes)
	return l
}

func (f *follower) perPattern() map[pattern.ID]int64 {
	out := map[pattern.ID]int64{}
	for id, n := range f.lines {
		out[f.shapes[id]] += n
	}
	return out
}

// mixed returns lines of several random streams, which makes groups that many statements share.
func mixed(seed uint64, n int) [][]byte {
	var out [][]byte
	for k, a := range authors {
		g := a.make(seed*7+uint64(k), 60)
		for range n / len(authors) {
			text, _ := g.line()
			out = append(out, []byte(text))
		}
	}
	return out
}

// mineIn learns the lines in the given number of chunks, each counted by a tally of its own.
func mineIn(t *testing.T, messages [][]byte, chunks int, rng *rand.Rand) (*Library, *follower) {
	t.Helper()
	return mineInto(t, NewLibrary(Options{}), messages, chunks, rng)
}

func mineInto(t *testing.T, l *Library, messages [][]byte, chunks int, rng *rand.Rand) (*Library, *follower) {
	t.Helper()
	f := newFollower()
	for len(messages) > 0 {
		n := len(messages)
		if chunks > 1 {
			n = 1 + rng.IntN(min(n, 2*n/chunks+1))
		}
		chunks--
		tl := NewTally(TallyOptions{Index: l.Index()})
		for i, m := range messages[:n] {
			tl.Add(m, m, int64(i))
		}
		messages = messages[n:]
		counted := tl.Counted()
		shapes := make([]Shape, len(counted))
		for i, c := range counted {
			shapes[i] = c.Shape
		}
		rng.Shuffle(len(shapes), func(i, j int) {
			shapes[i], shapes[j] = shapes[j], shapes[i]
			counted[i], counted[j] = counted[j], counted[i]
		})
		f.apply(t, l.Learn(shapes), counted)
	}
	f.check(t, l)
	return l, f
}

func TestOrderAndChunksChangeNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		messages := mixed(seed, 4000)
		rng := rand.New(rand.NewPCG(seed, 1))
		want, wantF := mineIn(t, messages, 1, rng)
		for round := range 5 {
			rng.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
			got, gotF := mineIn(t, messages, []int{1, 3, 10, 40, 100}[round], rng)
			require.Equal(t, want.Checksum(), got.Checksum(), "seed %d round %d", seed, round)
			require.Equal(t, want.Patterns(), got.Patterns(), "seed %d round %d", seed, round)
			require.Equal(t, wantF.perPattern(), gotF.perPattern())
			require.Equal(t, want.Checksum(), gotF.reload().Checksum())
		}
	}
}

func TestArrivalIsStable(t *testing.T) {
	t.Parallel()
	for seed, a := range authors {
		g := a.make(100+uint64(seed), 120)
		l, f := NewLibrary(Options{}), newFollower()
		type arrival struct {
			shape ShapeID
			id    pattern.ID
		}
		var seen []arrival
		for at := 0; at < 20000; at += 25 {
			tl := NewTally(TallyOptions{Index: l.Index()})
			for range 25 {
				text, _ := g.line()
				tl.Add([]byte(text), []byte(text), 0)
			}
			c := tl.Counted()
			var shapes []Shape
			for i := range c {
				shapes = append(shapes, c[i].Shape)
			}
			ch := l.Learn(shapes)
			f.apply(t, ch, c)
			for k, a := range ch.Assigned {
				for range c[k].Lines {
					if at >= 5000 {
						seen = append(seen, arrival{a.Shape, a.Pattern})
					}
				}
			}
		}
		same := 0
		for _, a := range seen {
			id := a.id
			for next, ok := f.aliases[id]; ok; next, ok = f.aliases[id] {
				id = next
			}
			shape := a.shape
			for to, ok := f.folded[shape]; ok; to, ok = f.folded[shape] {
				shape = to
			}
			if f.shapes[shape] == id {
				same++
			}
		}
		share := float64(same) / float64(len(seen))
		t.Logf("seed %d: %.4f of ids at arrival are today's", seed, share)
		require.Greater(t, share, 0.99)
	}
}

func TestAbsorbedColumnsDoNotGrowTheLibrary(t *testing.T) {
	t.Parallel()
	name := func(i int) string {
		var b []byte
		for range 4 {
			b = append(b, 'a'+byte(i%26), 'e')
			i /= 26
		}
		return string(b)
	}
	for _, perm := range []bool{false, true} {
		var messages [][]byte
		for i := range 30000 {
			messages = append(messages, fmt.Appendf(nil, "session of %s opened", name(i)), fmt.Appendf(nil, "copied %s to host %s today", name(i), name(i*7%30000)))
		}
		rng := rand.New(rand.NewPCG(3, 3))
		if perm {
			rng.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		}
		l, f := mineIn(t, messages, 30, rng)
		var texts []string
		for _, p := range l.Patterns() {
			texts = append(texts, p.Template)
		}
		slices.Sort(texts)
		require.Equal(t, []string{"copied <*> to host <*> today", "session of <*> opened"}, texts)
		shapes, _ := l.Len()
		require.Less(t, shapes, 5000)
		require.Equal(t, l.Checksum(), f.reload().Checksum())
		total := int64(0)
		for id, n := range f.perPattern() {
			require.NotEmpty(t, id, "lines went to Other")
			total += n
		}
		require.Equal(t, int64(len(messages)), total)
		var m Match
		require.True(t, l.Index().Recognise([]byte("session of somebodynew opened"), &m))
		require.Len(t, m.Values, 1)
	}
}

func TestBoundSendsTheRestToOther(t *testing.T) {
	t.Parallel()
	l := NewLibrary(Options{MaxShapes: 100})
	var shapes []Shape
	var s scanner
	for i := range 500 {
		s.scan(fmt.Appendf(nil, "%c%c%c %c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i*7%26, 'a'+i*11%26, 'a'+i*3%26))
		shapes = append(shapes, Shape{ID: s.id(), Text: string(s.text)})
	}
	ch := l.Learn(shapes)
	require.True(t, ch.Full)
	n, _ := l.Len()
	require.Equal(t, 100, n)
	require.Equal(t, Other, ch.Assigned[499].Shape)
	require.Empty(t, ch.Assigned[499].Pattern)
}

// TestFoldingKeepsCounts folds early, over few words, where wider shapes overlap: nothing is lost or counted twice, and a library
// loaded from the live shapes is the same.
func TestFoldingKeepsCounts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 4))
		small := func() *Library {
			l := NewLibrary(Options{})
			l.foldAt, l.foldClusterAt = 4, 24
			return l
		}
		var messages [][]byte
		for range 100 + rng.IntN(400) {
			var m []byte
			for k := range 2 + rng.IntN(3) {
				m = fmt.Appendf(m, "%c%c ", 'a'+k, 'a'+rng.IntN(1+rng.IntN(12)))
			}
			messages = append(messages, m)
		}
		l, f := mineInto(t, small(), messages, 1+rng.IntN(40), rng)
		total := int64(0)
		for id, n := range f.perPattern() {
			require.NotEmpty(t, id)
			total += n
		}
		require.Equal(t, int64(len(messages)), total)
		again := small()
		var shapes []Shape
		for id := range f.shapes {
			shapes = append(shapes, Shape{ID: id, Text: f.texts[id]})
		}
		ch := again.Learn(shapes)
		require.Empty(t, ch.Folded)
		for _, a := range ch.Assigned {
			require.Equal(t, a.Given, a.Shape, "seed %d: %q folded into %q", seed, f.texts[a.Given], f.texts[a.Shape])
			require.Equal(t, f.shapes[a.Given], a.Pattern, "seed %d: %q was %v", seed, f.texts[a.Given], l.Patterns())
		}
		require.Equal(t, l.Checksum(), again.Checksum(), "seed %d", seed)
		ix := l.Index()
		var m Match
		for _, line := range messages {
			require.True(t, ix.Recognise(line, &m), "seed %d %q", seed, line)
			require.Equal(t, 1.0, m.Confidence)
		}
	}
}

// TestSmallVocabularies mines lines over very few words, where every rule touches every other.
func TestSmallVocabularies(t *testing.T) {
	t.Parallel()
	rounds := uint64(30)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		rng := rand.New(rand.NewPCG(seed, 9))
		var vocabulary []string
		for i := range 4 + rng.IntN(25) {
			vocabulary = append(vocabulary, []string{
				fmt.Sprintf("w%c", 'a'+i), fmt.Sprintf("k=v%c", 'a'+i), fmt.Sprint(i), fmt.Sprintf("n_%d", i), fmt.Sprintf("(%c)", 'a'+i),
				fmt.Sprintf("x%c,", 'a'+i), fmt.Sprintf("my_%c", 'a'+i), fmt.Sprintf("%cB", 'a'+i), "user", "10.0.0.1",
			}[rng.IntN(10)])
		}
		var messages [][]byte
		for range 30 + rng.IntN(300) {
			var m []byte
			for k := range 1 + rng.IntN(7) {
				if k > 0 {
					m = append(m, ' ')
				}
				m = append(m, vocabulary[rng.IntN(1+rng.IntN(len(vocabulary)))]...)
			}
			messages = append(messages, m)
		}
		want, wantF := mineIn(t, messages, 1, rng)
		for _, chunks := range []int{2, 7, 30} {
			rng.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
			got, gotF := mineIn(t, messages, chunks, rng)
			require.Equal(t, want.Patterns(), got.Patterns(), "seed %d chunks %d", seed, chunks)
			require.Equal(t, want.Checksum(), got.Checksum(), "seed %d chunks %d", seed, chunks)
			require.Equal(t, wantF.perPattern(), gotF.perPattern())
			ix := got.Index()
			var m Match
			for _, line := range messages {
				require.True(t, ix.Recognise(line, &m))
				p, ok := ix.Pattern(m.Pattern)
				require.True(t, ok)
				require.Len(t, m.Values, len(p.Slots), "seed %d %q as %q", seed, line, p.Template)
				last := 0
				for _, v := range m.Values {
					require.LessOrEqual(t, last, v.Start, "seed %d %q as %q: %v", seed, line, p.Template, m.Values)
					last = v.End
				}
			}
		}
	}
}

func TestLoadIsLearnWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	shapes := manyShapes(2000)
	shapes, more := shapes[:5000], shapes[5000:]
	learnt, loaded := NewLibrary(Options{}), NewLibrary(Options{})
	learnt.Learn(shapes)
	require.False(t, loaded.Load(slices.Values(shapes[:3500])))
	require.False(t, loaded.Load(slices.Values(shapes[3500:])))
	require.Equal(t, learnt.Checksum(), loaded.Checksum())
	require.Equal(t, learnt.Patterns(), loaded.Patterns())
	require.NotEmpty(t, learnt.Learn(more).Added)
	loaded.Learn(more)
	require.Equal(t, learnt.Patterns(), loaded.Patterns())
	small := NewLibrary(Options{MaxShapes: 10})
	require.True(t, small.Load(slices.Values(shapes)))
}
