-- name: read_flow_runs
select
    r.id, r.tenant_id, r.version, r.state, r.state_message, r.claim_token, r.label_set_id,
    coalesce((g.settings->>'version_locking_enabled')::boolean, false) as version_locking,
    case when r.state = i.state then r.serialized_state end as same_state,
    g.concurrency_limit is not null or exists (
        select
        from flow_concurrency_limit l
        join label_set s on s.id = r.label_set_id and l.name = any(s.labels)
        where l.tenant_id = r.tenant_id
    ) as is_limited
from jsonb_to_recordset($1::jsonb) as i (id uuid, tenant_id uuid, state text)
join flow_run r on r.id = i.id and r.tenant_id = i.tenant_id
join flow f on f.id = r.flow_id
join flow_group g on g.id = f.flow_group_id;

-- Compare-and-set of flow runs: those that are no longer at the version and claim that were seen are left alone and not
-- answered. The rows of one statement are of different runs.
-- A run that takes a slot and finds none becomes Queued instead: if its process has no claim, it comes up for agents ten
-- minutes after it has asked last, else at once. One that is Queued already is only kept from agents for longer.
-- name: write_flow_runs
with input as materialized (
    select *
    from jsonb_to_recordset($1::jsonb) as i (
        id uuid, tenant_id uuid, seen_version integer, seen_claim uuid, state text, message text, start_time timestamptz,
        payload jsonb, queue_time timestamptz, is_ending boolean, is_live boolean, fences boolean, agent_id uuid,
        takes_slot boolean
    )
),
locked as materialized (
    select pg_advisory_xact_lock(k.key)
    from (select distinct hashtextextended(id::text, 0) as key from input order by key) k
),
-- after the locks of the runs come those of the limits, then the rows
slots as materialized (
    select t.run_id, t.waits_for
    from (
        select array_agg(i.id) filter (where i.takes_slot) as ids, (select count(*) from locked) as locks from input i
    ) w
    cross join lateral take_flow_run_slots(w.ids, w.locks) t
    where w.ids is not null
),
moment as materialized (
    select count(*) as locks, clock_timestamp() as now
    from (select 1 from locked union all select 1 from slots) held
),
wanted as materialized (
    select
        i.*, m.now, 'Waits for a free slot: ' || t.waits_for || '.' as queued,
        case when i.seen_claim is null then m.now + interval '10 minutes' else m.now end as queue_until
    from input i
    cross join moment m
    left join slots t on t.run_id = i.id
),
written as (
    update flow_run r
    set version = r.version + 1,
        state = case when i.queued is null then i.state else 'Queued' end,
        state_timestamp = i.now,
        state_message = coalesce(i.queued, i.message),
        state_result = null,
        state_start_time = case when i.queued is null then i.start_time else i.queue_until end,
        serialized_state = case
            when i.queued is null then i.payload
            else jsonb_build_object(
                'type', 'Queued', 'message', i.queued, 'start_time', i.queue_until,
                'state', case
                    when jsonb_typeof(r.serialized_state->'state') = 'object' then r.serialized_state->'state'
                    else r.serialized_state
                end
            )
        end,
        start_time = case
            when i.state = 'Running' and i.queued is null then least(r.start_time, i.now) else r.start_time
        end,
        end_time = case when i.is_ending then greatest(r.end_time, i.now) else r.end_time end,
        queue_time = case when i.queued is null then i.queue_time else i.queue_until end,
        claim_token = case when i.fences then null else r.claim_token end,
        agent_id = coalesce((select a.id from agent a where a.id = i.agent_id and a.tenant_id = r.tenant_id), r.agent_id)
    from wanted i
    where r.id = i.id and r.tenant_id = i.tenant_id and r.version = i.seen_version
        and r.claim_token is not distinct from i.seen_claim
        and not (i.queued is not null and r.state = 'Queued')
    returning r.id, r.tenant_id, r.version, r.state, r.state_timestamp, r.state_message, r.state_start_time,
        r.serialized_state, r.label_set_id, i.is_live, r.queue_time, i.queued
),
kept as (
    update flow_run r
    set queue_time = case when i.seen_claim is null then greatest(r.queue_time, i.queue_until) else r.queue_time end
    from wanted i
    where r.id = i.id and r.tenant_id = i.tenant_id and r.version = i.seen_version
        and r.claim_token is not distinct from i.seen_claim
        and i.queued is not null and r.state = 'Queued'
    returning r.id, r.tenant_id, r.version, r.label_set_id, r.state_message as queued
),
history as (
    insert into flow_run_state (
        tenant_id, flow_run_id, timestamp, state, message, start_time, serialized_state, version
    )
    select tenant_id, id, state_timestamp, state, state_message, state_start_time, serialized_state, version
    from written
),
heartbeats as (
    insert into flow_run_heartbeat (flow_run_id, heartbeat)
    select id, state_timestamp from written where is_live
    on conflict (flow_run_id) do update set heartbeat = excluded.heartbeat
)
select id, tenant_id, version, label_set_id, queue_time is not null and queued is null as waits, queued from written
union all
select id, tenant_id, version, label_set_id, false, queued from kept;

-- The task runs of cancelled flow runs. In the transaction that cancelled them, after it: no task run escapes.
-- name: cancel_task_runs
with input as materialized (
    select * from jsonb_to_recordset($1::jsonb) as i (id uuid, tenant_id uuid, message text, payload jsonb)
),
written as (
    update task_run t
    set version = t.version + 1,
        state = 'Cancelled',
        state_timestamp = clock_timestamp(),
        state_message = i.message,
        state_result = null,
        state_start_time = null,
        serialized_state = i.payload,
        end_time = greatest(t.end_time, clock_timestamp())
    from input i
    where t.flow_run_id = i.id and t.tenant_id = i.tenant_id and not is_finished_state(t.state)
    returning t.id, t.tenant_id, t.flow_run_id, t.version, t.state_timestamp, t.state_message, t.serialized_state
),
untagged as (
    delete from task_run_tag g using written w where g.task_run_id = w.id
)
insert into task_run_state (tenant_id, task_run_id, flow_run_id, timestamp, state, message, serialized_state, version)
select tenant_id, id, flow_run_id, state_timestamp, 'Cancelled', state_message, serialized_state, version
from written;

-- Task runs that a process without a claim left Running: whoever has their flow run next finds them Pending.
-- name: reopen_task_runs
with locked as materialized (
    select pg_advisory_xact_lock(k.key)
    from (select hashtextextended(id::text, 0) as key from unnest($1::uuid[]) as i (id) order by key) k
),
moment as materialized (
    select count(*) as locks, clock_timestamp() as now from locked
),
written as (
    update task_run t
    set version = t.version + 1,
        state = 'Pending',
        state_timestamp = m.now,
        state_message = $2,
        state_result = null,
        state_start_time = null,
        serialized_state = jsonb_build_object('type', 'Pending', 'message', $2::text) || case
            when jsonb_typeof(t.serialized_state->'cached_inputs') = 'object'
            then jsonb_build_object('cached_inputs', t.serialized_state->'cached_inputs')
            else '{}'
        end
    from moment m
    where t.flow_run_id = any($1::uuid[]) and t.state = 'Running'
    returning t.id, t.tenant_id, t.flow_run_id, t.version, t.state_timestamp, t.state_message, t.serialized_state
),
untagged as (
    delete from task_run_tag g using written w where g.task_run_id = w.id
)
insert into task_run_state (tenant_id, task_run_id, flow_run_id, timestamp, state, message, serialized_state, version)
select tenant_id, id, flow_run_id, state_timestamp, 'Pending', state_message, serialized_state, version
from written;

-- name: read_task_runs
select
    t.id, t.tenant_id, t.version, t.state, t.flow_run_id, r.state as flow_run_state, r.claim_token,
    case
        when jsonb_typeof(t.serialized_state->'cached_inputs') = 'object' and t.serialized_state->'cached_inputs' <> '{}'
        then t.serialized_state->'cached_inputs'
    end as cached_inputs,
    coalesce((g.settings->>'version_locking_enabled')::boolean, false) as version_locking,
    case when t.state = i.state then t.serialized_state end as same_state,
    'Running' in (i.state, t.state) and exists (
        select from task_tag_limit l join task k on k.id = t.task_id and k.tags ? l.tag where l.tenant_id = t.tenant_id
    ) as is_limited,
    case
        when i.state = 'Running' and is_finished_state(t.state)
        then (
            select jsonb_build_object('type', k.type, 'result', t.serialized_state->'_result')
            from task k
            where k.id = t.task_id
        )
    end as ended
from jsonb_to_recordset($1::jsonb) as i (id uuid, tenant_id uuid, state text)
join task_run t on t.id = i.id and t.tenant_id = i.tenant_id
join flow_run r on r.id = t.flow_run_id
join flow f on f.id = r.flow_id
join flow_group g on g.id = f.flow_group_id;

-- Compare-and-set of task runs, as write_flow_runs; the flow run must still be of this claim, and run if it has to.
-- One that takes a slot and finds none becomes Queued instead. If it waits for the same thing already, that is written
-- down again every five minutes only, so that asking often costs no history.
-- name: write_task_runs
with input as materialized (
    select *
    from jsonb_to_recordset($1::jsonb) as i (
        id uuid, tenant_id uuid, flow_run_id uuid, seen_version integer, state text, message text,
        start_time timestamptz, payload jsonb, is_ending boolean, is_live boolean, claim_token uuid, takes_slot boolean
    )
),
locked as materialized (
    select pg_advisory_xact_lock(k.key)
    from (select distinct hashtextextended(flow_run_id::text, 0) as key from input order by key) k
),
slots as materialized (
    select t.task_run_id, t.waits_for
    from (
        select array_agg(i.id) filter (where i.takes_slot) as ids, (select count(*) from locked) as locks from input i
    ) w
    cross join lateral take_task_run_slots(w.ids, w.locks) t
    where w.ids is not null
),
moment as materialized (
    select count(*) as locks, clock_timestamp() as now
    from (select 1 from locked union all select 1 from slots) held
),
accepted as materialized (
    select
        i.*, m.now, 'Waits for a free slot: ' || s.waits_for || '.' as queued,
        m.now + interval '10 minutes' as queue_until
    from input i
    cross join moment m
    left join slots s on s.task_run_id = i.id
    where case
        when i.claim_token is not null or i.is_live
        then flow_run_accepts(i.flow_run_id, i.claim_token, i.is_live, m.locks)
        else true
    end
),
written as (
    update task_run t
    set version = t.version + 1,
        state = case when i.queued is null then i.state else 'Queued' end,
        state_timestamp = i.now,
        state_message = coalesce(i.queued, i.message),
        state_result = null,
        state_start_time = case when i.queued is null then i.start_time else i.queue_until end,
        serialized_state = case
            when i.queued is null then i.payload
            else jsonb_build_object(
                'type', 'Queued', 'message', i.queued, 'start_time', i.queue_until,
                'state', case
                    when jsonb_typeof(t.serialized_state->'state') = 'object' then t.serialized_state->'state'
                    else t.serialized_state
                end
            ) || case
                when jsonb_typeof(t.serialized_state->'cached_inputs') = 'object'
                then jsonb_build_object('cached_inputs', t.serialized_state->'cached_inputs')
                else '{}'
            end
        end,
        start_time = case
            when i.state = 'Running' and i.queued is null then least(t.start_time, i.now) else t.start_time
        end,
        end_time = case when i.is_ending then greatest(t.end_time, i.now) else t.end_time end,
        heartbeat = case when i.is_live then i.now else t.heartbeat end
    from accepted i
    where t.id = i.id and t.tenant_id = i.tenant_id and t.version = i.seen_version
        and not (
            i.queued is not null and t.state = 'Queued' and t.state_message = i.queued
            and t.state_start_time > i.now + interval '5 minutes'
        )
    returning t.id, t.tenant_id, t.flow_run_id, t.task_id, t.version, t.state, t.state_timestamp, t.state_message,
        t.state_start_time, t.serialized_state, i.queued
),
tagged as (
    insert into task_run_tag (task_run_id, tenant_id, tag)
    -- whatever could never have a limit is left out
    select distinct w.id, w.tenant_id, tag.value #>> '{}'
    from written w
    join task k on k.id = w.task_id and k.tags <> '[]'
    cross join lateral jsonb_array_elements(k.tags) tag
    where w.state = 'Running'
        and jsonb_typeof(tag.value) = 'string' and octet_length(tag.value #>> '{}') between 1 and 1000
    on conflict do nothing
),
untagged as (
    delete from task_run_tag g using written w where g.task_run_id = w.id and w.state <> 'Running'
),
history as (
    insert into task_run_state (
        tenant_id, task_run_id, flow_run_id, timestamp, state, message, start_time, serialized_state, version
    )
    select
        tenant_id, id, flow_run_id, state_timestamp, state, state_message, state_start_time, serialized_state, version
    from written
)
select id, version, queued from written
union all
select t.id, t.version, i.queued
from accepted i
join task_run t on t.id = i.id and t.tenant_id = i.tenant_id and t.version = i.seen_version
where i.queued is not null and t.state = 'Queued' and t.state_message = i.queued
    and t.state_start_time > i.now + interval '5 minutes';
