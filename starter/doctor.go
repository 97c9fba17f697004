package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tartan-ai/tartan/internal/postgres"
)

// finding is what one check found; Problem is empty when all is well.
type finding struct {
	Check   string `json:"check"`
	OK      bool   `json:"ok"`
	Found   string `json:"found,omitempty"`
	Problem string `json:"problem,omitempty"`
	Do      string `json:"do,omitempty"`
}

// maxSkew is how far the database's clock may be from this machine's before times in answers mislead.
const maxSkew = 2 * time.Second

func (a *app) doctorCommand() *cobra.Command {
	var quiet bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say in plain words what is wrong and what to do",
		Long:  "Say in plain words what is wrong and what to do. The exit code is not 0 when something is.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			findings := a.examine(c.Context(), quiet)
			return a.printFindings(findings, quiet)
		},
	}
	c.Flags().BoolVar(&quiet, "quiet", false, "print only problems and leave out the slow check, as a health check does")
	return c
}

// examine runs every check; one that cannot run because of an earlier problem is left out.
func (a *app) examine(ctx context.Context, quick bool) []finding {
	checks := []func(context.Context) []finding{a.checkStack, a.checkDatabase, a.checkTemporal, a.checkBucket, a.checkMCP}
	if !quick {
		checks = append(checks, a.checkSpeed)
	}
	var out []finding
	for _, check := range checks {
		out = append(out, check(ctx)...)
	}
	return out
}

func ok(check, format string, args ...any) finding {
	return finding{Check: check, OK: true, Found: fmt.Sprintf(format, args...)}
}

func wrong(check, do, format string, args ...any) finding {
	return finding{Check: check, Problem: fmt.Sprintf(format, args...), Do: do}
}

// checkStack looks at the data folder and what runs in it, unless servers elsewhere are configured.
func (a *app) checkStack(context.Context) []finding {
	if a.cfg.DatabaseURL != "" && !a.stack.Alive() {
		return []finding{ok("local stack", "not used: a database is configured")}
	}
	if err := writable(a.cfg.DataDir); err != nil {
		return []finding{wrong("data folder", "choose another folder with --data-dir, or make this one yours", "%s cannot be written: %v", a.cfg.DataDir, err)}
	}
	out := []finding{ok("data folder", "%s can be written", a.cfg.DataDir)}
	if !a.stack.Alive() {
		return append(out, wrong("local stack", "tartan up", "no local stack runs in %s, and TARTAN_DATABASE_URL is not set", a.cfg.DataDir))
	}
	for _, p := range processes(a.stack) {
		if !p.Alive {
			out = append(out, wrong("local stack", "tartan down && tartan up; its log is "+filepath.Join(a.cfg.DataDir, "logs", p.Name+".log"), "%s (process %d) has ended", p.Name, p.PID))
		}
	}
	return append(out, ok("local stack", "runs since %s", shown(a.stack.StartedAt)))
}

// writable tries to make a file in dir, or in the nearest folder above it that exists.
func writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		if missing(err) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", dir)
		}
		break
	}
	f, err := os.CreateTemp(dir, ".tartan-doctor-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

func (a *app) checkDatabase(ctx context.Context) []finding {
	if a.cfg.DatabaseURL == "" {
		return nil
	}
	pool, err := a.database(ctx)
	if err != nil {
		return []finding{wrong("database", "see that it runs and that TARTAN_DATABASE_URL is right", "cannot be reached: %v", err)}
	}
	var (
		out    []finding
		now    time.Time
		server string
	)
	before := time.Now()
	if err := pool.QueryRow(ctx, "select clock_timestamp(), current_setting('server_version')").Scan(&now, &server); err != nil {
		return []finding{wrong("database", "see the log of Postgres", "does not answer: %v", err)}
	}
	out = append(out, ok("database", "Postgres %s answers in %s", server, time.Since(before).Round(100*time.Microsecond)))
	if skew := now.Sub(before).Abs(); skew > maxSkew {
		out = append(out, wrong("clock", "set both clocks by NTP", "the database's clock is %s from this machine's", skew.Round(time.Millisecond)))
	} else {
		out = append(out, ok("clock", "the database's clock agrees"))
	}
	return append(out, a.checkSchema(ctx))
}

func (a *app) checkSchema(ctx context.Context) finding {
	have, want, drift, err := postgres.Schema(ctx, asService(a.cfg.DatabaseURL))
	switch {
	case err != nil:
		return wrong("schema", "tartan migrate-schema (or tartan up)", "cannot be read: %v", err)
	case have < want:
		return wrong("schema", "tartan migrate-schema (or tartan down && tartan up)", "is version %d, this tartan needs %d", have, want)
	case have > want:
		return wrong("schema", "use a newer tartan", "is version %d, this tartan knows %d", have, want)
	case len(drift) > 0:
		return wrong("schema", "restore the migrations that were applied, or apply the change as a new one", "differs from what was applied: %s", strings.Join(drift, ", "))
	}
	return ok("schema", "version %d, as this tartan needs", have)
}

// asService is a database URL that acts as service_role: the login role of Tartan's processes has no rights of its own.
func asService(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		return database
	}
	q := u.Query()
	q.Set("role", "service_role")
	u.RawQuery = q.Encode()
	return u.String()
}

func (a *app) checkTemporal(ctx context.Context) []finding {
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return []finding{wrong("temporal", "see that it runs and that TEMPORAL_ADDRESS is right; locally: tartan up", "cannot be reached: %v", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	info, err := temporal.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return []finding{wrong("temporal", "see its log", "does not answer: %v", err)}
	}
	out := []finding{ok("temporal", "server %s answers", info.GetServerVersion())}
	if !polled(ctx, temporal) {
		out = append(out, wrong("worker", "tartan worker (tartan up runs one)", "no worker waits for work, so nothing is mined"))
	} else {
		out = append(out, ok("worker", "waits for work"))
	}
	return out
}

func (a *app) checkBucket(ctx context.Context) []finding {
	if a.cfg.BucketURL == "" {
		return nil
	}
	b, err := a.objects(ctx)
	if err == nil {
		_, err = b.PutBytes(ctx, []byte("tartan doctor\n"))
	}
	if err != nil {
		return []finding{wrong("bucket", "see that TARTAN_BUCKET_URL is right and that its credentials may write", "cannot be written: %v", err)}
	}
	return []finding{ok("bucket", "can be written")}
}

// checkMCP asks the MCP server of this machine whether it is there, or the one that clients are told of whether it
// wants a token.
func (a *app) checkMCP(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	address, want := a.cfg.MCPURL, http.StatusUnauthorized
	if own := a.env.get("TARTAN_MCP_ADDR"); own != "" {
		address, want = fmt.Sprintf("http://127.0.0.1:%d/healthz", portOf(own)), http.StatusOK
	}
	if address == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return []finding{wrong("mcp", "set TARTAN_MCP_URL", "%v", err)}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return []finding{wrong("mcp", "tartan mcp --http (tartan up runs one)", "does not answer at %s", address)}
	}
	res.Body.Close()
	if res.StatusCode != want {
		return []finding{wrong("mcp", "see that the address is Tartan's", "%s answers %s, not %d", address, res.Status, want)}
	}
	return []finding{ok("mcp", "answers at %s", address)}
}

func (a *app) printFindings(findings []finding, quiet bool) error {
	bad := 0
	for _, f := range findings {
		if !f.OK {
			bad++
		}
	}
	if a.json() {
		if err := a.printJSON(findings); err != nil {
			return err
		}
	} else {
		color := a.color(a.out)
		for _, f := range findings {
			switch {
			case !f.OK:
				fmt.Fprintf(a.out, "%s  %s: %s\n       do: %s\n", paint(color, red, "wrong"), f.Check, f.Problem, f.Do)
			case !quiet:
				fmt.Fprintf(a.out, "%s  %s: %s\n", paint(color, green, "ok   "), f.Check, f.Found)
			}
		}
	}
	if bad > 0 {
		return &failure{code: codeFailure, what: fmt.Sprintf("%d of %d checks found a problem", bad, len(findings))}
	}
	return nil
}
