-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

alter table tartan.sources add column folded boolean not null default false; -- what was counted so far was not
alter table tartan.sources alter column folded set default true;
comment on column tartan.sources.folded is 'Whether lines that go on with the record before them are counted with it. Fixed with the plan of its chunks, because the ledger counts so.';

alter table tartan.chunks add column continued bigint not null default 0;
alter table tartan.chunks add constraint chunks_continued_positive check (continued >= 0);
comment on column tartan.chunks.lines is 'Lines counted: records, where lines are folded. With continued, all lines that start in the part.';
comment on column tartan.chunks.continued is 'Lines that go on with the record before them, such as frames of a stack trace, and are counted with it.';

alter table tartan.runs add column continued bigint not null default 0;
alter table tartan.runs add constraint runs_continued_positive check (continued >= 0);
comment on column tartan.runs.lines is 'Lines counted so far; with continued, all lines read.';
comment on column tartan.runs.continued is 'Lines that go on with the record before them and are counted with it.';

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
alter table tartan.runs drop column continued;
comment on column tartan.runs.lines is 'Lines counted so far.';
alter table tartan.chunks drop column continued;
comment on column tartan.chunks.lines is 'Lines counted.';
alter table tartan.sources drop column folded;
