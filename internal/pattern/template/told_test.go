package template

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// counter counts chunks of messages in a library, as the workers do.
type counter struct {
	t *testing.T
	l *Library
	f *follower
}

func newCounter(t *testing.T) *counter {
	return &counter{t: t, l: NewLibrary(Options{}), f: newFollower()}
}

func (c *counter) count(messages ...string) {
	c.t.Helper()
	tally := NewTally(TallyOptions{Index: c.l.Index(), Values: true})
	for i, m := range messages {
		tally.Add([]byte(m), []byte(m), int64(i))
	}
	body, err := tally.MarshalBinary()
	require.NoError(c.t, err)
	counted, err := ReadTally(body)
	require.NoError(c.t, err)
	var shapes []Shape
	for _, x := range counted {
		shapes = append(shapes, x.Shape)
	}
	c.f.apply(c.t, c.l.Learn(shapes), counted)
	c.f.check(c.t, c.l)
}

func (c *counter) rules(rules ...Rule) {
	c.t.Helper()
	c.f.apply(c.t, c.l.SetRules(rules), nil)
	c.f.check(c.t, c.l)
}

// lines returns the lines of each pattern that has some, by template.
func (c *counter) lines() map[string]int64 {
	out := map[string]int64{}
	for id, n := range c.f.perPattern() {
		if n > 0 {
			out[c.f.alive[id].Template] = n
		}
	}
	return out
}

func TestAValueInAnOwnPattern(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	c.count("GET /a status=500 took 3ms", "GET /b status=200 took 4ms", "POST /a status=500 took 3ms")
	mined, checksum := c.l.Patterns(), c.l.Checksum()
	require.Equal(t, map[string]int64{"GET <*> status=<*> took <*>": 2, "POST <*> status=<*> took <*>": 1}, c.lines())

	r := mustDefine(t, 1, "GET <*> status=500 took <*>")
	require.Equal(t, "GET <*> status=500 took <*>", r.Target.Template)
	require.Len(t, r.Target.Slots, 2)
	c.rules(r)
	require.Equal(t, map[string]int64{"GET <*> status=<*> took <*>": 2, "POST <*> status=<*> took <*>": 1}, c.lines(), "old counts stay")
	template, values, sure := recognised(t, c.l, "GET /c status=500 took 9ms")
	require.Equal(t, []any{"GET <*> status=500 took <*>", []string{"/c", "9ms"}, 1.0}, []any{template, values, sure}, "at once")
	template, values, _ = recognised(t, c.l, "GET /c status=501 took 9ms")
	require.Equal(t, []any{"GET <*> status=<*> took <*>", []string{"/c", "501", "9ms"}}, []any{template, values})

	// Both chunks have the one and the other; an order of lines is not seen in the counts.
	c.count("GET /x status=500 took 3ms", "GET /x status=404 took 3ms", "GET /y status=500 took 5ms", "POST /a status=500 took 3ms")
	c.count("GET /x status=404 took 3ms", "GET /z status=500 took 3ms")
	after := map[string]int64{"GET <*> status=500 took <*>": 3, "GET <*> status=<*> took <*>": 4, "POST <*> status=<*> took <*>": 2}
	require.Equal(t, after, c.lines())
	e := c.l.Index().Explain([]byte("GET /c status=500 took 9ms"))
	require.Contains(t, e.Why, "4 of its 6 tokens as words")
	require.Contains(t, e.Why, "among them the value 500")
	require.Equal(t, RoleConstant, e.Tokens[3].Role)
	require.Equal(t, pattern.Number, e.Tokens[3].Type)
	require.Equal(t, "GET <*> status=<*> took <*>", e.Next.Template)

	// The values of a shape that tells one are those of its base.
	ix := c.l.Index()
	p, _ := ix.Pattern(r.Target.ID)
	require.Len(t, ix.Collect(p).Slots(), 2)

	c.rules()
	require.Equal(t, map[string]int64{"GET <*> status=<*> took <*>": 7, "POST <*> status=<*> took <*>": 2}, c.lines())
	require.Equal(t, mined, c.l.Patterns())
	require.NotEqual(t, checksum, c.l.Checksum(), "it knows more shapes")
	template, _, _ = recognised(t, c.l, "GET /c status=500 took 9ms")
	require.Equal(t, "GET <*> status=<*> took <*>", template)
	c.rules(r)
	require.Equal(t, after, c.lines(), "done again")
}

func TestSplitByAValue(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	c.count("disk 3 of blk_17 full", "disk 4 of blk_18 full", "done=true in 3ms", "done=false in 3ms")
	id := pattern.Fingerprint("disk <*> of blk_<*> full")
	p, ok := c.l.Pattern(id)
	require.True(t, ok, "%v", c.l.Patterns())
	rules, err := c.l.Split(id, p.Slots[0].Name, []string{"3", "5"})
	require.NoError(t, err)
	blocks, err := c.l.Split(id, p.Slots[1].Name, []string{"17"})
	require.NoError(t, err)
	done := pattern.Fingerprint("done=<*> in <*>")
	truth, err := c.l.Split(done, "done", []string{"true"})
	require.NoError(t, err)
	rules = append(append(rules, blocks...), truth...)
	for i := range rules {
		rules[i].Number = int64(i + 1)
	}
	c.rules(rules...)
	c.count("disk 3 of blk_20 full", "disk 5 of blk_20 full", "disk 5 of blk_20 full", "disk 6 of blk_20 full", "disk 6 of blk_17 full", "disk 3 of blk_17 full",
		"done=true in 3ms", "done=false in 3ms")
	require.Equal(t, map[string]int64{
		"disk <*> of blk_<*> full": 3, "disk 3 of blk_<*> full": 1, "disk 5 of blk_<*> full": 2, "disk <*> of blk_17 full": 2,
		"done=<*> in <*>": 3, "done=true in <*>": 1,
	}, c.lines(), "among as specific ones the latest")
	_, values, _ := recognised(t, c.l, "disk 6 of blk_17 full")
	require.Equal(t, []string{"6"}, values)
	_, values, _ = recognised(t, c.l, "disk 3 of blk_21 full")
	require.Equal(t, []string{"21"}, values)

	// What was split is split on, merged with the rest, and told apart again when that is undone.
	more, err := c.l.Split(pattern.Fingerprint("disk 5 of blk_<*> full"), p.Slots[1].Name, []string{"20"})
	require.NoError(t, err)
	more[0].Number = 20
	c.rules(append(rules, more...)...)
	c.count("disk 5 of blk_20 full", "disk 5 of blk_9 full")
	require.EqualValues(t, 1, c.lines()["disk 5 of blk_20 full"])
	require.EqualValues(t, 3, c.lines()["disk 5 of blk_<*> full"])
	merge, err := c.l.Merge([]pattern.ID{id, pattern.Fingerprint("disk 5 of blk_20 full"), pattern.Fingerprint("disk 5 of blk_<*> full")}, "")
	require.NoError(t, err)
	merge.Number = 21
	apart := c.lines()
	c.rules(append(append(rules, more...), merge)...)
	require.EqualValues(t, 7, c.lines()[merge.Target.Template], "%v", c.lines())
	c.rules(append(rules, more...)...)
	require.Equal(t, apart, c.lines())
}

// A message with any of its values asked for, in any place, is counted and recognised alike, and a rule that asks leaves what is mined as it is.
func TestValuesAreAnOverlay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 79))
		messages := mixed(seed+300, 700)
		plain := newCounter(t)
		c := newCounter(t)
		if seed%2 == 1 {
			for _, l := range []*Library{plain.l, c.l} {
				l.foldAt, l.foldClusterAt = 5, 30
			}
		}
		strings := func(from [][]byte) (out []string) {
			for _, m := range from {
				out = append(out, string(m))
			}
			return out
		}
		start := messages[:150]
		plain.count(strings(start)...)
		c.count(strings(start)...)
		before := c.lines()
		require.Equal(t, plain.l.Checksum(), c.l.Checksum())

		rules := asking(c.l, rng, messages)
		require.NotEmpty(t, rules)
		c.rules(rules...)
		rest := messages[150:]
		for _, part := range chunked(rest, 1+rng.IntN(5)) {
			plain.count(strings(part)...)
			c.count(strings(part)...)
		}
		once := c.lines()

		// Any order and any chunks, after the same start.
		other := newCounter(t)
		other.l.foldAt, other.l.foldClusterAt = c.l.foldAt, c.l.foldClusterAt
		other.count(strings(start)...)
		require.Equal(t, before, other.lines())
		rng.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
		other.rules(rules...)
		mixed := slices.Clone(rest)
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		for _, part := range chunked(mixed, 1+rng.IntN(5)) {
			other.count(strings(part)...)
		}
		require.Equal(t, once, other.lines(), "seed %d", seed)
		if seed%2 == 0 { // a column that is absorbed may leave more told than is asked of the wider shape
			require.Equal(t, c.l.Checksum(), other.l.Checksum(), "seed %d", seed)
		}
		require.Equal(t, c.l.Checksum(), relearn(c).Checksum(), "seed %d", seed)

		// What is counted is what is recognised.
		ix := c.l.Index()
		var m Match
		told := 0
		for _, line := range messages {
			require.True(t, ix.Recognise(line, &m))
			p, ok := ix.Pattern(m.Pattern)
			require.True(t, ok)
			require.Len(t, m.Values, len(p.Slots), "seed %d %q as %q", seed, line, p.Template)
			tally := NewTally(TallyOptions{Index: ix})
			tally.Add(line, line, 0)
			shape := tally.Counted()[0].Shape
			if cutBase, _ := cutTold(shape.Text); cutBase != shape.Text {
				told++
			}
			id, ok := c.l.PatternOf(shape.ID)
			if ok {
				require.Equal(t, id, m.Pattern, "seed %d %q as %q", seed, line, p.Template)
			}
		}
		require.Positive(t, told, "seed %d", seed)

		c.rules()
		require.Equal(t, plain.l.Patterns(), c.l.Patterns(), "seed %d", seed)
		require.Equal(t, plain.lines(), c.lines(), "seed %d", seed)
		c.rules(rules...)
		require.Equal(t, once, c.lines(), "seed %d", seed)
	}
}

// relearn makes a library of the live shapes and the rules anew, in another order.
func relearn(c *counter) *Library {
	l := NewLibrary(Options{})
	l.foldAt, l.foldClusterAt = c.l.foldAt, c.l.foldClusterAt
	l.Learn(c.f.live())
	l.SetRules(c.l.Rules())
	return l
}

func chunked(messages [][]byte, n int) (out [][][]byte) {
	size := (len(messages) + n - 1) / n
	for part := range slices.Chunk(messages, size) {
		out = append(out, part)
	}
	return out
}

// asking makes up rules that ask for values of the messages: own patterns and splits.
func asking(l *Library, rng *rand.Rand, messages [][]byte) (rules []Rule) {
	ix := l.Index()
	var m Match
	for number := int64(1); number < 200 && len(rules) < 12; number++ {
		line := messages[rng.IntN(len(messages))]
		var some []Rule
		if rng.IntN(2) == 0 && ix.Recognise(line, &m) {
			p, _ := ix.Pattern(m.Pattern)
			k := 0
			if len(p.Slots) > 0 {
				k = rng.IntN(len(p.Slots))
				some, _ = l.Split(p.ID, p.Slots[k].Name, []string{string(line[m.Values[k].Start:m.Values[k].End])})
			}
		} else {
			var s scanner
			s.scan(line)
			var text []byte
			last := 0
			for j := range s.tokens {
				x := &s.tokens[j]
				if rng.IntN(4) == 0 {
					text = append(append(text, line[last:x.start]...), "<*>"...)
					last = int(x.end)
				}
			}
			if r, err := Define(string(append(text, line[last:]...))); err == nil {
				some = []Rule{r}
			}
		}
		for _, r := range some {
			if slices.ContainsFunc(r.Matchers, func(text string) bool { return slices.Contains([]byte(text), toldMark) }) {
				r.Number = number
				rules = append(rules, r)
			}
		}
	}
	return rules
}

func TestWhatTextTells(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a", "a\x03 b\x1f1=500", "a\x03 b\x1f0=x=y\x1f12=\x80"} {
		base, told := cutTold(text)
		require.Equal(t, text, string(appendTold([]byte(base), told)))
	}
	for _, text := range []string{"a\x1f", "a\x1fx=1", "a\x1f3=", "a\x1f3=1\x1f3=2", "a\x1f300=1"} {
		base, told := cutTold(text)
		require.Equal(t, "a", base)
		require.LessOrEqual(t, len(told), 1, fmt.Sprintf("%q", text))
		l := NewLibrary(Options{})
		require.NotPanics(t, func() { l.Learn([]Shape{{ID: 7, Text: text}}) })
	}
}

func TestValuesCostNothingWhereNobodyAsks(t *testing.T) {
	if racing {
		t.Skip("the race detector allocates")
	}
	c := newCounter(t)
	c.count("GET /a status=500 took 3ms", "disk 3 full")
	c.rules(mustDefine(t, 1, "GET <*> status=500 took <*>"))
	c.count("GET /a status=500 took 3ms", "GET /a status=200 took 3ms")
	ix := c.l.Index()
	m := Match{Values: make([]Span, 0, 8)}
	tally := NewTally(TallyOptions{Index: ix})
	for _, line := range []string{"disk 9 full", "GET /b status=500 took 3ms", "GET /b status=404 took 3ms"} {
		message := []byte(line)
		tally.Add(message, message, 0)
		require.Zero(t, testing.AllocsPerRun(100, func() { ix.Recognise(message, &m) }), line)
		require.Zero(t, testing.AllocsPerRun(100, func() { tally.Add(message, message, 0) }), line)
	}
}
