-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.libraries (
    id             uuid primary key default gen_random_uuid(),
    workspace_id   uuid not null references tartan.workspaces (id) on delete cascade,
    name           text not null,
    kind           text not null default 'text',
    revision       bigint not null default 0,
    bucket_seconds int not null default 60,
    shapes         bigint not null default 0,
    patterns       bigint not null default 0,
    lines          bigint not null default 0,
    other_lines    bigint not null default 0,
    checksum       bigint not null default 0,
    is_full        boolean not null default false,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    constraint libraries_name_key unique (workspace_id, name),
    -- Target of the foreign keys of all that a library holds: a row can only name a library of its own workspace.
    constraint libraries_workspace_key unique (workspace_id, id),
    constraint libraries_name_form check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    constraint libraries_kind_known check (kind in ('text', 'json', 'series', 'vector')),
    constraint libraries_bucket_positive check (bucket_seconds > 0),
    constraint libraries_counts_positive check (shapes >= 0 and patterns >= 0 and other_lines >= 0 and lines >= other_lines)
) with (fillfactor = 50); -- the totals change with every commit; room on the page keeps those updates cheap
comment on table tartan.libraries is 'Named sets of patterns. The row is also the lock: whoever writes anything of a library locks its row first.';
comment on column tartan.libraries.id is 'Primary key.';
comment on column tartan.libraries.workspace_id is 'The workspace it belongs to.';
comment on column tartan.libraries.name is 'Name, unique in the workspace.';
comment on column tartan.libraries.kind is 'What the observations are: text, json, series or vector.';
comment on column tartan.libraries.revision is 'Grows by one with each change of shapes or patterns. Readers that hold the library in memory ask for what is newer than theirs.';
comment on column tartan.libraries.bucket_seconds is 'Width of a time bucket in pattern_counts. Fixed once there are counts.';
comment on column tartan.libraries.shapes is 'Number of shapes, without folded ones.';
comment on column tartan.libraries.patterns is 'Number of active patterns.';
comment on column tartan.libraries.lines is 'All lines counted. Equals the sum over shapes and the sum over the ledger of its sources.';
comment on column tartan.libraries.other_lines is 'Lines counted under no pattern because the bound on shapes was reached.';
comment on column tartan.libraries.checksum is 'Order-free checksum over shapes and their patterns at this revision (64 bits, signed here); readers compare theirs with it.';
comment on column tartan.libraries.is_full is 'Whether the bound on shapes was ever reached.';
comment on column tartan.libraries.created_at is 'When the library was made.';
comment on column tartan.libraries.updated_at is 'When its numbers last changed.';

create table tartan.sources (
    id           uuid primary key default gen_random_uuid(),
    workspace_id uuid not null,
    library_id   uuid not null,
    sha256       text not null,
    name         text not null,
    object_key   text not null default '',
    plain_key    text not null default '',
    compression  text not null default '',
    bytes        bigint not null default 0,
    plain_bytes  bigint not null default 0,
    chunk_bytes  bigint not null default 0,
    chunks       int not null default 0,
    workflow_id  text not null default '',
    received_at  timestamptz not null default now(),
    constraint sources_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint sources_sha256_key unique (library_id, sha256),
    constraint sources_workspace_key unique (workspace_id, id),
    constraint sources_sha256_form check (sha256 ~ '^[0-9a-f]{64}$'),
    constraint sources_compression_known check (compression in ('', 'gzip', 'zstd')),
    constraint sources_sizes_positive check (bytes >= 0 and plain_bytes >= 0 and chunk_bytes >= 0 and chunks >= 0)
);
comment on table tartan.sources is 'Bodies of observations given to a library, each once: the digest of the bytes is the key.';
comment on column tartan.sources.id is 'Primary key.';
comment on column tartan.sources.workspace_id is 'The workspace it belongs to.';
comment on column tartan.sources.library_id is 'The library its lines are counted in.';
comment on column tartan.sources.sha256 is 'SHA-256 of the bytes as received, in hex. With the library it identifies the source, so the same file is counted once.';
comment on column tartan.sources.name is 'Where it came from, for people: a file name.';
comment on column tartan.sources.object_key is 'Key of the bytes as received in the bucket.';
comment on column tartan.sources.plain_key is 'Key of the uncompressed bytes in the bucket.';
comment on column tartan.sources.compression is 'How it was compressed when received: empty, gzip or zstd.';
comment on column tartan.sources.bytes is 'Size as received.';
comment on column tartan.sources.plain_bytes is 'Size uncompressed; 0 until known.';
comment on column tartan.sources.chunk_bytes is 'Size of a chunk; 0 until planned, then fixed, because the ledger counts in chunks of this size.';
comment on column tartan.sources.chunks is 'Number of chunks; 0 until planned.';
comment on column tartan.sources.workflow_id is 'The workflow that mines it.';
comment on column tartan.sources.received_at is 'When it was first given.';

create table tartan.chunks (
    workspace_id uuid not null,
    source_id    uuid not null,
    seq          int not null,
    start_byte   bigint not null,
    end_byte     bigint not null,
    lines        bigint not null,
    bytes        bigint not null,
    new_patterns bigint not null default 0,
    other_lines  bigint not null default 0,
    untimed      bigint not null default 0,
    committed_at timestamptz not null default now(),
    primary key (source_id, seq),
    constraint chunks_source_fkey foreign key (workspace_id, source_id) references tartan.sources (workspace_id, id) on delete cascade,
    constraint chunks_range check (seq >= 0 and start_byte >= 0 and end_byte >= start_byte),
    constraint chunks_counts_positive check (lines >= 0 and bytes >= 0 and new_patterns >= 0 and other_lines >= 0 and untimed >= 0)
);
comment on table tartan.chunks is 'Ledger: the parts of sources whose counts are in the library. The row is written in the transaction that adds the counts, so a part that is retried or doubled is counted once.';
comment on column tartan.chunks.workspace_id is 'The workspace it belongs to.';
comment on column tartan.chunks.source_id is 'The source it is a part of.';
comment on column tartan.chunks.seq is 'Number of the part, from 0.';
comment on column tartan.chunks.start_byte is 'First byte of its first line in the uncompressed source.';
comment on column tartan.chunks.end_byte is 'Byte after its last line.';
comment on column tartan.chunks.lines is 'Lines counted.';
comment on column tartan.chunks.bytes is 'Bytes read.';
comment on column tartan.chunks.new_patterns is 'Patterns that the library did not have before.';
comment on column tartan.chunks.other_lines is 'Lines counted under no pattern.';
comment on column tartan.chunks.untimed is 'Lines without a time of their own, counted at their neighbour''s or at the time of arrival.';
comment on column tartan.chunks.committed_at is 'When the counts were added.';

call tartan.protect('tartan.libraries', 'editor', 'insert, update');
call tartan.protect('tartan.sources', 'editor', 'insert, update');
call tartan.protect('tartan.chunks', 'editor', 'insert, update');
-- The ledger is append-only, but for the two numbers that are known only after learning.
revoke update on tartan.chunks from authenticated, service_role;
grant update (new_patterns, other_lines) on tartan.chunks to authenticated, service_role;
create policy members_delete on tartan.libraries for delete to authenticated
    using (workspace_id = any ((select tartan.my_workspaces('admin'))::uuid[]));
grant delete on tartan.libraries to authenticated;

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.chunks;
drop table tartan.sources;
drop table tartan.libraries;
