-- name: create
insert into cloud_hook (tenant_id, type, name, version_group_id, states, config, secret)
values ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7)
returning id;

-- name: get
select type, config, secret from cloud_hook where tenant_id = $1 and id = $2;

-- name: set_active
update cloud_hook set active = $3 where tenant_id = $1 and id = $2;

-- name: delete
delete from cloud_hook where tenant_id = $1 and id = $2;

-- name: run_facts
select
    r.name, r.version, r.state, f.id as flow_id, f.name as flow_name, f.flow_group_id, f.version_group_id,
    t.slug as tenant_slug
from flow_run r
join flow f on f.id = r.flow_id
join tenant t on t.id = r.tenant_id
where r.tenant_id = $1 and r.id = $2;
