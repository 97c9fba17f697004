package validate

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// writer makes texts out of random words, each word of random syllables.
type writer struct {
	*rand.Rand
	words []string
}

func newWriter(seed uint64) writer {
	w := writer{Rand: rand.New(rand.NewPCG(seed, 0))}
	syllables := strings.Fields("ba be bi bo ca ce co da de di do fa fe fi ga ge go ha he in ka ki la le li lo ma me mi mo na ne ni no pa pe po ra re ri ro sa se si so ta te ti to tra ver con pro sta ser ing er est al ment")
	for range 4000 {
		word := ""
		for range 1 + w.IntN(4) {
			word += syllables[w.IntN(len(syllables))]
		}
		w.words = append(w.words, word)
	}
	return w
}

// word prefers frequent words, as languages do.
func (w writer) word() string {
	f := w.Float64()
	return w.words[int(f*f*f*float64(len(w.words)))]
}

func (w writer) text(words int) string {
	var b strings.Builder
	for i := range words {
		b.WriteString(w.word())
		switch {
		case i%60 == 59:
			b.WriteString(".\n\n")
		case i%12 == 11:
			b.WriteString(". ")
		default:
			b.WriteString(" ")
		}
	}
	return b.String()
}

// secret is random letters and digits.
func (w writer) secret(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[w.IntN(len(letters))]
	}
	return string(b)
}

// edit changes a share of the words, and moves, adds and drops a sentence now and then: a near duplicate as people make
// them.
func (w writer) edit(text string, share float64) string {
	words := strings.Split(text, " ")
	out := make([]string, 0, len(words))
	for _, word := range words {
		switch f := w.Float64(); {
		case f < share*0.6:
			out = append(out, w.word())
		case f < share*0.8: // dropped
		case f < share:
			out = append(out, word, w.word())
		default:
			out = append(out, word)
		}
	}
	text = strings.Join(out, " ")
	switch w.IntN(4) {
	case 0:
		text = strings.ToUpper(text[:1]) + text[1:]
	case 1:
		text = "# " + text
	case 2:
		text = strings.ReplaceAll(text, ". ", ".\n")
	}
	return text
}

// TestNearDuplicatesAreFound measures what the index finds and the comparison confirms, among texts that have nothing to
// do with each other and texts of one template.
func TestNearDuplicatesAreFound(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	w := newWriter(seed)
	n := NewNear[string]()
	texts := map[string]string{}
	add := func(key, text string) { texts[key] = text; n.Add(key, text) }
	for i := range 2000 {
		add(fmt.Sprintf("free/%d", i), w.text(30+w.IntN(300)))
	}
	template := w.text(40)
	for i := range 500 { // a fifth to a half in common
		add(fmt.Sprintf("template/%d", i), template+w.text(40+w.IntN(120)))
	}
	truePositive, falsePositive, falseNegative := 0, 0, 0
	for i := range 1000 {
		var text, source string
		if i%2 == 0 {
			keys := []string{fmt.Sprintf("free/%d", w.IntN(2000)), fmt.Sprintf("template/%d", w.IntN(500))}
			source = keys[w.IntN(2)]
			text = w.edit(texts[source], 0.04*w.Float64())
		} else if i%4 == 1 {
			text = w.text(30 + w.IntN(300))
		} else {
			text = template + w.text(40+w.IntN(120))
		}
		var found []string
		for _, key := range n.Query(text, 8) {
			if Jaccard(text, texts[key]) >= 0.8 {
				found = append(found, key)
			}
		}
		switch {
		case source == "":
			falsePositive += len(found)
		case slices.Contains(found, source):
			truePositive++
			falsePositive += len(found) - 1
		default:
			falseNegative++
			falsePositive += len(found)
		}
	}
	f1 := 2 * float64(truePositive) / float64(2*truePositive+falsePositive+falseNegative)
	t.Logf("seed %d: F1 %.4f, found %d, missed %d, wrong %d", seed, f1, truePositive, falseNegative, falsePositive)
	require.GreaterOrEqual(t, f1, 0.9)
}

// TestNearAgainstComparingAll holds the index to the exact comparison of all pairs.
func TestNearAgainstComparingAll(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	w := newWriter(seed)
	n := NewNear[int]()
	var sets [][]uint64
	for i := range 100 {
		text := w.text(60 + w.IntN(100))
		for copies := range 3 {
			text = w.edit(text, 0.02*float64(copies))
			n.Add(3*i+copies, text)
			sets = append(sets, shingles(text))
		}
	}
	found, all := 0, 0
	for i, set := range sets {
		keys := n.query(set, len(sets))
		for j, other := range sets {
			if i != j && jaccard(set, other) >= 0.8 {
				all++
				if slices.Contains(keys, j) {
					found++
				}
			}
		}
	}
	t.Logf("seed %d: %d of %d pairs", seed, found, all)
	require.Greater(t, all, 100)
	require.GreaterOrEqual(t, float64(found)/float64(all), 0.985)
}

func TestNearAddRemoveReplace(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newWriter(seed)
	n := NewNear[int]()
	held := map[int]string{}
	for range 1000 {
		key := w.IntN(200)
		if w.IntN(3) == 0 {
			delete(held, key)
			n.Remove(key)
		} else {
			held[key] = w.text(20 + w.IntN(30))
			n.Add(key, held[key])
		}
		require.Equal(t, len(held), n.Len())
		probe := w.IntN(200)
		got := n.Query(held[probe], 5)
		if text, ok := held[probe]; ok {
			require.Contains(t, got, probe, "%q", text)
		}
		for _, k := range got {
			require.Contains(t, held, k)
		}
	}
	for key := range 200 {
		n.Remove(key)
	}
	require.Zero(t, n.Len())
	for b := range bands {
		for _, head := range n.heads[b] {
			require.Zero(t, head)
		}
	}
}

func TestNearOfManyCopies(t *testing.T) {
	t.Parallel()
	n := NewNear[int]()
	text := newWriter(3).text(50)
	for i := range 2_000 {
		n.Add(i, text)
	}
	require.Len(t, n.Query(text, 5), 5)
	for i := range 2_000 {
		n.Remove(i)
	}
	require.Zero(t, n.Len())
}

func TestJaccard(t *testing.T) {
	t.Parallel()
	a := newWriter(1).text(100)
	require.InDelta(t, 1, Jaccard(a, a), 0)
	require.InDelta(t, 1, Jaccard(a, "**"+strings.ToUpper(strings.ReplaceAll(a, " ", " \n "))+"**"), 0, "case, blanks and signs do not count")
	require.Less(t, Jaccard(a, newWriter(2).text(100)), 0.3)
	require.Zero(t, Jaccard("too short", "too short"))
	// 44 distinct runs of five in each of the two, of which 40 are in both: hand counted on letters that do not repeat
	alphabet := []rune("abcdefghijklmnopqrstuvwxyzабвгдежзиклмнопрстуфхцчш")
	left, right := string(alphabet[:48]), string(alphabet[:44])+"юяэъ"
	require.InDelta(t, 40.0/48.0, Jaccard(left, right), 1e-12)
}

func TestPrints(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newWriter(seed)
	for range 200 {
		shared := strings.Fields(w.text(8))
		a := Prints(w.text(w.IntN(30)) + " " + strings.Join(shared, " ") + " " + w.text(w.IntN(30)))
		b := Prints(w.text(w.IntN(30)) + " " + strings.Join(shared, " ") + " " + w.text(w.IntN(30)))
		require.True(t, slices.ContainsFunc(a, func(h int64) bool { return slices.Contains(b, h) }), "eight words in a row share a print")
		require.True(t, slices.IsSorted(a))
	}
}

// hundredThousand is an index of 100,000 texts of 120 words, and the bytes that each takes.
var hundredThousand = sync.OnceValues(func() (*Near[uint64], float64) {
	var before, after runtime.MemStats
	w := newWriter(5)
	n := NewNear[uint64]()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100_000 {
		n.Add(uint64(i), w.text(120))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	return n, float64(after.HeapAlloc-before.HeapAlloc) / float64(n.Len())
})

func BenchmarkNearQuery100k(b *testing.B) {
	n, bytes := hundredThousand()
	w := newWriter(6)
	texts := make([]string, 64)
	for i := range texts {
		texts[i] = w.text(120)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n.Query(texts[i%len(texts)], 8)
		i++
	}
	b.ReportMetric(bytes, "B/entry")
}

func BenchmarkNearAdd(b *testing.B) {
	w := newWriter(5)
	texts := make([]string, 64)
	for i := range texts {
		texts[i] = w.text(120)
	}
	n := NewNear[int]()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n.Add(i, texts[i%len(texts)])
		i++
	}
}
