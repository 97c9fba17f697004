-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

alter table tartan.libraries add column model_in_use int;
comment on column tartan.libraries.model_in_use is 'Version of the recogniser that answers, of a library of kind series, where a person chose an earlier one; null means the highest. Training again makes it null.';
comment on table tartan.series_models is 'Recognisers of the libraries of kind series. Each is trained from one source and never changes; the highest version answers unless the library says another.';

alter table tartan.library_edits drop constraint library_edits_action_known;
alter table tartan.library_edits add constraint library_edits_action_known check (action in ('define', 'describe', 'merge', 'split', 'pin', 'unpin', 'ignore', 'unignore', 'undo', 'use'));

-- Classes become patterns of their libraries, so that they are listed and described as others are. What they count is their examples.
comment on column tartan.patterns.template is 'Text with <*> for each slot; of a library of kind series, the name of the class in the training data.';
comment on column tartan.patterns.lines is 'Lines counted: the sum over its shapes. Of a library of kind series, the examples of the recogniser that answers.';
with latest as (
    select distinct on (library_id) library_id, version, created_at from tartan.series_models order by library_id, version desc
), made as (
    insert into tartan.patterns (workspace_id, library_id, id, template, slots, lines, first_seen, last_seen, revision, created_at)
    select c.workspace_id, c.library_id, c.pattern_id, c.name, '[]', c.examples, m.created_at, m.created_at, l.revision + 1, m.created_at
    from latest m join tartan.series_classes c using (library_id, version) join tartan.libraries l on l.id = m.library_id
    on conflict do nothing
    returning *
), versions as (
    insert into tartan.pattern_versions (workspace_id, library_id, pattern_id, version, template, slots, revision, created_at)
    select workspace_id, library_id, id, version, template, slots, revision, created_at from made
)
update tartan.libraries l set revision = revision + 1, patterns = n.patterns
from (select library_id, count(*) as patterns from made group by library_id) n where n.library_id = l.id;

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
update tartan.libraries set patterns = 0 where kind = 'series';
alter table tartan.pattern_versions disable trigger user;
delete from tartan.pattern_versions v using tartan.libraries l where l.id = v.library_id and l.kind = 'series';
alter table tartan.pattern_versions enable trigger user;
delete from tartan.patterns p using tartan.libraries l where l.id = p.library_id and l.kind = 'series';
alter table tartan.library_edits disable trigger user;
update tartan.library_edits e set undoes = null, action = 'describe' where exists (
    select from tartan.library_edits u where u.library_id = e.library_id and u.number = e.undoes and u.action = 'use');
update tartan.library_edits set action = 'describe' where action = 'use';
alter table tartan.library_edits enable trigger user;
alter table tartan.library_edits drop constraint library_edits_action_known;
alter table tartan.library_edits add constraint library_edits_action_known check (action in ('define', 'describe', 'merge', 'split', 'pin', 'unpin', 'ignore', 'unignore', 'undo'));
alter table tartan.libraries drop column model_in_use;
comment on table tartan.series_models is 'Recognisers of the libraries of kind series. Each is trained from one source and never changes; the highest version is the one that answers.';
comment on column tartan.patterns.template is 'Text with <*> for each slot.';
comment on column tartan.patterns.lines is 'Lines counted: the sum over its shapes.';
