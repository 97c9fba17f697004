package injection

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is looked for sooner than by the expressions rules out no text that these match: attacks, ordinary texts, pages, and
// all of them cut up and mixed.
func TestNothingIsRuledOut(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	texts := append(append([]string{}, tuned...), ordinary...)
	pages, err := filepath.Glob("../../../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		texts = append(texts, strings.Split(string(text), "\n\n")...)
	}
	var matched [6]int
	check := func(s string) {
		for i, d := range respellings {
			if d.cue.MatchString(s) {
				matched[i]++
				require.True(t, d.may(s), "seed %d: %s: %q", seed, d.name, s)
			}
		}
		for i, form := range []struct {
			matches bool
			may     bool
		}{
			{latexHidden.MatchString(s), strings.Contains(s, `\`)},
			{dataForm.MatchString(s), hasScheme(s, "data")},
			{len(fence.FindAllString(s, -1)) > 0 || ticks.MatchString(s), strings.Contains(s, "`") || strings.Contains(s, "~~~")},
			{activeHTML.MatchString(s), strings.Contains(s, "<")},
		} {
			if form.matches {
				matched[2+i]++
				require.True(t, form.may, "seed %d: %d: %q", seed, i, s)
			}
		}
		f := fold(s)
		in := gramsOf(f.s)
		for _, rule := range allRules {
			for _, w := range rule.words {
				require.False(t, strings.Contains(f.s, w) && !in.mayHold(w), "seed %d: %s: %q", seed, w, s)
			}
		}
	}
	for range 4_000 {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			s := []rune(texts[r.IntN(len(texts))])
			if len(s) == 0 {
				continue
			}
			from := r.IntN(len(s))
			part := string(s[from:min(len(s), from+1+r.IntN(200))])
			switch r.IntN(5) {
			case 0:
				part, _ = disguise(r, part)
			case 1:
				part = strings.Join(strings.Split(part, ""), string(" ._*|-"[r.IntN(6)]))
			case 2: // letters for which an expression in any case takes the next byte
				part = strings.NewReplacer("s", "\u017f", "k", "\u212a", "o", "0", "i", "1", "a", "@").Replace(part)
			}
			b.WriteString(part)
			b.WriteString([]string{"", " ", "\n", "9", "_", "é", "1", "DATA:text/plain,x", `\phantom{hidden for a reader}`, "<script src=x>", "~~~", "w0rd 1s s0 ", "x1 9a1b _a1 "}[r.IntN(13)])
		}
		check(b.String())
	}
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(30) {
			b.WriteString([]string{"a", "b", "\u017f", "\u212a", "é", "0", "1", "@", "$", "9", "_", " ", " ", ".", "-", "|", "Z", "4c", "s3t "}[r.IntN(19)])
		}
		check(b.String())
	}
	for i, n := range matched {
		require.Positive(t, n, "seed %d: %d has no match", seed, i)
	}
}
