create schema if not exists tartan_migrate;
create schema if not exists tartan_archive;
revoke all on schema tartan_migrate, tartan_archive from public;
comment on schema tartan_migrate is 'The ledger of the migrations that Tartan made here. Do not edit it: what it says is undone or gone on with.';
comment on schema tartan_archive is 'What migrations destroyed, kept until their retention ends, so that they can be undone.';
create table if not exists tartan_migrate.migrations (
    id uuid primary key,
    plan text not null,
    sha256 text not null,
    state text not null constraint migrations_state_known check (state in ('running', 'completed', 'rolled back')),
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    archive_until timestamptz,
    catalogue jsonb not null
);
comment on column tartan_migrate.migrations.catalogue is 'The structure of the database before the first step.';
create unique index if not exists migrations_one_at_a_time on tartan_migrate.migrations ((true)) where finished_at is null;
create table if not exists tartan_migrate.steps (
    migration uuid not null references tartan_migrate.migrations on delete cascade,
    ordinal int not null,
    name text not null,
    kind text not null,
    state text not null default 'pending' constraint steps_state_known check (state in ('pending', 'running', 'done', 'undoing', 'undone')),
    started_at timestamptz,
    finished_at timestamptz,
    rows bigint not null default 0,
    detail jsonb not null default '{}',
    primary key (migration, ordinal)
);
comment on column tartan_migrate.steps.detail is 'What undoing needs: the objects that the step changed, and the tables of the archive.';
create table if not exists tartan_migrate.batches (
    migration uuid not null,
    step int not null,
    ordinal int not null,
    last_key jsonb,
    rows bigint not null,
    checksum numeric,
    finished_at timestamptz not null default now(),
    undone_at timestamptz,
    primary key (migration, step, ordinal),
    foreign key (migration, step) references tartan_migrate.steps on delete cascade
);
