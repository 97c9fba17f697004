package bench

import (
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zricethezav/gitleaks/v8/detect"

	"github.com/tartan-ai/tartan/internal/knowledge/validate/secret"
)

// matching makes a text that an expression matches, at random.
func matching(r *rand.Rand, b *strings.Builder, re *syntax.Regexp) {
	times := func(least, most int) {
		if most < 0 || most > least+20 {
			most = least + 20
		}
		for range least + r.IntN(most-least+1) {
			matching(r, b, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		var printable []rune
		for i := 0; i < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= min(re.Rune[i+1], 126); c++ {
				if c >= ' ' || c == '\n' {
					printable = append(printable, c)
				}
			}
		}
		if len(printable) > 0 {
			b.WriteRune(printable[r.IntN(len(printable))])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte(byte(' ' + r.IntN(95)))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			matching(r, b, sub)
		}
	case syntax.OpAlternate:
		matching(r, b, re.Sub[r.IntN(len(re.Sub))])
	case syntax.OpStar:
		times(0, -1)
	case syntax.OpPlus:
		times(1, -1)
	case syntax.OpQuest:
		times(0, 1)
	case syntax.OpRepeat:
		times(re.Min, re.Max)
	}
}

// TestSecretsAgainstGitleaks holds the detector to gitleaks itself: texts made of every rule's expression, several to a
// text, must give the same secrets by the same rules.
func TestSecretsAgainstGitleaks(t *testing.T) {
	theirs, err := detect.NewDetectorDefaultConfig()
	require.NoError(t, err)
	ours, err := secret.New()
	require.NoError(t, err)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var rules []string
	for id, rule := range theirs.Config.Rules {
		if rule.Path == nil && rule.Regex != nil {
			rules = append(rules, id)
		}
	}
	slices.Sort(rules)
	texts, secrets, met := 0, 0, map[string]bool{}
	for _, id := range rules {
		re, err := syntax.Parse(theirs.Config.Rules[id].Regex.String(), syntax.Perl)
		require.NoError(t, err)
		for range 5 {
			var b strings.Builder
			fmt.Fprintf(&b, "First line.\n%s ", theirs.Config.Rules[id].Keywords[0])
			matching(r, &b, re)
			b.WriteString("\nline in between, see https://acme.io/x?id=7\n")
			other, err := syntax.Parse(theirs.Config.Rules[rules[r.IntN(len(rules))]].Regex.String(), syntax.Perl)
			require.NoError(t, err)
			matching(r, &b, other)
			text := b.String() + "\n"
			var want, got []string
			for _, f := range theirs.DetectString(text) {
				want = append(want, f.RuleID+" "+f.Secret)
				met[f.RuleID] = true
			}
			for _, f := range ours.Find(text) {
				if !strings.HasPrefix(f.Rule, "tartan-") {
					got = append(got, f.Rule+" "+text[f.Start:f.End])
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			require.Equal(t, want, got, "seed %d, rule %s, text %q", seed, id, text)
			texts++
			secrets += len(want)
		}
	}
	t.Logf("seed %d: %d texts, %d secrets by %d of %d rules", seed, texts, secrets, len(met), len(rules))
	require.Greater(t, len(met), len(rules)*3/4)
}

func BenchmarkGitleaks(b *testing.B) {
	d, err := detect.NewDetectorDefaultConfig()
	require.NoError(b, err)
	ours, err := secret.New()
	require.NoError(b, err)
	text := strings.Repeat("The api returns a token and the key of the next page; the password is kept in the vault and never logged.\n", 20)
	b.Run("gitleaks", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.DetectString(text)
		}
	})
	b.Run("tartan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ours.Find(text)
		}
	})
}
