package vault

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// Change is what a change set says of an entry.
type Change struct {
	Slug     string
	Document *knowledge.Document // nil deletes
}

// ChangeSet is what was published at once.
type ChangeSet struct {
	ID      string
	Author  string // a name
	Email   string // may be ""
	Time    time.Time
	Reason  string
	Changes []Change // of different entries
}

// ErrHistory is wrapped by the errors of change sets that cannot be a commit.
var ErrHistory = errors.New("no history")

var branchForm = regexp.MustCompile(`^[A-Za-z0-9]+(?:[-._/][A-Za-z0-9]+)*$`)

// WriteGit writes a history, oldest first, as a stream for git fast-import, with one commit a change set on the given branch:
// notes as Export has them, deletions, author and time of the change set, its reason as the message, and its id as the trailer
// "Change". The same history gives the same commits, so a longer one can be imported over a shorter. Of the history only
// the names of the notes are kept in memory.
func WriteGit(w io.Writer, branch string, history iter.Seq2[ChangeSet, error], opts Options) error {
	if !branchForm.MatchString(branch) {
		return fmt.Errorf("%w: %q is no branch: want letters and digits joined by - . _ or /", ErrHistory, branch)
	}
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "feature done\n")
	x := NewIndex(opts)
	for set, err := range history {
		if err != nil {
			return err
		}
		if err := commit(out, x, branch, set); err != nil {
			return fmt.Errorf("%w: change set %s: %w", ErrHistory, set.ID, err)
		}
	}
	fmt.Fprint(out, "done\n")
	return out.Flush()
}

func commit(out *bufio.Writer, x *Index, branch string, set ChangeSet) error {
	if set.Time.Unix() < 0 {
		return fmt.Errorf("%s is before 1970, which git does not know", set.Time.Format(time.RFC3339))
	}
	changes := slices.SortedFunc(slices.Values(set.Changes), func(a, b Change) int { return strings.Compare(a.Slug, b.Slug) })
	gone := map[string]bool{}
	for i, c := range changes {
		if i > 0 && c.Slug == changes[i-1].Slug {
			return fmt.Errorf("%s is changed twice", c.Slug)
		}
		if h, ok := x.Head(c.Slug); ok {
			gone[h.Path] = true
		}
		if c.Document == nil {
			x.Remove(c.Slug)
		}
	}
	var put []Change
	for _, c := range changes {
		if c.Document == nil {
			continue
		}
		if err := knowledge.CheckSlug(c.Slug); err != nil {
			return err
		}
		h, err := x.Place(Entry{c.Slug, *c.Document})
		if err != nil {
			return err
		}
		delete(gone, h.Path)
		put = append(put, c)
	}
	message := strings.TrimSpace(set.Reason) + "\n\nChange: " + oneLine(set.ID) + "\n"
	name, email := oneLine(set.Author), oneLine(set.Email)
	if name == "" {
		name = "unknown"
	}
	fmt.Fprintf(out, "commit refs/heads/%s\n", branch)
	for _, role := range []string{"author", "committer"} {
		fmt.Fprintf(out, "%s %s <%s> %d +0000\n", role, name, email, set.Time.Unix())
	}
	fmt.Fprintf(out, "data %d\n%s\n", len(message), message)
	for _, path := range slices.Sorted(maps.Keys(gone)) {
		fmt.Fprintf(out, "D %s\n", quoted(path))
	}
	for _, c := range put {
		text, err := x.Write(Entry{c.Slug, *c.Document})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "M 100644 inline %s\ndata %d\n%s\n", quoted(x.bySlug[c.Slug].Path), len(text), text)
	}
	return nil
}

// oneLine leaves out what would end a name.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == '<' || r == '>' {
			return -1
		}
		return r
	}, s))
}

// quoted writes a path as C does, where git would misread it.
func quoted(path string) string {
	if !strings.ContainsAny(path, "\n\"\\") {
		return path
	}
	return `"` + strings.NewReplacer("\\", `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}
