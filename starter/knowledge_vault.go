package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
	"github.com/tartan-ai/tartan/workflows"
)

// metadataOf is what an entry says beside its text, with numbers as they were written.
func metadataOf(e tools.Entry) (map[string]any, error) {
	out := map[string]any{}
	if len(e.Metadata) == 0 {
		return out, nil
	}
	dec := json.NewDecoder(strings.NewReader(string(e.Metadata)))
	dec.UseNumber()
	return out, dec.Decode(&out)
}

// importView is what --output json prints of an import.
type importView struct {
	WorkflowID string         `json:"workflow_id"`
	Kept       []string       `json:"kept"`       // files that are no notes: kept as they are, and exported again
	Unreadable []vault.Notice `json:"unreadable"` // files that cannot be brought in
	Notices    []vault.Notice `json:"notices"`
	*workflows.ImportKnowledgeResult

	attachments map[string][]byte
}

// dryImportView is what --output json prints of a dry run of an import.
type dryImportView struct {
	Kept       []string       `json:"kept"`
	Unreadable []vault.Notice `json:"unreadable"`
	Notices    []vault.Notice `json:"notices"`
	*activities.TriedImport
}

func (a *app) knowledgeImport() *cobra.Command {
	var space, reason string
	var create, dry bool
	c := &cobra.Command{
		Use:   "import FOLDER|FILE.jsonl --space NAME",
		Short: "Bring a folder of Markdown into a space, such as an Obsidian or basic-memory vault",
		Long: "Bring a folder of Markdown into a space, such as an Obsidian or basic-memory vault, or JSON lines as export writes them. A durable\n" +
			"workflow validates and publishes the notes in batches, each once, whatever is killed meanwhile; what the checks forbid is reported.\n" +
			"Files that are no notes, such as images, are kept with the space and exported again.",
		Args: exactly(1, "a folder or a file"),
		RunE: func(c *cobra.Command, args []string) error {
			if space == "" {
				return usage("say into which space: --space NAME")
			}
			if dry {
				return a.tryImport(c.Context(), args[0], space, create)
			}
			return a.importVault(c.Context(), args[0], space, reason, create)
		},
	}
	c.Flags().StringVar(&space, "space", "", "the space")
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	c.Flags().BoolVar(&create, "create-space", false, "make the space if there is none of that name")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what validation says of all of it, and write nothing")
	return c
}

func (a *app) importVault(ctx context.Context, name, space, reason string, create bool) error {
	view := importView{Kept: []string{}, Unreadable: []vault.Notice{}, Notices: []vault.Notice{}}
	lines, err := view.read(name, space)
	if err != nil {
		return err
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	if err := a.ensureSpace(ctx, space, create); err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return err
	}
	object, err := objects.PutBytes(ctx, []byte(lines))
	if err != nil {
		return fmt.Errorf("store %s in the bucket: %w", name, err)
	}
	files, err := attach(ctx, objects, view.attachments)
	if err != nil {
		return err
	}
	begun := time.Now()
	in := workflows.ImportKnowledgeInput{Files: files, Caller: caller, Space: space, Reason: reason, Source: workflows.SourceRef{Name: filepath.Base(name), ObjectKey: object.Key, SHA256: object.SHA256, Bytes: object.Size}}
	id, _, _, err := workflows.StartImport(ctx, temporal, in)
	if err != nil {
		return fmt.Errorf("start the import of %s: %w", name, err)
	}
	view.WorkflowID = id
	status, err := workflows.Wait(ctx, temporal, id, time.Second, func(s workflows.Status) {
		if p := s.Progress; p != nil && p.ChunksTotal > 0 {
			a.say("%d of %d batches", p.ChunksDone, p.ChunksTotal)
		}
	})
	if ctx.Err() != nil {
		a.say("\ndetached: the import goes on\n  come back: tartan workflows show%s %s", a.here(), id)
		return nil
	}
	if err != nil {
		return err
	}
	if status.Failure != nil {
		return &failure{code: codeFailure, what: "import " + name, why: errors.New(status.Failure.Message), next: "run it again: what is in is not brought in twice"}
	}
	var result workflows.ImportKnowledgeResult
	if err := temporal.GetWorkflow(ctx, id, "").Get(ctx, &result); err != nil {
		return err
	}
	view.ImportKnowledgeResult = &result
	return a.printImport(view, time.Since(begun))
}

// read reads a vault, or JSON lines, as JSON lines.
func (v *importView) read(name, space string) (string, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", readFailure(name, err)
		}
		for _, err := range vault.ReadLines(strings.NewReader(string(text))) {
			if err != nil {
				return "", &failure{code: codeUsage, what: "read " + name, why: err, next: "give a folder of Markdown, or JSON lines as tartan knowledge export writes them"}
			}
		}
		return string(text), nil
	}
	files, err := filesIn(name)
	if err != nil {
		return "", readFailure(name, err)
	}
	in, err := vault.Import(files, vault.Options{Space: space, Schemas: noteTypes})
	if err != nil {
		return "", fmt.Errorf("read the folder %s: %w", name, err)
	}
	v.attachments = in.Kept
	v.Kept, v.Unreadable, v.Notices = slices.Sorted(maps.Keys(in.Kept)), append(v.Unreadable, in.Refused...), append(v.Notices, in.Notices...)
	if len(in.Entries) == 0 {
		return "", &failure{code: codeUsage, what: "there is no note in " + name, next: "notes are files that end in .md"}
	}
	var b strings.Builder
	for _, e := range in.Entries {
		if err := vault.WriteLine(&b, e); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// filesIn reads a folder, by path with slashes. Repositories and what is no regular file are left out.
func filesIn(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		files[filepath.ToSlash(rel)] = text
		return err
	})
	return files, err
}

func (a *app) printImport(v importView, took time.Duration) error {
	if a.json() {
		return a.printJSON(v)
	}
	err := a.table([][]string{
		{"SPACE", "ENTRIES", "PUBLISHED", "UNCHANGED", "REFUSED", "WAITING", "WARNINGS"},
		{v.Space, count(int64(v.Entries)), count(int64(v.Published)), count(int64(v.Unchanged)), count(int64(v.Refused)), count(int64(v.Waiting)), count(int64(v.Warnings))},
	})
	for _, f := range v.Faults {
		a.say("%+v", f)
	}
	for _, n := range v.Unreadable {
		a.say("%s: %s", n.Path, n.Reason)
	}
	if f := v.Attached; f != nil {
		for _, fault := range f.Faults {
			a.say("%s: %s", fault.Slug, fault.Why)
		}
		a.say("attachments: %d kept, %d unchanged, %d refused", f.Stored, f.Unchanged, f.Refused)
	}
	a.say("%.1f s", took.Seconds())
	return err
}

// exportedView is what --output json prints of an export.
type exportedView struct {
	Space       string `json:"space"`
	To          string `json:"to"`
	Entries     int    `json:"entries"`
	Attachments int    `json:"attachments"`
}

func (a *app) knowledgeExport() *cobra.Command {
	var asOf, tag, branch string
	var git bool
	c := &cobra.Command{
		Use:   "export SPACE FOLDER|FILE.jsonl",
		Short: "Write the entries of a space as a folder of Markdown, as JSON lines, or as a git repository",
		Long: "Write the entries of a space as a folder of Markdown, byte for byte as they were brought in, or as JSON lines where the name ends in .jsonl.\n" +
			"With --git, write its history as a git repository with one commit a change set; done again, it adds what was published since.",
		Example: "  tartan knowledge export notes ./out\n" +
			"  tartan knowledge export notes ./history --git\n" +
			"  tartan knowledge export notes - --git | git fast-import",
		Args: exactly(2, "a space, and a folder or a file"),
		RunE: func(c *cobra.Command, args []string) error {
			at, err := parseTime(asOf, time.Now())
			switch {
			case err != nil:
				return err
			case tag != "" && (git || asOf != ""):
				return usage("give one of --tag, --as-of and --git; --git takes --as-of")
			case git:
				return a.exportGit(c.Context(), args[0], args[1], branch, at)
			case c.Flags().Changed("branch"):
				return usage("--branch is for --git")
			}
			return a.exportVault(c.Context(), args[0], args[1], tag, at)
		},
	}
	c.Flags().StringVar(&asOf, "as-of", "", "as it was published then: a time, or an age such as 24h or 7d")
	c.Flags().StringVar(&tag, "tag", "", "what the tag names")
	c.Flags().BoolVar(&git, "git", false, "write the history as a git repository; - as the folder is a stream for git fast-import")
	c.Flags().StringVar(&branch, "branch", "main", "branch of the repository")
	return c
}

func (a *app) exportVault(ctx context.Context, space, to, tag string, at time.Time) error {
	entries, err := a.entries(ctx, space, tag, postgres.Moment{Recorded: at})
	if err != nil {
		return err
	}
	view := exportedView{Space: space, To: to, Entries: len(entries)}
	if strings.HasSuffix(to, ".jsonl") {
		var b strings.Builder
		for _, e := range entries {
			if err := vault.WriteLine(&b, e); err != nil {
				return err
			}
		}
		err = os.WriteFile(to, []byte(b.String()), 0o600)
	} else if err = writeVault(to, space, entries); err == nil {
		view.Attachments, err = a.writeAttachments(ctx, to, space, tag, at)
	}
	var told *failure
	if errors.As(err, &told) {
		return err
	}
	if err != nil {
		return &failure{code: codeFailure, what: "export to " + to, why: err, next: "choose a folder that is empty or not there"}
	}
	if a.json() {
		return a.printJSON(view)
	}
	return a.table([][]string{{"SPACE", "TO", "ENTRIES", "ATTACHMENTS"}, {space, to, count(int64(view.Entries)), count(int64(view.Attachments))}})
}

// entries reads all entries of a space at a moment, or those that a tag names.
func (a *app) entries(ctx context.Context, space, tag string, at postgres.Moment) (out []vault.Entry, err error) {
	err = a.inSpace(ctx, space, func(tx pgx.Tx, s postgres.Space) error {
		if tag != "" {
			rows, err := postgres.TagEntries(ctx, tx, s.ID, tag, "")
			if err != nil {
				return notFound(err, "tag "+tag+" of space "+space, "tartan knowledge tag "+space)
			}
			for page := range slices.Chunk(rows, 500) {
				if out, err = withTexts(ctx, tx, s, page, out); err != nil {
					return err
				}
			}
			return nil
		}
		for after := ""; ; {
			rows, next, err := postgres.Entries(ctx, tx, postgres.ListEntries{Space: s.ID, When: at, Limit: 500, After: after})
			if err == nil {
				out, err = withTexts(ctx, tx, s, rows, out)
			}
			if after = next; err != nil || next == "" {
				return err
			}
		}
	})
	return out, err
}

// withTexts adds the documents of revisions. Those that were destroyed are left out.
func withTexts(ctx context.Context, tx pgx.Tx, s postgres.Space, rows []postgres.Revision, out []vault.Entry) ([]vault.Entry, error) {
	hashes := make([]string, len(rows))
	for i, r := range rows {
		hashes[i] = r.Hash
	}
	texts, err := postgres.Bodies(ctx, tx, s.ID, hashes)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		text, ok := texts[r.Hash]
		if !ok {
			continue
		}
		d, err := knowledge.Parse([]byte(text))
		if err != nil {
			return nil, err
		}
		out = append(out, vault.Entry{Slug: r.Slug, Document: d})
	}
	return out, nil
}

// writeVault writes notes into a folder that has no files of their names.
func writeVault(folder, space string, entries []vault.Entry) error {
	files, err := vault.Export(entries, nil, vault.Options{Space: space, Schemas: noteTypes})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := vault.CheckPath(name); err != nil {
			return err
		}
		if err := writeNew(folder, name, bytes.NewReader(files[name])); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that is not there yet, and the folders it is in.
func writeNew(folder, name string, from io.Reader) error {
	path := filepath.Join(folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// inSpace runs fn in a transaction as the caller, with the space found by its name.
func (a *app) inSpace(ctx context.Context, space string, fn func(pgx.Tx, postgres.Space) error) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	return postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		s, err := postgres.SpaceByName(ctx, tx, caller.WorkspaceID, space)
		if err != nil {
			return notFound(err, fmt.Sprintf("space %q", space), "tartan knowledge status")
		}
		return fn(tx, s)
	})
}

func (a *app) ensureSpace(ctx context.Context, name string, create bool) error {
	err := a.inSpace(ctx, name, func(pgx.Tx, postgres.Space) error { return nil })
	var f *failure
	if !create || !errors.As(err, &f) || f.code != codeNotFound {
		return err
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	return a.createSpace(ctx, postgres.Space{WorkspaceID: caller.WorkspaceID, Name: name, CreatedBy: caller.UserID})
}

func (a *app) createSpace(ctx context.Context, s postgres.Space) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		_, err := postgres.CreateSpace(ctx, tx, s)
		return err
	})
	if errors.Is(err, postgres.ErrName) {
		return &failure{code: codeUsage, what: "the name " + s.Name + " is not available", next: "choose another; tartan knowledge status lists the spaces that you may see"}
	}
	return err
}

// spaceView is a space in JSON.
type spaceView struct {
	Name       string `json:"name"`
	Title      string `json:"title,omitempty"`
	Restricted bool   `json:"restricted"`
	Approvals  int    `json:"approvals"` // that a change set needs
	Revision   int64  `json:"revision"`
	Waiting    int    `json:"waiting"` // change sets that wait for a person
}

// knowledgeStatusView is what --output json prints.
type knowledgeStatusView struct {
	Spaces []spaceView `json:"spaces"`
}

func (a *app) knowledgeStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the spaces that you may see, and what waits in them",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			caller, err := a.caller(ctx)
			if err != nil {
				return err
			}
			out := knowledgeStatusView{Spaces: []spaceView{}}
			err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
				spaces, err := postgres.Spaces(ctx, tx, caller.WorkspaceID)
				if err != nil {
					return err
				}
				for _, s := range spaces {
					waiting, _, err := postgres.Changes(ctx, tx, caller.WorkspaceID, postgres.ListChanges{Space: s.ID, States: []string{postgres.ChangeInReview, postgres.ChangeConflicted}, Limit: 1000})
					if err != nil {
						return err
					}
					out.Spaces = append(out.Spaces, spaceView{s.Name, s.Title, s.Restricted, s.Approvals, s.Revision, len(waiting)})
				}
				return nil
			})
			if err != nil || a.json() {
				return errors.Join(err, a.printIf(err == nil, out))
			}
			table := [][]string{{"SPACE", "REVISION", "WAITING", "APPROVALS", "SEEN BY"}}
			for _, s := range out.Spaces {
				seen := "all members of the workspace"
				if s.Restricted {
					seen = "its members"
				}
				table = append(table, []string{s.Name, count(s.Revision), count(int64(s.Waiting)), fmt.Sprint(s.Approvals), seen})
			}
			return a.table(table)
		},
	}
}

func (a *app) printIf(yes bool, v any) error {
	if !yes {
		return nil
	}
	return a.printJSON(v)
}

func (a *app) knowledgeSpace() *cobra.Command {
	c := &cobra.Command{
		Use: "space", Short: "Make a space, and say who sees it", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var title string
	var restricted bool
	var approvals int
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a space", Args: exactly(1, "a name"),
		RunE: func(c *cobra.Command, args []string) error {
			caller, err := a.caller(c.Context())
			if err != nil {
				return err
			}
			return a.createSpace(c.Context(), postgres.Space{WorkspaceID: caller.WorkspaceID, Name: args[0], Title: title, Restricted: restricted, Approvals: approvals, CreatedBy: caller.UserID})
		},
	}
	create.Flags().StringVar(&title, "title", "", "name for people")
	create.Flags().BoolVar(&restricted, "restricted", false, "only its members see that it is there; you become a reviewer of it")
	create.Flags().IntVar(&approvals, "approvals", 0, "how many reviewers must approve a change set")
	var role string
	var remove bool
	member := &cobra.Command{
		Use: "member SPACE USER", Short: "Let a user into a restricted space, or take her out", Args: exactly(2, "a space and the id of a user"),
		RunE: func(c *cobra.Command, args []string) error {
			user, err := uuid.Parse(args[1])
			if err != nil {
				return usage("%q is no id of a user", args[1])
			}
			return a.inSpace(c.Context(), args[0], func(tx pgx.Tx, s postgres.Space) error {
				if remove {
					return notFound(postgres.RemoveSpaceMember(c.Context(), tx, s, user), "member "+args[1], "tartan knowledge status")
				}
				return postgres.SaveSpaceMember(c.Context(), tx, s, user, role)
			})
		},
	}
	member.Flags().StringVar(&role, "role", postgres.SpaceReader, "reader, writer or reviewer")
	member.Flags().BoolVar(&remove, "remove", false, "take the user out")
	c.AddCommand(create, member)
	return c
}
