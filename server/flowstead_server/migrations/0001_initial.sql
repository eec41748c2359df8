-- The tables of the 1.x wire (names and columns are protocol) and what the server keeps beside them:
-- label sets, the event sequence, claims, heartbeats and the queue time.
-- Needs nothing but core PostgreSQL 15.

-- ---------------------------------------------------------------------------------------------------------- functions

-- Version 7 layout: 48 bits of milliseconds, then random bits. Keys made one after the other land on the same index
-- pages; gen_random_uuid supplies the variant and, with two more bits set, its version 4 becomes 7.
create function time_ordered_uuid() returns uuid
language sql volatile parallel safe
return encode(
    set_bit(
        set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6
            ),
            52, 1
        ),
        53, 1
    ),
    'hex'
)::uuid;

create function is_state_name(name text) returns boolean
language sql immutable parallel safe
return name in (
    'Pending', 'Scheduled', 'Paused', 'Resume', 'Retrying', 'Submitted', 'Queued', 'ClientFailed',
    'Running', 'Cancelling', 'Finished', 'Looped', 'Success', 'Cached', 'Mapped', 'Skipped',
    'Failed', 'TimedOut', 'TriggerFailed', 'ValidationFailed', 'Cancelled'
);

-- The states in which a run waits for its start time.
create function is_scheduled_state(name text) returns boolean
language sql immutable parallel safe
return name in ('Scheduled', 'Paused', 'Resume', 'Retrying', 'Queued');

create function is_finished_state(name text) returns boolean
language sql immutable parallel safe
return name in (
    'Finished', 'Looped', 'Success', 'Cached', 'Mapped', 'Skipped',
    'Failed', 'TimedOut', 'TriggerFailed', 'ValidationFailed', 'Cancelled'
);

create function set_updated() returns trigger
language plpgsql as $$
begin
    new.updated := now();
    return new;
end
$$;

-- One sequence for everything a follower of a run reads, so that one number is the cursor of all three kinds.
-- Whoever appends for a run holds that run's advisory lock until commit: per run, order of numbers = order of commits.
create sequence event_seq as bigint cache 1;

-- ------------------------------------------------------------------------------------------------ tenants and projects

create table tenant (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    name text not null,
    slug text not null unique,
    info jsonb,
    settings jsonb not null default '{}',
    check (length(name) <= 255),
    check (length(slug) between 1 and 255),
    check (jsonb_typeof(settings) = 'object')
);

create table project (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    name text not null,
    description text,
    unique (tenant_id, name),
    unique (id, tenant_id),
    check (octet_length(name) between 1 and 1000)
);

-- ------------------------------------------------------------------------------------------------------------- flows

create table flow_group (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    name text,
    description text,
    labels jsonb,
    schedule jsonb,
    settings jsonb not null default '{}',
    default_parameters jsonb not null default '{}',
    run_config jsonb,
    unique (tenant_id, name),
    unique (id, tenant_id),
    check (octet_length(name) between 1 and 1000),
    check (jsonb_typeof(labels) = 'array'),
    check (jsonb_typeof(schedule) = 'object'),
    check (jsonb_typeof(settings) = 'object'),
    check (jsonb_typeof(default_parameters) = 'object'),
    check (jsonb_typeof(run_config) = 'object')
);

-- The composite keys carry the tenant: a flow cannot belong to another tenant's project or group.
create table flow (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    project_id uuid not null,
    flow_group_id uuid not null,
    name text not null,
    version integer,
    version_group_id text,
    archived boolean not null default false,
    description text,
    core_version text,
    environment jsonb,
    run_config jsonb,
    storage jsonb,
    parameters jsonb default '{}',
    settings jsonb not null default '{}',
    serialized_flow jsonb,
    schedule jsonb,
    is_schedule_active boolean not null default false,
    foreign key (project_id, tenant_id) references project (id, tenant_id) on delete cascade,
    foreign key (flow_group_id, tenant_id) references flow_group (id, tenant_id) on delete cascade,
    unique (id, tenant_id),
    unique (flow_group_id, version),
    check (octet_length(name) <= 1000),
    check (octet_length(version_group_id) between 1 and 1000),
    check (version >= 1),
    check (jsonb_typeof(parameters) in ('array', 'object')),
    check (jsonb_typeof(settings) = 'object'),
    check (jsonb_typeof(schedule) = 'object'),
    check (jsonb_typeof(run_config) = 'object'),
    check (jsonb_typeof(environment) = 'object')
);
create index flow_project_name_idx on flow (project_id, name, created desc);
create index flow_tenant_name_idx on flow (tenant_id, name);
create index flow_tenant_created_idx on flow (tenant_id, created);
create index flow_version_group_idx on flow (tenant_id, version_group_id, version desc);

create table task (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    flow_id uuid not null,
    name text,
    slug text,
    description text,
    type text,
    max_retries integer,
    retry_delay interval,
    trigger text,
    mapped boolean not null default false,
    auto_generated boolean not null default false,
    cache_key text,
    is_root_task boolean not null default false,
    is_terminal_task boolean not null default false,
    is_reference_task boolean not null default false,
    tags jsonb not null default '[]',
    foreign key (flow_id, tenant_id) references flow (id, tenant_id) on delete cascade,
    unique (flow_id, slug),
    check (octet_length(slug) <= 1000),
    check (max_retries >= 0),
    check (retry_delay >= interval '0'),
    check (jsonb_typeof(tags) = 'array')
);
create index task_tenant_created_idx on task (tenant_id, created);

create table edge (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    flow_id uuid not null,
    upstream_task_id uuid not null references task on delete cascade,
    downstream_task_id uuid not null references task on delete cascade,
    key text,
    mapped boolean not null default false,
    foreign key (flow_id, tenant_id) references flow (id, tenant_id) on delete cascade,
    unique (flow_id, downstream_task_id, upstream_task_id)
);
create index edge_upstream_task_idx on edge (upstream_task_id);
create index edge_downstream_task_idx on edge (downstream_task_id);

-- ------------------------------------------------------------------------------------------------------------ agents

create table agent_config (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    name text,
    settings jsonb not null default '{}',
    check (jsonb_typeof(settings) = 'object')
);
create index agent_config_tenant_idx on agent_config (tenant_id);

create table agent (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    agent_config_id uuid references agent_config on delete set null,
    name text,
    type text,
    core_version text,
    labels jsonb not null default '[]',
    last_queried timestamptz default now(),
    check (jsonb_typeof(labels) = 'array')
);
create index agent_tenant_idx on agent (tenant_id);
create index agent_agent_config_idx on agent (agent_config_id) where agent_config_id is not null;

-- A run refers to its set of labels, so a claim compares a few sets and never a run's own labels.
create table label_set (
    id bigint generated always as identity primary key,
    tenant_id uuid not null references tenant on delete cascade,
    labels text[] not null,
    unique (tenant_id, labels),
    check (array_position(labels, null) is null)
);
-- A set can only match an agent that has the set's first label; the empty set has a null here.
create index label_set_first_label_idx on label_set (tenant_id, (labels[1]));

-- --------------------------------------------------------------------------------------------------------------- runs

-- Not on the wire: label_set_id, queue_time, priority, claim_token. The wire's `heartbeat` is in flow_run_heartbeat.
-- queue_time: when an agent is next needed, null if none is.
--   a scheduled state: its start time (later while an agent that polls has been handed the run);
--   Running: three seconds after the earliest start time of its waiting task runs;
--   Submitted by a claim: when the lease ends, so that the run of a dead agent comes back by itself.
create table flow_run (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    flow_id uuid not null,
    name text,
    parameters jsonb default '{}',
    context jsonb default '{}',
    labels jsonb not null default '[]',
    run_config jsonb,
    scheduled_start_time timestamptz not null default now(),
    auto_scheduled boolean not null default false,
    idempotency_key text,
    agent_id uuid references agent on delete set null,
    version integer not null default 0,
    times_resurrected integer default 0,
    start_time timestamptz,
    end_time timestamptz,
    state text,
    state_timestamp timestamptz,
    state_message text,
    state_result jsonb,
    state_start_time timestamptz,
    serialized_state jsonb,
    label_set_id bigint not null references label_set,
    queue_time timestamptz,
    priority smallint not null default 0,
    claim_token uuid,
    foreign key (flow_id, tenant_id) references flow (id, tenant_id) on delete cascade,
    check (octet_length(name) <= 1000),
    check (octet_length(idempotency_key) <= 2000),
    check (jsonb_typeof(parameters) = 'object'),
    check (jsonb_typeof(context) = 'object'),
    check (jsonb_typeof(labels) = 'array'),
    check (jsonb_typeof(run_config) = 'object'),
    check (is_state_name(state)),
    check ((version = 0) = (state is null) and version >= 0),
    check ((state is null) = (serialized_state is null) and (state is null) = (state_timestamp is null)),
    check (times_resurrected >= 0),
    check (queue_time is null or is_scheduled_state(state) or state in ('Running', 'Submitted'))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create unique index flow_run_idempotency_key_idx on flow_run (flow_id, idempotency_key)
    where idempotency_key is not null;
create index flow_run_flow_idx on flow_run (flow_id, scheduled_start_time desc);
create index flow_run_tenant_created_idx on flow_run (tenant_id, created);
create index flow_run_tenant_start_time_idx on flow_run (tenant_id, start_time);
create index flow_run_tenant_name_idx on flow_run (tenant_id, name);
create index flow_run_agent_idx on flow_run (agent_id) where agent_id is not null;
-- Holds waiting runs only: a claim never walks past runs that are claimed, running or done.
create index flow_run_queue_idx on flow_run (label_set_id, queue_time, id) where queue_time is not null;

-- Apart from flow_run because it changes every few seconds: a heartbeat rewrites one short row and no index.
create table flow_run_heartbeat (
    flow_run_id uuid primary key references flow_run on delete cascade,
    heartbeat timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

create table flow_run_state (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    flow_run_id uuid not null references flow_run on delete cascade,
    timestamp timestamptz not null default clock_timestamp(),
    state text not null,
    message text,
    result jsonb,
    start_time timestamptz,
    serialized_state jsonb not null,
    version integer default 1,
    seq bigint not null default nextval('event_seq'),
    check (is_state_name(state)),
    check (version >= 1),
    check (jsonb_typeof(serialized_state) = 'object')
);
create index flow_run_state_events_idx on flow_run_state (flow_run_id, seq);

create table task_run (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    flow_run_id uuid not null references flow_run on delete cascade,
    task_id uuid not null references task on delete cascade,
    map_index integer not null default -1,
    name text,
    cache_key text,
    version integer not null default 0,
    heartbeat timestamptz,
    start_time timestamptz,
    end_time timestamptz,
    state text,
    state_timestamp timestamptz,
    state_message text,
    state_result jsonb,
    state_start_time timestamptz,
    serialized_state jsonb,
    unique (flow_run_id, task_id, map_index),
    check (map_index >= -1),
    check (is_state_name(state)),
    check ((version = 0) = (state is null) and version >= 0),
    check ((state is null) = (serialized_state is null) and (state is null) = (state_timestamp is null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index task_run_task_idx on task_run (task_id);
-- hash: a cache key may be longer than a b-tree entry can be
create index task_run_cache_key_idx on task_run using hash (cache_key) where cache_key is not null;

-- The task runs that wait for a start time; kept by a trigger, so that state changes of task runs touch no index.
create table task_run_due (
    task_run_id uuid primary key references task_run on delete cascade,
    flow_run_id uuid not null,
    start_time timestamptz not null
);
create index task_run_due_flow_run_idx on task_run_due (flow_run_id, start_time);

-- flow_run_id is the task run's own (it never changes); it is here so that a follower of a run reads one index.
create table task_run_state (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    task_run_id uuid not null references task_run on delete cascade,
    timestamp timestamptz not null default clock_timestamp(),
    state text not null,
    message text,
    result jsonb,
    start_time timestamptz,
    serialized_state jsonb not null,
    version integer default 1,
    flow_run_id uuid not null,
    seq bigint not null default nextval('event_seq'),
    check (is_state_name(state)),
    check (version >= 1),
    check (jsonb_typeof(serialized_state) = 'object')
);
create index task_run_state_task_run_idx on task_run_state (task_run_id);
create index task_run_state_events_idx on task_run_state (flow_run_id, seq);

create table task_run_artifact (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    task_run_id uuid not null references task_run on delete cascade,
    kind text not null,
    data jsonb not null default '{}'
);
create index task_run_artifact_task_run_idx on task_run_artifact (task_run_id);
create index task_run_artifact_tenant_idx on task_run_artifact (tenant_id);

-- --------------------------------------------------------------------------------------------------------------- logs

-- One partition a day, so that forgetting a day is dropping a table. No foreign keys, for speed: the statement that
-- appends checks that the runs exist, and a trigger removes the lines of runs that go.
create table log (
    id uuid not null default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    flow_run_id uuid,
    task_run_id uuid,
    timestamp timestamptz not null default now(),
    name text,
    level text,
    message text,
    info jsonb,
    is_loaded_from_archive boolean default false,
    seq bigint not null default nextval('event_seq'),
    primary key (id, created)
) partition by range (created);
create index log_events_idx on log (flow_run_id, seq);
create index log_task_run_idx on log (task_run_id) where task_run_id is not null;
create table log_default partition of log default;

-- Makes the partitions of today and the days after it. Lines that fell into the default partition move to theirs.
create function ensure_log_partitions(days_ahead integer) returns integer
language plpgsql as $$
declare
    today date := (now() at time zone 'UTC')::date;
    made integer := 0;
    day date;
    partition_name text;
begin
    -- several servers do this at the same hour
    perform pg_advisory_xact_lock(1718384739, 2);
    for offset_days in 0..days_ahead loop
        day := today + offset_days;
        partition_name := 'log_p' || to_char(day, 'YYYYMMDD');
        continue when to_regclass(partition_name) is not null;
        execute format('create table %I (like log including all)', partition_name);
        -- the attached table must not overlap with rows of the default partition
        execute format(
            'with moved as (delete from log_default where created >= %1$L and created < %2$L returning *)
             insert into %3$I select * from moved',
            day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC', partition_name
        );
        execute format(
            'alter table log attach partition %I for values from (%L) to (%L)',
            partition_name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
        );
        made := made + 1;
    end loop;
    return made;
end
$$;

-- ------------------------------------------------------------------------------------------------- hooks and messages

create table cloud_hook (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    name text,
    type text not null,
    states jsonb,
    config jsonb not null default '{}',
    active boolean not null default true,
    version_group_id text,
    check (type in ('PAGERDUTY', 'SLACK_WEBHOOK', 'TWILIO', 'WEBHOOK', 'PREFECT_MESSAGE')),
    check (jsonb_typeof(states) = 'array'),
    check (jsonb_typeof(config) = 'object')
);
create index cloud_hook_tenant_idx on cloud_hook (tenant_id);
create index cloud_hook_states_idx on cloud_hook using gin (states);

create table message (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    read boolean not null default false,
    type text,
    text text,
    content jsonb not null default '{}'
);
create index message_tenant_idx on message (tenant_id, created);

-- ------------------------------------------------------------------------------------------------------------ triggers

do $$
declare
    table_name text;
begin
    foreach table_name in array array[
        'tenant', 'project', 'flow_group', 'flow', 'task', 'edge', 'agent_config', 'agent', 'flow_run', 'flow_run_state',
        'task_run', 'task_run_state', 'task_run_artifact', 'log', 'cloud_hook', 'message'
    ] loop
        execute format(
            'create trigger %I before update on %I for each row execute function set_updated()',
            table_name || '_set_updated', table_name
        );
    end loop;
end
$$;

-- Both callers hold the run's advisory lock, and a function's statements see what was committed before it was taken:
-- no waiting task run can be missed.
create function refresh_running_queue_time(run_id uuid) returns void
language sql volatile
begin atomic
    update flow_run r
    set queue_time = due.queue_time
    from (
        select min(d.start_time) + interval '3 seconds' as queue_time from task_run_due d where d.flow_run_id = run_id
    ) due
    where r.id = run_id and r.state = 'Running' and r.queue_time is distinct from due.queue_time;
end;

create function flow_run_started() returns trigger
language plpgsql as $$
begin
    perform refresh_running_queue_time(new.id);
    return null;
end
$$;
create trigger flow_run_started after update on flow_run for each row
    when (new.state = 'Running' and new.version is distinct from old.version)
    execute function flow_run_started();

-- Whether a run still takes writes of this claim, and still runs if it must. `after_lock` makes the caller's statement
-- ask only after it has the run's advisory lock; being volatile, the answer is as of then and not as of its start.
create function flow_run_accepts(run_id uuid, token uuid, must_run boolean, after_lock bigint) returns boolean
language plpgsql volatile as $$
begin
    return exists (
        select from flow_run r
        where r.id = run_id and (token is null or r.claim_token = token) and (not must_run or r.state = 'Running')
    );
end
$$;

create function task_run_due_changed() returns trigger
language plpgsql as $$
begin
    if is_scheduled_state(new.state) and new.state_start_time is not null then
        insert into task_run_due (task_run_id, flow_run_id, start_time)
        values (new.id, new.flow_run_id, new.state_start_time)
        on conflict (task_run_id) do update set start_time = excluded.start_time;
    else
        delete from task_run_due where task_run_id = new.id;
    end if;
    perform refresh_running_queue_time(new.flow_run_id);
    return null;
end
$$;
create trigger task_run_due_changed after update on task_run for each row
    when (is_scheduled_state(new.state) or is_scheduled_state(old.state))
    execute function task_run_due_changed();

create function delete_logs_of_gone_runs() returns trigger
language plpgsql as $$
begin
    delete from log l using gone where l.flow_run_id = gone.id;
    return null;
end
$$;
create trigger flow_run_delete_logs after delete on flow_run
    referencing old table as gone
    for each statement execute function delete_logs_of_gone_runs();

-- ------------------------------------------------------------------------------------------------------ search by name

-- Only where the server has the extension (the embedded one has not) and this user may create it.
do $$
begin
    if exists (select from pg_available_extensions where name = 'pg_trgm') then
        begin
            create extension if not exists pg_trgm;
            create index flow_name_trgm_idx on flow using gin (name gin_trgm_ops);
            create index flow_run_name_trgm_idx on flow_run using gin (name gin_trgm_ops);
            create index task_run_name_trgm_idx on task_run using gin (name gin_trgm_ops);
        exception when insufficient_privilege or undefined_object then
            null;
        end;
    end if;
end
$$;
