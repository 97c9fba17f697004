package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// toLint is what the process that lints is given: files of a plan, or a plan that was read before.
type toLint struct {
	Files []migration.File `json:"files,omitempty"`
	Plan  *migration.Plan  `json:"plan,omitempty"`
}

const lintPlan = "lint-plan"

// lintPlanCommand lints what stands on stdin and ends. The parser takes memory that a worker or a server does not have, so they
// start it for each plan.
func (a *app) lintPlanCommand() *cobra.Command {
	return &cobra.Command{
		Use: lintPlan, Hidden: true, Args: noArgs, Short: "Lint a plan on stdin, as JSON, for another process of Tartan",
		PersistentPreRunE: func(*cobra.Command, []string) error { a.started = true; return nil }, // it needs no settings
		RunE: func(*cobra.Command, []string) error {
			var in toLint
			if err := json.NewDecoder(a.in).Decode(&in); err != nil {
				return fmt.Errorf("read what is to be linted: %w", err)
			}
			return json.NewEncoder(a.out).Encode(lintHere(in.Files, in.Plan, lint.Options{}))
		},
	}
}

// lintHere reads and lints in this process.
func lintHere(files []migration.File, p *migration.Plan, o lint.Options) tools.Linted {
	var err error
	if p == nil {
		if p, err = migration.Parse(files); err != nil {
			return tools.Linted{Fault: err.Error()}
		}
	}
	report, err := lint.Check(p, files, o)
	if err != nil {
		return tools.Linted{Fault: err.Error()}
	}
	return tools.Linted{Plan: p, Report: report}
}

// lintApart lints in a process of its own.
func lintApart(ctx context.Context, in toLint) (out tools.Linted, err error) {
	self, err := os.Executable()
	if err != nil {
		return out, err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	var answer, said bytes.Buffer
	cmd := exec.CommandContext(ctx, self, lintPlan)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(body), &answer, &said
	cmd.Env = []string{"GOMEMLIMIT=300MiB"} // nothing of what this process knows
	if err := cmd.Run(); err != nil {
		return out, fmt.Errorf("lint the plan: %w: %s", err, strings.TrimSpace(said.String()))
	}
	if err := json.Unmarshal(answer.Bytes(), &out); err != nil {
		return out, fmt.Errorf("lint the plan: %w", err)
	}
	return out, nil
}

// lintFiles lints for the tools of a server.
func lintFiles(ctx context.Context, files []migration.File) (tools.Linted, error) {
	return lintApart(ctx, toLint{Files: files})
}

// lintStored says what keeps a worker from running a plan: what cannot be read, and what could not be undone. What else was
// found was shown when the plan was made.
func lintStored(ctx context.Context, p *migration.Plan) (faults []string, err error) {
	out, err := lintApart(ctx, toLint{Plan: p})
	if err != nil {
		return nil, err
	}
	if out.Fault != "" {
		return []string{out.Fault}, nil
	}
	for _, f := range out.Report.Findings {
		if f.Rule == "irreversible-step" && f.Severity == lint.Error {
			faults = append(faults, f.Message)
		}
	}
	return faults, nil
}

// planFiles reads a file, a folder, or stdin.
func (a *app) planFiles(path string) ([]migration.File, error) {
	if path == "-" {
		text, err := io.ReadAll(io.LimitReader(a.in, 4<<20))
		return []migration.File{{Name: "stdin.sql", Text: string(text)}}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, readFailure(path, err)
	}
	paths := []string{path}
	if info.IsDir() {
		if paths, err = filepath.Glob(filepath.Join(path, "*.sql")); err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, &failure{code: codeNotFound, what: path + " holds no file whose name ends in .sql", why: fs.ErrNotExist}
		}
	}
	var files []migration.File
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			return nil, readFailure(p, err)
		}
		files = append(files, migration.File{Name: filepath.ToSlash(p), Text: string(text)})
	}
	return files, nil
}

func (a *app) migrateLint() *cobra.Command {
	var o lint.Options
	var stats, on string
	c := &cobra.Command{
		Use:   "lint PLAN",
		Short: "Find what is dangerous in a plan, and how it is done safely",
		Long: "Find what is dangerous in a plan, and how it is done safely. The plan is a file or a folder in Tartan's format, or a folder of goose,\n" +
			"golang-migrate, Flyway or the Supabase CLI, or plain SQL. With --target the time of each statement is estimated\n" +
			"from the sizes of the tables in that database, whose catalogue alone is read; with --statistics from those in a file, which come first.\n" +
			"Exit code 1: there are errors. A comment -- tartan:allow RULE REASON (or -- squawk-ignore RULE) lets a finding pass.",
		Example: "  tartan migrate lint migrations/\n  tartan migrate lint plan.sql --target shop --output json",
		Args:    exactly(1, "a file or a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := a.planFiles(args[0])
			if err != nil {
				return err
			}
			if on != "" {
				if _, o.Statistics, err = a.measured(c.Context(), on); err != nil {
					return err
				}
			}
			if stats != "" {
				text, err := os.ReadFile(stats)
				if err != nil {
					return readFailure(stats, err)
				}
				if err := json.Unmarshal(text, &o.Statistics); err != nil {
					return usage(`--statistics %s: want {"shop.orders": {"rows": 1000000, "bytes": 500000000}}: %v`, stats, err)
				}
			}
			out := lintHere(files, nil, o)
			if out.Fault != "" {
				return &failure{code: codeUsage, what: out.Fault, next: "mend what is reported; docs/migrations.md has the format"}
			}
			if a.json() {
				err = a.printJSON(out)
			} else {
				err = a.printLint(out)
			}
			if err == nil && out.Report.Errors() {
				err = &failure{code: codeFailure, what: args[0] + " has errors", next: "mend them, or write -- tartan:allow RULE REASON before what is meant so"}
			}
			return err
		},
	}
	c.Flags().BoolVar(&o.Foreign, "foreign", false, "judge a folder as its own tool would run it: timeouts, and whether it can be run again")
	c.Flags().BoolVar(&o.Schema, "schema", false, "also find tables that are named without their schema")
	c.Flags().StringVar(&on, "target", "", "estimate times by the sizes of the tables in this database")
	c.Flags().StringVar(&stats, "statistics", "", "JSON file with rows and bytes of tables, to estimate times by")
	return c
}

func (a *app) printLint(l tools.Linted) error {
	color := a.color(a.out)
	for _, f := range l.Report.Findings {
		where := fmt.Sprintf("%s:%d", f.File, f.Line)
		if f.File == "" {
			where = "step " + f.Step
		}
		severity := string(f.Severity)
		if f.Severity == lint.Error {
			severity = paint(color, red, severity)
		}
		fmt.Fprintf(a.out, "%s: %s: %s [%s]\n    %s\n", where, severity, f.Message, f.Rule, f.Why)
		if f.Safe != "" {
			fmt.Fprintf(a.out, "    safe: %s\n", strings.ReplaceAll(f.Safe, "\n", "\n          "))
		}
	}
	if len(l.Report.Findings) > 0 {
		fmt.Fprintln(a.out)
	}
	rows := [][]string{{"LINE", "STEP", "TABLE", "LOCK", "KEEPS OUT", "REWRITE", "ABOUT"}}
	for _, w := range l.Report.Statements {
		about := "-"
		if w.Duration > 0 {
			about = w.Duration.String()
		}
		rewrite := "-"
		if w.Rewrites {
			rewrite = "yes"
		}
		rows = append(rows, []string{fmt.Sprint(w.Line), clip(w.Step, 30), dash(w.Table), dash(strings.ToLower(w.Lock)), dash(w.Blocks), rewrite, about})
	}
	return a.table(rows)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// errLint is what a plan with errors is refused with before it is started.
var errLint = errors.New("the plan has errors")
