-- Whether a run that waits for a slot should ask for it now: there may be one, or it does not wait any more.
-- name: flow_run_slot_expected
select r.state is distinct from 'Queued' or not exists (
    select
    from limits_of_flow_runs(array[r.id]) l
    cross join lateral (
        select n.held, n.reserved from label_slots(l.tenant_id, l.name, now()) n where l.flow_group_id is null
        union all
        select n.held, n.reserved from flow_group_slots(l.flow_group_id, now()) n where l.flow_group_id is not null
    ) s
    where s.held + case when r.queue_time > now() then 0 else s.reserved end >= l.places
)
from flow_run r
where r.tenant_id = $1 and r.id = $2;

-- name: task_run_slot_expected
select t.state is distinct from 'Queued' or r.state is distinct from 'Running' or not exists (
    select
    from task k
    join task_tag_limit l on l.tenant_id = t.tenant_id and k.tags ? l.tag
    where k.id = t.task_id
        and l."limit" <= (
            select count(*)
            from task_run_tag g
            join task_run h on h.id = g.task_run_id and h.state = 'Running'
            join flow_run o on o.id = h.flow_run_id and o.state in ('Running', 'Cancelling')
            where g.tenant_id = l.tenant_id and g.tag = l.tag
        )
)
from task_run t
join flow_run r on r.id = t.flow_run_id
where t.tenant_id = $1 and t.id = $2;
