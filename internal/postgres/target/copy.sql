create table if not exists tartan_migrate.rejected (
    migration uuid not null,
    step int not null,
    position jsonb not null,
    batch int not null,
    raw text not null,
    reason text not null,
    sqlstate text,
    rejected_at timestamptz not null default now(),
    primary key (migration, step, position),
    foreign key (migration, step) references tartan_migrate.steps on delete cascade
);
comment on table tartan_migrate.rejected is 'The quarantine: rows of a copy''s source that the target refused, or that could not be read.';
comment on column tartan_migrate.rejected.position is 'Offset, line and bytes in a file, or the key in another database.';
comment on column tartan_migrate.rejected.raw is 'The row as it stands in its source; bytes that are no text are written as \xNN.';
