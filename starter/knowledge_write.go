package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// writing is what the commands that write have in common.
type writing struct {
	kind, title, file, reason, key string
	links                          []string
	remove, create                 bool
}

func (a *app) knowledgePropose() *cobra.Command {
	var w writing
	c := &cobra.Command{
		Use:   "propose ENTRY",
		Short: "Propose a new entry, another revision of one, or its deletion",
		Long: "Propose a new entry, another revision of one, or its deletion. The body is Markdown from --file or stdin, and may have a front\n" +
			"matter. It is validated, reviewed where its space asks for it, merged with what was published meanwhile, and published.",
		Example: "  tartan knowledge propose ops/disk-full --type runbook --file disk-full.md --link pattern:default/p0123456789abcdef --create-space",
		Args:    exactly(1, "an entry: space/slug"),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := a.proposal(args[0], w)
			if err != nil {
				return err
			}
			var out tools.Change
			if err := a.knows(c.Context(), "propose_change", in.set("reason", w.reason).set("key", w.key).set("create_space", w.create), &out); err != nil {
				return err
			}
			return a.printChange(out)
		},
	}
	w.flags(c)
	c.Flags().StringVar(&w.reason, "reason", "", "why, for the history")
	c.Flags().StringVar(&w.key, "key", "", "idempotency key: proposed once under the same key")
	c.Flags().BoolVar(&w.create, "create-space", false, "make the space if there is none of that name")
	return c
}

func (w *writing) flags(c *cobra.Command) {
	c.Flags().StringVar(&w.kind, "type", "", "type of the entry, such as note, runbook or fact")
	c.Flags().StringVar(&w.title, "title", "", "title")
	c.Flags().StringVarP(&w.file, "file", "f", "-", "file with the body, or - for stdin")
	c.Flags().StringArrayVar(&w.links, "link", nil, "TARGET or RELATION=TARGET; may be repeated")
	c.Flags().BoolVar(&w.remove, "delete", false, "delete the entry")
}

func (a *app) knowledgeValidate() *cobra.Command {
	var w writing
	c := &cobra.Command{
		Use:   "validate ENTRY",
		Short: "Say what validation would say of an entry, and store nothing",
		Args:  exactly(1, "an entry: space/slug"),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := a.proposal(args[0], w)
			if err != nil {
				return err
			}
			return a.verdict(c.Context(), args[0], in)
		},
	}
	w.flags(c)
	return c
}

// verdict prints what validation says of changes. What would be rejected is a failure.
func (a *app) verdict(ctx context.Context, entry string, in arguments) error {
	var out tools.Verdict
	err := a.knows(ctx, "validate_change", in, &out)
	if err != nil {
		return err
	}
	if a.json() {
		err = a.printJSON(out)
	} else {
		err = a.table([][]string{{"VERDICT", "MEANS"}, {out.Verdict, out.Means}})
		a.printEntryFindings(out.Findings)
	}
	if err == nil && out.Verdict == "block" {
		err = &failure{code: codeFailure, what: entry + " would be rejected", next: "mend what is reported"}
	}
	return err
}

// proposal is the argument of a tool that takes changes: one, of what the flags and the file say.
func (a *app) proposal(address string, w writing) (arguments, error) {
	if w.remove {
		return arguments{"changes": []any{arguments{"entry": address, "delete": true}}}, nil
	}
	in, done, err := a.open(w.file)
	if err != nil {
		return nil, readFailure(w.file, err)
	}
	defer done()
	text, err := io.ReadAll(io.LimitReader(in, 4<<20))
	if err != nil {
		return nil, readFailure(w.file, err)
	}
	_, slug, ok := strings.Cut(address, "/")
	if !ok {
		return nil, usage("%q is no entry: want space/slug", address)
	}
	d, err := noteOf(address, slug+".md", text)
	if err != nil {
		return nil, err
	}
	if w.kind != "" {
		d.Schema = w.kind
	}
	if w.title != "" {
		d.Title = w.title
	}
	for _, l := range w.links {
		d.Links = append(d.Links, linkOf(l))
	}
	return arguments{"changes": []any{draftOf(address, d)}}, nil
}

// noteOf reads Markdown as the note of an entry, in a file of that name: with front matter, links and a title of its own.
func noteOf(address, name string, text []byte) (knowledge.Document, error) {
	space, _, _ := strings.Cut(address, "/")
	v, err := vault.Import(map[string][]byte{name: text}, vault.Options{Space: space, Schemas: noteTypes})
	if err != nil {
		return knowledge.Document{}, fmt.Errorf("read the note: %w", err)
	}
	if len(v.Entries) != 1 {
		return knowledge.Document{}, &failure{code: codeUsage, what: "this is no note of " + address + reasons(v), next: "mend its front matter, or the name of the entry"}
	}
	return v.Entries[0].Document, nil
}

// noteTypes are the types that a note may name in its front matter.
var noteTypes = []string{"note", "runbook", "fact", "decision", "incident", "reference", "glossary"}

func reasons(v vault.Vault) string {
	var b strings.Builder
	for _, n := range append(v.Refused, v.Notices...) {
		b.WriteString(": " + n.Reason)
	}
	return b.String()
}

func draftOf(address string, d knowledge.Document) arguments {
	metadata := d.Metadata
	if metadata == nil {
		metadata = map[string]any{}
	}
	return arguments{
		"entry": address, "type": d.Schema, "title": d.Title, "body": d.Body, "metadata": metadata, "links": append([]knowledge.Link{}, d.Links...),
		"sources": append([]knowledge.Source{}, d.Sources...),
	}
}

func (a *app) knowledgeEdit() *cobra.Command {
	var w writing
	c := &cobra.Command{
		Use:   "edit ENTRY",
		Short: "Edit an entry in $EDITOR and propose what came of it",
		Args:  exactly(1, "an entry: space/slug"),
		RunE:  func(c *cobra.Command, args []string) error { return a.editEntry(c.Context(), args[0], w) },
	}
	c.Flags().StringVar(&w.reason, "reason", "", "why, for the history")
	return c
}

func (a *app) editEntry(ctx context.Context, address string, w writing) error {
	e, err := a.entry(ctx, address, 0, when{})
	if err != nil {
		return err
	}
	space, slug, _ := strings.Cut(e.Entry, "/")
	d := knowledge.Document{Schema: e.Type, Title: e.Title, Body: e.Body, Links: e.Links, Sources: e.Sources}
	if d.Metadata, err = metadataOf(e); err != nil {
		return err
	}
	files, err := vault.Export([]vault.Entry{{Slug: slug, Document: d}}, nil, vault.Options{Space: space, Schemas: noteTypes})
	if err != nil {
		return fmt.Errorf("write %s as a note: %w", address, err)
	}
	for name, text := range files {
		return a.editText(ctx, path.Base(name), text, func(changed []byte) (keep bool, err error) {
			now, err := noteOf(address, name, changed)
			if err != nil {
				return true, err
			}
			draft := draftOf(address, now)
			draft["base"] = e.Revision
			var out tools.Change
			if err := a.knows(ctx, "propose_change", arguments{"changes": []any{draft}}.set("reason", w.reason), &out); err != nil {
				return true, err
			}
			return out.State == "rejected", a.printChange(out)
		})
	}
	return nil
}
