// Command tartan is every role of Tartan in one binary: it starts the local stack, runs a worker or the MCP server, and
// is the command line to both. This package wires; what is decided is decided in the rooms.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, process)
	stop()
	os.Exit(code)
}

// streams is where a command reads and writes: data on out, everything else on err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// process is the environment of this process: the only place where it is read.
var process = environment{lookup: os.LookupEnv, environ: os.Environ}

// environment is what the outside world tells a command besides its arguments.
type environment struct {
	lookup  func(string) (string, bool)
	environ func() []string
}

func (e environment) get(name string) string {
	v, _ := e.lookup(name)
	return v
}

// run executes one command and returns its exit code.
func run(ctx context.Context, args []string, s streams, env environment) int {
	a := &app{streams: s, env: env, flags: map[string]*string{}}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	a.close()
	if err == nil {
		return codeOK
	}
	f := classify(err, a.started)
	fmt.Fprint(s.err, f.text(a.color(s.err)))
	return f.code
}

// root is the whole command tree.
func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "tartan",
		Short: "A durable memory for the patterns in logs",
		Long: "Tartan recognises which known pattern a log line is, mines patterns it has not met, and answers over MCP.\n" +
			"Start with: tartan up (or tartan tour, which shows the main job on this machine's own logs).",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
		Args:          noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.started = true
			return c.Help()
		},
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return a.start(c) },
	}
	c.SetVersionTemplate("{{.Version}}\n")
	c.CompletionOptions.HiddenDefaultCmd = false
	a.globalFlags(c)
	c.AddGroup(&cobra.Group{ID: "work", Title: "Work:"}, &cobra.Group{ID: "stack", Title: "Local stack:"}, &cobra.Group{ID: "roles", Title: "Roles:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			c.AddCommand(cmd)
		}
	}
	add("work", a.patternsCommand(), a.recognizeCommand(), a.knowledgeCommand(), a.migrateCommand(), a.workflowsCommand(), a.tourCommand(), a.seriesCommand(), a.agentsCommand(), a.agentCommand(), a.modelsCommand(), a.benchCommand())
	add("stack", a.upCommand(), a.downCommand(), a.statusCommand(), a.doctorCommand(), a.tokenCommand(), a.prepareCommand())
	c.AddCommand(a.versionCommand(), a.lintPlanCommand())
	add("roles", a.workerCommand(), a.mcpCommand(), a.gatewayCommand(), a.migrateSchemaCommand(), composeEnvCommand(a.out))
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json() {
				return a.printJSON(versionInfo())
			}
			fmt.Fprintln(a.out, version())
			return nil
		},
	}
}

type versionReport struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Time    string `json:"time,omitempty"`
	Go      string `json:"go"`
}

// versionInfo is what the build recorded of itself.
func versionInfo() versionReport {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versionReport{Version: "unknown"}
	}
	r := versionReport{Version: info.Main.Version, Go: info.GoVersion}
	if r.Version == "" || r.Version == "(devel)" {
		r.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			r.Commit = s.Value
		case "vcs.time":
			r.Time = s.Value
		}
	}
	return r
}

func version() string {
	r := versionInfo()
	return "tartan " + r.Version
}

// noArgs refuses arguments with a message that names them.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		return fmt.Errorf("unknown command %q of %s", args[0], c.CommandPath())
	}
	return errors.New(c.CommandPath() + " takes no arguments, got " + fmt.Sprintf("%q", args[0]))
}
