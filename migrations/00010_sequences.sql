-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.sequence_reports (
    workspace_id uuid not null,
    library_id   uuid not null,
    workflow_id  text not null,
    session_key  text not null default '',
    revision     bigint not null,
    sources      int not null,
    lines        bigint not null,
    events       bigint not null,
    report       jsonb not null,
    created_at   timestamptz not null default now(),
    primary key (library_id, workflow_id),
    constraint sequence_reports_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint sequence_reports_counts_positive check (sources >= 0 and lines >= 0 and events >= 0 and events <= lines),
    constraint sequence_reports_report_object check (jsonb_typeof(report) = 'object')
);
comment on table tartan.sequence_reports is 'What AnalyzeSequences found last: which pattern follows which within a session, and what breaks the habit. One row a workflow; running it again replaces it.';
comment on column tartan.sequence_reports.workspace_id is 'The workspace it belongs to.';
comment on column tartan.sequence_reports.library_id is 'The library whose sources were read.';
comment on column tartan.sequence_reports.workflow_id is 'The workflow that found it.';
comment on column tartan.sequence_reports.session_key is 'What the sessions go by: the name of a slot, the prefix of its values or its type. Empty if nothing recurs.';
comment on column tartan.sequence_reports.revision is 'Revision of the library that lines were recognised with.';
comment on column tartan.sequence_reports.sources is 'Number of sources read.';
comment on column tartan.sequence_reports.lines is 'Lines read.';
comment on column tartan.sequence_reports.events is 'Lines that had a pattern and a session.';
comment on column tartan.sequence_reports.report is 'Habits and breaks, as package sequence reports them.';
comment on column tartan.sequence_reports.created_at is 'When it was found.';

call tartan.protect('tartan.sequence_reports', 'editor', 'insert, update');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.sequence_reports;
