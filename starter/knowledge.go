package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// knowledgeCommand groups what is done with the knowledge base.
func (a *app) knowledgeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "knowledge",
		Short: "Search, write, review and restore knowledge",
		Long:  "Search, write, review and restore knowledge. An entry is named space/slug; what is published is never edited, only followed by another revision.",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.knowledgeSearch(), a.knowledgeGet(), a.knowledgePropose(), a.knowledgeEdit(), a.knowledgeValidate(), a.knowledgeReview(), a.knowledgeAmend(), a.knowledgeResolve(), a.knowledgeLink())
	c.AddCommand(a.knowledgeHistory(), a.knowledgeDiff(), a.knowledgeBlame(), a.knowledgeRestore(), a.knowledgeImport(), a.knowledgeExport(), a.knowledgeStatus(), a.knowledgeSpace(), a.knowledgeTag(), a.knowledgeExcise())
	return c
}

// snapshotFolder is where indexes of the knowledge base are kept over restarts.
func (a *app) snapshotFolder() string { return filepath.Join(a.cfg.DataDir, "knowledge") }

// suite is the tools as the MCP server has them, in this process: the command line does what they do.
func (a *app) suite(ctx context.Context, durable bool) (*tools.Suite, tools.Call, error) {
	caller, err := a.caller(ctx)
	if err != nil {
		return nil, tools.Call{}, err
	}
	embedder, err := a.embedder()
	if err != nil {
		return nil, tools.Call{}, err
	}
	s := &tools.Suite{
		Pool: a.pool, Libraries: feed.NewLibrariesWith(a.pool, a.log.Named("feed"), feed.Options{Snapshots: a.snapshotFolder(), Embedder: a.configured(embedder)}), Log: a.log,
		Version: versionInfo().Version, TemporalUIURL: a.stack.TemporalUIURL,
		Linter: func(_ context.Context, files []migration.File) (tools.Linted, error) {
			return lintHere(files, nil, lint.Options{}), nil
		},
	}
	if durable {
		if s.Temporal, err = a.workflowService(ctx); err != nil {
			return nil, tools.Call{}, err
		}
		if s.Bucket, err = a.objects(ctx); err != nil {
			return nil, tools.Call{}, err
		}
	}
	role, err := s.Libraries.Role(ctx, caller)
	return s, tools.Call{Caller: caller, Role: role, Workspace: a.cfg.Workspace}, err
}

// arguments are those of a tool. What is empty is left out.
type arguments map[string]any

func (in arguments) set(name string, value any) arguments {
	switch v := value.(type) {
	case string:
		if v == "" {
			return in
		}
	case int:
		if v == 0 {
			return in
		}
	case bool:
		if !v {
			return in
		}
	}
	in[name] = value
	return in
}

// knows calls a tool of the knowledge base and decodes its answer.
func (a *app) knows(ctx context.Context, tool string, in arguments, out any) error {
	durable := map[string]bool{"propose_change": true, "validate_change": true, "review_change": true, "resolve_conflict": true, "link_knowledge": true, "restore_knowledge": true}
	return a.callTool(ctx, durable[tool], tool, in, out)
}

// callTool calls a tool in this process.
func (a *app) callTool(ctx context.Context, durable bool, tool string, in arguments, out any) error {
	s, call, err := a.suite(ctx, durable)
	if err != nil {
		return err
	}
	args, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for _, t := range s.Tools() {
		if t.Name != tool {
			continue
		}
		result, err := t.Call(ctx, call, args)
		if err != nil {
			return toolFailure(err)
		}
		return json.Unmarshal(result.Structured, out)
	}
	return fmt.Errorf("there is no tool %s", tool)
}

// commands are what the tools are called on the command line.
var commands = strings.NewReplacer("search_knowledge", "tartan knowledge search", "get_knowledge", "tartan knowledge get", "knowledge_history", "tartan knowledge history",
	"propose_change", "tartan knowledge propose", "validate_change", "tartan knowledge validate", "review_change", "tartan knowledge review",
	"plan_migration", "tartan migrate plan", "start_migration", "tartan migrate start", "review_migration", "tartan migrate approve", "rollback_migration", "tartan migrate rollback",
	"resolve_conflict", "tartan knowledge resolve", "restore_knowledge", "tartan knowledge restore", "create_space", "--create-space")

// toolFailure is what a tool refused, with its exit code.
func toolFailure(err error) error {
	var told *tools.Error
	if !errors.As(err, &told) {
		if told = tools.Explain(err); told == nil {
			return err
		}
	}
	code := map[tools.Kind]int{tools.Invalid: codeUsage, tools.NotFound: codeNotFound, tools.Denied: codeDenied, tools.Unavailable: codeUnavailable}[told.Kind]
	return &failure{code: max(code, codeFailure), what: commands.Replace(told.Message), next: commands.Replace(told.Next)}
}

// when are the flags that choose a moment.
type when struct{ asOf, validAt string }

func (w *when) flags(f *pflag.FlagSet, valid bool) {
	f.StringVar(&w.asOf, "as-of", "", "as it was published then: 2026-11-23T08:00:00Z, or an age such as 24h or 7d")
	if valid {
		f.StringVar(&w.validAt, "valid-at", "", "of what was published, what says that it holds then")
	}
}

func (w *when) in(in arguments) arguments {
	return in.set("as_of", w.asOf).set("valid_at", w.validAt)
}

func (a *app) knowledgeSearch() *cobra.Command {
	var limit int
	var w when
	c := &cobra.Command{
		Use:     "search QUERY...",
		Short:   "Find entries",
		Long:    "Find entries, the best first. A query is words; \"a phrase\", +must, -not, pref*, title:, type:, tag:, space:, after: and before: narrow it.",
		Example: `  tartan knowledge search 'type:runbook disk full'`,
		Args:    atLeast(1, "a query"),
		RunE: func(c *cobra.Command, args []string) error {
			var out tools.Found
			if err := a.knows(c.Context(), "search_knowledge", w.in(arguments{"query": strings.Join(args, " ")}).set("limit", limit), &out); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(out)
			}
			table := [][]string{{"ENTRY", "REVISION", "TYPE", "TITLE", "SNIPPET"}}
			for _, r := range out.Results {
				table = append(table, []string{r.Entry, fmt.Sprint(r.Revision), r.Type, clip(r.Title, 40), clip(strings.Join(strings.Fields(r.Snippet), " "), max(width(a.out, 160)-90, 40))})
			}
			return a.table(table)
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 8, "at most so many (1 to 50)")
	w.flags(c.Flags(), true)
	return c
}

// atLeast wants some arguments.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return fmt.Errorf("%s wants %s", c.CommandPath(), what)
		}
		return nil
	}
}

func (a *app) knowledgeGet() *cobra.Command {
	var revision int
	var w when
	c := &cobra.Command{
		Use:   "get ENTRY",
		Short: "Print an entry, and on stderr where it is from",
		Args:  exactly(1, "an entry: space/slug"),
		RunE: func(c *cobra.Command, args []string) error {
			out, err := a.entry(c.Context(), args[0], revision, w)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(out)
			}
			a.say("%s, revision %d of %d, %s %q, by %s at %s: %s", out.Entry, out.Revision, out.Current, out.Type, out.Title, out.By, out.At, out.Reason)
			fmt.Fprint(a.out, out.Body)
			return nil
		},
	}
	c.Flags().IntVarP(&revision, "revision", "r", 0, "number of the revision (default the current one)")
	w.flags(c.Flags(), true)
	return c
}

func (a *app) entry(ctx context.Context, address string, revision int, w when) (out tools.Entry, err error) {
	err = a.knows(ctx, "get_knowledge", w.in(arguments{"entry": address, "max_tokens": 1_000_000}).set("revision", revision), &out)
	return out, err
}

// printChange prints how a change set stands. One that was rejected is a failure.
func (a *app) printChange(out tools.Change) error {
	if a.json() {
		if err := a.printJSON(out); err != nil {
			return err
		}
	} else {
		table := [][]string{{"CHANGE", "STATE", "ENTRY", "DOES", "REVISION"}}
		for _, e := range out.Entries {
			revision := "-"
			if e.Revision > 0 {
				revision = fmt.Sprint(e.Revision)
			}
			table = append(table, []string{out.ID, out.State, e.Entry, e.Op, revision})
		}
		if err := a.table(table); err != nil {
			return err
		}
		a.printEntryFindings(out.Findings)
		for _, f := range out.Conflicts {
			if f.Taken == "" {
				a.say("conflict in %s at %s\n  base:   %q\n  ours:   %q\n  theirs: %q", f.Entry, f.Path, f.Base, f.Ours, f.Theirs)
			}
		}
		if out.Next != "" {
			a.say("%s", commands.Replace(out.Next))
		}
	}
	if out.State == "rejected" || out.State == "expired" {
		return &failure{code: codeFailure, what: "change set " + out.ID + " is " + out.State + ": " + out.Why, next: "mend it and propose it again"}
	}
	return nil
}

func (a *app) printEntryFindings(found []tools.EntryFinding) {
	for _, f := range found {
		a.say("%s %s: %s %s\n  %s\n  %s", f.Severity, f.Check, f.Entry, f.Path, f.Evidence, f.Fix)
	}
}

func (a *app) knowledgeReview() *cobra.Command {
	var note string
	c := &cobra.Command{
		Use:   "review [CHANGE [approve|reject|withdraw]]",
		Short: "List what waits, show a change set, or decide about it",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 2 {
				return fmt.Errorf("%s takes a change set and a decision, got %d arguments", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return a.history(c.Context(), arguments{"view": "changes", "state": "waiting", "limit": 200})
			case 1:
				var h tools.History
				if err := a.knows(c.Context(), "knowledge_history", arguments{"change": args[0]}, &h); err != nil {
					return err
				}
				var out tools.Change
				if err := json.Unmarshal(h.Change, &out); err != nil {
					return err
				}
				return a.printChange(out)
			}
			var out tools.Change
			if err := a.knows(c.Context(), "review_change", arguments{"change": args[0], "action": args[1]}.set("note", note), &out); err != nil {
				return err
			}
			if args[1] == "reject" {
				return a.printDecided(out)
			}
			return a.printChange(out)
		},
	}
	c.Flags().StringVar(&note, "note", "", "why")
	return c
}

// printDecided prints a change set that was rejected because somebody wanted that: it is no failure.
func (a *app) printDecided(out tools.Change) error {
	if a.json() {
		return a.printJSON(out)
	}
	return a.table([][]string{{"CHANGE", "STATE", "WHY"}, {out.ID, out.State, out.Why}})
}

func (a *app) knowledgeResolve() *cobra.Command {
	var take string
	var at []string
	c := &cobra.Command{
		Use:   "resolve CHANGE ENTRY",
		Short: "Resolve the conflicts of an entry of a change set",
		Args:  exactly(2, "a change set and an entry"),
		RunE: func(c *cobra.Command, args []string) error {
			choices := []map[string]string{}
			for _, one := range at {
				path, side, ok := cutLast(one, "=")
				if !ok {
					return usage("--at %q: want PATH=base, PATH=ours or PATH=theirs", one)
				}
				choices = append(choices, map[string]string{"path": path, "take": side})
			}
			in := arguments{"change": args[0], "entry": args[1]}.set("take", take)
			if len(choices) > 0 {
				in["choices"] = choices
			}
			var out tools.Change
			if err := a.knows(c.Context(), "resolve_conflict", in, &out); err != nil {
				return err
			}
			return a.printChange(out)
		},
	}
	c.Flags().StringVar(&take, "take", "", "base, ours (what was proposed) or theirs (what was published meanwhile), for all conflicts that --at does not name")
	c.Flags().StringArrayVar(&at, "at", nil, "PATH=SIDE for one conflict")
	return c
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (a *app) knowledgeLink() *cobra.Command {
	var relation, reason string
	var remove bool
	c := &cobra.Command{
		Use:     "link ENTRY TARGET",
		Short:   "Link an entry to a pattern, another entry or a URL",
		Example: "  tartan knowledge link ops/disk-full pattern:default/p0123456789abcdef",
		Args:    exactly(2, "an entry and a target"),
		RunE: func(c *cobra.Command, args []string) error {
			var out tools.Change
			in := arguments{"entry": args[0], "target": args[1], "relation": relation}.set("remove", remove).set("reason", reason)
			if err := a.knows(c.Context(), "link_knowledge", in, &out); err != nil {
				return err
			}
			return a.printChange(out)
		},
	}
	c.Flags().StringVar(&relation, "relation", "explains", "explains, supersedes, depends_on, ...")
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	c.Flags().BoolVar(&remove, "remove", false, "take the link away")
	return c
}

func (a *app) knowledgeRestore() *cobra.Command {
	var revision int
	var tag, change, reason string
	var w when
	c := &cobra.Command{
		Use:   "restore [ENTRY]",
		Short: "Bring back what was, as new revisions, or take back a change set",
		Example: "  tartan knowledge restore ops/disk-full --revision 3\n" +
			"  tartan knowledge restore ops --as-of 2h\n" +
			"  tartan knowledge restore --change 1f0c...",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 0 && change == "" {
				return fmt.Errorf("%s wants an entry, a space, or --change", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			in := w.in(arguments{}).set("revision", revision).set("tag", tag).set("change", change).set("reason", reason)
			if len(args) == 1 {
				in["entry"] = args[0]
			}
			var out tools.Change
			if err := a.knows(c.Context(), "restore_knowledge", in, &out); err != nil {
				return err
			}
			return a.printChange(out)
		},
	}
	c.Flags().IntVarP(&revision, "revision", "r", 0, "revision of the entry to bring back")
	c.Flags().StringVar(&tag, "tag", "", "bring back what the tag names")
	c.Flags().StringVar(&change, "change", "", "take back this change set and keep what was published since")
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	w.flags(c.Flags(), false)
	return c
}

// linkOf reads RELATION=TARGET, or a target that is explained.
func linkOf(text string) knowledge.Link {
	if relation, target, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(relation, ":/") {
		return knowledge.Link{Relation: relation, Target: target}
	}
	return knowledge.Link{Relation: "explains", Target: text}
}
