package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/merge"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// maxBlamed bounds the revisions that are read to find where a line is from.
const maxBlamed = 10_000

type historyArgs struct {
	Entry  string  `json:"entry" doc:"space/slug" note:"Or a space, for list, tags and changes. Needed for all but changes, which without it are those of all spaces"`
	View   string  `json:"view" enum:"log|diff|blame|list|tags|changes" default:"log" note:"log: the revisions of an entry; diff: from one revision to another; blame: the revision that each line and field is from; list: the entries of a space; tags: its named snapshots, for restore_knowledge; changes: change sets, or one by change"`
	Change string  `json:"change" note:"Id of a change set, to see it whole"`
	From   int     `json:"from" min:"1" max:"2147483647" note:"For diff, the number of a revision; the one before to if left out"`
	To     int     `json:"to" min:"1" max:"2147483647" note:"For diff and blame; the current one if left out"`
	AsOf   instant `json:"as_of" note:"RFC 3339 or age, such as 24h. For list, diff and blame: as it was published then"`
	State  string  `json:"state" note:"Of change sets: waiting, published or ended; waiting are those in review or with conflicts"`
	Limit  int     `json:"limit" min:"1" max:"200" default:"20"`
	After  string  `json:"after" note:"next of the last page"`
}

// History is what happened to an entry, a space or change sets: what the view asked for is there.
type History struct {
	Revisions []RevisionView  `json:"revisions,omitempty"`              // the latest first
	Entries   []RevisionView  `json:"entries,omitempty" schema:"brief"` // by slug
	Diff      *DiffView       `json:"diff,omitempty"`
	Blame     []BlameView     `json:"blame,omitempty" schema:"brief"` // lines in order, then fields
	Tags      []TagView       `json:"tags,omitempty" schema:"brief"`  // the newest first
	Changes   []ChangeSummary `json:"changes,omitempty" schema:"brief"`
	Change    json.RawMessage `json:"change,omitempty"` // as propose_change answers
	Next      string          `json:"next,omitempty"`
	Notice    string          `json:"notice"`
}

// RevisionView is a revision without its text.
type RevisionView struct {
	Entry    string `json:"entry"`
	Revision int    `json:"revision"`
	Title    string `json:"title,omitempty"`
	Type     string `json:"type,omitempty"`
	Deleted  bool   `json:"deleted,omitempty"`
	Merged   bool   `json:"merged,omitempty"`
	Reverts  int    `json:"reverts,omitempty"`
	By       string `json:"by"`
	At       string `json:"at"`
	Reason   string `json:"reason,omitempty"`
	Change   string `json:"change"`
	Workflow string `json:"workflow,omitempty"`
}

// DiffView is what differs between two revisions.
type DiffView struct {
	From   int             `json:"from"`
	To     int             `json:"to"`
	Body   string          `json:"body,omitempty"`   // unified diff
	Fields json.RawMessage `json:"fields,omitempty"` // [{path, before, after}]
}

// BlameView is where some lines, or a field, are from.
type BlameView struct {
	Lines    string `json:"lines,omitempty"` // from 1, such as 3-5
	Field    string `json:"field,omitempty"`
	Text     string `json:"text,omitempty"`
	Revision int    `json:"revision"`
	By       string `json:"by"`
	At       string `json:"at"`
	Change   string `json:"change"`
}

// TagView is a named snapshot of a space.
type TagView struct {
	Tag      string `json:"tag"`
	Note     string `json:"note,omitempty"`
	Entries  int    `json:"entries"`
	Revision int64  `json:"revision"` // of the space
	By       string `json:"by"`
	At       string `json:"at"`
}

// ChangeSummary is a change set in a list.
type ChangeSummary struct {
	Change string `json:"change"`
	Kind   string `json:"kind"`
	State  string `json:"state"`
	By     string `json:"by"`
	At     string `json:"at"`
	Reason string `json:"reason,omitempty"`
}

func (s *Suite) knowledgeHistory() Tool {
	return define[historyArgs, History](Tool{
		Name: "knowledge_history", Title: "History", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Log, diff, blame; a space as of a time; change sets.",
	}, func(ctx context.Context, c Call, in historyArgs) (History, string, error) {
		out := History{Notice: entryNotice}
		if in.AsOf.set() {
			in.AsOf = instant{at: in.AsOf.from(time.Now())}
		}
		err := s.settle(ctx, c, in.AsOf.at, nil)
		if err == nil {
			err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error { return s.history(ctx, tx, c, in, &out) })
		}
		if errors.Is(err, postgres.ErrBadCursor) {
			err = invalid("argument \"after\" is not the next of a page of this view")
		}
		return out, out.text(), err
	})
}

func (s *Suite) history(ctx context.Context, tx pgx.Tx, c Call, in historyArgs, out *History) error {
	if in.Change != "" {
		return oneChange(ctx, tx, in.Change, out)
	}
	if in.View == "changes" {
		return s.listChanges(ctx, tx, c, in, out)
	}
	name, slug, _ := strings.Cut(in.Entry, "/")
	if in.Entry == "" || slug == "" && in.View != "list" && in.View != "tags" {
		return invalid(`view %s needs the argument "entry": space/slug`, in.View)
	}
	sp, err := s.spaceByName(ctx, tx, c, name)
	if err != nil {
		return err
	}
	if in.View == "tags" {
		tags, err := postgres.Tags(ctx, tx, sp.ID)
		for _, t := range tags[:min(len(tags), in.Limit)] {
			out.Tags = append(out.Tags, TagView{t.Name, cut(t.Note, maxExample), t.Entries, t.SpaceRevision, t.Author.String(), moment(t.CreatedAt)})
		}
		return err
	}
	if in.View == "list" {
		rows, next, err := postgres.Entries(ctx, tx, postgres.ListEntries{Space: sp.ID, Prefix: slug, When: postgres.Moment{Recorded: in.AsOf.at}, Limit: in.Limit, After: in.After})
		for _, r := range rows {
			out.Entries = append(out.Entries, revisionView(r))
		}
		out.Next = next
		return err
	}
	current, err := postgres.RevisionOf(ctx, tx, sp.ID, slug, 0)
	if err != nil {
		return noEntry(err, in.Entry)
	}
	if in.View == "log" {
		return logOf(ctx, tx, sp, slug, in, out)
	}
	if in.To == 0 {
		if in.To = current.Number; in.AsOf.set() {
			r, err := postgres.EntryAt(ctx, tx, sp.ID, slug, postgres.Moment{Recorded: in.AsOf.at})
			if err != nil {
				return noEntry(err, in.Entry)
			}
			in.To = r.Number
		}
	}
	if in.To > current.Number || in.From > current.Number {
		return notFound("", "%s has no revision %d: the last is %d", in.Entry, max(in.To, in.From), current.Number)
	}
	if in.View == "diff" {
		return diffOf(ctx, tx, sp, slug, in, out)
	}
	return blameOf(ctx, tx, sp, slug, in.To, out)
}

func revisionView(r postgres.Revision) RevisionView {
	return RevisionView{
		Entry: r.Address(), Revision: r.Number, Title: cut(r.Title, maxExample), Type: r.Type, Deleted: r.Deleted(), Merged: len(r.Parents) > 1, Reverts: r.Reverts,
		By: r.Author.String(), At: moment(r.RecordedAt), Reason: cut(r.Reason, maxExample), Change: r.ChangeID.String(), Workflow: r.WorkflowID,
	}
}

func logOf(ctx context.Context, tx pgx.Tx, sp postgres.Space, slug string, in historyArgs, out *History) error {
	before := 0
	if in.After != "" {
		if _, err := fmt.Sscanf(in.After, "%d", &before); err != nil || before < 2 {
			return postgres.ErrBadCursor
		}
	}
	rows, err := postgres.History(ctx, tx, sp.ID, slug, before, in.Limit)
	for _, r := range rows {
		out.Revisions = append(out.Revisions, revisionView(r))
	}
	if n := len(rows); n == in.Limit && rows[n-1].Number > 1 {
		out.Next = fmt.Sprint(rows[n-1].Number)
	}
	return err
}

// documentAt is the document of a revision; nil for a tombstone, and for one whose text was destroyed.
func documentAt(ctx context.Context, tx pgx.Tx, sp postgres.Space, slug string, number int) (*knowledge.Document, error) {
	r, err := postgres.RevisionOf(ctx, tx, sp.ID, slug, number)
	if err != nil || r.Deleted() || r.Gone {
		return nil, err
	}
	d, err := documentOf(ctx, tx, r)
	return &d, err
}

func diffOf(ctx context.Context, tx pgx.Tx, sp postgres.Space, slug string, in historyArgs, out *History) error {
	from := in.From
	if from == 0 {
		from = in.To - 1
	}
	var before *knowledge.Document
	var err error
	if from > 0 {
		if before, err = documentAt(ctx, tx, sp, slug, from); err != nil {
			return err
		}
	}
	after, err := documentAt(ctx, tx, sp, slug, in.To)
	if err != nil {
		return err
	}
	d, err := merge.Diff(before, after)
	if err != nil {
		return err
	}
	out.Diff = &DiffView{From: from, To: in.To, Body: cut(d.Body, DefaultTokens*bytesPerToken)}
	if len(d.Fields) > 0 {
		out.Diff.Fields, err = json.Marshal(d.Fields)
	}
	return err
}

func blameOf(ctx context.Context, tx pgx.Tx, sp postgres.Space, slug string, number int, out *History) error {
	byNumber, revisions := map[int]postgres.Revision{}, []merge.Revision{}
	var shown *knowledge.Document
	for before := number + 1; before > 1 && len(revisions) < maxBlamed; {
		rows, err := postgres.History(ctx, tx, sp.ID, slug, before, 200)
		if err != nil || len(rows) == 0 {
			return err
		}
		hashes := make([]string, len(rows))
		for i, r := range rows {
			hashes[i] = r.Hash
		}
		texts, err := postgres.Bodies(ctx, tx, sp.ID, hashes)
		if err != nil {
			return err
		}
		for _, r := range rows {
			m := merge.Revision{Number: r.Number, Parents: r.Parents}
			if text, ok := texts[r.Hash]; ok {
				d, err := knowledge.Parse([]byte(text))
				if err != nil {
					return err
				}
				m.Document = &d
			}
			if r.Number == number {
				shown = m.Document
			}
			byNumber[r.Number], revisions, before = r, append(revisions, m), r.Number
		}
	}
	if shown == nil {
		return notFound("", "revision %d of %s/%s has no text", number, sp.Name, slug)
	}
	origins, err := merge.Blame(revisions, number)
	if err != nil {
		return err
	}
	out.blame(origins, slices.Collect(strings.Lines(shown.Body)), byNumber)
	return nil
}

// blame puts lines of one revision that follow each other together, cut to the budget of an answer.
func (h *History) blame(o merge.Origins, lines []string, byNumber map[int]postgres.Revision) {
	add := func(v BlameView) {
		r := byNumber[v.Revision]
		v.By, v.At, v.Change = r.Author.String(), moment(r.RecordedAt), r.ChangeID.String()
		h.Blame = append(h.Blame, v)
	}
	room := DefaultTokens * bytesPerToken
	for i := 0; i < len(o.Lines); {
		end := i + 1
		for end < len(o.Lines) && o.Lines[end] == o.Lines[i] {
			end++
		}
		at := fmt.Sprintf("%d-%d", i+1, end)
		if end == i+1 {
			at = fmt.Sprint(end)
		}
		text := cut(strings.TrimSuffix(strings.Join(lines[i:end], ""), "\n"), max(room, 0))
		room -= len(text) + 150
		add(BlameView{Lines: at, Text: text, Revision: o.Lines[i]})
		i = end
	}
	for _, path := range slices.Sorted(maps.Keys(o.Fields)) {
		add(BlameView{Field: path, Revision: o.Fields[path]})
	}
}

func oneChange(ctx context.Context, tx pgx.Tx, text string, out *History) error {
	id, err := uuid.Parse(text)
	if err != nil {
		return noChange(text)
	}
	c, err := readChange(ctx, tx, id)
	if errors.Is(err, postgres.ErrNotFound) {
		return noChange(text)
	}
	if err == nil {
		out.Change, err = json.Marshal(c)
	}
	return err
}

func (s *Suite) listChanges(ctx context.Context, tx pgx.Tx, c Call, in historyArgs, out *History) error {
	l := postgres.ListChanges{Limit: in.Limit, After: in.After}
	switch in.State {
	case "":
	case "waiting":
		l.States = []string{postgres.ChangeInReview, postgres.ChangeConflicted}
	case "published":
		l.States = []string{postgres.ChangePublished}
	case "ended":
		l.States = []string{postgres.ChangeRejected, postgres.ChangeExpired, postgres.ChangeWithdrawn}
	default:
		return invalid(`argument "state" must be waiting, published or ended, not %s`, short(in.State))
	}
	if name, _, _ := strings.Cut(in.Entry, "/"); name != "" {
		sp, err := s.spaceByName(ctx, tx, c, name)
		if err != nil {
			return err
		}
		l.Space = sp.ID
	}
	rows, next, err := postgres.Changes(ctx, tx, c.Caller.WorkspaceID, l)
	for _, r := range rows {
		out.Changes = append(out.Changes, ChangeSummary{Change: r.ID.String(), Kind: r.Kind, State: r.State, By: r.Author.String(), At: moment(r.CreatedAt), Reason: cut(r.Reason, maxExample)})
	}
	out.Next = next
	return err
}

func (h History) text() string {
	var b strings.Builder
	for i, r := range append(slices.Clone(h.Revisions), h.Entries...) {
		if i == 20 {
			b.WriteString("...\n")
			break
		}
		what := r.Title
		if r.Deleted {
			what = "deleted"
		}
		fmt.Fprintf(&b, "%s@%d %s by %s: %s. %s\n", r.Entry, r.Revision, r.At, r.By, cut(what, 100), cut(r.Reason, 100))
	}
	for _, c := range h.Changes[:min(len(h.Changes), 20)] {
		fmt.Fprintf(&b, "%s %s %s %s\n", c.Change, c.State, c.At, cut(c.Reason, 100))
	}
	for _, t := range h.Tags[:min(len(h.Tags), 20)] {
		fmt.Fprintf(&b, "%s %s, entries: %d. %s\n", t.Tag, t.At, t.Entries, cut(t.Note, 100))
	}
	for _, l := range h.Blame[:min(len(h.Blame), 100)] {
		fmt.Fprintf(&b, "%s%s revision %d %s\n", l.Lines, l.Field, l.Revision, cut(l.Text, 200))
	}
	if h.Diff != nil {
		fmt.Fprintf(&b, "revision %d to %d\n%s%s\n", h.Diff.From, h.Diff.To, h.Diff.Body, h.Diff.Fields)
	}
	if h.Change != nil {
		b.Write(h.Change)
	}
	if b.Len() == 0 {
		return "nothing"
	}
	return strings.TrimSpace(b.String())
}
