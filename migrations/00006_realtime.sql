-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- Browsers and other Supabase clients may follow these tables. Where the publication is absent, covers everything
-- already, or belongs to someone else, there is nothing to do here or it is for its owner to do.
-- +goose StatementBegin
do $$
declare
    t text;
begin
    if not exists (select from pg_publication where pubname = 'supabase_realtime' and not puballtables) then
        return;
    end if;
    foreach t in array array['libraries', 'patterns', 'pattern_versions', 'pattern_aliases', 'runs'] loop
        if not exists (select from pg_publication_tables where pubname = 'supabase_realtime' and schemaname = 'tartan' and tablename = t) then
            execute format('alter publication supabase_realtime add table tartan.%I', t);
        end if;
    end loop;
exception when insufficient_privilege then
    raise warning 'tables of tartan are not in the publication supabase_realtime: %', sqlerrm;
end $$;
-- +goose StatementEnd

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
-- +goose StatementBegin
do $$
declare
    t text;
begin
    for t in select tablename from pg_publication_tables p join pg_publication b using (pubname)
             where pubname = 'supabase_realtime' and schemaname = 'tartan' and not b.puballtables loop
        execute format('alter publication supabase_realtime drop table tartan.%I', t);
    end loop;
exception when insufficient_privilege then
    raise warning 'tables of tartan stay in the publication supabase_realtime: %', sqlerrm;
end $$;
-- +goose StatementEnd
