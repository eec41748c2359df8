-- Registrations of one flow name wait for each other.
-- name: lock_name
select pg_advisory_xact_lock(hashtextextended($1::text, 2));

-- name: project_exists
select true from project where tenant_id = $1 and id = $2;

-- name: latest_version_group
select version_group_id
from flow
where tenant_id = $1 and project_id = $2 and name = $3 and version_group_id is not null
order by created desc, version desc
limit 1;

-- name: create_group
insert into flow_group (tenant_id, name, settings) values ($1, $2, $3::jsonb)
on conflict (tenant_id, name) do nothing;

-- name: lock_group
select id, settings->>'idempotency_key' as idempotency_key, schedule is not null as has_schedule
from flow_group
where tenant_id = $1 and name = $2
for update;

-- name: newest_unarchived
select id from flow where tenant_id = $1 and flow_group_id = $2 and not archived order by version desc limit 1;

-- name: remember_idempotency_key
update flow_group
set settings = settings || jsonb_build_object('idempotency_key', $3::text)
where tenant_id = $1 and id = $2;

-- 1.x processes look for the switch of the group's heartbeats in the flow.
-- name: create
insert into flow (
    tenant_id, project_id, flow_group_id, name, version, version_group_id, description, core_version,
    environment, run_config, storage, parameters, serialized_flow, schedule, settings
)
select
    $1, $2::uuid, $3::uuid, $4::text, coalesce(max(f.version), 0) + 1, $5::text, $6::text, $7::text,
    $8::jsonb, $9::jsonb, $10::jsonb, $11::jsonb, $12::jsonb, $13::jsonb,
    (
        select case when g.settings @> '{"heartbeat_enabled": false}' then '{"heartbeat_enabled": false}' else '{}' end
        from flow_group g
        where g.id = $3
    )::jsonb
from flow f
where f.tenant_id = $1 and f.version_group_id = $5
returning id;

-- name: lock
select true from flow where tenant_id = $1 and id = $2 for update;

-- name: create_tasks
insert into task (
    id, tenant_id, flow_id, name, slug, type, max_retries, tags, retry_delay, trigger, auto_generated, cache_key
)
select
    coalesce(t.id, time_ordered_uuid()), $1, $2, t.name, t.slug, t.type, t.max_retries, coalesce(t.tags, '[]'),
    make_interval(secs => t.retry_delay), t.trigger, coalesce(t.auto_generated, false), t.cache_key
from jsonb_to_recordset($3::jsonb) as t (
    id uuid, name text, slug text, type text, max_retries integer, tags jsonb, retry_delay double precision,
    trigger text, auto_generated boolean, cache_key text
)
on conflict (flow_id, slug) do nothing;

-- Adds to the stored flow the tasks whose slug it lacks.
-- name: append_tasks
update flow f
set serialized_flow = jsonb_set(
    case when jsonb_typeof(f.serialized_flow) = 'object' then f.serialized_flow else '{}' end,
    '{tasks}',
    case when jsonb_typeof(f.serialized_flow->'tasks') = 'array' then f.serialized_flow->'tasks' else '[]' end
    || missing.tasks
)
from (
    select jsonb_agg(given.task order by given.position) as tasks
    from flow g
    cross join jsonb_array_elements($3::jsonb) with ordinality as given (task, position)
    where g.tenant_id = $1 and g.id = $2
        and given.task->>'slug' not in (
            select coalesce(known.task->>'slug', '')
            from jsonb_array_elements(
                case when jsonb_typeof(g.serialized_flow->'tasks') = 'array' then g.serialized_flow->'tasks' else '[]' end
            ) as known (task)
        )
) missing
where f.tenant_id = $1 and f.id = $2 and missing.tasks is not null;

-- Answers how many edges name a task that the flow lacks; inserts only if there is none.
-- name: create_edges
with input as materialized (
    select e.key, coalesce(e.mapped, false) as mapped, u.id as upstream_id, d.id as downstream_id
    from jsonb_to_recordset($3::jsonb) as e (upstream text, downstream text, key text, mapped boolean)
    left join task u on u.flow_id = $2 and u.tenant_id = $1 and u.slug = e.upstream
    left join task d on d.flow_id = $2 and d.tenant_id = $1 and d.slug = e.downstream
),
unknown as materialized (
    select count(*) as edges from input where upstream_id is null or downstream_id is null
),
created as (
    insert into edge (tenant_id, flow_id, upstream_task_id, downstream_task_id, key, mapped)
    select $1, $2, input.upstream_id, input.downstream_id, input.key, input.mapped
    from input, unknown
    where unknown.edges = 0
    on conflict (flow_id, downstream_task_id, upstream_task_id) do nothing
)
select edges from unknown;

-- Adds to the stored flow the edges (tasks and argument) that it lacks.
-- name: append_edges
update flow f
set serialized_flow = jsonb_set(
    case when jsonb_typeof(f.serialized_flow) = 'object' then f.serialized_flow else '{}' end,
    '{edges}',
    case when jsonb_typeof(f.serialized_flow->'edges') = 'array' then f.serialized_flow->'edges' else '[]' end
    || missing.edges
)
from (
    select jsonb_agg(given.edge order by given.position) as edges
    from flow g
    cross join jsonb_array_elements($3::jsonb) with ordinality as given (edge, position)
    where g.tenant_id = $1 and g.id = $2
        and (
            jsonb_build_array(
                coalesce(given.edge->'upstream_task'->>'slug', given.edge->>'upstream_task'),
                coalesce(given.edge->'downstream_task'->>'slug', given.edge->>'downstream_task'),
                given.edge->>'key'
            )
        )::text not in (
            select
                jsonb_build_array(
                    coalesce(known.edge->'upstream_task'->>'slug', known.edge->>'upstream_task'),
                    coalesce(known.edge->'downstream_task'->>'slug', known.edge->>'downstream_task'),
                    known.edge->>'key'
                )::text
            from jsonb_array_elements(
                case when jsonb_typeof(g.serialized_flow->'edges') = 'array' then g.serialized_flow->'edges' else '[]' end
            ) as known (edge)
        )
) missing
where f.tenant_id = $1 and f.id = $2 and missing.edges is not null;

-- name: schedule_facts
select
    f.schedule, f.parameters, g.schedule as group_schedule, g.default_parameters
from flow f
join flow_group g on g.id = f.flow_group_id
where f.tenant_id = $1 and f.id = $2
for no key update of f;

-- name: set_schedule_flag
update flow set is_schedule_active = $3 where tenant_id = $1 and id = $2;

-- name: delete_auto_scheduled_runs
delete from flow_run
where tenant_id = $1 and flow_id = any($2::uuid[]) and state = 'Scheduled' and auto_scheduled;

-- name: waiting_runs
select id, flow_id from flow_run
where tenant_id = $1 and flow_id = any($2::uuid[]) and state = 'Scheduled' and not auto_scheduled;

-- name: archive
update flow set archived = true where tenant_id = $1 and id = $2 returning id;

-- name: archive_others
update flow
set archived = true
where tenant_id = $1 and version_group_id = $2 and id <> $3 and not archived
returning id;

-- name: set_project
update flow f
set project_id = p.id
from project p
where f.tenant_id = $1 and f.id = $2 and p.tenant_id = $1 and p.id = $3;
