package activities

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/vet"
)

// ImportBatchBytes is how much of the object a batch takes: the lines that start in so many bytes.
const ImportBatchBytes = 256 << 10

// maxLine bounds an entry in the object, in bytes.
const maxLine = 4 << 20

// OpenImportInput asks whether an import can begin.
type OpenImportInput struct {
	Caller access.Caller `json:"caller"`
	Space  string        `json:"space"`
	Source SourceRef     `json:"source"`
}

// OpenedImport is an import that can begin.
type OpenedImport struct {
	SpaceID uuid.UUID `json:"space_id"`
	Key     string    `json:"key"`
	Bytes   int64     `json:"bytes"`
	Batches int       `json:"batches"`
}

// ImportBatchInput names a batch of an import.
type ImportBatchInput struct {
	Caller     access.Caller `json:"caller"`
	SpaceID    uuid.UUID     `json:"space_id"`
	Key        string        `json:"key"`
	Import     string        `json:"import"` // one for all batches and retries of an import
	Batch      int           `json:"batch"`
	WorkflowID string        `json:"workflow_id"`
	Reason     string        `json:"reason,omitempty"`
}

// change returns the id of a change set of a batch.
func (in ImportBatchInput) change(part string) uuid.UUID {
	return uuid.NewSHA1(in.Caller.WorkspaceID, fmt.Appendf(nil, "import/%s/%d/%s", in.Import, in.Batch, part))
}

// StagedBatch says how many entries a batch has.
type StagedBatch struct {
	Entries int `json:"entries"`
}

// ImportedBatch is what became of a batch.
type ImportedBatch struct {
	Entries   int           `json:"entries"`
	Published int           `json:"published"`
	Unchanged int           `json:"unchanged"`
	Refused   int           `json:"refused"`
	Waiting   int           `json:"waiting"` // for a person
	Revision  int64         `json:"revision,omitempty"`
	Review    uuid.UUID     `json:"review,omitzero"`   // the change set of what waits, to be started
	Faults    []ImportFault `json:"faults,omitempty"`  // of what was refused, at most maxFaults
	Warnings  int           `json:"warnings,omitzero"` // findings that refuse nothing
}

// ImportFault says why an entry was refused.
type ImportFault struct {
	Slug string `json:"slug"`
	Why  string `json:"why"`
}

const maxFaults = 20

// OpenImport looks at the object and the space.
func (k *Knowledge) OpenImport(ctx context.Context, in OpenImportInput) (*OpenedImport, error) {
	out := &OpenedImport{Key: in.Source.ObjectKey}
	if out.Key == "" && in.Source.SHA256 != "" {
		out.Key = bucket.Key(in.Source.SHA256)
	}
	if out.Key == "" {
		return nil, final(SourceMissing, nil, "put the entries into the bucket as JSON lines and give the key of the object")
	}
	size, err := k.Bucket.Size(ctx, out.Key)
	if err != nil {
		return nil, typed("import "+in.Source.Name, err)
	}
	out.Bytes, out.Batches = size, int((size+ImportBatchBytes-1)/ImportBatchBytes)
	err = k.as(ctx, in.Caller, "import into space "+in.Space, func(tx pgx.Tx) error {
		s, err := postgres.SpaceByName(ctx, tx, in.Caller.WorkspaceID, in.Space)
		if err != nil {
			return err
		}
		out.SpaceID = s.ID
		role, err := postgres.SpaceRole(ctx, tx, s.ID)
		if err == nil && role != postgres.SpaceWriter && role != postgres.SpaceReviewer {
			err = postgres.ErrDenied
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// StageImport stores the entries of a batch as the proposals of a draft, once. All of an import is stored before any of it
// is published, so that its entries may link to each other in any order.
func (k *Knowledge) StageImport(ctx context.Context, in ImportBatchInput) (*StagedBatch, error) {
	var alive progress
	defer alive.beating(ctx)()
	entries, err := k.readBatch(ctx, in)
	if err != nil {
		return nil, err
	}
	err = k.as(ctx, in.Caller, fmt.Sprintf("store batch %d of an import", in.Batch), func(tx pgx.Tx) error {
		proposals, bodies, err := proposed(ctx, tx, in.SpaceID, entries)
		if err != nil {
			return err
		}
		_, err = postgres.StageChange(ctx, tx, in.draft("main"), proposals, bodies)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &StagedBatch{Entries: len(entries)}, nil
}

func (in ImportBatchInput) draft(part string) postgres.Change {
	return postgres.Change{
		ID: in.change(part), WorkspaceID: in.Caller.WorkspaceID, SpaceID: in.SpaceID, Kind: postgres.KindImport, Author: in.Caller.UserID,
		Reason: in.Reason, WorkflowID: in.WorkflowID, Round: 1,
	}
}

// readBatch reads the lines that start in the bytes of the batch. Of entries with the same slug the last counts.
func (k *Knowledge) readBatch(ctx context.Context, in ImportBatchInput) (entries []vault.Entry, err error) {
	start, end := int64(in.Batch)*ImportBatchBytes, int64(in.Batch+1)*ImportBatchBytes
	at := max(0, start-1)
	rc, err := k.Bucket.Range(ctx, in.Key, at, end-at+maxLine)
	if err != nil {
		return nil, typed("read the import", err)
	}
	defer rc.Close()
	r := bufio.NewReaderSize(rc, 64<<10)
	if start > 0 { // the rest of a line of the batch before
		skipped, err := r.ReadBytes('\n')
		if at += int64(len(skipped)); err != nil && !errors.Is(err, io.EOF) {
			return nil, typed("read the import", err)
		}
	}
	place := map[string]int{}
	for at < end {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, typed("read the import", err)
		}
		if len(line) > maxLine || errors.Is(err, io.EOF) && at+int64(len(line)) >= end+maxLine {
			return nil, final(KnowledgeRefused, nil, fmt.Sprintf("the line at byte %d is longer than %d bytes", at, maxLine))
		}
		for e, fault := range vault.ReadLines(bytes.NewReader(line)) {
			if fault != nil {
				return nil, final(KnowledgeRefused, fault, fmt.Sprintf("at byte %d of the object", at))
			}
			if i, ok := place[e.Slug]; ok {
				entries[i] = e
				continue
			}
			place[e.Slug] = len(entries)
			entries = append(entries, e)
		}
		if at += int64(len(line)); errors.Is(err, io.EOF) {
			break
		}
	}
	return entries, nil
}

// PublishImport validates the entries of a batch that was stored and publishes in one transaction those that nothing speaks
// against. What a check forbids is kept as a change set that was rejected, and what must be seen by a person, or conflicts,
// as a draft to be started. A batch that had been published before is told again.
func (k *Knowledge) PublishImport(ctx context.Context, in ImportBatchInput) (*ImportedBatch, error) {
	var alive progress
	defer alive.beating(ctx)()
	out := &ImportedBatch{}
	err := k.as(ctx, in.Caller, fmt.Sprintf("publish batch %d of an import", in.Batch), func(tx pgx.Tx) error {
		c, s, err := open(ctx, tx, ChangeRef{Caller: in.Caller, ChangeID: in.change("main")})
		if err != nil {
			return err
		}
		if !c.Ended() {
			if err := k.importBatch(ctx, tx, s, c, in); err != nil {
				return err
			}
		}
		return out.tell(ctx, tx, in)
	})
	if what, ok := postgres.Contradiction(err); ok { // with a batch published meanwhile: the checks will see it
		return nil, typed("publish an import", fmt.Errorf("%s: %w", what, context.DeadlineExceeded))
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (k *Knowledge) importBatch(ctx context.Context, tx pgx.Tx, s postgres.Space, c postgres.Change, in ImportBatchInput) error {
	proposals, err := postgres.Proposals(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	found, err := k.Checker.Check(ctx, tx, vet.Request{Space: s, Caller: in.Caller, Import: c.WorkflowID, Proposals: proposals}, time.Now().UTC())
	if err != nil {
		return err
	}
	b := &batch{in: in, space: s, change: c}
	b.sort(proposals, found)
	clock, err := postgres.LockClock(ctx, tx, s.ID) // only now: validation takes longer than publishing
	if err != nil {
		return err
	}
	m, err := newMeeting(ctx, tx, s, b.clean)
	if err != nil {
		return err
	}
	if err := b.meet(k, m); err != nil {
		return err
	}
	if err := b.setAside(ctx, tx); err != nil {
		return err
	}
	if len(b.clean) == 0 {
		return postgres.SetChangeState(ctx, tx, c.ID, postgres.ChangeWithdrawn, "all of it was refused or waits")
	}
	if err := postgres.SetChangeState(ctx, tx, c.ID, postgres.ChangeApproved, ""); err != nil {
		return err
	}
	_, err = postgres.Publish(ctx, tx, s, c, clock, m.revisions)
	return err
}

// batch sorts the proposals of a batch by what becomes of them.
type batch struct {
	in                      ImportBatchInput
	space                   postgres.Space
	change                  postgres.Change
	clean, waiting, refused []postgres.Proposal
	found                   map[int][]postgres.Finding // by proposal
}

// sort goes by the gravest finding of each. Copies, and links to what is not there or was refused, are no fault in an
// import: a vault comes out as it came in.
func (b *batch) sort(proposals []postgres.Proposal, found []postgres.Finding) {
	b.found = map[int][]postgres.Finding{}
	for _, f := range found {
		if (strings.HasPrefix(f.Check, "duplicate.") || f.Check == "link.missing") && f.Severity == severityBlock {
			f.Severity = severityWarn
		}
		b.found[f.Seq] = append(b.found[f.Seq], f)
	}
	for _, p := range proposals {
		switch {
		case hasSeverity(b.found[p.Seq], severityBlock):
			b.refused = append(b.refused, p)
		case hasSeverity(b.found[p.Seq], severityQuarantine), b.space.Approvals > 0:
			b.waiting = append(b.waiting, p)
		default:
			b.clean = append(b.clean, p)
		}
	}
}

// meet decides what is published. What was changed meanwhile waits for its own workflow to merge it.
func (b *batch) meet(k *Knowledge, m *meeting) error {
	stays := b.clean[:0]
	for _, p := range b.clean {
		if head := m.heads[p.Slug]; p.Base != head.Number && head.Hash != p.Hash {
			b.waiting = append(b.waiting, p)
			continue
		}
		r, err := m.settle(&p)
		if err == nil && r != nil {
			if err = k.state(r, b.space, m); err == nil {
				m.revisions = append(m.revisions, *r)
			}
		}
		if err != nil {
			return err
		}
		stays = append(stays, p)
	}
	b.clean = stays
	return nil
}

// setAside moves what is not published into change sets of its own, with what was found.
func (b *batch) setAside(ctx context.Context, tx pgx.Tx) error {
	if err := postgres.SaveFindings(ctx, tx, b.change, b.of(b.clean)); err != nil {
		return err
	}
	for _, part := range []struct {
		name      string
		proposals []postgres.Proposal
	}{{"review", b.waiting}, {"refused", b.refused}} {
		if len(part.proposals) == 0 {
			continue
		}
		c := b.in.draft(part.name)
		var found []postgres.Finding
		for i, p := range part.proposals { // stored, they are counted from 0 again
			for _, f := range b.found[p.Seq] {
				f.Seq = i
				found = append(found, f)
			}
		}
		if part.name == "review" {
			c.WorkflowID = "" // its workflow validates it anew
		}
		if _, err := postgres.StageChange(ctx, tx, c, part.proposals, nil); err != nil {
			return err
		}
		if part.name == "refused" {
			if err := postgres.SaveFindings(ctx, tx, c, found); err != nil {
				return err
			}
			if err := postgres.SetChangeState(ctx, tx, c.ID, postgres.ChangeRejected, "checks forbid it"); err != nil {
				return err
			}
		}
		if err := postgres.RemoveProposals(ctx, tx, b.change.ID, part.proposals); err != nil {
			return err
		}
	}
	return nil
}

// of returns what was found in proposals.
func (b *batch) of(proposals []postgres.Proposal) (out []postgres.Finding) {
	for _, p := range proposals {
		out = append(out, b.found[p.Seq]...)
	}
	return out
}

// tell reads back what became of the batch.
func (out *ImportedBatch) tell(ctx context.Context, tx pgx.Tx, in ImportBatchInput) error {
	sums, err := postgres.BatchTotals(ctx, tx, in.change("main"), in.change("review"), in.change("refused"))
	if err != nil {
		return err
	}
	out.Published, out.Unchanged, out.Waiting, out.Refused = sums.Published, sums.Kept-sums.Published, sums.Waiting, sums.Refused
	out.Entries, out.Revision, out.Warnings = sums.Kept+sums.Waiting+sums.Refused, sums.Revision, sums.Findings
	if out.Waiting > 0 {
		out.Review = in.change("review")
	}
	if out.Refused == 0 {
		return nil
	}
	proposals, err := postgres.Proposals(ctx, tx, in.change("refused"))
	if err != nil {
		return err
	}
	found, err := postgres.Findings(ctx, tx, in.change("refused"))
	for _, f := range found {
		if f.Severity == severityBlock && len(out.Faults) < maxFaults && f.Seq < len(proposals) {
			out.Faults = append(out.Faults, ImportFault{Slug: proposals[f.Seq].Slug, Why: clip(f.Check+": "+f.Evidence, maxEvidence)})
		}
	}
	return err
}

// ImportReport is what an import did, as the database keeps it.
type ImportReport struct {
	Space     string               `json:"space"`
	Source    string               `json:"source"`
	Entries   int                  `json:"entries"`
	Published int                  `json:"published"`
	Unchanged int                  `json:"unchanged"`
	Refused   int                  `json:"refused"`
	Waiting   int                  `json:"waiting"`
	Warnings  int                  `json:"warnings"`
	Revision  int64                `json:"revision"` // of the space, to wait for
	Faults    []ImportFault        `json:"faults"`   // at most 50
	Broken    []postgres.Reference `json:"broken"`   // links to what is not there, at most 50
	State     string               `json:"state"`
	Attached  *Attached            `json:"attachments,omitempty"` // the files that are no entries, if there are any
}

// FinishImportInput asks for the report of an import to be stored.
type FinishImportInput struct {
	Caller  access.Caller `json:"caller"`
	SpaceID uuid.UUID     `json:"space_id"`
	Import  string        `json:"import"`
	Report  ImportReport  `json:"report"`
}

// FinishImport stores the report of an import so far, with the links of the space that lead nowhere.
func (k *Knowledge) FinishImport(ctx context.Context, in FinishImportInput) (*ImportReport, error) {
	out := in.Report
	err := k.as(ctx, in.Caller, "finish an import", func(tx pgx.Tx) error {
		s, err := postgres.SpaceByID(ctx, tx, in.SpaceID)
		if err != nil {
			return err
		}
		if out.Broken, err = postgres.BrokenLinks(ctx, tx, s, 50); err != nil {
			return err
		}
		return postgres.SaveReport(ctx, tx, s, postgres.ReportImport, activity.GetInfo(ctx).WorkflowExecution.ID, in.Import, false, out)
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}
