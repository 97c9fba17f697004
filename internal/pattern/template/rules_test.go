package template

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// taught makes a library of messages.
func taught(messages ...string) *Library {
	l := NewLibrary(Options{})
	teach(l, messages...)
	return l
}

func teach(l *Library, messages ...string) Change {
	t := NewTally(TallyOptions{Index: l.Index()})
	for _, m := range messages {
		t.Add([]byte(m), []byte(m), 0)
	}
	var shapes []Shape
	for _, c := range t.Counted() {
		shapes = append(shapes, c.Shape)
	}
	return l.Learn(shapes)
}

// recognised returns the template of a message and its values.
func recognised(t *testing.T, l *Library, message string) (template string, values []string, confidence float64) {
	t.Helper()
	ix := l.Index()
	var m Match
	require.True(t, ix.Recognise([]byte(message), &m), message)
	p, ok := ix.Pattern(m.Pattern)
	require.True(t, ok, "%s: %s", message, m.Pattern)
	require.Len(t, m.Values, len(p.Slots), "%q as %q", message, p.Template)
	for _, v := range m.Values {
		values = append(values, message[v.Start:v.End])
	}
	return p.Template, values, m.Confidence
}

func mustDefine(t *testing.T, number int64, text string) Rule {
	t.Helper()
	r, err := Define(text)
	require.NoError(t, err)
	r.Number = number
	return r
}

func TestOwnPatternsWin(t *testing.T) {
	t.Parallel()
	l := taught("session opened for user ada from 10.0.0.1", "session opened for user bob from 10.0.0.2", "session closed for user ada", "disk 3 full")
	before, checksum := l.Patterns(), l.Checksum()
	own := mustDefine(t, 1, "session <what:word> for   user <user>")
	ch := l.SetRules([]Rule{own})
	require.Equal(t, "session <*> for user <*>", own.Target.Template)
	require.Equal(t, []pattern.Slot{{Name: "what", Type: pattern.Word}, {Name: "user", Type: pattern.Text}}, own.Target.Slots)
	require.NotEmpty(t, ch.Retired, "mined ones have gone")
	template, values, sure := recognised(t, l, "session opened for user ada from 10.0.0.1")
	require.Equal(t, own.Target.Template, template)
	require.Equal(t, []string{"opened", "ada from 10.0.0.1"}, values)
	require.Equal(t, 1.0, sure)
	template, values, sure = recognised(t, l, "session renewed for user kim for 20 ms")
	require.Equal(t, own.Target.Template, template, "never seen")
	require.Equal(t, []string{"renewed", "kim for 20 ms"}, values)
	require.Less(t, sure, 1.0)
	why := l.Index().Explain([]byte("session renewed for user kim for 20 ms"))
	require.Contains(t, why.Why, "a rule that a person made takes it, and rules win: the pattern is own and has 3 of its 8 tokens as words; no such line")
	teach(l, "session dropped for user eve")
	id, ok := l.Pattern(own.Target.ID)
	require.True(t, ok)
	require.Equal(t, pattern.Own, id.Origin)

	// A more specific one takes its part, whichever was first.
	narrow := mustDefine(t, 2, "session <*> for user ada from <ip:ip>")
	for _, rules := range [][]Rule{{own, narrow}, {narrow, own}} {
		l.SetRules(rules)
		template, values, _ = recognised(t, l, "session opened for user ada from 10.0.0.1")
		require.Equal(t, narrow.Target.Template, template)
		require.Equal(t, []string{"opened", "10.0.0.1"}, values)
		template, _, _ = recognised(t, l, "session opened for user bob from 10.0.0.2")
		require.Equal(t, own.Target.Template, template)
	}
	l = taught("session opened for user ada from 10.0.0.1", "session opened for user bob from 10.0.0.2", "session closed for user ada", "disk 3 full")
	l.SetRules([]Rule{narrow, own})
	back := l.SetRules(nil)
	require.Equal(t, before, l.Patterns())
	require.Equal(t, checksum, l.Checksum())
	require.Len(t, back.Retired, 2)
}

func TestDefineRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "needs a word",
		"<*> <x>":                 "needs a word",
		"at 10:20:30 done":        `"10" is a part of what lines have as one value`,
		"sizes=[1, 2] done":       `is a part of what lines have as one value`,
		"a=[] or <*>":             "is nothing where lines have a value",
		"got <n:numbr> of them":   "no slot type",
		"<a> and <a>":             "two slots have the name",
		"took <*>ms":              "ends where its word ends",
		"a\nb":                    "one line",
		"literal \\<*> here":      "literal text",
		strings.Repeat("w ", 200): "more than 127 words",
	} {
		_, err := Define(text)
		require.ErrorIs(t, err, ErrRule, text)
		require.ErrorContains(t, err, want, text)
	}
	r, err := Define(`an \<a> tag and key=<*>, <x.y:number>.`)
	require.NoError(t, err)
	require.Equal(t, "an <a> tag and key=<*>, <*>.", r.Target.Template)
	require.Equal(t, []pattern.Slot{{Name: "key", Type: pattern.Text}, {Name: "x.y", Type: pattern.Number}}, r.Target.Slots)
}

func FuzzDefine(f *testing.F) {
	for _, s := range append(slices.Clone(awkward), "a <b:word> c", `\<a> b <*>`, "<a><b> c", "k=<v:number>, [<x>]", "x <*>:<*> y", "-<*> a", "<*>... b") {
		f.Add(s, "a something c")
	}
	f.Fuzz(func(t *testing.T, text, line string) {
		r, err := Define(text)
		if err != nil {
			require.ErrorIs(t, err, ErrRule)
			return
		}
		require.Equal(t, strings.Count(r.Target.Template, pattern.Wildcard), len(r.Target.Slots), "%q", r.Target.Template)
		l := NewLibrary(Options{})
		l.SetRules([]Rule{r})
		require.Len(t, l.Patterns(), 1, "%q", text)
		for _, message := range []string{line, strings.ReplaceAll(r.Target.Template, pattern.Wildcard, "something")} {
			teach(l, message)
			recognised(t, l, message)
		}
		l.SetRules(nil)
		for _, p := range l.Patterns() {
			require.Equal(t, pattern.Mined, p.Origin)
		}
	})
}

func TestMergeSplitPin(t *testing.T) {
	t.Parallel()
	messages := []string{
		"session opened for user ada in 3ms", "session opened for user bob in 4ms", "session closed for user ada in 5ms",
		"session closed for user kim in 6ms", "session renewed for user kim", "disk 3 full", "disk 4 full",
	}
	l := taught(messages...)
	state := func() string { return fmt.Sprint(l.Patterns(), l.Checksum()) }
	start := state()
	id := func(message string) pattern.ID {
		var m Match
		require.True(t, l.Index().Recognise([]byte(message), &m))
		return m.Pattern
	}
	opened, closed, renewed := id(messages[0]), id(messages[2]), id(messages[4])
	require.NotEqual(t, opened, closed)

	merge, err := l.Merge([]pattern.ID{opened, closed}, "")
	require.NoError(t, err)
	merge.Number = 1
	l.SetRules([]Rule{merge})
	require.Equal(t, merge.Target.ID, id(messages[0]))
	require.Equal(t, merge.Target.ID, id(messages[3]))
	require.Equal(t, renewed, id(messages[4]), "only what was named")
	template, values, _ := recognised(t, l, messages[3])
	require.Equal(t, "session <*> for user <*> in <*>", template)
	require.Equal(t, []string{"closed", "kim", "6ms"}, values)
	merged := state()

	split, err := l.Split(merge.Target.ID, merge.Target.Slots[0].Name, nil)
	require.NoError(t, err)
	require.Len(t, split, 2)
	for i := range split {
		split[i].Number = 2
	}
	l.SetRules(append([]Rule{merge}, split...))
	template, _, _ = recognised(t, l, "session opened for user zoe in 9ms")
	require.Equal(t, "session opened for user <*> in <*>", template)
	p, _ := l.Pattern(pattern.Fingerprint(template))
	require.Equal(t, pattern.Split, p.Origin)
	l.SetRules([]Rule{merge})
	require.Equal(t, merged, state())
	l.SetRules(nil)
	require.Equal(t, start, state())

	_, err = l.Split(id("disk 3 full"), "number", nil)
	require.ErrorContains(t, err, "name those to split off")
	_, err = l.Split(id("disk 3 full"), "number", []string{"10:20"})
	require.ErrorContains(t, err, "not one word or value")
	_, err = l.Split(opened, "nonsense", nil)
	require.ErrorContains(t, err, "its slots are")
	_, err = l.Merge([]pattern.ID{opened, id("disk 3 full")}, "")
	require.ErrorContains(t, err, "no word in common")
	_, err = l.Merge([]pattern.ID{opened, opened}, "")
	require.ErrorContains(t, err, "at least two")

	pin, err := l.Pin(opened)
	require.NoError(t, err)
	pin.Number = 3
	require.Equal(t, opened, pin.Target.ID, "the same id")
	l.SetRules([]Rule{pin})
	require.Equal(t, checksumless(start), checksumless(strings.ReplaceAll(state(), " pinned}", " }")), "nothing else changes")
	teach(l, "session opened for user 7 in 1ms", "session opened for user zoe or ida in 1ms")
	require.Equal(t, opened, id(messages[0]))
	p, _ = l.Pattern(opened)
	require.Equal(t, pattern.Pinned, p.Origin)
	_, err = l.Pin(opened)
	require.True(t, errors.Is(err, ErrRule))

	// A merged pattern can be merged on, and into an own one; the rules that go in rest meanwhile.
	own := mustDefine(t, 4, "disk <n:number> full")
	l.SetRules([]Rule{merge, own})
	further, err := l.Merge([]pattern.ID{merge.Target.ID, renewed}, string(own.Target.ID))
	require.NoError(t, err)
	further.Number = 5
	l.SetRules([]Rule{merge, own, further})
	for _, m := range messages {
		require.Equal(t, own.Target.ID, id(m), m)
		recognised(t, l, m)
	}
	require.Len(t, l.Rules(), 1)
}

func checksumless(state string) string { return state[:strings.LastIndexByte(state, ' ')] }

// anyRules makes up rules for the library as it is.
func anyRules(l *Library, rng *rand.Rand, number int64, messages [][]byte) (rules []Rule) {
	all := l.Patterns()
	pick := func() pattern.Pattern { return all[rng.IntN(len(all))] }
	var err error
	switch rng.IntN(5) {
	case 0:
		var r Rule
		words := strings.Fields(string(messages[rng.IntN(len(messages))]))
		for range 1 + rng.IntN(3) {
			words[rng.IntN(len(words))] = "<*>"
		}
		if r, err = Define(strings.Join(words, " ")); err == nil {
			rules = []Rule{r}
		}
	case 1:
		var r Rule
		if r, err = l.Merge([]pattern.ID{pick().ID, pick().ID, pick().ID}, ""); err == nil {
			rules = []Rule{r}
		}
	case 2:
		var r Rule
		if r, err = l.Merge([]pattern.ID{pick().ID}, string(pick().ID)); err == nil {
			rules = []Rule{r}
		}
	case 3:
		if p := pick(); len(p.Slots) > 0 {
			rules, _ = l.Split(p.ID, p.Slots[rng.IntN(len(p.Slots))].Name, nil)
		}
	case 4:
		var r Rule
		if r, err = l.Pin(pick().ID); err == nil {
			rules = []Rule{r}
		}
	}
	for i := range rules {
		rules[i].Number = number
	}
	return rules
}

// Whatever rules come and go between whatever chunks, the library is the one that its shapes and rules make, and a follower
// that is told the changes has it too.
func TestRulesAreAnOverlay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 77))
		messages := mixed(seed+50, 900)
		l, f := NewLibrary(Options{}), newFollower()
		if seed%2 == 1 {
			l.foldAt, l.foldClusterAt = 5, 30
		}
		rules := map[int64][]Rule{}
		list := func() (out []Rule) {
			for _, r := range rules {
				out = append(out, r...)
			}
			rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
			return out
		}
		left, made := messages, 0
		for number := int64(1); len(left) > 0 || number < 60; number++ {
			if len(left) > 0 && (rng.IntN(3) == 0 || number == 1) {
				n := min(len(left), 1+rng.IntN(120))
				tl := NewTally(TallyOptions{Index: l.Index()})
				for i, m := range left[:n] {
					tl.Add(m, m, int64(i))
				}
				left = left[n:]
				counted := tl.Counted()
				var shapes []Shape
				for _, c := range counted {
					shapes = append(shapes, c.Shape)
				}
				f.apply(t, l.Learn(shapes), counted)
				f.check(t, l)
				continue
			}
			before, checksum := l.Patterns(), l.Checksum()
			if rng.IntN(3) == 0 && len(rules) > 0 {
				for k := range rules {
					delete(rules, k)
					break
				}
			} else if some := anyRules(l, rng, number, messages); len(some) > 0 {
				rules[number] = some
				made++
			} else {
				continue
			}
			f.apply(t, l.SetRules(list()), nil)
			f.check(t, l)
			if some := rules[number]; some != nil && rng.IntN(2) == 0 { // taken away at once, nothing is left of it
				delete(rules, number)
				f.apply(t, l.SetRules(list()), nil)
				f.check(t, l)
				require.Equal(t, before, l.Patterns(), "seed %d number %d", seed, number)
				require.Equal(t, checksum, l.Checksum(), "seed %d number %d", seed, number)
				rules[number] = some
				f.apply(t, l.SetRules(list()), nil)
			}
		}
		fresh := NewLibrary(Options{})
		fresh.foldAt, fresh.foldClusterAt = l.foldAt, l.foldClusterAt
		fresh.SetRules(list())
		fresh.Learn(f.live())
		require.Equal(t, fresh.Patterns(), l.Patterns(), "seed %d", seed)
		require.Equal(t, fresh.Checksum(), l.Checksum(), "seed %d", seed)
		fresh = NewLibrary(Options{})
		fresh.foldAt, fresh.foldClusterAt = l.foldAt, l.foldClusterAt
		fresh.Learn(f.live())
		fresh.SetRules(list())
		require.Equal(t, fresh.Patterns(), l.Patterns(), "seed %d", seed)
		require.Equal(t, fresh.Checksum(), l.Checksum(), "seed %d", seed)
		for _, lib := range []*Library{l, fresh} {
			ix := lib.Index()
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
		require.Greater(t, made, 10)
	}
}

func (f *follower) live() (shapes []Shape) {
	for id := range f.shapes {
		shapes = append(shapes, Shape{ID: id, Text: f.texts[id]})
	}
	return shapes
}

// What is merged or pinned is what was meant: afterwards the pattern has the shapes of its sources and no others.
func TestRulesTakeWhatWasMeant(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 78))
		l, f := mineIn(t, mixed(seed+90, 1500), 1, rng)
		all := l.Patterns()
		for range 40 {
			a, b := all[rng.IntN(len(all))].ID, all[rng.IntN(len(all))].ID
			r, err := l.Pin(a)
			require.NoError(t, err)
			ids := []pattern.ID{a}
			if rng.IntN(2) == 0 {
				ids = append(ids, b)
				r, err = l.Merge(ids, "")
			}
			if err != nil {
				continue
			}
			r.Number = 1
			l.SetRules([]Rule{r})
			for shape, was := range f.shapes {
				now, _ := l.PatternOf(shape)
				if slices.Contains(ids, was) {
					require.Equal(t, r.Target.ID, now, "seed %d %q by %q: %v", seed, f.texts[shape], r.Matchers, r.Target)
				} else {
					require.Equal(t, was, now, "seed %d %q by %q", seed, f.texts[shape], r.Matchers)
				}
			}
			l.SetRules(nil)
		}
		require.Equal(t, all, l.Patterns())
	}
}

// BenchmarkSetRules makes and takes away a rule of one's own, which is matched with every shape.
func BenchmarkSetRules(b *testing.B) {
	tl := NewTally(TallyOptions{MaxShapes: 1 << 20})
	for _, m := range mixed(7, 60_000) {
		tl.Add(m, m, 0)
	}
	l := learn(tl)
	shapes, _ := l.Len()
	r, err := Define("<*> of <*>")
	require.NoError(b, err)
	r.Number = 1
	for b.Loop() {
		l.SetRules([]Rule{r})
		l.SetRules(nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2/float64(shapes), "ns/shape")
}
