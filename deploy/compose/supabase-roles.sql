-- The image creates Supabase's service roles without passwords; they all get that of the superuser.
\set pgpass `echo "$POSTGRES_PASSWORD"`
alter user authenticator with password :'pgpass';
alter user pgbouncer with password :'pgpass';
alter user supabase_auth_admin with password :'pgpass';
alter user supabase_storage_admin with password :'pgpass';
-- Realtime keeps its own tables here and does not create the schema itself.
create schema if not exists _realtime;
alter schema _realtime owner to supabase_admin;
