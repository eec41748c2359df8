-- The flows that new runs are for: by id, else the newest unarchived of a group or a version group.
-- name: read_flows
select i.n, f.id, f.archived, f.parameters, f.run_config, f.environment,
    g.labels as group_labels, g.run_config as group_run_config, g.default_parameters as group_parameters,
    case when g.concurrency_limit is not null then g.id end as limited_group
from jsonb_to_recordset($1::jsonb) as i (
    n integer, tenant_id uuid, flow_id uuid, flow_group_id uuid, version_group_id text
)
cross join lateral (
    (select a.* from flow a where a.id = i.flow_id and a.tenant_id = i.tenant_id)
    union all
    (
        select a.*
        from flow a
        where a.flow_group_id = i.flow_group_id and a.tenant_id = i.tenant_id and not a.archived
        order by a.version desc
        limit 1
    )
    union all
    (
        select a.*
        from flow a
        where a.version_group_id = i.version_group_id and a.tenant_id = i.tenant_id and not a.archived
        order by a.version desc
        limit 1
    )
) f
join flow_group g on g.id = f.flow_group_id;

-- Runs with their first state, one task run per task, and their first states. Runs whose key is taken are left out of
-- the answer, and so are those by a schedule that has changed: its lock holds changes up until these are committed.
-- name: create
with input as materialized (
    select *
    from jsonb_to_recordset($1::jsonb) as i (
        id uuid, tenant_id uuid, flow_id uuid, name text, parameters jsonb, context jsonb, labels jsonb,
        run_config jsonb, start timestamptz, idempotency_key text, label_set_id bigint, parent_flow_run_id uuid,
        schedule_lease uuid, priority smallint
    )
),
leases as materialized (
    select s.lease
    from flow_schedule s
    where s.flow_id = any (array(select distinct i.flow_id from input i where i.schedule_lease is not null))
        and s.lease is not null
    for share
),
runs as (
    insert into flow_run (
        id, tenant_id, flow_id, name, parameters, context, labels, run_config, scheduled_start_time, idempotency_key,
        version, state, state_timestamp, state_message, state_start_time, serialized_state, label_set_id, queue_time,
        parent_flow_run_id, auto_scheduled, priority
    )
    select
        i.id, i.tenant_id, i.flow_id, i.name, i.parameters, i.context, i.labels, i.run_config,
        coalesce(i.start, now()), i.idempotency_key, 1, 'Scheduled', now(), 'Flow run scheduled.',
        coalesce(i.start, now()),
        jsonb_build_object(
            'type', 'Scheduled', 'message', 'Flow run scheduled.', 'start_time', coalesce(i.start, now())
        ),
        i.label_set_id, coalesce(i.start, now()), i.parent_flow_run_id, i.schedule_lease is not null,
        i.priority
    from input i
    where i.schedule_lease is null or i.schedule_lease in (select l.lease from leases l)
    on conflict (flow_id, idempotency_key) where idempotency_key is not null do nothing
    returning id, tenant_id, flow_id, state_start_time, serialized_state, label_set_id
),
run_states as (
    insert into flow_run_state (
        tenant_id, flow_run_id, timestamp, state, message, start_time, serialized_state, version
    )
    select tenant_id, id, now(), 'Scheduled', 'Flow run scheduled.', state_start_time, serialized_state, 1 from runs
),
task_runs as (
    insert into task_run (
        tenant_id, flow_run_id, task_id, cache_key, version, state, state_timestamp, state_message, serialized_state
    )
    select
        r.tenant_id, r.id, t.id, t.cache_key, 1, 'Pending', now(), 'Task run created',
        '{"type": "Pending", "message": "Task run created"}'
    from runs r
    join task t on t.flow_id = r.flow_id
    returning id, tenant_id, flow_run_id
),
task_run_states as (
    insert into task_run_state (
        tenant_id, task_run_id, flow_run_id, timestamp, state, message, serialized_state, version
    )
    select
        tenant_id, id, flow_run_id, now(), 'Pending', 'Task run created',
        '{"type": "Pending", "message": "Task run created"}', 1
    from task_runs
)
select id from runs;

-- name: by_idempotency_key
select r.id, r.flow_id, r.idempotency_key
from jsonb_to_recordset($1::jsonb) as i (flow_id uuid, idempotency_key text)
join flow_run r on r.flow_id = i.flow_id and r.idempotency_key = i.idempotency_key
where r.idempotency_key is not null;

-- Those of the runs that are there. $1: JSON list of {id, tenant_id}.
-- name: known
select r.id
from jsonb_to_recordset($1::jsonb) as i (id uuid, tenant_id uuid)
join flow_run r on r.id = i.id and r.tenant_id = i.tenant_id;

-- Runs that were created by a run, or by those that it created, and so on, and that have not ended; the nearest first.
-- name: unfinished_descendants
with recursive descendants as (
    select id, 1 as depth from flow_run where tenant_id = $1 and parent_flow_run_id = $2
    union
    select r.id, d.depth + 1
    from descendants d
    join flow_run r on r.parent_flow_run_id = d.id
    where d.depth < 100
)
select r.id
from descendants d
join flow_run r on r.id = d.id
where r.state is null or not is_finished_state(r.state)
group by r.id
order by min(d.depth), r.id;

-- Who is to stop a run: the agent that started it, and when it and the run's process were last heard of.
-- name: who_runs
select a.name, a.last_queried, a.last_queried > now() - $3::interval as agent_lives, h.heartbeat
from flow_run r
left join agent a on a.id = r.agent_id
left join flow_run_heartbeat h on h.flow_run_id = r.id
where r.tenant_id = $1 and r.id = $2;

-- name: set_name
update flow_run set name = $3 where tenant_id = $1 and id = $2 and ($4::uuid is null or claim_token = $4);

-- name: claim
select claim_token from flow_run where tenant_id = $1 and id = $2;

-- name: heartbeat
insert into flow_run_heartbeat (flow_run_id, heartbeat, beats)
select id, now(), true from flow_run where tenant_id = $1 and id = $2 and ($3::uuid is null or claim_token = $3)
on conflict (flow_run_id) do update set heartbeat = excluded.heartbeat, beats = true;

-- The subselects look at the run as it is under its lock.
-- name: set_labels
update flow_run r
set labels = $3::jsonb,
    label_set_id = queue_lane(
        r.tenant_id, $4::text[], (select s.flow_group_id from label_set s where s.id = r.label_set_id), r.priority
    )
where r.tenant_id = $1 and r.id = $2 and ($5::uuid is null or r.claim_token = $5)
returning r.label_set_id, r.queue_time is not null as waits;

-- name: set_priority
update flow_run r
set priority = $3::smallint,
    label_set_id = (
        select queue_lane(r.tenant_id, s.labels, s.flow_group_id, $3::smallint)
        from label_set s
        where s.id = r.label_set_id
    )
where r.tenant_id = $1 and r.id = $2 and not is_finished_state(r.state)
returning r.label_set_id, r.queue_time is not null as waits;

-- name: state
select state from flow_run where tenant_id = $1 and id = $2;
