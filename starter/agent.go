package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/agents"
)

func (a *app) agentCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "agent",
		Short: "Make an agent in Python",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.newAgentCommand(), a.agentEnvCommand(), a.registerAgentCommand())
	return c
}

func (a *app) newAgentCommand() *cobra.Command {
	var kind, dir string
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Make the project of an agent, which runs at once with uv",
		Long: "Make the project of an agent in a new folder: one activity with its contract, a manifest, tests, and the kit of Tartan's agents.\n" +
			"It needs uv and nothing else: tartan agent new vibration && cd vibration && uv run vibration",
		Args: exactly(1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error { return a.newAgent(args[0], kind, dir) },
	}
	c.Flags().StringVar(&kind, "kind", "features", "what it does: features, pattern, knowledge or router")
	c.Flags().StringVar(&dir, "dir", "", "the folder to make (default: NAME)")
	return c
}

func (a *app) newAgent(name, kind, dir string) error {
	project, err := agents.Project(name, kind)
	if err != nil {
		return &failure{code: codeUsage, what: "make an agent", why: err}
	}
	if dir == "" {
		dir = name
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		next := "choose another name, or --dir"
		if !errors.Is(err, fs.ErrExist) {
			next = ""
		}
		return &failure{code: codeFailure, what: "make an agent", why: err, next: next}
	}
	names := slices.Sorted(maps.Keys(project))
	for _, file := range names {
		to := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return &failure{code: codeFailure, what: "make an agent", why: err}
		}
		if err := os.WriteFile(to, project[file], 0o644); err != nil {
			return &failure{code: codeFailure, what: "make an agent", why: err}
		}
	}
	if a.json() {
		return a.printJSON(map[string]any{"name": name, "kind": kind, "dir": dir, "files": names, "task_queue": "agent." + name})
	}
	fmt.Fprintf(a.out, "%s: an agent for %s, %d files\n\n  cd %s\n  uv run pytest\n  eval \"$(tartan agent env%s)\"   # where the local stack is\n  uv run %s\n\nIts work is in src/%s/activities.py.\n",
		dir, kind, len(names), dir, a.here(), name, strings.ReplaceAll(name, "-", "_"))
	return nil
}

func (a *app) agentEnvCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the variables with which an agent reaches the local stack",
		Long:  "Print the variables with which an agent reaches the local stack, for a shell: eval \"$(tartan agent env)\"",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.stack.TemporalAddress == "" {
				return &failure{code: codeUnavailable, what: "no local stack is running in " + a.cfg.DataDir, next: "tartan up"}
			}
			keys, err := filepath.Abs(filepath.Join(a.cfg.DataDir, jwksFile))
			if err != nil {
				return err
			}
			env := map[string]string{"TEMPORAL_ADDRESS": a.stack.TemporalAddress, "TARTAN_GRANT_KEYS": keys}
			if a.json() {
				return a.printJSON(env)
			}
			for _, name := range slices.Sorted(maps.Keys(env)) {
				fmt.Fprintf(a.out, "export %s=%s\n", name, shellQuote(env[name]))
			}
			return nil
		},
	}
}

// shellQuote makes one word of a value for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
