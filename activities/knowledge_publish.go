package activities

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/merge"
	"github.com/tartan-ai/tartan/internal/knowledge/validate"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// PublishChange publishes an approved change set in one transaction, or, where what was published since its bases cannot be
// merged with it, stores the conflicts and publishes nothing. One that had been published before is told again.
func (k *Knowledge) PublishChange(ctx context.Context, ref ChangeRef) (*Published, error) {
	var alive progress
	defer alive.beating(ctx)()
	var out *Published
	err := k.as(ctx, ref.Caller, "publish change set "+ref.ChangeID.String(), func(tx pgx.Tx) error {
		c, err := postgres.ChangeByID(ctx, tx, ref.ChangeID)
		if err != nil {
			return err
		}
		clock, err := postgres.LockClock(ctx, tx, c.SpaceID) // before the change set: everyone locks in this order
		if err != nil {
			return err
		}
		c, s, err := open(ctx, tx, ref)
		if err != nil {
			return err
		}
		if c.Ended() {
			out, err = ended(ctx, tx, c)
			return err
		}
		out, err = k.publish(ctx, tx, s, c, ref.Caller, clock)
		return err
	})
	if err != nil {
		return nil, err
	}
	activity.GetLogger(ctx).Debug("change set handled", "change_id", ref.ChangeID, "state", out.State, "entries", out.Total)
	return out, nil
}

func ended(ctx context.Context, tx pgx.Tx, c postgres.Change) (*Published, error) {
	if c.State == postgres.ChangePublished {
		return publishedBefore(ctx, tx, c)
	}
	return &Published{State: c.State, SpaceID: c.SpaceID, Why: c.Error, Already: true, Entries: []postgres.PublishedEntry{}}, nil
}

// publish merges what has moved, checks what was merged, and publishes. The space and the change set are locked.
func (k *Knowledge) publish(ctx context.Context, tx pgx.Tx, s postgres.Space, c postgres.Change, caller access.Caller, clock postgres.Clock) (*Published, error) {
	if err := postgres.SetChangeState(ctx, tx, c.ID, postgres.ChangeApproved, ""); err != nil {
		return nil, err
	}
	proposals, err := postgres.Proposals(ctx, tx, c.ID)
	if err != nil {
		return nil, err
	}
	m, err := newMeeting(ctx, tx, s, proposals)
	if err != nil {
		return nil, err
	}
	for i := range proposals {
		r, err := m.settle(&proposals[i])
		if err == nil && r != nil {
			if err = k.state(r, s, m); err == nil {
				m.revisions = append(m.revisions, *r)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	out := &Published{State: postgres.ChangePublished, SpaceID: s.ID, Unchanged: m.unchanged, Merged: len(m.merged), Entries: []postgres.PublishedEntry{}}
	if len(m.conflicts) > 0 {
		out.State, out.Conflicts = postgres.ChangeConflicted, len(m.conflicts)
		if err := postgres.SaveConflicts(ctx, tx, c, m.conflicts); err != nil {
			return nil, err
		}
		return out, markChange(ctx, tx, c, out.State, "", true)
	}
	blocked, err := k.saveMerged(ctx, tx, s, c, caller, proposals, m)
	if err != nil {
		return nil, err
	}
	if blocked != "" {
		out.State, out.Why = postgres.ChangeConflicted, blocked
		return out, markChange(ctx, tx, c, out.State, blocked, true)
	}
	published, err := postgres.Publish(ctx, tx, s, c, clock, m.revisions)
	if err != nil {
		return nil, err
	}
	if out.Total = len(published); out.Total > 0 {
		out.Revision = clock.Revision
	}
	out.Entries = published[:min(len(published), maxPublished)]
	return out, nil
}

// saveMerged stores what was merged. The checks look at it as at any proposal: what they block or want a person to see is
// not published by itself.
func (k *Knowledge) saveMerged(ctx context.Context, tx pgx.Tx, s postgres.Space, c postgres.Change, caller access.Caller, proposals []postgres.Proposal, m *meeting) (blocked string, err error) {
	if len(m.merged) == 0 {
		return "", nil
	}
	if err := postgres.SaveBodies(ctx, tx, s.WorkspaceID, s.ID, m.bodies); err != nil {
		return "", err
	}
	for _, p := range m.merged {
		if err := postgres.SaveMerge(ctx, tx, c.ID, p); err != nil {
			return "", err
		}
	}
	found, err := k.check(ctx, tx, s, c, caller, proposals)
	if err != nil {
		return "", err
	}
	found = slices.DeleteFunc(found, func(f postgres.Finding) bool { // the others were looked at before
		return !slices.ContainsFunc(m.merged, func(p postgres.Proposal) bool { return p.Seq == f.Seq })
	})
	if err := postgres.SaveFindings(ctx, tx, c, found); err != nil {
		return "", err
	}
	for _, severity := range []string{severityBlock, severityQuarantine} {
		if i := slices.IndexFunc(found, func(f postgres.Finding) bool { return f.Severity == severity }); i >= 0 && (severity == severityBlock || !c.Quarantined) {
			return fmt.Sprintf("merged with what was published meanwhile it does not pass %s: %s", found[i].Check, found[i].Evidence), nil
		}
	}
	return "", nil
}

// state adds what a revision links to, what it states, and when it holds where its proposal does not say.
func (k *Knowledge) state(r *postgres.NewRevision, s postgres.Space, m *meeting) error {
	d, err := m.document(r.Proposal.Result())
	if err != nil || d == nil {
		return err
	}
	r.Links = d.Links
	if r.Proposal.ValidFrom == nil && r.Proposal.ValidTo == nil {
		r.Proposal.ValidFrom, r.Proposal.ValidTo = validity(*d)
	}
	r.Facts, err = k.Checker.Facts(s, r.Proposal.Slug, *d)
	return err
}

// validity is when a document holds by its metadata.
func validity(d knowledge.Document) (from, to *time.Time) {
	read := func(key string) *time.Time {
		text, _ := d.Metadata[key].(string)
		if t, ok := validate.ParseTime(text); ok {
			return &t
		}
		return nil
	}
	if from, to = read("valid_from"), read("valid_to"); from != nil && to != nil && !from.Before(*to) {
		return nil, nil // validation says so
	}
	return from, to
}

// meeting is where proposals meet the heads of today.
type meeting struct {
	space postgres.Space
	heads map[string]postgres.Head
	texts map[string]string // by hash

	bases     map[string]map[int]postgres.Revision // by slug and number
	revisions []postgres.NewRevision
	merged    []postgres.Proposal
	bodies    []postgres.Body // of those
	conflicts []postgres.Conflict
	unchanged int
}

// newMeeting locks the heads and loads the documents that are needed.
func newMeeting(ctx context.Context, tx pgx.Tx, s postgres.Space, proposals []postgres.Proposal) (*meeting, error) {
	m := &meeting{space: s, bases: map[string]map[int]postgres.Revision{}}
	var slugs, hashes []string
	for _, p := range proposals {
		slugs, hashes = append(slugs, p.Slug), append(hashes, p.Hash, p.MergedHash)
	}
	var err error
	if m.heads, err = postgres.LockHeads(ctx, tx, s.ID, slugs); err != nil {
		return nil, err
	}
	for _, p := range proposals {
		head := m.heads[p.Slug]
		if p.Base > head.Number || p.MergedOnto > head.Number || p.Reverts > head.Number {
			return nil, final(KnowledgeRefused, nil, fmt.Sprintf("entry %s has %d revisions: there is none to change with number %d", p.Slug, head.Number, max(p.Base, p.MergedOnto, p.Reverts)))
		}
		if p.Onto() == head.Number {
			continue
		}
		hashes = append(hashes, head.Hash)
		if p.Onto() > 0 {
			base, err := postgres.RevisionOf(ctx, tx, s.ID, p.Slug, p.Onto())
			if err != nil {
				return nil, err
			}
			m.bases[p.Slug] = map[int]postgres.Revision{base.Number: base}
			hashes = append(hashes, base.Hash)
		}
	}
	m.texts, err = postgres.Bodies(ctx, tx, s.ID, hashes)
	return m, err
}

// document returns a document by its hash; nil is that of a deleted entry or of one that was not there.
func (m *meeting) document(hash string) (*knowledge.Document, error) {
	if hash == "" {
		return nil, nil
	}
	text, ok := m.texts[hash]
	if !ok {
		return nil, final(KnowledgeRefused, nil, "document "+hash+" is not there: it was destroyed, or the change set is from before; propose anew from the entry as it is")
	}
	d, err := knowledge.Parse([]byte(text))
	return &d, err
}

// settle decides what becomes of a proposal: a revision, or nothing where the entry says so already or there are conflicts.
func (m *meeting) settle(p *postgres.Proposal) (*postgres.NewRevision, error) {
	head := m.heads[p.Slug]
	says := func() bool { return head.Hash == p.Result() && p.ValidFrom == nil && p.ValidTo == nil }
	if says() {
		m.unchanged++
		return nil, nil
	}
	if p.Onto() != head.Number {
		clean, err := m.merge(p, head)
		if err != nil || !clean {
			return nil, err
		}
		if says() {
			m.unchanged++
			return nil, nil
		}
	}
	parents := []int{}
	if head.Number > 0 {
		parents = append(parents, head.Number)
	}
	if p.MergedOnto > 0 && p.Base > 0 && p.Base != head.Number {
		parents = append(parents, p.Base)
	}
	return &postgres.NewRevision{Proposal: *p, Head: head, Parents: parents}, nil
}

// merge brings a proposal onto a head that has moved since, or notes the conflicts.
func (m *meeting) merge(p *postgres.Proposal, head postgres.Head) (clean bool, err error) {
	base, err := m.document(m.bases[p.Slug][p.Onto()].Hash)
	if err != nil {
		return false, err
	}
	ours, err := m.document(p.Result())
	if err != nil {
		return false, err
	}
	theirs, err := m.document(head.Hash)
	if err != nil {
		return false, err
	}
	result, err := merge.Documents(base, ours, theirs)
	if err != nil {
		return false, err
	}
	for i, c := range result.Conflicts {
		m.conflicts = append(m.conflicts, postgres.Conflict{Seq: p.Seq, N: i, Onto: head.Number, Path: c.Path, Base: c.Base, Ours: c.Ours, Theirs: c.Theirs})
	}
	if len(result.Conflicts) > 0 {
		return false, nil
	}
	body, err := become(p, head.Number, result.Document)
	if err == nil && body.Hash != "" {
		m.texts[body.Hash] = body.Text
		m.bodies = append(m.bodies, body)
	}
	m.merged = append(m.merged, *p)
	return true, err
}

// become makes a proposal what it was merged to on a revision: a document, which is returned as it is stored, or nothing.
func become(p *postgres.Proposal, onto int, d *knowledge.Document) (body postgres.Body, err error) {
	p.MergedOnto, p.MergedHash = onto, ""
	if d == nil {
		p.Op, p.Hash = postgres.OpDelete, ""
		return body, nil
	}
	if body, err = postgres.BodyOf(*d); err != nil {
		return body, err
	}
	if p.Op == postgres.OpDelete {
		p.Op, p.Hash = postgres.OpPut, body.Hash
	}
	p.MergedHash = body.Hash
	return body, nil
}
