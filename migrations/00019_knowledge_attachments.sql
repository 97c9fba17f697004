-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.knowledge_attachments (
    workspace_id uuid not null,
    space_id     uuid not null,
    path         text collate "C" not null,
    recorded_at  timestamptz not null default clock_timestamp(),
    sha256       text collate "C" not null,
    bytes        bigint not null,
    author       uuid not null,
    workflow_id  text not null,
    primary key (space_id, path, recorded_at),
    constraint knowledge_attachments_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_attachments_path_length check (octet_length(path) between 1 and 1024),
    constraint knowledge_attachments_sha256_form check (sha256 ~ '^[0-9a-f]{64}$'),
    constraint knowledge_attachments_bytes_positive check (bytes >= 0)
);
comment on table tartan.knowledge_attachments is 'Files of a space that are no entries, such as images, by where they are exported to. The content is an object in the bucket. Rows are never changed: the latest of a path counts.';
comment on column tartan.knowledge_attachments.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_attachments.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_attachments.path is 'Path from the root of the folder, with slashes.';
comment on column tartan.knowledge_attachments.recorded_at is 'Since when it is so.';
comment on column tartan.knowledge_attachments.sha256 is 'SHA-256 of the content, in hex, by which the object is found.';
comment on column tartan.knowledge_attachments.bytes is 'Length of the content.';
comment on column tartan.knowledge_attachments.author is 'Who brought it in.';
comment on column tartan.knowledge_attachments.workflow_id is 'The workflow that did.';
create trigger knowledge_attachments_immutable before update or delete on tartan.knowledge_attachments for each row execute function tartan.refuse_knowledge_change();
call tartan.protect_space('tartan.knowledge_attachments', 'writer', 'insert');
revoke update, delete, truncate on tartan.knowledge_attachments from authenticated, service_role;

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.knowledge_attachments;
