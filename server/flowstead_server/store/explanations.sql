-- What decides why a run is where it is, in one snapshot: the run itself, how the agents' labels compare with its own,
-- and what its task runs wait for. An agent is live if it asked for runs within the last minute, as 1.x says. The five
-- agents that fit best come first. Nothing is answered for a run that the tenant does not have. $1 tenant, $2 run
-- name: facts
with run as materialized (
    select
        r.id, r.state, r.state_message, r.state_timestamp, r.state_start_time, r.queue_time, s.labels,
        case when r.state = 'Submitted' then r.serialized_state #>> '{state,start_time}' end as claimed_start_time,
        a.id as agent_id, a.name as agent_name, h.heartbeat
    from flow_run r
    join label_set s on s.id = r.label_set_id
    left join agent a on a.id = r.agent_id
    left join flow_run_heartbeat h on h.flow_run_id = r.id
    where r.tenant_id = $1 and r.id = $2
),
compared as materialized (
    select
        a.id, a.name, a.type, own.labels, a.last_queried,
        a.last_queried > now() - interval '1 minute' as is_live,
        case when run.labels = '{}' then own.labels = '{}' else run.labels <@ own.labels end as fits,
        array(select unnest(run.labels) except select unnest(own.labels) order by 1) as missing
    from run
    join agent a on a.tenant_id = $1 and a.last_queried is not null
    cross join lateral (
        select coalesce(array_agg(label order by label), '{}') as labels from jsonb_array_elements_text(a.labels) label
    ) own
),
best as (
    select *
    from compared
    order by is_live and fits desc, fits desc, is_live desc, cardinality(missing), cardinality(labels), last_queried desc
    limit 5
),
waiting as (
    select count(*) as task_runs, min(d.start_time) as next
    from run
    join task_run_due d on d.flow_run_id = run.id
    where run.state = 'Running'
        and not exists (select from task_run t where t.flow_run_id = run.id and t.state = 'Running')
)
select
    run.*, now() as now, waiting.task_runs as waiting_task_runs, waiting.next as next_task_run,
    (select count(*) from compared where is_live) as live_agents,
    (select count(*) from compared where is_live and fits) as live_fitting_agents,
    (select max(last_queried) from compared where fits) as last_fitting_query,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'id', id, 'name', name, 'type', type, 'labels', labels, 'last_queried', last_queried,
                        'is_live', is_live, 'fits', fits, 'missing', missing
                    )
                    order by is_live and fits desc, fits desc, is_live desc, cardinality(missing), cardinality(labels),
                        last_queried desc
                )
            from best
        ),
        '[]'
    ) as agents
from run
cross join waiting;
