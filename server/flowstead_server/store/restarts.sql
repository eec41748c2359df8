-- From here to the end of the transaction nobody else changes the state of the run or of its task runs.
-- name: lock
select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0));

-- name: read_run
select id, tenant_id, flow_id, name, state, version, claim_token, label_set_id, clock_timestamp() as now
from flow_run
where tenant_id = $1 and id = $2;

-- name: read_tasks
select id, slug, name, type from task where flow_id = $1;

-- name: read_edges
select upstream_task_id, downstream_task_id, key is not null as carries_value, mapped from edge where flow_id = $1;

-- name: read_task_runs
select
    id, task_id, map_index, state, version, serialized_state->'_result'->>'type' as result_type,
    serialized_state->'_result'->>'location' as location,
    case
        when jsonb_typeof(serialized_state->'n_map_states') = 'number'
        then least((serialized_state->>'n_map_states')::numeric, 1000000000)::integer
        else 0
    end as width
from task_run
where flow_run_id = $1
order by task_id, map_index;

-- The restart of a run that was asked for with this key, if there was one. $1 tenant, $2 run, $3 key
-- name: read_restart
select seq, serialized_state->'context'->'restart'->>'kept' as kept
from flow_run_state
where tenant_id = $1 and flow_run_id = $2 and serialized_state @> jsonb_build_object(
    'context', jsonb_build_object('restart', jsonb_build_object('key', $3::text))
);

-- name: read_restarted_task_runs
select t.id, t.task_id, t.map_index, s.serialized_state->'context'->'restart'->>'reason' as reason
from task_run_state s
join task_run t on t.id = s.task_run_id
where s.tenant_id = $1 and s.flow_run_id = $2 and s.serialized_state @> jsonb_build_object(
    'context', jsonb_build_object('restart', jsonb_build_object('key', $3::text))
)
order by t.task_id, t.map_index;

-- Whoever looks after lost runs counts from the restart on.
-- name: forget_resurrections
update flow_run set times_resurrected = 0 where id = $1 and times_resurrected <> 0;
