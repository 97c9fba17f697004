-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.agents (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    id           uuid not null default gen_random_uuid(),
    name         text not null,
    version      text not null,
    task_queue   text not null,
    manifest     jsonb not null,
    scopes       text[] not null default '{}',
    tools        text[] not null default '{}',
    owner_id     uuid not null,
    revoked_at   timestamptz,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint agents_id_key unique (id),
    constraint agents_name_key unique (workspace_id, name),
    constraint agents_name_form check (name ~ '^[a-z][a-z0-9-]{0,39}[a-z0-9]$'),
    constraint agents_queue_of_name check (task_queue = 'agent.' || name),
    constraint agents_manifest_small check (octet_length(manifest::text) <= 65536),
    constraint agents_lists_short check (cardinality(scopes) <= 64 and cardinality(tools) <= 128)
);
comment on table tartan.agents is 'The agents that are registered: who they are, what they offer and what they may do. An agent acts as the member with its id.';
comment on column tartan.agents.workspace_id is 'The workspace it belongs to.';
comment on column tartan.agents.id is 'Primary key, and the user_id of its membership.';
comment on column tartan.agents.name is 'Its name; activities of it begin with it.';
comment on column tartan.agents.version is 'Version in the manifest that was registered last.';
comment on column tartan.agents.task_queue is 'Where its workers poll.';
comment on column tartan.agents.manifest is 'The manifest as it was registered, with the JSON Schemas of its activities.';
comment on column tartan.agents.scopes is 'What it may do, as pattern:read or knowledge:*.';
comment on column tartan.agents.tools is 'The MCP tools that it may call.';
comment on column tartan.agents.owner_id is 'Who registered it.';
comment on column tartan.agents.revoked_at is 'When it was revoked; null while it may work.';
comment on column tartan.agents.created_at is 'When it was registered first.';
comment on column tartan.agents.updated_at is 'When it was changed last.';
call tartan.protect('tartan.agents', 'admin', 'insert, update');

create table tartan.agent_credentials (
    workspace_id uuid not null,
    agent_id     uuid not null,
    prefix       text not null,
    hmac         bytea not null,
    workflow_id  text not null,
    expires_at   timestamptz not null,
    revoked_at   timestamptz,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, prefix),
    constraint agent_credentials_prefix_key unique (prefix),
    constraint agent_credentials_agent_fkey foreign key (workspace_id, agent_id) references tartan.agents (workspace_id, id) on delete cascade,
    constraint agent_credentials_prefix_form check (prefix ~ '^[0-9a-f]{16}$'),
    constraint agent_credentials_hmac_length check (octet_length(hmac) = 32)
);
create index agent_credentials_agent_idx on tartan.agent_credentials (workspace_id, agent_id, created_at desc);
comment on table tartan.agent_credentials is 'The tokens of agents. Of a token only its prefix is kept, and an HMAC of the whole under a key that is not in the database.';
comment on column tartan.agent_credentials.workspace_id is 'The workspace it belongs to.';
comment on column tartan.agent_credentials.agent_id is 'The agent that it makes known.';
comment on column tartan.agent_credentials.prefix is 'The open part of the token, by which it is found and named.';
comment on column tartan.agent_credentials.hmac is 'HMAC-SHA256 of the token''s SHA-256.';
comment on column tartan.agent_credentials.workflow_id is 'The workflow that issued it.';
comment on column tartan.agent_credentials.expires_at is 'Until when it is good.';
comment on column tartan.agent_credentials.revoked_at is 'When it was revoked; null for one that is good until it expires.';
comment on column tartan.agent_credentials.created_at is 'When it was issued.';
call tartan.protect('tartan.agent_credentials', 'admin', 'insert, update');

-- Readers cache who a token is. The events are written by the database, so that a change made by hand is heard of too.
-- +goose StatementBegin
create function tartan.tell_agent_change() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into tartan.outbox (workspace_id, topic, key, payload)
    values (new.workspace_id, 'agent', case when tg_table_name = 'agents' then pg_catalog.to_jsonb(new) ->> 'id' else pg_catalog.to_jsonb(new) ->> 'agent_id' end, '{}');
    return null;
end $$;
-- +goose StatementEnd
create trigger agents_tell after insert or update on tartan.agents for each row execute function tartan.tell_agent_change();
create trigger agent_credentials_tell after insert or update on tartan.agent_credentials for each row execute function tartan.tell_agent_change();

-- The topic agent joins whichever there are.
-- +goose StatementBegin
do $$
declare
    rule text := (select pg_get_constraintdef(oid) from pg_constraint where conname = 'outbox_topic_known' and conrelid = 'tartan.outbox'::regclass);
begin
    alter table tartan.outbox drop constraint outbox_topic_known;
    execute 'alter table tartan.outbox add constraint outbox_topic_known ' || replace(rule, 'ARRAY[', 'ARRAY[''agent''::text, ');
end $$;
-- +goose StatementEnd

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
delete from tartan.outbox where topic = 'agent';
-- +goose StatementBegin
do $$
declare
    rule text := (select pg_get_constraintdef(oid) from pg_constraint where conname = 'outbox_topic_known' and conrelid = 'tartan.outbox'::regclass);
begin
    alter table tartan.outbox drop constraint outbox_topic_known;
    execute 'alter table tartan.outbox add constraint outbox_topic_known ' || replace(rule, '''agent''::text, ', '');
end $$;
-- +goose StatementEnd
drop table tartan.agent_credentials;
drop table tartan.agents;
drop function tartan.tell_agent_change;
