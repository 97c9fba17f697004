package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/mcp/tools"
)

// history asks for a view of the past and prints it.
func (a *app) history(ctx context.Context, in arguments) error {
	var out tools.History
	if err := a.knows(ctx, "knowledge_history", in, &out); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(out)
	}
	if out.Diff != nil {
		fmt.Fprint(a.out, out.Diff.Body)
		if len(out.Diff.Fields) > 0 {
			fmt.Fprintf(a.out, "%s\n", out.Diff.Fields)
		}
		return nil
	}
	table := [][]string{}
	switch in["view"] {
	case "changes":
		table = append(table, []string{"CHANGE", "KIND", "STATE", "AT", "BY", "REASON"})
		for _, c := range out.Changes {
			table = append(table, []string{c.Change, c.Kind, c.State, c.At, c.By, clip(c.Reason, 60)})
		}
	case "blame":
		table = append(table, []string{"LINES", "REVISION", "AT", "BY", "TEXT"})
		for _, b := range out.Blame {
			table = append(table, []string{b.Lines + b.Field, fmt.Sprint(b.Revision), b.At, b.By, clip(strings.Join(strings.Fields(b.Text), " "), max(width(a.out, 160)-100, 40))})
		}
	default:
		table = append(table, []string{"ENTRY", "REVISION", "AT", "BY", "TITLE", "REASON"})
		for _, r := range append(out.Revisions, out.Entries...) {
			title := r.Title
			if r.Deleted {
				title = "(deleted)"
			}
			table = append(table, []string{r.Entry, fmt.Sprint(r.Revision), r.At, r.By, clip(title, 40), clip(r.Reason, 60)})
		}
	}
	if err := a.table(table); err != nil {
		return err
	}
	if out.Next != "" {
		a.say("more: --after %s", out.Next)
	}
	return nil
}

func (a *app) knowledgeHistory() *cobra.Command {
	var limit int
	var after string
	var w when
	c := &cobra.Command{
		Use:   "history ENTRY|SPACE",
		Short: "List the revisions of an entry, or the entries of a space as of a time",
		Args:  exactly(1, "an entry or a space"),
		RunE: func(c *cobra.Command, args []string) error {
			in := w.in(arguments{"entry": args[0], "view": "log"}).set("limit", limit).set("after", after)
			if isSpace(args[0]) {
				in["view"] = "list"
			}
			return a.history(c.Context(), in)
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 50, "at most so many (1 to 200)")
	c.Flags().StringVar(&after, "after", "", "the page after the one that printed this")
	w.flags(c.Flags(), false)
	return c
}

func isSpace(address string) bool {
	for _, r := range address {
		if r == '/' {
			return false
		}
	}
	return true
}

func (a *app) knowledgeDiff() *cobra.Command {
	var from, to int
	var w when
	c := &cobra.Command{
		Use:   "diff ENTRY",
		Short: "Show what changed from one revision to another",
		Args:  exactly(1, "an entry"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.history(c.Context(), w.in(arguments{"entry": args[0], "view": "diff"}).set("from", from).set("to", to))
		},
	}
	c.Flags().IntVar(&from, "from", 0, "a revision (default the one before --to)")
	c.Flags().IntVar(&to, "to", 0, "a revision (default the current one)")
	w.flags(c.Flags(), false)
	return c
}

func (a *app) knowledgeBlame() *cobra.Command {
	var revision int
	c := &cobra.Command{
		Use:   "blame ENTRY",
		Short: "Show which revision each line and field is from",
		Args:  exactly(1, "an entry"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.history(c.Context(), arguments{"entry": args[0], "view": "blame"}.set("to", revision))
		},
	}
	c.Flags().IntVarP(&revision, "revision", "r", 0, "of this revision (default the current one)")
	return c
}
