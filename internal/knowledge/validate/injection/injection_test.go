package injection

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpressionsCompile(t *testing.T) {
	t.Parallel()
	for _, r := range allRules {
		require.NotNil(t, r.re(), r.name)
		require.True(t, len(r.words) > 0 || r.weight == orders, r.name)
	}
}

func find(s string) []Finding { return Find(s, Decoded(s)) }

func TestAttacksAreFound(t *testing.T) {
	t.Parallel()
	for _, s := range tuned {
		if len(find(s)) == 0 {
			t.Errorf("not found: %s", s)
		}
	}
}

func TestOrdinaryTextsAreNot(t *testing.T) {
	t.Parallel()
	for _, s := range ordinary {
		for _, f := range find(s) {
			t.Errorf("%s: %s in %s", f.Kind, f.Rule, s)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range tuned {
		f.Add(s)
	}
	for _, s := range ordinary {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, found := range find(s) {
			require.True(t, 0 <= found.Start && found.Start < found.End && found.End <= len(s), "%+v of %d", found, len(s))
		}
	})
}
