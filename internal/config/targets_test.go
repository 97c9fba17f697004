package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/config"
)

func TestTargetRefs(t *testing.T) {
	t.Parallel()
	c := config.Config{Targets: "shop=env:SHOP_URL, depot=file:/run/depot"}
	refs, err := c.TargetRefs()
	require.NoError(t, err)
	require.Equal(t, map[string]string{"shop": "env:SHOP_URL", "depot": "file:/run/depot"}, refs)
	for _, bad := range []string{"shop", "=env:X", "Shop=env:X", "self=env:X", "a=env:X,a=env:Y", "a=env:", "a=postgres://u:hidden@host/db"} {
		c.Targets = bad
		_, err := c.TargetRefs()
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hidden")
	}
}
