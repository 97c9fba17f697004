-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- Readers cache who may read which space. The events are written by the database, so that a change made by hand is heard of too.
-- +goose StatementBegin
create function tartan.tell_space_access() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    m tartan.knowledge_space_members;
begin
    if tg_table_name = 'knowledge_spaces' then
        insert into tartan.outbox (workspace_id, topic, key, payload)
        values (new.workspace_id, 'knowledge', new.id::text, pg_catalog.jsonb_build_object('access', true));
        return null;
    end if;
    m := case when tg_op = 'DELETE' then old else new end;
    if tg_op = 'DELETE' and not exists (select from tartan.knowledge_spaces s where s.id = m.space_id) then
        return null; -- the space itself is gone
    end if;
    insert into tartan.outbox (workspace_id, topic, key, payload)
    values (m.workspace_id, 'member', m.user_id::text, pg_catalog.jsonb_build_object('change', pg_catalog.lower(tg_op), 'space', m.space_id));
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_space_members_tell after insert or update or delete on tartan.knowledge_space_members
    for each row execute function tartan.tell_space_access();
create trigger knowledge_spaces_tell after update of restricted on tartan.knowledge_spaces
    for each row when (old.restricted is distinct from new.restricted) execute function tartan.tell_space_access();

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop trigger knowledge_spaces_tell on tartan.knowledge_spaces;
drop trigger knowledge_space_members_tell on tartan.knowledge_space_members;
drop function tartan.tell_space_access;
