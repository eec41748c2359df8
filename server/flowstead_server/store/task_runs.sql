-- Answers the task run, made if there is none. Nothing, if it is being made elsewhere at this moment, or if task or flow
-- run are unknown, or the claim has ended.
-- name: get_or_create
with existing as materialized (
    select id, version, state, serialized_state
    from task_run
    where flow_run_id = $2 and task_id = $3 and map_index = $4 and tenant_id = $1
),
locked as materialized (
    select pg_advisory_xact_lock(hashtextextended(($2::uuid)::text, 0))
    where not exists (select from existing)
),
created as (
    insert into task_run (
        tenant_id, flow_run_id, task_id, map_index, cache_key, version, state, state_timestamp, state_message,
        serialized_state
    )
    select
        r.tenant_id, r.id, t.id, $4, t.cache_key, 1, 'Pending', now(), 'Task run created',
        '{"type": "Pending", "message": "Task run created"}'
    from flow_run r
    join task t on t.id = $3 and t.tenant_id = $1
    cross join (select count(*) as locks from locked) l
    where r.id = $2 and r.tenant_id = $1 and l.locks > 0 and ($5::uuid is null or r.claim_token = $5)
    on conflict (flow_run_id, task_id, map_index) do nothing
    returning id, tenant_id, flow_run_id, version, state, state_message, serialized_state, state_timestamp
),
history as (
    insert into task_run_state (
        tenant_id, task_run_id, flow_run_id, timestamp, state, message, serialized_state, version
    )
    select tenant_id, id, flow_run_id, state_timestamp, state, state_message, serialized_state, version from created
)
select id, version, state, serialized_state, false as is_new from existing
union all
select id, version, state, serialized_state, true from created;

-- The children of a mapped task at the indexes from $4 to $5, made if they are missing. As get_or_create, those that are
-- being made elsewhere at this moment are not answered.
-- name: get_or_create_children
with locked as materialized (
    select pg_advisory_xact_lock(hashtextextended(($2::uuid)::text, 0))
),
existing as materialized (
    select id, map_index, version, state, serialized_state
    from task_run
    where flow_run_id = $2 and task_id = $3 and map_index between $4 and $5 and tenant_id = $1
),
created as (
    insert into task_run (
        tenant_id, flow_run_id, task_id, map_index, cache_key, version, state, state_timestamp, state_message,
        serialized_state
    )
    select
        r.tenant_id, r.id, t.id, i.map_index, t.cache_key, 1, 'Pending', now(), 'Task run created',
        '{"type": "Pending", "message": "Task run created"}'
    from flow_run r
    join task t on t.id = $3 and t.tenant_id = $1
    cross join (select count(*) as locks from locked) l
    cross join generate_series($4::integer, $5::integer) as i (map_index)
    where r.id = $2 and r.tenant_id = $1 and l.locks > 0 and ($6::uuid is null or r.claim_token = $6)
        and not exists (select from existing e where e.map_index = i.map_index)
    on conflict (flow_run_id, task_id, map_index) do nothing
    returning id, tenant_id, flow_run_id, map_index, version, state, state_message, serialized_state, state_timestamp
),
history as (
    insert into task_run_state (
        tenant_id, task_run_id, flow_run_id, timestamp, state, message, serialized_state, version
    )
    select tenant_id, id, flow_run_id, state_timestamp, state, state_message, serialized_state, version from created
)
select id, map_index, version, state, serialized_state, false as is_new from existing
union all
select id, map_index, version, state, serialized_state, true from created
order by map_index;

-- name: task_exists
select true from task where tenant_id = $1 and id = $2;

-- name: get
select id, version, state, serialized_state from task_run where tenant_id = $1 and id = $2;

-- name: flow_run_of
select flow_run_id from task_run where tenant_id = $1 and id = $2;

-- name: set_name
update task_run t
set name = $3
from flow_run r
where t.tenant_id = $1 and t.id = $2 and r.id = t.flow_run_id and ($4::uuid is null or r.claim_token = $4);

-- name: heartbeat
update task_run t
set heartbeat = now()
from flow_run r
where t.tenant_id = $1 and t.id = $2 and r.id = t.flow_run_id and ($3::uuid is null or r.claim_token = $3);

-- name: mapped_children
select min(c.start_time) as min_start_time, max(c.end_time) as max_end_time, c.state, count(*) as runs
from task_run p
join task_run c on c.flow_run_id = p.flow_run_id and c.task_id = p.task_id and c.map_index >= 0
where p.tenant_id = $1 and p.id = $2 and p.map_index < 0
group by c.state;
