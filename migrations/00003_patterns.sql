-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.patterns (
    workspace_id uuid not null,
    library_id   uuid not null,
    id           text collate "C" not null,
    name         text not null default '',
    description  text not null default '',
    template     text not null,
    slots        jsonb not null,
    state        text not null default 'active',
    lines        bigint not null default 0,
    first_seen   timestamptz,
    last_seen    timestamptz,
    version      int not null default 1,
    revision     bigint not null,
    created_at   timestamptz not null,
    primary key (library_id, id),
    constraint patterns_id_form check (id like 'p________________'),
    constraint patterns_state_known check (state in ('active', 'retired')),
    constraint patterns_slots_array check (jsonb_typeof(slots) = 'array'),
    constraint patterns_lines_positive check (lines >= 0),
    constraint patterns_retired_empty check (state = 'active' or lines = 0),
    constraint patterns_seen_when_counted check ((lines = 0) = (first_seen is null) and (first_seen is null) = (last_seen is null) and last_seen >= first_seen)
) with (fillfactor = 45); -- lines and last_seen are in no index and change with every commit, the first time right after the insert: a page has room for each row twice
comment on table tartan.patterns is 'Templates as they are today. A pattern that was merged into another or made more general is retired and its id kept as an alias.';
comment on column tartan.patterns.workspace_id is 'The workspace it belongs to.';
comment on column tartan.patterns.library_id is 'The library it belongs to.';
comment on column tartan.patterns.id is 'Fingerprint of the template, the same in every library and on every machine.';
comment on column tartan.patterns.name is 'Name that a person gave, or empty.';
comment on column tartan.patterns.description is 'What a person says it means, or empty.';
comment on column tartan.patterns.template is 'Text with <*> for each slot.';
comment on column tartan.patterns.slots is 'Name and type of each slot, in order.';
comment on column tartan.patterns.state is 'active, or retired when its shapes belong to other patterns now.';
comment on column tartan.patterns.lines is 'Lines counted: the sum over its shapes.';
comment on column tartan.patterns.first_seen is 'Earliest time of a line; null while there is none.';
comment on column tartan.patterns.last_seen is 'Latest time of a line; null while there is none.';
comment on column tartan.patterns.version is 'Latest number in pattern_versions.';
comment on column tartan.patterns.revision is 'Revision of the library when it last changed, counts apart.';
comment on column tartan.patterns.created_at is 'When it was first mined.';

create table tartan.pattern_versions (
    workspace_id uuid not null,
    library_id   uuid not null,
    pattern_id   text collate "C" not null,
    version      int not null,
    template     text not null,
    slots        jsonb not null,
    name         text not null default '',
    description  text not null default '',
    revision     bigint not null,
    workflow_id  text not null default '',
    created_at   timestamptz not null,
    primary key (library_id, pattern_id, version),
    constraint pattern_versions_version_positive check (version > 0)
);
comment on table tartan.pattern_versions is 'What a pattern was at each of its versions. Rows are never changed or deleted, except together with their library.';
comment on column tartan.pattern_versions.workspace_id is 'The workspace it belongs to.';
comment on column tartan.pattern_versions.library_id is 'The library it belongs to.';
comment on column tartan.pattern_versions.pattern_id is 'The pattern.';
comment on column tartan.pattern_versions.version is 'Number of the version, from 1.';
comment on column tartan.pattern_versions.template is 'Template at this version.';
comment on column tartan.pattern_versions.slots is 'Slots at this version.';
comment on column tartan.pattern_versions.name is 'Name at this version.';
comment on column tartan.pattern_versions.description is 'Description at this version.';
comment on column tartan.pattern_versions.revision is 'Revision of the library that brought it.';
comment on column tartan.pattern_versions.workflow_id is 'The workflow that brought it.';
comment on column tartan.pattern_versions.created_at is 'When it was made.';

-- Privileges keep clients from changing a version; the trigger keeps owners and service_role from it. Deleting is let
-- through only where the library itself is gone, which is how the cascade looks from here.
-- +goose StatementBegin
create function tartan.refuse_version_change() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'DELETE' and not exists (select from tartan.libraries l where l.id = old.library_id) then
        return old;
    end if;
    raise exception 'pattern versions are immutable: % of version % of pattern %', lower(tg_op), old.version, old.pattern_id
        using errcode = 'restrict_violation';
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
create function tartan.refuse_version_truncate() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception 'pattern versions are immutable: truncate' using errcode = 'restrict_violation';
end $$;
-- +goose StatementEnd
create trigger pattern_versions_immutable before update or delete on tartan.pattern_versions
    for each row execute function tartan.refuse_version_change();
create trigger pattern_versions_no_truncate before truncate on tartan.pattern_versions
    for each statement execute function tartan.refuse_version_truncate();

create table tartan.pattern_aliases (
    workspace_id uuid not null,
    library_id   uuid not null,
    old_id       text collate "C" not null,
    new_id       text collate "C" not null,
    revision     bigint not null,
    created_at   timestamptz not null,
    primary key (library_id, old_id),
    constraint pattern_aliases_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint pattern_aliases_new_fkey foreign key (library_id, new_id) references tartan.patterns (library_id, id) on delete cascade,
    constraint pattern_aliases_not_itself check (old_id <> new_id)
);
create index pattern_aliases_new_id_idx on tartan.pattern_aliases (library_id, new_id);
comment on table tartan.pattern_aliases is 'Ids that patterns had before, each pointing straight at the pattern of today, so that an id once given out stays valid.';
comment on column tartan.pattern_aliases.workspace_id is 'The workspace it belongs to.';
comment on column tartan.pattern_aliases.library_id is 'The library it belongs to.';
comment on column tartan.pattern_aliases.old_id is 'The id given out earlier.';
comment on column tartan.pattern_aliases.new_id is 'The active pattern it means now.';
comment on column tartan.pattern_aliases.revision is 'Revision of the library that brought or last moved it.';
comment on column tartan.pattern_aliases.created_at is 'When the old id was first retired.';

create table tartan.shapes (
    workspace_id uuid not null,
    library_id   uuid not null,
    id           bigint not null,
    text         text not null,
    pattern_id   text collate "C",
    folded_into  bigint,
    lines        bigint not null default 0,
    first_seen   timestamptz,
    last_seen    timestamptz,
    revision     bigint not null,
    primary key (library_id, id),
    constraint shapes_folded_empty check (folded_into is null or (lines = 0 and pattern_id is null)),
    constraint shapes_other_has_no_pattern check ((pattern_id is null) = (id = 0 or folded_into is not null)),
    constraint shapes_lines_positive check (lines >= 0),
    constraint shapes_seen_when_counted check ((lines = 0) = (first_seen is null) and (first_seen is null) = (last_seen is null) and last_seen >= first_seen)
) with (fillfactor = 45); -- as for patterns
create index shapes_pattern_id_idx on tartan.shapes (library_id, pattern_id);
create index shapes_revision_idx on tartan.shapes (library_id, revision);
comment on table tartan.shapes is 'Messages with their obvious values masked: what is counted. Which shape a message has never changes; which pattern a shape belongs to may.';
comment on column tartan.shapes.workspace_id is 'The workspace it belongs to.';
comment on column tartan.shapes.library_id is 'The library it belongs to.';
comment on column tartan.shapes.id is '64-bit hash of the text (signed here), the same on every machine. 0 counts lines that no longer fitted the bound on shapes.';
comment on column tartan.shapes.text is 'The masked message; a masked value is one control character that says its type.';
comment on column tartan.shapes.pattern_id is 'The pattern it belongs to today; null for shape 0 and for folded shapes. Patterns are never deleted singly.';
comment on column tartan.shapes.folded_into is 'The wider shape that took its lines, where its column showed too many distinct words to keep.';
comment on column tartan.shapes.lines is 'Lines counted: the sum over pattern_counts.';
comment on column tartan.shapes.first_seen is 'Earliest time of a line; null while there is none.';
comment on column tartan.shapes.last_seen is 'Latest time of a line; null while there is none.';
comment on column tartan.shapes.revision is 'Revision of the library when it last changed, counts apart.';

create table tartan.pattern_counts (
    workspace_id uuid not null,
    library_id   uuid not null,
    shape_id     bigint not null,
    bucket       timestamptz not null,
    lines        bigint not null,
    primary key (library_id, shape_id, bucket),
    constraint pattern_counts_lines_positive check (lines > 0)
) with (fillfactor = 80);
comment on table tartan.pattern_counts is 'Lines per shape and time bucket. Counted per shape, so that the counts of a pattern stay exact when shapes move to another one.';
comment on column tartan.pattern_counts.workspace_id is 'The workspace it belongs to.';
comment on column tartan.pattern_counts.library_id is 'The library it belongs to.';
comment on column tartan.pattern_counts.shape_id is 'The shape. Shapes are never deleted singly.';
comment on column tartan.pattern_counts.bucket is 'Start of the bucket; its width is the library''s bucket_seconds.';
comment on column tartan.pattern_counts.lines is 'Lines in the bucket.';

create table tartan.examples (
    workspace_id uuid not null,
    library_id   uuid not null,
    shape_id     bigint not null,
    line         text not null,
    at           timestamptz not null,
    source_id    uuid,
    primary key (library_id, shape_id)
);
comment on table tartan.examples is 'One line per shape as it was seen: the earliest, and of several the least, so that the order of arrival does not matter.';
comment on column tartan.examples.workspace_id is 'The workspace it belongs to.';
comment on column tartan.examples.library_id is 'The library it belongs to.';
comment on column tartan.examples.shape_id is 'The shape.';
comment on column tartan.examples.line is 'The line, cut at 4 KiB. A byte that is not text is the private character U+10FF00 plus its value.';
comment on column tartan.examples.at is 'Time of the line.';
comment on column tartan.examples.source_id is 'The source it was in.';

call tartan.protect('tartan.patterns', 'editor', 'insert, update');
call tartan.protect('tartan.pattern_versions', 'editor', 'insert');
call tartan.protect('tartan.pattern_aliases', 'editor', 'insert, update, delete');
call tartan.protect('tartan.shapes', 'editor', 'insert, update');
call tartan.protect('tartan.pattern_counts', 'editor', 'insert, update, delete');
call tartan.protect('tartan.examples', 'editor', 'insert, update, delete');
revoke update, delete, truncate on tartan.pattern_versions from authenticated, service_role;

-- A row may only name a library of its own workspace. A foreign key would say the same, but is checked row by row, and
-- these tables take thousands of rows per statement: measured, it doubled the time of a commit. So the check is made
-- once per statement, over the few different libraries in it (one, as a rule).
-- +goose StatementBegin
create function tartan.require_library() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if exists (
        select from (select distinct workspace_id, library_id from added) a
        where not exists (select from tartan.libraries l where l.id = a.library_id and l.workspace_id = a.workspace_id)) then
        raise exception 'a row of % names a library that its workspace does not have', tg_table_name using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
create function tartan.refuse_library_change() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception 'a row of % stays in its library', tg_table_name using errcode = 'restrict_violation';
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
create function tartan.delete_library_content() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    delete from tartan.examples where library_id = old.id;
    delete from tartan.pattern_counts where library_id = old.id;
    delete from tartan.shapes where library_id = old.id;
    delete from tartan.pattern_versions where library_id = old.id;
    delete from tartan.patterns where library_id = old.id;
    return null;
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
do $$
declare
    t text;
begin
    foreach t in array array['patterns', 'pattern_versions', 'shapes', 'pattern_counts', 'examples'] loop
        execute format('create trigger %1$s_library after insert on tartan.%1$I referencing new table as added
            for each statement execute function tartan.require_library()', t);
        execute format('create trigger %1$s_stay before update of workspace_id, library_id on tartan.%1$I for each row
            when ((old.workspace_id, old.library_id) is distinct from (new.workspace_id, new.library_id)) execute function tartan.refuse_library_change()', t);
    end loop;
end $$;
-- +goose StatementEnd
create trigger libraries_content after delete on tartan.libraries for each row execute function tartan.delete_library_content();

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop trigger libraries_content on tartan.libraries;
drop table tartan.examples;
drop table tartan.pattern_counts;
drop table tartan.shapes;
drop table tartan.pattern_aliases;
drop table tartan.pattern_versions;
drop table tartan.patterns;
drop function tartan.refuse_version_change;
drop function tartan.refuse_version_truncate;
drop function tartan.require_library;
drop function tartan.refuse_library_change;
drop function tartan.delete_library_content;
