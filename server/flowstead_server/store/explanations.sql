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
),
-- the limits that decide about a run that waits for a slot, and who holds their slots, the longest first
limits as (
    select
        case when l.flow_group_id is null then 'label' else 'flow' end as kind, l.name, l.places, s.held, s.reserved,
        (
            select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name) order by b.state_timestamp), '[]')
            from (
                select h.id, h.name, h.state_timestamp
                from flow_run h
                join label_set hs on hs.id = h.label_set_id
                join flow hf on hf.id = h.flow_id
                where h.tenant_id = $1 and h.state in ('Submitted', 'Queued', 'Running', 'Cancelling')
                    and holds_slot(h.state, h.queue_time, now())
                    and case
                        when l.flow_group_id is null then l.name = any (hs.labels)
                        else hf.flow_group_id = l.flow_group_id
                    end
                order by h.state_timestamp
                limit 5
            ) b
        ) as holders
    from run
    cross join lateral limits_of_flow_runs(array[run.id]) l
    cross join lateral (
        select n.held, n.reserved from label_slots($1, l.name, now()) n where l.flow_group_id is null
        union all
        select n.held, n.reserved from flow_group_slots(l.flow_group_id, now()) n where l.flow_group_id is not null
    ) s
    where is_scheduled_state(run.state) or (run.state = 'Submitted' and run.queue_time <= now())
),
queued as materialized (
    select t.id, k.tags
    from run
    join task_run t on t.flow_run_id = run.id and t.state = 'Queued'
    join task k on k.id = t.task_id
    where run.state = 'Running'
),
tag_limits as (
    select
        'tag' as kind, l.tag as name, l."limit" as places, 0 as reserved, s.held, s.holders
    from task_tag_limit l
    cross join lateral (
        select count(*) as held,
            coalesce(jsonb_agg(distinct jsonb_build_object('id', r.id, 'name', r.name)), '[]') as holders
        from task_run_tag g
        join task_run h on h.id = g.task_run_id and h.state = 'Running'
        join flow_run r on r.id = h.flow_run_id and r.state in ('Running', 'Cancelling')
        where g.tenant_id = $1 and g.tag = l.tag
    ) s
    where l.tenant_id = $1 and exists (select from queued q where q.tags ? l.tag)
)
select
    run.*, now() as now,
    (select count(*) from queued) as queued_task_runs,
    (
        select coalesce(jsonb_agg(to_jsonb(u) order by u.kind, u.name), '[]')
        from (
            select kind, name, places, held, reserved, holders from limits
            union all
            select kind, name, places, held, reserved, holders from tag_limits
        ) u
    ) as limits, waiting.task_runs as waiting_task_runs, waiting.next as next_task_run,
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
