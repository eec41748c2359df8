-- The rows of one flow run of a flow with five tasks, in one statement, as bare as asyncpg can send them.
-- $1 tenant, $2 flow, $3 label set, $4 name
with run as (
    insert into flow_run (
        id, tenant_id, flow_id, name, labels, scheduled_start_time, version, state, state_timestamp, state_message,
        state_start_time, serialized_state, label_set_id, queue_time
    )
    values (
        time_ordered_uuid(), $1, $2, $4, '[]', now(), 1, 'Scheduled', now(), 'Flow run scheduled.', now(),
        '{"type": "Scheduled", "message": "Flow run scheduled."}', $3, now()
    )
    returning id
),
run_state as (
    insert into flow_run_state (tenant_id, flow_run_id, state, message, start_time, serialized_state, version)
    select $1, run.id, 'Scheduled', 'Flow run scheduled.', now(), '{"type": "Scheduled", "message": "Flow run scheduled."}', 1
    from run
),
tasks as (
    insert into task_run (
        tenant_id, flow_run_id, task_id, map_index, version, state, state_timestamp, state_message, serialized_state
    )
    select
        $1, run.id, task.id, -1, 1, 'Pending', now(), 'Task run created',
        '{"type": "Pending", "message": "Task run created"}'
    from run, task
    where task.flow_id = $2
    returning id, flow_run_id
)
insert into task_run_state (tenant_id, task_run_id, flow_run_id, state, message, serialized_state, version)
select
    $1, tasks.id, tasks.flow_run_id, 'Pending', 'Task run created',
    '{"type": "Pending", "message": "Task run created"}', 1
from tasks
