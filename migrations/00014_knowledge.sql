-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create type tartan.space_role as enum ('reader', 'writer', 'reviewer');
comment on type tartan.space_role is 'What one may do in a space of knowledge, least first: each role may do all that the ones before it may.';

create table tartan.knowledge_spaces (
    id           uuid primary key,
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    name         text not null,
    title        text not null default '',
    restricted   boolean not null default false,
    approvals    int not null default 0,
    self_review  boolean not null default false,
    policy       jsonb not null default '{}',
    remind_after interval not null default '1 day',
    expire_after interval not null default '14 days',
    stale_after  interval,
    retention    interval,
    legal_hold   boolean not null default false,
    created_by   uuid not null,
    created_at   timestamptz not null default now(),
    constraint knowledge_spaces_name_key unique (workspace_id, name),
    -- Target of the foreign keys of all that a space holds: a row can only name a space of its own workspace.
    constraint knowledge_spaces_workspace_key unique (workspace_id, id),
    constraint knowledge_spaces_name_form check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    constraint knowledge_spaces_approvals_range check (approvals between 0 and 10),
    constraint knowledge_spaces_policy_object check (jsonb_typeof(policy) = 'object'),
    constraint knowledge_spaces_times_positive check (remind_after > '0' and expire_after > '0' and stale_after > '0' and retention > '0')
);
comment on table tartan.knowledge_spaces is 'Spaces: parts of the knowledge base with rules of their own.';
comment on column tartan.knowledge_spaces.id is 'Primary key.';
comment on column tartan.knowledge_spaces.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_spaces.name is 'Name, unique in the workspace: the first part of the address of each entry in it.';
comment on column tartan.knowledge_spaces.title is 'Name for people.';
comment on column tartan.knowledge_spaces.restricted is 'Whether it and all in it is seen by its members only. What the role in the workspace does not allow, membership does not either.';
comment on column tartan.knowledge_spaces.approvals is 'How many reviewers must approve a change set before it is published; with 0 only what is quarantined waits for one.';
comment on column tartan.knowledge_spaces.self_review is 'Whether the approval of the author counts.';
comment on column tartan.knowledge_spaces.policy is 'What validation is to do here where that differs from the default.';
comment on column tartan.knowledge_spaces.remind_after is 'How long a change set waits for a person before reviewers are reminded, and again after each such time.';
comment on column tartan.knowledge_spaces.expire_after is 'How long a change set waits for a person before it expires.';
comment on column tartan.knowledge_spaces.stale_after is 'Age of the last revision at which an entry is due for review; null is never.';
comment on column tartan.knowledge_spaces.retention is 'How long the text of a revision that is neither current nor tagged is kept; null is for ever.';
comment on column tartan.knowledge_spaces.legal_hold is 'Whether nothing may be destroyed, neither by retention nor by excision.';
comment on column tartan.knowledge_spaces.created_by is 'Who made it.';
comment on column tartan.knowledge_spaces.created_at is 'When it was made.';

create table tartan.knowledge_space_members (
    workspace_id uuid not null,
    space_id     uuid not null,
    user_id      uuid not null,
    role         tartan.space_role not null,
    created_at   timestamptz not null default now(),
    primary key (space_id, user_id),
    constraint knowledge_space_members_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade
);
comment on table tartan.knowledge_space_members is 'Who may do what in restricted spaces, within what the role in the workspace allows. In open spaces the rows have no effect.';
comment on column tartan.knowledge_space_members.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_space_members.space_id is 'The space.';
comment on column tartan.knowledge_space_members.user_id is 'The subject of the token.';
comment on column tartan.knowledge_space_members.role is 'What the member may do: reader, writer or reviewer.';
comment on column tartan.knowledge_space_members.created_at is 'When the member joined.';

-- Security definer, as my_workspaces is: it reads spaces and members while policies of these are being evaluated.
-- +goose StatementBegin
create function tartan.my_spaces(min_role tartan.space_role default 'reader') returns uuid[]
language plpgsql stable security definer set search_path = '' as $$
declare
    workspaces uuid[] := tartan.my_workspaces((case min_role when 'reader' then 'viewer' when 'writer' then 'editor' else 'reviewer' end)::tartan.member_role);
begin
    return (
        select coalesce(pg_catalog.array_agg(s.id), '{}')
        from tartan.knowledge_spaces s
        where s.workspace_id operator(pg_catalog.=) any (workspaces)
          and (not s.restricted or exists (
              select from tartan.knowledge_space_members m
              where m.space_id operator(pg_catalog.=) s.id and m.user_id operator(pg_catalog.=) (select auth.uid())
                and m.role operator(pg_catalog.>=) min_role)));
end $$;
-- +goose StatementEnd
comment on function tartan.my_spaces is 'The spaces in which the caller may do what the role may. Policies call it once per statement, inside (select ...).';
revoke execute on function tartan.my_spaces from public;
grant execute on function tartan.my_spaces to authenticated, service_role;

-- +goose StatementBegin
create procedure tartan.protect_space(tbl regclass, writer tartan.space_role, commands text)
language plpgsql set search_path = '' as $$
declare
    test text := 'space_id = any ((select tartan.my_spaces(%L))::uuid[])';
begin
    execute format('alter table %s enable row level security', tbl);
    execute format('alter table %s force row level security', tbl);
    execute format('create policy members_read on %s for select to authenticated using (' || test || ')', tbl, 'reader');
    if commands like '%insert%' then
        execute format('create policy members_insert on %s for insert to authenticated with check (' || test || ')', tbl, writer);
    end if;
    if commands like '%update%' then
        execute format('create policy members_update on %s for update to authenticated using (' || test || ') with check (' || test || ')', tbl, writer, writer);
    end if;
    if commands like '%delete%' then
        execute format('create policy members_delete on %s for delete to authenticated using (' || test || ')', tbl, writer);
    end if;
    execute format('grant select%s on %s to authenticated', case when commands = '' then '' else ', ' || commands end, tbl);
    execute format('grant select, insert, update, delete on %s to service_role', tbl);
end $$;
-- +goose StatementEnd
comment on procedure tartan.protect_space is 'Puts a table under row level security by space: all readers of the space read, those with the role or more do the commands.';
revoke execute on procedure tartan.protect_space from public;

create table tartan.knowledge_clocks (
    workspace_id uuid not null,
    space_id     uuid primary key,
    revision     bigint not null default 0,
    recorded_at  timestamptz not null,
    constraint knowledge_clocks_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_clocks_revision_positive check (revision >= 0)
) with (fillfactor = 50);
comment on table tartan.knowledge_clocks is 'The clock of each space. The row is also the lock: whoever publishes in a space locks its row first, so revisions and recorded times are in the order of commits.';
comment on column tartan.knowledge_clocks.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_clocks.space_id is 'The space.';
comment on column tartan.knowledge_clocks.revision is 'Grows by one with each change set that is published. Readers that hold the space in memory ask for what is newer than theirs.';
comment on column tartan.knowledge_clocks.recorded_at is 'When the last change set was published; the next is later.';

create table tartan.knowledge_entries (
    id           uuid primary key,
    workspace_id uuid not null,
    space_id     uuid not null,
    slug         text collate "C" not null,
    created_at   timestamptz not null,
    constraint knowledge_entries_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_entries_slug_key unique (space_id, slug),
    constraint knowledge_entries_space_key unique (space_id, id),
    constraint knowledge_entries_slug_length check (octet_length(slug) between 1 and 200)
);
comment on table tartan.knowledge_entries is 'Entries: what the revisions are of. One that is deleted and written again goes on with its history.';
comment on column tartan.knowledge_entries.id is 'Primary key.';
comment on column tartan.knowledge_entries.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_entries.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_entries.slug is 'Name, unique in the space: the rest of its address. It may have folders.';
comment on column tartan.knowledge_entries.created_at is 'When its first revision was published.';

create table tartan.knowledge_bodies (
    workspace_id uuid not null,
    space_id     uuid not null,
    hash         text collate "C" not null,
    type         text not null,
    title        text not null,
    text         text not null,
    created_at   timestamptz not null default now(),
    primary key (space_id, hash),
    constraint knowledge_bodies_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_bodies_hash_of_text check (hash = encode(sha256(convert_to(text, 'UTF8')), 'hex'))
);
comment on table tartan.knowledge_bodies is 'Documents by their content, each once in a space. Not once in a workspace: whether a text is known already would tell of spaces that one may not see.';
comment on column tartan.knowledge_bodies.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_bodies.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_bodies.hash is 'SHA-256 of the text, in hex.';
comment on column tartan.knowledge_bodies.type is 'Type of the document: the name of its schema.';
comment on column tartan.knowledge_bodies.title is 'Title of the document.';
comment on column tartan.knowledge_bodies.text is 'The document as RFC 8785 canonical JSON.';
comment on column tartan.knowledge_bodies.created_at is 'When it was first given.';

create table tartan.knowledge_changes (
    id             uuid primary key,
    workspace_id   uuid not null,
    space_id       uuid not null,
    kind           text not null default 'change',
    state          text not null default 'draft',
    author         uuid not null,
    reason         text not null default '',
    workflow_id    text not null default '',
    round          int not null default 1,
    validated      int not null default 0,
    quarantined    boolean not null default false,
    error          text not null default '',
    space_revision bigint,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    published_at   timestamptz,
    constraint knowledge_changes_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_changes_space_key unique (space_id, id),
    constraint knowledge_changes_kind_known check (kind in ('change', 'restore', 'import', 'excise', 'housekeeping')),
    constraint knowledge_changes_state_known check (state in ('draft', 'validating', 'in_review', 'conflicted', 'approved', 'published', 'rejected', 'expired', 'withdrawn')),
    constraint knowledge_changes_published check ((state = 'published') = (published_at is not null)),
    constraint knowledge_changes_round_positive check (round > 0)
) with (fillfactor = 70);
create index knowledge_changes_space_idx on tartan.knowledge_changes (space_id, created_at desc, id);
create index knowledge_changes_open_idx on tartan.knowledge_changes (space_id, state, updated_at) where state not in ('published', 'rejected', 'expired', 'withdrawn');
create index knowledge_changes_workflow_idx on tartan.knowledge_changes (workflow_id) where workflow_id <> '';
comment on table tartan.knowledge_changes is 'Change sets: changes to entries of a space that are published together or not at all.';
comment on column tartan.knowledge_changes.id is 'Primary key; the Workflow ID is made of it.';
comment on column tartan.knowledge_changes.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_changes.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_changes.kind is 'What it came from: change, restore, import, excise or housekeeping.';
comment on column tartan.knowledge_changes.state is 'draft until its workflow takes it up; then validating, in_review, conflicted, approved; at last published, rejected, expired or withdrawn.';
comment on column tartan.knowledge_changes.author is 'Who proposed it.';
comment on column tartan.knowledge_changes.reason is 'Why, in the words of the author.';
comment on column tartan.knowledge_changes.workflow_id is 'The workflow that brings it to its end; empty while it is a draft.';
comment on column tartan.knowledge_changes.round is 'Grows by one when it is amended or a conflict is resolved: approvals of earlier rounds do not count.';
comment on column tartan.knowledge_changes.validated is 'The last round that was validated; 0 before the first.';
comment on column tartan.knowledge_changes.quarantined is 'Whether a check asked for a person to look at it, whatever the space asks for.';
comment on column tartan.knowledge_changes.error is 'Why it ended unpublished; empty otherwise.';
comment on column tartan.knowledge_changes.space_revision is 'Revision of the space that it brought; null unless published, or if it changed nothing.';
comment on column tartan.knowledge_changes.created_at is 'When it was proposed.';
comment on column tartan.knowledge_changes.updated_at is 'When its state last changed.';
comment on column tartan.knowledge_changes.published_at is 'When it was published; null unless it is.';

create table tartan.knowledge_proposals (
    workspace_id uuid not null,
    space_id     uuid not null,
    change_id    uuid not null,
    seq          int not null,
    slug         text collate "C" not null,
    op           text not null,
    base         int not null,
    hash         text collate "C",
    merged_hash  text collate "C",
    merged_onto  int,
    valid_from   timestamptz,
    valid_to     timestamptz,
    reverts      int,
    primary key (change_id, seq),
    constraint knowledge_proposals_change_fkey foreign key (space_id, change_id) references tartan.knowledge_changes (space_id, id) on delete cascade,
    constraint knowledge_proposals_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_proposals_slug_key unique (change_id, slug),
    constraint knowledge_proposals_op_known check (op in ('put', 'delete')),
    constraint knowledge_proposals_hash_of_put check ((op = 'put') = (hash is not null)),
    constraint knowledge_proposals_merged_together check (merged_onto is not null or merged_hash is null),
    constraint knowledge_proposals_base_positive check (seq >= 0 and base >= 0),
    constraint knowledge_proposals_validity check (valid_from < valid_to)
);
create index knowledge_proposals_hash_idx on tartan.knowledge_proposals (space_id, hash);
create index knowledge_proposals_merged_idx on tartan.knowledge_proposals (space_id, merged_hash) where merged_hash is not null;
comment on table tartan.knowledge_proposals is 'The changes of a change set, one an entry.';
comment on column tartan.knowledge_proposals.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_proposals.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_proposals.change_id is 'The change set.';
comment on column tartan.knowledge_proposals.seq is 'Place in the change set, from 0.';
comment on column tartan.knowledge_proposals.slug is 'The entry, which need not exist yet.';
comment on column tartan.knowledge_proposals.op is 'put or delete.';
comment on column tartan.knowledge_proposals.base is 'Number of the revision that the author changed; 0 where there was none.';
comment on column tartan.knowledge_proposals.hash is 'The document that the author wrote; null to delete.';
comment on column tartan.knowledge_proposals.merged_hash is 'What it became when it was merged with what had been published since; null if it was not, or if the entry is to be deleted.';
comment on column tartan.knowledge_proposals.merged_onto is 'Number of the revision that it was merged with or a conflict resolved against; null if it was not.';
comment on column tartan.knowledge_proposals.valid_from is 'From when it holds; null is since ever.';
comment on column tartan.knowledge_proposals.valid_to is 'Until when it holds; null is for ever.';
comment on column tartan.knowledge_proposals.reverts is 'Number of the revision that it takes back or brings again; null if none.';

create table tartan.knowledge_revisions (
    workspace_id   uuid not null,
    space_id       uuid not null,
    entry_id       uuid not null,
    number         int not null,
    hash           text collate "C",
    parents        int[] not null,
    author         uuid not null,
    reason         text not null,
    workflow_id    text not null,
    change_id      uuid not null,
    seq            int not null,
    space_revision bigint not null,
    recorded_at    timestamptz not null,
    valid_from     timestamptz,
    valid_to       timestamptz,
    reverts        int,
    primary key (entry_id, number),
    constraint knowledge_revisions_entry_fkey foreign key (space_id, entry_id) references tartan.knowledge_entries (space_id, id) on delete cascade,
    constraint knowledge_revisions_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_revisions_change_fkey foreign key (space_id, change_id) references tartan.knowledge_changes (space_id, id) on delete cascade,
    constraint knowledge_revisions_once_key unique (change_id, seq),
    constraint knowledge_revisions_number_positive check (number > 0 and seq >= 0),
    constraint knowledge_revisions_parents_few check (cardinality(parents) <= 2 and (number = 1) = (cardinality(parents) = 0)),
    constraint knowledge_revisions_parents_earlier check (number > all (parents) and 0 < all (parents)),
    constraint knowledge_revisions_reverts_earlier check (reverts between 1 and number - 1),
    constraint knowledge_revisions_validity check (valid_from < valid_to)
);
create index knowledge_revisions_space_idx on tartan.knowledge_revisions (space_id, space_revision);
create index knowledge_revisions_hash_idx on tartan.knowledge_revisions (space_id, hash);
comment on table tartan.knowledge_revisions is 'What each entry was, in order. Rows are never changed or deleted, except together with their space.';
comment on column tartan.knowledge_revisions.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_revisions.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_revisions.entry_id is 'The entry.';
comment on column tartan.knowledge_revisions.number is 'Number in the entry, from 1.';
comment on column tartan.knowledge_revisions.hash is 'The document; null is a tombstone: the entry was deleted.';
comment on column tartan.knowledge_revisions.parents is 'Numbers of the revisions it was made from: the one before it, and where it was merged the one that its author had changed.';
comment on column tartan.knowledge_revisions.author is 'Who proposed it.';
comment on column tartan.knowledge_revisions.reason is 'Why, in the words of the author.';
comment on column tartan.knowledge_revisions.workflow_id is 'The workflow that published it.';
comment on column tartan.knowledge_revisions.change_id is 'The change set it was published in.';
comment on column tartan.knowledge_revisions.seq is 'Place in the change set, which leads to its proposal, its checks and its conflicts.';
comment on column tartan.knowledge_revisions.space_revision is 'Revision of the space that it came with.';
comment on column tartan.knowledge_revisions.recorded_at is 'When it was published: the first clock.';
comment on column tartan.knowledge_revisions.valid_from is 'From when it holds: the second clock; null is since ever.';
comment on column tartan.knowledge_revisions.valid_to is 'Until when it holds; null is for ever.';
comment on column tartan.knowledge_revisions.reverts is 'Number of the revision that it takes back or brings again; null if none.';

create table tartan.knowledge_heads (
    workspace_id uuid not null,
    space_id     uuid not null,
    entry_id     uuid primary key,
    number       int not null,
    hash         text collate "C",
    recorded_at  timestamptz not null,
    due_since    timestamptz,
    constraint knowledge_heads_entry_fkey foreign key (space_id, entry_id) references tartan.knowledge_entries (space_id, id) on delete cascade,
    constraint knowledge_heads_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_heads_revision_fkey foreign key (entry_id, number) references tartan.knowledge_revisions (entry_id, number) on delete cascade
) with (fillfactor = 70);
create index knowledge_heads_space_idx on tartan.knowledge_heads (space_id, entry_id);
comment on table tartan.knowledge_heads is 'The last revision of each entry. A head moves by one, in the transaction that adds the revision.';
comment on column tartan.knowledge_heads.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_heads.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_heads.entry_id is 'The entry.';
comment on column tartan.knowledge_heads.number is 'Number of the last revision.';
comment on column tartan.knowledge_heads.hash is 'Its document; null where the entry is deleted.';
comment on column tartan.knowledge_heads.recorded_at is 'When it was published.';
comment on column tartan.knowledge_heads.due_since is 'Since when it is due for review; null if it is not. A new revision settles it.';

create table tartan.knowledge_links (
    workspace_id uuid not null,
    space_id     uuid not null,
    entry_id     uuid not null,
    seq          int not null,
    relation     text not null,
    target       text collate "C" not null,
    primary key (entry_id, seq),
    constraint knowledge_links_entry_fkey foreign key (space_id, entry_id) references tartan.knowledge_entries (space_id, id) on delete cascade,
    constraint knowledge_links_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade
);
create index knowledge_links_target_idx on tartan.knowledge_links (workspace_id, md5(target));
comment on table tartan.knowledge_links is 'Where the entries of today lead to: the links of the head of each.';
comment on column tartan.knowledge_links.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_links.space_id is 'The space of the entry that links.';
comment on column tartan.knowledge_links.entry_id is 'The entry that links.';
comment on column tartan.knowledge_links.seq is 'Place in the document, from 0.';
comment on column tartan.knowledge_links.relation is 'What it is to the target: explains, supersedes, depends_on, ...';
comment on column tartan.knowledge_links.target is 'What it leads to: space/slug of an entry, pattern:library/id, or a URL.';

create table tartan.knowledge_facts (
    workspace_id uuid not null,
    space_id     uuid not null,
    entry_id     uuid not null,
    seq          int not null,
    subject      text not null,
    predicate    text not null,
    scope        text not null default '',
    value        text not null,
    single       boolean not null,
    validity     tstzrange not null,
    primary key (entry_id, seq),
    constraint knowledge_facts_entry_fkey foreign key (space_id, entry_id) references tartan.knowledge_entries (space_id, id) on delete cascade,
    constraint knowledge_facts_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade
);
create index knowledge_facts_key_idx on tartan.knowledge_facts (space_id, md5(subject), md5(predicate), md5(scope));
comment on table tartan.knowledge_facts is 'What the entries of today state: the facts of the head of each. Of two that must be single, none differ at the same time.';
comment on column tartan.knowledge_facts.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_facts.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_facts.entry_id is 'The entry that states it.';
comment on column tartan.knowledge_facts.seq is 'Place in the document, from 0.';
comment on column tartan.knowledge_facts.subject is 'What it is about.';
comment on column tartan.knowledge_facts.predicate is 'What is said of the subject.';
comment on column tartan.knowledge_facts.scope is 'Where it holds, such as a region or an environment; empty is everywhere.';
comment on column tartan.knowledge_facts.value is 'The value.';
comment on column tartan.knowledge_facts.single is 'Whether a subject has one value at a time.';
comment on column tartan.knowledge_facts.validity is 'When it holds.';

create table tartan.knowledge_checks (
    id           bigint generated always as identity primary key,
    workspace_id uuid not null,
    space_id     uuid not null,
    change_id    uuid not null,
    seq          int not null,
    round        int not null,
    check_id     text not null,
    version      int not null,
    severity     text not null,
    path         text not null,
    evidence     text not null,
    fix          text not null,
    created_at   timestamptz not null default now(),
    constraint knowledge_checks_change_fkey foreign key (space_id, change_id) references tartan.knowledge_changes (space_id, id) on delete cascade,
    constraint knowledge_checks_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade
);
create index knowledge_checks_change_idx on tartan.knowledge_checks (change_id, seq, round);
comment on table tartan.knowledge_checks is 'What validation found in proposals, and so in the revisions made of them.';
comment on column tartan.knowledge_checks.id is 'Primary key.';
comment on column tartan.knowledge_checks.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_checks.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_checks.change_id is 'The change set.';
comment on column tartan.knowledge_checks.seq is 'The proposal in it.';
comment on column tartan.knowledge_checks.round is 'The round of the change set that was checked.';
comment on column tartan.knowledge_checks.check_id is 'Which check found it.';
comment on column tartan.knowledge_checks.version is 'Version of the check.';
comment on column tartan.knowledge_checks.severity is 'How bad it is: what blocks, what a person must see, what only warns.';
comment on column tartan.knowledge_checks.path is 'Where in the document.';
comment on column tartan.knowledge_checks.evidence is 'What was found, never a secret itself.';
comment on column tartan.knowledge_checks.fix is 'What to do about it.';
comment on column tartan.knowledge_checks.created_at is 'When it was checked.';

create table tartan.knowledge_conflicts (
    workspace_id uuid not null,
    space_id     uuid not null,
    change_id    uuid not null,
    seq          int not null,
    n            int not null,
    onto         int not null,
    path         text not null,
    base         text not null,
    ours         text not null,
    theirs       text not null,
    resolution   text not null default '',
    resolved_by  uuid,
    resolved_at  timestamptz,
    primary key (change_id, seq, onto, n),
    constraint knowledge_conflicts_change_fkey foreign key (space_id, change_id) references tartan.knowledge_changes (space_id, id) on delete cascade,
    constraint knowledge_conflicts_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_conflicts_resolution_known check (resolution in ('', 'base', 'ours', 'theirs', 'document')),
    constraint knowledge_conflicts_resolved check ((resolution <> '') = (resolved_at is not null))
);
comment on table tartan.knowledge_conflicts is 'Where a proposal and what was published since its base changed the same in different ways. A change set with an open conflict waits for a person.';
comment on column tartan.knowledge_conflicts.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_conflicts.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_conflicts.change_id is 'The change set.';
comment on column tartan.knowledge_conflicts.seq is 'The proposal in it.';
comment on column tartan.knowledge_conflicts.n is 'Place in the document, from 0.';
comment on column tartan.knowledge_conflicts.onto is 'Number of the revision that the proposal meets.';
comment on column tartan.knowledge_conflicts.path is 'Which part of the document.';
comment on column tartan.knowledge_conflicts.base is 'What the author started from; empty where there was nothing.';
comment on column tartan.knowledge_conflicts.ours is 'What the author made of it; empty where it was taken away.';
comment on column tartan.knowledge_conflicts.theirs is 'What was published meanwhile; empty where it was taken away.';
comment on column tartan.knowledge_conflicts.resolution is 'Empty while it is open; then base, ours, theirs, or document for one written anew.';
comment on column tartan.knowledge_conflicts.resolved_by is 'Who resolved it; null while it is open.';
comment on column tartan.knowledge_conflicts.resolved_at is 'When it was resolved; null while it is open.';

create table tartan.knowledge_reviews (
    workspace_id uuid not null,
    space_id     uuid not null,
    change_id    uuid not null,
    round        int not null,
    reviewer     uuid not null,
    decision     text not null,
    note         text not null default '',
    created_at   timestamptz not null default now(),
    primary key (change_id, round, reviewer, decision),
    constraint knowledge_reviews_change_fkey foreign key (space_id, change_id) references tartan.knowledge_changes (space_id, id) on delete cascade,
    constraint knowledge_reviews_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_reviews_decision_known check (decision in ('approve', 'reject'))
);
comment on table tartan.knowledge_reviews is 'What reviewers decided.';
comment on column tartan.knowledge_reviews.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_reviews.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_reviews.change_id is 'The change set.';
comment on column tartan.knowledge_reviews.round is 'The round of the change set that was looked at.';
comment on column tartan.knowledge_reviews.reviewer is 'Who decided.';
comment on column tartan.knowledge_reviews.decision is 'approve or reject.';
comment on column tartan.knowledge_reviews.note is 'Why, in the words of the reviewer.';
comment on column tartan.knowledge_reviews.created_at is 'When.';

create table tartan.knowledge_tags (
    workspace_id   uuid not null,
    space_id       uuid not null,
    name           text not null,
    note           text not null default '',
    author         uuid not null,
    space_revision bigint not null,
    created_at     timestamptz not null default now(),
    primary key (space_id, name),
    constraint knowledge_tags_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_tags_name_form check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$')
);
comment on table tartan.knowledge_tags is 'Named snapshots of a space. Rows are never changed.';
comment on column tartan.knowledge_tags.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_tags.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_tags.name is 'Name, unique in the space.';
comment on column tartan.knowledge_tags.note is 'What it is for.';
comment on column tartan.knowledge_tags.author is 'Who made it.';
comment on column tartan.knowledge_tags.space_revision is 'Revision of the space that it names.';
comment on column tartan.knowledge_tags.created_at is 'When it was made.';

create table tartan.knowledge_tag_entries (
    workspace_id uuid not null,
    space_id     uuid not null,
    tag          text not null,
    entry_id     uuid not null,
    number       int not null,
    primary key (space_id, tag, entry_id),
    constraint knowledge_tag_entries_tag_fkey foreign key (space_id, tag) references tartan.knowledge_tags (space_id, name) on delete cascade,
    constraint knowledge_tag_entries_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_tag_entries_revision_fkey foreign key (entry_id, number) references tartan.knowledge_revisions (entry_id, number) on delete cascade
);
create index knowledge_tag_entries_revision_idx on tartan.knowledge_tag_entries (entry_id, number);
comment on table tartan.knowledge_tag_entries is 'The revisions that a tag names: the head of each entry that lived when it was made.';
comment on column tartan.knowledge_tag_entries.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_tag_entries.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_tag_entries.tag is 'The tag.';
comment on column tartan.knowledge_tag_entries.entry_id is 'The entry.';
comment on column tartan.knowledge_tag_entries.number is 'Number of the revision.';

create table tartan.knowledge_served (
    workspace_id uuid not null,
    space_id     uuid not null,
    text_hash    text collate "C" not null,
    entry_id     uuid not null,
    number       int not null,
    prints       bigint[] not null default '{}',
    served_at    timestamptz not null default now(),
    primary key (space_id, text_hash),
    constraint knowledge_served_entry_fkey foreign key (space_id, entry_id) references tartan.knowledge_entries (space_id, id) on delete cascade,
    constraint knowledge_served_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade
);
create index knowledge_served_prints_idx on tartan.knowledge_served using gin (prints);
create index knowledge_served_at_idx on tartan.knowledge_served (space_id, served_at);
comment on table tartan.knowledge_served is 'Texts that were given to readers, by their hash, so that they do not come back as new knowledge.';
comment on column tartan.knowledge_served.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_served.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_served.text_hash is 'SHA-256 of the text as the feedback check normalises it, in hex.';
comment on column tartan.knowledge_served.entry_id is 'The entry that it is from.';
comment on column tartan.knowledge_served.number is 'The revision that it is from.';
comment on column tartan.knowledge_served.prints is 'Fingerprints of its passages, by which what is made of it is found.';
comment on column tartan.knowledge_served.served_at is 'When it was last given.';

create table tartan.knowledge_excisions (
    workspace_id uuid not null,
    space_id     uuid not null,
    hash         text collate "C" not null,
    kind         text not null,
    reason       text not null,
    requested_by uuid not null,
    approved_by  uuid not null,
    workflow_id  text not null,
    created_at   timestamptz not null default now(),
    primary key (space_id, hash),
    constraint knowledge_excisions_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_excisions_kind_known check (kind in ('legal', 'retention')),
    constraint knowledge_excisions_two_people check (kind <> 'legal' or requested_by <> approved_by),
    constraint knowledge_excisions_hash_form check (hash ~ '^[0-9a-f]{64}$')
);
comment on table tartan.knowledge_excisions is 'Texts that were destroyed. What is left of them is their hash and the reason; the revisions stay. Rows are never changed.';
comment on column tartan.knowledge_excisions.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_excisions.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_excisions.hash is 'Hash of the document that was destroyed.';
comment on column tartan.knowledge_excisions.kind is 'legal, which takes two people, or retention.';
comment on column tartan.knowledge_excisions.reason is 'Why.';
comment on column tartan.knowledge_excisions.requested_by is 'Who asked for it.';
comment on column tartan.knowledge_excisions.approved_by is 'Who approved it.';
comment on column tartan.knowledge_excisions.workflow_id is 'The workflow that did it.';
comment on column tartan.knowledge_excisions.created_at is 'When.';

create table tartan.knowledge_reports (
    workspace_id uuid not null,
    space_id     uuid not null,
    workflow_id  text not null,
    run_id       text not null,
    kind         text not null,
    dry_run      boolean not null default false,
    report       jsonb not null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (space_id, workflow_id, run_id),
    constraint knowledge_reports_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_reports_kind_known check (kind in ('import', 'housekeeping'))
);
create index knowledge_reports_space_idx on tartan.knowledge_reports (space_id, kind, created_at desc);
comment on table tartan.knowledge_reports is 'What long work in a space did: imports and housekeeping.';
comment on column tartan.knowledge_reports.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_reports.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_reports.workflow_id is 'The workflow.';
comment on column tartan.knowledge_reports.run_id is 'Its run.';
comment on column tartan.knowledge_reports.kind is 'import or housekeeping.';
comment on column tartan.knowledge_reports.dry_run is 'Whether it only said what it would do.';
comment on column tartan.knowledge_reports.report is 'What was done, as numbers and names.';
comment on column tartan.knowledge_reports.created_at is 'When it was first written.';
comment on column tartan.knowledge_reports.updated_at is 'When it was last written.';

-- A space starts with a clock, and one that is restricted with a reviewer: who made it so.
-- +goose StatementBegin
create function tartan.set_up_space() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        insert into tartan.knowledge_clocks (workspace_id, space_id, recorded_at) values (new.workspace_id, new.id, pg_catalog.clock_timestamp());
    end if;
    if new.restricted and (tg_op = 'INSERT' or not old.restricted) then
        insert into tartan.knowledge_space_members (workspace_id, space_id, user_id, role)
        values (new.workspace_id, new.id, coalesce((select auth.uid()), new.created_by), 'reviewer')
        on conflict (space_id, user_id) do update set role = 'reviewer';
    end if;
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_spaces_set_up after insert or update of restricted on tartan.knowledge_spaces
    for each row execute function tartan.set_up_space();

-- Privileges keep clients from changing what was published; the trigger keeps owners and service_role from it. Deleting
-- is let through only where the space itself is gone, which is how the cascade looks from here.
-- +goose StatementBegin
create function tartan.refuse_knowledge_change() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'DELETE' then
        if not exists (select from tartan.knowledge_spaces s where s.id = old.space_id) then
            return old;
        end if;
    end if;
    raise exception '% is immutable: %', tg_table_name, pg_catalog.lower(tg_op) using errcode = 'restrict_violation';
end $$;
-- +goose StatementEnd
create trigger knowledge_revisions_immutable before update or delete on tartan.knowledge_revisions for each row execute function tartan.refuse_knowledge_change();
create trigger knowledge_revisions_no_truncate before truncate on tartan.knowledge_revisions for each statement execute function tartan.refuse_knowledge_change();
create trigger knowledge_bodies_immutable before update on tartan.knowledge_bodies for each row execute function tartan.refuse_knowledge_change();
create trigger knowledge_bodies_no_truncate before truncate on tartan.knowledge_bodies for each statement execute function tartan.refuse_knowledge_change();
create trigger knowledge_reviews_immutable before update or delete on tartan.knowledge_reviews for each row execute function tartan.refuse_knowledge_change();
create trigger knowledge_tags_immutable before update or delete on tartan.knowledge_tags for each row execute function tartan.refuse_knowledge_change();
create trigger knowledge_tag_entries_immutable before update or delete on tartan.knowledge_tag_entries for each row execute function tartan.refuse_knowledge_change();
create trigger knowledge_excisions_immutable before update or delete on tartan.knowledge_excisions for each row execute function tartan.refuse_knowledge_change();

-- A text goes when it was excised, or when nothing that is published or may still be needs it.
-- +goose StatementBegin
create function tartan.keep_needed_body() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if not exists (select from tartan.knowledge_spaces s where s.id = old.space_id)
        or exists (select from tartan.knowledge_excisions e where e.space_id = old.space_id and e.hash = old.hash) then
        return old;
    end if;
    if exists (select from tartan.knowledge_revisions r where r.space_id = old.space_id and r.hash = old.hash)
        or exists (select from tartan.knowledge_proposals p join tartan.knowledge_changes c on c.id = p.change_id
            where p.space_id = old.space_id and (p.hash = old.hash or p.merged_hash = old.hash)
                and c.state not in ('rejected', 'expired', 'withdrawn')) then
        raise exception 'knowledge_bodies: % is needed', old.hash using errcode = 'restrict_violation';
    end if;
    return old;
end $$;
-- +goose StatementEnd
create trigger knowledge_bodies_needed before delete on tartan.knowledge_bodies for each row execute function tartan.keep_needed_body();

-- What has ended stays as it ended, and what is approved has its approvals.
-- +goose StatementBegin
create function tartan.check_knowledge_change() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    caller uuid := (select auth.uid());
    needed int;
    given int;
begin
    if tg_op = 'UPDATE' and old.state in ('published', 'rejected', 'expired', 'withdrawn') and new is distinct from old then
        raise exception 'change set % is %', old.id, old.state using errcode = 'restrict_violation';
    end if;
    if tg_op = 'UPDATE' and (new.author, new.space_id, new.kind) is distinct from (old.author, old.space_id, old.kind) then
        raise exception 'the author, space and kind of change set % are fixed', old.id using errcode = 'restrict_violation';
    end if;
    if tg_op = 'INSERT' and new.author <> caller then
        raise exception 'a change set is proposed in one''s own name' using errcode = 'check_violation';
    end if;
    -- An excision has its own two people.
    if new.state in ('approved', 'published') and (tg_op = 'INSERT' or old.state not in ('approved', 'published'))
        and not (new.kind = 'excise' and new.space_id = any (tartan.my_spaces('reviewer'))) then
        select greatest(s.approvals, case when new.quarantined then 1 else 0 end),
            (select count(distinct r.reviewer) from tartan.knowledge_reviews r
                where r.change_id = new.id and r.round = new.round and r.decision = 'approve' and (s.self_review or r.reviewer <> new.author))
        into needed, given from tartan.knowledge_spaces s where s.id = new.space_id;
        if given < needed then
            raise exception 'change set % has % of % approvals', new.id, given, needed using errcode = 'check_violation';
        end if;
    end if;
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_changes_check after insert or update on tartan.knowledge_changes for each row execute function tartan.check_knowledge_change();

-- +goose StatementBegin
create function tartan.keep_ended_proposal() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if (tg_op = 'DELETE' or new is distinct from old)
        and exists (select from tartan.knowledge_changes c where c.id = old.change_id and c.state in ('published', 'rejected', 'expired', 'withdrawn'))
        and exists (select from tartan.knowledge_spaces s where s.id = old.space_id) then
        raise exception 'the change set of the proposal for % has ended', old.slug using errcode = 'restrict_violation';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;
-- +goose StatementEnd
create trigger knowledge_proposals_ended before update or delete on tartan.knowledge_proposals for each row execute function tartan.keep_ended_proposal();

-- +goose StatementBegin
create function tartan.check_knowledge_review() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if new.reviewer <> (select auth.uid()) then
        raise exception 'a review is given in one''s own name' using errcode = 'check_violation';
    end if;
    if new.decision = 'approve' and exists (select from tartan.knowledge_changes c join tartan.knowledge_spaces s on s.id = c.space_id
            where c.id = new.change_id and c.author = new.reviewer and not s.self_review) then
        raise exception 'the author of a change set does not approve it' using errcode = 'check_violation';
    end if;
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_reviews_check after insert on tartan.knowledge_reviews for each row execute function tartan.check_knowledge_review();

-- +goose StatementBegin
create function tartan.check_knowledge_revisions() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    bad record;
begin
    select a.change_id into bad from added a
    where not exists (select from tartan.knowledge_changes c where c.id = a.change_id and c.space_id = a.space_id and c.state = 'approved') limit 1;
    if found then
        raise exception 'change set % is not approved', bad.change_id using errcode = 'check_violation';
    end if;
    select a.hash into bad from added a
    where a.hash is not null and not exists (select from tartan.knowledge_bodies b where b.space_id = a.space_id and b.hash = a.hash) limit 1;
    if found then
        raise exception 'there is no document %', bad.hash using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_revisions_check after insert on tartan.knowledge_revisions referencing new table as added
    for each statement execute function tartan.check_knowledge_revisions();

-- +goose StatementBegin
create function tartan.check_knowledge_head() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if new.number <> (case when tg_op = 'INSERT' then 1 else old.number + ((new.hash, new.recorded_at) is distinct from (old.hash, old.recorded_at))::int end) then
        raise exception 'the head of entry % moves by one, not to %', new.entry_id, new.number using errcode = 'check_violation';
    end if;
    if not exists (select from tartan.knowledge_revisions r where r.entry_id = new.entry_id and r.number = new.number
            and r.hash is not distinct from new.hash and r.recorded_at = new.recorded_at) then
        raise exception 'the head of entry % is not its revision %', new.entry_id, new.number using errcode = 'check_violation';
    end if;
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_heads_check after insert or update on tartan.knowledge_heads for each row execute function tartan.check_knowledge_head();

-- Two facts of the same subject, predicate and scope that must be single do not differ while both hold. A lock by their
-- key makes the check exact; an exclusion constraint would need the extension btree_gist, which not every host has.
-- +goose StatementBegin
create function tartan.check_knowledge_facts() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    bad record;
begin
    perform pg_catalog.pg_advisory_xact_lock(k.key) from (
        select distinct pg_catalog.hashtextextended(pg_catalog.concat_ws(E'\n', a.space_id, a.subject, a.predicate, a.scope), 0) as key
        from added a where a.single order by 1) k;
    select a.subject, a.predicate, a.value, f.value as other into bad
    from added a join tartan.knowledge_facts f on f.space_id = a.space_id and pg_catalog.md5(f.subject) = pg_catalog.md5(a.subject)
        and pg_catalog.md5(f.predicate) = pg_catalog.md5(a.predicate) and pg_catalog.md5(f.scope) = pg_catalog.md5(a.scope)
    where a.single and f.single and f.value <> a.value and f.validity operator(pg_catalog.&&) a.validity limit 1;
    if found then
        raise exception '% of % is % and cannot be % at the same time', bad.predicate, bad.subject, bad.other, bad.value using errcode = 'exclusion_violation';
    end if;
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_facts_check after insert on tartan.knowledge_facts referencing new table as added
    for each statement execute function tartan.check_knowledge_facts();

-- An excision destroys the text and what was copied from it.
-- +goose StatementBegin
create function tartan.excise_body() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if exists (select from tartan.knowledge_spaces s where s.id = new.space_id and s.legal_hold) then
        raise exception 'the space is under legal hold: nothing in it is destroyed' using errcode = 'check_violation';
    end if;
    if exists (select from tartan.knowledge_heads h where h.space_id = new.space_id and h.hash = new.hash) then
        raise exception 'document % is current: delete its entries first', new.hash using errcode = 'check_violation';
    end if;
    update tartan.knowledge_conflicts c set base = '', ours = '', theirs = ''
    from tartan.knowledge_proposals p where p.change_id = c.change_id and p.seq = c.seq and p.space_id = new.space_id
        and (p.hash = new.hash or p.merged_hash = new.hash
            or p.slug in (select e.slug from tartan.knowledge_revisions r join tartan.knowledge_entries e on e.id = r.entry_id
                where r.space_id = new.space_id and r.hash = new.hash));
    update tartan.knowledge_checks k set evidence = ''
    from tartan.knowledge_proposals p where p.change_id = k.change_id and p.seq = k.seq and p.space_id = new.space_id
        and (p.hash = new.hash or p.merged_hash = new.hash);
    delete from tartan.knowledge_bodies b where b.space_id = new.space_id and b.hash = new.hash;
    return null;
end $$;
-- +goose StatementEnd
create trigger knowledge_excisions_do after insert on tartan.knowledge_excisions for each row execute function tartan.excise_body();

-- Links hold their targets: an entry that a change set links to is not deleted until it is published. The caller need
-- only be a reader there, and a lock takes more; hence security definer.
-- +goose StatementBegin
create function tartan.hold_entries(workspace uuid, targets text[]) returns table (target text, entry_id uuid, number int)
language plpgsql security definer set search_path = '' as $$
begin
    return query
        select s.name || '/' || e.slug, h.entry_id, h.number
        from pg_catalog.unnest(targets) t (address)
        join tartan.knowledge_spaces s on s.workspace_id = workspace and s.name = pg_catalog.split_part(t.address, '/', 1)
        join tartan.knowledge_entries e on e.space_id = s.id and e.slug = pg_catalog.substr(t.address, pg_catalog.length(s.name) + 2)
        join tartan.knowledge_heads h on h.entry_id = e.id and h.hash is not null
        where s.id = any ((select tartan.my_spaces('reader'))::uuid[])
        order by h.entry_id for share of h;
end $$;
-- +goose StatementEnd
comment on function tartan.hold_entries is 'The living entries among the addresses that the caller may see, locked so that none is deleted before the transaction ends.';
revoke execute on function tartan.hold_entries from public;
grant execute on function tartan.hold_entries to authenticated, service_role;

alter table tartan.knowledge_spaces enable row level security;
alter table tartan.knowledge_spaces force row level security;
create policy members_read on tartan.knowledge_spaces for select to authenticated
    using (id = any ((select tartan.my_spaces('reader'))::uuid[]));
create policy members_insert on tartan.knowledge_spaces for insert to authenticated
    with check (workspace_id = any ((select tartan.my_workspaces('editor'))::uuid[]));
create policy members_update on tartan.knowledge_spaces for update to authenticated
    using (id = any ((select tartan.my_spaces('reader'))::uuid[]) and workspace_id = any ((select tartan.my_workspaces('admin'))::uuid[]))
    with check (workspace_id = any ((select tartan.my_workspaces('admin'))::uuid[]));
grant select, insert, update on tartan.knowledge_spaces to authenticated;
grant select, insert, update, delete on tartan.knowledge_spaces to service_role;

call tartan.protect_space('tartan.knowledge_space_members', 'reviewer', 'insert, update, delete');
call tartan.protect_space('tartan.knowledge_clocks', 'writer', 'update');
call tartan.protect_space('tartan.knowledge_entries', 'writer', 'insert');
call tartan.protect_space('tartan.knowledge_bodies', 'writer', 'insert, delete');
call tartan.protect_space('tartan.knowledge_changes', 'writer', 'insert, update');
call tartan.protect_space('tartan.knowledge_proposals', 'writer', 'insert, update, delete');
call tartan.protect_space('tartan.knowledge_revisions', 'writer', 'insert');
call tartan.protect_space('tartan.knowledge_heads', 'writer', 'insert, update');
call tartan.protect_space('tartan.knowledge_links', 'writer', 'insert, delete');
call tartan.protect_space('tartan.knowledge_facts', 'writer', 'insert, delete');
call tartan.protect_space('tartan.knowledge_checks', 'writer', 'insert');
call tartan.protect_space('tartan.knowledge_conflicts', 'writer', 'insert, update');
call tartan.protect_space('tartan.knowledge_reviews', 'reviewer', 'insert');
call tartan.protect_space('tartan.knowledge_tags', 'writer', 'insert');
call tartan.protect_space('tartan.knowledge_tag_entries', 'writer', 'insert');
call tartan.protect_space('tartan.knowledge_served', 'reader', 'insert, update');
call tartan.protect_space('tartan.knowledge_excisions', 'reviewer', 'insert');
call tartan.protect_space('tartan.knowledge_reports', 'writer', 'insert, update');
create policy members_delete on tartan.knowledge_served for delete to authenticated
    using (space_id = any ((select tartan.my_spaces('writer'))::uuid[]));
grant delete on tartan.knowledge_served to authenticated;
revoke update, delete, truncate on tartan.knowledge_revisions, tartan.knowledge_reviews, tartan.knowledge_tags, tartan.knowledge_tag_entries,
    tartan.knowledge_excisions from authenticated, service_role;
revoke update, truncate on tartan.knowledge_bodies from authenticated, service_role;

-- Events of a space are for those who see it.
alter table tartan.outbox drop constraint outbox_topic_known;
alter table tartan.outbox add constraint outbox_topic_known check (topic in ('library', 'run', 'member', 'knowledge'));
comment on column tartan.outbox.topic is 'What changed: library, run, member or knowledge.';
comment on column tartan.outbox.key is 'Which one: library id, workflow id, user id or space id.';
drop policy members_read on tartan.outbox;
create policy members_read on tartan.outbox for select to authenticated
    using (workspace_id = any ((select tartan.my_workspaces('viewer'))::uuid[])
        and (topic <> 'knowledge' or key = any ((select tartan.my_spaces('reader'))::text[])));

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop policy members_read on tartan.outbox;
create policy members_read on tartan.outbox for select to authenticated
    using (workspace_id = any ((select tartan.my_workspaces('viewer'))::uuid[]));
delete from tartan.outbox where topic = 'knowledge';
alter table tartan.outbox drop constraint outbox_topic_known;
alter table tartan.outbox add constraint outbox_topic_known check (topic in ('library', 'run', 'member'));
comment on column tartan.outbox.topic is 'What changed: library, run or member.';
comment on column tartan.outbox.key is 'Which one: library id, workflow id or user id.';
drop table tartan.knowledge_reports, tartan.knowledge_excisions, tartan.knowledge_served, tartan.knowledge_tag_entries, tartan.knowledge_tags,
    tartan.knowledge_reviews, tartan.knowledge_conflicts, tartan.knowledge_checks, tartan.knowledge_facts, tartan.knowledge_links, tartan.knowledge_heads,
    tartan.knowledge_revisions, tartan.knowledge_proposals, tartan.knowledge_changes, tartan.knowledge_bodies, tartan.knowledge_entries,
    tartan.knowledge_clocks, tartan.knowledge_space_members, tartan.knowledge_spaces;
drop function tartan.hold_entries;
drop function tartan.excise_body;
drop function tartan.check_knowledge_facts;
drop function tartan.check_knowledge_head;
drop function tartan.check_knowledge_revisions;
drop function tartan.check_knowledge_review;
drop function tartan.keep_ended_proposal;
drop function tartan.check_knowledge_change;
drop function tartan.keep_needed_body;
drop function tartan.refuse_knowledge_change;
drop function tartan.set_up_space;
drop procedure tartan.protect_space;
drop function tartan.my_spaces;
drop type tartan.space_role;
