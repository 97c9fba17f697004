package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// editPatience is how long a command waits for its edit.
const editPatience = 60 * time.Second

// editView is what --output json prints of an edit.
type editView struct {
	WorkflowID string `json:"workflow_id"`
	State      string `json:"state"` // completed, or running where the wait was over first
	workflows.EditLibraryResult
}

// editing is what the commands that edit have in common.
type editing struct {
	library, reason, key string
	base                 int64
	name, about          string
	tags                 []string
	owner, severity      string
}

func (e *editing) flags(f *pflag.FlagSet, note bool) {
	f.StringVarP(&e.library, "library", "l", defaultLibrary, "the library")
	f.StringVar(&e.reason, "reason", "", "why, for the history")
	f.StringVar(&e.key, "key", "", "idempotency key: edits under the same key are made once")
	f.Int64Var(&e.base, "base-revision", 0, "refuse if the library has changed since this revision")
	if note {
		f.StringVar(&e.name, "name", "", "name of the pattern")
		f.StringVar(&e.about, "description", "", "what the pattern means")
		f.StringSliceVar(&e.tags, "tag", nil, "a tag; all of them must be given, and an empty one takes all away")
		f.StringVar(&e.owner, "owner", "", "who looks after it")
		f.StringVar(&e.severity, "severity", "", strings.Join(edit.Severities, ", "))
	}
}

// note is what the flags that were given say.
func (e *editing) note(f *pflag.FlagSet) (n edit.Note) {
	for name, to := range map[string]struct {
		value *string
		field **string
	}{"name": {&e.name, &n.Name}, "description": {&e.about, &n.Description}, "owner": {&e.owner, &n.Owner}, "severity": {&e.severity, &n.Severity}} {
		if f.Changed(name) {
			*to.field = to.value
		}
	}
	if f.Changed("tag") {
		tags := []string{}
		for _, t := range e.tags {
			if t != "" {
				tags = append(tags, t)
			}
		}
		n.Tags = &tags
	}
	return n
}

func (a *app) editCommands() []*cobra.Command {
	return []*cobra.Command{
		a.defineCommand(), a.describeCommand(), a.mergeCommand(), a.splitCommand(),
		a.simpleEdit("pin", "Freeze a mined pattern: its template and shapes stay as they are", edit.Pin),
		a.simpleEdit("unpin", "Let mining change a pinned pattern again", edit.Unpin),
		a.simpleEdit("ignore", "Leave a pattern out of lists and comparisons; it is still counted", edit.Ignore),
		a.simpleEdit("unignore", "Show an ignored pattern again", edit.Unignore),
		a.undoCommand(), a.historyCommand(),
	}
}

func (a *app) defineCommand() *cobra.Command {
	var e editing
	c := &cobra.Command{
		Use:   "define TEMPLATE",
		Short: "Write a pattern of your own, which wins over mined ones",
		Long: "Write a pattern of your own, which wins over mined ones, also for lines counted before.\n" +
			"A value such as the 500 of status=500 tells lines apart that are read from then on.\n" +
			"`<*>` and `<name>` take one word or more, `<name:type>` one word of a type such as number, ip or word.\n" +
			"Of several patterns of your own the one with the most literal words wins.",
		Example: `  tartan patterns define 'user <user:word> logged in from <address:ip>' --name login --severity info`,
		Args:    exactly(1, "a template"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.edit(c.Context(), &e, edit.Edit{Action: edit.Define, Template: args[0], Note: e.note(c.Flags())})
		},
	}
	e.flags(c.Flags(), true)
	return c
}

func (a *app) describeCommand() *cobra.Command {
	var e editing
	c := &cobra.Command{
		Use:   "describe PATTERN",
		Short: "Name, describe, tag and rate a pattern, and say who owns it",
		Args:  exactly(1, "a pattern id"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.edit(c.Context(), &e, edit.Edit{Action: edit.Describe, Patterns: patternIDs(args), Note: e.note(c.Flags())})
		},
	}
	e.flags(c.Flags(), true)
	return c
}

func (a *app) mergeCommand() *cobra.Command {
	var e editing
	var into string
	c := &cobra.Command{
		Use:   "merge PATTERN...",
		Short: "Make several patterns one",
		Long:  "Make several patterns one: what their templates have in common, or what --into says.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && into == "" {
				return fmt.Errorf("%s wants at least two pattern ids, or one and --into", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.edit(c.Context(), &e, edit.Edit{Action: edit.Merge, Patterns: patternIDs(args), Template: into, Note: e.note(c.Flags())})
		},
	}
	e.flags(c.Flags(), true)
	c.Flags().StringVar(&into, "into", "", "a template, or the id of the pattern to merge into")
	return c
}

func (a *app) splitCommand() *cobra.Command {
	var e editing
	var slot string
	var words []string
	c := &cobra.Command{
		Use:   "split PATTERN --slot NAME",
		Short: "Tell the lines of a pattern apart by the words or values of a slot",
		Args:  exactly(1, "a pattern id"),
		RunE: func(c *cobra.Command, args []string) error {
			if slot == "" {
				return usage("say which slot: --slot NAME; tartan patterns show %s lists them", args[0])
			}
			return a.edit(c.Context(), &e, edit.Edit{Action: edit.Split, Patterns: patternIDs(args), Slot: slot, Words: words})
		},
	}
	e.flags(c.Flags(), false)
	c.Flags().StringVar(&slot, "slot", "", "the name of the slot")
	c.Flags().StringSliceVar(&words, "word", nil, "a word or value to split off (default all words that were seen)")
	return c
}

func (a *app) simpleEdit(use, short, action string) *cobra.Command {
	var e editing
	c := &cobra.Command{
		Use: use + " PATTERN", Short: short, Args: exactly(1, "a pattern id"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.edit(c.Context(), &e, edit.Edit{Action: action, Patterns: patternIDs(args)})
		},
	}
	e.flags(c.Flags(), false)
	return c
}

func (a *app) undoCommand() *cobra.Command {
	var e editing
	c := &cobra.Command{
		Use:   "undo EDIT",
		Short: "Undo an edit by its number; undoing an undo does it again",
		Args:  exactly(1, "the number of an edit"),
		RunE: func(c *cobra.Command, args []string) error {
			number, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || number < 1 {
				return usage("%q is not the number of an edit; tartan patterns history lists them", args[0])
			}
			return a.edit(c.Context(), &e, edit.Edit{Action: edit.Undo, Undo: number})
		},
	}
	e.flags(c.Flags(), false)
	return c
}

func patternIDs(args []string) []pattern.ID {
	ids := make([]pattern.ID, len(args))
	for i, arg := range args {
		ids[i] = pattern.ID(arg)
	}
	return ids
}

// edit starts the workflow that makes an edit, waits for it and prints what came of it.
func (a *app) edit(ctx context.Context, e *editing, change edit.Edit) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	id, _, err := workflows.StartEdit(ctx, temporal, workflows.EditLibraryInput{
		Caller: caller, Library: e.library, Edits: []edit.Edit{change}, Reason: e.reason, Base: e.base,
	}, e.key)
	if err != nil {
		return err
	}
	made, failed, err := workflows.EditResult(ctx, temporal, id, editPatience)
	switch {
	case err != nil:
		return err
	case failed != nil:
		return editFailure(failed)
	case made == nil:
		return a.printEdit(editView{WorkflowID: id, State: activities.StateRunning})
	}
	return a.printEdit(editView{WorkflowID: id, State: activities.StateCompleted, EditLibraryResult: *made})
}

// editFailure gives the failure of an edit its exit code.
func editFailure(f *workflows.Failure) error {
	code := codeFailure
	switch f.Type {
	case activities.EditRefused, activities.EditNeeded, activities.StaleRevision:
		code = codeUsage
	case activities.WrongLibrary:
		code = codeNotFound
	case activities.Denied:
		code = codeDenied
	case activities.Unavailable:
		code = codeUnavailable
	}
	return &failure{code: code, what: f.Message, next: "tartan patterns history"}
}

func (a *app) printEdit(v editView) error {
	if a.json() {
		return a.printJSON(v)
	}
	if v.State != activities.StateCompleted {
		a.say("the edit goes on as workflow %s; it is made once, and tartan patterns history%s shows it then", v.WorkflowID, a.here())
		return nil
	}
	table := [][]string{{"EDIT", "ACTION", "PATTERN", "LINES", "TEMPLATE"}}
	for _, e := range v.Edits {
		if len(e.Patterns) == 0 {
			table = append(table, []string{fmt.Sprint(e.Number), e.Action, "-", "-", "-"})
		}
		for _, p := range e.Patterns {
			table = append(table, []string{fmt.Sprint(e.Number), e.Action, string(p.ID), count(p.Lines), clip(p.Template, max(width(a.out, 160)-60, 30))})
		}
	}
	if err := a.table(table); err != nil {
		return err
	}
	for _, e := range v.Edits {
		for _, p := range e.Patterns {
			if !p.CountedSince.IsZero() {
				a.say("%s counts lines that are read since %s; the others are with the patterns they had then", p.ID, shown(p.CountedSince))
			}
		}
	}
	if n := len(v.Edits); n > 0 {
		a.say("take it back: tartan patterns undo%s %d", a.here(), v.Edits[n-1].Number)
	}
	return nil
}

// historyEntry is an edit of the past in JSON.
type historyEntry struct {
	Number     int64        `json:"number"`
	Edit       edit.Edit    `json:"edit"`
	Subjects   []pattern.ID `json:"subjects"` // patterns it was about, by their ids of then
	Created    []pattern.ID `json:"created,omitempty"`
	Author     string       `json:"author"`
	Reason     string       `json:"reason,omitempty"`
	At         time.Time    `json:"at"`
	Undoes     int64        `json:"undoes,omitempty"`
	Undone     bool         `json:"undone"`
	Undoable   bool         `json:"undoable"`
	Revision   int64        `json:"revision"`
	WorkflowID string       `json:"workflow_id"`
}

// historyView is what --output json prints.
type historyView struct {
	Library string         `json:"library"`
	Edits   []historyEntry `json:"edits"` // the latest first
	Next    int64          `json:"next,omitempty"`
}

func (a *app) historyCommand() *cobra.Command {
	var library string
	var l postgres.ListEdits
	c := &cobra.Command{
		Use:   "history [PATTERN]",
		Short: "List the edits of a library or of one pattern",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes at most one pattern id, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			out := historyView{Library: library, Edits: []historyEntry{}}
			err := a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) error {
				l.Library = lib.ID
				if len(args) == 1 {
					l.Pattern = pattern.ID(args[0])
				}
				rows, next, err := postgres.ListedEdits(c.Context(), tx, l)
				if errors.Is(err, postgres.ErrNotFound) {
					return notFound(err, fmt.Sprintf("pattern %s in library %q", l.Pattern, library), "tartan patterns list --library "+library)
				}
				for _, r := range rows {
					out.Edits = append(out.Edits, historyEntry{
						Number: r.Number, Edit: r.Edit, Subjects: r.Subjects, Created: r.Created, Author: r.Author.String(), Reason: r.Reason, At: r.At,
						Undoes: r.Undoes, Undone: r.Undone, Undoable: r.Undoable, Revision: r.Revision, WorkflowID: r.WorkflowID,
					})
				}
				out.Next = next
				return err
			})
			if err != nil {
				return err
			}
			return a.printHistory(out)
		},
	}
	c.Flags().StringVarP(&library, "library", "l", defaultLibrary, "the library")
	c.Flags().IntVarP(&l.Limit, "limit", "n", 50, "at most so many (1 to 1000)")
	c.Flags().Int64Var(&l.Before, "before", 0, "only edits with lower numbers")
	return c
}

func (a *app) printHistory(v historyView) error {
	if a.json() {
		return a.printJSON(v)
	}
	table := [][]string{{"EDIT", "AT", "ACTION", "WHAT", "STATE", "REASON"}}
	for _, e := range v.Edits {
		what := e.Edit.Detail()
		if len(e.Subjects) > 0 {
			what = strings.TrimSuffix(string(e.Subjects[0])+" "+what, " ")
		}
		state := "holds"
		switch {
		case e.Undone:
			state = "undone"
		case !e.Undoable:
			state = "needed"
		}
		table = append(table, []string{fmt.Sprint(e.Number), shown(e.At), e.Edit.Action, clip(what, 70), state, clip(e.Reason, 40)})
	}
	if err := a.table(table); err != nil {
		return err
	}
	if v.Next > 0 {
		a.say("more: tartan patterns history%s --library %s --before %d", a.here(), v.Library, v.Next)
	}
	return nil
}
