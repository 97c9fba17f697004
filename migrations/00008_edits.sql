-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.library_edits (
    workspace_id uuid not null,
    library_id   uuid not null,
    number       bigint not null,
    workflow_id  text not null,
    seq          int not null,
    action       text not null,
    payload      jsonb not null,
    rules        jsonb not null default '[]',
    subjects     text[] not null default '{}',
    created      text[] not null default '{}',
    noted        text not null default '',
    undoes       bigint,
    author       uuid not null,
    reason       text not null default '',
    revision     bigint not null,
    created_at   timestamptz not null,
    primary key (library_id, number),
    constraint library_edits_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint library_edits_undoes_fkey foreign key (library_id, undoes) references tartan.library_edits (library_id, number),
    constraint library_edits_once_key unique (library_id, workflow_id, seq),
    constraint library_edits_number_positive check (number > 0 and seq >= 0),
    constraint library_edits_undoes_earlier check (undoes < number),
    constraint library_edits_action_known check (action in ('define', 'describe', 'merge', 'split', 'pin', 'unpin', 'ignore', 'unignore', 'undo')),
    constraint library_edits_undo_names_edit check ((action in ('undo', 'unpin')) = (undoes is not null)),
    constraint library_edits_rules_array check (jsonb_typeof(rules) = 'array')
);
comment on table tartan.library_edits is 'What people did to the patterns of a library, in order: ledger and history. Rows are never changed or deleted, except together with their library; an undo is a row that names another, and what holds is what no row that holds undoes.';
comment on column tartan.library_edits.workspace_id is 'The workspace it belongs to.';
comment on column tartan.library_edits.library_id is 'The library.';
comment on column tartan.library_edits.number is 'Number of the edit in its library, from 1.';
comment on column tartan.library_edits.workflow_id is 'The workflow that made it. With seq it is the key by which an edit that is retried is made once.';
comment on column tartan.library_edits.seq is 'Place in the batch of its workflow, from 0.';
comment on column tartan.library_edits.action is 'What was done.';
comment on column tartan.library_edits.payload is 'The edit as it was asked for, with pattern ids of then.';
comment on column tartan.library_edits.rules is 'The rules that it adds while it holds: number, target, matchers of shapes, and the targets of earlier rules that it replaces.';
comment on column tartan.library_edits.subjects is 'The patterns it was about.';
comment on column tartan.library_edits.created is 'The patterns that it made, which were not there before.';
comment on column tartan.library_edits.noted is 'The pattern whose note it adds to, or empty.';
comment on column tartan.library_edits.undoes is 'The edit that it undoes; null for all but an undo or unpin.';
comment on column tartan.library_edits.author is 'Who made it.';
comment on column tartan.library_edits.reason is 'Why, in the words of the author.';
comment on column tartan.library_edits.revision is 'Revision of the library that it brought.';
comment on column tartan.library_edits.created_at is 'When it was made.';

-- As for pattern versions: privileges keep clients from changing a row, the trigger owners and service_role.
-- +goose StatementBegin
create function tartan.refuse_edit_change() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'DELETE' and not exists (select from tartan.libraries l where l.id = old.library_id) then
        return old;
    end if;
    raise exception 'edits are immutable: % of edit %', lower(tg_op), old.number using errcode = 'restrict_violation';
end $$;
-- +goose StatementEnd
create trigger library_edits_immutable before update or delete on tartan.library_edits
    for each row execute function tartan.refuse_edit_change();
create trigger library_edits_no_truncate before truncate on tartan.library_edits
    for each statement execute function tartan.refuse_version_truncate();

create table tartan.pattern_notes (
    workspace_id uuid not null,
    library_id   uuid not null,
    pattern_id   text collate "C" not null,
    name         text,
    description  text,
    tags         jsonb,
    owner        text,
    severity     text,
    ignored      boolean,
    primary key (library_id, pattern_id),
    constraint pattern_notes_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint pattern_notes_pattern_fkey foreign key (library_id, pattern_id) references tartan.patterns (library_id, id) on delete cascade,
    constraint pattern_notes_tags_array check (jsonb_typeof(tags) = 'array'),
    constraint pattern_notes_severity_known check (severity in ('', 'debug', 'info', 'warning', 'error', 'critical'))
);
comment on table tartan.pattern_notes is 'What people say of a pattern by this id: the edits that hold, added up. A pattern shows its own note, and where that says nothing the notes of ids that are aliases of it.';
comment on column tartan.pattern_notes.workspace_id is 'The workspace it belongs to.';
comment on column tartan.pattern_notes.library_id is 'The library.';
comment on column tartan.pattern_notes.pattern_id is 'The pattern, by the id it had when it was described.';
comment on column tartan.pattern_notes.name is 'Name; null where nothing was said.';
comment on column tartan.pattern_notes.description is 'What it means; null where nothing was said.';
comment on column tartan.pattern_notes.tags is 'Tags, an array; null where nothing was said.';
comment on column tartan.pattern_notes.owner is 'Who looks after it; null where nothing was said.';
comment on column tartan.pattern_notes.severity is 'How bad it is; null where nothing was said.';
comment on column tartan.pattern_notes.ignored is 'Whether it is left out of lists and comparisons; null where nothing was said.';

alter table tartan.patterns
    add column origin text not null default '',
    add column tags text[] not null default '{}',
    add column owner text not null default '',
    add column severity text not null default '',
    add column ignored boolean not null default false,
    add column noted boolean not null default false,
    add constraint patterns_origin_known check (origin in ('', 'own', 'merged', 'split', 'pinned')),
    add constraint patterns_severity_known check (severity in ('', 'debug', 'info', 'warning', 'error', 'critical'));
create index patterns_noted_idx on tartan.patterns (library_id, id) where noted;
comment on column tartan.patterns.origin is 'How it came about: empty for mined, or own, merged, split or pinned while a rule that a person made holds it.';
comment on column tartan.patterns.tags is 'Tags that a person gave.';
comment on column tartan.patterns.owner is 'Who looks after it, as a person said, or empty.';
comment on column tartan.patterns.severity is 'How bad it is, as a person said: debug, info, warning, error, critical, or empty.';
comment on column tartan.patterns.ignored is 'Whether it is left out of lists and comparisons. It is still counted and recognised.';
comment on column tartan.patterns.noted is 'Whether name, description, tags, owner, severity or ignored come from pattern_notes.';

alter table tartan.pattern_versions
    add column origin text not null default '',
    add column tags text[] not null default '{}',
    add column owner text not null default '',
    add column severity text not null default '',
    add column ignored boolean not null default false;
comment on column tartan.pattern_versions.origin is 'Origin at this version.';
comment on column tartan.pattern_versions.tags is 'Tags at this version.';
comment on column tartan.pattern_versions.owner is 'Owner at this version.';
comment on column tartan.pattern_versions.severity is 'Severity at this version.';
comment on column tartan.pattern_versions.ignored is 'Whether it was ignored at this version.';

alter table tartan.pattern_aliases add column heir_id text collate "C";
comment on column tartan.pattern_aliases.heir_id is 'The id that took over when this one was retired; null means new_id. It may be retired too; new_id is where following heirs ends. When an edit is undone and an id lives again, what lies before it points to it again.';

alter table tartan.libraries add column rules_revision bigint not null default 0;
comment on column tartan.libraries.rules_revision is 'Revision at which the rules last changed. Readers that hold an older one read library_edits again.';

-- Names given before there were edits are kept as notes.
insert into tartan.pattern_notes (workspace_id, library_id, pattern_id, name, description)
    select workspace_id, library_id, id, nullif(name, ''), nullif(description, '') from tartan.patterns where name <> '' or description <> '';
update tartan.patterns set noted = true where name <> '' or description <> '';

call tartan.protect('tartan.library_edits', 'editor', 'insert');
call tartan.protect('tartan.pattern_notes', 'editor', 'insert, update, delete');
revoke update, delete, truncate on tartan.library_edits from authenticated, service_role;

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.pattern_notes;
drop table tartan.library_edits;
drop function tartan.refuse_edit_change;
alter table tartan.libraries drop column rules_revision;
alter table tartan.pattern_aliases drop column heir_id;
alter table tartan.pattern_versions drop column origin, drop column tags, drop column owner, drop column severity, drop column ignored;
alter table tartan.patterns drop column origin, drop column tags, drop column owner, drop column severity, drop column ignored, drop column noted;
