package workflows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/migration"
)

// The states of a migration, as the projection names them.
const (
	MigrationRunning     = "running"
	MigrationInReview    = "in_review"
	MigrationRollingBack = "rolling_back"
	MigrationStuck       = "stuck" // undoing failed: a person looks, and resumes
	MigrationCompleted   = "completed"
	MigrationRolledBack  = "rolled_back"
)

// The phases of a migration.
const (
	PhaseOpen     = "snapshot" // lint, and the catalogue into the ledger
	PhaseChecks   = "checks"
	PhaseApply    = "apply"
	PhaseVerify   = "verify"
	PhaseMeasure  = "performance"
	PhaseApproval = "approval"
	PhaseSoak     = "soak"
	PhaseContract = "contract"
	PhaseRollback = "rollback"
	PhaseDone     = "done"
)

// MigrateInput asks for a plan to be applied to a target, or for a completed migration to be undone from its archive.
type MigrateInput struct {
	Caller    access.Caller `json:"caller"`
	Migration uuid.UUID     `json:"migration"`
	Target    string        `json:"target"`
	Plan      PlanRef       `json:"plan"`
	Undo      bool          `json:"undo,omitempty"`
}

// PlanRef says where a plan is.
type PlanRef = activities.PlanRef

// MigrateResult says how a migration ended. Both ends are results: that it was rolled back is none of Temporal's failures.
type MigrateResult struct {
	MigrationStatus
}

// MigrationStatus is how a migration stands.
type MigrationStatus struct {
	Migration   uuid.UUID               `json:"migration"`
	Target      string                  `json:"target"`
	Plan        string                  `json:"plan"`
	State       string                  `json:"state"`
	Phase       string                  `json:"phase"`
	Why         string                  `json:"why,omitempty"`
	Paused      bool                    `json:"paused,omitempty"`
	Steps       []StepStatus            `json:"steps"`
	Current     int                     `json:"current"` // index of the step under way; -1 is none
	Different   int                     `json:"different,omitempty"`
	Differences []activities.Difference `json:"differences,omitempty"` // from what it was, after rolling back; at most 50
	Before      []activities.QueryTime  `json:"before,omitempty"`      // reference queries
	After       []activities.QueryTime  `json:"after,omitempty"`
	Approver    *uuid.UUID              `json:"approver,omitempty"`
	ApproveBy   *time.Time              `json:"approve_by,omitempty"`
	SoakUntil   *time.Time              `json:"soak_until,omitempty"`
	Waits       []Waited                `json:"waits,omitempty"` // for approval, and the soak
	StartedAt   time.Time               `json:"started_at"`
	UpdatedAt   time.Time               `json:"updated_at"`
}

// StepStatus is how a step stands.
type StepStatus struct {
	Name       string     `json:"name"`
	Kind       string     `json:"kind"`
	State      string     `json:"state"` // pending, running, done, undoing, undone
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	UndoneFrom *time.Time `json:"undone_from,omitempty"`
	UndoneTo   *time.Time `json:"undone_to,omitempty"`
}

// Waited is a stretch in which the migration let time pass.
type Waited struct {
	Name string    `json:"name"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// migrateWorkflow is the name of the workflow type.
const migrateWorkflow = "Migrate"

// errStopped says that a person or a rule wants the migration undone; the reason is in the status.
var errStopped = errors.New("stopped")

// Migrate applies a plan to a database of the user step by step, waits for what the plan asks for, and completes; or undoes
// what was done, in reverse, where a step fails, a person rejects it or asks for it, or the workflow is cancelled. What each
// step did is in a ledger in that database, in the transaction of the step.
func Migrate(ctx workflow.Context, in MigrateInput) (*MigrateResult, error) {
	m := newMigration(ctx, in)
	if err := m.listen(ctx); err != nil {
		return nil, err
	}
	ctx, m.stop = workflow.WithCancel(ctx)
	if err := m.open(ctx, in.Undo); err != nil {
		return nil, failure(err) // nothing has been done
	}
	if in.Undo {
		return m.rollback(ctx, errStopped)
	}
	err := m.forward(ctx)
	if err == nil && ctx.Err() != nil && workflow.GetVersion(ctx, "stopped in the last step", workflow.DefaultVersion, 1) > workflow.DefaultVersion {
		err = errStopped // the step ended before it learned of it
	}
	if err != nil {
		return m.rollback(ctx, err)
	}
	return m.finish(ctx)
}

// migrate is one run of Migrate. Its methods are the phases.
type migrate struct {
	ref    activities.MigrationRef
	acts   *activities.Migrations
	plan   activities.OpenedMigration
	status MigrationStatus

	stop      workflow.CancelFunc // ends what goes forward
	interrupt workflow.CancelFunc // ends the activity of the step under way, for a pause; nil is none
	approved  bool
	tooLate   bool // completed: nothing can be asked for any more
}

func newMigration(ctx workflow.Context, in MigrateInput) *migrate {
	return &migrate{
		ref: activities.MigrationRef{Caller: in.Caller, Migration: in.Migration, Target: in.Target, Plan: in.Plan},
		status: MigrationStatus{
			Migration: in.Migration, Target: in.Target, Plan: in.Plan.Name, State: MigrationRunning, Phase: PhaseOpen, Steps: []StepStatus{}, Current: -1,
			StartedAt: workflow.Now(ctx), UpdatedAt: workflow.Now(ctx), Why: undoReason(in),
		},
	}
}

func undoReason(in MigrateInput) string {
	if in.Undo {
		return "asked for after completion"
	}
	return ""
}

// open enters the migration into the ledger of the target, or takes it up again. It is not cancelled: afterwards it is known
// what there is to undo.
func (m *migrate) open(ctx workflow.Context, again bool) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := m.mark(ctx); err != nil {
		return err
	}
	activity := any(m.acts.OpenMigration)
	if again {
		activity = m.acts.ReopenMigration
	}
	if err := m.do(ctx, "snapshot", activity, m.ref, &m.plan); err != nil {
		m.status.State, m.status.Why = MigrationRolledBack, words(err)
		if again {
			m.status.State = MigrationCompleted
		}
		m.markQuietly(ctx)
		return err
	}
	for _, s := range m.plan.Steps {
		state := "pending"
		if s.Done {
			state = "done"
		}
		m.status.Steps = append(m.status.Steps, StepStatus{Name: s.Name, Kind: string(s.Kind), State: state, StartedAt: s.Started, FinishedAt: s.Finished})
	}
	return nil
}

// forward goes through the phases up to the end of the contract steps.
func (m *migrate) forward(ctx workflow.Context) error {
	if err := m.phase(ctx, PhaseChecks); err != nil {
		return err
	}
	if err := m.do(ctx, "checks", m.acts.CheckMigration, m.ref, nil); err != nil {
		return err
	}
	before, err := m.verify(ctx, nil, false)
	if err != nil {
		return err
	}
	if err := m.measure(ctx, &m.status.Before); err != nil {
		return err
	}
	if err := m.apply(ctx, PhaseApply, false); err != nil {
		return err
	}
	if _, err := m.verify(ctx, before, true); err != nil {
		return err
	}
	if err := m.compareSpeed(ctx); err != nil {
		return err
	}
	if err := m.approval(ctx); err != nil {
		return err
	}
	if err := m.soak(ctx); err != nil {
		return err
	}
	return m.apply(ctx, PhaseContract, true)
}

// phase enters a phase, once nobody holds the migration.
func (m *migrate) phase(ctx workflow.Context, name string) error {
	if err := m.gate(ctx); err != nil {
		return err
	}
	m.status.Phase, m.status.State = name, MigrationRunning
	return m.mark(ctx)
}

// gate waits while the migration is paused.
func (m *migrate) gate(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return !m.status.Paused })
}

// apply applies the steps that are contract steps, or those that are not.
func (m *migrate) apply(ctx workflow.Context, phase string, contract bool) error {
	if err := m.phase(ctx, phase); err != nil {
		return err
	}
	for i, s := range m.plan.Steps {
		if s.Contract != contract {
			continue
		}
		if err := m.step(ctx, i, "running", "done", func(ctx workflow.Context) error {
			in := activities.MigrationStepInput{MigrationRef: m.ref, Ordinal: i}
			return workflow.ExecuteActivity(on(ctx, activities.QueueMigrate, s.Name, stepTimeout), m.acts.ApplyStep, in).Get(ctx, nil)
		}); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// stepTimeout bounds one attempt at a step: that it lives is told by its heartbeats.
const stepTimeout = 30 * 24 * time.Hour

// step does something with a step. A pause ends the attempt that is under way; what it has done stays, and it is taken up where
// it was.
func (m *migrate) step(ctx workflow.Context, i int, during, after string, do func(ctx workflow.Context) error) error {
	s, started := &m.status.Steps[i], workflow.Now(ctx)
	defer func() { m.status.Current, m.interrupt = -1, nil }()
	for {
		if err := m.gate(ctx); err != nil {
			return err
		}
		inner, interrupt := workflow.WithCancel(ctx)
		m.status.Current, m.interrupt, s.State = i, interrupt, during
		from, to := &s.StartedAt, &s.FinishedAt
		if during == "undoing" {
			from, to = &s.UndoneFrom, &s.UndoneTo
		}
		*from, m.status.UpdatedAt = &started, workflow.Now(ctx)
		err := do(inner)
		interrupted := inner.Err() != nil
		m.interrupt = nil
		interrupt()
		// An attempt that is told to end and meets an outage instead is not repeated by Temporal.
		if err != nil && interrupted && ctx.Err() == nil && (temporal.IsCanceledError(err) || !isFinal(err)) {
			continue
		}
		if err == nil {
			now := workflow.Now(ctx)
			s.State, *to, m.status.UpdatedAt = after, &now, now
		}
		return err
	}
}

// approval waits for a person where the plan asks for one.
func (m *migrate) approval(ctx workflow.Context) error {
	if !m.plan.Approval {
		return nil
	}
	defer m.waited(ctx, PhaseApproval)()
	by := workflow.Now(ctx).Add(m.plan.ApprovalTimeout)
	m.status.Phase, m.status.State, m.status.ApproveBy = PhaseApproval, MigrationInReview, &by
	if err := m.mark(ctx); err != nil {
		return err
	}
	decided, err := workflow.AwaitWithTimeout(ctx, m.plan.ApprovalTimeout, func() bool { return m.approved })
	if err != nil {
		return err
	}
	m.status.ApproveBy = nil
	if !decided {
		m.status.Why = "nobody approved it in time"
		return errStopped
	}
	return nil
}

// verify looks for rows that break what the tables promise, and stops the migration where there are more than before it.
func (m *migrate) verify(ctx workflow.Context, before []migration.Finding, after bool) ([]migration.Finding, error) {
	if workflow.GetVersion(ctx, "verify", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil, nil // started by a worker that did not look yet
	}
	if after {
		if err := m.phase(ctx, PhaseVerify); err != nil {
			return nil, err
		}
	}
	var found []migration.Finding
	if err := m.do(ctx, "verify", m.acts.VerifyMigration, m.ref, &found); err != nil || !after {
		return found, err
	}
	for _, f := range found {
		known := slices.ContainsFunc(before, func(b migration.Finding) bool { return b.Kind == f.Kind && b.Path == f.Path && b.Rows >= f.Rows })
		if !known {
			m.status.Why = f.Text
			return nil, errStopped
		}
	}
	return found, nil
}

// do runs a short activity.
func (m *migrate) do(ctx workflow.Context, summary string, activity, in, out any) error {
	return workflow.ExecuteActivity(on(ctx, activities.QueueMigrate, summary, time.Hour), activity, in).Get(ctx, out)
}

// mark brings the projection to the status here.
func (m *migrate) mark(ctx workflow.Context) error {
	m.status.UpdatedAt = workflow.Now(ctx)
	in := m.markAs()
	return m.do(ctx, m.status.Phase, m.acts.MarkMigration, in, nil)
}

func (m *migrate) markAs() activities.MarkMigrationInput {
	in := activities.MarkMigrationInput{
		MigrationRef: m.ref, State: m.status.State, Phase: m.status.Phase, Why: m.status.Why, StepsTotal: len(m.status.Steps), Differences: m.status.Differences,
	}
	for _, s := range m.status.Steps {
		if s.State == "done" {
			in.StepsDone++
		}
	}
	if m.status.State == MigrationCompleted {
		in.ArchiveFor = m.plan.Retention
	}
	return in
}

// markQuietly is mark where the end of the workflow does not hang on it.
func (m *migrate) markQuietly(ctx workflow.Context) {
	if err := m.mark(ctx); err != nil {
		workflow.GetLogger(ctx).Warn("state of the migration not recorded", "state", m.status.State, "error", err)
	}
}

// finish completes the migration. Its archive is kept for the time of the plan.
func (m *migrate) finish(ctx workflow.Context) (*MigrateResult, error) {
	m.tooLate = true
	calm, _ := workflow.NewDisconnectedContext(ctx)
	m.status.State, m.status.Phase = MigrationCompleted, PhaseDone
	if err := m.do(calm, "finish", m.acts.FinishMigration, m.markAs(), nil); err != nil {
		return nil, failure(err)
	}
	return m.result(calm)
}

func (m *migrate) result(ctx workflow.Context) (*MigrateResult, error) {
	m.report(ctx)
	m.markQuietly(ctx)
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return nil, err
	}
	return &MigrateResult{m.status}, nil
}
