-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

alter table tartan.target_migrations
    add column report_md   text not null default '',
    add column report_html text not null default '';
comment on column tartan.target_migrations.report_md is 'The report as Markdown in the bucket, once it has ended; empty before.';
comment on column tartan.target_migrations.report_html is 'The same as HTML with a picture of its time.';

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
alter table tartan.target_migrations drop column report_md, drop column report_html;
