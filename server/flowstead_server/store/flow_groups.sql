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

-- Runs of a group that get a limit of their own go to lanes of their own; those that come up meanwhile, a claim sends.
-- name: set_concurrency_limit
with changed as (
    update flow_group set concurrency_limit = $3 where tenant_id = $1 and id = $2 returning id
),
moved as (
    update flow_run r
    set label_set_id = (
        select queue_lane(r.tenant_id, s.labels, f.flow_group_id, r.priority) from label_set s where s.id = r.label_set_id
    )
    from flow f
    join changed on changed.id = f.flow_group_id
    where r.flow_id = f.id and r.queue_time is not null and $3::integer is not null
        and (select s.flow_group_id from label_set s where s.id = r.label_set_id) is null
)
select true from changed;
