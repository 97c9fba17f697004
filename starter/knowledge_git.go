package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// gitView is what --output json prints of an export to git.
type gitView struct {
	Space   string `json:"space"`
	To      string `json:"to"`
	Branch  string `json:"branch"`
	Commits int    `json:"commits"` // of the history, those that were there already too
	Head    string `json:"head"`    // the last commit
}

// exportGit writes the history of a space as commits, one for each change set, into a repository that is made if there is
// none, or as a stream for git fast-import on stdout where the folder is "-".
func (a *app) exportGit(ctx context.Context, space, to, branch string, until time.Time) error {
	view := gitView{Space: space, To: to, Branch: branch}
	write := func(w io.Writer) error {
		return a.inSpace(ctx, space, func(tx pgx.Tx, s postgres.Space) error {
			counted := func(yield func(vault.ChangeSet, error) bool) {
				for set, err := range historyOf(ctx, tx, s, until) {
					if err == nil {
						view.Commits++
					}
					if !yield(set, err) {
						return
					}
				}
			}
			return vault.WriteGit(w, branch, counted, vault.Options{Space: space, Schemas: noteTypes})
		})
	}
	if to == "-" {
		return write(a.out)
	}
	repository := gitFolder{to}
	if err := repository.ready(ctx, branch); err != nil {
		return err
	}
	if err := repository.load(ctx, write); err != nil {
		return err
	}
	if view.Commits > 0 {
		head, err := repository.show(ctx, branch)
		if err != nil {
			return err
		}
		view.Head = head
	}
	if a.json() {
		return a.printJSON(view)
	}
	return a.table([][]string{{"SPACE", "TO", "BRANCH", "COMMITS", "HEAD"}, {space, to, branch, fmt.Sprint(view.Commits), clip(view.Head, 12)}})
}

// historyOf yields the change sets of a space, oldest first, those published until a time if one is given. A text that was
// destroyed is not in it: where it stood, the note is deleted.
func historyOf(ctx context.Context, tx pgx.Tx, s postgres.Space, until time.Time) iter.Seq2[vault.ChangeSet, error] {
	return func(yield func(vault.ChangeSet, error) bool) {
		for after := int64(0); ; {
			rows, err := postgres.RevisionsSince(ctx, tx, s.ID, after, 500)
			if err != nil {
				yield(vault.ChangeSet{}, err)
				return
			}
			if len(rows) == 0 {
				return
			}
			after = rows[len(rows)-1].SpaceRevision
			hashes := make([]string, len(rows))
			for i, r := range rows {
				hashes[i] = r.Hash
			}
			texts, err := postgres.Bodies(ctx, tx, s.ID, hashes)
			if err != nil {
				yield(vault.ChangeSet{}, err)
				return
			}
			for len(rows) > 0 {
				n := 1
				for n < len(rows) && rows[n].SpaceRevision == rows[0].SpaceRevision {
					n++
				}
				if !until.IsZero() && rows[0].RecordedAt.After(until) {
					return
				}
				if set, err := changeSet(rows[:n], texts); !yield(set, err) || err != nil {
					return
				}
				rows = rows[n:]
			}
		}
	}
}

func changeSet(rows []postgres.Revision, texts map[string]string) (vault.ChangeSet, error) {
	first := rows[0]
	set := vault.ChangeSet{ID: first.ChangeID.String(), Author: first.Author.String(), Time: first.RecordedAt, Reason: first.Reason}
	for _, r := range rows {
		c := vault.Change{Slug: r.Slug}
		if text, ok := texts[r.Hash]; ok && !r.Deleted() {
			d, err := knowledge.Parse([]byte(text))
			if err != nil {
				return set, err
			}
			c.Document = &d
		}
		set.Changes = append(set.Changes, c)
	}
	return set, nil
}

// gitFolder is the folder of a repository.
type gitFolder struct{ path string }

// git runs git in the folder, whatever repository the environment names.
func (g gitFolder) git(ctx context.Context, in io.Reader, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "git", append([]string{"-C", g.path}, args...)...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GIT_") {
			c.Env = append(c.Env, kv)
		}
	}
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = in, &out, &errs
	err := c.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", &failure{code: codeUnavailable, what: "git is not installed", next: "install it, or write the stream with - as the folder and give it to git fast-import"}
	}
	if err != nil {
		return "", &failure{code: codeFailure, what: "git " + args[0] + " in " + g.path, why: errors.New(clip(strings.Join(strings.Fields(errs.String()), " "), 500)), next: "choose a folder that is empty or not there, or a repository of this space"}
	}
	return strings.TrimSpace(out.String()), nil
}

// ready makes the repository, or sees that nothing in it can be lost.
func (g gitFolder) ready(ctx context.Context, branch string) error {
	if err := os.MkdirAll(g.path, 0o700); err != nil {
		return &failure{code: codeFailure, what: "export to " + g.path, why: err, next: "choose a folder that is empty or not there"}
	}
	if _, err := os.Stat(filepath.Join(g.path, ".git")); missing(err) {
		inside, err := os.ReadDir(g.path)
		if err != nil || len(inside) > 0 {
			return &failure{code: codeFailure, what: "export to " + g.path, why: errors.Join(err, errors.New("it has files and is no git repository")), next: "choose a folder that is empty or not there"}
		}
		_, err = g.git(ctx, nil, "init", "--quiet", "--initial-branch", branch)
		return err
	}
	left, err := g.git(ctx, nil, "status", "--porcelain")
	if err == nil && left != "" {
		err = &failure{code: codeFailure, what: g.path + " has changes that are not committed", next: "commit or remove them; git status shows them"}
	}
	return err
}

// load gives git what write writes.
func (g gitFolder) load(ctx context.Context, write func(io.Writer) error) error {
	read, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err)
		written <- err
	}()
	_, err := g.git(ctx, read, "fast-import", "--quiet")
	_ = read.CloseWithError(io.ErrClosedPipe) // where git has given up, so does the writer
	if wrote := <-written; wrote != nil && !errors.Is(wrote, io.ErrClosedPipe) {
		return wrote
	}
	return err
}

// show brings the files to the branch, where it is the one that is checked out, and returns its commit.
func (g gitFolder) show(ctx context.Context, branch string) (string, error) {
	head, err := g.git(ctx, nil, "rev-parse", "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	if out, err := g.git(ctx, nil, "symbolic-ref", "--quiet", "HEAD"); err != nil || out != "refs/heads/"+branch {
		return head, nil // another is, and stays
	}
	_, err = g.git(ctx, nil, "reset", "--quiet", "--hard")
	return head, err
}
