-- The parts of Supabase that Tartan's schema relies on, for a Postgres that lacks them. Each part is made only where
-- it is absent, and all of it is safe to run at the same time in several databases of one cluster: roles belong to the
-- cluster, so another database may make one between our look and our create.
do $$
declare
    wanted text[][] := array[
        ['anon', 'nologin noinherit'],
        ['authenticated', 'nologin noinherit'],
        ['service_role', 'nologin noinherit bypassrls'],
        ['supabase_auth_admin', 'nologin noinherit createrole']];
begin
    for i in 1 .. array_length(wanted, 1) loop
        if not exists (select from pg_roles where rolname = wanted[i][1]) then
            begin
                execute format('create role %I %s', wanted[i][1], wanted[i][2]);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
    end loop;
end $$;

-- The schema belongs to Supabase Auth's role, so that Auth can be installed here later and replace the functions by
-- its own. auth.users is not made: Auth's first migration fails on a table that it did not make itself.
do $$
begin
    if to_regprocedure('auth.uid()') is not null then
        return;
    end if;
    create schema if not exists auth authorization supabase_auth_admin;
    execute $f$
        create function auth.jwt() returns jsonb language sql stable as
        'select coalesce(nullif(current_setting(''request.jwt.claim'', true), ''''),
                         nullif(current_setting(''request.jwt.claims'', true), ''''))::jsonb'
    $f$;
    execute $f$
        create function auth.uid() returns uuid language sql stable as
        'select coalesce(nullif(current_setting(''request.jwt.claim.sub'', true), ''''),
                         nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> ''sub'')::uuid'
    $f$;
    execute $f$
        create function auth.role() returns text language sql stable as
        'select coalesce(nullif(current_setting(''request.jwt.claim.role'', true), ''''),
                         nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> ''role'')'
    $f$;
    alter function auth.jwt() owner to supabase_auth_admin;
    alter function auth.uid() owner to supabase_auth_admin;
    alter function auth.role() owner to supabase_auth_admin;
    grant usage on schema auth to anon, authenticated, service_role;
    if not exists (select from pg_publication where pubname = 'supabase_realtime') then
        create publication supabase_realtime;
    end if;
end $$;
