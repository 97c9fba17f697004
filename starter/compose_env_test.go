package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
)

func TestComposeEnvIsAllThatComposeDemands(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var out, again bytes.Buffer
	require.NoError(t, composeEnv(&out, now))
	require.NoError(t, composeEnv(&again, now))
	first, err := dotenv.Parse(&out)
	require.NoError(t, err)
	second, err := dotenv.Parse(&again)
	require.NoError(t, err)
	for _, name := range []string{"POSTGRES_PASSWORD", "JWT_SECRET", "JWT_KEYS", "DASHBOARD_PASSWORD"} {
		require.NotEqual(t, first[name], second[name], name)
	}

	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithName("tartan"))
	require.NoError(t, err)
	options.Environment = types.Mapping(first)
	_, err = options.LoadProject(context.Background())
	require.NoError(t, err)

	_, err = access.ParseKey([]byte(first["GRANT_KEY_PEM"]))
	require.NoError(t, err)
	require.NotEqual(t, first["GRANT_KEY_PEM"], second["GRANT_KEY_PEM"])
	keys, err := access.ParseJWKS([]byte(first["JWT_JWKS"]))
	require.NoError(t, err)
	require.Len(t, keys, 1, "the symmetric key of the set verifies no user's token")
	_, err = jwt.Parse(first["ANON_KEY"], func(*jwt.Token) (any, error) { return []byte(first["JWT_SECRET"]), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(func() time.Time { return now }))
	require.NoError(t, err)
}
