-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- Ids are given out before commit and become visible out of order: a reader that remembers only the last id misses
-- rows. Readers therefore go by (xid, id) and stop below the oldest transaction still running.
create table tartan.outbox (
    xid          xid8 not null default pg_current_xact_id(),
    id           bigint generated always as identity,
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    topic        text not null,
    key          text not null,
    payload      jsonb not null default '{}',
    created_at   timestamptz not null default now(),
    primary key (xid, id),
    constraint outbox_topic_known check (topic in ('library', 'run', 'member')),
    constraint outbox_payload_small check (octet_length(payload::text) <= 8192)
);
create index outbox_created_at_idx on tartan.outbox using brin (created_at);
comment on table tartan.outbox is 'What changed, written in the transaction of the change and read in order by every process that holds something in memory.';
comment on column tartan.outbox.xid is 'The transaction that wrote it; with id the reader''s cursor.';
comment on column tartan.outbox.id is 'Order within a transaction.';
comment on column tartan.outbox.workspace_id is 'The workspace it belongs to.';
comment on column tartan.outbox.topic is 'What changed: library, run or member.';
comment on column tartan.outbox.key is 'Which one: library id, workflow id or user id.';
comment on column tartan.outbox.payload is 'A few numbers about the change; never the data.';
comment on column tartan.outbox.created_at is 'When the transaction began. Old rows are deleted by it.';

-- +goose StatementBegin
create function tartan.wake_outbox_readers() returns trigger
language plpgsql set search_path = '' as $$
begin
    -- The message is empty, so that a transaction sends one however many rows it writes.
    perform pg_catalog.pg_notify('tartan_outbox', '');
    return null;
end $$;
-- +goose StatementEnd
create trigger outbox_wake after insert on tartan.outbox
    for each statement execute function tartan.wake_outbox_readers();

-- Readers cache roles. The event is written by the database, so that a change made by hand is heard of as well.
-- +goose StatementBegin
create function tartan.tell_member_change() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    m tartan.members := case when tg_op = 'DELETE' then old else new end;
begin
    if tg_op = 'DELETE' and not exists (select from tartan.workspaces w where w.id = m.workspace_id) then
        return null; -- the workspace itself is gone, and its outbox with it
    end if;
    insert into tartan.outbox (workspace_id, topic, key, payload)
    values (m.workspace_id, 'member', m.user_id::text, pg_catalog.jsonb_build_object('change', pg_catalog.lower(tg_op)));
    return null;
end $$;
-- +goose StatementEnd
create trigger members_tell after insert or update or delete on tartan.members
    for each row execute function tartan.tell_member_change();

call tartan.protect('tartan.outbox', 'editor', 'insert');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop trigger members_tell on tartan.members;
drop table tartan.outbox;
drop function tartan.tell_member_change;
drop function tartan.wake_outbox_readers;
