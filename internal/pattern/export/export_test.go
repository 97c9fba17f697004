package export_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/export"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// statements prints lines of random logging statements: words, and between them values of every type in all sorts of delimiters.
type statements struct {
	rng   *rand.Rand
	words []string
	all   []statement
}

type statement struct {
	parts []func() string
	tail  func() string // nil, or printed half of the time
}

func newStatements(seed uint64, n int) *statements {
	g := &statements{rng: rand.New(rand.NewPCG(seed, 5))}
	syllables := []string{"ka", "lo", "min", "te", "ra", "so", "vel", "qui", "do", "pa", "ner", "ху", "é", "+1", "(x)", "$"}
	for range 200 {
		w := ""
		for range 2 + g.rng.IntN(3) {
			w += syllables[g.rng.IntN(len(syllables)-g.rng.IntN(2)*5)]
		}
		g.words = append(g.words, w)
	}
	for range n {
		st := g.statement()
		g.all = append(g.all, st)
		if g.rng.IntN(3) == 0 { // a near twin: another first word
			twin := statement{parts: append([]func() string(nil), st.parts...), tail: st.tail}
			twin.parts[0] = g.word()
			g.all = append(g.all, twin)
		}
	}
	return g
}

func (g *statements) word() func() string {
	w := g.words[g.rng.IntN(len(g.words))]
	return func() string { return w }
}

func (g *statements) statement() (st statement) {
	st.parts = append(st.parts, g.word(), g.word(), g.word())
	for range g.rng.IntN(4) {
		value, key := g.value(), g.words[g.rng.IntN(len(g.words))]
		form := []string{"%s", "(%s)", "[%s]", key + "=%s", key + `="%s"`, "<%s>", "%s,", key + ": %s", key + "_%s"}[g.rng.IntN(9)]
		st.parts = append(st.parts, func() string { return fmt.Sprintf(form, value()) }, g.word())
	}
	if g.rng.IntN(6) == 0 {
		st.tail = g.word()
	}
	return st
}

func (g *statements) value() func() string {
	r := g.rng
	return []func() string{
		func() string { return fmt.Sprint(r.IntN(100000)) },
		func() string { return fmt.Sprintf("%d.%02d", r.IntN(100), r.IntN(100)) },
		func() string { return fmt.Sprintf("-%d", r.IntN(100)) },
		func() string { return fmt.Sprintf("0x%x", r.Uint32()) },
		func() string { return fmt.Sprintf("10.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256)) },
		func() string {
			return fmt.Sprintf("10.%d.%d.%d:%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(65536))
		},
		func() string {
			return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Uint64()>>16)
		},
		func() string { return fmt.Sprintf("/var/lib/%d/data-%d.db", r.IntN(10), r.IntN(100)) },
		func() string { return fmt.Sprintf("https://h%d.example.net/a?b=%d", r.IntN(9), r.IntN(99)) },
		func() string { return fmt.Sprintf("%dms", r.IntN(900)) },
		func() string { return fmt.Sprintf("%d KB", r.IntN(900)) },
		func() string { return fmt.Sprintf("node%d.example.net", r.IntN(900)) },
		func() string { return fmt.Sprintf("user%d@example.net", r.IntN(900)) },
		func() string { return fmt.Sprintf("%d, %d, %d", r.IntN(9), r.IntN(9), r.IntN(9)) },
		func() string { return fmt.Sprintf("2026-11-%02dT10:%02d:00Z", 1+r.IntN(28), r.IntN(60)) },
	}[r.IntN(15)]
}

func (g *statements) line() string {
	st := g.all[g.rng.IntN(len(g.all))]
	var parts []string
	for _, p := range st.parts {
		parts = append(parts, p())
	}
	if st.tail != nil && g.rng.IntN(2) == 0 {
		parts = append(parts, st.tail())
	}
	return strings.Join(parts, []string{" ", " ", " ", "  "}[g.rng.IntN(4)])
}

// mined are lines by the pattern that they have, with the values that Recognise finds.
func mined(t testing.TB, lines []string) (map[pattern.ID][]export.Line, *template.Index) {
	t.Helper()
	lib := template.NewLibrary(template.Options{})
	tally := template.NewTally(template.TallyOptions{})
	for _, l := range lines {
		tally.Add([]byte(l), []byte(l), 1)
	}
	var shapes []template.Shape
	for _, c := range tally.Counted() {
		shapes = append(shapes, c.Shape)
	}
	lib.Learn(shapes)
	ix, out := lib.Index(), map[pattern.ID][]export.Line{}
	var m template.Match
	for _, l := range lines {
		require.True(t, ix.Recognise([]byte(l), &m), l)
		e := export.Line{Message: l}
		for _, v := range m.Values {
			e.Values = append(e.Values, l[v.Start:v.End])
		}
		out[m.Pattern] = append(out[m.Pattern], e)
	}
	return out, ix
}

// The expression of each pattern takes all lines of its pattern, with the values that Recognise finds, and no line of another: of
// random statements, few of whose lines it was told.
func TestRegexTakesTheLinesOfItsPattern(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	lines, wrongValues, missed, foreign, strict, patterns := 0, 0, 0, 0, 0, 0
	for round := range uint64(6) {
		g := newStatements(seed+round, 40)
		var all []string
		for range 4000 {
			all = append(all, g.line())
		}
		byID, ix := mined(t, all)
		for id, of := range byID {
			p, ok := ix.Pattern(id)
			require.True(t, ok)
			e := export.Regex(p, of[:min(len(of), 20)])
			re, err := regexp.Compile(e.Text)
			require.NoError(t, err, p.Template)
			patterns++
			if e.Strict {
				strict++
			}
			for _, l := range of {
				lines++
				m := re.FindStringSubmatch(l.Message)
				if m == nil {
					missed++
					t.Logf("missed %q by %s (%s)", l.Message, e.Text, p.Template)
					continue
				}
				for i, name := range e.Names {
					if m[re.SubexpIndex(name)] != l.Values[i] {
						wrongValues++
						t.Logf("value %q for %q of %s in %q: %s (%s)", m[re.SubexpIndex(name)], l.Values[i], name, l.Message, e.Text, p.Template)
						break
					}
				}
			}
			for other, foreigners := range byID {
				if q, _ := ix.Pattern(other); other != id && !covers(p.Template, q.Template) {
					for _, l := range foreigners[:min(3, len(foreigners))] {
						if re.MatchString(l.Message) {
							foreign++
							t.Logf("%s (%s) takes %q", e.Text, p.Template, l.Message)
						}
					}
				}
			}
		}
	}
	t.Logf("%d patterns, %d strict; of %d lines %d missed, %d with other values; %d foreign", patterns, strict, lines, missed, wrongValues, foreign)
	require.Zero(t, missed)
	// Where two slots stand side by side and values have blanks in them, no expression can tell where one ends. A few statements in a
	// hundred thousand lines are so.
	require.LessOrEqual(t, wrongValues*25, lines)
	// A pattern with a tail may cover another that is longer.
	require.LessOrEqual(t, foreign*2000, lines)
}

// covers reports whether template a has a slot wherever it differs from b: it then takes b's lines.
func covers(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && !strings.Contains(x[i], pattern.Wildcard) {
			return false
		}
	}
	return true
}

func TestRegexOfNearTwins(t *testing.T) {
	byID, ix := mined(t, []string{
		"session opened for user ada by (uid=0)", "session opened for user bob7 by (uid=12)", "session closed for user ada by (uid=0)", "session closed for user  kim by (uid=1)",
	})
	require.Len(t, byID, 2)
	for id, of := range byID {
		p, _ := ix.Pattern(id)
		e := export.Regex(p, of)
		require.True(t, e.Strict)
		require.Equal(t, len(of), e.Matched)
		re := regexp.MustCompile(e.Text)
		for other, lines := range byID {
			for _, l := range lines {
				require.Equal(t, other == id, re.MatchString(l.Message), "%s %q", e.Text, l.Message)
			}
		}
	}
}

// Odd texts make valid expressions, in RE2 here and with names that PCRE takes.
func TestRegexOfOddTexts(t *testing.T) {
	for _, c := range []struct{ template, line string }{
		{`a.b*c [x] {y} (z) ^$ | \ <*>`, `a.b*c [x] {y} (z) ^$ | \ 1`},
		{"nul \x00 <*>", "nul \x00 1"},
		{"\xff\xfe <*>", "\xff\xfe 1"},
		{"日本 <*> é", "日本 1 é"},
		{"<*>", "1"},
		{"no slot at <*> all <*>", "no slot at 1 all <*>"},
	} {
		c.template, c.line = unescape(c.template), unescape(c.line)
		p := pattern.New(c.template, []pattern.Slot{{Name: "0 odd-name.with" + strings.Repeat("x", 40), Type: pattern.Number}})
		e := export.Regex(p, nil)
		m := regexp.MustCompile(e.Text).FindStringSubmatch(c.line)
		require.Equal(t, []string{c.line, "1"}, m, "%q: %s", c.template, e.Text)
		require.Regexp(t, `^[A-Za-z_][A-Za-z0-9_]{0,31}$`, e.Names[0])
	}
	require.Equal(t, []string{"a", "a_2", "a_3", "v1", "a_b"}, export.Names([]pattern.Slot{{Name: "a"}, {Name: "a"}, {Name: "a"}, {Name: "1"}, {Name: "a-b"}}))
}

func unescape(s string) string {
	return strings.NewReplacer(`\x00`, "\x00", `\xff`, "\xff", `\xfe`, "\xfe").Replace(s)
}

func FuzzRegex(f *testing.F) {
	f.Add("a <*> b", "a 1 b", "n")
	f.Add("(<*>", "(x", "\xff")
	f.Fuzz(func(t *testing.T, template, line, name string) {
		if len(template) > 4096 {
			return
		}
		p := pattern.New(template, []pattern.Slot{{Name: name, Type: pattern.IP}, {Name: name, Type: pattern.Text}})
		for _, text := range []string{export.Regex(p, nil).Text, export.Regex(p, []export.Line{{Message: line, Values: []string{line, ""}}}).Text} {
			if _, err := regexp.Compile(text); err != nil {
				t.Fatalf("%q: %s: %v", template, text, err)
			}
		}
		if len(export.OpenTelemetry(p, nil).YAML) == 0 || export.Grok(p, nil).Text == "" {
			t.Fatal("empty")
		}
	})
}
