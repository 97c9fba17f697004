package injection

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpressionsCompile(t *testing.T) {
	t.Parallel()
	for _, r := range allRules {
		require.NotNil(t, r.re(), r.name)
		require.NotEmpty(t, r.words, r.name)
	}
}
