package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/config"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/telemetry"
)

// dialTimeout is how long a command waits for a server that does not answer before it says so.
const dialTimeout = 5 * time.Second

// app is what the commands share: streams, settings, and the connections opened so far.
type app struct {
	streams
	env     environment
	flags   map[string]*string // by environment name
	output  string
	started bool // the arguments were understood

	cfg   config.Config
	stack local.State // of the running local stack; zero when none runs
	log   *zap.Logger

	pool      *pgxpool.Pool
	temporal  client.Client
	namespace string // of Temporal
}

// globalFlags are the settings that every command takes.
func (a *app) globalFlags(c *cobra.Command) {
	for _, f := range []struct{ flag, env string }{
		{"data-dir", "TARTAN_DATA_DIR"},
		{"database-url", "TARTAN_DATABASE_URL"},
		{"bucket-url", "TARTAN_BUCKET_URL"},
		{"mcp-url", "TARTAN_MCP_URL"},
		{"workspace", "TARTAN_WORKSPACE"},
		{"log-level", "TARTAN_LOG_LEVEL"},
	} {
		a.setting(c, f.flag, f.env, true)
	}
	c.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "table or json")
}

// setting adds a flag that sets an environment name; its help comes from the config struct.
func (a *app) setting(c *cobra.Command, flag, env string, persistent bool) {
	value := new(string)
	a.flags[env] = value
	set := c.Flags()
	if persistent {
		set = c.PersistentFlags()
	}
	for _, f := range (&config.Config{}).Fields() {
		if f.Env == env {
			set.StringVar(value, flag, "", fmt.Sprintf("%s [%s]", f.Doc, env))
		}
	}
}

// start runs before each command: it merges and checks the settings.
func (a *app) start(c *cobra.Command) error {
	if a.output != "table" && a.output != "json" {
		return usage("--output %q: want table or json", a.output)
	}
	if err := a.configure(); err != nil {
		return err
	}
	a.started = true
	return nil
}

// configure loads the settings, with what the running local stack says where nothing else does.
func (a *app) configure() error {
	flags := map[string]string{}
	for env, v := range a.flags {
		flags[env] = *v
	}
	sources := config.Sources{Flags: flags, Getenv: a.env.get}
	c, err := config.Load(sources)
	if err != nil {
		return &failure{code: codeUsage, what: "settings", why: err, next: "see .env.example, or tartan --help"}
	}
	a.stack = local.State{}
	if s, err := local.ReadState(c.DataDir); err == nil && s.Alive() {
		a.stack = s
		sources.Stack = stackSettings(c.DataDir, s)
		if c, err = config.Load(sources); err != nil {
			return &failure{code: codeFailure, what: "read what the local stack says of itself", why: err, next: "tartan down && tartan up"}
		}
	}
	a.cfg = c
	a.log, err = telemetry.New(a.err, telemetry.Options{Level: c.LogLevel, Console: isTerminal(a.err)})
	return err
}

// stackSettings are the settings that a running local stack answers.
func stackSettings(dataDir string, s local.State) map[string]string {
	out := map[string]string{
		"TARTAN_DATABASE_URL": s.DatabaseURL,
		"TARTAN_BUCKET_URL":   s.BucketURL,
		"TARTAN_MCP_URL":      s.MCPURL,
		"TARTAN_JWT_ISSUER":   localIssuer,
		"TARTAN_JWKS_URL":     filepath.Join(dataDir, jwksFile),
	}
	return out
}

func (a *app) json() bool { return a.output == "json" }

// here is the flag that a command to run next needs to find the same data folder.
func (a *app) here() string {
	if dir := *a.flags["TARTAN_DATA_DIR"]; dir != "" {
		return " --data-dir " + dir
	}
	return ""
}

// say writes progress for a person to stderr.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// noStack is the failure of a command that needs something neither set nor running.
func noStack(what, env string) error {
	return &failure{code: codeUnavailable, what: what + " is not set and no local stack runs in the data folder", next: "tartan up (or set " + env + ")"}
}

// database opens the pool, once.
func (a *app) database(ctx context.Context) (*pgxpool.Pool, error) {
	if a.pool != nil {
		return a.pool, nil
	}
	if a.cfg.DatabaseURL == "" {
		return nil, noStack("the database", "TARTAN_DATABASE_URL")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	pool, err := postgres.Open(ctx, a.cfg.DatabaseURL)
	if err != nil {
		return nil, &failure{code: codeUnavailable, what: "connect to the database", why: err, next: "tartan doctor"}
	}
	a.pool = pool
	return pool, nil
}

// workflowService dials Temporal, once.
func (a *app) workflowService(ctx context.Context) (client.Client, error) {
	if a.temporal != nil {
		return a.temporal, nil
	}
	opts, err := config.Temporal(a.env.lookup, a.env.environ, a.stack.TemporalAddress)
	if err != nil {
		return nil, &failure{code: codeUsage, what: "Temporal settings", why: err, next: "tartan doctor"}
	}
	if opts.HostPort == "" {
		return nil, noStack("Temporal", "TEMPORAL_ADDRESS")
	}
	opts.Logger = telemetry.Temporal(a.log.Named("temporal").WithOptions(zap.IncreaseLevel(zap.WarnLevel)))
	opts.Identity = fmt.Sprintf("tartan@%d", os.Getpid())
	opts.WorkerHeartbeatInterval = heartbeatEvery
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := client.DialContext(ctx, opts)
	if err != nil {
		return nil, &failure{code: codeUnavailable, what: "connect to Temporal at " + opts.HostPort, why: err, next: "tartan doctor"}
	}
	a.temporal, a.namespace = c, cmp.Or(opts.Namespace, client.DefaultNamespace)
	return c, nil
}

// objects opens the bucket that sources are stored in.
func (a *app) objects(ctx context.Context) (*bucket.Bucket, error) {
	if a.cfg.BucketURL == "" {
		return nil, noStack("the bucket", "TARTAN_BUCKET_URL")
	}
	b, err := bucket.Open(ctx, a.bucketURL())
	if err != nil {
		return nil, &failure{code: codeUnavailable, what: "open the bucket", why: err, next: "tartan doctor"}
	}
	return b, nil
}

// bucketURL is the bucket's address with the credentials of the usual AWS variables where it has none of its own.
func (a *app) bucketURL() string {
	u, err := url.Parse(a.cfg.BucketURL)
	if id := a.env.get("AWS_ACCESS_KEY_ID"); err == nil && u.Scheme == "s3" && u.User == nil && id != "" {
		u.User = url.UserPassword(id, a.env.get("AWS_SECRET_ACCESS_KEY"))
		return u.String()
	}
	return a.cfg.BucketURL
}

// caller is who this command acts for: the subject of the token, or the local stack's own user.
func (a *app) caller(ctx context.Context) (access.Caller, error) {
	pool, err := a.database(ctx)
	if err != nil {
		return access.Caller{}, err
	}
	user, err := a.user(ctx)
	if err != nil {
		return access.Caller{}, err
	}
	list, err := postgres.Workspaces(ctx, pool, user)
	if err != nil {
		return access.Caller{}, fmt.Errorf("list your workspaces: %w", err)
	}
	for _, w := range list {
		if w.Slug == a.cfg.Workspace {
			return access.Caller{UserID: user, WorkspaceID: w.ID}, nil
		}
	}
	return access.Caller{}, &failure{code: codeDenied, what: fmt.Sprintf("you are not a member of workspace %q", a.cfg.Workspace), next: "choose another with --workspace, or ask an admin of it"}
}

// close ends the connections.
func (a *app) close() {
	if a.pool != nil {
		a.pool.Close()
	}
	if a.temporal != nil {
		a.temporal.Close()
	}
	if a.log != nil {
		_ = a.log.Sync()
	}
}

// limitMemory keeps a long-running role well under 100 MB: the collector works harder as the limit nears.
func limitMemory(megabytes int64) {
	debug.SetMemoryLimit(megabytes << 20)
	debug.SetGCPercent(50)
}

// missing reports whether err says that a file is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
