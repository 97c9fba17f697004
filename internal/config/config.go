// Package config says what can be set and checks it as a whole. In come flags, the environment (as a function) and what
// the running local stack says of itself; out comes one Config. It reads no environment and opens no connection.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Config is everything that can be set. The order in which a value is looked for: flag, environment, running local
// stack, default.
type Config struct {
	DataDir     string `env:"TARTAN_DATA_DIR" unit:"folder" default:".tartan" doc:"Where the local stack keeps everything: databases, objects, keys, logs."`
	DatabaseURL string `env:"TARTAN_DATABASE_URL" unit:"postgres URL" secret:"url" doc:"Postgres or Supabase, session port (5432). Empty: the running local stack."`
	SupabaseURL string `env:"TARTAN_SUPABASE_URL" unit:"URL" doc:"The Supabase project. Sets the issuer and the key set of bearer tokens when they are not set."`
	BucketURL   string `env:"TARTAN_BUCKET_URL" unit:"URL" secret:"url" doc:"Where sources are stored: file:///folder or s3://bucket?endpoint=host. Empty: the local stack's folder."`
	MCPAddr     string `env:"TARTAN_MCP_ADDR" unit:"host:port" default:"127.0.0.1:7017" doc:"Where the MCP server listens. Port 0 takes a free one."`
	MCPOrigins  string `env:"TARTAN_MCP_ORIGINS" unit:"URLs, comma separated" doc:"Web origins that may call the MCP server. Empty: only its own."`
	MCPURL      string `env:"TARTAN_MCP_URL" unit:"URL" doc:"Where clients reach the MCP server; also the audience that tokens must name."`
	Workspace   string `env:"TARTAN_WORKSPACE" unit:"slug" default:"local" doc:"The workspace that commands act in."`
	Token       string `env:"TARTAN_TOKEN" unit:"JWT" secret:"all" doc:"Who you are to the MCP server. Empty: one is made from the local stack's key."`
	JWKSURL     string `env:"TARTAN_JWKS_URL" unit:"URL or file" doc:"The public keys that bearer tokens are checked with."`
	JWTIssuer   string `env:"TARTAN_JWT_ISSUER" unit:"text" doc:"The issuer that tokens must name."`
	JWTAudience string `env:"TARTAN_JWT_AUDIENCE" unit:"text" doc:"The audience that tokens must name. Empty: TARTAN_MCP_URL."`
	EmbedURL    string `env:"TARTAN_EMBED_URL" unit:"URL" secret:"url" doc:"An OpenAI-compatible API that makes vectors of texts, such as https://api.openai.com/v1. Empty: the built-in table."`
	EmbedModel  string `env:"TARTAN_EMBED_MODEL" unit:"text" doc:"The model to ask it for."`
	EmbedKey    string `env:"TARTAN_EMBED_KEY" unit:"env:NAME or file:PATH" doc:"Where its key is: in another variable or in a file. The key itself does not belong here."`
	GrantKey    string `env:"TARTAN_GRANT_KEY" unit:"env:NAME or file:PATH" doc:"Where the P-256 key (PEM) is with which workers sign the grants of activity tasks. Empty: the local stack's."`
	Targets     string `env:"TARTAN_TARGETS" unit:"name=env:NAME or name=file:PATH, comma separated" doc:"Databases that may be migrated: where the postgres URL of each is, known to workers only. The name self is TARTAN_DATABASE_URL."`
	Models      string `env:"TARTAN_MODELS" unit:"file" doc:"The providers and models to route calls to, in TOML; see docs/models.md. Empty: only the built-in table of vectors."`
	GatewayAddr string `env:"TARTAN_GATEWAY_ADDR" unit:"host:port" default:"127.0.0.1:7018" doc:"Where the gateway for OpenAI clients listens. Port 0 takes a free one."`
	LogLevel    string `env:"TARTAN_LOG_LEVEL" unit:"debug, info, warn or error" default:"info" doc:"How much is logged, to stderr."`
	PGBin       string `env:"TARTAN_PG_BIN" unit:"folder" doc:"The Postgres binaries of the local stack. Empty: the newest installed, else downloaded."`
	TemporalBin string `env:"TARTAN_TEMPORAL_BIN" unit:"file" doc:"The Temporal dev server of the local stack. Empty: the temporal CLI on PATH, else built once."`
	MavenURL    string `env:"TARTAN_MAVEN_URL" unit:"URL" default:"https://repo1.maven.org/maven2" doc:"Where Postgres binaries are downloaded from."`
}

// Sources is where values come from. Each map is keyed by the environment name.
type Sources struct {
	Flags  map[string]string
	Getenv func(string) string
	Stack  map[string]string
}

// Field describes one setting, for documentation and for printing.
type Field struct {
	Env, Unit, Default, Doc, Value string
}

// Load merges the sources and checks every value. The error names all faults, not only the first.
func Load(s Sources) (Config, error) {
	var c Config
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		name := tag.Get("env")
		value := s.Flags[name]
		if value == "" && s.Getenv != nil {
			value = strings.TrimSpace(s.Getenv(name))
		}
		if value == "" {
			value = s.Stack[name]
		}
		if value == "" {
			value = tag.Get("default")
		}
		v.Field(i).SetString(value)
	}
	c.derive()
	return c, c.check()
}

// derive fills what follows from other settings.
func (c *Config) derive() {
	if abs, err := filepath.Abs(c.DataDir); err == nil {
		c.DataDir = abs
	}
	if c.SupabaseURL != "" {
		auth := strings.TrimSuffix(c.SupabaseURL, "/") + "/auth/v1"
		if c.JWTIssuer == "" {
			c.JWTIssuer = auth
		}
		if c.JWKSURL == "" {
			c.JWKSURL = auth + "/.well-known/jwks.json"
		}
	}
	if c.JWTAudience == "" {
		c.JWTAudience = c.MCPURL
	}
}

func (c *Config) check() error {
	var faults []error
	fault := func(env, want, value string) {
		faults = append(faults, fmt.Errorf("%s: want %s, got %q", env, want, value))
	}
	checkURL := func(env, value string, schemes ...string) {
		if value == "" {
			return
		}
		u, err := url.Parse(value)
		if err != nil || !slices.Contains(schemes, u.Scheme) {
			fault(env, "a URL with scheme "+strings.Join(schemes, " or "), redactURL(value))
		}
	}
	checkURL("TARTAN_DATABASE_URL", c.DatabaseURL, "postgres", "postgresql")
	checkURL("TARTAN_SUPABASE_URL", c.SupabaseURL, "http", "https")
	checkURL("TARTAN_BUCKET_URL", c.BucketURL, "file", "s3", "mem")
	checkURL("TARTAN_MCP_URL", c.MCPURL, "http", "https")
	checkURL("TARTAN_MAVEN_URL", c.MavenURL, "http", "https", "file")
	for _, o := range c.Origins() {
		checkURL("TARTAN_MCP_ORIGINS", o, "http", "https")
	}
	if strings.Contains(c.JWKSURL, "://") {
		checkURL("TARTAN_JWKS_URL", c.JWKSURL, "http", "https", "file")
	}
	for _, addr := range [][2]string{{"TARTAN_MCP_ADDR", c.MCPAddr}, {"TARTAN_GATEWAY_ADDR", c.GatewayAddr}} {
		if host, port, err := net.SplitHostPort(addr[1]); err != nil || port == "" || strings.ContainsAny(host, "/ ") {
			fault(addr[0], "host:port", addr[1])
		}
	}
	c.checkEmbedder(fault)
	if _, err := c.TargetRefs(); err != nil {
		faults = append(faults, err)
		c.Targets = ""
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		fault("TARTAN_LOG_LEVEL", "debug, info, warn or error", c.LogLevel)
	}
	if c.Workspace == "" || strings.ContainsFunc(c.Workspace, notSlug) {
		fault("TARTAN_WORKSPACE", "lower-case letters, digits and dashes", c.Workspace)
	}
	if c.Token != "" && strings.Count(c.Token, ".") != 2 {
		faults = append(faults, errors.New("TARTAN_TOKEN: want a JWT (three parts with dots between); make one with: tartan token"))
	}
	return errors.Join(faults...)
}

// checkEmbedder takes care never to print what may be a key.
func (c *Config) checkEmbedder(fault func(env, want, value string)) {
	if u, err := url.Parse(c.EmbedURL); c.EmbedURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "") {
		fault("TARTAN_EMBED_URL", "a URL with scheme http or https, without user, password and query", redactURL(c.EmbedURL))
	}
	if (c.EmbedURL == "") != (c.EmbedModel == "") {
		fault("TARTAN_EMBED_MODEL", "a model where TARTAN_EMBED_URL is set, and none where it is not", c.EmbedModel)
	}
	for _, ref := range []struct {
		name  string
		value *string
	}{{"TARTAN_EMBED_KEY", &c.EmbedKey}, {"TARTAN_GRANT_KEY", &c.GrantKey}} {
		if *ref.value != "" && !strings.HasPrefix(*ref.value, "env:") && !strings.HasPrefix(*ref.value, "file:") {
			fault(ref.name, "env:NAME or file:PATH", "(something else)")
			*ref.value = ""
		}
	}
}

// TargetRefs returns where the URL of each target is, env:NAME or file:PATH, by the target's name. The error shows no reference
// that may be a URL itself.
func (c *Config) TargetRefs() (map[string]string, error) {
	out := map[string]string{}
	for _, item := range strings.FieldsFunc(c.Targets, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		name, ref, ok := strings.Cut(item, "=")
		if !ok || name == "" || name == "self" || strings.ContainsFunc(name, notSlug) {
			return nil, errors.New("TARTAN_TARGETS: want name=env:NAME or name=file:PATH with commas between, names of lower-case letters, digits and dashes, and none called self")
		}
		if kind, rest, _ := strings.Cut(ref, ":"); kind != "env" && kind != "file" || rest == "" {
			return nil, fmt.Errorf("TARTAN_TARGETS: want %s=env:NAME or %s=file:PATH; the URL itself does not belong here", name, name)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("TARTAN_TARGETS: %s is there twice", name)
		}
		out[name] = ref
	}
	return out, nil
}

// Origins returns the web origins as a list.
func (c *Config) Origins() []string {
	return strings.FieldsFunc(c.MCPOrigins, func(r rune) bool { return r == ',' || r == ' ' })
}

// Fields lists every setting with its value, secrets redacted.
func (c *Config) Fields() []Field {
	v := reflect.ValueOf(c).Elem()
	out := make([]Field, v.NumField())
	for i := range out {
		tag := v.Type().Field(i).Tag
		value := v.Field(i).String()
		switch {
		case value == "":
		case tag.Get("secret") == "url":
			value = redactURL(value)
		case tag.Get("secret") == "all":
			value = "(set)"
		}
		out[i] = Field{Env: tag.Get("env"), Unit: tag.Get("unit"), Default: tag.Get("default"), Doc: tag.Get("doc"), Value: value}
	}
	return out
}

// String prints the settings that are set, one a line, secrets redacted.
func (c *Config) String() string {
	var b strings.Builder
	for _, f := range c.Fields() {
		if f.Value != "" {
			fmt.Fprintf(&b, "%s=%s\n", f.Env, f.Value)
		}
	}
	return b.String()
}

// redactURL hides the password, and every query value, of a URL. What cannot be parsed is hidden whole.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(not a URL)"
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "xxxxx")
	}
	q := u.Query()
	for k := range q {
		switch strings.ToLower(k) {
		case "endpoint", "region", "host", "port", "sslmode", "dbname", "user", "application_name":
		default:
			q.Set(k, "xxxxx")
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func notSlug(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}
