-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.slot_values (
    workspace_id uuid not null,
    library_id   uuid not null,
    shape_id     bigint not null,
    span         int not null,
    start        timestamptz not null,
    lines        bigint not null,
    body         bytea not null,
    primary key (library_id, shape_id, span, start),
    constraint slot_values_span_known check (span in (3600, 86400, 2592000)),
    constraint slot_values_lines_positive check (lines > 0)
) with (fillfactor = 80);
comment on table tartan.slot_values is 'What the masked columns of a shape held, summed up per hour, merged into days and spans of 30 days as they grow old against the last line of the shape. Kept per shape, so that the values of a pattern stay whole when shapes move to another one.';
comment on column tartan.slot_values.workspace_id is 'The workspace it belongs to.';
comment on column tartan.slot_values.library_id is 'The library it belongs to.';
comment on column tartan.slot_values.shape_id is 'The shape. Shapes are never deleted singly.';
comment on column tartan.slot_values.span is 'Length of the period in seconds: an hour, a day or 30 days.';
comment on column tartan.slot_values.start is 'Start of the period, a multiple of the span since 1970.';
comment on column tartan.slot_values.lines is 'Lines of the shape in the period that are summed up here.';
comment on column tartan.slot_values.body is 'The summaries of its columns, as the package values encodes them: counts, distinct count, top values, numbers, first and last value. Values are cut at 80 bytes.';
-- Bodies are compact already: trying to compress them costs time at each commit and saves little.
alter table tartan.slot_values alter column body set storage external;

call tartan.protect('tartan.slot_values', 'editor', 'insert, update, delete');
create trigger slot_values_library after insert on tartan.slot_values referencing new table as added
    for each statement execute function tartan.require_library();
create trigger slot_values_stay before update of workspace_id, library_id on tartan.slot_values for each row
    when ((old.workspace_id, old.library_id) is distinct from (new.workspace_id, new.library_id)) execute function tartan.refuse_library_change();
-- +goose StatementBegin
create function tartan.delete_slot_values() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    delete from tartan.slot_values where library_id = old.id;
    return null;
end $$;
-- +goose StatementEnd
create trigger libraries_slot_values after delete on tartan.libraries for each row execute function tartan.delete_slot_values();

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop trigger libraries_slot_values on tartan.libraries;
drop table tartan.slot_values;
drop function tartan.delete_slot_values;
