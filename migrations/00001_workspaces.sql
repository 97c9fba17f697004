-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

comment on schema tartan is 'Tartan: durable memory for patterns. Every row belongs to a workspace and is seen by its members only.';
grant usage on schema tartan to authenticated, service_role;

create type tartan.member_role as enum ('viewer', 'editor', 'reviewer', 'operator', 'admin');
comment on type tartan.member_role is 'What a member may do, least first: each role may do all that the ones before it may.';

create table tartan.workspaces (
    id         uuid primary key default gen_random_uuid(),
    slug       text not null,
    name       text not null,
    created_at timestamptz not null default now(),
    constraint workspaces_slug_key unique (slug),
    constraint workspaces_slug_form check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    constraint workspaces_name_length check (char_length(name) between 1 and 200)
);
comment on table tartan.workspaces is 'Tenants. Nothing is shared between two of them.';
comment on column tartan.workspaces.id is 'Primary key; workspace_id everywhere else.';
comment on column tartan.workspaces.slug is 'Short name for commands and URLs, unique over all workspaces.';
comment on column tartan.workspaces.name is 'Name for people.';
comment on column tartan.workspaces.created_at is 'When the workspace was made.';

create table tartan.members (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    user_id      uuid not null,
    role         tartan.member_role not null,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, user_id)
);
create index members_user_id_idx on tartan.members (user_id) include (workspace_id, role);
comment on table tartan.members is 'Who may do what in which workspace: the source of every permission.';
comment on column tartan.members.workspace_id is 'The workspace.';
comment on column tartan.members.user_id is 'The subject of the token. No foreign key: accounts belong to Supabase Auth, which may live in another database.';
comment on column tartan.members.role is 'What the member may do.';
comment on column tartan.members.created_at is 'When the member joined.';

create table tartan.schema_checksums (
    version    bigint primary key,
    name       text not null,
    sha256     text not null,
    applied_at timestamptz not null default now(),
    constraint schema_checksums_sha256_form check (sha256 ~ '^[0-9a-f]{64}$')
);
comment on table tartan.schema_checksums is 'Digest of each applied migration file, compared at every start: a file that changed after it was applied is reported by name. The one table without a workspace.';
comment on column tartan.schema_checksums.version is 'Number of the migration.';
comment on column tartan.schema_checksums.name is 'File name of the migration.';
comment on column tartan.schema_checksums.sha256 is 'SHA-256 of the file as it was applied, in hex.';
comment on column tartan.schema_checksums.applied_at is 'When the migration was applied.';

comment on table tartan.schema_versions is 'Which migrations are applied; kept by goose. Without a workspace, like schema_checksums.';
comment on column tartan.schema_versions.id is 'Order of the entries.';
comment on column tartan.schema_versions.version_id is 'Number of the migration.';
comment on column tartan.schema_versions.is_applied is 'Always true in an entry that exists.';
comment on column tartan.schema_versions.tstamp is 'When the migration was applied, in the server''s time zone.';

-- Security definer: it must read members while a policy of members is being evaluated. The claim workspace_id narrows
-- a transaction to the one workspace it acts in; tokens of Supabase clients lack it and see all workspaces of the user.
-- PL/pgSQL keeps the plan of the query, which an SQL function would make anew at each call.
-- +goose StatementBegin
create function tartan.my_workspaces(min_role tartan.member_role default 'viewer') returns uuid[]
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
        select coalesce(pg_catalog.array_agg(m.workspace_id), '{}')
        from tartan.members m
        where m.user_id = (select auth.uid())
          and m.role operator(pg_catalog.>=) min_role
          and coalesce(m.workspace_id::text = (select auth.jwt() ->> 'workspace_id'), true));
end $$;
-- +goose StatementEnd
comment on function tartan.my_workspaces is 'The workspaces in which the caller has at least the role. Policies call it once per statement, inside (select ...).';
revoke execute on function tartan.my_workspaces from public;
grant execute on function tartan.my_workspaces to authenticated, service_role;

-- Every policy in this schema has the same shape, measured as the fastest: to one role, the permission looked up once
-- per statement in a sub-select, one policy per command. service_role bypasses them; anon has no rights at all.
-- +goose StatementBegin
create procedure tartan.protect(tbl regclass, writer tartan.member_role, commands text)
language plpgsql set search_path = '' as $$
declare
    test text := 'workspace_id = any ((select tartan.my_workspaces(%L))::uuid[])';
begin
    execute format('alter table %s enable row level security', tbl);
    execute format('alter table %s force row level security', tbl);
    execute format('create policy members_read on %s for select to authenticated using (' || test || ')', tbl, 'viewer');
    if commands like '%insert%' then
        execute format('create policy members_insert on %s for insert to authenticated with check (' || test || ')', tbl, writer);
    end if;
    if commands like '%update%' then
        execute format('create policy members_update on %s for update to authenticated using (' || test || ') with check (' || test || ')', tbl, writer, writer);
    end if;
    if commands like '%delete%' then
        execute format('create policy members_delete on %s for delete to authenticated using (' || test || ')', tbl, writer);
    end if;
    execute format('grant select%s on %s to authenticated', case when commands = '' then '' else ', ' || commands end, tbl);
    execute format('grant select, insert, update, delete on %s to service_role', tbl);
end $$;
-- +goose StatementEnd
comment on procedure tartan.protect is 'Puts a table under row level security by membership: all members read, members from the given role on do the commands.';
revoke execute on procedure tartan.protect from public;

call tartan.protect('tartan.members', 'admin', 'insert, update, delete');

alter table tartan.workspaces enable row level security;
alter table tartan.workspaces force row level security;
create policy members_read on tartan.workspaces for select to authenticated
    using (id = any ((select tartan.my_workspaces('viewer'))::uuid[]));
create policy members_update on tartan.workspaces for update to authenticated
    using (id = any ((select tartan.my_workspaces('admin'))::uuid[]))
    with check (id = any ((select tartan.my_workspaces('admin'))::uuid[]));
grant select, update (name) on tartan.workspaces to authenticated;
grant select, insert, update, delete on tartan.workspaces to service_role;

-- Which schema a database has is no secret to its users: a client may want to say that it is too old.
alter table tartan.schema_checksums enable row level security;
alter table tartan.schema_checksums force row level security;
create policy all_read on tartan.schema_checksums for select to authenticated using (true);
grant select on tartan.schema_checksums to authenticated, service_role;
alter table tartan.schema_versions enable row level security;
alter table tartan.schema_versions force row level security;
create policy all_read on tartan.schema_versions for select to authenticated using (true);
grant select on tartan.schema_versions to authenticated, service_role;

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop policy all_read on tartan.schema_versions;
drop table tartan.schema_checksums;
drop table tartan.members;
drop table tartan.workspaces;
drop procedure tartan.protect;
drop function tartan.my_workspaces;
drop type tartan.member_role;
revoke all on schema tartan from authenticated, service_role;
revoke all on tartan.schema_versions from authenticated, service_role;
