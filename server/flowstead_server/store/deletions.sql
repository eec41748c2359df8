-- name: flow_exists
select true from flow where tenant_id = $1 and id = $2;

-- name: flow_group_exists
select true from flow_group where tenant_id = $1 and id = $2;

-- name: project_exists
select true from project where tenant_id = $1 and id = $2;

-- Keeps new runs away while the old ones are deleted.
-- name: archive
with unscheduled as (
    delete from flow_schedule s
    using flow f
    where f.id = s.flow_id and f.tenant_id = $1
        and ($2::uuid is null or f.id = $2)
        and ($3::uuid is null or f.flow_group_id = $3)
        and ($4::uuid is null or f.project_id = $4)
)
update flow
set archived = true
where tenant_id = $1 and not archived
    and ($2::uuid is null or id = $2)
    and ($3::uuid is null or flow_group_id = $3)
    and ($4::uuid is null or project_id = $4);

-- name: delete_some_runs
delete from flow_run
where id in (
    select r.id
    from flow f
    join flow_run r on r.flow_id = f.id
    where f.tenant_id = $1
        and ($2::uuid is null or f.id = $2)
        and ($3::uuid is null or f.flow_group_id = $3)
        and ($4::uuid is null or f.project_id = $4)
    limit $5
)
returning id;

-- name: delete_flow
delete from flow where tenant_id = $1 and id = $2;

-- name: delete_flow_group
delete from flow_group where tenant_id = $1 and id = $2;

-- name: delete_project
delete from project where tenant_id = $1 and id = $2;

-- name: delete_tenant
delete from tenant where id = $1;

-- name: delete_flow_run
delete from flow_run where tenant_id = $1 and id = $2 and ($3::uuid is null or claim_token = $3);
