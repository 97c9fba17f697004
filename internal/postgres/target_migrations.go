package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/migration"
)

// The states of a migration of a target.
const (
	MigrationRunning     = "running"
	MigrationInReview    = "in_review"
	MigrationRollingBack = "rolling_back"
	MigrationStuck       = "stuck"
	MigrationCompleted   = "completed"
	MigrationRolledBack  = "rolled_back"
)

// TargetMigration is what is known of a migration outside of Temporal and of the database that it changes.
type TargetMigration struct {
	WorkspaceID  uuid.UUID
	ID           uuid.UUID
	WorkflowID   string
	Target       string
	Plan         string
	PlanKey      string // in the bucket
	SHA256       string
	State        string // one of the Migration constants
	Phase        string
	Why          string
	StepsDone    int
	StepsTotal   int
	Differences  []migration.Difference
	Author       uuid.UUID
	Reviewer     *uuid.UUID
	StartedAt    time.Time
	UpdatedAt    time.Time
	FinishedAt   *time.Time
	ArchiveUntil *time.Time
	ReportMD     string // in the bucket, once it has ended
	ReportHTML   string
}

const targetMigrationColumns = `workspace_id, id, workflow_id, target, plan, plan_key, sha256, state, phase, why, steps_done, steps_total, differences,
	author, reviewer, started_at, updated_at, finished_at, archive_until, report_md, report_html`

// SaveTargetMigration stores the migration with its outbox event. Of a stored one the plan and its author stay.
func SaveTargetMigration(ctx context.Context, q Querier, m TargetMigration) error {
	event, err := json.Marshal(RunChange{State: m.State})
	if err != nil {
		return err
	}
	if m.Differences == nil {
		m.Differences = []migration.Difference{}
	}
	_, err = q.Exec(ctx, `
		with saved as (
			insert into tartan.target_migrations as m (workspace_id, id, workflow_id, target, plan, plan_key, sha256, state, phase, why, steps_done, steps_total,
				differences, author, reviewer, finished_at, archive_until)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, case when $8 in ('completed', 'rolled_back') then now() end, $16)
			on conflict (workspace_id, id) do update set
				workflow_id   = excluded.workflow_id,
				state         = excluded.state,
				phase         = excluded.phase,
				why           = excluded.why,
				steps_done    = excluded.steps_done,
				steps_total   = greatest(m.steps_total, excluded.steps_total),
				differences   = excluded.differences,
				reviewer      = coalesce(excluded.reviewer, m.reviewer),
				finished_at   = excluded.finished_at,
				archive_until = coalesce(excluded.archive_until, m.archive_until),
				updated_at    = clock_timestamp()
			returning workspace_id)
		insert into tartan.outbox (workspace_id, topic, key, payload) select workspace_id, 'run', $3, $17 from saved`,
		m.WorkspaceID, m.ID, m.WorkflowID, m.Target, stored(m.Plan), m.PlanKey, m.SHA256, m.State, m.Phase, stored(m.Why), m.StepsDone, m.StepsTotal,
		m.Differences, m.Author, m.Reviewer, m.ArchiveUntil, event)
	if err != nil {
		return fmt.Errorf("save migration %s: %w", m.ID, known(err))
	}
	return nil
}

// SaveMigrationReport stores where in the bucket the report of a migration is. The error is ErrNotFound where there is no such migration.
func SaveMigrationReport(ctx context.Context, q Querier, workspaceID, id uuid.UUID, md, html string) error {
	tag, err := q.Exec(ctx, `update tartan.target_migrations set report_md = $3, report_html = $4 where workspace_id = $1 and id = $2`, workspaceID, id, md, html)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("save the report of migration %s: %w", id, known(err))
	}
	return nil
}

// TargetMigrationByID returns the migration or ErrNotFound.
func TargetMigrationByID(ctx context.Context, q Querier, workspaceID, id uuid.UUID) (TargetMigration, error) {
	m, err := one(ctx, q, scanTargetMigration, `select `+targetMigrationColumns+` from tartan.target_migrations where workspace_id = $1 and id = $2`, workspaceID, id)
	if err != nil {
		return m, fmt.Errorf("migration %s: %w", id, err)
	}
	return m, nil
}

func scanTargetMigration(row pgx.CollectableRow) (TargetMigration, error) {
	m, err := pgx.RowToStructByPos[TargetMigration](row)
	m.Plan, m.Why = plain(m.Plan), plain(m.Why)
	return m, err
}

// ListTargetMigrations says which migrations to list.
type ListTargetMigrations struct {
	WorkspaceID uuid.UUID
	Target      string // "" is all
	Limit       int    // 1 to 1,000; 0 is 50
	After       string // cursor returned with the page before
}

// TargetMigrations returns a page of migrations, the latest started first, and the cursor of the next page, "" on the last.
func TargetMigrations(ctx context.Context, q Querier, l ListTargetMigrations) (out []TargetMigration, next string, err error) {
	limit := pageSize(l.Limit)
	after, err := readCursor(l.After, "migrations")
	if err != nil {
		return nil, "", fmt.Errorf("list migrations: %w", err)
	}
	rows, _ := q.Query(ctx, `
		select `+targetMigrationColumns+` from tartan.target_migrations
		where workspace_id = $1 and ($2 = '' or target = $2)
		  and ($3 = '' or (started_at, id) < ($3::timestamptz, nullif($4, '')::uuid))
		order by started_at desc, id desc limit $5`,
		l.WorkspaceID, l.Target, after.Value, after.ID, limit+1)
	out, err = pgx.CollectRows(rows, scanTargetMigration)
	if err != nil {
		return nil, "", fmt.Errorf("list migrations: %w", known(err))
	}
	if len(out) > limit {
		out = out[:limit]
		last := out[limit-1]
		next = cursor{Sort: "migrations", Value: last.StartedAt.UTC().Format(time.RFC3339Nano), ID: last.ID.String()}.String()
	}
	return out, next, nil
}

// OthersMayApprove reports whether the workspace has a member beside the caller who may approve migrations.
func OthersMayApprove(ctx context.Context, q Querier, caller access.Caller) (others bool, err error) {
	err = q.QueryRow(ctx, `select exists (select from tartan.members where workspace_id = $1 and user_id <> $2 and role >= 'operator')`, caller.WorkspaceID, caller.UserID).Scan(&others)
	if err != nil {
		return false, fmt.Errorf("look for other operators: %w", known(err))
	}
	return others, nil
}
