package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/merge"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

type proposeArgs struct {
	Changes draftList `json:"changes" required:"true" doc:"Each: entry space/slug, type, title, body, links, sources, metadata; or delete" note:"At most 100, of one space, published together or not at all. base is the revision they were decided on, the current one if left out. Members that are left out stay as they are; replace changes parts of the body, as [{old, new}]; valid_from and valid_to say when it holds"`
	Reason  string    `json:"reason" max:"4096" note:"Why; kept with the revision"`
	Create  bool      `json:"create_space" note:"Make the space if there is none of that name"`
	Key     string    `json:"key" max:"200" note:"Idempotency key: a change set under the same key is proposed once"`
}

// Change is a change set as it stands.
type Change struct {
	ID        string          `json:"change"`
	Space     string          `json:"space"`
	State     string          `json:"state"`
	Why       string          `json:"why,omitempty"`
	By        string          `json:"by"`
	At        string          `json:"at"`
	Reason    string          `json:"reason,omitempty"`
	Approvals int             `json:"approvals"`
	Needed    int             `json:"needed"` // approvals
	Entries   []ChangedEntry  `json:"entries"`
	Findings  []EntryFinding  `json:"findings,omitempty" schema:"brief"`
	Conflicts []EntryConflict `json:"conflicts,omitempty" schema:"brief"`
	Reviews   []ChangeReview  `json:"reviews,omitempty" schema:"brief"`
	Existed   bool            `json:"existed,omitempty"` // proposed before under this key
	Next      string          `json:"next,omitempty"`    // what may be done
	Workflow  string          `json:"workflow,omitempty"`
}

// ChangedEntry is one change of a change set.
type ChangedEntry struct {
	Entry    string `json:"entry"`
	Op       string `json:"op"`
	Base     int    `json:"base"`
	Revision int    `json:"revision,omitempty"` // that it became
	Merged   bool   `json:"merged,omitempty"`
}

// EntryFinding is what a check found.
type EntryFinding struct {
	Entry    string `json:"entry"`
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Path     string `json:"path,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	Fix      string `json:"fix,omitempty"`
}

// EntryConflict is a place that was changed twice.
type EntryConflict struct {
	Entry  string `json:"entry"`
	Path   string `json:"path"`
	Base   string `json:"base"`
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
	Taken  string `json:"taken,omitempty"`
}

// ChangeReview is what a reviewer decided.
type ChangeReview struct {
	By       string `json:"by"`
	Decision string `json:"decision"`
	Note     string `json:"note,omitempty"`
	At       string `json:"at"`
}

func (s *Suite) proposeChange() Tool {
	return define[proposeArgs, Change](Tool{
		Name: "propose_change", Title: "Propose a change", Role: editor, Destructive: true, // it may delete
		Description: "Write, change or delete knowledge.",
	}, func(ctx context.Context, c Call, in proposeArgs) (Change, string, error) {
		out, err := s.propose(ctx, c, in)
		return out, out.text(), err
	})
}

// propose stores the change set and starts the workflow that brings it to its end, and waits until it has or needs a person.
func (s *Suite) propose(ctx context.Context, c Call, in proposeArgs) (Change, error) {
	temporal, err := s.durable()
	if err != nil {
		return Change{}, err
	}
	change := postgres.Change{ID: workflows.ChangeID(c.Caller.WorkspaceID, in.Key), WorkspaceID: c.Caller.WorkspaceID, Author: c.Caller.UserID, Reason: in.Reason}
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		if in.Key != "" {
			before, err := postgres.ChangeByID(ctx, tx, change.ID)
			if err == nil {
				change = before
				return nil
			}
			if !errors.Is(err, postgres.ErrNotFound) {
				return err
			}
		}
		sp, err := s.spaceOf(ctx, tx, c, in.Changes, in.Create)
		if err != nil {
			return err
		}
		proposals, bodies, err := staged(ctx, tx, sp, in.Changes)
		if err != nil {
			return err
		}
		change.SpaceID = sp.ID
		_, err = postgres.StageChange(ctx, tx, change, proposals, bodies)
		return err
	})
	if err != nil {
		return Change{}, err
	}
	id, existed, err := workflows.StartChange(ctx, temporal, workflows.PublishChangeInput{Caller: c.Caller, ChangeID: change.ID}, titleOf(in.Changes))
	if err != nil {
		return Change{}, explainWorkflow(err, "")
	}
	out, err := s.settled(ctx, c, change.ID, id)
	out.Existed = existed
	return out, err
}

func titleOf(drafts draftList) string {
	verb := "put "
	if drafts[0].Delete {
		verb = "delete "
	}
	if len(drafts) > 1 {
		return verb + drafts[0].Entry + " and more"
	}
	return verb + drafts[0].Entry
}

// settled waits until a change set has ended or needs a person, and tells how it stands.
func (s *Suite) settled(ctx context.Context, c Call, change uuid.UUID, workflow string) (Change, error) {
	status, _, failed, err := workflows.WaitForChange(ctx, s.Temporal, workflow, waitForEdit)
	switch {
	case failed != nil:
		return Change{}, explainFailure(failed)
	case err != nil && !errors.Is(err, workflows.ErrUnavailable):
		return Change{}, explainWorkflow(err, workflow)
	}
	out, err := s.changeOf(ctx, c, change)
	if err == nil {
		// The workflow knows a moment before the database does.
		if out.Approvals, out.Needed = status.Approvals, status.Needed; status.State != "" && !ended(out.State) {
			out.State, out.Why = status.State, cut(status.Why, 1000)
		}
		out.advise()
	}
	return out, err
}

func ended(state string) bool { return postgres.Change{State: state}.Ended() }

// spaceOf is the one space of the drafts.
func (s *Suite) spaceOf(ctx context.Context, tx pgx.Tx, c Call, drafts draftList, create bool) (postgres.Space, error) {
	if len(drafts) == 0 {
		return postgres.Space{}, invalid("no changes given")
	}
	name, _, _ := strings.Cut(drafts[0].Entry, "/")
	for _, d := range drafts {
		if other, _, _ := strings.Cut(d.Entry, "/"); other != name {
			return postgres.Space{}, invalid("a change set is for one space: %s is in another than %s", d.Entry, drafts[0].Entry)
		}
	}
	sp, err := postgres.SpaceByName(ctx, tx, c.Caller.WorkspaceID, name)
	if !errors.Is(err, postgres.ErrNotFound) {
		return sp, err
	}
	if !create {
		_, err = s.spaceByName(ctx, tx, c, name)
		var told *Error
		if errors.As(err, &told) {
			told.Next = strings.TrimSuffix("To make it, give create_space. "+told.Next, ". Propose an entry with create_space")
		}
		return sp, err
	}
	sp, err = postgres.CreateSpace(ctx, tx, postgres.Space{WorkspaceID: c.Caller.WorkspaceID, Name: name, CreatedBy: c.Caller.UserID})
	if errors.Is(err, postgres.ErrName) {
		return sp, &Error{Kind: Denied, Message: "the name " + short(name) + " is not available", Next: "Choose another space"}
	}
	return sp, err
}

// staged makes proposals and documents of drafts.
func staged(ctx context.Context, tx pgx.Tx, sp postgres.Space, drafts draftList) (proposals []postgres.Proposal, bodies []postgres.Body, err error) {
	for i := range drafts {
		d := &drafts[i]
		_, slug, _ := strings.Cut(d.Entry, "/")
		base, number, err := based(ctx, tx, sp, slug, d.Base)
		if err != nil {
			return nil, nil, err
		}
		p := postgres.Proposal{Seq: i, Slug: slug, Op: postgres.OpDelete, Base: number, ValidFrom: d.ValidFrom, ValidTo: d.ValidTo}
		if d.Delete {
			if base == nil {
				return nil, nil, notFound("Find it with search_knowledge", "no entry %s to delete", short(d.Entry))
			}
			proposals = append(proposals, p)
			continue
		}
		doc := knowledge.Document{}
		if base != nil {
			doc = *base
		}
		if doc, err = d.over(doc); err != nil {
			return nil, nil, err
		}
		body, err := postgres.BodyOf(doc)
		if err != nil {
			return nil, nil, invalid("%s: %v", d.Entry, err)
		}
		p.Op, p.Hash = postgres.OpPut, body.Hash
		proposals, bodies = append(proposals, p), append(bodies, body)
	}
	return proposals, bodies, nil
}

// based is the document that a draft goes on from, nil where there is none, and the number of its revision.
func based(ctx context.Context, tx pgx.Tx, sp postgres.Space, slug string, asked *int) (*knowledge.Document, int, error) {
	if asked != nil && *asked == 0 {
		return nil, 0, nil
	}
	number := 0
	if asked != nil {
		number = *asked
	}
	r, err := postgres.RevisionOf(ctx, tx, sp.ID, slug, number)
	switch {
	case errors.Is(err, postgres.ErrNotFound) && asked == nil:
		return nil, 0, nil
	case errors.Is(err, postgres.ErrNotFound):
		return nil, 0, notFound("knowledge_history lists them", "%s/%s has no revision %d", sp.Name, slug, number)
	case err != nil:
		return nil, 0, err
	case r.Deleted():
		return nil, r.Number, nil
	}
	d, err := documentOf(ctx, tx, r)
	return &d, r.Number, err
}

// changeOf reads a change set as the caller.
func (s *Suite) changeOf(ctx context.Context, c Call, id uuid.UUID) (out Change, err error) {
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		out, err = readChange(ctx, tx, id)
		if errors.Is(err, postgres.ErrNotFound) {
			return noChange(id.String())
		}
		return err
	})
	return out, err
}

func noChange(id string) *Error {
	return notFound("knowledge_history with view changes lists them", "no change set %s", short(id))
}

func readChange(ctx context.Context, tx pgx.Tx, id uuid.UUID) (out Change, err error) {
	c, err := postgres.ChangeByID(ctx, tx, id)
	if err != nil {
		return out, err
	}
	sp, err := postgres.SpaceByID(ctx, tx, c.SpaceID)
	if err != nil {
		return out, err
	}
	out = Change{
		ID: c.ID.String(), Space: sp.Name, State: c.State, Why: cut(c.Error, 1000), By: c.Author.String(), At: moment(c.CreatedAt), Reason: cut(c.Reason, 1000),
		Needed: sp.Approvals, Entries: []ChangedEntry{}, Workflow: c.WorkflowID,
	}
	if c.Quarantined {
		out.Needed = max(1, out.Needed)
	}
	proposals, err := postgres.Proposals(ctx, tx, c.ID)
	if err != nil {
		return out, err
	}
	revisions, err := postgres.RevisionsOfChange(ctx, tx, c.ID)
	if err != nil {
		return out, err
	}
	addresses := map[int]string{}
	for _, p := range proposals {
		addresses[p.Seq] = sp.Name + "/" + p.Slug
		if len(out.Entries) == maxDrafts {
			continue
		}
		e := ChangedEntry{Entry: addresses[p.Seq], Op: p.Op, Base: p.Base, Merged: p.MergedHash != "" && p.MergedHash != p.Hash}
		if i := slices.IndexFunc(revisions, func(r postgres.Revision) bool { return r.Seq == p.Seq }); i >= 0 {
			e.Revision = revisions[i].Number
		}
		out.Entries = append(out.Entries, e)
	}
	if err := out.add(ctx, tx, c, addresses); err != nil {
		return out, err
	}
	out.advise()
	return out, nil
}

// add adds what was found, what conflicts and what was decided.
func (out *Change) add(ctx context.Context, tx pgx.Tx, c postgres.Change, addresses map[int]string) error {
	findings, err := postgres.Findings(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Round == c.Round && len(out.Findings) < 50 {
			out.Findings = append(out.Findings, findingOf(addresses[f.Seq], f))
		}
	}
	conflicts, err := postgres.Conflicts(ctx, tx, c.ID, false)
	if err != nil {
		return err
	}
	for _, f := range conflicts[:min(len(conflicts), 50)] {
		out.Conflicts = append(out.Conflicts, EntryConflict{
			Entry: addresses[f.Seq], Path: f.Path, Base: cut(f.Base, 2000), Ours: cut(f.Ours, 2000), Theirs: cut(f.Theirs, 2000), Taken: f.Resolution,
		})
	}
	reviews, err := postgres.Reviews(ctx, tx, c.ID)
	for _, r := range reviews[:min(len(reviews), 20)] {
		out.Reviews = append(out.Reviews, ChangeReview{By: r.Reviewer.String(), Decision: r.Decision, Note: cut(r.Note, 1000), At: moment(r.At)})
		if r.Round == c.Round && r.Decision == postgres.Approve {
			out.Approvals++
		}
	}
	return err
}

func findingOf(entry string, f postgres.Finding) EntryFinding {
	return EntryFinding{Entry: entry, Check: f.Check, Severity: f.Severity, Path: f.Path, Evidence: cut(f.Evidence, maxExample), Fix: cut(f.Fix, maxExample)}
}

// advise says what may be done next.
func (out *Change) advise() {
	switch out.State {
	case postgres.ChangeInReview:
		out.Next = fmt.Sprintf("waits for %s: review_change", plural(max(out.Needed-out.Approvals, 1), "approval"))
	case postgres.ChangeConflicted:
		out.Next = "resolve_conflict, or review_change with amend or withdraw"
	case postgres.ChangeDraft, postgres.ChangeValidating, postgres.ChangeApproved:
		out.Next = "under way: knowledge_history with this change shows how it stands"
	case postgres.ChangeRejected:
		out.Next = "mend it and propose it again"
	default:
		out.Next = ""
	}
}

func (out Change) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "change %s is %s", out.ID, out.State)
	if out.Why != "" {
		b.WriteString(": " + out.Why)
	}
	for _, e := range out.Entries[:min(len(out.Entries), 10)] {
		fmt.Fprintf(&b, "\n%s %s", e.Op, e.Entry)
		if e.Revision > 0 {
			fmt.Fprintf(&b, " is revision %d", e.Revision)
		}
	}
	for _, f := range out.Findings[:min(len(out.Findings), 10)] {
		b.WriteString("\n" + f.text())
	}
	for _, f := range out.Conflicts[:min(len(out.Conflicts), 10)] {
		if f.Taken == "" {
			fmt.Fprintf(&b, "\nconflict: %s at %s", f.Entry, f.Path)
		}
	}
	if out.Next != "" {
		b.WriteString("\n" + out.Next)
	}
	return b.String()
}

func (f EntryFinding) text() string {
	text := fmt.Sprintf("%s %s: %s %s", f.Severity, f.Check, f.Entry, f.Path)
	for _, more := range []string{f.Evidence, f.Fix} {
		if more != "" {
			text += "; " + more
		}
	}
	return text
}

type reviewArgs struct {
	Change  string    `json:"change" required:"true"`
	Action  string    `json:"action" required:"true" enum:"approve|reject|amend|withdraw" note:"approve and reject take a reviewer who is not the author; amend and withdraw its author"`
	Note    string    `json:"note" max:"4096"`
	Changes draftList `json:"changes" note:"For amend: what is proposed instead, all of it"`
}

func (s *Suite) reviewChange() Tool {
	return define[reviewArgs, Change](Tool{
		Name: "review_change", Title: "Review a change", Role: editor, Destructive: true, Idempotent: true,
		Description: "Decide about a change set that waits. First show the user what it changes.",
	}, func(ctx context.Context, c Call, in reviewArgs) (Change, string, error) {
		out, err := s.review(ctx, c, in)
		return out, out.text(), err
	})
}

func (s *Suite) review(ctx context.Context, c Call, in reviewArgs) (Change, error) {
	temporal, id, before, err := s.waiting(ctx, c, in.Change)
	if err != nil {
		return Change{}, err
	}
	var arg any = workflows.ReviewChangeInput{Caller: c.Caller, Note: in.Note}
	if in.Action == workflows.UpdateAmend {
		amended := workflows.AmendChangeInput{Caller: c.Caller}
		err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			sp, err := s.spaceOf(ctx, tx, c, in.Changes, false)
			if err == nil && sp.ID != before.SpaceID {
				err = invalid("change set %s is for another space than %s", in.Change, sp.Name)
			}
			if err != nil {
				return err
			}
			proposals, bodies, err := staged(ctx, tx, sp, in.Changes)
			if err != nil {
				return err
			}
			for _, p := range proposals {
				amended.Proposals = append(amended.Proposals, workflows.Proposal{Slug: p.Slug, Op: p.Op, Base: p.Base, Hash: p.Hash, ValidFrom: p.ValidFrom, ValidTo: p.ValidTo})
			}
			return postgres.SaveBodies(ctx, tx, c.Caller.WorkspaceID, sp.ID, bodies)
		})
		if err != nil {
			return Change{}, err
		}
		arg = amended
	} else if len(in.Changes) > 0 {
		return Change{}, invalid(`"changes" is for action amend`)
	}
	return s.update(ctx, c, temporal, before.ID, id, in.Action, arg)
}

// waiting is a change set that the caller may see, and the workflow that has it.
func (s *Suite) waiting(ctx context.Context, c Call, text string) (temporal client.Client, workflow string, change postgres.Change, err error) {
	if temporal, err = s.durable(); err != nil {
		return nil, "", change, err
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, "", change, noChange(text)
	}
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		if change, err = postgres.ChangeByID(ctx, tx, id); errors.Is(err, postgres.ErrNotFound) {
			return noChange(text)
		}
		return err
	})
	if err == nil && change.Ended() {
		err = invalid("change set %s is %s already", text, change.State)
	}
	workflow = change.WorkflowID
	if workflow == "" {
		workflow = workflows.ChangeWorkflowID(c.Caller.WorkspaceID, id)
	}
	return temporal, workflow, change, err
}

func (s *Suite) update(ctx context.Context, c Call, temporal client.Client, change uuid.UUID, workflow, update string, arg any) (Change, error) {
	_, failed, err := workflows.UpdateChange(ctx, temporal, workflow, update, arg)
	switch {
	case failed != nil:
		return Change{}, explainFailure(failed)
	case errors.Is(err, workflows.ErrFinished):
		return Change{}, invalid("change set %s has ended already", change)
	case err != nil:
		return Change{}, explainWorkflow(err, workflow)
	}
	return s.settled(ctx, c, change, workflow)
}

type resolveArgs struct {
	Change  string     `json:"change" required:"true"`
	Entry   string     `json:"entry" required:"true" doc:"space/slug"`
	Take    string     `json:"take" enum:"base|ours|theirs" doc:"For all, but for choices" note:"base is what both started from, ours what was proposed, theirs what was published meanwhile"`
	Choices choiceList `json:"choices" doc:"[{path, take}] or [{path, text}]" note:"For single conflicts, by the path that the change set shows"`
}

func (s *Suite) resolveConflict() Tool {
	return define[resolveArgs, Change](Tool{
		Name: "resolve_conflict", Title: "Resolve conflicts", Role: editor, Idempotent: true,
		Description: "Resolve the conflicts of an entry of a change set.",
	}, func(ctx context.Context, c Call, in resolveArgs) (Change, string, error) {
		out, err := s.resolve(ctx, c, in)
		return out, out.text(), err
	})
}

func (s *Suite) resolve(ctx context.Context, c Call, in resolveArgs) (Change, error) {
	temporal, id, before, err := s.waiting(ctx, c, in.Change)
	if err != nil {
		return Change{}, err
	}
	resolution := workflows.Resolution{Seq: -1}
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		sp, err := postgres.SpaceByID(ctx, tx, before.SpaceID)
		if err != nil {
			return err
		}
		proposals, err := postgres.Proposals(ctx, tx, before.ID)
		if err != nil {
			return err
		}
		for _, p := range proposals {
			if sp.Name+"/"+p.Slug == in.Entry {
				resolution.Seq = p.Seq
			}
		}
		open, err := postgres.Conflicts(ctx, tx, before.ID, true)
		if err != nil {
			return err
		}
		choices := slices.Clone(in.Choices)
		for _, f := range open {
			if f.Seq == resolution.Seq && in.Take != "" && !slices.ContainsFunc(choices, func(c merge.Choice) bool { return c.Path == f.Path }) {
				choices = append(choices, merge.Choice{Path: f.Path, Take: in.Take})
			}
		}
		if resolution.Seq < 0 || !slices.ContainsFunc(open, func(f postgres.Conflict) bool { return f.Seq == resolution.Seq }) {
			return invalid("change set %s has no open conflict in %s", in.Change, short(in.Entry))
		}
		if resolution.Hash, err = postgres.StageResolution(ctx, tx, before.ID, resolution.Seq, choices); errors.Is(err, merge.ErrChoice) || errors.Is(err, merge.ErrUnresolved) {
			return invalid("%s", cut(strings.Join(strings.Fields(err.Error()), " "), 900))
		}
		resolution.Delete = resolution.Hash == ""
		return err
	})
	if err != nil {
		return Change{}, err
	}
	return s.update(ctx, c, temporal, before.ID, id, workflows.UpdateResolve, workflows.ResolveChangeInput{Caller: c.Caller, Resolutions: []workflows.Resolution{resolution}})
}

type linkArgs struct {
	Entry    string `json:"entry" required:"true" doc:"space/slug"`
	Target   string `json:"target" required:"true" max:"2048" doc:"space/slug, pattern:library/id or URL"`
	Relation string `json:"relation" default:"explains" max:"100" note:"explains, supersedes, depends_on, ..."`
	Remove   bool   `json:"remove"`
	Reason   string `json:"reason" max:"4096"`
	Key      string `json:"key" max:"200"`
}

func (s *Suite) linkKnowledge() Tool {
	return define[linkArgs, Change](Tool{
		Name: "link_knowledge", Title: "Link knowledge", Role: editor, Idempotent: true,
		Description: "Propose a link from an entry, such as to a pattern it explains.",
	}, func(ctx context.Context, c Call, in linkArgs) (Change, string, error) {
		e, err := s.readEntry(ctx, c, in.Entry, 0, postgres.Moment{}, 0)
		if err != nil {
			return Change{}, "", err
		}
		link := knowledge.Link{Relation: in.Relation, Target: in.Target}
		links := slices.DeleteFunc(slices.Clone(e.Links), func(l knowledge.Link) bool { return l == link })
		switch {
		case in.Remove && len(links) == len(e.Links):
			return Change{}, "", notFound("get_knowledge shows its links", "%s has no link %s %s", in.Entry, in.Relation, short(in.Target))
		case !in.Remove && len(links) < len(e.Links):
			return Change{}, "", invalid("%s has this link already", in.Entry)
		case !in.Remove:
			links = append(links, link)
		}
		out, err := s.propose(ctx, c, proposeArgs{Changes: draftList{{Entry: in.Entry, Base: &e.Revision, Links: &links}}, Reason: in.Reason, Key: in.Key})
		return out, out.text(), err
	})
}
