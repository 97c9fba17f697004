package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/vet"
	"github.com/tartan-ai/tartan/workflows"
)

type validateArgs struct {
	Changes draftList `json:"changes" required:"true" doc:"As for propose_change"`
}

// Verdict is what validation says of changes that are not proposed yet.
type Verdict struct {
	Verdict  string         `json:"verdict"` // ok, warn, quarantine or block
	Means    string         `json:"means"`
	Findings []EntryFinding `json:"findings"` // the gravest first in each entry
}

var verdicts = []string{"block", "quarantine", "warn", "info"}

var verdictMeans = map[string]string{
	"ok": "it can be published", "info": "it can be published", "warn": "it can be published; see whether the findings are meant so",
	"quarantine": "it waits for a reviewer, whatever the space asks for", "block": "it will be rejected: mend it first",
}

func (s *Suite) validateChange() Tool {
	return define[validateArgs, Verdict](Tool{
		Name: "validate_change", Title: "Validate a change", Role: editor, ReadOnly: true, Idempotent: true,
		Description: "Dry run: what validation says of changes before they are proposed. Nothing is stored.",
	}, func(ctx context.Context, c Call, in validateArgs) (Verdict, string, error) {
		out := Verdict{Verdict: "ok", Findings: []EntryFinding{}}
		err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			sp, err := s.spaceOf(ctx, tx, c, in.Changes, false)
			if err != nil {
				return err
			}
			proposals, bodies, err := staged(ctx, tx, sp, in.Changes)
			if err != nil {
				return err
			}
			texts := map[string]string{}
			for _, b := range bodies {
				texts[b.Hash] = b.Text
			}
			found, err := s.checker().Check(ctx, tx, vet.Request{Space: sp, Caller: c.Caller, Proposals: proposals, Texts: texts}, time.Now())
			for _, f := range found {
				if len(out.Findings) < 100 {
					out.Findings = append(out.Findings, findingOf(in.Changes[f.Seq].Entry, f))
				}
				out.worsen(f.Severity)
			}
			return err
		})
		out.Means = verdictMeans[out.Verdict]
		return out, out.text(), err
	})
}

func (s *Suite) checker() *vet.Checker {
	s.checkerOnce.Do(func() { s.checkers = vet.New(s.Bucket) })
	return s.checkers
}

func (v *Verdict) worsen(severity string) {
	for _, known := range verdicts {
		if v.Verdict == known {
			return
		}
		if severity == known {
			v.Verdict = severity
			return
		}
	}
}

func (v Verdict) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.Verdict, v.Means)
	for _, f := range v.Findings[:min(len(v.Findings), 20)] {
		b.WriteString("\n" + f.text())
	}
	return b.String()
}

type restoreArgs struct {
	Entry    string  `json:"entry" doc:"space/slug; or space with as_of or tag" note:"Or a space or folder, for what is in it"`
	Revision int     `json:"revision" min:"1" max:"2147483647" note:"Of the entry: what is brought back"`
	AsOf     instant `json:"as_of" doc:"RFC 3339 or age" note:"What had been published then is brought back"`
	Tag      string  `json:"tag" max:"100" note:"What the tag names is brought back"`
	Change   string  `json:"change" note:"A change set to take back; what was published since is kept"`
	Reason   string  `json:"reason" max:"4096"`
	Key      string  `json:"key" max:"200" note:"Idempotency key"`
}

func (s *Suite) restoreKnowledge() Tool {
	return define[restoreArgs, Change](Tool{
		Name: "restore_knowledge", Title: "Restore knowledge", Role: editor, Destructive: true,
		Description: "Bring back what was, as new revisions; or take back a change set.",
	}, func(ctx context.Context, c Call, in restoreArgs) (Change, string, error) {
		out, err := s.restore(ctx, c, in)
		return out, out.text(), err
	})
}

func (s *Suite) restore(ctx context.Context, c Call, in restoreArgs) (Change, error) {
	temporal, err := s.durable()
	if err != nil {
		return Change{}, err
	}
	given := 0
	for _, is := range []bool{in.Revision > 0, in.AsOf.set(), in.Tag != "", in.Change != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return Change{}, invalid(`give one of "revision", "as_of", "tag" and "change"`)
	}
	key := in.Key
	if key != "" {
		key = "restore/" + key
	}
	arg := workflows.RestoreKnowledgeInput{Tag: in.Tag, At: in.AsOf.from(time.Now()), Reason: in.Reason}
	arg.Caller, arg.ChangeID = c.Caller, workflows.ChangeID(c.Caller.WorkspaceID, key)
	if err := s.restores(ctx, c, in, &arg); err != nil {
		return Change{}, err
	}
	id, existed, err := workflows.StartRestore(ctx, temporal, arg)
	if err != nil {
		return Change{}, explainWorkflow(err, "")
	}
	out, err := s.settled(ctx, c, arg.ChangeID, id)
	out.Existed = existed
	return out, err
}

// restores fills in what is to be restored, after the database has said that the caller may see it.
func (s *Suite) restores(ctx context.Context, c Call, in restoreArgs, arg *workflows.RestoreKnowledgeInput) error {
	name, slug, _ := strings.Cut(in.Entry, "/")
	return s.inWorkspace(ctx, c, func(tx pgx.Tx) (err error) {
		if in.Change != "" {
			var change Change
			if arg.Change, err = uuid.Parse(in.Change); err != nil {
				return noChange(in.Change)
			}
			if change, err = readChange(ctx, tx, arg.Change); err != nil {
				return noChange(in.Change)
			}
			arg.Space = change.Space
			return nil
		}
		sp, err := s.spaceByName(ctx, tx, c, name)
		if err != nil {
			return err
		}
		arg.Space = sp.Name
		if in.Revision == 0 {
			arg.Prefix = slug
			return nil
		}
		if arg.Slug, arg.Number = slug, in.Revision; slug == "" {
			return invalid(`"revision" is of an entry: give space/slug`)
		}
		_, err = postgres.RevisionOf(ctx, tx, sp.ID, slug, in.Revision)
		return noEntry(err, in.Entry)
	})
}
