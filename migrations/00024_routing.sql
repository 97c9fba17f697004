-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.models (
    workspace_id    uuid not null references tartan.workspaces (id) on delete cascade,
    id              text not null,
    provider        text not null,
    name            text not null,
    capabilities    smallint not null,
    context_tokens  int not null default 0,
    max_output      int not null default 0,
    input_per_mtok  bigint not null default 0,
    output_per_mtok bigint not null default 0,
    cached_per_mtok bigint not null default 0,
    latency_ms      int not null default 0,
    disabled        boolean not null default false,
    updated_at      timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint models_id_form check (id = provider || '/' || name and provider ~ '^[a-z0-9][a-z0-9_.-]{0,62}$' and length(name) between 1 and 200),
    constraint models_capabilities_known check (capabilities between 1 and 31),
    constraint models_numbers_positive check (context_tokens >= 0 and max_output >= 0 and input_per_mtok >= 0 and output_per_mtok >= 0 and cached_per_mtok >= 0 and latency_ms >= 0)
);
comment on table tartan.models is 'The models that a workspace may use, and their prices. Keys of providers are never here.';
comment on column tartan.models.workspace_id is 'The workspace it belongs to.';
comment on column tartan.models.id is 'Provider and name: what callers say.';
comment on column tartan.models.provider is 'The provider that it is called at.';
comment on column tartan.models.name is 'What the provider calls it.';
comment on column tartan.models.capabilities is 'Sum of 1 chat, 2 tools, 4 json, 8 vision, 16 embed.';
comment on column tartan.models.context_tokens is 'Tokens of input and output together; 0 is not known.';
comment on column tartan.models.max_output is 'Tokens of output at most; 0 is not known.';
comment on column tartan.models.input_per_mtok is 'Micro-dollars for a million tokens of input.';
comment on column tartan.models.output_per_mtok is 'Micro-dollars for a million tokens of output.';
comment on column tartan.models.cached_per_mtok is 'Micro-dollars for a million tokens of input that the provider had cached; 0 is the price of other input.';
comment on column tartan.models.latency_ms is 'Expected time of an answer before any was measured; 0 is not known.';
comment on column tartan.models.disabled is 'Not chosen any more.';
comment on column tartan.models.updated_at is 'When it was last written.';
call tartan.protect('tartan.models', 'admin', 'insert, update');

create table tartan.model_decisions (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    id           text not null,
    task         text not null default '',
    pattern      text not null default '',
    features     bytea not null,
    decision     jsonb not null,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint model_decisions_id_short check (length(id) between 1 and 300),
    constraint model_decisions_task_short check (length(task) <= 200 and length(pattern) <= 200),
    constraint model_decisions_features_short check (length(features) <= 4096)
);
comment on table tartan.model_decisions is 'Which model was chosen for a call, and the evidence. The prompt is kept as hashes of its words only.';
comment on column tartan.model_decisions.workspace_id is 'The workspace it belongs to.';
comment on column tartan.model_decisions.id is 'The id that outcomes are reported for: a UUID, or the key of a call.';
comment on column tartan.model_decisions.task is 'Kind of work, as the caller named it.';
comment on column tartan.model_decisions.pattern is 'Id of the pattern it was about.';
comment on column tartan.model_decisions.features is 'Hashes of words, pairs and letters, and the shape of the prompt.';
comment on column tartan.model_decisions.decision is 'The ranking with qualities, costs, latencies, experts and refusals.';
comment on column tartan.model_decisions.created_at is 'When it was decided.';
create index model_decisions_created_at_idx on tartan.model_decisions (created_at);
call tartan.protect('tartan.model_decisions', 'editor', 'insert');

create table tartan.model_outcomes (
    workspace_id   uuid not null,
    xid            xid8 not null default pg_current_xact_id(),
    id             bigint generated always as identity,
    decision_id    text not null,
    model          text not null,
    source         text not null,
    quality        double precision,
    class          text not null default '',
    cost           bigint not null default 0,
    latency_us     bigint not null default 0,
    first_token_us bigint not null default 0,
    created_at     timestamptz not null default now(),
    primary key (workspace_id, xid, id),
    -- What is reported twice counts once.
    constraint model_outcomes_once unique (workspace_id, decision_id, model, source),
    constraint model_outcomes_decision_fkey foreign key (workspace_id, decision_id) references tartan.model_decisions (workspace_id, id) on delete cascade,
    constraint model_outcomes_quality_range check (quality between 0 and 1),
    constraint model_outcomes_source_known check (source in ('call', 'reported', 'schema', 'test', 'review', 'feedback')),
    constraint model_outcomes_model_short check (length(model) between 1 and 300),
    constraint model_outcomes_class_known check (class in ('', 'transient', 'throttled', 'silent', 'context_length', 'content_filter', 'auth', 'quota', 'bad_request', 'cancelled')),
    constraint model_outcomes_numbers_positive check (cost >= 0 and latency_us >= 0 and first_token_us >= 0)
);
comment on table tartan.model_outcomes is 'How calls went. Readers learn them in the order of xid and id, and so all learn the same.';
comment on column tartan.model_outcomes.workspace_id is 'The workspace it belongs to.';
comment on column tartan.model_outcomes.xid is 'The transaction that wrote it: the first part of its place in the order.';
comment on column tartan.model_outcomes.id is 'The second part of its place.';
comment on column tartan.model_outcomes.decision_id is 'The decision it is the outcome of.';
comment on column tartan.model_outcomes.model is 'The model that answered or failed.';
comment on column tartan.model_outcomes.source is 'Who says so: call, reported, schema, test, review or feedback.';
comment on column tartan.model_outcomes.quality is 'How good the answer was, 0 to 1; null is not judged.';
comment on column tartan.model_outcomes.class is 'How the call failed; empty where it was answered.';
comment on column tartan.model_outcomes.cost is 'Micro-dollars.';
comment on column tartan.model_outcomes.latency_us is 'Microseconds to the end of the answer.';
comment on column tartan.model_outcomes.first_token_us is 'Microseconds to the first token.';
comment on column tartan.model_outcomes.created_at is 'When it was reported.';
call tartan.protect('tartan.model_outcomes', 'editor', 'insert');

create table tartan.model_learned (
    workspace_id uuid primary key references tartan.workspaces (id) on delete cascade,
    xid          xid8 not null,
    id           bigint not null,
    outcomes     bigint not null,
    state        bytea not null,
    updated_at   timestamptz not null default now()
);
comment on table tartan.model_learned is 'What was learned from outcomes up to a place, so that a start need not learn them all again. It can be deleted at any time.';
comment on column tartan.model_learned.workspace_id is 'The workspace it belongs to.';
comment on column tartan.model_learned.xid is 'Transaction of the last outcome that is in it.';
comment on column tartan.model_learned.id is 'Id of the last outcome that is in it.';
comment on column tartan.model_learned.outcomes is 'How many outcomes are in it.';
comment on column tartan.model_learned.state is 'The learner, compressed.';
comment on column tartan.model_learned.updated_at is 'When it was written.';
call tartan.protect('tartan.model_learned', 'admin', '');

-- The topic model joins whichever there are.
-- +goose StatementBegin
do $$
declare
    rule text := (select pg_get_constraintdef(oid) from pg_constraint where conname = 'outbox_topic_known' and conrelid = 'tartan.outbox'::regclass);
begin
    alter table tartan.outbox drop constraint outbox_topic_known;
    execute 'alter table tartan.outbox add constraint outbox_topic_known ' || replace(rule, 'ARRAY[', 'ARRAY[''model''::text, ');
end $$;
-- +goose StatementEnd

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
delete from tartan.outbox where topic = 'model';
-- +goose StatementBegin
do $$
declare
    rule text := (select pg_get_constraintdef(oid) from pg_constraint where conname = 'outbox_topic_known' and conrelid = 'tartan.outbox'::regclass);
begin
    alter table tartan.outbox drop constraint outbox_topic_known;
    execute 'alter table tartan.outbox add constraint outbox_topic_known ' || replace(rule, '''model''::text, ', '');
end $$;
-- +goose StatementEnd
drop table tartan.model_learned;
drop table tartan.model_outcomes;
drop table tartan.model_decisions;
drop table tartan.models;
