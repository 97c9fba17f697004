-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.budgets (
    id              uuid primary key default gen_random_uuid(),
    workspace_id    uuid not null references tartan.workspaces (id) on delete cascade,
    scope           text not null,
    name            text not null default '',
    period          text not null default 'total',
    limit_micros    bigint not null,
    spent_micros    bigint not null default 0,
    reserved_micros bigint not null default 0,
    period_start    timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    constraint budgets_scope_known check (scope in ('workspace', 'agent', 'task')),
    constraint budgets_name_fits check ((scope = 'workspace') = (name = '') and char_length(name) <= 200),
    constraint budgets_period_known check (period in ('total', 'day', 'month')),
    constraint budgets_amounts_positive check (limit_micros >= 0 and spent_micros >= 0 and reserved_micros >= 0),
    constraint budgets_one_each unique (workspace_id, scope, name, period)
);
comment on table tartan.budgets is 'What may be spent on models, by whom and for what. A call is reserved against every budget that it falls under, or refused.';
comment on column tartan.budgets.id is 'Primary key; budgets are locked in its order.';
comment on column tartan.budgets.workspace_id is 'The workspace it belongs to.';
comment on column tartan.budgets.scope is 'Whose calls count: of the whole workspace, of one agent or of one task.';
comment on column tartan.budgets.name is 'Name of the agent or task; empty for the workspace.';
comment on column tartan.budgets.period is 'Over what it is counted: total never starts again, day and month start at midnight UTC.';
comment on column tartan.budgets.limit_micros is 'The limit, in micro-dollars.';
comment on column tartan.budgets.spent_micros is 'Spent in this period, in micro-dollars.';
comment on column tartan.budgets.reserved_micros is 'Held for calls under way, at their worst case, in micro-dollars.';
comment on column tartan.budgets.period_start is 'When the period began that spent_micros counts.';
comment on column tartan.budgets.created_at is 'When the budget was made.';
call tartan.protect('tartan.budgets', 'admin', 'delete');
-- What was spent is not for admins to write, only the limit.
create policy members_insert on tartan.budgets for insert to authenticated with check (workspace_id = any ((select tartan.my_workspaces('admin'))::uuid[]));
create policy members_update on tartan.budgets for update to authenticated
    using (workspace_id = any ((select tartan.my_workspaces('admin'))::uuid[])) with check (workspace_id = any ((select tartan.my_workspaces('admin'))::uuid[]));
grant insert (workspace_id, scope, name, period, limit_micros), update (limit_micros) on tartan.budgets to authenticated;

create table tartan.model_calls (
    id            uuid primary key default gen_random_uuid(),
    workspace_id  uuid not null references tartan.workspaces (id) on delete cascade,
    user_id       uuid not null,
    key           text not null,
    agent         text not null default '',
    task          text not null default '',
    model         text not null,
    state         text not null,
    budget_ids    uuid[] not null default '{}',
    worst_micros  bigint not null,
    cost_micros   bigint not null default 0,
    input_tokens  bigint not null default 0,
    output_tokens bigint not null default 0,
    class         text not null default '',
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    ended_at      timestamptz,
    constraint model_calls_state_known check (state in ('reserved', 'sent', 'settled', 'released', 'lost')),
    constraint model_calls_key_length check (char_length(key) between 1 and 500),
    constraint model_calls_amounts_positive check (worst_micros >= 0 and cost_micros >= 0 and input_tokens >= 0 and output_tokens >= 0),
    constraint model_calls_ended check ((ended_at is null) = (state in ('reserved', 'sent')))
);
create unique index model_calls_live_key on tartan.model_calls (workspace_id, key) where state in ('reserved', 'sent');
create index model_calls_live_expiry on tartan.model_calls (expires_at) where state in ('reserved', 'sent');
create index model_calls_recent on tartan.model_calls (workspace_id, created_at desc);
comment on table tartan.model_calls is 'The ledger of calls to models: each attempt at its own model is a row, reserved before it is sent and settled after. Rows say what a call cost, never what it said.';
comment on column tartan.model_calls.id is 'Primary key.';
comment on column tartan.model_calls.workspace_id is 'The workspace that pays.';
comment on column tartan.model_calls.user_id is 'The user it was made for.';
comment on column tartan.model_calls.key is 'What the call is: the same key is paid for once.';
comment on column tartan.model_calls.agent is 'The agent that called; empty for a person.';
comment on column tartan.model_calls.task is 'What kind of work it was for.';
comment on column tartan.model_calls.model is 'The model that it was sent to, as provider/name.';
comment on column tartan.model_calls.state is 'reserved: not sent yet. sent: under way. settled: paid as used. released: never sent. lost: the caller died, so the worst case is charged.';
comment on column tartan.model_calls.budget_ids is 'The budgets that it is reserved against.';
comment on column tartan.model_calls.worst_micros is 'What it can cost at most, in micro-dollars.';
comment on column tartan.model_calls.cost_micros is 'What it was charged, in micro-dollars.';
comment on column tartan.model_calls.input_tokens is 'Tokens of the request, as the provider counted.';
comment on column tartan.model_calls.output_tokens is 'Tokens of the answer, as the provider counted.';
comment on column tartan.model_calls.class is 'How it failed; empty for an answer.';
comment on column tartan.model_calls.created_at is 'When it was reserved.';
comment on column tartan.model_calls.expires_at is 'From when on its caller counts as dead.';
comment on column tartan.model_calls.ended_at is 'When it was settled, released or lost.';
call tartan.protect('tartan.model_calls', 'admin', '');

create table tartan.model_results (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    key          text not null,
    model        text not null,
    cost_micros  bigint not null,
    answer       jsonb not null,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, key)
);
create index model_results_created on tartan.model_results (created_at);
comment on table tartan.model_results is 'Answers of durable calls, written with the settlement: whoever comes again with the key gets the answer and pays nothing. Kept for seven days.';
comment on column tartan.model_results.workspace_id is 'The workspace it belongs to.';
comment on column tartan.model_results.key is 'The key of the call.';
comment on column tartan.model_results.model is 'The model that answered.';
comment on column tartan.model_results.cost_micros is 'What it was charged, in micro-dollars.';
comment on column tartan.model_results.answer is 'The answer.';
comment on column tartan.model_results.created_at is 'When it was written.';
call tartan.protect('tartan.model_results', 'admin', '');

create table tartan.model_cache (
    workspace_id uuid not null references tartan.workspaces (id) on delete cascade,
    key          text not null,
    scope        text not null,
    model        text not null,
    vector       real[],
    answer       jsonb not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    primary key (workspace_id, key),
    constraint model_cache_key_form check (key ~ '^[0-9a-f]{64}$' and scope ~ '^[0-9a-f]{64}$')
);
create index model_cache_expiry on tartan.model_cache (expires_at);
create index model_cache_scope on tartan.model_cache (workspace_id, scope, created_at desc) where vector is not null;
comment on table tartan.model_cache is 'Answers to requests that may be answered twice the same: temperature 0, or by choice. A workspace sees its own only.';
comment on column tartan.model_cache.workspace_id is 'The workspace it belongs to.';
comment on column tartan.model_cache.key is 'SHA-256 of the canonical request.';
comment on column tartan.model_cache.scope is 'SHA-256 of the request without its last message: what must be equal for one that is only similar.';
comment on column tartan.model_cache.model is 'The model that answered.';
comment on column tartan.model_cache.vector is 'Vector of the last message, where similar requests may be answered by it.';
comment on column tartan.model_cache.answer is 'The answer.';
comment on column tartan.model_cache.created_at is 'When it was written.';
comment on column tartan.model_cache.expires_at is 'Until when it is served.';
call tartan.protect('tartan.model_cache', 'admin', '');

-- Ends a call that is under way: its reservation goes, its cost is spent. A call that was given up as lost and is settled after all
-- is corrected by the difference.
-- +goose StatementBegin
create function tartan.end_call(p_call uuid, p_state text, p_cost bigint, p_input bigint, p_output bigint, p_class text) returns text
language plpgsql set search_path = '' as $$
declare
    c tartan.model_calls;
begin
    select * into c from tartan.model_calls where id = p_call;
    if not found then
        return 'missing';
    end if;
    perform 1 from tartan.budgets b where b.id = any (c.budget_ids) order by b.id for update;
    select * into c from tartan.model_calls where id = p_call for update;
    if c.state in ('reserved', 'sent') then
        update tartan.budgets b set reserved_micros = greatest(0, b.reserved_micros - c.worst_micros), spent_micros = b.spent_micros + p_cost where b.id = any (c.budget_ids);
    elsif c.state = 'lost' and p_state = 'settled' then
        update tartan.budgets b set spent_micros = greatest(0, b.spent_micros + p_cost - c.cost_micros) where b.id = any (c.budget_ids);
    else
        return c.state;
    end if;
    update tartan.model_calls m set state = p_state, cost_micros = p_cost, input_tokens = p_input, output_tokens = p_output, class = p_class, ended_at = pg_catalog.now()
    where m.id = p_call;
    return p_state;
end $$;
-- +goose StatementEnd
comment on function tartan.end_call is 'Ends a call: moves its reservation to what it cost.';

-- Ends the calls of callers that died: what was never sent is released, what was sent is charged in full, because the provider may have
-- answered it.
-- +goose StatementBegin
create function tartan.expire_calls(p_workspace uuid, p_most int) returns int
language plpgsql set search_path = '' as $$
declare
    dead record;
    n int := 0;
begin
    for dead in
        select id, state, worst_micros from tartan.model_calls
        where state in ('reserved', 'sent') and expires_at <= pg_catalog.clock_timestamp() and (p_workspace is null or workspace_id = p_workspace)
        order by expires_at limit p_most
    loop
        perform tartan.end_call(dead.id, case when dead.state = 'sent' then 'lost' else 'released' end, case when dead.state = 'sent' then dead.worst_micros else 0 end, 0, 0, '');
        n := n + 1;
    end loop;
    return n;
end $$;
-- +goose StatementEnd
comment on function tartan.expire_calls is 'Ends calls whose callers died.';

-- Reserves the worst case of a call against every budget that it falls under, in one transaction with the checks. Outcomes:
-- reserved; done, with the answer that the key has already; denied, for one who may not; refused, with the budget that lacks the money.
-- A live call of the same key is taken over: what was reserved becomes sent, and what was sent is charged, since its caller died.
-- +goose StatementBegin
create function tartan.reserve_call(
    p_workspace uuid, p_user uuid, p_key text, p_agent text, p_task text, p_model text, p_worst bigint, p_sent boolean, p_seconds int, p_durable boolean,
    out outcome text, out call_id uuid, out budget text, out left_micros bigint, out model text, out cost_micros bigint, out answer jsonb)
language plpgsql set search_path = '' as $$
declare
    b tartan.budgets;
    ids uuid[];
    live tartan.model_calls;
    start timestamptz;
    swept boolean := false;
begin
    if not exists (select from tartan.members m where m.workspace_id = p_workspace and m.user_id = p_user and m.role operator(pg_catalog.>=) 'editor'::tartan.member_role) then
        outcome := 'denied';
        return;
    end if;
    if p_durable then
        select r.model, r.cost_micros, r.answer into model, cost_micros, answer from tartan.model_results r where r.workspace_id = p_workspace and r.key = p_key;
        if found then
            outcome := 'done';
            return;
        end if;
        select * into live from tartan.model_calls c where c.workspace_id = p_workspace and c.key = p_key and c.state in ('reserved', 'sent');
        if found and live.state = 'reserved' and live.model = p_model and live.worst_micros >= p_worst then
            update tartan.model_calls c set state = case when p_sent then 'sent' else 'reserved' end, expires_at = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_seconds)
            where c.id = live.id and c.state = 'reserved';
            if found then
                outcome := 'reserved';
                call_id := live.id;
                return;
            end if;
        elsif found then
            perform tartan.end_call(live.id, case when live.state = 'sent' then 'lost' else 'released' end, case when live.state = 'sent' then live.worst_micros else 0 end, 0, 0, '');
        end if;
    end if;
    <<again>>
    loop
        ids := '{}';
        for b in
            select * from tartan.budgets x where x.workspace_id = p_workspace
                and (x.scope = 'workspace' or x.scope = 'agent' and x.name = p_agent or x.scope = 'task' and x.name = p_task)
            order by x.id for update
        loop
            start := case b.period when 'total' then b.period_start else pg_catalog.date_trunc(b.period, pg_catalog.now(), 'UTC') end;
            if start > b.period_start then
                update tartan.budgets x set spent_micros = 0, period_start = start where x.id = b.id;
                b.spent_micros := 0;
            end if;
            if b.limit_micros - b.spent_micros - b.reserved_micros < p_worst then
                -- What the dead hold is freed before anybody is refused.
                if not swept then
                    swept := true;
                    if tartan.expire_calls(p_workspace, 1000) > 0 then
                        continue again;
                    end if;
                end if;
                outcome := 'refused';
                budget := pg_catalog.concat_ws(' ', b.period, b.scope, nullif(b.name, ''));
                left_micros := greatest(0, b.limit_micros - b.spent_micros - b.reserved_micros);
                return;
            end if;
            ids := ids || b.id;
        end loop;
        exit;
    end loop;
    update tartan.budgets x set reserved_micros = x.reserved_micros + p_worst where x.id = any (ids);
    insert into tartan.model_calls (workspace_id, user_id, key, agent, task, model, state, budget_ids, worst_micros, expires_at)
    values (p_workspace, p_user, p_key, p_agent, p_task, p_model, case when p_sent then 'sent' else 'reserved' end, ids, p_worst,
            pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_seconds))
    returning id into call_id;
    outcome := 'reserved';
end $$;
-- +goose StatementEnd
comment on function tartan.reserve_call is 'Reserves the worst case of a call against its budgets, or says why not.';

-- Settles a call and writes its answer, so that whoever comes again pays nothing.
-- +goose StatementBegin
create function tartan.settle_call(p_call uuid, p_cost bigint, p_input bigint, p_output bigint, p_class text, p_answer jsonb) returns text
language plpgsql set search_path = '' as $$
declare
    state text := tartan.end_call(p_call, 'settled', p_cost, p_input, p_output, p_class);
begin
    if p_answer is not null and state = 'settled' then
        insert into tartan.model_results (workspace_id, key, model, cost_micros, answer)
        select c.workspace_id, c.key, c.model, p_cost, p_answer from tartan.model_calls c where c.id = p_call
        on conflict do nothing;
    end if;
    return state;
end $$;
-- +goose StatementEnd
comment on function tartan.settle_call is 'Settles a call at what it cost, with its answer where it is kept.';

-- The ledger is written by Tartan alone: a member who could call these could pay for nothing.
revoke execute on function tartan.end_call, tartan.expire_calls, tartan.reserve_call, tartan.settle_call from public;
grant execute on function tartan.end_call, tartan.expire_calls, tartan.reserve_call, tartan.settle_call to service_role;

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop function tartan.settle_call;
drop function tartan.reserve_call;
drop function tartan.expire_calls;
drop function tartan.end_call;
drop table tartan.model_cache;
drop table tartan.model_results;
drop table tartan.model_calls;
drop table tartan.budgets;
