package workers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// spoken is what a worker wrote to its log.
type spoken struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// migrate starts a migration of a database of the stack's server.
func (s *stack) migrate(database string, plan migration.Plan, undo uuid.UUID) (id string, mig uuid.UUID) {
	s.t.Helper()
	body, err := json.Marshal(plan)
	require.NoError(s.t, err)
	o, err := s.bucket.PutBytes(context.Background(), body)
	require.NoError(s.t, err)
	mig = undo
	if undo == uuid.Nil {
		mig = uuid.New()
	}
	id, _, existed, err := workflows.StartMigration(context.Background(), s.client, workflows.MigrateInput{
		Caller: s.caller, Migration: mig, Target: database, Plan: workflows.PlanRef{Name: plan.Name, Key: o.Key, SHA256: o.SHA256}, Undo: undo != uuid.Nil,
	})
	require.NoError(s.t, err)
	require.False(s.t, existed)
	return id, mig
}

// migrated waits for the end of a migration.
func (s *stack) migrated(id, state string) *workflows.MigrateResult {
	s.t.Helper()
	out, failed, err := workflows.MigrationResult(context.Background(), s.client, id, time.Minute)
	require.NoError(s.t, err)
	require.Nil(s.t, failed)
	require.NotNil(s.t, out)
	require.Equal(s.t, state, out.State, "%+v", out)
	return out
}

// stands waits until a migration is in a state.
func (s *stack) stands(id, state string) {
	s.t.Helper()
	eventually(s.t, "the migration is "+state, func() bool {
		status, _, err := workflows.MigrationStands(context.Background(), s.client, id)
		return err == nil && status.State == state
	})
}

func (s *stack) direct(id, update string, caller access.Caller) *workflows.Failure {
	s.t.Helper()
	_, failed, err := workflows.DirectMigration(context.Background(), s.client, id, update, workflows.ReviewMigrationInput{Caller: caller, Note: "because"})
	require.NoError(s.t, err)
	return failed
}

func (s *stack) events(id string) *historypb.History {
	s.t.Helper()
	var h historypb.History
	events := s.client.GetWorkflowHistory(context.Background(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(s.t, err)
		h.Events = append(h.Events, e)
	}
	return &h
}

// database makes one on the stack's server, filled by statements.
func (s *stack) database(name, sql string) {
	s.t.Helper()
	ctx := context.Background()
	_, err := s.db.Pool.Exec(ctx, "create database "+name)
	require.NoError(s.t, err)
	conn, err := pgx.Connect(ctx, s.server()+"/"+name)
	require.NoError(s.t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(s.t, err)
}

const smallShop = "create table orders (id bigint primary key, note text); insert into orders select i, 'n' || i from generate_series(1, 500) i"

func smallPlan() migration.Plan {
	return migration.Plan{Name: "status", Format: migration.FormatTartan, Steps: []migration.Step{
		{Name: "add", Kind: migration.KindSQL, Up: statements("alter table orders add column status text")},
		{Name: "fill", Kind: migration.KindBackfill, Up: statements("update orders set status = 'old' where :batch"), Backfill: &migration.Backfill{Table: "orders", Columns: []string{"status"}}},
		{Name: "drop", Kind: migration.KindDrop, Up: statements("alter table orders drop column note"), Drop: &migration.Drop{Table: "orders", Columns: []string{"note"}}},
	}}
}

// TestRecordMigrations runs the branches of Migrate on a real server and keeps the histories for the replay test.
func TestRecordMigrations(t *testing.T) {
	if !*record {
		t.Skip("histories are recorded with -record only: those that are there must go on replaying")
	}
	s := newStack(t)
	s.worker()
	reviewer := s.db.Member(t, s.caller.WorkspaceID, access.Operator)
	s.database("shop", smallShop)
	id, mig := s.migrate("shop", smallPlan(), uuid.Nil)
	s.migrated(id, workflows.MigrationCompleted)
	s.save("migrated", id)
	id, _ = s.migrate("shop", smallPlan(), mig)
	s.migrated(id, workflows.MigrationRolledBack)
	s.save("migration_undone_after_completion", id)

	reviewed := smallPlan()
	reviewed.Settings = migration.Settings{Approval: true, Soak: 100 * time.Millisecond, MaxErrorRate: 1}
	id, _ = s.migrate("shop", reviewed, uuid.Nil)
	s.stands(id, workflows.MigrationInReview)
	require.Nil(t, s.direct(id, workflows.UpdatePause, reviewer))
	require.Equal(t, activities.Denied, s.direct(id, workflows.UpdateApprove, s.caller).Type)
	require.Nil(t, s.direct(id, workflows.UpdateResume, reviewer))
	require.Nil(t, s.direct(id, workflows.UpdateApprove, reviewer))
	s.migrated(id, workflows.MigrationCompleted)
	s.save("migration_approved", id)

	s.database("other", smallShop)
	id, _ = s.migrate("other", reviewed, uuid.Nil)
	s.stands(id, workflows.MigrationInReview)
	require.Nil(t, s.direct(id, workflows.UpdateReject, reviewer))
	s.migrated(id, workflows.MigrationRolledBack)
	s.save("migration_rejected", id)

	id, _ = s.migrate("other", reviewed, uuid.Nil)
	s.stands(id, workflows.MigrationInReview)
	require.NoError(t, workflows.Control(context.Background(), s.client, id, workflows.ActionCancel))
	s.migrated(id, workflows.MigrationRolledBack)
	s.save("migration_cancelled", id)

	failing := smallPlan()
	failing.Steps[2].Verify = statements("select false as fine")
	id, _ = s.migrate("other", failing, uuid.Nil)
	s.migrated(id, workflows.MigrationRolledBack)
	s.save("migration_failed_in_contract", id)
}

// A rollback that is promised while the last step ends is done, though the step never learned of it: it ends as soon as it is promised.
func TestMigrationIsStoppedInTheLastStep(t *testing.T) {
	ctx := context.Background()
	s := newStack(t)
	s.worker()
	s.database("shop", smallShop)
	conn, err := pgx.Connect(ctx, s.server()+"/shop")
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "select pg_advisory_lock(7)")
	require.NoError(t, err)
	plan := smallPlan()
	plan.Steps[2].Verify = statements("select pg_advisory_xact_lock(7) is not null as held")
	id, _ := s.migrate("shop", plan, uuid.Nil)
	eventually(t, "the last step waits", func() (waits bool) {
		require.NoError(t, conn.QueryRow(ctx, "select exists (select from pg_locks where locktype = 'advisory' and objid = 7 and not granted)").Scan(&waits))
		return waits
	})
	require.Nil(t, s.direct(id, workflows.UpdateRollback, s.caller))
	_, err = conn.Exec(ctx, "select pg_advisory_unlock(7)")
	require.NoError(t, err)
	require.Contains(t, s.migrated(id, workflows.MigrationRolledBack).Why, "asked for by")
}

// The password of a target is neither in the history of its migration, nor in the log, nor in Tartan's database or bucket, even
// where the target's own errors tell it.
func TestMigrationKeepsSecrets(t *testing.T) {
	ctx := context.Background()
	s := newStack(t)
	password := "pw" + strings.ReplaceAll(uuid.NewString(), "-", "")
	s.database("shop", fmt.Sprintf("create role app login password '%s' createdb createrole replication bypassrls; grant create on database shop to app; grant all on schema public to app; set role app; %s", password, smallShop))
	s.targets = strings.Replace(s.server(), s.server()[:strings.LastIndexByte(s.server(), '@')], "postgres://app:"+password, 1)
	log := &spoken{}
	s.log = log
	s.worker()
	leaking := smallPlan()
	leaking.Steps = append(leaking.Steps[:2:2], migration.Step{Name: "leak", Kind: migration.KindSQL, Up: statements("do $$ begin raise exception 'the password is %', (select body from secrets); end $$")})
	conn, err := pgx.Connect(ctx, s.targets+"/shop")
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf("create table secrets (body text); insert into secrets values ('%s')", password))
	require.NoError(t, err)
	silent := func(id string) {
		text, err := protojson.Marshal(s.events(id))
		require.NoError(t, err)
		require.NotContains(t, string(text), password)
		for _, e := range s.events(id).Events { // payloads are base64 in JSON
			require.NotContains(t, e.String(), password)
		}
	}
	id, _ := s.migrate("shop", leaking, uuid.Nil)
	require.Contains(t, s.migrated(id, workflows.MigrationRolledBack).Why, "the password is xxxxx")
	silent(id)
	id, mig := s.migrate("shop", smallPlan(), uuid.Nil)
	s.migrated(id, workflows.MigrationCompleted)
	silent(id)
	require.NotContains(t, log.String(), password)
	require.Contains(t, log.String(), "the password is xxxxx", "the log is what is looked at")
	var row string
	require.NoError(t, s.db.Pool.QueryRow(ctx, "select string_agg(m::text, ' ') from tartan.target_migrations m").Scan(&row))
	require.NotContains(t, row, password)
	require.Contains(t, row, mig.String())
	var stored postgres.TargetMigration
	require.NoError(t, postgres.InWorkspace(ctx, s.db.Pool, s.caller, func(tx pgx.Tx) error {
		all, _, err := postgres.TargetMigrations(ctx, tx, postgres.ListTargetMigrations{WorkspaceID: s.caller.WorkspaceID, Target: "shop", Limit: 1})
		if err == nil {
			stored = all[0]
		}
		return err
	}))
	require.Equal(t, postgres.MigrationCompleted, stored.State)
	require.Equal(t, 3, stored.StepsDone)
	require.NotNil(t, stored.ArchiveUntil)
}

// A migration that waits for its approval is there after Temporal and the worker were killed.
func TestMigrationWaitsThroughARestart(t *testing.T) {
	k := &killing{stack: newStack(t)}
	first := k.stack.worker()
	k.database("shop", smallShop)
	plan := smallPlan()
	plan.Settings.Approval = true
	id, _ := k.migrate("shop", plan, uuid.Nil)
	k.stands(id, workflows.MigrationInReview)
	first.kill()
	k.killTemporal(100 * time.Millisecond)
	k.stack.worker()
	k.stands(id, workflows.MigrationInReview)
	require.Nil(t, k.direct(id, workflows.UpdateApprove, k.caller)) // she is alone
	k.migrated(id, workflows.MigrationCompleted)
}
