package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
)

func newKeeper(t *testing.T) *access.Keeper {
	t.Helper()
	keeper, err := access.NewKeeper(newKey(t))
	require.NoError(t, err)
	return keeper
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	keeper := newKeeper(t)
	made, err := access.NewCredential()
	require.NoError(t, err)
	read, err := access.ParseCredential(made.Token)
	require.NoError(t, err)
	require.Equal(t, made, read)
	require.True(t, access.IsAgentToken(made.Token))
	kept := access.Kept{HMAC: keeper.Keep(made.Digest), Expires: now.Add(time.Hour)}
	require.NoError(t, keeper.Check(read, kept, now))
	require.ErrorIs(t, keeper.Check(read, kept, now.Add(time.Hour)), access.ErrExpired)
	require.ErrorIs(t, newKeeper(t).Check(read, kept, now), access.ErrSignature, "kept with another key")
	other, err := access.NewCredential()
	require.NoError(t, err)
	require.ErrorIs(t, keeper.Check(other, kept, now), access.ErrSignature)
	kept.Revoked = true
	require.ErrorIs(t, keeper.Check(read, kept, now), access.ErrRevoked)
	for _, bad := range []string{"", "tta_", "tta__", made.Token + "0", made.Token[1:], strings.ToUpper(made.Token), strings.Replace(made.Token, made.Prefix, "0123456789abcdeg", 1)} {
		_, err := access.ParseCredential(bad)
		require.ErrorIs(t, err, access.ErrMalformed, bad)
	}
}

func TestScopesOfAgents(t *testing.T) {
	t.Parallel()
	a := access.Agent{Scopes: []string{"pattern:read", "knowledge:*"}}
	for scope, allowed := range map[string]bool{
		"pattern:read": true, "knowledge:read": true, "knowledge:propose": true, "pattern:write": false, "tartan:read": false, "": false, "pattern:*": false,
	} {
		require.Equal(t, allowed, a.Allows(scope), scope)
	}
	require.Equal(t, access.Viewer, access.RoleOfScopes(nil))
	require.Equal(t, access.Viewer, access.RoleOfScopes([]string{"pattern:read", "knowledge:read"}))
	require.Equal(t, access.Editor, access.RoleOfScopes([]string{"pattern:read", "knowledge:propose"}))
	require.Equal(t, access.Editor, access.RoleOfScopes([]string{"pattern:*"}))
}
