package access

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestGrants(t *testing.T) {
	key, err := NewKey()
	require.NoError(t, err)
	other, err := NewKey()
	require.NoError(t, err)
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	task := Grant{Agent: "features", Activity: "ExtractFeatures", WorkflowID: "mine/1", WorkspaceID: uuid.New(), Expires: now.Add(time.Minute)}
	token, err := IssueGrant(key, task, now)
	require.NoError(t, err)

	got, err := VerifyGrant(token, key.Public(), now)
	require.NoError(t, err)
	require.Equal(t, task, Grant{got.Agent, got.Activity, got.WorkflowID, got.WorkspaceID, got.Expires.UTC()})
	require.NoError(t, got.For(task))

	session, err := Issue(key, Claims{Subject: uuid.New(), Issuer: grantIssuer, Audience: []string{"tartan-mcp"}, Expires: now.Add(time.Minute)}, now)
	require.NoError(t, err)
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, wireGrant{}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		token string
		keys  Keys
		now   time.Time
		want  error
	}{
		"another key":         {token, other.Public(), now, ErrSignature},
		"changed":             {token[:len(token)-4] + "AAAA", key.Public(), now, ErrSignature},
		"expired":             {token, key.Public(), now.Add(2 * time.Minute), ErrExpired},
		"a session's token":   {session, key.Public(), now, ErrAudience},
		"unsigned":            {unsigned, key.Public(), now, ErrSignature},
		"none":                {"", key.Public(), now, ErrMalformed},
		"no token":            {"grant", key.Public(), now, ErrMalformed},
		"of more than 8 KiB":  {string(make([]byte, maxToken+1)), key.Public(), now, ErrMalformed},
		"expired by a second": {token, key.Public(), task.Expires.Add(6 * time.Second), ErrExpired},
	} {
		_, err := VerifyGrant(c.token, c.keys, c.now)
		require.ErrorIs(t, err, c.want, name)
	}
	for name, change := range map[string]func(*Grant){
		"agent":     func(g *Grant) { g.Agent = "pattern" },
		"activity":  func(g *Grant) { g.Activity = "CommitChunk" },
		"workflow":  func(g *Grant) { g.WorkflowID = "mine/2" },
		"workspace": func(g *Grant) { g.WorkspaceID = uuid.New() },
	} {
		elsewhere := task
		change(&elsewhere)
		require.ErrorIs(t, got.For(elsewhere), ErrTask, name)
	}
	_, err = IssueGrant(key, Grant{}, now)
	require.ErrorContains(t, err, "are required")
}
