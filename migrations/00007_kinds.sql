-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';
alter table tartan.libraries drop constraint libraries_kind_known;
update tartan.libraries set kind = case kind when 'text' then 'lines' when 'json' then 'record' else 'text' end where kind <> 'series';
alter table tartan.libraries alter column kind set default 'lines';
alter table tartan.libraries add constraint libraries_kind_known check (kind in ('lines', 'record', 'series', 'text'));
comment on column tartan.libraries.kind is 'What the observations are: lines (of logs), record (JSON events), series (of numbers) or text (free text).';

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
alter table tartan.libraries drop constraint libraries_kind_known;
update tartan.libraries set kind = case kind when 'lines' then 'text' when 'record' then 'json' else 'vector' end where kind <> 'series';
alter table tartan.libraries alter column kind set default 'text';
alter table tartan.libraries add constraint libraries_kind_known check (kind in ('text', 'json', 'series', 'vector'));
comment on column tartan.libraries.kind is 'What the observations are: text, json, series or vector.';
