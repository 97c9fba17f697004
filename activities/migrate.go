package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/target"
)

// QueueMigrate is the task queue of the agent that migrates databases of the users.
const QueueMigrate = "agent.migrate"

// Migrations are the activities of agent.migrate. Plans go by their place in the bucket and databases by their names: no
// input or result holds a statement of a plan, a connection URL or a row.
type Migrations struct {
	Pool    *pgxpool.Pool
	Bucket  *bucket.Bucket
	Targets func(name string) (url string, err error) // resolved at each use
	Lint    func(ctx context.Context, plan *migration.Plan) ([]string, error)
}

// QueryTime is how long a reference query of the plan takes.
type QueryTime = migration.Timing

// PlanRef says where a plan is.
type PlanRef struct {
	Name   string `json:"name"`
	Key    string `json:"key"`    // in the bucket
	SHA256 string `json:"sha256"` // of the object
}

// MigrationRef names a migration, and who acts on it.
type MigrationRef struct {
	Caller    access.Caller `json:"caller"`
	Migration uuid.UUID     `json:"migration"`
	Target    string        `json:"target"`
	Plan      PlanRef       `json:"plan"`
}

// OpenedMigration is what the workflow needs to know of a plan.
type OpenedMigration struct {
	Steps           []PlannedStep `json:"steps"`
	Approval        bool          `json:"approval,omitempty"`
	ApprovalTimeout time.Duration `json:"approval_timeout"`
	Soak            time.Duration `json:"soak,omitempty"`
	MaxErrorRate    float64       `json:"max_error_rate,omitempty"`
	MaxActive       time.Duration `json:"max_active,omitempty"`
	SoakMeasures    bool          `json:"soak_measures,omitempty"` // the soak looks at more than the error rate since its start
	MaxSlowdown     float64       `json:"max_slowdown"`
	Retention       time.Duration `json:"retention"`
	Measured        bool          `json:"measured,omitempty"` // it has reference queries
	Reports         bool          `json:"reports,omitempty"`  // the end is told as a report
}

// PlannedStep is a step of a plan.
type PlannedStep struct {
	Name     string         `json:"name"`
	Kind     migration.Kind `json:"kind"`
	Contract bool           `json:"contract,omitempty"`
	Done     bool           `json:"done,omitempty"` // by an earlier run
	Started  *time.Time     `json:"started,omitempty"`
	Finished *time.Time     `json:"finished,omitempty"`
}

// MigrationStepInput asks for a step to be applied or undone.
type MigrationStepInput struct {
	MigrationRef
	Ordinal int `json:"ordinal"`
}

// StepProgress is what the heartbeats of a step hold.
type StepProgress = target.Progress

// Sample is what a target has counted so far.
type Sample = migration.Sample

// Difference is where a database is not as it was.
type Difference = migration.Difference

// UndoneStep is what undoing left different: rows of a step, and in the end the catalogue.
type UndoneStep struct {
	Differences []Difference `json:"differences,omitempty"` // at most maxListed
	Total       int          `json:"total,omitempty"`
}

// MarkMigrationInput tells the projection how a migration stands.
type MarkMigrationInput struct {
	MigrationRef
	State       string        `json:"state"`
	Phase       string        `json:"phase"`
	Why         string        `json:"why,omitempty"`
	StepsDone   int           `json:"steps_done"`
	StepsTotal  int           `json:"steps_total"`
	Differences []Difference  `json:"differences,omitempty"`
	ArchiveFor  time.Duration `json:"archive_for,omitempty"`
}

// maxDifferences bounds what Temporal keeps of a report.
const maxDifferences = 50

// plan reads the plan, whose object must be what its digest says.
func (m *Migrations) plan(ctx context.Context, ref PlanRef) (*migration.Plan, error) {
	body, err := m.Bucket.ReadAll(ctx, ref.Key, 16<<20)
	if err != nil {
		return nil, typed("read plan "+ref.Name, err)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != ref.SHA256 {
		return nil, final(MigrationRefused, fmt.Errorf("read plan %s: its object is not the one that was started", ref.Name), "start the migration again")
	}
	var p migration.Plan
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, final(MigrationRefused, fmt.Errorf("read plan %s: %w", ref.Name, err), "make the plan with this version of tartan")
	}
	if p.SHA256 == "" {
		p.SHA256 = ref.SHA256
	}
	return &p, nil
}

// target opens the database that the name stands for, and the plan.
func (m *Migrations) target(ctx context.Context, ref MigrationRef) (*target.Target, *migration.Plan, error) {
	p, err := m.plan(ctx, ref.Plan)
	if err != nil {
		return nil, nil, err
	}
	url, err := m.Targets(ref.Target)
	if err != nil {
		return nil, nil, final(MigrationRefused, err, "name the target in TARTAN_TARGETS of the worker")
	}
	t, err := target.Open(ctx, url)
	if err != nil {
		return nil, nil, migrationFault("open target "+ref.Target, err)
	}
	t.Copier = &target.Importer{Target: m.source, File: m.file}
	return t, p, nil
}

// source opens a database that rows are copied from.
func (m *Migrations) source(ctx context.Context, name string) (*target.Target, error) {
	url, err := m.Targets(name)
	if err != nil {
		return nil, err
	}
	return target.Open(ctx, url)
}

// file opens an object that rows are copied from.
func (m *Migrations) file(ctx context.Context, key string) (target.File, error) {
	size, err := m.Bucket.Size(ctx, key)
	if err != nil {
		return target.File{}, fmt.Errorf("copy from an object of the bucket: %w", err)
	}
	return target.File{Size: size, At: func(offset int64) (io.ReadCloser, error) { return m.Bucket.Range(ctx, key, offset, -1) }}, nil
}

// migrationFault gives an error its type: what the plan or the database's owner must change is final, the rest may pass.
func migrationFault(doing string, err error) error {
	var step *target.StepError
	var lock *target.LockError
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &lock) && target.Passing(err):
		return typedPassing(doing, err)
	case errors.As(err, &step):
		return final(MigrationRefused, err, "correct the plan and start it anew")
	case errors.As(err, &lock):
		return final(MigrationLocked, err, "end those sessions, or start it at a quieter time")
	case errors.Is(err, target.ErrChanged):
		return final(MigrationRefused, err, "put the plan back as it was, or roll the migration back")
	case errors.Is(err, target.ErrIrreversible):
		return final(MigrationRefused, err, "give the step a down section")
	case errors.Is(err, target.ErrUnknown):
		return final(MigrationRefused, err, "look at the history with: tartan migrate history")
	case errors.As(err, &pg) && pg.Code == "42501":
		return final(MigrationRefused, err, "let the role that the target connects as create schemas: grant create on database NAME to ROLE")
	}
	return typedPassing(doing, err)
}

// typedPassing is typed for what may pass: the target is another's database, whose refusals are no faults of Tartan.
func typedPassing(doing string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return typed(doing, passing{err})
}

// passing hides from typed what kind of error it is.
type passing struct{ err error }

func (p passing) Error() string { return p.err.Error() }

// heart tells Temporal what a step does, by the clock.
type heart struct {
	last atomic.Pointer[target.Progress]
}

func (h *heart) tell(p target.Progress) { h.last.Store(&p) }

func (h *heart) beating(ctx context.Context) (stop func()) {
	return beats(ctx, func() {
		if p := h.last.Load(); p != nil {
			activity.RecordHeartbeat(ctx, *p)
		} else {
			activity.RecordHeartbeat(ctx)
		}
	})
}

// allowed refuses callers that are not operators.
func (m *Migrations) allowed(ctx context.Context, caller access.Caller) error {
	err := postgres.InWorkspace(ctx, m.Pool, caller, func(tx pgx.Tx) error {
		role, err := postgres.RoleOf(ctx, tx, caller)
		if err == nil && !role.AtLeast(access.Operator) {
			err = fmt.Errorf("a %s may not migrate databases: %w", role, postgres.ErrDenied)
		}
		return err
	})
	if errors.Is(err, postgres.ErrDenied) || errors.Is(err, postgres.ErrNotFound) {
		return final(Denied, err, "ask an admin of the workspace for the role operator")
	}
	return typed("look at the caller's role", err)
}

// OpenMigration looks whether the caller may, lints the plan, and enters the migration into the ledger of the database with its
// catalogue as it is.
func (m *Migrations) OpenMigration(ctx context.Context, ref MigrationRef) (*OpenedMigration, error) {
	return m.open(ctx, ref, func(t *target.Target, p *migration.Plan) error {
		if m.Lint != nil {
			faults, err := m.Lint(ctx, p)
			if err != nil {
				return typed("lint the plan", err)
			}
			if len(faults) > 0 {
				return final(MigrationRefused, errors.New(strings.Join(faults, "; ")), "see tartan migrate lint")
			}
		}
		if err := t.Begin(ctx, ref.Migration, p); err != nil {
			return err
		}
		_, err := t.Purge(ctx, ref.Migration, time.Now())
		return err
	})
}

// ReopenMigration takes a completed migration up again, to be undone.
func (m *Migrations) ReopenMigration(ctx context.Context, ref MigrationRef) (*OpenedMigration, error) {
	return m.open(ctx, ref, func(t *target.Target, _ *migration.Plan) error { return t.Reopen(ctx, ref.Migration, time.Now()) })
}

// open begins something with a target, where the caller may.
func (m *Migrations) open(ctx context.Context, ref MigrationRef, begin func(t *target.Target, p *migration.Plan) error) (*OpenedMigration, error) {
	var h heart
	defer h.beating(ctx)()
	if err := m.allowed(ctx, ref.Caller); err != nil {
		return nil, err
	}
	t, p, err := m.target(ctx, ref)
	if err != nil {
		return nil, err
	}
	err = begin(t, p)
	if errors.Is(err, target.ErrBusy) {
		return nil, final(MigrationBusy, err, "wait for it, or roll it back")
	}
	if err != nil {
		return nil, migrationFault("begin the migration", err)
	}
	return m.opened(ctx, t, p, ref)
}

func (m *Migrations) opened(ctx context.Context, t *target.Target, p *migration.Plan, ref MigrationRef) (*OpenedMigration, error) {
	e, err := t.Entry(ctx, ref.Migration)
	if err != nil {
		return nil, migrationFault("read the ledger", err)
	}
	s := p.Settings
	out := &OpenedMigration{
		Approval: s.Approval, ApprovalTimeout: s.ApprovalTimeout, Soak: s.Soak, MaxErrorRate: s.MaxErrorRate, MaxActive: s.MaxActive, SoakMeasures: true, Reports: true, MaxSlowdown: s.MaxSlowdown, Retention: s.Retention,
		Measured: len(s.Queries) > 0,
	}
	if out.ApprovalTimeout == 0 {
		out.ApprovalTimeout = 7 * 24 * time.Hour
	}
	if out.Retention == 0 {
		out.Retention = target.DefaultRetention
	}
	if out.MaxSlowdown == 0 {
		out.MaxSlowdown = 1.5
	}
	for i, step := range p.Steps {
		planned := PlannedStep{Name: step.Name, Kind: step.Kind, Contract: step.Kind.Contract()}
		if i < len(e.Steps) && e.Steps[i].State != target.Pending {
			planned.Done, planned.Started, planned.Finished = true, e.Steps[i].StartedAt, e.Steps[i].FinishedAt
		}
		out.Steps = append(out.Steps, planned)
	}
	return out, nil
}

// CheckMigration runs the assertions of the plan that must hold before its first step.
func (m *Migrations) CheckMigration(ctx context.Context, ref MigrationRef) error {
	var h heart
	defer h.beating(ctx)()
	t, p, err := m.target(ctx, ref)
	if err != nil {
		return err
	}
	if p.Settings.MaxActive > 0 {
		s, err := t.Sample(ctx)
		if err != nil {
			return migrationFault("look at the target", err)
		}
		if !s.HasActive {
			return final(MigrationRefused, errors.New("max_active: the server counts no active time, which Postgres does from version 14"), "take the setting out of the plan, or name reference queries")
		}
	}
	return migrationFault("check before the first step", t.Check(ctx, p))
}

// ApplyStep applies a step, from where an earlier attempt ended.
func (m *Migrations) ApplyStep(ctx context.Context, in MigrationStepInput) error {
	var h heart
	defer h.beating(ctx)()
	t, p, err := m.target(ctx, in.MigrationRef)
	if err != nil {
		return err
	}
	return migrationFault(fmt.Sprintf("apply step %d", in.Ordinal+1), t.Apply(ctx, in.Migration, p, in.Ordinal, h.tell))
}

// UndoStep undoes a step, as far as it got.
func (m *Migrations) UndoStep(ctx context.Context, in MigrationStepInput) (*UndoneStep, error) {
	var h heart
	defer h.beating(ctx)()
	t, p, err := m.target(ctx, in.MigrationRef)
	if err != nil {
		return nil, err
	}
	d, err := t.Undo(ctx, in.Migration, p, in.Ordinal, h.tell)
	if err != nil {
		return nil, migrationFault(fmt.Sprintf("undo step %d", in.Ordinal+1), err)
	}
	// What differs in the catalogue may be gone when the earlier steps are undone too: it is told at the end.
	d = slices.DeleteFunc(d, func(d Difference) bool { return !d.OfRow() })
	return &UndoneStep{Differences: firstOf(d), Total: len(d)}, nil
}

// firstOf bounds a report.
func firstOf(d []Difference) []Difference {
	d = d[:min(len(d), maxDifferences)]
	for i := range d {
		d[i].Before, d[i].After = cut(d[i].Before), cut(d[i].After)
	}
	return d
}

func cut(s string) string {
	if len(s) > maxEvidence {
		return strings.ToValidUTF8(s[:maxEvidence], "") + "…"
	}
	return s
}

// MeasureMigration runs the reference queries of the plan.
func (m *Migrations) MeasureMigration(ctx context.Context, ref MigrationRef) ([]QueryTime, error) {
	var h heart
	defer h.beating(ctx)()
	t, p, err := m.target(ctx, ref)
	if err != nil {
		return nil, err
	}
	out, err := t.Measure(ctx, p.Settings.Queries)
	return out, migrationFault("measure the reference queries", err)
}

// VerifyMigration looks for rows that break what the tables promise and the database has not checked.
func (m *Migrations) VerifyMigration(ctx context.Context, ref MigrationRef) ([]migration.Finding, error) {
	var h heart
	defer h.beating(ctx)()
	t, _, err := m.target(ctx, ref)
	if err != nil {
		return nil, err
	}
	out, err := t.Verify(ctx)
	return out[:min(len(out), maxDifferences)], migrationFault("verify the tables", err)
}

// SampleMigration reads what the target has counted so far.
func (m *Migrations) SampleMigration(ctx context.Context, ref MigrationRef) (*Sample, error) {
	var h heart
	defer h.beating(ctx)()
	t, _, err := m.target(ctx, ref)
	if err != nil {
		return nil, err
	}
	s, err := t.Sample(ctx)
	return &s, migrationFault("look at the target", err)
}

// FinishMigration enters the end into the ledger of the target, and compares with what it was where all is undone.
func (m *Migrations) FinishMigration(ctx context.Context, in MarkMigrationInput) (*UndoneStep, error) {
	var h heart
	defer h.beating(ctx)()
	t, _, err := m.target(ctx, in.MigrationRef)
	if err != nil {
		return nil, err
	}
	out, state := &UndoneStep{}, target.Completed
	if in.State == postgres.MigrationRolledBack {
		state = target.RolledBack
		d, err := t.Compare(ctx, in.Migration)
		if errors.Is(err, target.ErrUnknown) {
			return out, nil // it never began
		}
		if err != nil {
			return nil, migrationFault("compare with the catalogue before", err)
		}
		out.Differences, out.Total = firstOf(d), len(d)
	}
	return out, migrationFault("finish the migration", t.Finish(ctx, in.Migration, state, time.Now().Add(in.ArchiveFor)))
}

// MarkMigration tells the projection how the migration stands.
func (m *Migrations) MarkMigration(ctx context.Context, in MarkMigrationInput) error {
	row := postgres.TargetMigration{
		WorkspaceID: in.Caller.WorkspaceID, ID: in.Migration, WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID, Target: in.Target,
		Plan: in.Plan.Name, PlanKey: in.Plan.Key, SHA256: in.Plan.SHA256, State: in.State, Phase: in.Phase, Why: in.Why,
		StepsDone: in.StepsDone, StepsTotal: in.StepsTotal, Differences: in.Differences, Author: in.Caller.UserID,
	}
	if in.ArchiveFor > 0 {
		until := time.Now().Add(in.ArchiveFor)
		row.ArchiveUntil = &until
	}
	err := postgres.InWorkspace(ctx, m.Pool, in.Caller, func(tx pgx.Tx) error { return postgres.SaveTargetMigration(ctx, tx, row) })
	if errors.Is(err, postgres.ErrDenied) {
		return final(Denied, err, "ask an admin of the workspace for the role operator")
	}
	return typed("store how the migration stands", err)
}

// ReviewMigrationInput is a person's decision, or command.
type ReviewMigrationInput struct {
	Caller   access.Caller `json:"caller"`
	Author   uuid.UUID     `json:"author"` // who started it
	Approves bool          `json:"approves"`
}

// ReviewMigration looks whether the caller may decide. Who started a migration approves it only where nobody else could.
func (m *Migrations) ReviewMigration(ctx context.Context, in ReviewMigrationInput) error {
	if err := m.allowed(ctx, in.Caller); err != nil {
		return err
	}
	if !in.Approves || in.Caller.UserID != in.Author {
		return nil
	}
	var others bool
	err := postgres.InWorkspace(ctx, m.Pool, in.Caller, func(tx pgx.Tx) (err error) {
		others, err = postgres.OthersMayApprove(ctx, tx, in.Caller)
		return err
	})
	if err == nil && others {
		return final(Denied, errors.New("who started a migration does not approve it"), "ask another operator of the workspace")
	}
	return typed("look for other operators", err)
}
