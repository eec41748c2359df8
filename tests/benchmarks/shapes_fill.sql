-- A grown-up database, in the tenant that the server made.
-- :runs flow runs, ten task runs, three states and twenty log lines for each; thirty days, a log partition a day.
-- Triggers and foreign keys are left out: the rows are right by themselves and there are many.
set session_replication_role = replica;
set synchronous_commit = off;
set maintenance_work_mem = '256MB';

insert into project (tenant_id, name, description)
select tenant.id, 'project-' || n, 'made by a benchmark' from tenant, generate_series(1, 20) n;

insert into flow_group (tenant_id, name, labels)
select tenant.id, 'group-' || n, '["a", "b"]' from tenant, generate_series(1, 100) n;

insert into flow (
    tenant_id, project_id, flow_group_id, name, version, version_group_id, archived, description, core_version,
    run_config, storage, parameters, settings, serialized_flow, created
)
select
    p.tenant_id, p.id, g.id, 'flow-' || g.n, version, g.id, version < 5, 'does things', '1.4.1',
    '{"type": "UniversalRun", "labels": [], "env": null}',
    '{"type": "Local", "directory": "/tmp", "flows": {}}',
    '[{"name": "x", "slug": "x", "required": false, "default": 1}]',
    '{"heartbeat_enabled": true}',
    (
        select jsonb_build_object('name', 'flow-' || g.n, 'tasks', jsonb_agg(
            jsonb_build_object('slug', 'task-' || t || '-1', 'type', 'prefect.tasks.core.function.FunctionTask')
        ))
        from generate_series(1, 10) t
    ),
    now() - (6 - version) * interval '40 days'
from (select *, row_number() over (order by name) as n from flow_group) g
join (select *, row_number() over (order by name) as n from project) p on p.n = 1 + g.n % 20
cross join generate_series(1, 5) version;

insert into task (tenant_id, flow_id, name, slug, type, max_retries, retry_delay, created)
select f.tenant_id, f.id, 'task-' || n, 'task-' || n || '-1', 'prefect.tasks.core.function.FunctionTask', 3, '1 minute',
    f.created
from flow f, generate_series(1, 10) n;

insert into agent_config (tenant_id, name, settings) select id, 'config', '{"job": 1}' from tenant;
insert into agent (tenant_id, name, type, labels)
select tenant.id, 'agent-' || n, 'LocalAgent', '["a"]' from tenant, generate_series(1, 50) n;
insert into label_set (tenant_id, labels) select id, array['a'] from tenant on conflict do nothing;

-- The flow runs are numbered in the order of their ids and of their creation.
create temporary table numbered_flow as select id, tenant_id, row_number() over (order by id) as n from flow;
create unique index on numbered_flow (n);
-- The last flow ran a few times long ago only.
create temporary table new_run as
select
    numbers.n, time_ordered_uuid() as id, f.id as flow_id, f.tenant_id,
    now() - (1 - numbers.n::float8 / :runs) * interval '30 days' as created,
    case numbers.n % 50 when 0 then 'Scheduled' when 1 then 'Running' when 2 then 'Failed' else 'Success' end as state
from generate_series(1, :runs) as numbers (n)
join numbered_flow f on f.n = case when numbers.n <= 10 then 500 else 1 + (numbers.n::bigint * 7919) % 498 end;

insert into flow_run (
    id, created, updated, tenant_id, flow_id, name, labels, parameters, scheduled_start_time, version, start_time,
    end_time, state, state_timestamp, state_message, state_start_time, serialized_state, label_set_id, queue_time
)
select
    r.id, r.created, r.created, r.tenant_id, r.flow_id, 'run-' || r.n / 5, '["a"]', '{"x": 1}', created, 3,
    case when state <> 'Scheduled' then created + interval '1 second' end,
    case when state in ('Failed', 'Success') then created + interval '1 minute' end,
    state, created + interval '1 minute', 'All reference tasks succeeded.',
    case when state = 'Scheduled' then created end,
    jsonb_build_object('type', state, 'message', 'All reference tasks succeeded.', 'start_time', created),
    s.id, case when state = 'Scheduled' then created end
from new_run r join label_set s on s.labels = array['a'] and s.tenant_id = r.tenant_id;

insert into flow_run_state (tenant_id, flow_run_id, timestamp, created, state, message, start_time, serialized_state, version)
select
    r.tenant_id, r.id, r.created + version * interval '1 second', r.created,
    case version when 1 then 'Scheduled' when 2 then 'Running' else r.state end, 'message',
    case when version = 1 then r.created end, '{"type": "Success", "message": "message"}', version
from new_run r, generate_series(1, 3) version;

create temporary table numbered_task as
select id, flow_id, row_number() over (partition by flow_id order by id) as n from task;
analyze numbered_task;
analyze new_run;
insert into task_run (
    created, updated, tenant_id, flow_run_id, task_id, map_index, version, start_time, end_time, state, state_timestamp,
    state_message, state_start_time, serialized_state, cache_key
)
select
    r.created, r.created, r.tenant_id, r.id, t.id, -1, 3, r.created, r.created + interval '1 second',
    case
        when t.n = 1 then 'Cached'
        when r.state = 'Running' and t.n = 2 then 'Retrying'
        when r.state = 'Failed' and t.n = 10 then 'Failed'
        else 'Success'
    end,
    r.created + interval '1 second', 'Task run succeeded.',
    case when r.state = 'Running' and t.n = 2 then r.created + interval '1 minute' end,
    '{"type": "Success", "message": "Task run succeeded."}',
    case when t.n = 1 and r.n % 2 = 0 then 'key-' || r.n % 10000 end
from new_run r join numbered_task t on t.flow_id = r.flow_id;

do $$
declare
    day date;
begin
    for day in select generate_series(current_date - 31, current_date - 1, interval '1 day')::date loop
        execute format('create table %I (like log including all)', 'log_p' || to_char(day, 'YYYYMMDD'));
        execute format(
            'alter table log attach partition %I for values from (%L) to (%L)', 'log_p' || to_char(day, 'YYYYMMDD'),
            day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
        );
    end loop;
end
$$;
insert into log (created, tenant_id, flow_run_id, timestamp, name, level, message, info)
select r.created, r.tenant_id, r.id, r.created + line * interval '1 second', 'prefect.CloudFlowRunner', 'INFO',
    'Flow run SUCCESS: all reference tasks succeeded, line ' || line, '{"module": "flow_runner", "line": 1}'
from new_run r, generate_series(1, 20) line;
