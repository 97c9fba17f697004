-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.runs (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    workflow_id  text not null,
    run_id       text not null default '',
    kind         text not null,
    state        text not null,
    library      text not null default '',
    library_id   uuid,
    source_id    uuid,
    source_name  text not null default '',
    error        text not null default '',
    lines        bigint not null default 0,
    bytes        bigint not null default 0,
    total_bytes  bigint not null default 0,
    patterns     bigint not null default 0,
    new_patterns bigint not null default 0,
    other_lines  bigint not null default 0,
    untimed      bigint not null default 0,
    chunks_done  int not null default 0,
    chunks_total int not null default 0,
    started_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    finished_at  timestamptz,
    primary key (workspace_id, workflow_id),
    constraint runs_state_known check (state in ('running', 'paused', 'cancelling', 'cancelled', 'failed', 'completed')),
    constraint runs_finished check ((finished_at is not null) = (state in ('cancelled', 'failed', 'completed'))),
    constraint runs_counts_positive check (lines >= 0 and bytes >= 0 and total_bytes >= 0 and patterns >= 0 and new_patterns >= 0
        and other_lines >= 0 and untimed >= 0 and chunks_done >= 0 and chunks_total >= 0)
) with (fillfactor = 50);
create index runs_started_at_idx on tartan.runs (workspace_id, started_at desc, workflow_id);
comment on table tartan.runs is 'What is known of workflows without asking Temporal: state and progress. Progress is added in the transaction that commits a chunk, so it equals the ledger.';
comment on column tartan.runs.workspace_id is 'The workspace it belongs to.';
comment on column tartan.runs.workflow_id is 'Temporal''s Workflow ID: kind and natural key.';
comment on column tartan.runs.run_id is 'Temporal''s Run ID of the latest run.';
comment on column tartan.runs.kind is 'Workflow type.';
comment on column tartan.runs.state is 'running, paused, cancelling, cancelled, failed or completed.';
comment on column tartan.runs.library is 'Name of the library it works on.';
comment on column tartan.runs.library_id is 'The library, once it exists.';
comment on column tartan.runs.source_id is 'The source, once it is stored.';
comment on column tartan.runs.source_name is 'Name of the source, for people.';
comment on column tartan.runs.error is 'Why it failed, and what to do; empty otherwise.';
comment on column tartan.runs.lines is 'Lines counted so far.';
comment on column tartan.runs.bytes is 'Bytes of the uncompressed source counted so far.';
comment on column tartan.runs.total_bytes is 'Size of the uncompressed source; 0 until known.';
comment on column tartan.runs.patterns is 'Patterns in the library as of the latest commit.';
comment on column tartan.runs.new_patterns is 'Patterns that the library did not have before.';
comment on column tartan.runs.other_lines is 'Lines counted under no pattern.';
comment on column tartan.runs.untimed is 'Lines without a time of their own.';
comment on column tartan.runs.chunks_done is 'Chunks committed.';
comment on column tartan.runs.chunks_total is 'Chunks planned; 0 until known.';
comment on column tartan.runs.started_at is 'When it was first started.';
comment on column tartan.runs.updated_at is 'When anything here last changed.';
comment on column tartan.runs.finished_at is 'When it ended; null while it goes on.';

call tartan.protect('tartan.runs', 'editor', 'insert, update');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.runs;
