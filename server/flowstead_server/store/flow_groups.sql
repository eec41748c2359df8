-- Settings that clients look for in the flow itself ($4) are kept in every version of the group too.
-- name: merge_settings_of_flow
with merged as (
    update flow_group g
    set settings = g.settings || $3::jsonb
    from flow f
    where f.tenant_id = $1 and f.id = $2 and g.id = f.flow_group_id
    returning g.id
),
mirrored as (
    update flow f
    set settings = f.settings || $4::jsonb
    from merged m
    where f.tenant_id = $1 and f.flow_group_id = m.id and not f.settings @> $4::jsonb
)
select id from merged;

-- name: set_default_parameters
update flow_group set default_parameters = $3::jsonb where tenant_id = $1 and id = $2;

-- name: set_labels
update flow_group set labels = $3::jsonb where tenant_id = $1 and id = $2;

-- name: set_description
update flow_group set description = $3 where tenant_id = $1 and id = $2;

-- name: set_run_config
update flow_group set run_config = $3::jsonb where tenant_id = $1 and id = $2;

-- name: set_schedule
update flow_group set schedule = $3::jsonb where tenant_id = $1 and id = $2;

-- name: delete_auto_scheduled_runs
delete from flow_run r
using flow f
where f.tenant_id = $1 and f.flow_group_id = $2 and r.flow_id = f.id and r.state = 'Scheduled' and r.auto_scheduled;

-- name: set_concurrency_limit
update flow_group set concurrency_limit = $3 where tenant_id = $1 and id = $2;

-- Runs of a group that got a limit of its own go to lanes of their own, up to $3 at a time: each statement is short and
-- waits for nobody. What it leaves, and what comes up meanwhile, the claim that meets it sends there.
-- name: move_to_own_lanes
with waiting as materialized (
    select r.id, f.flow_group_id
    from flow_group g
    join flow f on f.flow_group_id = g.id
    join flow_run r on r.flow_id = f.id
    join label_set s on s.id = r.label_set_id
    where g.tenant_id = $1 and g.id = $2 and g.concurrency_limit is not null
        and r.queue_time is not null and s.flow_group_id is null
    limit $3
    for no key update of r skip locked
)
update flow_run r
set label_set_id = (
    select queue_lane(r.tenant_id, s.labels, w.flow_group_id, r.priority) from label_set s where s.id = r.label_set_id
)
from waiting w
where r.id = w.id;
