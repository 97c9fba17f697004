package workflows

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
)

// rollback undoes the steps in reverse, as far as they got, and compares the database with what it was.
func (m *migrate) rollback(ctx workflow.Context, why error) (*MigrateResult, error) {
	calm, _ := workflow.NewDisconnectedContext(ctx)
	switch {
	case m.status.Why != "": // told already
	case temporal.IsCanceledError(why), ctx.Err() != nil:
		m.status.Why = "cancelled"
	case !errors.Is(why, errStopped):
		m.status.Why = words(why)
	}
	m.status.State, m.status.Phase, m.status.Paused, m.tooLate = MigrationRollingBack, PhaseRollback, false, true
	m.markQuietly(calm)
	for i := len(m.status.Steps) - 1; i >= 0; i-- {
		if m.status.Steps[i].State == "pending" {
			continue
		}
		if err := m.insist(calm, func() error { return m.undo(calm, i) }); err != nil {
			return nil, failure(err)
		}
	}
	m.status.State = MigrationRolledBack
	var left activities.UndoneStep
	if err := m.insist(calm, func() error { return m.do(calm, "finish", m.acts.FinishMigration, m.markAs(), &left) }); err != nil {
		return nil, failure(err)
	}
	m.status.State, m.status.Phase = MigrationRolledBack, PhaseDone
	m.differ(left)
	return m.result(calm)
}

// undo undoes one step.
func (m *migrate) undo(ctx workflow.Context, i int) error {
	var out activities.UndoneStep
	err := m.step(ctx, i, "undoing", "undone", func(ctx workflow.Context) error {
		in := activities.MigrationStepInput{MigrationRef: m.ref, Ordinal: i}
		return workflow.ExecuteActivity(on(ctx, activities.QueueMigrate, "undo "+m.plan.Steps[i].Name, stepTimeout), m.acts.UndoStep, in).Get(ctx, &out)
	})
	if err == nil {
		m.differ(out)
	}
	return err
}

// differ adds to the differences, each once.
func (m *migrate) differ(u activities.UndoneStep) {
	m.status.Different += u.Total
	for _, d := range u.Differences {
		known := false
		for _, have := range m.status.Differences {
			known = known || have == d
		}
		switch {
		case known:
			m.status.Different--
		case len(m.status.Differences) < maxListed:
			m.status.Differences = append(m.status.Differences, d)
		}
	}
}

// insist does something until it works. Where it does not, the migration is stuck until a person has looked and resumes it.
func (m *migrate) insist(ctx workflow.Context, do func() error) error {
	for {
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		reason := m.status.Why
		m.status.State, m.status.Paused = MigrationStuck, true
		m.status.Why = words(err)
		if reason != "" {
			m.status.Why = fmt.Sprintf("%s (rolling back because: %s)", words(err), reason)
		}
		m.markQuietly(ctx)
		if err := workflow.Await(ctx, func() bool { return !m.status.Paused }); err != nil {
			return err
		}
		m.status.State, m.status.Why = MigrationRollingBack, reason
		m.markQuietly(ctx)
	}
}

// The updates and the query of Migrate, beside approve and reject.
const (
	UpdatePause    = "pause"
	UpdateResume   = "resume"
	UpdateRollback = "rollback"
	QueryMigration = "migration"
)

// ReviewMigrationInput is the argument of the updates of Migrate.
type ReviewMigrationInput struct {
	Caller access.Caller `json:"caller"`
	Note   string        `json:"note,omitempty"`
}

// listen sets up the queries, the updates and the signals of other workflows.
func (m *migrate) listen(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryMigration, func() (MigrationStatus, error) { return m.status, nil },
		workflow.QueryHandlerOptions{Description: "How the migration stands."})
	if err != nil {
		return err
	}
	err = listen(ctx, func() Progress { return m.progress() }, &m.status.Paused)
	if err != nil {
		return err
	}
	calm, _ := workflow.NewDisconnectedContext(ctx) // rolling back goes on after a cancellation, and can be held too
	workflow.GoNamed(calm, "pauses", m.interrupts)
	for _, u := range []struct {
		name, description string
		when              func() string // why not; "" is possible
		approves          bool
		do                func(ctx workflow.Context, in ReviewMigrationInput)
	}{
		{UpdateApprove, "Approve the migration.", m.unlessIn(MigrationInReview), true, m.approve},
		{UpdateReject, "Reject the migration: it is rolled back.", m.unlessIn(MigrationInReview), false, m.reject},
		{UpdateRollback, "Undo all that was done.", m.unlessLate, false, m.undoAll},
		{UpdatePause, "Hold the migration where it is.", m.unlessEnded, false, m.pause},
		{UpdateResume, "Let it go on, or try again what is stuck.", m.unlessEnded, false, m.resume},
	} {
		err := workflow.SetUpdateHandlerWithOptions(ctx, u.name, func(ctx workflow.Context, in ReviewMigrationInput) (MigrationStatus, error) {
			review := activities.ReviewMigrationInput{Caller: in.Caller, Author: m.ref.Caller.UserID, Approves: u.approves}
			ctx, _ = workflow.NewDisconnectedContext(ctx)
			if err := m.do(ctx, u.name, m.acts.ReviewMigration, review, nil); err != nil {
				return MigrationStatus{}, failure(err)
			}
			if err := refusal(u.when()); err != nil { // another update may have come first
				return MigrationStatus{}, err
			}
			u.do(ctx, in)
			return m.status, nil
		}, workflow.UpdateHandlerOptions{Description: u.description, Validator: func(ReviewMigrationInput) error { return refusal(u.when()) }})
		if err != nil {
			return err
		}
	}
	return nil
}

// interrupts ends the attempt at a step when the migration is paused.
func (m *migrate) interrupts(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return m.status.Paused && m.interrupt != nil }) == nil {
		m.interrupt()
		m.interrupt = nil
	}
}

func refusal(why string) error {
	if why == "" {
		return nil
	}
	return temporal.NewNonRetryableApplicationError(why, activities.MigrationRefused, nil)
}

func (m *migrate) unlessIn(state string) func() string {
	return func() string {
		if m.status.State == state && !m.approved && m.status.Why == "" {
			return ""
		}
		return fmt.Sprintf("the migration is %s, in phase %s: that is possible while it is %s", m.status.State, m.status.Phase, state)
	}
}

func (m *migrate) unlessLate() string {
	if m.tooLate {
		return fmt.Sprintf("the migration is %s: it cannot be stopped any more", m.status.State)
	}
	return ""
}

func (m *migrate) unlessEnded() string {
	if m.status.State == MigrationCompleted || m.status.State == MigrationRolledBack {
		return fmt.Sprintf("the migration is %s", m.status.State)
	}
	return ""
}

func (m *migrate) approve(_ workflow.Context, in ReviewMigrationInput) {
	m.approved, m.status.Approver = true, &in.Caller.UserID
}

func (m *migrate) reject(_ workflow.Context, in ReviewMigrationInput) { m.halt("rejected", in) }

func (m *migrate) undoAll(_ workflow.Context, in ReviewMigrationInput) { m.halt("asked for", in) }

func (m *migrate) halt(how string, in ReviewMigrationInput) {
	who := in.Caller.UserID
	if m.status.Why = how + " by " + who.String(); in.Note != "" {
		m.status.Why += ": " + in.Note
	}
	m.status.Paused = false
	m.stop()
}

func (m *migrate) pause(_ workflow.Context, _ ReviewMigrationInput) {
	m.status.Paused = true
}

func (m *migrate) resume(_ workflow.Context, _ ReviewMigrationInput) { m.status.Paused = false }

// progress answers the query that all workflows have.
func (m *migrate) progress() Progress {
	p := Progress{State: activities.StateRunning, Library: m.status.Target, SourceName: m.status.Plan, ChunksTotal: len(m.status.Steps), StartedAt: m.status.StartedAt, UpdatedAt: m.status.UpdatedAt}
	if m.status.Paused {
		p.State = activities.StatePaused
	}
	for _, s := range m.status.Steps {
		if s.State == "done" {
			p.ChunksDone++
		}
	}
	return p
}

// MigrationWorkflowID returns the Workflow ID of migrating a target: one at a time.
func MigrationWorkflowID(workspace uuid.UUID, target string) string {
	return "migrate/" + workspace.String() + "/" + target
}
