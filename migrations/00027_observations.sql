-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.observations (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    id           bigint generated always as identity,
    library      text not null,
    body         text,
    record       jsonb,
    series       double precision[],
    observed_at  timestamptz,
    session_key  text not null default '',
    key          text,
    author       uuid default auth.uid(),
    received_at  timestamptz not null default now(),
    state        text not null default 'waiting',
    batch_id     uuid,
    primary key (workspace_id, id),
    -- What a client inserts again under its key is there once; nulls differ. PostgREST can name it in on_conflict.
    constraint observations_key_once unique (workspace_id, library, key),
    constraint observations_names_short check (length(library) <= 100 and length(session_key) <= 200 and length(key) <= 200),
    constraint observations_state_known check (state in ('waiting', 'claimed', 'matched', 'quarantined')),
    constraint observations_batch_claims check ((state = 'waiting') = (batch_id is null))
);
create index observations_waiting_idx on tartan.observations (workspace_id, library, id) where state = 'waiting';
create index observations_claimed_idx on tartan.observations (batch_id, id) where state = 'claimed';
comment on table tartan.observations is 'What Supabase clients observed, waiting for its pattern or given one. Whoever inserts says what and where; the state is Tartan''s.';
comment on column tartan.observations.workspace_id is 'The workspace it belongs to.';
comment on column tartan.observations.id is 'Order of arrival, roughly: ids become visible out of order.';
comment on column tartan.observations.library is 'Name of the library that it is for.';
comment on column tartan.observations.body is 'A line of a log, with the lines that go on with it, or a text.';
comment on column tartan.observations.record is 'A JSON event.';
comment on column tartan.observations.series is 'A window of numbers; null is missing.';
comment on column tartan.observations.observed_at is 'When it was observed; null is the time in the line, or of arrival.';
comment on column tartan.observations.session_key is 'The trace or session it is part of, or empty.';
comment on column tartan.observations.key is 'The client''s own name for it: the same key is one observation.';
comment on column tartan.observations.author is 'Who inserted it; null for service_role.';
comment on column tartan.observations.received_at is 'When it was inserted.';
comment on column tartan.observations.state is 'waiting, claimed by a batch, matched or quarantined.';
comment on column tartan.observations.batch_id is 'The batch that claimed it.';
call tartan.protect('tartan.observations', 'admin', 'delete');
create policy members_insert on tartan.observations for insert to authenticated with check (workspace_id = any ((select tartan.my_workspaces('editor'))::uuid[]));
grant insert (workspace_id, library, body, record, series, observed_at, session_key, key) on tartan.observations to authenticated;

create table tartan.observation_batches (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    id           uuid not null default gen_random_uuid(),
    library      text not null,
    first_id     bigint not null,
    last_id      bigint not null,
    observations int not null,
    matched      int not null default 0,
    quarantined  int not null default 0,
    new_patterns int not null default 0,
    counted_in   uuid,
    created_at   timestamptz not null default now(),
    closed_at    timestamptz,
    primary key (workspace_id, id),
    constraint observation_batches_counts check (observations > 0 and matched >= 0 and quarantined >= 0 and matched + quarantined <= observations)
);
create index observation_batches_counted_in_idx on tartan.observation_batches (counted_in);
create index observation_batches_open_idx on tartan.observation_batches (workspace_id, library) where closed_at is null;
comment on table tartan.observation_batches is 'Ledger: observations that one workflow analyses together. Its numbers are written in the transaction that writes the matches, and what was counted stays here when observations are deleted.';
comment on column tartan.observation_batches.workspace_id is 'The workspace it belongs to.';
comment on column tartan.observation_batches.id is 'Part of the Workflow ID.';
comment on column tartan.observation_batches.library is 'Name of the library.';
comment on column tartan.observation_batches.first_id is 'Its first observation.';
comment on column tartan.observation_batches.last_id is 'Its last observation.';
comment on column tartan.observation_batches.observations is 'How many were claimed.';
comment on column tartan.observation_batches.matched is 'How many were matched.';
comment on column tartan.observation_batches.quarantined is 'How many were quarantined.';
comment on column tartan.observation_batches.new_patterns is 'Patterns that the library did not have before.';
comment on column tartan.observation_batches.counted_in is 'The library whose lines the matched ones are counted in; null before, and for series, which are not counted.';
comment on column tartan.observation_batches.created_at is 'When it was claimed.';
comment on column tartan.observation_batches.closed_at is 'When nothing of it was left; null before.';
call tartan.protect('tartan.observation_batches', 'admin', '');

create table tartan.observation_matches (
    workspace_id    uuid not null,
    observation_id  bigint not null,
    library_id      uuid not null,
    library         text not null,
    session_key     text not null default '',
    key             text,
    verdict         text not null,
    pattern_id      text collate "C",
    pattern_version int,
    confidence      real not null,
    slots           jsonb not null default '[]',
    observed_at     timestamptz not null,
    workflow_id     text not null,
    matched_at      timestamptz not null default clock_timestamp(),
    primary key (workspace_id, observation_id),
    constraint observation_matches_observation_fkey foreign key (workspace_id, observation_id) references tartan.observations (workspace_id, id) on delete cascade,
    constraint observation_matches_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint observation_matches_verdict_known check (verdict in ('known', 'new', 'unknown') and (verdict = 'unknown') = (pattern_id is null))
);
create index observation_matches_matched_at_idx on tartan.observation_matches (workspace_id, matched_at);
create index observation_matches_pattern_idx on tartan.observation_matches (library_id, pattern_id);
comment on table tartan.observation_matches is 'Which pattern an observation is: written once, and told to Realtime subscribers.';
comment on column tartan.observation_matches.workspace_id is 'The workspace it belongs to.';
comment on column tartan.observation_matches.observation_id is 'The observation.';
comment on column tartan.observation_matches.library_id is 'The library.';
comment on column tartan.observation_matches.library is 'Its name when matched, for filters of subscribers.';
comment on column tartan.observation_matches.session_key is 'That of the observation.';
comment on column tartan.observation_matches.key is 'That of the observation.';
comment on column tartan.observation_matches.verdict is 'known; new, where this batch brought the pattern; unknown, where there is none.';
comment on column tartan.observation_matches.pattern_id is 'The pattern as of the match; an id that was retired since is an alias.';
comment on column tartan.observation_matches.pattern_version is 'Its version, or that of the recogniser of series.';
comment on column tartan.observation_matches.confidence is 'From 0 to 1.';
comment on column tartan.observation_matches.slots is 'Values of the slots, in their order.';
comment on column tartan.observation_matches.observed_at is 'The time it was counted at.';
comment on column tartan.observation_matches.workflow_id is 'The workflow that matched it.';
comment on column tartan.observation_matches.matched_at is 'When it was matched.';
call tartan.protect('tartan.observation_matches', 'admin', '');

create table tartan.observation_quarantine (
    workspace_id   uuid not null,
    observation_id bigint not null,
    library        text not null,
    session_key    text not null default '',
    key            text,
    code           text not null,
    reason         text not null,
    workflow_id    text not null,
    quarantined_at timestamptz not null default clock_timestamp(),
    primary key (workspace_id, observation_id),
    constraint observation_quarantine_observation_fkey foreign key (workspace_id, observation_id) references tartan.observations (workspace_id, id) on delete cascade,
    constraint observation_quarantine_reason_given check (reason <> '')
);
comment on table tartan.observation_quarantine is 'Observations that could not be analysed, each with the reason. Retrying takes them out.';
comment on column tartan.observation_quarantine.workspace_id is 'The workspace it belongs to.';
comment on column tartan.observation_quarantine.observation_id is 'The observation.';
comment on column tartan.observation_quarantine.library is 'Name of the library it was for.';
comment on column tartan.observation_quarantine.session_key is 'That of the observation.';
comment on column tartan.observation_quarantine.key is 'That of the observation.';
comment on column tartan.observation_quarantine.code is 'The reason for programs.';
comment on column tartan.observation_quarantine.reason is 'The reason for people, and what to do.';
comment on column tartan.observation_quarantine.workflow_id is 'The workflow that quarantined it.';
comment on column tartan.observation_quarantine.quarantined_at is 'When.';
call tartan.protect('tartan.observation_quarantine', 'admin', '');

-- +goose StatementBegin
create function tartan.wake_observers() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform pg_catalog.pg_notify('tartan_observations', '');
    return null;
end $$;
-- +goose StatementEnd
create trigger observations_wake after insert on tartan.observations
    for each statement execute function tartan.wake_observers();

-- Security definer: the state is not the caller's to write. Callable by rpc.
-- +goose StatementBegin
create function tartan.retry_observations(p_workspace uuid, p_library text default null, p_ids bigint[] default null) returns bigint
language plpgsql security definer set search_path = '' as $$
declare
    n bigint;
begin
    if not p_workspace = any (tartan.my_workspaces('editor')) then
        raise exception 'retrying observations needs the role editor in the workspace' using errcode = 'insufficient_privilege';
    end if;
    with gone as (
        delete from tartan.observation_quarantine q
        where q.workspace_id = p_workspace and (p_library is null or q.library = p_library) and (p_ids is null or q.observation_id = any (p_ids))
        returning q.observation_id)
    update tartan.observations o set state = 'waiting', batch_id = null from gone
    where o.workspace_id = p_workspace and o.id = gone.observation_id and o.state = 'quarantined';
    get diagnostics n = row_count;
    perform pg_catalog.pg_notify('tartan_observations', '');
    return n;
end $$;
-- +goose StatementEnd
revoke execute on function tartan.retry_observations from public;
grant execute on function tartan.retry_observations to authenticated;

-- As in 00006.
-- +goose StatementBegin
do $$
declare
    t text;
begin
    if not exists (select from pg_publication where pubname = 'supabase_realtime' and not puballtables) then
        return;
    end if;
    foreach t in array array['observation_matches', 'observation_quarantine'] loop
        execute format('alter publication supabase_realtime add table tartan.%I', t);
    end loop;
exception when insufficient_privilege then
    raise warning 'tables of tartan are not in the publication supabase_realtime: %', sqlerrm;
end $$;
-- +goose StatementEnd

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop function tartan.retry_observations;
drop table tartan.observation_quarantine;
drop table tartan.observation_matches;
drop table tartan.observation_batches;
drop table tartan.observations;
drop function tartan.wake_observers;
