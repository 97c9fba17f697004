package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func getenv(values map[string]string) func(string) string {
	return func(k string) string { return values[k] }
}

func TestFlagsWinOverEnvironmentOverStack(t *testing.T) {
	c, err := Load(Sources{
		Flags:  map[string]string{"TARTAN_DATABASE_URL": "postgres://flag/x"},
		Getenv: getenv(map[string]string{"TARTAN_DATABASE_URL": "postgres://env/x", "TARTAN_BUCKET_URL": "file:///env"}),
		Stack:  map[string]string{"TARTAN_BUCKET_URL": "file:///stack", "TARTAN_MCP_URL": "http://127.0.0.1:1/mcp"},
	})
	require.NoError(t, err)
	require.Equal(t, "postgres://flag/x", c.DatabaseURL)
	require.Equal(t, "file:///env", c.BucketURL)
	require.Equal(t, "http://127.0.0.1:1/mcp", c.MCPURL)
	require.Equal(t, "http://127.0.0.1:1/mcp", c.JWTAudience, "tokens name the server's own address")
	require.Equal(t, "local", c.Workspace)
}

func TestEveryFaultIsReported(t *testing.T) {
	_, err := Load(Sources{Getenv: getenv(map[string]string{
		"TARTAN_DATABASE_URL": "mysql://root:hunter2@x/y",
		"TARTAN_MCP_ADDR":     "nowhere",
		"TARTAN_LOG_LEVEL":    "loud",
		"TARTAN_WORKSPACE":    "No Such",
		"TARTAN_TOKEN":        "abc",
	})})
	require.Error(t, err)
	for _, name := range []string{"TARTAN_DATABASE_URL", "TARTAN_MCP_ADDR", "TARTAN_LOG_LEVEL", "TARTAN_WORKSPACE", "TARTAN_TOKEN"} {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, err.Error(), "hunter2")
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c, err := Load(Sources{Getenv: getenv(map[string]string{
		"TARTAN_DATABASE_URL": "postgres://app:hunter2@db/x?sslmode=require&password=hunter3",
		"TARTAN_BUCKET_URL":   "s3://b?endpoint=host&access_key=hunter4",
		"TARTAN_TOKEN":        "hunter5.a.b",
	})})
	require.NoError(t, err)
	require.NotContains(t, c.String(), "hunter")
	require.Contains(t, c.String(), "sslmode=require")
	require.Contains(t, c.String(), "endpoint=host")
}

func TestSupabaseURLSetsIssuerAndKeys(t *testing.T) {
	c, err := Load(Sources{Getenv: getenv(map[string]string{"TARTAN_SUPABASE_URL": "https://p.supabase.co/"})})
	require.NoError(t, err)
	require.Equal(t, "https://p.supabase.co/auth/v1", c.JWTIssuer)
	require.Equal(t, "https://p.supabase.co/auth/v1/.well-known/jwks.json", c.JWKSURL)
}

func TestSettingsAreFewAndDocumented(t *testing.T) {
	fields := (&Config{}).Fields()
	require.Less(t, len(fields), 25)
	for _, f := range fields {
		require.NotEmpty(t, f.Env)
		require.NotEmpty(t, f.Unit, f.Env)
		require.NotEmpty(t, f.Doc, f.Env)
	}
}

func TestTemporalTakesTheStackUnlessTold(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	// An absent profile file is the case of a fresh machine: point at one that is not there.
	fresh := func(k string) (string, bool) {
		if k == "TEMPORAL_CONFIG_FILE" {
			return t.TempDir() + "/none.toml", true
		}
		return none(k)
	}
	opts, err := Temporal(fresh, func() []string { return nil }, "127.0.0.1:7233")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7233", opts.HostPort)

	told := func(k string) (string, bool) {
		if k == "TEMPORAL_ADDRESS" {
			return "temporal.example:7233", true
		}
		return fresh(k)
	}
	opts, err = Temporal(told, func() []string { return []string{"TEMPORAL_ADDRESS=temporal.example:7233"} }, "127.0.0.1:7233")
	require.NoError(t, err)
	require.Equal(t, "temporal.example:7233", opts.HostPort)
}

func TestEmbedderIsCheckedAndNoKeyIsShown(t *testing.T) {
	t.Parallel()
	load := func(env map[string]string) (Config, error) {
		return Load(Sources{Getenv: func(name string) string { return env[name] }})
	}
	_, err := load(map[string]string{"TARTAN_EMBED_URL": "https://api.example.com/v1", "TARTAN_EMBED_MODEL": "small", "TARTAN_EMBED_KEY": "file:/run/secrets/key"})
	require.NoError(t, err)
	for _, env := range []map[string]string{
		{"TARTAN_EMBED_URL": "https://api.example.com/v1"},
		{"TARTAN_EMBED_MODEL": "small"},
		{"TARTAN_EMBED_URL": "https://me:sk-secret@api.example.com/v1", "TARTAN_EMBED_MODEL": "small"},
		{"TARTAN_EMBED_URL": "https://api.example.com/v1?key=sk-secret", "TARTAN_EMBED_MODEL": "small"},
		{"TARTAN_EMBED_KEY": "sk-secret"},
	} {
		c, err := load(env)
		require.ErrorContains(t, err, "TARTAN_EMBED_")
		require.NotContains(t, err.Error()+c.String(), "sk-secret")
	}
}
