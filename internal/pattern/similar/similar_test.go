package similar

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

func index(t *testing.T, templates ...string) *Index {
	t.Helper()
	x := New()
	for _, template := range templates {
		require.NoError(t, x.Add(pattern.Fingerprint(template), template))
	}
	return x
}

func TestNear(t *testing.T) {
	t.Parallel()
	x := index(
		t, "Connection to database <*> refused", "database <*> refused the connection", "user <*> logged in from <*>",
		"session opened for user <*>", "disk <*> is full", "<*>", "<*> <*>",
	)
	require.Equal(t, 7, x.Len())
	hits := x.Near("Connection to database <*> refused", 3, 0)
	require.Equal(t, pattern.Fingerprint("Connection to database <*> refused"), hits[0].ID)
	require.InDelta(t, 1, hits[0].Score, Rounding)
	require.Equal(t, pattern.Fingerprint("database <*> refused the connection"), hits[1].ID)
	require.Greater(t, hits[1].Score, float32(0.8))
	require.Equal(t, pattern.Fingerprint("disk <*> is full"), x.Near("no space left on the disk", 1, 0)[0].ID)
	require.Empty(t, x.Near("<*>", 5, -1), "nothing is said")
	require.Empty(t, x.Near("bananas are yellow", 5, 0.9))
	x.Delete(pattern.Fingerprint("disk <*> is full"))
	require.Equal(t, 6, x.Len())
	require.NotEqual(t, pattern.Fingerprint("disk <*> is full"), x.Near("disk <*> is full", 1, -1)[0].ID)
	require.ErrorContains(t, x.Add("mine", "x"), "no fingerprint")
}

func TestScore(t *testing.T) {
	t.Parallel()
	texts := []string{"disk <*> is full", "no space left on the disk", "user <*> logged in", "<*>", "session <*> opened", "session <*> closed"}
	x := index(t, texts...)
	for _, a := range texts {
		for _, h := range x.Near(a, 10, -1) {
			for _, b := range texts {
				if pattern.Fingerprint(b) == h.ID {
					require.InDelta(t, Score(a, b), h.Score, Rounding)
				}
			}
		}
		if a != "<*>" {
			require.InDelta(t, 1, Score(a, a), 1e-5)
		}
	}
	require.Zero(t, Score("<*>", "<*>"))
}

func TestDiffer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want []Difference
		one  bool
	}{
		{"session opened for <*>", "session closed for <*>", []Difference{{1, "opened", "closed"}}, true},
		{"a b c", "a b c", nil, false},
		{"a b", "a b c", []Difference{{2, "", "c"}}, true},
		{"x a b", "a b", []Difference{{0, "x", ""}}, true},
		{"a b c d", "a x y d", []Difference{{1, "b c", "x y"}}, false},
		{"a b c d e", "a x c y e", []Difference{{1, "b", "x"}, {3, "d", "y"}}, false},
		{"", "a", []Difference{{0, "", "a"}}, true},
	} {
		got := Differ(c.a, c.b)
		require.Equal(t, c.want, got, "%q %q", c.a, c.b)
		require.Equal(t, c.one, One(0.9, got), "%q %q", c.a, c.b)
		require.False(t, One(0.5, got))
	}
}

// TestDifferAddsUp changes random tokens: putting the differences in place makes the one of the other.
func TestDifferAddsUp(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	words := func() (s string) {
		for range rnd.IntN(12) {
			s += fmt.Sprintf("%c ", 'a'+rnd.IntN(4))
		}
		return s
	}
	for range 500 {
		a, b := words(), words()
		forth, back := Differ(a, b), Differ(b, a)
		tokens := func(d []Difference, here bool) (n int) {
			for _, x := range d {
				text := x.There
				if here {
					text = x.Here
				}
				n += (len(text) + 1) / 2
			}
			return n
		}
		// What is common is as long in both, and from both sides.
		require.Equal(t, len(a)/2-tokens(forth, true), len(b)/2-tokens(forth, false))
		require.Equal(t, len(a)/2-tokens(forth, true), len(b)/2-tokens(back, true))
	}
}

func FuzzDiffer(f *testing.F) {
	f.Add("a <*> b", "a b")
	f.Fuzz(func(t *testing.T, a, b string) {
		if d := Differ(a, a); len(d) > 0 {
			t.Fatalf("%q differs from itself: %v", a, d)
		}
		for _, d := range Differ(a, b) {
			if d.Here == d.There {
				t.Fatalf("%q %q: no difference %v", a, b, d)
			}
		}
	})
}
