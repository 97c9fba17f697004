-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.target_migrations (
    workspace_id  uuid not null references tartan.workspaces (id) on delete cascade,
    id            uuid not null,
    workflow_id   text not null,
    target        text not null,
    plan          text not null,
    plan_key      text not null,
    sha256        text not null,
    state         text not null,
    phase         text not null default '',
    why           text not null default '',
    steps_done    int not null default 0,
    steps_total   int not null default 0,
    differences   jsonb not null default '[]',
    author        uuid not null,
    reviewer      uuid,
    started_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    finished_at   timestamptz,
    archive_until timestamptz,
    primary key (workspace_id, id),
    constraint target_migrations_state_known check (state in ('running', 'in_review', 'rolling_back', 'stuck', 'completed', 'rolled_back')),
    constraint target_migrations_finished check ((finished_at is not null) = (state in ('completed', 'rolled_back'))),
    constraint target_migrations_steps check (steps_done between 0 and steps_total)
);
create index target_migrations_started_at_idx on tartan.target_migrations (workspace_id, started_at desc, id);
comment on table tartan.target_migrations is 'Migrations of databases of the users, as far as they are known without asking Temporal or the database itself, whose ledger is the truth.';
comment on column tartan.target_migrations.workspace_id is 'The workspace it belongs to.';
comment on column tartan.target_migrations.id is 'The migration, also in the ledger of the target.';
comment on column tartan.target_migrations.workflow_id is 'Temporal''s Workflow ID.';
comment on column tartan.target_migrations.target is 'Name of the database. Its URL is known to workers only.';
comment on column tartan.target_migrations.plan is 'Name of the plan.';
comment on column tartan.target_migrations.plan_key is 'The plan in the bucket.';
comment on column tartan.target_migrations.sha256 is 'Digest of the plan''s object.';
comment on column tartan.target_migrations.state is 'running, in_review, rolling_back, stuck (undoing failed and a person must look), completed or rolled_back.';
comment on column tartan.target_migrations.phase is 'What it does or waits for.';
comment on column tartan.target_migrations.why is 'Why it is rolled back, or stuck; empty otherwise.';
comment on column tartan.target_migrations.steps_done is 'Steps that are applied now.';
comment on column tartan.target_migrations.steps_total is 'Steps of the plan.';
comment on column tartan.target_migrations.differences is 'Where the database is not as it was before, after rolling back: at most 50.';
comment on column tartan.target_migrations.author is 'Who started it.';
comment on column tartan.target_migrations.reviewer is 'Who approved or rejected it.';
comment on column tartan.target_migrations.started_at is 'When it was started.';
comment on column tartan.target_migrations.updated_at is 'When anything here last changed.';
comment on column tartan.target_migrations.finished_at is 'When it ended; null while it goes on.';
comment on column tartan.target_migrations.archive_until is 'It can be undone until then; null while it goes on.';

call tartan.protect('tartan.target_migrations', 'operator', 'insert, update');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.target_migrations;
