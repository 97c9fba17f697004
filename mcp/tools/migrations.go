package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
	"github.com/tartan-ai/tartan/workflows"
)

// Linted is a plan as it was read, and what is dangerous in it.
type Linted struct {
	Plan   *migration.Plan `json:"plan,omitempty"`
	Report lint.Report     `json:"report"`
	Fault  string          `json:"fault,omitempty"` // why it cannot be read; there is no plan then
}

// fileList are the files of a plan: {name, text}.
type fileList []migration.File

const maxPlanBytes = 4 << 20

func (l *fileList) schema() string { return `"type":"array","items":{"type":"object"}` }

func (l *fileList) parse(value []byte) error {
	*l = nil
	if len(value) > maxPlanBytes {
		return errors.New("has more than 4 MB")
	}
	if value[0] != '[' {
		return errors.New("must be an array of objects with name, text")
	}
	return jsonrpc.Elements(value, func(element []byte) error {
		var f migration.File
		if err := json.Unmarshal(element, &f); err != nil || f.Name == "" {
			return fmt.Errorf("file %d must be an object with name, text", len(*l)+1)
		}
		*l = append(*l, f)
		return nil
	})
}

type planArgs struct {
	Files fileList `json:"files" required:"true" doc:"[{name, text}]: .sql files in Tartan's format, or of goose, golang-migrate, Flyway, Supabase"`
}

// Planned is a plan that was looked at. Plan is empty where errors have to be mended first.
type Planned struct {
	Plan         string         `json:"plan,omitempty"` // for start_migration
	Name         string         `json:"name"`
	Steps        []PlannedStep  `json:"steps"`
	Findings     []lint.Finding `json:"findings"`
	Irreversible []string       `json:"irreversible,omitempty"`
	Next         string         `json:"next"`
}

// PlannedStep is a step with the strongest lock that its statements take.
type PlannedStep struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Lock     string `json:"lock,omitempty"`
	Blocks   string `json:"blocks,omitempty"`
	Rewrites bool   `json:"rewrites,omitempty"`
}

func (s *Suite) planMigration() Tool {
	return define[planArgs, Planned](Tool{
		Name: "plan_migration", Title: "Plan a migration", Role: access.Operator, Idempotent: true,
		Description: "Look at a plan for a database: what is dangerous and how it is done safely, locks, what cannot be undone. Changes no database; keeps the plan for start_migration.",
	}, func(ctx context.Context, c Call, in planArgs) (Planned, string, error) {
		out, err := s.plan(ctx, in.Files)
		return out, out.text(), err
	})
}

func (s *Suite) plan(ctx context.Context, files []migration.File) (out Planned, err error) {
	if s.Linter == nil || s.Bucket == nil {
		return out, unavailable("", "this server reads no plans")
	}
	read, err := s.Linter(ctx, files)
	if err != nil {
		return out, err
	}
	if read.Fault != "" {
		return out, invalid("%s", read.Fault)
	}
	out = Planned{Name: read.Plan.Name, Steps: []PlannedStep{}, Findings: read.Report.Findings, Irreversible: read.Report.Irreversible}
	for _, st := range read.Plan.Steps {
		out.Steps = append(out.Steps, plannedStep(st, read.Report.Statements))
	}
	if read.Report.Errors() {
		out.Next = "Mend the errors, or write -- tartan:allow RULE REASON before what is meant so"
		return out, nil
	}
	body, err := json.Marshal(read.Plan)
	if err != nil {
		return out, err
	}
	object, err := s.Bucket.PutBytes(ctx, body)
	if err != nil {
		return out, fmt.Errorf("keep plan %s: %w", out.Name, err)
	}
	out.Plan, out.Next = object.Key, "Show the user what it does, then start_migration with this plan"
	return out, nil
}

func plannedStep(st migration.Step, statements []lint.Work) PlannedStep {
	out := PlannedStep{Name: st.Name, Kind: string(st.Kind)}
	for _, w := range statements {
		if w.Step == st.Name {
			out.Lock = lint.Stronger(out.Lock, w.Lock)
			out.Rewrites = out.Rewrites || w.Rewrites
		}
	}
	out.Blocks = lint.Blocks(out.Lock)
	return out
}

func (p Planned) text() string {
	errs := 0
	for _, f := range p.Findings {
		if f.Severity == lint.Error {
			errs++
		}
	}
	return fmt.Sprintf("%s: %s, %s (%d of them errors). %s", p.Name, plural(len(p.Steps), "step"), plural(len(p.Findings), "finding"), errs, p.Next)
}

type startMigrationArgs struct {
	Target string `json:"target" required:"true" doc:"Name of the database"`
	Plan   string `json:"plan" required:"true" doc:"From plan_migration"`
}

// Migration is how a migration stands.
type Migration struct {
	ID          string                 `json:"id"`
	Workflow    string                 `json:"workflow"`
	Target      string                 `json:"target"`
	Plan        string                 `json:"plan"`
	State       string                 `json:"state"`
	Phase       string                 `json:"phase"`
	Why         string                 `json:"why,omitempty"`
	Paused      bool                   `json:"paused,omitempty"`
	Steps       []workflows.StepStatus `json:"steps,omitempty" schema:"brief"`
	Rows        int64                  `json:"rows,omitempty"` // of the step under way
	Total       int64                  `json:"total,omitempty"`
	PerSecond   float64                `json:"rows_per_second,omitempty"`
	Left        float64                `json:"seconds_left,omitempty"`
	Waits       string                 `json:"waits,omitempty"` // for whom
	Different   int                    `json:"different,omitempty"`
	Differences []migration.Difference `json:"differences,omitempty" schema:"brief"`
	Before      []migration.Timing     `json:"before,omitempty" schema:"brief"` // reference queries
	After       []migration.Timing     `json:"after,omitempty" schema:"brief"`
	Waited      []workflows.Waited     `json:"waited,omitempty" schema:"brief"`
	Started     string                 `json:"started,omitempty"`
	Updated     string                 `json:"updated,omitempty"`
	Confirm     string                 `json:"confirm,omitempty"` // to be given back where a person confirms
}

func (m Migration) text() string {
	text := fmt.Sprintf("%s of %s: %s, in phase %s", m.Plan, m.Target, m.State, m.Phase)
	if m.Why != "" {
		text += "; " + m.Why
	}
	if m.Confirm != "" {
		text = "Nothing is done yet. Ask the user whether all of it is to be undone; if so, call again with confirm " + m.Confirm + ". " + text
	}
	return text
}

func (s *Suite) startMigration() Tool {
	return define[startMigrationArgs, Migration](Tool{
		Name: "start_migration", Title: "Start a migration", Role: access.Operator, Destructive: true, Idempotent: true,
		Description: "Apply a plan to a database, durably. First show the user the plan. Follow it with get_workflow; any failure undoes it exactly.",
	}, func(ctx context.Context, c Call, in startMigrationArgs) (Migration, string, error) {
		out, err := s.start(ctx, c, in)
		return out, out.text(), err
	})
}

func (s *Suite) start(ctx context.Context, c Call, in startMigrationArgs) (out Migration, err error) {
	temporal, err := s.durable()
	if err != nil {
		return out, err
	}
	if s.Bucket == nil {
		return out, unavailable("", "this server has no bucket")
	}
	body, err := s.Bucket.ReadAll(ctx, in.Plan, 4*maxPlanBytes)
	if err != nil {
		return out, notFound("Call plan_migration first, and take its plan", "no plan %s", short(in.Plan))
	}
	var p migration.Plan
	if err := json.Unmarshal(body, &p); err != nil || len(p.Steps) == 0 {
		return out, invalid("%s is no plan. Call plan_migration first, and take its plan", short(in.Plan))
	}
	sum := sha256.Sum256(body)
	input := workflows.MigrateInput{
		Caller: c.Caller, Migration: uuid.New(), Target: in.Target, Plan: workflows.PlanRef{Name: p.Name, Key: in.Plan, SHA256: hex.EncodeToString(sum[:])},
	}
	return s.began(ctx, temporal, input)
}

// began starts the workflow, unless the target is taken by another plan.
func (s *Suite) began(ctx context.Context, temporal client.Client, input workflows.MigrateInput) (out Migration, err error) {
	id, _, existed, err := workflows.StartMigration(ctx, temporal, input)
	if err != nil {
		return out, explainWorkflow(err, id)
	}
	out, err = s.stands(ctx, temporal, id)
	if err == nil && existed && out.Plan != input.Plan.Name {
		return out, invalid("target %s is being migrated by %s. Wait for it, or roll it back", input.Target, out.Plan)
	}
	return out, err
}

// stands asks the workflow; one that has only begun may need a moment to answer.
func (s *Suite) stands(ctx context.Context, temporal client.Client, id string) (Migration, error) {
	status, live, err := workflows.MigrationStands(ctx, temporal, id)
	if err != nil {
		return Migration{}, explainWorkflow(err, id)
	}
	out := ofStatusOf(status, id)
	if live == nil {
		return out, nil
	}
	out.Rows, out.Total, out.PerSecond = live.Rows, live.Total, live.PerSec
	if live.PerSec > 0 && live.Total > live.Rows {
		out.Left = float64(int64(float64(live.Total-live.Rows) / live.PerSec))
	}
	who := make([]string, len(live.Blockers))
	for i, b := range live.Blockers {
		who[i] = b.String()
	}
	out.Waits = strings.Join(who, ", ")
	return out, nil
}

func ofStatusOf(st workflows.MigrationStatus, id string) Migration {
	return Migration{
		ID: st.Migration.String(), Workflow: id, Target: st.Target, Plan: st.Plan, State: st.State, Phase: st.Phase, Why: st.Why, Paused: st.Paused, Steps: st.Steps,
		Different: st.Different, Differences: st.Differences, Before: st.Before, After: st.After, Waited: st.Waits, Started: stamp(st.StartedAt), Updated: stamp(st.UpdatedAt),
	}
}

type reviewMigrationArgs struct {
	Target string `json:"target" required:"true"`
	Action string `json:"action" required:"true" enum:"approve|reject|pause|resume|look" note:"reject undoes all; look changes nothing"`
	Note   string `json:"note" max:"4096"`
}

func (s *Suite) reviewMigration() Tool {
	return define[reviewMigrationArgs, Migration](Tool{
		Name: "review_migration", Title: "Review a migration", Role: access.Operator, Destructive: true, Idempotent: true,
		Description: "Decide about the migration of a database, or look how it stands. Ask the user before approve and reject.",
	}, func(ctx context.Context, c Call, in reviewMigrationArgs) (Migration, string, error) {
		out, err := s.decide(ctx, c, in.Target, in.Action, in.Note)
		return out, out.text(), err
	})
}

func (s *Suite) decide(ctx context.Context, c Call, target, action, note string) (Migration, error) {
	temporal, err := s.durable()
	if err != nil {
		return Migration{}, err
	}
	id := workflows.MigrationWorkflowID(c.Caller.WorkspaceID, target)
	if action == "look" {
		return s.stands(ctx, temporal, id)
	}
	status, refused, err := workflows.DirectMigration(ctx, temporal, id, action, workflows.ReviewMigrationInput{Caller: c.Caller, Note: note})
	switch {
	case refused != nil:
		return Migration{}, explainFailure(refused)
	case errors.Is(err, workflows.ErrFinished):
		return Migration{}, invalid("the migration of %s has ended", target)
	case err != nil:
		return Migration{}, explainWorkflow(err, id)
	}
	return ofStatusOf(status, id), nil
}

type rollbackArgs struct {
	Target  string `json:"target" required:"true"`
	Confirm string `json:"confirm" doc:"From the first call, once the user agreed"`
	Note    string `json:"note" max:"4096"`
}

func (s *Suite) rollbackMigration() Tool {
	return define[rollbackArgs, Migration](Tool{
		Name: "rollback_migration", Title: "Roll a migration back", Role: access.Operator, Destructive: true,
		Description: "Undo the last migration of a database exactly, under way or completed. Asks the user, or returns confirm to be sent once they agreed.",
	}, func(ctx context.Context, c Call, in rollbackArgs) (Migration, string, error) {
		out, err := s.rollback(ctx, c, in)
		return out, out.text(), err
	})
}

func (s *Suite) rollback(ctx context.Context, c Call, in rollbackArgs) (Migration, error) {
	temporal, err := s.durable()
	if err != nil {
		return Migration{}, err
	}
	last, err := s.lastMigration(ctx, c, in.Target)
	if err != nil {
		return Migration{}, err
	}
	if last.State == postgres.MigrationRolledBack {
		return Migration{}, invalid("the last migration of %s was rolled back already", in.Target)
	}
	out := ofStored(last)
	token := confirmation(last)
	if in.Confirm == "" {
		agreed, asked := s.ask(ctx, fmt.Sprintf("Undo migration %s of %s (%s, %d of %d steps done)?", last.Plan, last.Target, last.State, last.StepsDone, last.StepsTotal))
		if asked && !agreed {
			return out, &Error{Kind: Denied, Message: "the user did not agree; nothing was undone"}
		}
		if !asked {
			out.Confirm = token
			return out, nil
		}
	} else if in.Confirm != token {
		return out, invalid("confirm is not that of this migration as it stands now. Call without it, and ask the user again")
	}
	if last.State != postgres.MigrationCompleted {
		return s.decide(ctx, c, in.Target, workflows.UpdateRollback, in.Note)
	}
	if last.ArchiveUntil != nil && time.Now().After(*last.ArchiveUntil) {
		return out, invalid("the archive of migration %s was kept until %s; it cannot be undone any more", last.ID, stamp(*last.ArchiveUntil))
	}
	return s.began(ctx, temporal, workflows.MigrateInput{
		Caller: c.Caller, Migration: last.ID, Target: last.Target, Plan: workflows.PlanRef{Name: last.Plan, Key: last.PlanKey, SHA256: last.SHA256}, Undo: true,
	})
}

func (s *Suite) ask(ctx context.Context, question string) (agreed, asked bool) {
	if s.Ask == nil {
		return false, false
	}
	return s.Ask(ctx, question)
}

// confirmation changes as the migration goes on, so that one that was shown for another state is refused.
func confirmation(m postgres.TargetMigration) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "rollback\x00%s\x00%s\x00%s\x00%d", m.ID, m.State, m.Phase, m.StepsDone))
	return hex.EncodeToString(sum[:6])
}

func (s *Suite) lastMigration(ctx context.Context, c Call, target string) (out postgres.TargetMigration, err error) {
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		list, _, err := postgres.TargetMigrations(ctx, tx, postgres.ListTargetMigrations{WorkspaceID: c.Caller.WorkspaceID, Target: target, Limit: 1})
		if err == nil && len(list) == 0 {
			return notFound("Start one with start_migration", "no migration of target %s", short(target))
		}
		if err == nil {
			out = list[0]
		}
		return err
	})
	return out, err
}

func ofStored(m postgres.TargetMigration) Migration {
	return Migration{
		ID: m.ID.String(), Workflow: m.WorkflowID, Target: m.Target, Plan: m.Plan, State: m.State, Phase: m.Phase, Why: m.Why,
		Differences: m.Differences, Different: len(m.Differences), Started: stamp(m.StartedAt), Updated: stamp(m.UpdatedAt),
	}
}
